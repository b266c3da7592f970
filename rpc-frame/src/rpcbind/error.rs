//! What can go wrong with rpcbind.

use std::boxed::Box;
use std::io;
use std::string::String;
use std::time::Duration;

use super::address::AddressError;
use super::service::Service;
use crate::tokio::CallError;

/// Why rpcbind did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcbindError {
    /// Nobody listens there.
    #[error("cannot reach rpcbind at {endpoint}: {source}")]
    Unreachable {
        /// The socket.
        endpoint: String,
        /// Why not.
        source: io::Error,
    },
    /// It took too long.
    #[error("rpcbind did not answer within {0:?}")]
    TimedOut(Duration),
    /// rpcbind refused to register a service. The protocol has no reasons; these are the likely ones.
    #[error(
        "rpcbind refused to register program {} version {} on {} at {}: either another address, or another user, has \
         it already, or the caller did not come through rpcbind's unix socket",
        service.program, service.version, service.netid, service.address
    )]
    Refused {
        /// What was to be registered.
        service: Box<Service>,
    },
    /// The server speaks no version of the protocol that is known here.
    #[error("rpcbind has versions {low} to {high} of its protocol, not 2 to 4")]
    Versions {
        /// The lowest that it has.
        low: u32,
        /// The highest that it has.
        high: u32,
    },
    /// The server is a portmapper, which knows only TCP and UDP on IPv4.
    #[error("rpcbind has only version 2 of its protocol, which cannot say {address:?} on transport {netid:?}")]
    NotInVersion2 {
        /// The transport.
        netid: String,
        /// The address, empty in a lookup.
        address: String,
    },
    /// A call failed.
    #[error("call to rpcbind failed: {0}")]
    Call(#[from] CallError),
    /// The address that rpcbind told is none.
    #[error("rpcbind told a bad address: {0}")]
    Address(#[from] AddressError),
}
