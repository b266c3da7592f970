//! The service of both sides.

use std::future::pending;

use rpc_frame::tokio::{CallError, CallOptions};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable};
use tokio::sync::{Semaphore, mpsc};

const DESK: u32 = 0x2000_0044;
const HOME: u32 = 0x2000_0045;

/// Waits until the other side lets it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 1, reply = u32)]
pub(crate) struct Hold {
    pub(crate) ticket: u32,
}

/// As `Hold`, and may be sent again.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 2, reply = u32, idempotent)]
pub(crate) struct HoldAgain {
    pub(crate) ticket: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 3, reply = u32)]
pub(crate) struct Double {
    pub(crate) number: u32,
}

/// A call and a reply of any length.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 4, reply = Blob)]
pub(crate) struct Fill {
    pub(crate) count: u32,
    #[xdr(max = 0x400_0000)]
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Xdr)]
pub(crate) struct Blob {
    #[xdr(max = 0x400_0000)]
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 5, oneway)]
pub(crate) struct Note {
    #[xdr(max = 0x1_0000)]
    pub(crate) bytes: Vec<u8>,
}

/// Calls its caller back, and waits for that.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DESK, version = 1, proc = 6, reply = u32)]
pub(crate) struct CallBack;

/// What the caller is called back with.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = HOME, version = 1, proc = 1, reply = u32)]
pub(crate) struct Back;

#[derive(ProcedureTable)]
#[rpc(program = DESK, version = 1, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Desk {
    Hold(Hold),
    HoldAgain(HoldAgain),
    Double(Double),
    Fill(Fill),
    Note(Note),
    CallBack(CallBack),
}

#[derive(ProcedureTable)]
#[rpc(program = HOME, version = 1, service = HomeService)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Home {
    Back(Back),
}

/// Says which handlers run, and lets those that hold go on as the test wants.
pub(crate) struct Clerk {
    pub(crate) say: mpsc::UnboundedSender<String>,
    pub(crate) go_on: Semaphore,
    /// How calls back to callers have ended.
    pub(crate) back: mpsc::UnboundedSender<Result<u32, CallError>>,
}

impl Clerk {
    pub(crate) fn say(&self, what: impl Into<String>) {
        // Nobody may listen any more when a handler outlives its test.
        let _ = self.say.send(what.into());
    }

    async fn wait(&self, ticket: u32) -> u32 {
        self.say(format!("holds {ticket}"));
        self.go_on.acquire().await.expect("never closed").forget();
        ticket
    }
}

impl DeskService for Clerk {
    async fn hold(&self, _: &Context, args: Hold) -> u32 {
        self.wait(args.ticket).await
    }

    async fn hold_again(&self, _: &Context, args: HoldAgain) -> u32 {
        self.wait(args.ticket).await
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        args.number * 2
    }

    async fn fill(&self, _: &Context, args: Fill) -> Blob {
        self.say("fills");
        Blob { bytes: vec![7; args.count as usize] }
    }

    async fn note(&self, _: &Context, _: Note) {
        self.wait(0).await;
    }

    async fn call_back(&self, cx: &Context, _: CallBack) -> u32 {
        let caller =
            cx.client().expect("there is a connection").with_options(CallOptions::default().with_timeout(None));
        let answer = caller.call(&Back).await;
        let _ = self.back.send(answer);
        1
    }
}

/// Never answers.
pub(crate) struct Away(pub(crate) mpsc::UnboundedSender<String>);

impl HomeService for Away {
    async fn back(&self, _: &Context, _: Back) -> u32 {
        let _ = self.0.send("called back".into());
        pending().await
    }
}
