//! The server is killed: every call of the client ends, and tells whether it may have run.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_frame::tokio::{
    CallError, CallOptions, Client, ClosedError, ReconnectPolicy, ReconnectingClient, Server, ServerConfig,
};
use rpc_frame::{ConnectionConfig, Peer, Program, program};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::desk::{Away, CallBack, Double, Fill, Hold, HoldAgain, Home, Note};
use crate::process::Process;
use crate::{until, watched};

/// A record mark, ten words of header, and one of arguments.
const HOLD: usize = 4 + 40 + 4;

/// The length of a message without reply.
const NOTE: usize = 60_000;

/// Longer than what the buffers of two sockets hold.
const LONG: usize = 32 * 1024 * 1024;

/// A stream that tells how much the kernel has taken.
struct Counted {
    io: TcpStream,
    sent: Arc<AtomicUsize>,
    /// Whether it took nothing the last time.
    full: Arc<AtomicBool>,
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.full.store(written.is_pending(), Ordering::SeqCst);
        if let Poll::Ready(Ok(len)) = written {
            self.sent.fetch_add(len, Ordering::SeqCst);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

/// The surviving side.
struct Survivor {
    client: Client,
    /// Where the connection is served as well.
    server: Option<Server<Program<Home, Away>>>,
    sent: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
}

impl Survivor {
    /// A client that only calls, or one that is called as well.
    async fn connect(port: u16, both_ways: bool) -> Self {
        let io = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        let sent = Arc::<AtomicUsize>::default();
        let full = Arc::<AtomicBool>::default();
        let io = Counted { io, sent: Arc::clone(&sent), full: Arc::clone(&full) };
        let mut config = ServerConfig::default();
        config.connection = ConnectionConfig::default();
        config.connection.max_record = 2 * LONG;
        let (client, server) = if both_ways {
            let server = Server::builder(program::<Home, _>(Away(mpsc::unbounded_channel().0))).config(config).build();
            (server.serve_and_call(io, Peer::Unknown), Some(server))
        } else {
            (Client::with_config(io, config.connection), None)
        };
        let client = client.with_options(CallOptions::default().with_timeout(None));
        Self { client, server, sent, full }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    fn hold(&self) -> JoinHandle<Result<u32, CallError>> {
        let client = self.client.clone();
        tokio::spawn(async move { client.call(&Hold { ticket: 7 }).await })
    }

    /// The client's end is as if there had never been a connection.
    async fn ends_well(self) {
        watched("a lost connection", self.client.closed()).await;
        let error = watched("a call on a lost connection", self.client.call(&Double { number: 1 })).await.unwrap_err();
        assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
        drop(self.client);
        if let Some(server) = self.server {
            until("a served connection", || server.connections() == 0).await;
            assert_eq!(server.counters().calls.in_flight(), 0);
        }
        until("a task", || Handle::current().metrics().num_alive_tasks() == 0).await;
    }
}

/// Kills a server in this role, at this place, while three calls have been sent. They may have run.
async fn calls_that_were_sent_end(role: &str, place: Option<&str>) {
    for both_ways in [false, true] {
        let mut process = Process::start(role);
        let survivor = Survivor::connect(process.port().await, both_ways).await;
        let calls = [survivor.hold(), survivor.hold(), survivor.hold()];
        until("sending", || survivor.sent() == 3 * HOLD).await;
        if let Some(place) = place {
            process.at(place).await;
        }
        process.kill().await;
        for call in calls {
            let error = watched("a call", call).await.unwrap().unwrap_err();
            assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{role}: {error}");
        }
        survivor.ends_well().await;
    }
}

#[tokio::test]
async fn a_server_is_killed_before_it_accepts() {
    calls_that_were_sent_end("deaf", None).await;
}

#[tokio::test]
async fn a_server_is_killed_before_it_has_read_a_byte_or_within_a_call() {
    for count in [0, 2, 4, 24, 44, HOLD - 1, HOLD, HOLD + 2] {
        calls_that_were_sent_end(&format!("reads {count}"), Some("has read")).await;
    }
}

#[tokio::test]
async fn a_server_is_killed_within_its_reply() {
    // Within the mark, the header and the results, short and longer than the buffers of the sockets.
    for (len, count) in [(100, 1), (100, 4), (100, 14), (100, 28), (100, 100), (900_000, 890_000)] {
        calls_that_were_sent_end(&format!("replies {len} {count}"), Some("has replied")).await;
    }
}

#[tokio::test]
async fn a_call_of_which_the_end_was_not_sent_when_the_server_is_killed_has_not_run() {
    for both_ways in [false, true] {
        let mut process = Process::start("reads 1000");
        let survivor = Survivor::connect(process.port().await, both_ways).await;
        let client = survivor.client.clone();
        let long = tokio::spawn(async move { client.call(&Fill { count: 0, bytes: vec![7; LONG] }).await });
        until("sending", || survivor.sent() > 0).await;
        let behind = survivor.hold();
        process.at("has read").await;
        process.kill().await;
        for error in
            [watched("a call", long).await.unwrap().unwrap_err(), watched("a call", behind).await.unwrap().unwrap_err()]
        {
            assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
        }
        assert!(survivor.sent() < LONG);
        survivor.ends_well().await;
    }
}

#[tokio::test]
async fn a_server_is_killed_while_a_message_without_reply_waits_for_room() {
    for both_ways in [false, true] {
        let mut process = Process::start("deaf");
        let survivor = Survivor::connect(process.port().await, both_ways).await;
        let (client, queued) = (survivor.client.clone(), Arc::<AtomicUsize>::default());
        let sending = tokio::spawn({
            let queued = Arc::clone(&queued);
            async move {
                loop {
                    if let Err(error) = client.send(&Note { bytes: vec![7; NOTE] }).await {
                        return error;
                    }
                    queued.fetch_add(HOLD + NOTE, Ordering::SeqCst);
                }
            }
        });
        let max_unsent = ConnectionConfig::default().max_unsent;
        // The kernel takes no more, and what waits leaves no room for another.
        until("sending", || {
            let unsent = queued.load(Ordering::SeqCst).saturating_sub(survivor.sent());
            survivor.is_full() && unsent + HOLD + NOTE > max_unsent
        })
        .await;
        process.kill().await;
        let error = watched("a message", sending).await.unwrap();
        assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
        survivor.ends_well().await;
    }
}

/// A path that nobody else has.
fn path() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("rpc-frame-killed-{}-{number}", std::process::id()))
}

/// A process that serves at a path.
async fn serves(path: &Path) -> Process {
    let mut process = Process::start(&format!("serves {}", path.display()));
    process.at("listens").await;
    process
}

fn patient() -> CallOptions {
    CallOptions::default().with_timeout(None)
}

#[tokio::test]
async fn a_server_is_killed_while_a_handler_runs_and_after_a_reply() {
    let path = path();
    let mut process = serves(&path).await;
    let client = Client::connect_unix(&path).await.unwrap().with_options(patient());
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Hold { ticket: 1 }).await }
    });
    process.at("holds 1").await;
    process.kill().await;
    let error = watched("a call", held).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{error}");

    let process = serves(&path).await;
    let client = Client::connect_unix(&path).await.unwrap().with_options(patient());
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    process.kill().await;
    assert!(matches!(watched("an idle connection", client.closed()).await, ClosedError::ByPeer | ClosedError::Io(_)));
    let error = client.call(&Double { number: 4 }).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
    drop(client);
    until("a task", || Handle::current().metrics().num_alive_tasks() == 0).await;
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_server_is_killed_while_it_calls_its_client() {
    let path = path();
    let process = serves(&path).await;
    let (told, mut called) = mpsc::unbounded_channel();
    let server = Server::new(program::<Home, _>(Away(told)));
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let client = server.serve_and_call(stream, Peer::Unknown).with_options(patient());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(&CallBack).await }
    });
    assert_eq!(watched("a call back", called.recv()).await.as_deref(), Some("called back"));
    process.kill().await;
    let error = watched("a call", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{error}");
    let error = watched("a call", client.call(&CallBack)).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(_)), "{error}");
    drop(client);
    // The handler never ends by itself: the connection lasts as long as it does, or as the server lets it.
    assert_eq!((server.connections(), server.counters().calls.in_flight()), (1, 1));
    assert!(!watched("a shutdown", server.shutdown(Duration::ZERO)).await);
    until("a served connection", || server.connections() == 0).await;
    assert_eq!((server.counters().calls.in_flight(), server.counters().calls.unanswered), (0, 1));
    until("a task", || Handle::current().metrics().num_alive_tasks() == 0).await;
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_client_reconnects_to_a_server_that_was_killed_and_started_again() {
    let path = path();
    let mut process = serves(&path).await;
    let policy = ReconnectPolicy::default()
        .with_waits(Duration::from_millis(1), Duration::from_millis(20))
        .with_tries(usize::MAX)
        // A socket that is about to be closed may take a connection still.
        .with_max_sends(100);
    let client = ReconnectingClient::unix(&path).with_policy(policy).with_options(patient());
    assert_eq!(watched("a call", client.call(&Double { number: 4 })).await.unwrap(), 8);
    let [once, again] = [false, true].map(|again| {
        let client = client.clone();
        tokio::spawn(async move {
            match again {
                true => client.call(&HoldAgain { ticket: 2 }).await,
                false => client.call(&Hold { ticket: 2 }).await,
            }
        })
    });
    for _ in 0..2 {
        process.at("holds 2").await;
    }
    process.kill().await;
    let error = watched("a call", once).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{error}");

    // Called while there is no server.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Double { number: 5 }).await }
    });
    let mut process = serves(&path).await;
    assert_eq!(watched("a call", waiting).await.unwrap().unwrap(), 10);
    process.at("holds 2").await;
    again.abort();
    assert!(watched("a call", again).await.unwrap_err().is_cancelled());
    drop(client);
    process.kill().await;
    until("a task", || Handle::current().metrics().num_alive_tasks() == 0).await;
    std::fs::remove_file(path).unwrap();
}
