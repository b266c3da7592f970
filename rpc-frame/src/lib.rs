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
//! With the feature `tokio` the module `tokio` has a daemon from its sockets to its end.
//!
//! # Procedures
//!
//! What `#[rpc(…)]` says of a message, on the message or, where one serves several procedures, on the table's variant:
//!
//! | key | what it does |
//! |---|---|
//! | `program`, `version`, `proc` | the numbers |
//! | `reply = Type` | what comes back; nothing (void) without it |
//! | `oneway` | no reply at all: `tokio::Client::send` instead of `call` |
//! | `idempotent` | it may run twice: `tokio::ReconnectingClient` and `tower::RetryIdempotent` may send it again |
//! | `read_only` | allowed on read-only channels, where all others are AUTH_TOOWEAK: [`Session::restrict_to_read_only`] |
//! | `auth` | AUTH_NONE is AUTH_TOOWEAK |
//! | `since = N`, `until = N` | exists in sessions of these minor versions, and is PROC_UNAVAIL elsewhere: [`Session::negotiate_minor`] |
//! | `time_limit = duration` | how long its handler may take, in the place of the server's limit |
//! | `crate = path` | where `rpc_frame` is, if it has another name |
//!
//! What `read_only`, `auth`, `since` and `until` do is the default [`Policy`]'s doing. All keys of `#[xdr(…)]` are with
//! [`Xdr`](xdr::Xdr).
//!
//! # Dependencies
//!
//! `#[derive(Xdr)]` names the crate `xdr_core`, so a package with messages depends on `xdr-core` beside `rpc-frame`. One that
//! depends on `rpc-frame` alone says on each of its types where the codec is, and its tables need nothing:
//!
//! ```
//! use rpc_frame::xdr::Xdr;
//!
//! #[derive(Xdr)]
//! #[xdr(crate = rpc_frame::xdr)]
//! #[rpc(program = 0x2000_0042, version = 1, proc = 2)]
//! struct Leave;
//! ```
//!
//! # From a `.x` file
//!
//! ```
//! mod version1 {
//!     use rpc_frame::{Context, ProcedureTable};
//!     use xdr_core::Xdr;
//!
//!     /// `typedef string name<255>;`
//!     #[derive(Debug, Clone, Xdr)]
//!     #[xdr(transparent)]
//!     pub struct Name(#[xdr(max = 255)] pub String);
//!
//!     /// `program MONITOR { version MONITOR_V1 { … } = 1; } = 0x20000043;`
//!     #[derive(ProcedureTable)]
//!     #[rpc(program = 0x2000_0043, version = 1, service = MonitorService)]
//!     pub enum Monitor {
//!         /// `int WATCH(name) = 1;`
//!         #[rpc(proc = 1, reply = i32)]
//!         Watch(Name),
//!         /// `void FORGET(name) = 2;`
//!         #[rpc(proc = 2)]
//!         Forget(Name),
//!         /// `int STATE(void) = 3;`
//!         #[rpc(proc = 3, reply = i32)]
//!         State(()),
//!     }
//!
//!     pub struct Idle;
//!
//!     impl MonitorService for Idle {
//!         async fn watch(&self, _cx: &Context, _name: Name) -> i32 { 1 }
//!         async fn forget(&self, _cx: &Context, _name: Name) {}
//!         async fn state(&self, _cx: &Context, _: ()) -> i32 { 7 }
//!     }
//! }
//!
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_frame::tokio::{Client, Server};
//! use version1::{Idle, Monitor, Name};
//!
//! let client = Client::new(Server::new(rpc_frame::program::<Monitor, _>(Idle)).connect_in_memory());
//! client.call_procedure::<version1::Forget>(&Name("ada".into())).await?;
//! assert_eq!(client.call_procedure::<version1::State>(&()).await?, 7);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! A line with keys of its own makes a type of its name, by which clients call it: several lines may have one message, and a
//! message may be any type with an XDR form. Versions have their procedures' names in common, so each table has a module.
//! Procedure 0 stands in no table: every program answers it, and `tokio::Client::null` calls it. How the types of a `.x` file
//! are written stands in the documentation of `xdr_core`.
//!
//! # Without tokio
//!
//! The engines do no input and output of their own: [`Connection`] takes bytes and time and gives bytes
//! and events, [`DatagramClient`] and [`DatagramServer`] the same in datagrams. Without features the crate is `no_std` with
//! `alloc`. The example `threads` of the package `rpc-examples` is a server and a client on blocking sockets.
//!
//! # Features
//!
//! `tokio` adds a client and a server on tokio. `rpcbind` adds the messages of rpcbind, which knows where the programs of
//! a machine listen, and a client of it with which servers register themselves. `tls` adds channels with certificates on
//! both sides, `tower` services for other people's layers.
//!
//! # Both ways
//!
//! One connection carries calls in both directions; their xids are kept apart. With the feature `tokio`:
//!
//! | the wish | the way |
//! |---|---|
//! | a handler calls its caller, now or later | [`Context::client`](crate::Context) |
//! | a client answers the calls of its server | `tokio::Client::serving` |
//! | a message without a reply | `#[rpc(…, oneway)]` and `tokio::Client::send`; by UDP `tokio::UdpClient::send`, which may be lost |
//!
//! A handler that waits for its caller keeps its place among the calls in flight, and the replies to it are read
//! however many those are. If the caller's handlers call back in turn, and so on, all places of both ends can wait for
//! each other; the deadlines of the calls end that.
//!
//! # When a connection is lost
//!
//! Each call that waits ends at once. `CallError::may_have_run` tells whether the server can have got all of it, which
//! is known to the byte. `tokio::ReconnectingClient` opens another connection for the next call, and sends
//! again what has not run, or may run twice because its procedure is marked `idempotent`.
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
//! | AUTH_TLS inside TLS (feature `tls`), or on anything but NULL where TLS is offered | AUTH_ERROR, AUTH_BADCRED |
//! | credential of a flavor that the [`Authenticator`] does not accept | AUTH_ERROR, AUTH_REJECTEDCRED |
//! | verifier malformed or longer than 400 bytes | AUTH_ERROR, AUTH_BADVERF |
//! | unknown program; another version of it | PROG_UNAVAIL; PROG_MISMATCH {low, high} |
//! | unknown procedure, or one that is not active in this session | PROC_UNAVAIL |
//! | procedure 0 | success, no results |
//! | arguments that do not decode | GARBAGE_ARGS |
//! | handler or the encoder of its reply panics, or it takes too long, or its reply exceeds a bound, or a layer in front of it refuses | SYSTEM_ERR |
//! | [`Policy`] or [`Authenticator`] panics | by UDP SYSTEM_ERR; elsewhere none, the connection ends |
//! | `oneway`, from the arguments on | nothing |
//!
//! The connection survives all the others. It is closed for broken framing, a message too short for an xid
//! and a message type, a message that is neither call nor reply, and a reply to a call that was never made.
//! Why a call got SYSTEM_ERR is told to the server's `tracing` log only.
//!
//! # The log
//!
//! With the feature `tokio` a server writes to `tracing`, in a span of its connection (`connection`, with the peer, at INFO)
//! and of its call (`call`, with xid, procedure, peer and caller, at DEBUG):
//!
//! | what | level |
//! |---|---|
//! | handlers that panic or take too long, replies that exceed a bound or whose encoding or dropping panics, policies and authenticators that panic by UDP (elsewhere only the panic hook tells of them), connections whose TLS handshake panics | ERROR |
//! | connections that are refused (by a `PeerLimit`, or because TLS did not begin as it has to) or cannot be accepted, sockets that cannot be read, calls that a layer refuses | WARN |
//! | what a shutdown has cut off | WARN |
//! | connections that open and close and why, calls that are refused with another answer than SYSTEM_ERR, replies that nobody waits for | DEBUG |
//!
//! Of the lines that peers can cause as often as they like, those at ERROR and WARN are bounded: ten of a kind are written at
//! once, and then one a second, with the number of those that were left out. `tokio::LogLimit` does that for lines of your
//! own. What Rust says of each panic on stderr is the panic hook's, and not bounded.
//!
//! # UDP
//!
//! The same programs are served to datagrams, one message in each, by `Server::serve_udp`, and called by `UdpClient`;
//! [`DatagramServer`] and [`DatagramClient`] are their engines. A client sends a call again, with the same xid and at growing
//! intervals, until its reply comes. A server keeps its replies by peer, xid and a keyed hash of the call's body: a call
//! that comes again gets the same reply, and is dropped while it is in progress.
//!
//! The answers are those of the table, except that nobody is answered who may not have called: a header, credential or
//! verifier that is cut off or too long, a reply, and whatever else is no call are dropped. So is a call beyond the cap on
//! calls in flight, which its client sends again. A reply that is too long for a datagram becomes SYSTEM_ERR.
//!
//! What UDP does not give:
//!
//! - No security. There is no TLS over UDP: DTLS is not supported, and a client that asks for it gets an error. A sender's address is easily forged, so a server can be
//!   made to send replies to somebody who did not call; where they are much longer than the calls, serve only networks that
//!   you trust. A client believes a reply whose address and xid are those of a call.
//! - No promise that a procedure runs at most once. The kept replies are bounded in number, bytes and time, and all are
//!   gone with the server. Where there are too many, those of the address that holds most go first; who forges addresses
//!   can push out those of others all the same. Mark what may run twice as `idempotent`, and call
//!   the rest by TCP where that matters.
//! - No long messages: at most [`MAX_DATAGRAM`] bytes, header included. Longer than the path's MTU, datagrams travel in
//!   fragments, and one lost fragment loses all.
//! - No reply from the address that was called, where a machine has several, the socket is bound to all of them, and the
//!   system is neither Linux nor Android: the client passes it over. Serve a socket for each address there.
//! - No session. Each call has one of its own, at minor version 0, because the next datagram from an address may be
//!   anybody's.
//! - No congestion control but the growing intervals. Limit your calls in flight yourself.
//! - No sign that a server is not there. A call ends when its tries or its time are spent.

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
mod counters; //   how many calls came, and to what end
mod datagram; //   the engines of both roles for messages in datagrams
mod procedure; //  what derived messages say of themselves
mod authenticate; // who calls
mod caller; //     the caller of a call, and the one that a connection knows
mod context; //    what a handler knows of its call
mod session; //    what a connection remembers, and the policy over its calls
mod table; //      a program's procedures, and the way to their methods
mod program; //    tables with their services, several in one server
mod answer; //     the order of checks, and what is answered without user code
#[cfg(feature = "tokio")]
pub mod tokio; //  client and server on tokio
#[cfg(feature = "tls")]
pub mod tls; //    certificates, and channels that they protect
#[cfg(feature = "rpcbind")]
pub mod rpcbind; // who listens where
#[cfg(feature = "tower")]
pub mod tower; //  both as services, for other people's layers

