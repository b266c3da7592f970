//! Client and server on tokio: through memory, TCP and unix sockets, with time that stands still where it matters.
//!
//! Where nothing is left to do, paused time jumps to the next timer: so a timeout of a second says that nothing
//! more happens without waiting for it.

mod wire;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, ClosedError, Listener, Server, ServerConfig};
use rpc_frame::xdr::Xdr;
use rpc_frame::{ConnectionConfig, ConnectionError, Context, Peer, ProcedureTable, Program, RecordNotWritten, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use wire::{Call, fragment, hex, record, success, words};

// ---- a service whose handlers wait for the test ----

const DESK: u32 = 0x2000_0044;

/// Waits until the test answers.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 1, reply = u32)]
struct Hold {
    ticket: u32,
}

/// Replies at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 2, reply = u32)]
struct Double {
    number: u32,
}

/// Replies with that many bytes at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 3, reply = Filled)]
struct Fill {
    count: u32,
}

#[derive(Debug, Clone, Xdr)]
struct Filled {
    #[xdr(max = 0x40_0000)]
    bytes: Vec<u8>,
}

/// Panics, at once or after it has waited.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 4)]
struct Panic {
    late: bool,
}

/// Who the peer is.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 5, reply = Named)]
struct Whoami;

#[derive(Debug, Clone, Xdr)]
struct Named {
    #[xdr(max = 255)]
    name: String,
}

/// As `Double`, but the server does not have it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 99, reply = u32)]
struct Unknown;

#[derive(ProcedureTable)]
#[rpc(program = DESK, version = 1, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Desk {
    Hold(Hold),
    Double(Double),
    Fill(Fill),
    Panic(Panic),
    Whoami(Whoami),
}

/// A call that waits for its answer.
struct Held {
    ticket: u32,
    answer: oneshot::Sender<u32>,
}

struct Clerk {
    held: mpsc::UnboundedSender<Held>,
}

impl DeskService for Clerk {
    async fn hold(&self, _: &Context, args: Hold) -> u32 {
        let (answer, answered) = oneshot::channel();
        self.held.send(Held { ticket: args.ticket, answer }).expect("the test listens");
        answered.await.unwrap_or(0)
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        args.number.wrapping_mul(2)
    }

    async fn fill(&self, _: &Context, args: Fill) -> Filled {
        Filled { bytes: vec![7; args.count as usize] }
    }

    async fn panic(&self, _: &Context, args: Panic) {
        if args.late {
            tokio::task::yield_now().await;
        }
        panic!("as the test wants it")
    }

    async fn whoami(&self, cx: &Context, _: Whoami) -> Named {
        Named { name: cx.peer().to_string() }
    }
}

/// A program, and the calls that its handlers hold.
fn desk() -> (Program<Desk, Clerk>, mpsc::UnboundedReceiver<Held>) {
    let (held, calls) = mpsc::unbounded_channel();
    (program::<Desk, _>(Clerk { held }), calls)
}

fn server() -> (Server<Program<Desk, Clerk>>, mpsc::UnboundedReceiver<Held>) {
    server_with(|_| {})
}

fn server_with(
    change: impl FnOnce(&mut ServerConfig),
) -> (Server<Program<Desk, Clerk>>, mpsc::UnboundedReceiver<Held>) {
    let (program, calls) = desk();
    let mut config = ServerConfig::default();
    change(&mut config);
    (Server::builder(program).config(config).build(), calls)
}

/// A client that waits for its replies as long as it takes, but not for ever: a test fails then, and does not hang.
fn patient(client: Client) -> Client {
    client.with_options(CallOptions::default().with_timeout(Some(Duration::from_secs(7 * 24 * 3600))))
}

fn hold(client: &Client, ticket: u32) -> JoinHandle<Result<u32, CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(&Hold { ticket }).await })
}

/// What a future gives, if it gives it without anything else happening.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    timeout(Duration::from_secs(1), future).await.ok()
}

/// The next reply's record on a raw connection.
async fn read_record(io: &mut DuplexStream) -> io::Result<Vec<u8>> {
    let mark = io.read_u32().await?;
    assert_ne!(mark & 0x8000_0000, 0, "a reply is sent in one fragment");
    let mut body = vec![0; (mark & 0x7fff_ffff) as usize];
    io.read_exact(&mut body).await?;
    Ok(record(&body))
}

fn double(xid: u32, number: u32) -> Vec<u8> {
    Call::new(xid, DESK, 1, 2).args(words(&[number])).record()
}

