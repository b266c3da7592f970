//! Calls as services: messages, markers and bytes, and layers around them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, ClosedError, Server, UdpClient};
use rpc_frame::tower::{Connector, Invocation, RawCall, Request, Typed};
use rpc_frame::xdr::Bytes;
use rpc_frame::{ConnectionConfig, Procedure};
use tokio::io::{AsyncReadExt, duplex};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::time::{Instant, timeout};
use tower::limit::ConcurrencyLimit;
use tower::reconnect::Reconnect;
use tower::timeout::Timeout;
use tower::{BoxError, ServiceExt, service_fn};

use crate::desk::{DESK, Double, Hold, Note, Pin, Unpin, client, desk, server, soon};

#[tokio::test]
async fn messages_markers_and_bytes_are_called_through_one_client() {
    let (server, _held) = server();
    let client = client(&server);
    assert_eq!(client.clone().oneshot(Double { number: 21 }).await.unwrap(), 42);
    let note = || Note { text: "milk".into() };
    assert_eq!(client.clone().oneshot(Request::<Pin>(note())).await.unwrap(), 1);
    assert_eq!(client.clone().oneshot(Request::<Unpin>(note())).await.unwrap(), 2);
    let results = client.clone().oneshot(RawCall::of::<Double>(&Double { number: 21 }).unwrap()).await.unwrap();
    assert_eq!(results, Bytes::from_static(&[0, 0, 0, 42]));
    let by_number = RawCall::new(DESK, 1, 3, vec![0, 0, 0, 4]);
    assert_eq!(client.clone().oneshot(by_number).await.unwrap(), Bytes::from_static(&[0, 0, 0, 8]));
}

#[tokio::test]
async fn messages_markers_and_bytes_are_called_by_udp() {
    let (server, mut held) = server();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_udp(socket).await });
    let client = UdpClient::connect(address).await.unwrap();
    assert_eq!(client.clone().oneshot(Double { number: 21 }).await.unwrap(), 42);
    assert_eq!(client.clone().oneshot(Request::<Pin>(Note { text: "milk".into() })).await.unwrap(), 1);
    let by_number = RawCall::new(DESK, 1, 3, vec![0, 0, 0, 4]);
    assert_eq!(client.clone().oneshot(by_number).await.unwrap(), Bytes::from_static(&[0, 0, 0, 8]));
    let refused = client.clone().oneshot(RawCall::new(DESK, 1, 99, vec![])).await;
    assert!(matches!(refused, Err(CallError::ProcUnavail { procedure: 99 })));
    let long = client.clone().oneshot(Request::<Pin>(Note { text: "far too long".into() })).await;
    assert!(matches!(long, Err(CallError::NotSent(_))));
    // It leaves before its future is polled.
    let reply = tower::Service::call(&mut client.clone(), Hold { ticket: 5 });
    held.recv().await.unwrap().answer.send(6).unwrap();
    assert_eq!(reply.await.unwrap(), 6);
    assert!(ServiceExt::<Double>::ready(&mut client.clone()).await.is_ok());
}

#[tokio::test]
async fn messages_and_markers_are_called_over_a_service_of_bytes() {
    let (server, _held) = server();
    let client = Typed::new(client(&server));
    assert_eq!(client.clone().oneshot(Double { number: 21 }).await.unwrap(), 42);
    assert_eq!(client.oneshot(Request::<Unpin>(Note { text: String::new() })).await.unwrap(), 2);
}