#[cfg(all(test, feature = "tokio"))]
#[path = "../tests/log/mod.rs"]
mod log; // what tests see of the log

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
pub use context::Context;
pub use counters::CallCounters;
pub use datagram::{
    CallId, DatagramCall, DatagramClient, DatagramClientConfig, DatagramServer, DatagramServerConfig, MAX_DATAGRAM,
    Transmit,
};
pub use message::{
    AcceptStatus, AcceptedReply, AuthStat, CallBody, CallBodyRef, Message, MessageBody, RPC_VERSION, RejectedReply,
    ReplyBody,
};
pub use procedure::{OnewayProcedure, Procedure, ProcedureInfo};
pub use program::{Either, Found, Program, Programs, program};
pub use record::{MAX_FRAGMENT, RecordError, RecordReader, write_record_mark};
pub use reply::{EncodeReply, ReplyEncoder};
pub use session::{ActivationPolicy, Peer, Policy, Session, Verdict};
pub use table::{Dispatch, ProcedureTable, Refusal, Undispatched};

/// What derived code calls, and nobody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::procedure::Line;
    pub use crate::table::{decode_args, first_with_number, has_number, is_ever_there, sorted_by_number};
    pub use core::clone::Clone;
    pub use core::fmt::Debug;
    pub use core::future::Future;
    pub use core::marker::{Copy, Send, Sync};
    pub use core::primitive::{str, u32};
    pub use core::result::Result::{self, Err, Ok};
    pub use core::{assert, stringify};
}
