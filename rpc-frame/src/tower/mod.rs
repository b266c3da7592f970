//! Client and server as [`tower`](https://docs.rs/tower) services, so that timeouts, retries, limits, balancing and
//! tracing are other people's layers.
//!
//! # Clients
//!
//! A [`Client`](crate::tokio::Client) is a service of each message that is a procedure, of [`Request`] where a
//! message serves several, and of [`RawCall`], whose arguments and results are bytes; so is a
//! [`UdpClient`](crate::tokio::UdpClient). [`Connector`] makes clients for `tower::reconnect` and discovery, and
//! [`RetryIdempotent`] says which calls may be made again.
//!
//! A balancer is a service of one type, which for calls to many procedures is [`RawCall`]; [`Typed`] around it takes
//! messages again. The example `balance` shows all of this at work.
//!
//! ```
//! # use rpc_frame::{Context, ProcedureTable, program, tokio::{Client, Server}};
//! # use xdr_core::Xdr;
//! # #[derive(Debug, Clone, Xdr)]
//! # #[rpc(program = 9, version = 1, proc = 1, reply = u32, idempotent)]
//! # struct Double { number: u32 }
//! # #[derive(ProcedureTable)]
//! # #[rpc(program = 9, version = 1, service = MathService)]
//! # enum Math { Double(Double) }
//! # struct Doubler;
//! # impl MathService for Doubler {
//! #     async fn double(&self, _: &Context, args: Double) -> u32 { args.number * 2 }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower::BoxError> {
//! use std::time::Duration;
//! use rpc_frame::tower::{RetryIdempotent, layered};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! // At most two calls at a time in all, and none for longer than a second.
//! let layer = ServiceBuilder::new().concurrency_limit(2).timeout(Duration::from_secs(1));
//! let server = Server::new(layered(program::<Math, _>(Doubler), layer));
//!
//! let client = ServiceBuilder::new()
//!     .retry(RetryIdempotent::new(3))
//!     .timeout(Duration::from_secs(5))
//!     .service(Client::new(server.connect_in_memory()));
//! for number in 1..=3 {
//!     assert_eq!(client.clone().oneshot(Double { number }).await?, 2 * number);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A clone for each call, as the connection is shared: since one client is a service of every message, `client.ready()` alone
//! does not tell of which it is to be ready (`type annotations needed`); `ServiceExt::<Double>::ready(&mut client)` does.
//!
//! # Servers
//!
//! [`layered`] puts a layer around programs. It sees each call as [`Dispatched`]: the context, with the procedure's
//! name and the caller, and the arguments as bytes.

mod call; //      what is called: messages, markers, bytes
mod client; //    a client as a service of each
mod typed; //     messages over a service of bytes
mod connector; // clients for reconnecting and discovery
mod retry; //     which calls may be made again
mod layered; //   programs behind a layer
mod cause; //     errors that layers have wrapped

pub use call::{Invocation, RawCall, Request};
pub use client::{RawReplying, Replying};
pub use connector::Connector;
pub use layered::{Dispatched, Dispatcher, Layered, layered};
pub use retry::{NoBackoff, RetryIdempotent, may_repeat};
pub use typed::Typed;
