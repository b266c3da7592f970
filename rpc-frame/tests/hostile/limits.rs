//! Each limit on a connection and on a server: what passes one below it and at it, and what happens one beyond it.

use std::time::Duration;

use rpc_frame::tokio::{CallError, Client, ServerConfig};
use rpc_frame::xdr::Limits;
use rpc_frame::{ConnectionConfig, ConnectionError, Peer, RecordError, RecordNotWritten};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{Call, fragment, hex, record, success, words};
use crate::{
    Double, GATE, Hold, Nest, Site, Store, Tell, accepted, called, closes_a_client_with, configured, double, fill,
    hold, patient, read_record, rest, unix_client_with, within,
};

/// The names of the fields, as they are shown.
fn fields(shown: &str) -> Vec<String> {
    let (_, fields) = shown.split_once(" {\n").expect("a struct");
    let own = fields.lines().filter_map(|line| line.strip_prefix("    "));
    own.filter(|line| !line.starts_with([' ', '}', ')'])).map(|line| line.split(':').next().unwrap().into()).collect()
}

/// A field that is new here has no test below.
#[test]
fn each_limit_has_a_finite_default_and_is_on_this_list() {
    let connection = ConnectionConfig::default();
    let tested = [
        "max_record",
        "max_empty_fragments",
        "max_calls_in_flight",
        "max_own_calls_in_flight",
        "max_unsent",
        "record_timeout",
        "idle_timeout",
        "write_timeout",
        "first_xid",
    ];
    assert_eq!(fields(&format!("{connection:#?}")), tested);
    assert_eq!((connection.max_record, connection.max_empty_fragments), (1024 * 1024, 64));
    assert_eq!((connection.max_calls_in_flight, connection.max_own_calls_in_flight), (64, 16_384));
    assert_eq!(connection.max_unsent, 1024 * 1024);
    let times = [connection.record_timeout, connection.idle_timeout, connection.write_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [10, 300, 30]);

    let server = ServerConfig::default();
    assert_eq!(fields(&format!("{server:#?}")), ["max_connections", "connection", "datagram", "limits", "time_limit"]);
    assert_eq!((server.max_connections, server.connection), (1024, connection));
    // `time_limits` has what it does.
    assert_eq!(server.time_limit, Some(Duration::from_secs(600)));
    assert_eq!((server.limits, server.limits.depth(), server.limits.heap()), (Limits::DEFAULT, 64, 16 * 1024 * 1024));
    assert_eq!(fields(&format!("{:#?}", server.limits)), ["depth", "heap", "lenient_padding"]);
}

async fn site(change: impl FnOnce(&mut ConnectionConfig)) -> Site {
    Site::open_with(|config| change(&mut config.connection)).await
}

#[tokio::test]
async fn max_record_of_a_server() {
    let site = site(|config| config.max_record = 1000).await;
    for (len, passes) in [(999, true), (1000, true), (1001, false)] {
        let mut raw = site.unix().await;
        let mut call = Call::new(1, GATE, 3, 1);
        call.args = vec![0; len - 40];
        let _ = raw.write_all(&call.record()).await;
        let garbage_args = if passes { accepted(1, 4) } else { vec![] };
        raw.shutdown().await.ok();
        assert_eq!(hex(&rest(&mut raw).await), hex(&garbage_args), "{len} bytes");
    }
    // Its replies: 24 bytes, a length, and what is to be filled, in words.
    let mut raw = site.unix().await;
    for (count, passes) in [(968, true), (972, true), (973, false)] {
        raw.write_all(&fill(1, count)).await.unwrap();
        let reply = read_record(&mut raw).await;
        assert_eq!(reply.len() > 28, passes, "{count} bytes");
        assert!(passes || reply == accepted(1, 5), "SYSTEM_ERR");
    }
}

#[tokio::test]
async fn max_record_of_a_client() {
    let small = |config: &mut ConnectionConfig| config.max_record = 1000;
    let (client, mut raw) = unix_client_with(small);
    // 40 bytes of header, a length, and the bytes in words.
    for len in [952, 956] {
        let asking = client.clone();
        let call = tokio::spawn(async move { asking.call(&Store { bytes: vec![1; len] }).await });
        let xid = called(&mut raw).await;
        raw.write_all(&success(xid, &words(&[4]))).await.unwrap();
        assert_eq!(call.await.unwrap().unwrap(), 4);
    }
    let error = client.call(&Store { bytes: vec![1; 957] }).await.unwrap_err();
    let too_long = RecordNotWritten::TooLong { len: 1004, max: 1000 };
    assert!(matches!(&error, CallError::NotSent(error) if *error == too_long), "{error}");

    for (len, passes) in [(999, true), (1000, true), (1001, false)] {
        let (client, mut raw) = unix_client_with(small);
        let call = hold(&client, 1);
        let xid = called(&mut raw).await;
        let _ = raw.write_all(&success(xid, &vec![0; len - 24])).await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(matches!(error, CallError::Reply(_)), passes, "{len} bytes, none of them read: {error}");
    }
}

