//! rpcbind, which used to be the portmapper: who listens where (RFC 1833).
//!
//! A client asks the rpcbind of a machine for the address of a program; a server tells the rpcbind of its own
//! machine where it listens. [`Rpcbind`] does both, in version 4 of the protocol, or 3, or 2, whichever the daemon
//! has; [`Registration`] keeps a server registered as long as it lives:
//!
//! ```no_run
//! # use rpc_frame::ProcedureTable;
//! # #[derive(xdr_core::Xdr)]
//! # #[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = bool)]
//! # struct Ping;
//! # #[derive(ProcedureTable)]
//! # #[rpc(program = 0x2000_0042, version = 1, service = PingService)]
//! # enum Pings { Ping(Ping) }
//! # struct Pong;
//! # impl PingService for Pong { async fn ping(&self, _: &rpc_frame::Context, _: Ping) -> bool { true } }
//! use rpc_frame::rpcbind::{Registration, Rpcbind, netid};
//! use rpc_frame::tokio::Server;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(rpc_frame::program::<Pings, _>(Pong));
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await?;
//! let rpcbind = Rpcbind::local();
//! let registration = Registration::of_server(&rpcbind, &server, &[listener.local_addr()?], &[]).await?;
//! assert!(rpcbind.address_of(0x2000_0042, 1, netid::TCP).await?.is_some());
//! // … serve …
//! registration.unregister().await?;
//! # Ok(())
//! # }
//! ```
//!
//! rpcbind takes registrations from every user through its unix socket only: there the kernel tells it who calls, and
//! only the owner of an entry, or root, can remove it. By TCP it refuses them, but from the loopback interface where it
//! is lenient; the owner is `unknown` then, whom everybody can be.
//!
//! # The messages
//!
//! All messages of the three versions are here as derived types, with one table a version: [`version2::Portmap`],
//! [`version3::Rpcb3`] and [`version4::Rpcb4`]. They serve a client that needs more than [`Rpcbind`] offers, and a
//! daemon that is an rpcbind itself. The RFC gives its strings, opaque and lists no maximum; the bounds here are this
//! crate's own: [`MAX_NETID`], [`MAX_ADDRESS`], [`MAX_OWNER`], [`MAX_NETBUF`], [`MAX_CALL`] and [`MAX_LIST`].
//!
//! [`Rpcbind`] leaves out what these procedures do: CALLIT, BCAST and INDIRECT, which let rpcbind call a procedure
//! on the caller's behalf (they disguise the caller, amplify traffic, and are switched off in today's daemons; a
//! daemon is also to keep silent where such a call fails, which a connection's server here cannot), GETTIME,
//! UADDR2TADDR and TADDR2UADDR (a socket address has no form that two machines share; [`UniversalAddress`] converts
//! without asking), GETADDRLIST and GETSTAT.

mod address; //      universal addresses
mod rpcb; //         what versions 3 and 4 send
pub mod version2; // the portmapper's messages and table
pub mod version3; // the table of version 3
pub mod version4; // the table of version 4
mod service; //      a registration as plain data, whatever the version
mod error; //        what can go wrong
mod exchange; //     one connection's calls: version 4, or 3, or 2
mod client; //       where rpcbind is, and how long to wait for it
mod registration; // a registration that ends with its value

pub use address::{AddressError, UniversalAddress};
pub use client::Rpcbind;
pub use error::RpcbindError;
pub use registration::Registration;
pub use rpcb::{
    AddressCount, CallCount, CallitArgs, CallitResult, MAX_ADDRESS, MAX_CALL, MAX_LIST, MAX_NETBUF, MAX_NETID,
    MAX_OWNER, Netbuf, Rpcb, RpcbEntry, RpcbEntryList, RpcbList, RpcbStat, RpcbStatByVersion, Uaddr,
};
pub use service::Service;

/// rpcbind's own program number.
pub const PROGRAM: u32 = 100_000;

/// The port of TCP and UDP at which rpcbind listens.
pub const PORT: u16 = 111;

/// The names of transports (RFC 5665 §5.1, `/etc/netconfig`).
pub mod netid {
    /// TCP on IPv4.
    pub const TCP: &str = "tcp";
    /// TCP on IPv6.
    pub const TCP6: &str = "tcp6";
    /// UDP on IPv4.
    pub const UDP: &str = "udp";
    /// UDP on IPv6.
    pub const UDP6: &str = "udp6";
    /// Stream sockets of this machine.
    pub const LOCAL: &str = "local";
}
