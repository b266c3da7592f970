//! What derived messages and tables say of themselves.

use core::fmt;
use core::future::Future;

use xdr_core::{Bytes, Decode, DecodeError, DecodeOwned, Encode};

use crate::answer::EncodeReply;
use crate::session::Context;

/// A remote procedure: its numbers, and the types that go there and back.
///
/// `#[derive(Xdr)]` with `#[rpc(program = …, version = …, proc = …, reply = …)]` implements it for a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a procedure",
    label = "no procedure number",
    note = "a message needs `#[derive(Xdr)]` and `#[rpc(program = …, version = …, proc = …, reply = …)]`",
    note = "one that serves several procedures has its keys on the table's line: `#[rpc(proc = …, reply = …)] Name(Message)`"
)]
pub trait Procedure {
    /// What is sent.
    type Args: Encode;
    /// What comes back.
    type Reply: Encode + DecodeOwned;
    /// Everything about the procedure that is constant.
    const INFO: ProcedureInfo;
    /// The program's number.
    const PROGRAM: u32 = Self::INFO.program;
    /// The program's version.
    const VERSION: u32 = Self::INFO.version;
    /// The procedure's number.
    const NUMBER: u32 = Self::INFO.number;
    /// The procedure's name.
    const NAME: &'static str = Self::INFO.name;
}

/// A line of a procedure table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcedureInfo {
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number.
    pub number: u32,
    /// The procedure's name.
    pub name: &'static str,
    /// The minor version that brought it.
    pub since: u32,
    /// The last minor version that has it, where it is gone.
    pub until: Option<u32>,
    /// The caller must say who it is: AUTH_NONE is too weak.
    pub auth: bool,
    /// It changes nothing, and is allowed on a read-only channel.
    pub read_only: bool,
    /// Calling it twice is as good as calling it once.
    pub idempotent: bool,
}

impl ProcedureInfo {
    /// A procedure that exists since minor version 0 and is not allowed on a read-only channel.
    #[must_use]
    pub const fn new(program: u32, version: u32, number: u32, name: &'static str) -> Self {
        Self { program, version, number, name, since: 0, until: None, auth: false, read_only: false, idempotent: false }
    }

    /// Sets the minor version that brought it.
    #[must_use]
    pub const fn since(mut self, minor: u32) -> Self {
        self.since = minor;
        self
    }

    /// Sets the last minor version that has it.
    #[must_use]
    pub const fn until(mut self, minor: u32) -> Self {
        self.until = Some(minor);
        self
    }

    /// Demands a credential.
    #[must_use]
    pub const fn auth(mut self) -> Self {
        self.auth = true;
        self
    }

    /// Allows it on a read-only channel.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Says that it may be repeated.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Whether the procedure exists at a minor version.
    ///
    /// # Examples
    /// ```
    /// use rpc_frame::ProcedureInfo;
    /// let procedure = ProcedureInfo::new(1, 1, 7, "Seven").since(2).until(4);
    /// assert!(!procedure.exists_at(1) && procedure.exists_at(2) && procedure.exists_at(4) && !procedure.exists_at(5));
    /// ```
    #[must_use]
    pub const fn exists_at(&self, minor: u32) -> bool {
        let gone = match self.until {
            Some(until) => minor > until,
            None => false,
        };
        self.since <= minor && !gone
    }
}

/// The procedures of one version of a program. Derived on an enum with one line a procedure.
pub trait ProcedureTable {
    /// The table's name.
    const NAME: &'static str;
    /// Its documentation comment.
    const DOCS: &'static str;
    /// The program's number.
    const PROGRAM: u32;
    /// The program's version.
    const VERSION: u32;
    /// The procedures, sorted by number.
    const PROCEDURES: &'static [ProcedureInfo];

    /// The procedure of a number.
    ///
    /// # Examples
    /// ```
    /// # use rpc_frame::ProcedureTable;
    /// # #[derive(xdr_core::Xdr)]
    /// # #[rpc(program = 9, version = 1, proc = 3, reply = bool)]
    /// # struct Ping;
    /// #[derive(ProcedureTable)]
    /// #[rpc(program = 9, version = 1, service = PingService)]
    /// enum Pings { Ping(Ping) }
    ///
    /// assert_eq!(Pings::find(3).unwrap().name, "Ping");
    /// assert!(Pings::find(4).is_none());
    /// ```
    #[must_use]
    fn find(number: u32) -> Option<&'static ProcedureInfo> {
        let index = Self::PROCEDURES.binary_search_by_key(&number, |procedure| procedure.number).ok()?;
        Self::PROCEDURES.get(index)
    }
}

/// The way from a procedure's number to a method of a service. Derived with the table.
pub trait Dispatch<S>: ProcedureTable {
    /// A reply of any of the procedures.
    type Reply: EncodeReply + Send;

    /// Decodes the arguments, which end with the record, and calls the method.
    fn dispatch(
        service: &S,
        cx: &Context,
        args: &Bytes,
    ) -> impl Future<Output = Result<Self::Reply, Undispatched>> + Send;
}

/// Why no method was called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undispatched {
    /// The table has no such procedure.
    UnknownProcedure,
    /// The arguments do not decode.
    GarbageArgs(DecodeError),
}

impl fmt::Display for Undispatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProcedure => f.write_str("unknown procedure"),
            Self::GarbageArgs(error) => write!(f, "garbage arguments: {error}"),
        }
    }
}

impl core::error::Error for Undispatched {}

/// The arguments of a call, decoded within the limits of its context.
#[doc(hidden)]
pub fn decode_args<'de, T: Decode<'de>>(args: &'de Bytes, cx: &Context) -> Result<T, Undispatched> {
    xdr_core::from_bytes_with(args, cx.limits()).map_err(Undispatched::GarbageArgs)
}

/// The lines of a table in the order of their numbers.
#[doc(hidden)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs only in constants, where a mistake does not compile"
)]
pub const fn sorted_by_number<const N: usize>(mut lines: [ProcedureInfo; N]) -> [ProcedureInfo; N] {
    let mut next = 1;
    while next < N {
        let mut place = next;
        while place > 0 && lines[place - 1].number > lines[place].number {
            let line = lines[place];
            lines[place] = lines[place - 1];
            lines[place - 1] = line;
            place -= 1;
        }
        next += 1;
    }
    lines
}

/// The place of the first line with a number.
#[doc(hidden)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs only in constants, where a mistake does not compile"
)]
pub const fn first_with_number(lines: &[ProcedureInfo], number: u32) -> usize {
    let mut index = 0;
    while index < lines.len() && lines[index].number != number {
        index += 1;
    }
    index
}
