//! Why there is no connection.

use std::io;
use std::path::PathBuf;

use rpc_frame::tokio::CallError;

use crate::failure::Failure;
use crate::uri::NoSocket;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody answers at the socket.
    #[error("cannot connect to the socket '{}': {source}", .socket.display())]
    Unix {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody answers at the address.
    #[error("cannot connect to {host} port {port}: {source}")]
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// There is no channel with TLS.
    #[cfg(feature = "tls")]
    #[error("no TLS with {host} port {port}: {source}")]
    Tls {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        source: rpc_frame::tls::TlsError,
    },
    /// Nobody knows the socket.
    #[error(transparent)]
    NoSocket(#[from] NoSocket),
    /// The program that should lead to the daemon does not start.
    #[error("cannot run '{}': {source}", .program.display())]
    NotRun {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The program that should lead to the daemon has ended, or its connection.
    #[error("'{}' does not lead to a daemon: {}", .program.display(), if .said.is_empty() { "it says nothing" } else { .said })]
    Program {
        /// The program.
        program: PathBuf,
        /// What it wrote to its standard error, at most the last 8 KiB.
        said: String,
        /// What became of the first call.
        source: CallError,
    },
    /// This program cannot go that way.
    #[error("transport '{0}' is not built into this program")]
    Transport(&'static str),
    /// The driver cannot be served inside this process.
    #[error("driver '{0}' is not built into this program; connect to a daemon")]
    NotBuiltIn(String),
    /// The driver does not start.
    #[error("driver does not start: {0}")]
    Driver(Failure),
    /// The daemon cannot be called.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The daemon does not open the URI.
    #[error(transparent)]
    Refused(Failure),
    /// The daemon is too old for sessions that change nothing, and its socket is not read-only.
    #[error("the daemon cannot open a connection read-only")]
    NotReadOnly,
}
