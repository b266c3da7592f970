//! The engines for datagrams: each holds one message, without a record mark (RFC 5531 §11 is for streams).
//!
//! As [`Connection`](crate::Connection), they do no input and output of their own. [`DatagramClient`] sends a call
//! again until its reply comes; [`DatagramServer`] keeps its replies, so that a call which comes twice is not
//! executed twice. What one end cannot use it passes over: no datagram ends anything but the call that it answers.

mod config; // what an engine may cost
mod client; // our calls, sent again until they are answered
mod cache; //  replies that may have to be sent again
mod shares; // who holds how much of them
mod server; // the peers' calls and our replies

use core::net::{IpAddr, SocketAddr};

use xdr_core::Bytes;

pub use self::cache::CallId;
pub use self::client::DatagramClient;
pub use self::config::{DatagramClientConfig, DatagramServerConfig};
pub use self::server::{DatagramCall, DatagramServer};

/// The longest message in one datagram, in bytes: what IPv4 leaves of 65,535 behind its header and that of UDP.
pub const MAX_DATAGRAM: usize = 65_507;

/// A datagram to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The address of ours that it is sent from; none where that is the socket's to choose.
    pub from: Option<IpAddr>,
    /// One message.
    pub datagram: Bytes,
}
