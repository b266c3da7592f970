//! The table of a program's procedures, and the way from a number to a method.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::future::Future;

use xdr_core::{Bytes, Decode, DecodeError};

use crate::context::Context;
use crate::message::AcceptStatus;
use crate::procedure::ProcedureInfo;
use crate::reply::EncodeReply;

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
    /// Something in front of the method refused the call, or gave it up: the caller gets SYSTEM_ERR.
    Refused(Refusal),
}

impl Undispatched {
    /// What the caller is told.
    ///
    /// ```
    /// use rpc_frame::{AcceptStatus, Refusal, Undispatched};
    /// assert_eq!(Undispatched::UnknownProcedure.status(), AcceptStatus::ProcUnavail);
    /// assert_eq!(Undispatched::Refused(Refusal::new("closed on Sundays")).status(), AcceptStatus::SystemErr);
    /// ```
    #[must_use]
    pub const fn status(&self) -> AcceptStatus {
        match self {
            Self::UnknownProcedure => AcceptStatus::ProcUnavail,
            Self::GarbageArgs(_) => AcceptStatus::GarbageArgs,
            Self::Refused(_) => AcceptStatus::SystemErr,
        }
    }
}

/// Why a call was refused or given up in front of its method. The server's log gets it, and not the caller.
#[derive(Debug, Clone)]
pub struct Refusal(Arc<dyn Error + Send + Sync>);

impl Refusal {
    /// A refusal for this reason.
    ///
    /// ```
    /// use rpc_frame::{Refusal, Undispatched};
    /// let refused = Undispatched::Refused(Refusal::new("closed on Sundays"));
    /// assert_eq!(refused.to_string(), "refused: closed on Sundays");
    /// ```
    #[must_use]
    pub fn new(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(why.into()))
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

/// Reasons need not be comparable: a refusal equals its own clones.
impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Refusal {}

impl fmt::Display for Undispatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProcedure => f.write_str("unknown procedure"),
            Self::GarbageArgs(error) => write!(f, "garbage arguments: {error}"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.reason()),
        }
    }
}

impl Error for Undispatched {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::UnknownProcedure => None,
            Self::GarbageArgs(error) => Some(error),
            Self::Refused(refusal) => Some(refusal.reason()),
        }
    }
}

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

/// Whether it is another procedure than NULL.
#[doc(hidden)]
#[must_use]
pub const fn has_number(procedure: &ProcedureInfo) -> bool {
    procedure.number != 0
}

/// Whether there is a minor version that has it.
#[doc(hidden)]
#[must_use]
pub const fn is_ever_there(procedure: &ProcedureInfo) -> bool {
    procedure.exists_at(procedure.since)
}
