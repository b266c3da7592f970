//! What peers do again and again is ten lines of the log and then one a second, which says how often it was.
#![cfg(feature = "tokio")]

mod log;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::Log;
use rpc_frame::tokio::{CallError, Client, Listener, PeerLimit, Server, ServerConfig};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, Peer, ProcedureTable, Program, program};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance, sleep};
use tracing::Level;

const FAULTY: u32 = 0x2000_004c;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = FAULTY, version = 1, proc = 1)]
struct Panic;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = FAULTY, version = 1, proc = 2, reply = Long)]
struct TellTooMuch;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = FAULTY, version = 1, proc = 3, time_limit = Duration::from_millis(1))]
struct Hang;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = FAULTY, version = 1, proc = 4, reply = Long)]
struct Break;

#[derive(Debug, Clone, Default, Xdr)]
struct Long {
    #[xdr(max = 4)]
    bytes: Vec<u8>,
    #[xdr(with = breaking)]
    breaks: bool,
}

mod breaking {
    pub(crate) type Wire = bool;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called with what the field holds")]
    pub(crate) fn to_wire(breaks: &bool) -> bool {
        assert!(!breaks, "as the test wants it");
        false
    }

    pub(crate) fn from_wire(breaks: bool) -> Option<bool> {
        Some(breaks)
    }
}

#[derive(ProcedureTable)]
#[rpc(program = FAULTY, version = 1, service = FaultyService)]
enum Faulty {
    Panic(Panic),
    TellTooMuch(TellTooMuch),
    Hang(Hang),
    Break(Break),
}

struct Novice;

impl FaultyService for Novice {
    async fn panic(&self, _: &Context, _: Panic) {
        panic!("as the test wants it")
    }

    async fn tell_too_much(&self, _: &Context, _: TellTooMuch) -> Long {
        Long { bytes: vec![7; 5], breaks: false }
    }

    async fn hang(&self, _: &Context, _: Hang) {
        std::future::pending().await
    }

    async fn r#break(&self, _: &Context, _: Break) -> Long {
        Long { breaks: true, ..Long::default() }
    }
}

fn server() -> Server<Program<Faulty, Novice>> {
    Server::builder(program::<Faulty, _>(Novice)).config(ServerConfig::default()).build()
}

/// What a hundred of them in 2.97 s are in the log: ten lines at once, one in each of the two seconds behind, and what was
/// left out then.
fn is_bounded(lines: &[String], summary: &[String]) {
    assert!(lines.len() == 12 && lines.iter().take(10).all(|line| !line.contains("left_out")), "{lines:?}");
    assert!(lines[10].ends_with("left_out=24") && lines[11].ends_with("left_out=32"), "{lines:?}");
    // 100 − 12 lines − 24 − 32.
    assert!(summary.len() == 1 && summary[0].ends_with("left_out=32"), "{summary:?}");
}

/// Does it a hundred times, each 30 ms after the one before, and waits until all is told.
async fn a_hundred_times<F: Future<Output = ()>>(mut act: impl FnMut() -> F) {
    let begun = Instant::now();
    for number in 1..=100 {
        act().await;
        advance(begun + Duration::from_millis(30) * number - Instant::now()).await;
    }
    sleep(Duration::from_secs(3)).await;
}

async fn calls_that_fail<F: Future<Output = Result<(), CallError>>>(
    line: &str,
    summary: &str,
    call: impl Fn(Client) -> F,
) {
    let (log, _logging) = Log::begin(Level::WARN);
    let server = server();
    // By two connections in turn: the bound is the server's.
    let clients = [Client::new(server.connect_in_memory()), Client::new(server.connect_in_memory())];
    let mut clients = clients.iter().cycle();
    a_hundred_times(|| {
        let call = call(clients.next().unwrap().clone());
        async { assert!(matches!(call.await, Err(CallError::SystemErr))) }
    })
    .await;
    is_bounded(&log.lines_with(line), &log.lines_with(summary));
    assert!(log.lines_with(summary)[0].contains("ERROR"));
    let all = log.lines_with("");
    assert_eq!(all.len(), 13, "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn handlers_that_panic() {
    let call = |client: Client| async move { client.call(&Panic).await };
    calls_that_fail("handler panicked", "handlers panicked", call).await;
}

#[tokio::test(start_paused = true)]
async fn replies_that_exceed_a_bound() {
    let call = |client: Client| async move { client.call(&TellTooMuch).await.map(drop) };
    calls_that_fail("cannot send a reply", "replies could not be sent", call).await;
}

#[tokio::test(start_paused = true)]
async fn replies_whose_encoders_panic() {
    let call = |client: Client| async move { client.call(&Break).await.map(drop) };
    calls_that_fail("encoding or dropping of a reply panicked", "encoding or dropping of replies panicked", call).await;
}

#[tokio::test(start_paused = true)]
async fn handlers_that_take_too_long() {
    let call = |client: Client| async move { client.call(&Hang).await };
    calls_that_fail("handler took too long", "handlers took too long", call).await;
}

/// Connections out of a channel, all of one peer; none is a failure to accept one.
struct Doors(mpsc::UnboundedReceiver<Option<DuplexStream>>);

impl Listener for Doors {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(Some(io)) => Ok((io, Peer::Tcp(([192, 0, 2, 7], 700).into()))),
            Some(None) => Err(io::Error::other("too many open files")),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_peer_that_has_too_many() {
    let (log, _logging) = Log::begin(Level::WARN);
    let (doors, arriving) = mpsc::unbounded_channel();
    let server = server();
    let limit = PeerLimit::new(1);
    // The bound is that of all its listeners.
    let (other_doors, also_arriving) = mpsc::unbounded_channel();
    for arriving in [arriving, also_arriving] {
        let (server, listener) = (server.clone(), limit.listener(Doors(arriving)));
        tokio::spawn(async move { server.serve(listener).await });
    }
    let (far, _first) = duplex(64);
    doors.send(Some(far)).unwrap();
    let ways = [Arc::new(doors), Arc::new(other_doors)];
    let mut ways = ways.iter().cycle();
    a_hundred_times(|| {
        let (far, mut near) = duplex(64);
        ways.next().unwrap().send(Some(far)).unwrap();
        async move { assert!(near.read_u8().await.is_err(), "it is closed at once") }
    })
    .await;
    is_bounded(&log.lines_with("refused a connection"), &log.lines_with("connections were refused"));
}

#[tokio::test(start_paused = true)]
async fn failures_to_accept() {
    let (log, _logging) = Log::begin(Level::WARN);
    let (doors, arriving) = mpsc::unbounded_channel();
    let server = server();
    tokio::spawn(async move { server.serve(Doors(arriving)).await });
    // It tries again after 100 ms each time.
    for _ in 0..25 {
        doors.send(None).unwrap();
    }
    sleep(Duration::from_secs(10)).await;
    let lines = log.lines_with("cannot accept a connection");
    let left_out: Vec<_> = lines.iter().map(|line| line.split("left_out=").nth(1).unwrap_or("0")).collect();
    // The eleventh comes a second behind the first.
    assert_eq!(left_out, [["0"; 11].as_slice(), &["9"]].concat(), "{lines:?}");
    let summary = log.lines_with("connections could not be accepted");
    assert!(summary.len() == 1 && summary[0].ends_with("left_out=4"), "{summary:?}");
}
