//! Where connections come from.

use std::future::Future;
use std::io;

use ::tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Stream;
use super::silence::{SILENCE, keep_alive};
use crate::session::Peer;

/// A source of connections: TCP and unix listeners, or one of your own.
///
/// A socket that was passed to this process, as systemd does, is a listener of std: tokio's is made of it with `from_std`,
/// once it does not block.
///
/// ```
/// # async fn serve<P: rpc_frame::Programs>(server: rpc_frame::tokio::Server<P>) -> std::io::Result<()> {
/// # let passed = std::net::TcpListener::bind("127.0.0.1:0")?;
/// passed.set_nonblocking(true)?;
/// server.serve(tokio::net::TcpListener::from_std(passed)?).await;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of connections",
    label = "not a `Listener`",
    note = "it takes tokio's `TcpListener` or `UnixListener`, what this crate puts around them, or an implementation of your own",
    note = "a listener of `std::net` or `std::os::unix::net` becomes tokio's with `set_nonblocking(true)` and `from_std`"
)]
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: Stream;

    /// The next connection, and who is at its other end.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Peer)>> + Send;

    /// Whether peers are offered TLS on connections that begin in clear text (RFC 9289): AUTH_TLS on anything but NULL gets
    /// AUTH_BADCRED there. A listener around another one says what that one does. No, unless you say so.
    fn offers_tls(&self) -> bool {
        false
    }
}

/// Connections whose peers have gone without a word, with their machines or their networks, are closed after
/// [`SILENCE`](super::SILENCE) without a sign of life, as long as nothing is under way to them.
impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        // Replies leave in whole writes already; waiting to fill a packet would only delay them. Some systems refuse both to
        // a connection that its peer has reset by now, which is no reason to accept no further ones for a while.
        if let Err(error) = stream.set_nodelay(true).and_then(|()| keep_alive(&stream, SILENCE)) {
            tracing::debug!(peer = %address, %error, "cannot set up a connection");
        }
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let credentials = stream.peer_cred()?;
        let peer = Peer::Unix { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
        Ok((stream, peer))
    }
}
