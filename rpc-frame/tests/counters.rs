//! What can be watched of a server: numbers for every way in which a call can end, and the log of each call.
#![cfg(feature = "tokio")]

mod log;
mod wire;

use std::time::Duration;

use log::Log;
use rpc_frame::tokio::{Server, ServerCounters};
use rpc_frame::xdr::Xdr;
use rpc_frame::{CallCounters, Context, Peer, ProcedureTable, Program, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tracing::Level;
use wire::{Call, auth, auth_sys, words};

const COUNTED: u32 = 0x2000_0048;

/// Replies at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = COUNTED, version = 2, proc = 1, reply = u32)]
struct Echo {
    number: u32,
}

/// Never replies.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = COUNTED, version = 2, proc = 2)]
struct Wait;

/// Panics.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = COUNTED, version = 2, proc = 3)]
struct Panic;

/// Is told, and not answered.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = COUNTED, version = 2, proc = 4, oneway)]
struct Tell;

#[derive(ProcedureTable)]
#[rpc(program = COUNTED, version = 2, service = CountedService)]
enum Counted {
    Echo(Echo),
    Wait(Wait),
    Panic(Panic),
    Tell(Tell),
}

struct Counting;

impl CountedService for Counting {
    async fn echo(&self, _cx: &Context, args: Echo) -> u32 {
        args.number
    }

    async fn wait(&self, _cx: &Context, _args: Wait) {
        std::future::pending().await
    }

    async fn panic(&self, _cx: &Context, _args: Panic) {
        panic!("as the test wants it");
    }

    async fn tell(&self, _cx: &Context, _args: Tell) {
        tracing::info!("was told");
    }
}

type Counts = Server<Program<Counted, Counting>>;

fn server() -> (Counts, DuplexStream) {
    let server = Server::new(program::<Counted, _>(Counting));
    let (far, near) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    (server, near)
}

fn call(procedure: u32) -> Call {
    Call::new(7, COUNTED, 2, procedure)
}

/// The reply's length, mark included.
async fn exchange(io: &mut DuplexStream, call: &Call) -> u64 {
    io.write_all(&call.record()).await.unwrap();
    let len = io.read_u32().await.unwrap() & 0x7fff_ffff;
    io.read_exact(&mut vec![0; len as usize]).await.unwrap();
    u64::from(len) + 4
}

/// What was counted, once it is what is expected, or after a second.
async fn settled(server: &Counts, expected: impl Fn(&ServerCounters) -> bool) -> ServerCounters {
    let settle = async {
        while !expected(&server.counters()) {
            tokio::task::yield_now().await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), settle).await;
    server.counters()
}

#[tokio::test]
async fn every_end_of_a_call_has_its_own_number_and_bytes_are_counted() {
    let (server, mut io) = server();
    let other_rpc = Call { rpcvers: 3, ..call(1) };
    let calls = [
        call(1).args(words(&[5])),
        call(0),
        call(3),
        call(9),
        call(1).args(words(&[5, 6])),
        Call::new(7, COUNTED + 1, 2, 1),
        Call::new(7, COUNTED, 1, 1),
        call(1).credential(auth(99, b"")),
        other_rpc,
    ];
    let (mut sent, mut received) = (0, 0);
    for call in &calls {
        sent += exchange(&mut io, call).await;
        received += call.record().len() as u64;
    }
    io.write_all(&call(4).record()).await.unwrap();
    received += call(4).record().len() as u64;
    let counters = settled(&server, |counters| counters.calls.unanswered == 1).await;
    let expected = [1 + 9, 2, 1, 1, 1, 1, 1, 1, 1, 1];
    let CallCounters { calls, succeeded, prog_unavail, prog_mismatch, proc_unavail, .. } = counters.calls;
    let CallCounters { garbage_args, system_err, rpc_mismatch, auth_error, unanswered, .. } = counters.calls;
    let counted = [
        calls,
        succeeded,
        prog_unavail,
        prog_mismatch,
        proc_unavail,
        garbage_args,
        system_err,
        rpc_mismatch,
        auth_error,
        unanswered,
    ];
    assert_eq!(counted, expected);
    assert_eq!((counters.calls.ended(), counters.calls.in_flight()), (10, 0));
    assert_eq!((counters.bytes_received, counters.bytes_sent), (received, sent));
    assert_eq!((counters.open, counters.opened), (1, 1));
}

#[tokio::test]
async fn calls_whose_connection_ends_are_in_flight_no_more_however_it_ends() {
    let (server, mut io) = server();
    io.write_all(&call(2).record()).await.unwrap();
    let counters = settled(&server, |counters| counters.calls.in_flight() == 1).await;
    assert_eq!(counters.calls.in_flight(), 1);
    // Its grace is over at once: the connection is cut off.
    assert!(!server.shutdown(Duration::ZERO).await);
    let counters = settled(&server, |counters| counters.open == 0).await;
    assert_eq!((counters.open, counters.opened), (0, 1));
    assert_eq!((counters.calls.in_flight(), counters.calls.unanswered), (0, 1));
}

#[tokio::test]
async fn what_a_handler_logs_stands_in_the_span_of_its_call() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    let (server, mut io) = server();
    let sys = auth(1, &auth_sys(b"host", 0));
    io.write_all(&call(4).credential(sys).record()).await.unwrap();
    settled(&server, |counters| counters.calls.unanswered == 1).await;
    let lines = log.lines_with("was told");
    let span = r#"call{xid=7 procedure="Tell" peer=unknown caller=claims uid 1000, gid 100}"#;
    assert!(lines.len() == 1 && lines[0].contains(span), "{lines:?}");
}
