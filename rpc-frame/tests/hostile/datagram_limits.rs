//! Each limit by UDP: what passes one below it and at it, and what happens one beyond it. Time stands still where it is one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rpc_frame::tokio::{CallError, UdpClient};
use rpc_frame::{DatagramClientConfig, DatagramServerConfig, RecordNotWritten};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use crate::wire::{Call, hex, words};
use crate::{Double, GATE, Site, Store, within};

/// A field that is new here has no test, here or beside the two of `max_unsent`: the sockets of a test take all that is sent,
/// so that these are tested with the engines alone.
#[test]
fn each_limit_has_a_finite_default_and_is_on_this_list() {
    let shown = format!("{:#?}", DatagramServerConfig::default());
    let tested = "DatagramServerConfig {
    max_datagram: 65507,
    max_calls_in_flight: 64,
    max_unsent: 8388608,
    max_kept: 8192,
    max_kept_bytes: 8388608,
    keep_for: 60s,
}";
    assert_eq!(shown, tested);
    let shown = format!("{:#?}", DatagramClientConfig::default());
    let tested = "DatagramClientConfig {
    max_datagram: 65507,
    first_wait: 1s,
    max_wait: 16s,
    max_tries: 5,
    max_unsent: 1048576,
    first_xid: 1,
}";
    assert_eq!(shown, tested);
}

/// A server's socket, and one of somebody who calls it.
async fn post(change: impl FnOnce(&mut DatagramServerConfig)) -> (Site, UdpSocket) {
    let site = Site::open_with(|config| change(&mut config.datagram)).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    caller.connect(socket.local_addr().unwrap()).await.unwrap();
    let server = site.server.clone();
    tokio::spawn(async move { server.serve_udp(socket).await });
    (site, caller)
}

async fn next(socket: &UdpSocket) -> Vec<u8> {
    let mut datagram = vec![0; 70_000];
    let len = within(socket.recv(&mut datagram)).await.unwrap();
    datagram[..len].to_vec()
}

fn success(xid: u32, results: &[u32]) -> Vec<u8> {
    [words(&[xid, 1, 0, 0, 0, 0]), words(results)].concat()
}

fn double(xid: u32) -> Vec<u8> {
    Call::new(xid, GATE, 3, 1).args(words(&[xid])).message()
}

fn filled(xid: u32, count: u32) -> Vec<u8> {
    Call::new(xid, GATE, 3, 4).args(words(&[count])).message()
}

/// Calls, and tells how often the handler has run so far.
async fn runs(site: &Site, caller: &UdpSocket, xid: u32) -> usize {
    caller.send(&double(xid)).await.unwrap();
    assert_eq!(hex(&next(caller).await), hex(&success(xid, &[2 * xid])));
    site.doubled.load(Ordering::SeqCst)
}

#[tokio::test]
async fn max_datagram_of_a_server() {
    let (_site, caller) = post(|config| config.max_datagram = 200).await;
    for (xid, len) in [(1, 199), (2, 200), (3, 201), (4, 200)] {
        let call = Call::new(xid, GATE, 3, 99).args(vec![0; len - 40]).message();
        assert_eq!(call.len(), len);
        caller.send(&call).await.unwrap();
    }
    for xid in [1, 2, 4] {
        assert_eq!(hex(&next(&caller).await), hex(&words(&[xid, 1, 0, 0, 0, 3])), "the third is dropped");
    }
    for (xid, count, len) in [(5, 168, 196), (6, 172, 200), (7, 173, 24)] {
        caller.send(&filled(xid, count)).await.unwrap();
        assert_eq!(next(&caller).await.len(), len, "SYSTEM_ERR where it is too long");
    }
}

#[tokio::test(start_paused = true)]
async fn max_calls_in_flight_of_a_server() {
    let (mut site, caller) = post(|config| config.max_calls_in_flight = 3).await;
    let mut held = Vec::new();
    for xid in 1..=3 {
        caller.send(&Call::new(xid, GATE, 3, 2).args(words(&[xid])).message()).await.unwrap();
        held.push(within(site.held.recv()).await.unwrap());
    }
    caller.send(&double(4)).await.unwrap();
    // Paused time passes when the server has nothing left to do.
    sleep(Duration::from_secs(1)).await;
    held.remove(0).answer.send(1).unwrap();
    assert_eq!(hex(&next(&caller).await), hex(&success(1, &[1])));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(site.doubled.load(Ordering::SeqCst), 0, "the fourth was dropped");
    assert_eq!(runs(&site, &caller, 4).await, 1, "there is room now");
}

