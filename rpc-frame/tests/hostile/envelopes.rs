//! 23 to 28: what is no call and no reply, or not one that belongs here. 29, client certificates, is for TLS.

use rpc_frame::ConnectionError;
use rpc_frame::tokio::{CallError, Client, NegotiateError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::wire::{Call, auth, auth_sys, hex, record, success, words};
use crate::{
    Double, GATE, Site, accepted, auth_error, called, client, closes_a_client, closes_a_server, double, hold,
    read_record, reason, rest, send, within,
};

const REJECTED_CRED: u32 = 2;
const BAD_CRED: u32 = 1;

/// A connection that is served, with the answers to its calls.
struct Asking(TcpStream);

impl Asking {
    async fn a(site: &Site) -> Self {
        Self(site.tcp().await)
    }

    async fn gets(&mut self, call: &Call, reply: &[u8]) {
        send(&mut self.0, &call.record()).await.unwrap();
        assert_eq!(hex(&read_record(&mut self.0).await), hex(reply));
    }

    /// The connection has survived all of it.
    async fn still_serves(mut self) {
        let call = Call::new(99, GATE, 3, 1).args(words(&[4]));
        self.gets(&call, &success(99, &words(&[8]))).await;
    }
}

fn asks(credential: Vec<u8>) -> Call {
    Call::new(5, GATE, 3, 1).args(words(&[4])).credential(credential)
}

fn eight() -> Vec<u8> {
    success(5, &words(&[8]))
}

// 23
#[tokio::test]
async fn rejects_a_credential_of_401_bytes_and_accepts_one_of_400() {
    let site = Site::open().await;
    let mut raw = Asking::a(&site).await;
    // AUTH_NONE's body is not looked at, only counted.
    raw.gets(&asks(auth(0, &[1; 400])), &eight()).await;
    raw.gets(&asks(auth(0, &[1; 401])), &auth_error(5, BAD_CRED)).await;
    raw.gets(&asks(words(&[0, u32::MAX])), &auth_error(5, BAD_CRED)).await;
    raw.still_serves().await;
}

// 23, for the client
#[tokio::test]
async fn rejects_a_verifier_of_401_bytes_in_a_reply_and_accepts_one_of_400() {
    let (client, mut raw) = client().await;
    for (len, good) in [(400, true), (401, false), (400, true)] {
        let call = hold(&client, 1);
        let xid = called(&mut raw).await;
        let reply = [words(&[xid, 1, 0]), auth(0, &vec![1; len]), words(&[0, 6])].concat();
        send(&mut raw, &record(&reply)).await.unwrap();
        let result = within(call).await.unwrap();
        assert_eq!(result.is_ok(), good, "{len} bytes: {result:?}");
        assert!(good || matches!(result, Err(CallError::Reply(_))), "the call's own fault: {result:?}");
    }
}

// 24
#[tokio::test]
async fn rejects_auth_sys_of_17_groups_or_a_name_of_256_bytes_or_with_another_inner_length() {
    let site = Site::open().await;
    let mut raw = Asking::a(&site).await;
    raw.gets(&asks(auth(1, &auth_sys(b"host", 16))), &eight()).await;
    raw.gets(&asks(auth(1, &auth_sys(&[b'h'; 255], 16))), &eight()).await;
    let longer = [auth_sys(b"host", 1), words(&[0])].concat();
    let shorter = &auth_sys(b"host", 1)[..24];
    for body in [&auth_sys(b"host", 17)[..], &auth_sys(&[b'h'; 256], 0), &longer, shorter, b""] {
        raw.gets(&asks(auth(1, body)), &auth_error(5, BAD_CRED)).await;
    }
    raw.still_serves().await;
}

// 25
#[tokio::test]
async fn rejects_flavors_that_it_does_not_know_without_closing() {
    let site = Site::open().await;
    let mut raw = Asking::a(&site).await;
    for flavor in [2, 3, 6, 7, 999, u32::MAX] {
        for body in [&b""[..], &[0xff; 400]] {
            raw.gets(&asks(auth(flavor, body)), &auth_error(5, REJECTED_CRED)).await;
        }
    }
    raw.still_serves().await;
}

// 26
#[tokio::test]
async fn rejects_other_rpc_versions_programs_versions_and_procedures_without_closing() {
    let site = Site::open().await;
    let mut raw = Asking::a(&site).await;
    for rpcvers in [0, 1, 3, u32::MAX] {
        let mut call = Call::new(5, GATE, 3, 1);
        call.rpcvers = rpcvers;
        raw.gets(&call, &record(&words(&[5, 1, 1, 0, 2, 2]))).await;
    }
    for program in [0, GATE - 1, GATE + 1, u32::MAX] {
        raw.gets(&Call::new(5, program, 3, 1), &accepted(5, 1)).await;
    }
    for version in [0, 2, 4, u32::MAX] {
        raw.gets(&Call::new(5, GATE, version, 1), &record(&words(&[5, 1, 0, 0, 0, 2, 3, 3]))).await;
    }
    // A gap in the table, one beyond it, and far beyond it.
    for procedure in [3, 10, 1_000_000, u32::MAX] {
        raw.gets(&Call::new(5, GATE, 3, procedure), &accepted(5, 3)).await;
    }
    raw.still_serves().await;
}

// 27
#[tokio::test]
async fn survives_prog_mismatch_of_a_range_that_is_none_and_of_all_versions() {
    for (low, high, most) in [(5, 2, 1), (0, u32::MAX, 8), (u32::MAX, 0, 1)] {
        let (client, mut raw) = client().await;
        let lies = tokio::spawn(async move {
            let mut calls = 0;
            while raw.readable().await.is_ok() && !ended(&raw).await {
                let xid = called(&mut raw).await;
                send(&mut raw, &record(&words(&[xid, 1, 0, 0, 0, 2, low, high]))).await.unwrap();
                calls += 1;
            }
            calls
        });
        let error = within(client.call(&Double { number: 1 })).await.unwrap_err();
        assert!(matches!(error, CallError::ProgMismatch { low: l, high: h } if (l, h) == (low, high)), "{error}");
        let error = within(client.negotiate(GATE, 0..=9)).await.unwrap_err();
        assert!(matches!(error, NegotiateError::Contradiction { .. }), "{error}");
        drop(client);
        assert_eq!(within(lies).await.unwrap(), 1 + most, "{low} to {high}: a call, and a search that ends");
    }
}

async fn ended(raw: &TcpStream) -> bool {
    within(raw.peek(&mut [0])).await.map_or(true, |len| len == 0)
}

// 28
#[tokio::test]
async fn survives_denied_and_failed_replies_with_a_body_attached() {
    let (client, mut raw) = client().await;
    let body = [0xa5; 4000];
    for (head, told) in [
        (&[1, 1, 0, 2, 2][..], "server supports RPC versions 2 to 2, not 2"),
        (&[1, 1, 1, 5], "server does not accept the caller: AUTH_TOOWEAK"),
        (&[1, 1, 1, 4711], "server does not accept the caller: auth_stat 4711"),
        (&[1, 0, 0, 0, 1], &format!("server does not have program {GATE}")),
        (&[1, 0, 0, 0, 2, 1, 2], "server has versions 1 to 2 of the program"),
        (&[1, 0, 0, 0, 3], "server does not have procedure 1"),
        (&[1, 0, 0, 0, 4], "server could not decode the arguments"),
        (&[1, 0, 0, 0, 5], "server failed with an internal error"),
    ] {
        let asking = client.clone();
        let call = tokio::spawn(async move { asking.call(&Double { number: 1 }).await });
        let xid = called(&mut raw).await;
        send(&mut raw, &record(&[&words(&[xid]), &words(head), &body[..]].concat())).await.unwrap();
        assert_eq!(within(call).await.unwrap().unwrap_err().to_string(), told);
    }
    // Neither accepted nor denied, no known status, no known reason.
    for head in [&[1, 2][..], &[1, 0, 0, 0, 6], &[1, 1, 2]] {
        let call = hold(&client, 1);
        let xid = called(&mut raw).await;
        send(&mut raw, &record(&[words(&[xid]), words(head)].concat())).await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Reply(_)), "{error}");
    }
    still_calls(&client, &mut raw).await;
}

