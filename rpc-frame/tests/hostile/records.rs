//! 18 to 22: what is no record, and records in any pieces.

use rpc_frame::{ConnectionError, RecordError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::wire::{Call, fragment, hex, record, success, words};
use crate::{
    Double, Fill, GATE, Site, accepted, called, client, closes_a_client, closes_a_server, double, hold, read_record,
    reason, send, within,
};

const CAP: usize = 1024 * 1024;
const CAP_WORD: u32 = 0x10_0000;

fn too_long(len: usize) -> ConnectionError {
    ConnectionError::Record(RecordError::TooLong { len, max: CAP })
}

// 18
#[tokio::test]
async fn rejects_a_last_fragment_over_the_cap_and_takes_one_at_it() {
    let site = Site::open().await;
    for over in [CAP_WORD + 1, 0x7fff_ffff] {
        let mark = words(&[0x8000_0000 | over]);
        closes_a_server(&site, &mark).await;
        assert_eq!(closes_a_client(&mark).await, too_long(over as usize));
    }

    let mut raw = site.tcp().await;
    let mut call = Call::new(1, GATE, 3, 1);
    call.args = vec![0; CAP - 40];
    send(&mut raw, &call.record()).await.unwrap();
    assert_eq!(hex(&read_record(&mut raw).await), hex(&accepted(1, 4)), "looked at: its arguments are garbage");

    let (client, mut raw) = client().await;
    let call = tokio::spawn(async move { client.call(&Fill { count: 0 }).await });
    let xid = called(&mut raw).await;
    let bytes = CAP_WORD - 28;
    let results = [words(&[bytes]), vec![9; bytes as usize]].concat();
    send(&mut raw, &success(xid, &results)).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap().bytes.len(), bytes as usize);
}

// 18
#[tokio::test]
async fn rejects_fragments_whose_sum_is_over_the_cap() {
    let site = Site::open().await;
    let half = fragment(&vec![0; CAP / 2]);
    for last in [1, 0x8000_0001] {
        let stream = [&half[..], &half, &words(&[last])].concat();
        closes_a_server(&site, &stream).await;
        assert_eq!(closes_a_client(&stream).await, too_long(CAP + 1));
    }
}

// 19
#[tokio::test]
async fn rejects_endless_empty_fragments() {
    let site = Site::open().await;
    let stream = vec![fragment(b""); 100_000].concat();
    closes_a_server(&site, &stream).await;
    let error = ConnectionError::Record(RecordError::EmptyFragments { max: 64 });
    assert_eq!(closes_a_client(&stream).await, error);
}

// 19
#[tokio::test]
async fn rejects_an_empty_record_and_each_that_is_shorter_than_8_bytes() {
    let site = Site::open().await;
    for len in 0..8 {
        let stream = record(&vec![0; len]);
        closes_a_server(&site, &stream).await;
        assert_eq!(closes_a_client(&stream).await, ConnectionError::TooShort { len });
    }
}

// 20
#[tokio::test]
async fn survives_a_call_and_a_reply_that_come_byte_by_byte() {
    let site = Site::open().await;
    let mut raw = site.tcp().await;
    for byte in [double(1, 4), double(2, 5)].concat() {
        raw.write_u8(byte).await.unwrap();
        // The server's task has its turn, so that it sees each byte by itself where it can.
        tokio::task::yield_now().await;
    }
    assert_eq!(hex(&read_record(&mut raw).await), hex(&success(1, &words(&[8]))));
    assert_eq!(hex(&read_record(&mut raw).await), hex(&success(2, &words(&[10]))));

    let (client, mut raw) = client().await;
    let call = hold(&client, 1);
    for byte in success(called(&mut raw).await, &words(&[6])) {
        raw.write_u8(byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

// 20
#[tokio::test]
async fn survives_every_split_of_a_call_and_of_a_reply_in_two() {
    let site = Site::open().await;
    let mut raw = site.tcp().await;
    for split in 1..double(1, 1).len() {
        let call = double(split as u32, 21);
        send(&mut raw, &call[..split]).await.unwrap();
        // The bystander's call goes through the server, which has seen the first part by then.
        assert_eq!(within(site.bystander().await.call(&Double { number: 1 })).await.unwrap(), 2);
        send(&mut raw, &call[split..]).await.unwrap();
        assert_eq!(hex(&read_record(&mut raw).await), hex(&success(split as u32, &words(&[42]))));
    }

    let (client, mut raw) = client().await;
    for split in 1..success(1, &words(&[1])).len() {
        let call = hold(&client, 1);
        let reply = success(called(&mut raw).await, &words(&[6]));
        send(&mut raw, &reply[..split]).await.unwrap();
        tokio::task::yield_now().await;
        send(&mut raw, &reply[split..]).await.unwrap();
        assert_eq!(within(call).await.unwrap().unwrap(), 6);
    }
}

/// The record with these bytes in fragments of so many bytes, an empty one behind each.
fn in_fragments(body: &[u8], len: usize) -> Vec<u8> {
    let fragments = body.chunks(len).flat_map(|part| [fragment(part), fragment(b"")]);
    [fragments.collect::<Vec<_>>().concat(), record(b"")].concat()
}

// 20
#[tokio::test]
async fn survives_fragments_of_every_size_with_xid_and_body_apart() {
    let site = Site::open().await;
    let mut raw = site.tcp().await;
    let (client, mut fake) = client().await;
    for len in 1..44 {
        send(&mut raw, &in_fragments(&double(7, 21)[4..], len)).await.unwrap();
        assert_eq!(hex(&read_record(&mut raw).await), hex(&success(7, &words(&[42]))), "fragments of {len} bytes");

        let call = hold(&client, 1);
        let reply = success(called(&mut fake).await, &words(&[6]));
        send(&mut fake, &in_fragments(&reply[4..], len)).await.unwrap();
        assert_eq!(within(call).await.unwrap().unwrap(), 6, "fragments of {len} bytes");
    }
}

/// What is taken of a record that does not end.
async fn taken(raw: &mut TcpStream) -> usize {
    let piece = fragment(&[0; 1000]);
    let mut taken = 0;
    // What fits the cap and the sockets is far less than this.
    while taken < 64 * CAP && send(raw, &piece).await.is_ok() {
        taken += piece.len();
    }
    taken
}

// 21
#[tokio::test]
async fn rejects_a_record_whose_last_fragment_never_comes() {
    let site = Site::open().await;
    let mut raw = site.tcp().await;
    assert!(taken(&mut raw).await < 64 * CAP);
    assert_eq!(within(site.bystander().await.call(&Double { number: 4 })).await.unwrap(), 8);

    let (client, mut raw) = client().await;
    let call = hold(&client, 1);
    called(&mut raw).await;
    assert!(taken(&mut raw).await < 64 * CAP);
    let error = reason(&within(call).await.unwrap().unwrap_err());
    assert!(matches!(error, ConnectionError::Record(RecordError::TooLong { .. })), "{error}");
}

// 22
#[tokio::test]
async fn rejects_http_tls_and_ssh_where_a_record_mark_belongs() {
    let site = Site::open().await;
    // A ClientHello of TLS 1.3 begins as one of TLS 1.0.
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x55; 0x1f5]].concat();
    for banner in [&b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n"[..], &hello, b"SSH-2.0-OpenSSH_9.9\r\n"] {
        closes_a_server(&site, banner).await;
        let error = closes_a_client(banner).await;
        assert!(matches!(error, ConnectionError::Record(RecordError::TooLong { .. })), "{error}");
    }
}
