//! The messages: one that answers at once, one that may refuse, one that blocks.

use std::thread;
use std::time::Duration;

use rpc_frame::{Context, ProcedureTable};
use xdr_core::Xdr;

pub(crate) const EXAMPLE: u32 = 0x2000_0060;

/// Longest wait in ms. A caller may hold a thread no longer.
const LONGEST_WAIT: u32 = 1000;

/// Answers in capital letters.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = EXAMPLE, version = 1, proc = 1, reply = Shouted)]
pub(crate) struct Shout {
    #[xdr(max = 32)]
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
pub(crate) struct Shouted {
    #[xdr(max = 96)] // a capital letter may be three times as long
    pub(crate) text: String,
}

/// Divides, and says in its own words where that cannot be.
#[derive(Debug, Clone, Copy, Xdr)]
#[rpc(program = EXAMPLE, version = 1, proc = 2, reply = Result<i64, Undivided>)]
pub(crate) struct Divide {
    pub(crate) dividend: i64,
    pub(crate) divisor: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
pub(crate) enum Undivided {
    DivisionByZero = 1,
}

/// Blocks its thread and answers for how many ms it did. That costs a thread, so callers say who they are.
#[derive(Debug, Clone, Copy, Xdr)]
#[rpc(program = EXAMPLE, version = 1, proc = 3, reply = u32, auth)]
pub(crate) struct Wait {
    pub(crate) millis: u32,
}

/// Blocks its thread, and no reply says so.
#[derive(Debug, Clone, Copy, Xdr)]
#[rpc(program = EXAMPLE, version = 1, proc = 4, oneway, auth)]
pub(crate) struct Doze {
    pub(crate) millis: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = EXAMPLE, version = 1, service = ExampleService)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Examples {
    Shout(Shout),
    Divide(Divide),
    Wait(Wait),
    Doze(Doze),
}

/// Who answers.
pub(crate) struct Desk;

impl ExampleService for Desk {
    async fn shout(&self, _: &Context, Shout { text }: Shout) -> Shouted {
        Shouted { text: text.to_uppercase() }
    }

    async fn divide(&self, _: &Context, Divide { dividend, divisor }: Divide) -> Result<i64, Undivided> {
        // The smallest i64 by -1 panics, and is answered all the same.
        if divisor == 0 { Err(Undivided::DivisionByZero) } else { Ok(dividend / divisor) }
    }

    /// In a handler of `rpc_frame::tokio` this would stall others. Here the thread is the connection's own.
    async fn wait(&self, _: &Context, Wait { millis }: Wait) -> u32 {
        let millis = millis.min(LONGEST_WAIT);
        thread::sleep(Duration::from_millis(millis.into()));
        millis
    }

    async fn doze(&self, cx: &Context, Doze { millis }: Doze) {
        self.wait(cx, Wait { millis }).await;
    }
}