#[tokio::test]
async fn max_empty_fragments_of_a_server_and_a_client() {
    let few = |config: &mut ConnectionConfig| config.max_empty_fragments = 3;
    let site = site(few).await;
    for (empty, passes) in [(2, true), (3, true), (4, false)] {
        let front = vec![fragment(b""); empty].concat();
        let mut raw = site.unix().await;
        let _ = raw.write_all(&[&front[..], &double(1, 4)].concat()).await;
        raw.shutdown().await.ok();
        let reply = if passes { success(1, &words(&[8])) } else { vec![] };
        assert_eq!(hex(&rest(&mut raw).await), hex(&reply), "{empty} empty fragments");

        let (client, mut raw) = unix_client_with(few);
        let call = hold(&client, 1);
        let xid = called(&mut raw).await;
        let _ = raw.write_all(&[front, success(xid, &words(&[6]))].concat()).await;
        assert_eq!(call.await.unwrap().is_ok(), passes, "{empty} empty fragments");
    }
    let error = closes_a_client_with(few, &vec![fragment(b""); 4].concat()).await;
    assert_eq!(error, ConnectionError::Record(RecordError::EmptyFragments { max: 3 }));
}

#[tokio::test(start_paused = true)]
async fn max_calls_in_flight_of_a_server() {
    let mut site = site(|config| config.max_calls_in_flight = 3).await;
    let client = patient(site.bystander().await);
    let mut calls = Vec::new();
    let mut held = Vec::new();
    for ticket in 1..=3 {
        calls.push(hold(&client, ticket));
        held.push(site.held.recv().await.unwrap());
    }
    calls.push(hold(&client, 4));
    assert!(timeout(Duration::from_secs(60), site.held.recv()).await.is_err(), "the fourth waits");
    held.remove(1).answer.send(2).unwrap();
    held.push(site.held.recv().await.unwrap());
    assert_eq!(held.last().unwrap().ticket, 4);
}

#[tokio::test(start_paused = true)]
async fn max_calls_in_flight_of_a_server_is_at_most_65536() {
    const MOST: u32 = 65_536;
    let mut site = site(|config| config.max_calls_in_flight = usize::MAX).await;
    let mut raw = site.server.connect_in_memory();
    let calls = (0..=MOST).flat_map(|xid| Call::new(xid, GATE, 3, 2).args(words(&[xid])).record()).collect::<Vec<_>>();
    let writing = tokio::spawn(async move { raw.write_all(&calls).await.map(|()| raw) });
    let mut held = Vec::new();
    while let Ok(Some(call)) = timeout(Duration::from_secs(1), site.held.recv()).await {
        held.push(call);
    }
    assert_eq!(held.len(), MOST as usize);
    let mut raw = writing.await.unwrap().unwrap();
    held.pop().unwrap().answer.send(7).unwrap();
    assert_eq!(read_record(&mut raw).await, record(&words(&[MOST - 1, 1, 0, 0, 0, 0, 7])), "the last one is woken");
    assert_eq!(site.held.recv().await.unwrap().ticket, MOST);
}

#[tokio::test(start_paused = true)]
async fn max_own_calls_in_flight_of_a_client() {
    let (client, mut raw) = unix_client_with(|config| config.max_own_calls_in_flight = 3);
    let calls: Vec<_> = (1..=3).map(|ticket| hold(&client, ticket)).collect();
    let first = called(&mut raw).await;
    called(&mut raw).await;
    called(&mut raw).await;
    let error = client.call(&Hold { ticket: 4 }).await.unwrap_err();
    let too_many = RecordNotWritten::TooManyCalls { max: 3 };
    assert!(matches!(&error, CallError::NotSent(error) if *error == too_many), "{error}");
    raw.write_all(&success(first, &words(&[1]))).await.unwrap();
    assert_eq!(calls.into_iter().next().unwrap().await.unwrap().unwrap(), 1);
    let call = hold(&client, 5);
    let xid = called(&mut raw).await;
    raw.write_all(&success(xid, &words(&[5]))).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 5);
}