fn fill(xid: u32, count: u32) -> Vec<u8> {
    Call::new(xid, DESK, 1, 3).args(words(&[count])).record()
}

/// A path for a socket, which is removed in the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("rpc-frame-{}-{name}", std::process::id())))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Connections out of a channel.
struct Doors(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Doors {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(io) => Ok((io, Peer::Unknown)),
            None => std::future::pending().await,
        }
    }
}

// ---- calls ----

/// Sixty calls, all of them in flight on the server before the first is answered, answered from the last to
/// the first; each finds its reply.
async fn replies_out_of_order_find_their_calls(client: Client, mut held: mpsc::UnboundedReceiver<Held>) {
    let calls: Vec<_> = (0..60).map(|ticket| hold(&client, ticket)).collect();
    let mut waiting = HashMap::new();
    while waiting.len() < calls.len() {
        let call = held.recv().await.expect("a call");
        waiting.insert(call.ticket, call.answer);
    }
    // Between them, calls that do not wait.
    assert_eq!(client.call(&Double { number: 21 }).await.unwrap(), 42);
    for (ticket, call) in (0..60).zip(calls).rev() {
        waiting.remove(&ticket).expect("a call a ticket").send(ticket * 3).expect("the handler waits");
        assert_eq!(call.await.unwrap().unwrap(), ticket * 3);
    }
}

#[tokio::test]
async fn many_calls_are_in_flight_through_memory_and_replies_come_in_any_order() {
    let (server, held) = server();
    replies_out_of_order_find_their_calls(Client::new(server.connect_in_memory()), held).await;
}

#[tokio::test]
async fn many_calls_are_in_flight_by_tcp_and_replies_come_in_any_order() {
    let (server, held) = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    let client = Client::connect_tcp(address).await.unwrap();
    assert!(client.call(&Whoami).await.unwrap().name.starts_with("127.0.0.1:"));
    replies_out_of_order_find_their_calls(client, held).await;
}

