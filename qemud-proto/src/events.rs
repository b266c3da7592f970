//! The events of domains: calls from the daemon to a client that asked for them with
//! [`DomainEvents`](crate::messages::DomainEvents).
//!
//! They are a program of their own, which the client serves on the connection that it called on. Each kind of event is
//! a procedure, so that a sniffer names it; none has a reply, so that a client which reads slowly delays nobody. A
//! kind that a client does not know yet costs it no more than the answer that it does not.

use std::future::Future;

use rpc_frame::{Context, ProcedureTable};
use xdr_core::Xdr;

use crate::identity::Uuid;
use crate::messages::NAME_MAX;

/// Program number of the events.
pub const GUEST_EVENTS: u32 = 0x2000_1A65;

/// The domain that something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct DomainEvent {
    /// Its name, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
    /// Its identity, `opaque[16]`.
    pub uuid: Uuid,
    /// The id it runs under, or ran under until now; none while it is inactive.
    pub id: Option<i32>,
    /// Events before this one that were dropped, because the client did not keep up.
    pub lost: u32,
}

/// The events of program [`GUEST_EVENTS`], version 1.
#[derive(Debug, Clone, PartialEq, Eq, ProcedureTable)]
#[rpc(program = GUEST_EVENTS, version = 1, service = GuestEventsService)]
pub enum GuestEvents {
    /// It was started: created, started, or restored from a file.
    #[rpc(proc = 1, oneway)]
    DomainStarted(DomainEvent),
    /// Its processors were halted; or it was restored with its processors halted, after it was started.
    #[rpc(proc = 2, oneway)]
    DomainSuspended(DomainEvent),
    /// It goes on after it was suspended.
    #[rpc(proc = 3, oneway)]
    DomainResumed(DomainEvent),
    /// It was stopped: powered off, destroyed, or saved to a file. One that was never defined is gone.
    #[rpc(proc = 4, oneway)]
    DomainStopped(DomainEvent),
    /// Its definition was kept, for the first time or in the place of another.
    #[rpc(proc = 5, oneway)]
    DomainDefined(DomainEvent),
    /// Its definition was forgotten.
    #[rpc(proc = 6, oneway)]
    DomainUndefined(DomainEvent),
}

/// What can happen to a domain: a line of [`GuestEvents`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DomainChange {
    /// [`DomainStarted`].
    Started,
    /// [`DomainSuspended`].
    Suspended,
    /// [`DomainResumed`].
    Resumed,
    /// [`DomainStopped`].
    Stopped,
    /// [`DomainDefined`].
    Defined,
    /// [`DomainUndefined`].
    Undefined,
}

impl DomainChange {
    /// The change in a word: `started`, `suspended`, …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Stopped => "stopped",
            Self::Defined => "defined",
            Self::Undefined => "undefined",
        }
    }
}

/// Serves [`GuestEvents`] with one function for all of them.
///
/// The function is called in the order of the events. Where its future waits, the next events are not waited for:
/// their functions are called meanwhile, up to the connection's cap on calls in flight.
///
/// ```
/// use qemud_proto::events::{EachEvent, GuestEvents};
///
/// let print = EachEvent(|change, event| async move { println!("{change:?} {event:?}") });
/// let events = rpc_frame::program::<GuestEvents, _>(print);
/// ```
#[derive(Debug, Clone)]
pub struct EachEvent<F>(pub F);

macro_rules! each_event {
    ($($method:ident: $change:ident,)+) => {
        impl<F, R> GuestEventsService for EachEvent<F>
        where
            F: Fn(DomainChange, DomainEvent) -> R + Send + Sync,
            R: Future<Output = ()> + Send,
        {$(
            async fn $method(&self, _: &Context, args: DomainEvent) {
                (self.0)(DomainChange::$change, args).await;
            }
        )+}
    };
}

each_event! {
    domain_started: Started,
    domain_suspended: Suspended,
    domain_resumed: Resumed,
    domain_stopped: Stopped,
    domain_defined: Defined,
    domain_undefined: Undefined,
}
