//! What derived messages say of themselves.

use core::time::Duration;

use xdr_core::{DecodeOwned, Encode};

/// A remote procedure: its numbers, and the types that go there and back.
///
/// `#[derive(Xdr)]` with `#[rpc(program = …, version = …, proc = …, reply = …)]` implements it for a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a procedure",
    label = "no procedure number",
    note = "a message needs `#[derive(Xdr)]` and `#[rpc(program = …, version = …, proc = …, reply = …)]`",
    note = "one that serves several procedures has its keys on the table's line: `#[rpc(proc = …, reply = …)] Name(Message)`",
    note = "one that is `oneway` has no reply: it is sent and not called"
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

/// A remote procedure without a reply: its numbers, and the type that goes there.
///
/// `#[derive(Xdr)]` with `#[rpc(program = …, version = …, proc = …, oneway)]` implements it for a message. The caller
/// learns that the call was queued, and no more. The server answers only where the procedure is unknown, not active
/// or refused, and the caller passes over that answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a oneway procedure",
    label = "not `oneway`",
    note = "a message needs `#[derive(Xdr)]` and `#[rpc(program = …, version = …, proc = …, oneway)]`",
    note = "one that has a reply is called and not sent"
)]
pub trait OnewayProcedure {
    /// What is sent.
    type Args: Encode;
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

/// What a table's line holds, a procedure of either kind. Derived beside the one or the other.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a procedure",
    label = "no procedure number",
    note = "a message needs `#[derive(Xdr)]` and `#[rpc(program = …, version = …, proc = …, reply = …)]`",
    note = "one that serves several procedures has its keys on the table's line: `#[rpc(proc = …, reply = …)] Name(Message)`"
)]
pub trait Line {
    /// What a handler returns.
    type Reply;
    /// Everything about the procedure that is constant.
    const INFO: ProcedureInfo;
    /// The program's number.
    const PROGRAM: u32 = Self::INFO.program;
    /// The program's version.
    const VERSION: u32 = Self::INFO.version;
    /// The procedure's number.
    const NUMBER: u32 = Self::INFO.number;
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
    /// It has no reply.
    pub oneway: bool,
    /// How long its handler may take, where the server's limit does not suit it.
    pub time_limit: Option<Duration>,
}

impl ProcedureInfo {
    /// A procedure that exists since minor version 0 and is not allowed on a read-only channel.
    #[must_use]
    pub const fn new(program: u32, version: u32, number: u32, name: &'static str) -> Self {
        Self {
            program,
            version,
            number,
            name,
            since: 0,
            until: None,
            auth: false,
            read_only: false,
            idempotent: false,
            oneway: false,
            time_limit: None,
        }
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

    /// Says that it has no reply.
    #[must_use]
    pub const fn oneway(mut self) -> Self {
        self.oneway = true;
        self
    }

    /// Sets how long its handler may take, in the place of the server's own limit.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
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