#[tokio::test]
async fn many_calls_are_in_flight_by_unix_socket_and_replies_come_in_any_order() {
    let (server, held) = server();
    let path = SocketPath::new("many");
    let listener = UnixListener::bind(&path.0).unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    let client = Client::connect_unix(&path.0).await.unwrap();
    let name = client.call(&Whoami).await.unwrap().name;
    assert!(name.starts_with("uid ") && name.contains(&format!("pid {}", std::process::id())), "{name}");
    replies_out_of_order_find_their_calls(client, held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_from_many_tasks_each_get_their_own_reply() {
    let (server, _held) = server();
    let client = Client::new(server.connect_in_memory());
    let tasks: Vec<_> = (0..100_u32)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in task * 100..task * 100 + 100 {
                    assert_eq!(client.call(&Double { number }).await.unwrap(), number * 2);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_apart_by_the_client() {
    let (server, _held) = server();
    let client = Client::new(server.connect_in_memory());
    assert!(client.null(DESK, 1).await.is_ok());
    for error in [
        client.call(&Unknown).await.unwrap_err(),
        client.null(DESK, 2).await.unwrap_err(),
        client.null(DESK + 1, 1).await.unwrap_err(),
    ] {
        assert!(!error.may_have_run());
        match error {
            CallError::ProcUnavail { procedure: 99 } | CallError::ProgMismatch { low: 1, high: 1 } => {}
            CallError::ProgUnavail { program } if program == DESK + 1 => {}
            error => panic!("{error}"),
        }
    }
    assert_eq!(client.call(&Double { number: 1 }).await.unwrap(), 2);
}

#[tokio::test]
async fn a_handler_that_panics_is_a_system_error_and_the_connection_lives() {
    let (server, mut held) = server();
    let client = Client::new(server.connect_in_memory());
    let waiting = hold(&client, 5);
    let call = held.recv().await.unwrap();
    for late in [false, true, true, false] {
        let error = client.call(&Panic { late }).await.unwrap_err();
        assert!(matches!(error, CallError::SystemErr) && error.may_have_run(), "{error}");
        assert_eq!(client.call(&Double { number: 1 }).await.unwrap(), 2);
    }
    call.answer.send(6).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 6, "the calls beside it live as well");
}

#[tokio::test(start_paused = true)]
async fn the_65th_call_waits_until_one_is_answered() {
    let (server, mut held) = server();
    let client = patient(Client::new(server.connect_in_memory()));
    let calls: Vec<_> = (0..100).map(|ticket| hold(&client, ticket)).collect();
    let mut waiting = Vec::new();
    while let Some(Some(call)) = soon(held.recv()).await {
        waiting.push(call);
    }
    assert_eq!(waiting.len(), 64);
    for more in 65..=100 {
        let call = waiting.remove(0);
        call.answer.send(call.ticket).unwrap();
        waiting.push(soon(held.recv()).await.expect("room for one more").unwrap());
        assert!(soon(held.recv()).await.is_none(), "room for {more} calls, and none more");
    }
    for call in waiting {
        call.answer.send(call.ticket).unwrap();
    }
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_future_is_dropped_is_given_up_and_the_connection_goes_on() {
    let (server, mut held) = server();
    let client = patient(Client::new(server.connect_in_memory()));
    let mut late = Vec::new();
    for ticket in 0..200 {
        let args = Hold { ticket };
        let mut call = Box::pin(client.call(&args));
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        if ticket % 2 == 0 {
            drop(call);
            late.push(held.recv().await.unwrap());
        } else {
            late.push(held.recv().await.unwrap());
            drop(call);
        }
        // The replies come when nobody waits for them any more.
        let call = late.remove(0);
        call.answer.send(ticket).unwrap();
    }
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_future_is_dropped_is_no_longer_in_flight() {
    let (io, mut raw) = duplex(64 * 1024);
    let mut config = ConnectionConfig::default();
    config.idle_timeout = Duration::from_secs(10);
    let client = Client::with_config(io, config).with_options(CallOptions::default().with_timeout(None));
    // Only a connection without calls in flight is idle.
    assert!(timeout(Duration::from_secs(60), client.call(&Hold { ticket: 1 })).await.is_err());
    read_record(&mut raw).await.unwrap();
    let end = timeout(Duration::from_secs(60), raw.read(&mut [0])).await;
    assert_eq!(end.expect("the client closes").unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_a_late_reply_is_passed_over() {
    let (server, mut held) = server();
    let client = Client::new(server.connect_in_memory());
    let begun = Instant::now();
    let five = client.clone().with_options(CallOptions::default().with_timeout(Some(Duration::from_secs(5))));
    let error = five.call(&Hold { ticket: 1 }).await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded) && error.may_have_run());
    assert_eq!(begun.elapsed().as_secs(), 5);
    let error = client.call(&Hold { ticket: 2 }).await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded));
    assert_eq!(begun.elapsed().as_secs(), 65, "a minute, where nobody says otherwise");
    for ticket in [1, 2] {
        held.recv().await.unwrap().answer.send(ticket).unwrap();
    }
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_lies_in_the_past_or_beyond_all_time_is_kept() {
    let (server, mut held) = server();
    let client = Client::new(server.connect_in_memory());
    let none = client.clone().with_options(CallOptions::default().with_timeout(Some(Duration::ZERO)));
    assert!(matches!(none.call(&Hold { ticket: 1 }).await, Err(CallError::DeadlineExceeded)));
    drop(held.recv().await);
    let ever = client.with_options(CallOptions::default().with_timeout(Some(Duration::MAX)));
    assert_eq!(ever.call(&Double { number: 1 }).await.unwrap(), 2);
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_not_sent_and_the_connection_goes_on() {
    let (server, _held) = server();
    let mut config = ConnectionConfig::default();
    config.max_record = 40;
    let client = Client::with_config(server.connect_in_memory(), config);
    let error = client.call(&Double { number: 1 }).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooLong { len: 44, max: 40 })), "{error}");
    assert!(!error.may_have_run());
    assert!(client.null(DESK, 1).await.is_ok());
}

// ---- what a server does to a client ----

#[tokio::test(start_paused = true)]
async fn a_lost_connection_fails_every_pending_call_at_once() {
    let (io, mut raw) = duplex(64 * 1024);
    let client = patient(Client::new(io));
    let calls: Vec<_> = (0..50).map(|ticket| hold(&client, ticket)).collect();
    for _ in 0..50 {
        read_record(&mut raw).await.unwrap();
    }
    drop(raw);
    let begun = Instant::now();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)), "{error}");
        assert!(error.may_have_run());
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_on_a_connection_that_was_lost_before_has_certainly_not_run() {
    let (io, raw) = duplex(64 * 1024);
    let client = Client::new(io);
    drop(raw);
    assert!(client.null(DESK, 1).await.is_err());
    let error = client.call(&Double { number: 1 }).await.unwrap_err();
    assert!(!error.may_have_run(), "not a byte of it was sent: {error}");
}

