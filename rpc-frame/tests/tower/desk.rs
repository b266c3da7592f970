//! A program whose handlers wait for the test.

use std::future::Future;
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, Server};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, Program, Programs, program};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const DESK: u32 = 0x2000_0052;

/// Waits until the test answers.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 1, reply = u32)]
pub(crate) struct Hold {
    pub(crate) ticket: u32,
}

/// Waits as well, and may be repeated.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 2, reply = u32, idempotent)]
pub(crate) struct Look {
    pub(crate) ticket: u32,
}

/// Replies at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 3, reply = u32)]
pub(crate) struct Double {
    pub(crate) number: u32,
}

/// Serves two procedures.
#[derive(Debug, Clone, Xdr)]
pub(crate) struct Note {
    #[xdr(max = 8)]
    pub(crate) text: String,
}

/// Panics after it has waited for the test.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 6)]
pub(crate) struct Panic {
    pub(crate) ticket: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = DESK, version = 1, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Desk {
    Hold(Hold),
    Look(Look),
    Double(Double),
    #[rpc(proc = 4, reply = u32)]
    Pin(Note),
    #[rpc(proc = 5, reply = u32, idempotent)]
    Unpin(Note),
    Panic(Panic),
}

/// A call that waits for its answer.
pub(crate) struct Held {
    pub(crate) ticket: u32,
    pub(crate) answer: oneshot::Sender<u32>,
}

/// The calls that handlers hold.
pub(crate) struct HeldCalls(mpsc::UnboundedReceiver<Held>);

impl HeldCalls {
    /// The next one; none when the server is gone, or when none comes: a test fails then, and does not hang.
    pub(crate) async fn recv(&mut self) -> Option<Held> {
        timeout(Duration::from_secs(10), self.0.recv()).await.ok().flatten()
    }
}

pub(crate) struct Clerk {
    held: mpsc::UnboundedSender<Held>,
}

impl Clerk {
    async fn wait(&self, ticket: u32) -> u32 {
        let (answer, answered) = oneshot::channel();
        self.held.send(Held { ticket, answer }).expect("the test listens");
        answered.await.unwrap_or(0)
    }
}

impl DeskService for Clerk {
    async fn hold(&self, _: &Context, args: Hold) -> u32 {
        self.wait(args.ticket).await
    }

    async fn look(&self, _: &Context, args: Look) -> u32 {
        self.wait(args.ticket).await
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        args.number.wrapping_mul(2)
    }

    async fn pin(&self, _: &Context, _: Note) -> u32 {
        1
    }

    async fn unpin(&self, _: &Context, _: Note) -> u32 {
        2
    }

    async fn panic(&self, _: &Context, args: Panic) {
        self.wait(args.ticket).await;
        panic!("as the test wants it")
    }
}

/// A program, and the calls that its handlers hold.
pub(crate) fn desk() -> (Program<Desk, Clerk>, HeldCalls) {
    let (held, calls) = mpsc::unbounded_channel();
    (program::<Desk, _>(Clerk { held }), HeldCalls(calls))
}

pub(crate) fn server() -> (Server<Program<Desk, Clerk>>, HeldCalls) {
    let (program, calls) = desk();
    (Server::new(program), calls)
}

/// A client of a server, which waits for replies as long as it takes, but not for ever: a test fails then, and does
/// not hang.
pub(crate) fn client<P: Programs>(server: &Server<P>) -> Client {
    let patient = CallOptions::default().with_timeout(Some(Duration::from_secs(7 * 24 * 3600)));
    Client::new(server.connect_in_memory()).with_options(patient)
}

pub(crate) fn hold(client: &Client, ticket: u32) -> JoinHandle<Result<u32, CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(&Hold { ticket }).await })
}

/// What a future gives, if it gives it without anything else happening: paused time jumps where nothing is left to do.
pub(crate) async fn soon<F: Future>(future: F) -> Option<F::Output> {
    timeout(Duration::from_secs(1), future).await.ok()
}