/// The connection has survived all of it.
async fn still_calls(client: &Client, raw: &mut TcpStream) {
    let call = hold(client, 1);
    let xid = called(raw).await;
    send(raw, &success(xid, &words(&[6]))).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

// 28
#[tokio::test]
async fn rejects_a_reply_to_a_call_that_was_never_made() {
    let error = closes_a_client(&success(0x0bad_0bad, &words(&[1]))).await;
    assert_eq!(error, ConnectionError::UnexpectedReply { xid: 0x0bad_0bad });
    let site = Site::open().await;
    closes_a_server(&site, &success(1, &words(&[1]))).await;
}

// 28
#[tokio::test]
async fn survives_replies_that_come_twice_or_to_a_call_that_was_given_up() {
    let (client, mut raw) = client().await;
    let (first, second) = (hold(&client, 1), hold(&client, 2));
    let xids = [called(&mut raw).await, called(&mut raw).await];
    let given_up = hold(&client, 3);
    let dropped = called(&mut raw).await;
    given_up.abort();
    let _ = given_up.await;
    // Each twice, with other results the second time, and the call that nobody waits for among them.
    let twice = xids.map(|xid| [success(xid, &words(&[xid])), success(xid, &words(&[666]))].concat()).concat();
    send(&mut raw, &[twice, success(dropped, &words(&[667]))].concat()).await.unwrap();
    assert_eq!(within(first).await.unwrap().unwrap(), xids[0]);
    assert_eq!(within(second).await.unwrap().unwrap(), xids[1]);
    still_calls(&client, &mut raw).await;
    assert!(client.close_reason().is_none());
}

// 28, for the server
#[tokio::test]
async fn survives_calls_that_use_one_xid_at_the_same_time() {
    let mut site = Site::open().await;
    let mut raw = site.tcp().await;
    for ticket in [1, 2] {
        send(&mut raw, &Call::new(7, GATE, 3, 2).args(words(&[ticket])).record()).await.unwrap();
    }
    let (first, second) = (within(site.held.recv()).await.unwrap(), within(site.held.recv()).await.unwrap());
    send(&mut raw, &double(7, 4)).await.unwrap();
    assert_eq!(hex(&read_record(&mut raw).await), hex(&success(7, &words(&[8]))));
    for held in [second, first] {
        let ticket = held.ticket;
        held.answer.send(ticket).unwrap();
        assert_eq!(hex(&read_record(&mut raw).await), hex(&success(7, &words(&[ticket]))), "each its own answer");
    }
}

// 28
#[tokio::test]
async fn survives_a_call_where_a_reply_belongs() {
    let (client, mut raw) = client().await;
    let call = hold(&client, 1);
    let xid = called(&mut raw).await;
    send(&mut raw, &double(xid, 1)).await.unwrap();
    assert_eq!(hex(&read_record(&mut raw).await), hex(&accepted(xid, 1)), "a client has no programs");
    send(&mut raw, &success(xid, &words(&[9]))).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 9);
}