#[test]
fn a_layer_is_told_what_a_request_calls() {
    let note = || Note { text: "milk".into() };
    for (told, expected) in [
        (Double { number: 1 }.procedure(), Double::INFO),
        (Request::<Unpin>(note()).procedure(), Unpin::INFO),
        (RawCall::of::<Pin>(&note()).unwrap().procedure(), Pin::INFO),
    ] {
        assert_eq!(told, expected);
    }
    assert_eq!(format!("{:?}", Request::<Pin>(note())), r#"Pin(Note { text: "milk" })"#);
    assert!(!RawCall::new(DESK, 1, 3, vec![]).procedure().idempotent);
    assert!(RawCall::new(DESK, 1, 3, vec![]).idempotent().procedure().idempotent);
}

#[tokio::test]
async fn what_cannot_be_sent_or_is_refused_or_does_not_decode_is_told_apart() {
    let (server, _held) = server();
    let client = client(&server);
    let long = || Request::<Pin>(Note { text: "far too long".into() });
    assert!(matches!(client.clone().oneshot(long()).await, Err(CallError::NotSent(_))));
    assert!(matches!(Typed::new(client.clone()).oneshot(long()).await, Err(CallError::NotSent(_))));
    let refused = client.clone().oneshot(RawCall::new(DESK, 1, 3, vec![0, 0, 0])).await;
    assert!(matches!(refused, Err(CallError::GarbageArgs)));
    let refused = client.clone().oneshot(RawCall::new(DESK, 1, 99, vec![])).await;
    assert!(matches!(refused, Err(CallError::ProcUnavail { procedure: 99 })));
    let wrong = Typed::new(service_fn(async |_: RawCall| Ok::<_, CallError>(Bytes::from_static(b"bogus"))));
    assert!(matches!(wrong.oneshot(Double { number: 1 }).await, Err(CallError::Reply(_))));
    assert_eq!(client.oneshot(Double { number: 1 }).await.unwrap(), 2, "the connection has survived all of it");
}

#[tokio::test]
async fn a_call_leaves_before_its_future_is_polled() {
    let (server, mut held) = server();
    let mut client = client(&server);
    let reply = tower::Service::call(&mut client, Hold { ticket: 5 });
    held.recv().await.unwrap().answer.send(6).unwrap();
    assert_eq!(reply.await.unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_a_client_drops_the_call_and_frees_its_xid() {
    let (io, mut raw) = duplex(64 * 1024);
    let mut config = ConnectionConfig::default();
    config.idle_timeout = Duration::from_secs(10);
    let client = Client::with_config(io, config).with_options(CallOptions::default().with_timeout(None));
    let begun = Instant::now();
    let error = Timeout::new(client.clone(), Duration::from_secs(60)).oneshot(Hold { ticket: 1 }).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>(), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 60);
    raw.read_exact(&mut [0; 48]).await.expect("the call was sent");
    // Only a connection without calls in flight is idle.
    let end = timeout(Duration::from_secs(60), raw.read(&mut [0])).await;
    assert_eq!(end.expect("the client closes").unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_behind_a_timeout_is_passed_over() {
    let (server, mut held) = server();
    let client = Timeout::new(client(&server), Duration::from_secs(5));
    assert!(client.clone().oneshot(Hold { ticket: 1 }).await.is_err());
    held.recv().await.unwrap().answer.send(1).unwrap();
    assert_eq!(client.oneshot(Double { number: 4 }).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_around_a_client_holds_calls_back_and_loses_none() {
    let (server, mut held) = server();
    let client = ConcurrencyLimit::new(client(&server), 2);
    let calls: Vec<_> = (0..10).map(|ticket| (ticket, tokio::spawn(client.clone().oneshot(Hold { ticket })))).collect();
    let mut waiting = vec![held.recv().await.unwrap(), held.recv().await.unwrap()];
    for _ in 2..10 {
        assert!(soon(held.recv()).await.is_none(), "two calls at a time");
        let call = waiting.remove(0);
        call.answer.send(call.ticket + 100).unwrap();
        waiting.push(held.recv().await.unwrap());
    }
    for call in waiting {
        call.answer.send(call.ticket + 100).unwrap();
    }
    for (ticket, call) in calls {
        assert_eq!(call.await.unwrap().unwrap(), ticket + 100);
    }
}

#[tokio::test]
async fn a_client_whose_connection_is_lost_is_not_ready_any_more() {
    let (server, _held) = server();
    let mut client = client(&server);
    assert!(client.close_reason().is_none());
    assert!(ServiceExt::<Double>::ready(&mut client).await.is_ok());
    server.shutdown(Duration::from_secs(5)).await;
    while client.close_reason().is_none() {
        tokio::task::yield_now().await;
    }
    let errors = [
        ServiceExt::<Double>::ready(&mut client).await.err(),
        ServiceExt::<Request<Pin>>::ready(&mut client).await.err(),
        ServiceExt::<RawCall>::ready(&mut client).await.err(),
        client.oneshot(Double { number: 1 }).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(CallError::NotConnected(ClosedError::ByPeer))), "{error:?}");
    }
}

// ---- connectors ----

/// A socket's path, which nobody listens at yet, in a folder that is removed in the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("rpc-frame-tower-{}-{name}", std::process::id())))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_connector_makes_clients_for_tcp_addresses_and_unix_paths() {
    let (program, _held) = desk();
    let server = Server::new(program);
    let path = SocketPath::new("made");
    let (tcp, unix) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), UnixListener::bind(&path.0).unwrap());
    let address = tcp.local_addr().unwrap();
    let (by_tcp, by_unix) = (server.clone(), server.clone());
    tokio::spawn(async move { by_tcp.serve(tcp).await });
    tokio::spawn(async move { by_unix.serve(unix).await });
    let client = Connector::new().oneshot(address).await.unwrap();
    assert_eq!(client.call(&Double { number: 2 }).await.unwrap(), 4);
    // The options are those of the calls.
    let none = CallOptions::default().with_timeout(Some(Duration::ZERO));
    let hasty = Connector::new().with_options(none).oneshot(path.0.clone()).await.unwrap();
    let reply = timeout(Duration::from_secs(10), hasty.call(&Hold { ticket: 1 })).await;
    assert!(matches!(reply.expect("it ends at once"), Err(CallError::DeadlineExceeded)));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_says_that_nothing_has_run() {
    let path = SocketPath::new("nobody");
    let error = Connector::new().oneshot(path.0.clone()).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(ClosedError::Io(_))) && !error.may_have_run(), "{error}");
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Connector::new().oneshot(unused).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(ClosedError::Io(_))), "{error}");
}

