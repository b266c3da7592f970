//! UDP: one datagram a message.

mod client; //  calls, and the task that drives their socket
mod addressed; // a server's socket, and to which address datagrams came
mod server; //  a socket's calls, their handlers and replies

#[cfg(feature = "tower")]
pub(crate) use client::Call;
pub use client::UdpClient;
pub(super) use server::serve;

use std::io;

/// Datagrams, and rounds of work, that a socket takes before it lets others have their turn.
const DATAGRAMS_A_TURN: usize = 64;

/// Whether a socket's error is only the news that a datagram sent before has reached nobody.
fn is_about_the_last(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
