//! The guest protocol: libvirt's QEMU daemon protocol of 2007 as its review asked for it.
//!
//! Everything on the wire is an annotated type in [`messages`]; SunRPC headers come from `rpc-frame`.
//! A client needs no more than those types:
//!
//! ```
//! # #[cfg(feature = "programs")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use qemud_proto::messages::{DomainLookupByName, ListDomains};
//!
//! let client = qemud_proto::client::connect(&"test:///default".parse()?).await?;
//! let domains = client.call(&ListDomains).await??;
//! assert_eq!(domains.ids, [1]);
//! let failure = client.call(&DomainLookupByName { name: "nobody".into() }).await?.unwrap_err();
//! assert_eq!(failure.to_string(), "NoDomain (42): no domain with name 'nobody'");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "programs"))]
//! # fn main() {}
//! ```
//!
//! | feature | gives |
//! |---|---|
//! | `client` | [`client::connect`], [`uri::ConnectUri`] and what leads to one |
//! | `ssh` | the transports `ssh` and `ext`, through programs |
//! | `tls` | the transport `tls` on both sides, and [`pki`] |
//! | `daemon` | [`daemon::Daemon`], the drivers' trait and the driver `test` |
//! | `qemu` (default) | [`driver::qemu`], domains that are processes of QEMU |
//! | `libvirt` | the driver for all that libvirt manages; needs its C library |
//! | `programs` (default) | `guestd` and `guestctl` |

pub mod identity; // UUIDs
pub mod characters; // those that change how a text is shown
pub mod failure; //  what a procedure answers when it cannot do what it was asked
pub mod messages; // the protocol: messages and table
pub mod events; //   what the daemon tells of its own accord: messages and table
#[cfg(any(feature = "client", feature = "daemon"))]
pub mod uri; //      where a daemon is
#[cfg(feature = "client")]
pub mod configuration; // where a program's configuration is
#[cfg(feature = "tls")]
pub mod pki; //      where certificates are
#[cfg(feature = "client")]
pub mod client; //   the way there
#[cfg(feature = "daemon")]
pub mod xml; //      descriptions of domains and networks
#[cfg(feature = "daemon")]
pub mod driver; //   what stands behind the procedures
#[cfg(feature = "daemon")]
pub mod daemon; //   negotiation, policy, and the way to a driver