/// Whether a call is taken up behind a reply of that many bytes of which the peer has taken 16.
async fn is_taken_up_behind(len: u32) -> bool {
    let mut site = site(|config| config.max_unsent = 1000).await;
    let (mut raw, io) = duplex(16);
    site.server.serve_connection(io, Peer::Unknown).unwrap();
    raw.write_all(&fill(1, len - 32)).await.unwrap();
    let call = Call::new(2, GATE, 3, 2).args(words(&[1])).record();
    let _written = timeout(Duration::from_secs(1), raw.write_all(&call)).await;
    timeout(Duration::from_secs(1), site.held.recv()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn max_unsent_of_a_server() {
    assert!(is_taken_up_behind(16 + 996).await);
    assert!(is_taken_up_behind(16 + 1000).await);
    assert!(!is_taken_up_behind(16 + 1004).await);
}

#[tokio::test(start_paused = true)]
async fn max_unsent_of_a_client() {
    // A oneway call is a record of 48 bytes, of which the peer takes one. The next is thought to take 68.
    for (max_unsent, goes) in [(114, false), (115, true), (116, true)] {
        let (near, _far) = duplex(1);
        let client = Client::with_config(near, configured(|config| config.max_unsent = max_unsent));
        client.send(&Tell { number: 1 }).await.unwrap();
        // The connection's task writes what it can.
        sleep(Duration::from_secs(1)).await;
        let second = timeout(Duration::from_secs(1), client.send(&Tell { number: 2 })).await;
        assert_eq!(second.is_ok(), goes, "{max_unsent} bytes");
    }
}

/// Just less than the limits on time below, and those.
const NEARLY: Duration = Duration::from_millis(6_999);
const LIMIT: Duration = Duration::from_secs(7);

#[tokio::test(start_paused = true)]
async fn record_timeout_of_a_server_and_a_client() {
    let soon = |config: &mut ConnectionConfig| config.record_timeout = LIMIT;
    let site = site(soon).await;
    for (pause, passes) in [(NEARLY, true), (LIMIT, false)] {
        let mut raw = site.unix().await;
        let call = double(1, 4);
        raw.write_all(&call[..30]).await.unwrap();
        sleep(pause).await;
        let _ = raw.write_all(&call[30..]).await;
        raw.shutdown().await.ok();
        let reply = if passes { success(1, &words(&[8])) } else { vec![] };
        assert_eq!(hex(&rest(&mut raw).await), hex(&reply), "after {pause:?}");

        let (client, mut raw) = unix_client_with(soon);
        let call = hold(&client, 1);
        let reply = success(called(&mut raw).await, &words(&[6]));
        raw.write_all(&reply[..30]).await.unwrap();
        sleep(pause).await;
        let _ = raw.write_all(&reply[30..]).await;
        assert_eq!(call.await.unwrap().is_ok(), passes, "after {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_of_a_server_and_a_client() {
    let soon = |config: &mut ConnectionConfig| config.idle_timeout = LIMIT;
    let site = site(soon).await;
    let mut raw = site.unix().await;
    for xid in 1..=3 {
        raw.write_all(&double(xid, 4)).await.unwrap();
        assert_eq!(hex(&read_record(&mut raw).await), hex(&success(xid, &words(&[8]))));
        sleep(NEARLY).await;
    }
    let begun = Instant::now();
    assert_eq!(within(raw.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(begun.elapsed(), LIMIT - NEARLY);

    let (client, mut raw) = unix_client_with(soon);
    for _ in 0..3 {
        let call = hold(&client, 1);
        let xid = called(&mut raw).await;
        // As long as a call is in flight, nothing is idle.
        sleep(2 * LIMIT).await;
        raw.write_all(&success(xid, &words(&[6]))).await.unwrap();
        assert_eq!(call.await.unwrap().unwrap(), 6);
        sleep(NEARLY).await;
    }
    let begun = Instant::now();
    assert_eq!(within(client.closed()).await.to_string(), ConnectionError::Idle.to_string());
    assert_eq!(begun.elapsed(), LIMIT - NEARLY);
}

#[tokio::test(start_paused = true)]
async fn write_timeout_of_a_server() {
    let site = site(|config| config.write_timeout = LIMIT).await;
    let (mut raw, io) = duplex(1024);
    site.server.serve_connection(io, Peer::Unknown).unwrap();
    raw.write_all(&fill(1, 100_000)).await.unwrap();
    let mut piece = [0; 16 * 1024];
    for _ in 0..3 {
        sleep(NEARLY).await;
        // 16 KiB in time: the server's time begins anew.
        raw.read_exact(&mut piece).await.unwrap();
    }
    // A byte less is not enough; 1 KiB more than was read is under way.
    sleep(NEARLY).await;
    raw.read_exact(&mut piece[1025..]).await.unwrap();
    sleep(2 * (LIMIT - NEARLY)).await;
    let mut last = Vec::new();
    within(raw.read_to_end(&mut last)).await.unwrap();
    assert!(last.len() <= 1024, "what was under way: {} bytes", last.len());
}

#[tokio::test(start_paused = true)]
async fn write_timeout_of_a_client() {
    let reads_after = async |pause: Duration| {
        let (near, mut far): (DuplexStream, _) = duplex(16);
        let client = patient(Client::with_config(near, configured(|config| config.write_timeout = LIMIT)));
        let call = tokio::spawn(async move { client.call(&Double { number: 1 }).await });
        sleep(pause).await;
        let mut sent = Vec::new();
        let _ = timeout(Duration::from_secs(1), far.read_to_end(&mut sent)).await;
        (sent.len() == 48, call)
    };
    assert!(reads_after(NEARLY).await.0);
    let (whole, call) = reads_after(LIMIT).await;
    assert!(!whole);
    assert_eq!(crate::reason(&call.await.unwrap().unwrap_err()), ConnectionError::WriteTimeout);
}

#[tokio::test]
async fn first_xid_of_a_client() {
    let (client, mut raw) = unix_client_with(|config| config.first_xid = u32::MAX - 1);
    let _calls: Vec<_> = (0..3).map(|ticket| hold(&client, ticket)).collect();
    for xid in [u32::MAX - 1, u32::MAX, 0] {
        assert_eq!(called(&mut raw).await, xid);
    }
}

#[tokio::test(start_paused = true)]
async fn max_connections_of_a_server() {
    let site = Site::open_with(|config| config.max_connections = 3).await;
    let serve = || {
        let (near, far) = UnixStream::pair().unwrap();
        site.server.serve_connection(far, Peer::Unknown).map(|()| patient(Client::new(near)))
    };
    let served = [serve().unwrap(), serve().unwrap(), serve().unwrap()];
    assert!(serve().is_err());
    for client in &served {
        client.null(GATE, 3).await.unwrap();
    }
    // One that comes by a listener waits.
    let waiting = patient(site.bystander().await);
    assert!(timeout(Duration::from_secs(60), waiting.null(GATE, 3)).await.is_err());
    drop(served);
    waiting.null(GATE, 3).await.unwrap();
}

#[tokio::test]
async fn limits_of_a_servers_decoding() {
    let site = Site::open_with(|config| config.limits = Limits::DEFAULT.with_heap(1000).with_depth(5)).await;
    let mut raw = site.unix().await;
    for (len, passes) in [(999, true), (1000, true), (1001, false)] {
        let bytes: &[u8] = &vec![1; len];
        raw.write_all(&Call::new(1, GATE, 3, 6).args(crate::wire::opaque(bytes)).record()).await.unwrap();
        let reply = if passes { success(1, &words(&[len as u32])) } else { accepted(1, 4) };
        assert_eq!(hex(&read_record(&mut raw).await), hex(&reply), "{len} bytes of heap");
    }
    // A box within a box: the outermost is none.
    for (boxes, passes) in [(4, true), (5, true), (6, false)] {
        let args = words(&[vec![1; boxes], vec![0]].concat());
        raw.write_all(&record(&Call::new(1, GATE, 3, 8).args(args).message())).await.unwrap();
        let reply = if passes { success(1, &words(&[boxes as u32 + 1])) } else { accepted(1, 4) };
        assert_eq!(hex(&read_record(&mut raw).await), hex(&reply), "{boxes} boxes deep");
    }
    let client = patient(site.bystander().await);
    assert_eq!(client.call(&Nest { inner: None }).await.unwrap(), 1, "and it serves on");
    raw.write_all(&Call::new(1, GATE, 3, 1).args(words(&[4])).record()).await.unwrap();
    assert_eq!(hex(&read_record(&mut raw).await), hex(&success(1, &words(&[8]))));
}
