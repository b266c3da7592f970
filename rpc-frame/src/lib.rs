//! SunRPC (RFC 5531) around XDR messages.
//!
//! A message is a derived type that says which procedure it calls; a table lists the procedures of a
//! program and makes the trait that a server implements:
//!
//! ```
//! use rpc_frame::{Context, ProcedureTable};
//! use xdr_core::Xdr;
//!
//! const GREETER: u32 = 0x2000_0042;
//!
//! #[derive(Debug, Clone, Xdr)]
//! struct Greeting { #[xdr(max = 80)] text: String }
//!
//! #[derive(Debug, Clone, Xdr)]
//! #[rpc(program = GREETER, version = 1, proc = 1, reply = Greeting)]
//! struct Greet { #[xdr(max = 64)] name: String }
//!
//! #[derive(ProcedureTable)]
//! #[rpc(program = GREETER, version = 1, service = GreeterService)]
//! enum Greeter { Greet(Greet) }
//!
//! struct Polite;
//!
//! impl GreeterService for Polite {
//!     async fn greet(&self, _cx: &Context, args: Greet) -> Greeting {
//!         Greeting { text: format!("Good day, {}", args.name) }
//!     }
//! }
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_frame::tokio::{Client, Server};
//!
//! let server = Server::new(rpc_frame::program::<Greeter, _>(Polite));
//! let client = Client::new(server.connect_in_memory());
//! let reply = client.call(&Greet { name: "Ada".into() }).await?;
//! assert_eq!(reply.text, "Good day, Ada");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # Without tokio
//!
//! The engine does no input and output of its own: [`Connection`] takes bytes and time and gives bytes
//! and events. Without features the crate is `no_std` with `alloc`.
//!
//! # Other people's layers
//!
//! With the feature `tower`, client and server are `tower` services: timeouts, retries, concurrency limits and
//! load balancing come from there. See the module `tower`.
//!
//! # What a server answers by itself
//!
//! | the call | the answer |
//! |---|---|
//! | RPC version other than 2 | RPC_MISMATCH {2, 2} |
//! | credential malformed or longer than 400 bytes | AUTH_ERROR, AUTH_BADCRED |
//! | credential of a flavor that the [`Authenticator`] does not accept | AUTH_ERROR, AUTH_REJECTEDCRED |
//! | verifier malformed or longer than 400 bytes | AUTH_ERROR, AUTH_BADVERF |
//! | unknown program; another version of it | PROG_UNAVAIL; PROG_MISMATCH {low, high} |
//! | unknown procedure, or one that is not active in this session | PROC_UNAVAIL |
//! | procedure 0 | success, no results |
//! | arguments that do not decode | GARBAGE_ARGS |
//! | handler panics, or its reply exceeds a bound, or a layer in front of it refuses | SYSTEM_ERR |
//!
//! The connection survives all of these. It is closed for broken framing, a message too short for an xid
//! and a message type, a message that is neither call nor reply, and a reply to a call that was never made.
//! Why a call got SYSTEM_ERR is told to the server's `tracing` log only.

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation),
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(any(feature = "tokio", test))]
extern crate std;
// The derives name this crate `::rpc_frame`.
extern crate self as rpc_frame;

mod auth; //       OpaqueAuth and the flavors that are known
mod message; //    calls and replies
mod record; //     record marking over a byte stream
mod reply; //      results on their way into a record
mod connection; // the engine of both roles
mod procedure; //  what derived messages say of themselves
mod authenticate; // who calls
mod session; //    what a connection remembers, and the policy over its calls
mod table; //      a program's procedures, and the way to their methods
mod program; //    tables with their services, several in one server
mod answer; //     the order of checks, and what is answered without user code
#[cfg(feature = "tokio")]
pub mod tokio; //  client and server on tokio
#[cfg(feature = "tower")]
pub mod tower; //  both as services, for other people's layers

/// The codec that messages are made with.
pub use xdr_core as xdr;
pub use xdr_derive::ProcedureTable;

pub use answer::{Answer, Rules, check};
pub use auth::{AuthFlavor, AuthShort, AuthSys, AuthSysRef, Credential, MAX_AUTH_BYTES, OpaqueAuth, OpaqueAuthRef};
pub use authenticate::{AcceptClaims, Authenticated, Authenticator, Identity};
pub use connection::{
    ClientConnection, Connection, ConnectionConfig, ConnectionError, Event, IncomingCall, IncomingReply, Malformed,
    Outcome, OutgoingCall, RecordNotWritten, ServerConnection,
};
pub use message::{
    AcceptStatus, AcceptedReply, AuthStat, CallBody, CallBodyRef, Message, MessageBody, RPC_VERSION, RejectedReply,
    ReplyBody,
};
pub use procedure::{Procedure, ProcedureInfo};
pub use program::{Either, Found, Program, Programs, program};
pub use record::{MAX_FRAGMENT, RecordError, RecordReader, write_record_mark};
pub use reply::{EncodeReply, ReplyEncoder};
pub use session::{ActivationPolicy, Context, Peer, Policy, Session, Verdict};
pub use table::{Dispatch, ProcedureTable, Refusal, Undispatched};

/// What derived code calls, and nobody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::table::{decode_args, first_with_number, has_number, is_ever_there, sorted_by_number};
    pub use core::clone::Clone;
    pub use core::fmt::Debug;
    pub use core::future::Future;
    pub use core::marker::{Copy, Send, Sync};
    pub use core::primitive::{str, u32};
    pub use core::result::Result::{self, Err, Ok};
    pub use core::{assert, stringify};
}
