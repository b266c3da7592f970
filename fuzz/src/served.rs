//! A server's programs: a procedure for each way that a call can end.

use rpc_frame::{Context, ProcedureTable, Programs, program};
use xdr_core::{Bytes, Xdr};

/// The number of the program.
pub const PROGRAM: u32 = 0x2000_0042;

/// A short text.
#[derive(Debug, Clone, Xdr)]
pub struct Text {
    /// The text.
    #[xdr(max = 8)]
    pub text: String,
}

/// Gives back its text.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 1, reply = Text)]
pub struct Echo<'a> {
    /// The text.
    #[xdr(max = 8)]
    pub text: &'a str,
}

/// Replies with that many letters, up to 31, whatever the bound of its reply.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 2, reply = Text)]
pub struct Letters {
    /// How many.
    pub count: u16,
}

/// Replies with that many bytes, up to 2047, whatever the cap on a record.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 3, reply = Blob)]
pub struct Fill {
    /// How many.
    pub count: u16,
}

/// What [`Fill`] gives.
#[derive(Debug, Clone, Xdr)]
pub struct Blob {
    /// Zeros.
    #[xdr(unbounded)]
    pub bytes: Vec<u8>,
}

/// Is answered when the fuzzer says so.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 4, reply = u32)]
pub struct Later {
    /// Part of the buffer that the call came in.
    #[xdr(max = 64)]
    pub bytes: Bytes,
}

/// Is not answered.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 5, oneway)]
pub struct Note {
    /// Anything.
    pub word: u32,
}

/// Is for those who say who they are.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 6, reply = bool, auth)]
pub struct Guarded;

/// Version 1.
#[derive(Debug, ProcedureTable)]
#[rpc(program = PROGRAM, version = 1, service = OldService)]
pub enum Old<'a> {
    /// Its text again.
    Echo(Echo<'a>),
    /// A reply over its bound.
    Letters(Letters),
    /// A reply over the cap on records.
    Fill(Fill),
    /// A reply that takes its time.
    Later(Later),
    /// No reply.
    Note(Note),
    /// Not for everybody.
    Guarded(Guarded),
}

/// The one procedure of version 3.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 3, proc = 1, reply = u32)]
pub struct Newer;

/// Version 3. There is no version 2.
#[derive(Debug, ProcedureTable)]
#[rpc(program = PROGRAM, version = 3, service = NewService)]
pub enum New {
    /// A word.
    Newer(Newer),
}

struct Service;

impl OldService for Service {
    async fn echo(&self, _: &Context, args: Echo<'_>) -> Text {
        Text { text: args.text.to_owned() }
    }

    async fn letters(&self, _: &Context, args: Letters) -> Text {
        Text { text: "x".repeat(usize::from(args.count) % 32) }
    }

    async fn fill(&self, _: &Context, args: Fill) -> Blob {
        Blob { bytes: vec![0; usize::from(args.count) % 2048] }
    }

    async fn later(&self, _: &Context, args: Later) -> u32 {
        args.bytes.iter().map(|byte| u32::from(*byte)).sum()
    }

    async fn note(&self, _: &Context, _: Note) {}

    async fn guarded(&self, _: &Context, _: Guarded) -> bool {
        true
    }
}

impl NewService for Service {
    async fn newer(&self, _: &Context, _: Newer) -> u32 {
        3
    }
}

/// Both versions.
pub fn programs() -> impl Programs {
    (program::<Old<'_>, _>(Service), program::<New, _>(Service))
}
