//! The way to a daemon.

use std::io;
use std::path::PathBuf;

use rpc_frame::tokio::Client;

use crate::uri::{ConnectUri, Transport};

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
    /// The driver cannot be served inside this process.
    #[error("driver '{0}' is not built into this program; connect to a daemon")]
    NotBuiltIn(String),
    /// The driver does not start.
    #[error("driver does not start: {0}")]
    Driver(crate::failure::Failure),
}

/// Connects to the daemon of a URI. `test:///default` is served inside this process, through the same engine
/// and the same bytes.
///
/// # Errors
/// When nobody answers there.
pub async fn connect(uri: &ConnectUri) -> Result<Client, ConnectError> {
    match &uri.transport {
        Transport::InProcess => in_process(uri),
        Transport::Unix { socket } => {
            Client::connect_unix(socket).await.map_err(|source| ConnectError::Unix { socket: socket.clone(), source })
        }
        Transport::Tcp { host, port } => Client::connect_tcp((host.as_str(), *port))
            .await
            .map_err(|source| ConnectError::Tcp { host: host.clone(), port: *port, source }),
    }
}

#[cfg(feature = "daemon")]
fn in_process(_: &ConnectUri) -> Result<Client, ConnectError> {
    use crate::daemon::Daemon;
    use crate::driver::test::TestDriver;

    // `test` is the only driver that a URI without transport can name.
    let driver = TestDriver::with_defaults().map_err(ConnectError::Driver)?;
    let server = Daemon::new(std::sync::Arc::new(driver)).into_server(rpc_frame::tokio::ServerConfig::default());
    Ok(Client::new(server.connect_in_memory()))
}

#[cfg(not(feature = "daemon"))]
fn in_process(uri: &ConnectUri) -> Result<Client, ConnectError> {
    Err(ConnectError::NotBuiltIn(uri.driver.clone()))
}
