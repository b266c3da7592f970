//! The way to a daemon.

use std::io;
use std::path::{Path, PathBuf};

use rpc_frame::Programs;
use rpc_frame::tokio::{Client, Stream};
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, UnixStream};

use crate::uri::{ConnectUri, NoSocket, Transport};

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
    /// Nobody knows the socket.
    #[error(transparent)]
    NoSocket(#[from] NoSocket),
    /// This program cannot go that way.
    #[error("transport '{0}' is not built into this program")]
    Transport(&'static str),
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
    Ok(Client::new(channel(uri).await?))
}

/// Connects to the daemon of a URI, and serves these programs to it, for instance
/// [`GuestEvents`](crate::events::GuestEvents).
///
/// # Errors
/// When nobody answers there.
pub async fn connect_serving<P: Programs>(uri: &ConnectUri, programs: P) -> Result<Client, ConnectError> {
    Ok(Client::serving(channel(uri).await?, programs))
}

/// A byte stream to a daemon.
type Channel = Box<dyn Stream>;

async fn channel(uri: &ConnectUri) -> Result<Channel, ConnectError> {
    Ok(match &uri.transport {
        Transport::InProcess => Box::new(in_process(uri)?),
        Transport::Unix { .. } => Box::new(unix(&uri.socket(false)?).await?),
        Transport::Tcp { host, port } => Box::new(tcp(host, *port).await?),
        Transport::Tls { .. } => return Err(ConnectError::Transport("tls")),
        Transport::Ssh(_) => return Err(ConnectError::Transport("ssh")),
        Transport::Ext { .. } => return Err(ConnectError::Transport("ext")),
    })
}

async fn unix(socket: &Path) -> Result<UnixStream, ConnectError> {
    let failed = |source| ConnectError::Unix { socket: socket.to_owned(), source };
    UnixStream::connect(socket).await.map_err(failed)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let connected = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    connected.await.map_err(|source| ConnectError::Tcp { host: host.to_owned(), port, source })
}

#[cfg(feature = "daemon")]
fn in_process(_: &ConnectUri) -> Result<DuplexStream, ConnectError> {
    use crate::daemon::Daemon;
    use crate::driver::test::TestDriver;

    // `test` is the only driver that a URI without transport can name.
    let driver = TestDriver::with_defaults().map_err(ConnectError::Driver)?;
    let server = Daemon::new(std::sync::Arc::new(driver)).into_server(rpc_frame::tokio::ServerConfig::default());
    Ok(server.connect_in_memory())
}

#[cfg(not(feature = "daemon"))]
fn in_process(uri: &ConnectUri) -> Result<DuplexStream, ConnectError> {
    Err(ConnectError::NotBuiltIn(uri.driver.clone()))
}