#[tokio::test]
async fn max_calls_in_flight_of_a_server_may_be_any_number() {
    let (site, caller) = post(|config| config.max_calls_in_flight = usize::MAX).await;
    assert_eq!(runs(&site, &caller, 1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn max_kept_of_a_server() {
    let (site, caller) = post(|config| config.max_kept = 3).await;
    for xid in 1..=3 {
        assert_eq!(runs(&site, &caller, xid).await, xid as usize);
    }
    assert_eq!(runs(&site, &caller, 1).await, 3, "three are kept");
    assert_eq!(runs(&site, &caller, 4).await, 4);
    assert_eq!(runs(&site, &caller, 2).await, 4, "still there");
    assert_eq!(runs(&site, &caller, 1).await, 5, "the oldest has made room");
}

#[tokio::test(start_paused = true)]
async fn max_kept_bytes_of_a_server() {
    // Room for two long replies and not for three: what keeping one costs beside its bytes is less than half of one.
    let (site, caller) = post(|config| config.max_kept_bytes = 125_000).await;
    for xid in 1..=2 {
        caller.send(&filled(xid, 50_000)).await.unwrap();
        next(&caller).await;
    }
    assert_eq!(runs(&site, &caller, 3).await, 1);
    assert_eq!(runs(&site, &caller, 3).await, 1, "it is kept beside them");
    for xid in 4..=5 {
        caller.send(&filled(xid, 50_000)).await.unwrap();
        next(&caller).await;
    }
    assert_eq!(runs(&site, &caller, 3).await, 1, "and still, when the first two have made room");
    caller.send(&filled(6, 50_000)).await.unwrap();
    next(&caller).await;
    assert_eq!(runs(&site, &caller, 3).await, 2, "and gone with the third");
}

#[tokio::test(start_paused = true)]
async fn keep_for_of_a_server() {
    let (site, caller) = post(|config| config.keep_for = Duration::from_secs(7)).await;
    assert_eq!(runs(&site, &caller, 1).await, 1);
    sleep(Duration::from_millis(6_998)).await;
    assert_eq!(runs(&site, &caller, 1).await, 1);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(runs(&site, &caller, 1).await, 2);
}

/// A client, and the socket that it calls.
async fn client(change: impl FnOnce(&mut DatagramClientConfig)) -> (UdpClient, UdpSocket) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.local_addr().unwrap()).await.unwrap();
    server.connect(socket.local_addr().unwrap()).await.unwrap();
    let mut config = DatagramClientConfig::default();
    change(&mut config);
    (UdpClient::with_config(socket, config).unwrap(), server)
}

/// After how many seconds a call that nobody answers is sent, and given up.
async fn times(change: impl FnOnce(&mut DatagramClientConfig)) -> (Vec<u64>, u64) {
    let (client, server) = client(change).await;
    let begun = Instant::now();
    let call = tokio::spawn(async move { client.call(&Double { number: 1 }).await });
    let mut sent = Vec::new();
    let mut datagram = [0; 100];
    while !call.is_finished() {
        tokio::select! {
            received = server.recv(&mut datagram) => {
                received.unwrap();
                sent.push(begun.elapsed().as_secs());
            }
            () = sleep(Duration::from_millis(100)) => {}
        }
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    (sent, begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn first_wait_max_wait_and_max_tries_of_a_client() {
    assert_eq!(times(|_| {}).await, (vec![0, 1, 3, 7, 15], 31), "the defaults");
    assert_eq!(times(|config| config.first_wait = Duration::from_secs(2)).await, (vec![0, 2, 6, 14, 30], 46));
    for (max_wait, times_and_end) in
        [(3, (vec![0, 1, 3, 6, 9], 12)), (4, (vec![0, 1, 3, 7, 11], 15)), (5, (vec![0, 1, 3, 7, 12], 17))]
    {
        assert_eq!(times(|config| config.max_wait = Duration::from_secs(max_wait)).await, times_and_end);
    }
    for (max_tries, times_and_end) in [(1, (vec![0], 1)), (2, (vec![0, 1], 3)), (3, (vec![0, 1, 3], 7))] {
        assert_eq!(times(|config| config.max_tries = max_tries).await, times_and_end);
    }
}

#[tokio::test]
async fn max_datagram_of_a_client() {
    let (client, server) = client(|config| config.max_datagram = 200).await;
    for len in [152, 156] {
        let asking = client.clone();
        let call = tokio::spawn(async move { asking.call(&Store { bytes: vec![1; len] }).await });
        let datagram = next(&server).await;
        let xid = u32::from_be_bytes(datagram[..4].try_into().unwrap());
        // A reply that is too long is passed over, one at the limit is read.
        server.send(&[success(xid, &[4]), vec![0; 173]].concat()).await.unwrap();
        server.send(&[success(xid, &[]), vec![0; 200 - 24]].concat()).await.unwrap();
        let error = within(call).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Reply(_)), "{error}");
    }
    let error = client.call(&Store { bytes: vec![1; 157] }).await.unwrap_err();
    let too_long = RecordNotWritten::TooLong { len: 204, max: 200 };
    assert!(matches!(&error, CallError::NotSent(error) if *error == too_long), "{error}");
}

#[tokio::test]
async fn first_xid_of_a_client() {
    let (client, server) = client(|config| config.first_xid = u32::MAX).await;
    for xid in [u32::MAX, 0] {
        let asking = client.clone();
        let call = tokio::spawn(async move { asking.call(&Double { number: 1 }).await });
        assert_eq!(hex(&next(&server).await[..4]), hex(&words(&[xid])));
        server.send(&success(xid, &[2])).await.unwrap();
        assert_eq!(within(call).await.unwrap().unwrap(), 2);
    }
}