#[tokio::test(start_paused = true)]
async fn half_a_reply_and_then_the_end_fails_the_call() {
    for len in [1, 4, 5, 27] {
        let (io, mut raw) = duplex(64 * 1024);
        let client = patient(Client::new(io));
        let call = hold(&client, 1);
        let sent = read_record(&mut raw).await.unwrap();
        let xid = u32::from_be_bytes(sent[4..8].try_into().unwrap());
        raw.write_all(&success(xid, &words(&[1]))[..len]).await.unwrap();
        drop(raw);
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Closed(ClosedError::Protocol(ConnectionError::UnexpectedEof))), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_a_client_cannot_accept_close_the_connection_or_fail_their_call() {
    for (stream, closes) in [
        (success(0x0bad_0bad, &[]), true),
        (record(&[0; 7]), true),
        (record(&words(&[1, 2])), true),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true),
        (words(&[0xffff_ffff]), true),
        (vec![fragment(b""); 65].concat(), true),
    ] {
        let (io, mut raw) = duplex(64 * 1024);
        let client = patient(Client::new(io));
        let call = hold(&client, 1);
        read_record(&mut raw).await.unwrap();
        raw.write_all(&stream).await.unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(matches!(error, CallError::Closed(ClosedError::Protocol(_))), closes, "{error}");
        assert_eq!(raw.read(&mut [0]).await.unwrap(), 0, "the client has closed");
    }
    // Results that are too long, too short, or no reply at all: the call's own fault, and the connection goes on.
    for results in [words(&[1, 2]), vec![], vec![0, 0, 0]] {
        let (io, mut raw) = duplex(64 * 1024);
        let client = patient(Client::new(io));
        for _ in 0..2 {
            let call = hold(&client, 1);
            let sent = read_record(&mut raw).await.unwrap();
            let xid = u32::from_be_bytes(sent[4..8].try_into().unwrap());
            raw.write_all(&success(xid, &results)).await.unwrap();
            let error = call.await.unwrap().unwrap_err();
            assert!(matches!(error, CallError::Reply(_)) && error.may_have_run(), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn prog_mismatch_of_any_range_is_one_error_and_not_a_search() {
    for (low, high) in [(5, 2), (0, u32::MAX), (1, 1)] {
        let (io, mut raw) = duplex(64 * 1024);
        let client = patient(Client::new(io));
        let call = hold(&client, 1);
        let sent = read_record(&mut raw).await.unwrap();
        let xid = u32::from_be_bytes(sent[4..8].try_into().unwrap());
        raw.write_all(&record(&words(&[xid, 1, 0, 0, 0, 2, low, high]))).await.unwrap();
        match call.await.unwrap() {
            Err(CallError::ProgMismatch { low: l, high: h }) => assert_eq!((l, h), (low, high)),
            other => panic!("{other:?}"),
        }
        assert!(soon(raw.read_u8()).await.is_none(), "it calls no further");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_where_a_reply_belongs_is_answered_prog_unavail() {
    let (io, mut raw) = duplex(64 * 1024);
    let client = patient(Client::new(io));
    let call = hold(&client, 1);
    let sent = read_record(&mut raw).await.unwrap();
    let xid = u32::from_be_bytes(sent[4..8].try_into().unwrap());
    raw.write_all(&double(xid, 1)).await.unwrap();
    let refused = record(&words(&[xid, 1, 0, 0, 0, 1]));
    assert_eq!(hex(&read_record(&mut raw).await.unwrap()), hex(&refused));
    raw.write_all(&success(xid, &words(&[9]))).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 9);
}

/// Calls from the server until the client takes no more, or has taken 16 MiB.
async fn flood(raw: &mut DuplexStream) -> usize {
    let call = double(1, 1);
    let mut taken = 0;
    while taken < 16 * 1024 * 1024 && matches!(soon(raw.write_all(&call)).await, Some(Ok(()))) {
        taken += call.len();
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_and_does_not_read_cannot_fill_the_memory_of_an_idle_client() {
    let (io, mut raw) = duplex(64 * 1024);
    let _client = Client::new(io);
    let taken = flood(&mut raw).await;
    assert!(taken < 8 * 1024 * 1024, "the client has taken {taken} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_and_does_not_read_cannot_fill_the_memory_of_a_client_that_waits() {
    let (io, mut raw) = duplex(64 * 1024);
    let client = patient(Client::new(io));
    let _call = hold(&client, 1);
    let taken = flood(&mut raw).await;
    assert!(taken < 8 * 1024 * 1024, "the client has taken {taken} bytes");
}

#[tokio::test]
async fn the_last_clone_of_a_client_closes_the_connection() {
    let (io, mut raw) = duplex(64 * 1024);
    let client = Client::new(io);
    let other = client.clone();
    drop(client);
    let call = tokio::spawn(async move { other.null(DESK, 1).await });
    let sent = read_record(&mut raw).await.unwrap();
    raw.write_all(&success(u32::from_be_bytes(sent[4..8].try_into().unwrap()), &[])).await.unwrap();
    call.await.unwrap().unwrap();
    assert_eq!(raw.read(&mut [0]).await.unwrap(), 0, "the end");
}

#[test]
fn calls_fail_when_the_runtime_that_drives_their_connection_ends() {
    let driving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let calling = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, mut raw) = driving.block_on(async {
        let (io, raw) = duplex(64 * 1024);
        (patient(Client::new(io)), raw)
    });
    calling.block_on(async {
        let call = hold(&client, 1);
        read_record(&mut raw).await.unwrap();
        driving.shutdown_background();
        // The runtime drops the connection before or after it says so to us.
        assert_eq!(raw.read(&mut [0]).await.unwrap(), 0);
        let ended = timeout(Duration::from_secs(10), call).await;
        let error = ended.expect("the call ends").unwrap().unwrap_err();
        assert!(matches!(error, CallError::Closed(ClosedError::ByUs)), "{error}");
    });
}

// ---- what a client does to a server ----

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_still_gets_its_replies() {
    let (server, mut held) = server();
    let mut raw = server.connect_in_memory();
    let waiting = Call::new(1, DESK, 1, 1).args(words(&[1])).record();
    raw.write_all(&[waiting, double(2, 2)].concat()).await.unwrap();
    raw.shutdown().await.unwrap();
    assert_eq!(hex(&read_record(&mut raw).await.unwrap()), hex(&success(2, &words(&[4]))));
    assert!(soon(raw.read_u8()).await.is_none(), "open until the last reply");
    held.recv().await.unwrap().answer.send(7).unwrap();
    assert_eq!(hex(&read_record(&mut raw).await.unwrap()), hex(&success(1, &words(&[7]))));
    assert_eq!(raw.read(&mut [0]).await.unwrap(), 0, "closed behind it");
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_gets_more_replies_than_may_wait_unsent_as_well() {
    let (server, _held) = server_with(|config| config.connection.max_unsent = 1000);
    let mut raw = server.connect_in_memory();
    let calls: Vec<u8> = (1..=10).flat_map(|xid| fill(xid, 2000)).collect();
    raw.write_all(&calls).await.unwrap();
    raw.shutdown().await.unwrap();
    for xid in 1..=10 {
        let reply = read_record(&mut raw).await.unwrap_or_else(|error| panic!("no reply to call {xid}: {error}"));
        assert_eq!(hex(&reply[4..8]), format!("{xid:08x}"));
    }
    assert_eq!(raw.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_may_be_in_flight_are_all_answered_on_a_half_closed_connection() {
    let (server, mut held) = server();
    let mut raw = server.connect_in_memory();
    let calls: Vec<u8> = (0..200).flat_map(|xid| Call::new(xid, DESK, 1, 1).args(words(&[xid])).record()).collect();
    raw.write_all(&calls).await.unwrap();
    raw.shutdown().await.unwrap();
    for _ in 0..200 {
        let call = held.recv().await.unwrap();
        call.answer.send(call.ticket).unwrap();
    }
    let mut replies = Vec::new();
    for _ in 0..200 {
        replies.push(read_record(&mut raw).await.unwrap());
    }
    replies.sort();
    assert_eq!(replies, (0..200).map(|xid| success(xid, &words(&[xid]))).collect::<Vec<_>>());
    assert_eq!(raw.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn survives_garbage_on_one_connection_while_the_others_go_on() {
    let (server, mut held) = server();
    let client = patient(Client::new(server.connect_in_memory()));
    let waiting = hold(&client, 1);
    let call = held.recv().await.unwrap();
    let mut over = words(&[0x8010_0001]);
    over.resize(4 + 0x10_0001, 0);
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        vec![0xff; 1000],
        vec![0; 1000],
        record(&[0; 7]),
        record(&words(&[1, 2])),
        success(1, &[]),
        over,
        words(&[0x8010_0001]),
        [fragment(&[0; 1000]), words(&[0xffff_ffff])].concat(),
    ] {
        let mut raw = server.connect_in_memory();
        // The server may close before it has read all of it.
        let _ = raw.write_all(&garbage).await;
        assert_eq!(raw.read(&mut [0]).await.unwrap_or(0), 0, "closed without a reply: {}", hex(&garbage[..4]));
        assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    }
    call.answer.send(7).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_mebibyte_is_taken_and_one_byte_more_is_not() {
    let (server, _held) = server();
    let mut raw = server.connect_in_memory();
    let mut call = Call::new(1, DESK, 1, 2).args(words(&[2]));
    call.args.resize(1024 * 1024 - 40, 0);
    raw.write_all(&call.record()).await.unwrap();
    let garbage_args = record(&words(&[1, 1, 0, 0, 0, 4]));
    assert_eq!(hex(&read_record(&mut raw).await.unwrap()), hex(&garbage_args));
    call.args.push(0);
    let _ = raw.write_all(&call.record()).await;
    assert_eq!(raw.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_after_thirty_seconds_and_cannot_fill_the_memory_before() {
    let (server, _held) = server();
    let (mut raw, io) = duplex(64 * 1024);
    server.serve_connection(io, Peer::Unknown).unwrap();
    let begun = Instant::now();
    let (call, mut taken) = (fill(1, 500_000), 0_usize);
    while raw.write_all(&call).await.is_ok() {
        taken += 1;
    }
    // As many as fit the server's buffer and the channel's, not as many as time allows.
    assert!(taken < 5_000, "{taken} calls");
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_or_a_header_and_then_silence_is_given_up_after_ten_seconds() {
    for pace in [Duration::from_secs(1), Duration::from_secs(3600)] {
        let (server, _held) = server();
        let mut raw = server.connect_in_memory();
        let begun = Instant::now();
        for byte in fill(1, 1) {
            if raw.write_all(&[byte]).await.is_err() || timeout(pace, raw.read_u8()).await.is_ok() {
                break;
            }
        }
        assert_eq!(begun.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_five_minutes_and_one_with_a_call_in_flight_is_not() {
    let (server, mut held) = server_with(|config| config.time_limit = None);
    let begun = Instant::now();
    let (mut idle, busy) = (server.connect_in_memory(), patient(Client::new(server.connect_in_memory())));
    let waiting = hold(&busy, 1);
    let call = held.recv().await.unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(begun.elapsed().as_secs(), 300);
    assert!(timeout(Duration::from_secs(24 * 3600), std::future::pending::<()>()).await.is_err());
    call.answer.send(3).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 3, "a day later");
}

// ---- caps and the end ----

#[tokio::test(start_paused = true)]
async fn a_connection_over_the_cap_waits_until_one_closes() {
    let (server, _held) = server_with(|config| config.max_connections = 2);
    let (doors, listener) = mpsc::unbounded_channel();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(Doors(listener)).await });
    let connect = || {
        let (near, far) = duplex(64 * 1024);
        doors.send(far).unwrap();
        patient(Client::new(near))
    };
    let (first, second, third, fourth) = (connect(), connect(), connect(), connect());
    assert!(soon(first.null(DESK, 1)).await.expect("served").is_ok());
    assert!(soon(second.null(DESK, 1)).await.expect("served").is_ok());
    let waits = third.clone();
    let waiting = tokio::spawn(async move { waits.null(DESK, 1).await });
    assert!(soon(third.null(DESK, 1)).await.is_none(), "not served yet");
    assert!(soon(fourth.null(DESK, 1)).await.is_none());
    drop(first);
    assert!(soon(waiting).await.expect("served now").unwrap().is_ok());
    assert!(soon(fourth.null(DESK, 1)).await.is_none(), "one went, one came");
    drop(second);
    assert!(soon(fourth.null(DESK, 1)).await.expect("served now").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_counts_the_connections_that_are_open_and_no_others() {
    let (server, _held) = server_with(|config| config.max_connections = 2);
    let (doors, listener) = mpsc::unbounded_channel();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(Doors(listener)).await });
    tokio::task::yield_now().await;
    assert_eq!(server.connections(), 0, "a listener is no connection");
    let (near, far) = duplex(64 * 1024);
    doors.send(far).unwrap();
    let first = Client::new(near);
    first.null(DESK, 1).await.unwrap();
    assert_eq!(server.connections(), 1);
    let (near, far) = duplex(64 * 1024);
    assert!(server.serve_connection(far, Peer::Unknown).is_ok(), "there is room for two");
    let second = Client::new(near);
    second.null(DESK, 1).await.unwrap();
    assert_eq!(server.connections(), 2);
    let (_near, far) = duplex(64 * 1024);
    assert!(server.serve_connection(far, Peer::Unknown).is_err(), "and no more");
    first.null(DESK, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_listener_of_a_server_is_served_up_to_the_cap() {
    let (server, _held) = server_with(|config| config.max_connections = 1);
    let mut doors = Vec::new();
    for _ in 0..2 {
        let (door, listener) = mpsc::unbounded_channel();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(Doors(listener)).await });
        tokio::task::yield_now().await;
        doors.push(door);
    }
    for door in doors.iter().rev() {
        let (near, far) = duplex(64 * 1024);
        door.send(far).unwrap();
        let client = patient(Client::new(near));
        assert!(soon(client.null(DESK, 1)).await.expect("served, as no other connection is open").is_ok());
    }
}

#[tokio::test]
async fn shutdown_stops_accepting_and_delivers_the_replies_of_calls_in_flight() {
    let (server, mut held) = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.clone();
    let accepting = tokio::spawn(async move { serving.serve(listener).await });
    let client = Client::connect_tcp(address).await.unwrap();
    let calls: Vec<_> = (0..10).map(|ticket| hold(&client, ticket)).collect();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(held.recv().await.unwrap());
    }
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    accepting.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    for call in waiting {
        assert!(!ended.is_finished());
        call.answer.send(call.ticket + 1).unwrap();
    }
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket + 1);
    }
    assert!(ended.await.unwrap(), "nothing was cut off");
    assert!(client.null(DESK, 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn shutdown_takes_up_no_more_calls() {
    let (server, mut held) = server();
    let (near, far) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let client = patient(Client::new(near));
    let first = hold(&client, 1);
    let call = held.recv().await.unwrap();
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    assert!(soon(std::future::pending::<()>()).await.is_none());
    let second = hold(&client, 2);
    assert!(soon(held.recv()).await.is_none(), "the second call does not reach its handler");
    call.answer.send(5).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 5);
    assert!(matches!(second.await.unwrap(), Err(CallError::Closed(_))));
    assert!(ended.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn shutdown_takes_up_no_call_that_has_waited_for_room() {
    let (server, mut held) = server_with(|config| config.connection.max_calls_in_flight = 1);
    let (near, far) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let client = patient(Client::new(near));
    let (first, second) = (hold(&client, 1), hold(&client, 2));
    let call = held.recv().await.unwrap();
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    assert!(soon(std::future::pending::<()>()).await.is_none());
    call.answer.send(5).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 5);
    assert!(matches!(second.await.unwrap(), Err(CallError::Closed(_))));
    assert!(held.try_recv().is_err());
    assert!(ended.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_off_what_is_left_after_its_grace() {
    let (server, mut held) = server();
    let (near, far) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let client = patient(Client::new(near));
    let call = hold(&client, 1);
    let _never = held.recv().await.unwrap();
    let begun = Instant::now();
    assert!(!server.shutdown(Duration::from_secs(20)).await, "something was cut off");
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert!(matches!(call.await.unwrap(), Err(CallError::Closed(ClosedError::ByPeer))));
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_calls_of_connections_through_memory_too() {
    let (server, mut held) = server();
    let client = patient(Client::new(server.connect_in_memory()));
    let call = hold(&client, 1);
    let waiting = held.recv().await.unwrap();
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    assert!(soon(std::future::pending::<()>()).await.is_none());
    let _ = waiting.answer.send(5);
    assert_eq!(call.await.unwrap().unwrap(), 5);
    assert!(ended.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn shutdown_in_the_middle_of_a_record_still_delivers_the_replies_of_calls_in_flight() {
    let (server, mut held) = server();
    let (mut raw, far) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let waiting = Call::new(1, DESK, 1, 1).args(words(&[1])).record();
    raw.write_all(&[&waiting[..], &double(2, 2)[..10]].concat()).await.unwrap();
    let call = held.recv().await.unwrap();
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    // Longer than a record may take, of which no more is read now.
    assert!(timeout(Duration::from_secs(60), std::future::pending::<()>()).await.is_err());
    let _ = call.answer.send(5);
    let reply = read_record(&mut raw).await.expect("the reply");
    assert_eq!(hex(&reply), hex(&success(1, &words(&[5]))));
    assert!(ended.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn shutdown_delivers_replies_that_the_peer_reads_slowly() {
    let (server, _held) = server();
    let (mut raw, far) = duplex(1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    raw.write_all(&fill(1, 100_000)).await.unwrap();
    let begun = raw.read_u32().await.unwrap();
    let ending = server.clone();
    let ended = tokio::spawn(async move { ending.shutdown(Duration::from_secs(600)).await });
    let mut rest = Vec::new();
    raw.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), (begun & 0x7fff_ffff) as usize);
    assert!(ended.await.unwrap());
}

#[tokio::test]
async fn a_server_without_a_limit_on_connections_can_be_made() {
    let (server, _held) = server_with(|config| config.max_connections = usize::MAX);
    assert!(Client::new(server.connect_in_memory()).null(DESK, 1).await.is_ok());
    assert!(server.shutdown(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn two_ends_of_a_unix_socket_pair_are_a_connection() {
    let (server, _held) = server();
    let (near, far) = UnixStream::pair().unwrap();
    server.serve_connection(far, Peer::Unknown).unwrap();
    let client = Client::new(near);
    let filled = client.call(&Fill { count: 1_000_000 }).await.unwrap();
    assert_eq!(filled.bytes, vec![7; 1_000_000]);
    assert!(matches!(client.call(&Fill { count: 1024 * 1024 }).await, Err(CallError::SystemErr)));
}

// ---- one peer among others ----

#[tokio::test]
async fn a_peer_that_sends_calls_without_end_leaves_others_their_turn() {
    const CALLS: u32 = 10_000;
    let (desk, _held) = desk();
    let server = Server::new(desk);
    let (mut flood, end) = duplex(1024 * 1024);
    for xid in 0..CALLS {
        flood.write_all(&Call::new(xid, DESK, 1, 2).args(words(&[xid])).record()).await.unwrap();
    }
    server.serve_connection(end, Peer::Unknown).unwrap();
    let client = Client::new(server.connect_in_memory());
    // In a task of its own: the runtime looks after the test itself only now and then.
    let others = tokio::spawn(async move {
        client.call(&Double { number: 1 }).await.unwrap();
        // What has been answered to the flood by now has been sent: a reply takes 32 bytes.
        let mut answered = vec![0; 32 * CALLS as usize];
        flood.read(&mut answered).await.unwrap() / 32
    });
    let answered = others.await.unwrap();
    assert!(answered < CALLS as usize / 8, "{answered} calls of the flood were answered first");
}

/// Answers when somebody else on the same thread has had a turn.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 0x2000_0045, version = 1, proc = 1, reply = bool)]
struct Spin;

#[derive(ProcedureTable)]
#[rpc(program = 0x2000_0045, version = 1, service = SpinService)]
enum Spins {
    Spin(Spin),
}

struct Restless(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl SpinService for Restless {
    async fn spin(&self, _: &Context, _: Spin) -> bool {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if self.0.load(std::sync::atomic::Ordering::Acquire) { Poll::Ready(true) } else { Poll::Pending }
        })
        .await
    }
}

#[test]
fn a_handler_that_wakes_itself_without_end_leaves_others_their_turn() {
    // On a thread of its own: where the others get no turn, no timeout of the runtime's comes either.
    let (done, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let server = Server::new(program::<Spins, _>(Restless(flag.clone())));
            let client = Client::new(server.connect_in_memory());
            let spinning = tokio::spawn(async move { client.call(&Spin).await.unwrap() });
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            flag.store(true, std::sync::atomic::Ordering::Release);
            done.send(spinning.await.unwrap()).unwrap();
        });
    });
    assert_eq!(answered.recv_timeout(Duration::from_secs(20)), Ok(true));
}

// ---- calls that are answered where they lie ----

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_room_are_answered_as_soon_as_a_write_makes_it() {
    let (server, _held) = server_with(|config| config.connection.max_unsent = 0);
    let mut io = server.connect_in_memory();
    let calls: Vec<u8> = (0..5).flat_map(|xid| double(xid, xid)).collect();
    io.write_all(&calls).await.unwrap();
    for xid in 0..5 {
        let reply = soon(read_record(&mut io)).await.expect("nothing else has to happen").unwrap();
        assert_eq!(hex(&reply), hex(&success(xid, &words(&[2 * xid]))));
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_a_whole_call_where_the_last_fragment_of_another_belongs() {
    let (server, _held) = server();
    let mut io = server.connect_in_memory();
    let inner = Call::new(8, DESK, 1, 0).message();
    io.write_all(&fragment(&Call::new(7, DESK, 1, 2).message())).await.unwrap();
    assert!(soon(read_record(&mut io)).await.is_none(), "the first fragment has been taken");
    io.write_all(&record(&inner)).await.unwrap();
    let reply = soon(read_record(&mut io)).await.expect("an answer").unwrap();
    assert_eq!(hex(&reply), hex(&record(&words(&[7, 1, 0, 0, 0, 4]))), "GARBAGE_ARGS to the call that it is");
    assert!(soon(read_record(&mut io)).await.is_none(), "and nothing to the other");
}