#[tokio::test]
async fn a_connector_that_keeps_trying_waits_for_its_server() {
    let path = SocketPath::new("later");
    let mut connecting = tokio::spawn(Connector::new().keep_trying(Duration::from_millis(1)).oneshot(path.0.clone()));
    assert!(timeout(Duration::from_millis(20), &mut connecting).await.is_err(), "nobody is there");
    let (server, _held) = server();
    let listener = UnixListener::bind(&path.0).unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    let client = connecting.await.unwrap().unwrap();
    assert_eq!(client.call(&Double { number: 2 }).await.unwrap(), 4);
}

#[tokio::test]
async fn reconnect_finds_the_server_again_when_it_has_been_away() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let connector = Connector::new().keep_trying(Duration::from_millis(1));
    let mut client: Reconnect<Connector, SocketAddr> = Reconnect::new(connector, address);
    for _ in 0..3 {
        let (server, _held) = server();
        let listener = TcpListener::bind(address).await.unwrap();
        let accepting = server.clone();
        let accepting = tokio::spawn(async move { accepting.serve(listener).await });
        let reply: Result<u32, BoxError> = async {
            let ready = ServiceExt::<Double>::ready(&mut client).await?;
            tower::Service::call(ready, Double { number: 4 }).await
        }
        .await;
        assert_eq!(reply.unwrap(), 8);
        assert!(server.shutdown(Duration::from_secs(5)).await);
        accepting.await.unwrap();
        wait_for_the_end(&mut client).await;
    }
}

/// Until the client has heard that its server is gone, and is connecting again.
async fn wait_for_the_end(client: &mut Reconnect<Connector, SocketAddr>) {
    while timeout(Duration::from_millis(5), ServiceExt::<Double>::ready(client)).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
