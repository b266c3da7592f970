//! The way to a daemon.

mod error; //   why there is no connection
#[cfg(feature = "ssh")]
mod program; // ssh, and any other program that leads to a daemon

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::path::Path;

use rpc_frame::tokio::{CallError, Client, SILENCE, Stream, notice_silence};
use rpc_frame::{Procedure, Programs};
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, UnixStream};

pub use self::error::ConnectError;
#[cfg(feature = "ssh")]
use self::program::{Command, Program};
#[cfg(not(feature = "ssh"))]
use self::without_programs::Program;
use crate::messages::{Negotiate, OPEN_READ_ONLY, Open};
#[cfg(feature = "tls")]
use crate::uri::Certificates;
use crate::uri::{ConnectUri, Transport};

/// The version of the program, and the minor version that opens URIs.
const VERSION: Negotiate = Negotiate { major: <Open as Procedure>::VERSION, minor: 1 };

/// Connects to the daemon of a URI and has it open the URI. `test:///default` is served inside this process, through
/// the same engine and the same bytes.
///
/// A daemon of minor version 0, which opens nothing, serves its default driver.
///
/// # Errors
/// When nobody answers there, or the daemon does not open the URI.
pub async fn connect(uri: &ConnectUri) -> Result<Client, ConnectError> {
    let (channel, program) = channel(uri).await?;
    open(Client::new(channel), uri, program).await
}

/// Connects to the daemon of a URI, and serves these programs to it, for instance
/// [`GuestEvents`](crate::events::GuestEvents).
///
/// # Errors
/// As [`connect`].
pub async fn connect_serving<P: Programs>(uri: &ConnectUri, programs: P) -> Result<Client, ConnectError> {
    let (channel, program) = channel(uri).await?;
    open(Client::serving(channel, programs), uri, program).await
}

/// A byte stream to a daemon.
type Channel = Box<dyn Stream>;

/// A byte stream to the daemon, and the program that it goes through.
async fn channel(uri: &ConnectUri) -> Result<(Channel, Option<Program>), ConnectError> {
    let channel: Channel = match &uri.transport {
        Transport::InProcess => Box::new(in_process(uri)?),
        Transport::Unix { .. } => Box::new(unix(&uri.socket()?).await?),
        Transport::Tcp { host, port } => Box::new(tcp(host, *port).await?),
        #[cfg(feature = "tls")]
        Transport::Tls { host, port, certificates, verify } => Box::new(tls(host, *port, certificates, *verify).await?),
        #[cfg(not(feature = "tls"))]
        Transport::Tls { .. } => return Err(ConnectError::Transport("tls")),
        #[cfg(feature = "ssh")]
        Transport::Ssh(ssh) => return through(Command::ssh(ssh, uri)),
        #[cfg(feature = "ssh")]
        Transport::Ext { command } => return through(Command::new(command)),
        #[cfg(not(feature = "ssh"))]
        Transport::Ssh(_) => return Err(ConnectError::Transport("ssh")),
        #[cfg(not(feature = "ssh"))]
        Transport::Ext { .. } => return Err(ConnectError::Transport("ext")),
    };
    Ok((channel, None))
}

#[cfg(feature = "ssh")]
fn through(command: Command) -> Result<(Channel, Option<Program>), ConnectError> {
    let (channel, program) = command.run()?;
    Ok((Box::new(channel), Some(program)))
}

/// What stands for a program where none can be run.
#[cfg(not(feature = "ssh"))]
mod without_programs {
    use rpc_frame::tokio::CallError;

    use super::ConnectError;

    pub(super) enum Program {}

    impl Program {
        pub(super) fn has_led(self) {
            match self {}
        }

        pub(super) async fn failed(self, _: CallError) -> ConnectError {
            match self {}
        }
    }
}

/// Connects to a unix socket: at a path, or an abstract one (`@name`).
///
/// # Errors
/// When nobody listens there, or we may not connect.
pub async fn unix(socket: &Path) -> Result<UnixStream, ConnectError> {
    let failed = |source| ConnectError::Unix { socket: socket.to_owned(), source };
    match socket.to_str().and_then(|socket| socket.strip_prefix('@')) {
        Some(name) => abstract_socket(name).map_err(failed),
        None => UnixStream::connect(socket).await.map_err(failed),
    }
}

/// A socket without a file, which is there or not at once.
fn abstract_socket(name: &str) -> io::Result<UnixStream> {
    let stream = net::UnixStream::connect_addr(&net::SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let connected = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // Otherwise what waits for events would wait for ever for a daemon whose machine is gone.
        if let Err(error) = notice_silence(&stream, SILENCE) {
            tracing::debug!(%error, "a silent daemon is missed late");
        }
        Ok(stream)
    };
    connected.await.map_err(|source| ConnectError::Tcp { host: host.to_owned(), port, source })
}

#[cfg(feature = "tls")]
async fn tls(
    host: &str,
    port: u16,
    certificates: &Certificates,
    verify: bool,
) -> Result<rpc_frame::tls::TlsStream<TcpStream>, ConnectError> {
    let failed = |source| ConnectError::Tls { host: host.to_owned(), port, source };
    let builder = rpc_frame::tls::ClientTls::builder(crate::pki::client(certificates));
    let builder = if verify { builder } else { builder.dangerous_no_verify() };
    // What is wrong with our own files is told before anybody is called.
    let tls = builder.build().map_err(failed)?;
    tls.connect(tcp(host, port).await?, host).await.map_err(failed)
}

/// Has the daemon open the URI. Where the connection is lost meanwhile, the program that it goes through knows more.
async fn open(client: Client, uri: &ConnectUri, program: Option<Program>) -> Result<Client, ConnectError> {
    match (negotiate_and_open(&client, uri).await, program) {
        (Ok(()), program) => {
            program.into_iter().for_each(Program::has_led);
            Ok(client)
        }
        (Err(ConnectError::Call(source @ (CallError::Closed(_) | CallError::NotConnected(_)))), Some(program)) => {
            drop(client);
            Err(program.failed(source).await)
        }
        (Err(error), _) => Err(error),
    }
}

async fn negotiate_and_open(client: &Client, uri: &ConnectUri) -> Result<(), ConnectError> {
    let active = match client.call(&VERSION).await {
        Ok(negotiated) => negotiated.map_err(ConnectError::Refused)?.active,
        // What it opens by itself has to do.
        Err(CallError::ProcUnavail { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if active.contains(&Open::NUMBER) {
        let flags = if uri.read_only { OPEN_READ_ONLY } else { 0 };
        return client.call(&Open { uri: uri.remote.clone(), flags }).await?.map_err(ConnectError::Refused);
    }
    // Of the sockets with a place of their own, the machine's daemon has one that is read-only; a session's has none.
    let is_read_only = matches!(uri.transport, Transport::Unix { socket: None }) && !uri.is_of_session();
    if uri.read_only && !is_read_only {
        return Err(ConnectError::NotReadOnly);
    }
    Ok(())
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