// 28
#[tokio::test]
async fn rejects_half_a_reply_and_then_the_end() {
    for len in 1..success(1, &words(&[1])).len() {
        let (client, mut raw) = client().await;
        let call = hold(&client, 1);
        let reply = success(called(&mut raw).await, &words(&[1]));
        send(&mut raw, &reply[..len]).await.unwrap();
        raw.shutdown().await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        assert_eq!(reason(&error), ConnectionError::UnexpectedEof, "{len} bytes");
    }
}

// 28, for the server
#[tokio::test]
async fn rejects_half_a_call_and_then_the_end_without_running_it() {
    let mut site = Site::open().await;
    let call = Call::new(1, GATE, 3, 2).args(words(&[1])).record();
    for len in 1..call.len() {
        let mut raw = site.tcp().await;
        send(&mut raw, &call[..len]).await.unwrap();
        raw.shutdown().await.unwrap();
        assert_eq!(rest(&mut raw).await, b"");
    }
    assert!(site.held.try_recv().is_err(), "no handler has begun");
    let counters = site.server.counters();
    assert_eq!((counters.calls.calls, counters.opened), (0, call.len() as u64 - 1));
}

// 28: a message that is neither
#[tokio::test]
async fn rejects_a_message_that_is_neither_call_nor_reply() {
    let site = Site::open().await;
    for kind in [2, 0x0100_0000, u32::MAX] {
        let stream = record(&words(&[1, kind, 2, GATE, 3, 1, 0, 0, 0, 0]));
        closes_a_server(&site, &stream).await;
        assert_eq!(closes_a_client(&stream).await, ConnectionError::UnknownMessageType(kind));
    }
}
