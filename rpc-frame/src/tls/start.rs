//! A connection that begins in clear text (RFC 9289): the client asks with AUTH_TLS, the server answers STARTTLS.

use std::boxed::Box;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;

use super::{ClientTls, TlsError};
use crate::auth::{AuthFlavor, OpaqueAuth};
use crate::connection::{Connection, ConnectionConfig, ConnectionError, Event, OutgoingCall, RecordNotWritten};
use crate::message::{RejectedReply, ReplyBody};
use crate::tokio::Stream;

/// The body of the verifier of a server that speaks TLS (RFC 9289 §4.1).
pub(super) const STARTTLS: &[u8] = b"STARTTLS";

/// Longest reply to the probe, in bytes: a header with a whole verifier.
const REPLY_MAX: usize = 1024;

/// Why a connection that began in clear text did not go on in TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartTlsError {
    /// The server answered, but not with STARTTLS.
    #[error("the server does not offer TLS")]
    NotOffered,
    /// The server denied the call.
    #[error("the server does not offer TLS: it denies the call, {0:?}")]
    Denied(RejectedReply),
    /// The probe cannot be written.
    #[error("cannot send the probe: {0}")]
    NotSent(#[source] RecordNotWritten),
    /// The server answered in clear text before TLS stood, and went on: somebody may be in between.
    #[error("{0} bytes of clear text follow the offer of TLS")]
    ClearText(usize),
    /// The server sent something else before it answered.
    #[error("the server does not answer the probe, and sends something else")]
    NoReply,
    /// The server sent no reply to the probe in time.
    #[error("no reply to the probe in time")]
    TimedOut,
    /// The server broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ConnectionError),
    /// The reply cannot be read.
    #[error("cannot decode the reply: {0}")]
    Reply(#[source] xdr_core::DecodeError),
    /// The stream failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server offers TLS, and then there is no channel.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ClientTls {
    /// Asks a server whether it speaks TLS on this connection, with NULL of this program and version, and begins it
    /// with a server whose certificate has this name or address. TLS is 1.3 here.
    ///
    /// Nothing but the question is ever sent in clear text. Any accepted reply with STARTTLS is an offer, also from a
    /// server that does not have the program.
    ///
    /// # Errors
    /// When the server does not offer TLS, or there is no channel then.
    pub async fn start<IO: Stream>(
        &self,
        io: IO,
        host: &str,
        program: u32,
        version: u32,
    ) -> Result<TlsStream<IO>, StartTlsError> {
        match self.ask(io, program, version).await? {
            (io, Ok(())) => Ok(self.begin(io, host).await?),
            (_, Err(why)) => Err(why),
        }
    }

    /// [`start`](Self::start), or clear text where the server does not offer TLS: whoever is in between can prevent it.
    ///
    /// # Errors
    /// When TLS is offered and there is no channel then, or the connection is lost.
    pub async fn start_if_offered<IO: Stream>(
        &self,
        io: IO,
        host: &str,
        program: u32,
        version: u32,
    ) -> Result<MaybeTls<IO>, StartTlsError> {
        match self.ask(io, program, version).await? {
            (io, Ok(())) => Ok(MaybeTls::Tls(Box::new(self.begin(io, host).await?))),
            (io, Err(StartTlsError::NotOffered | StartTlsError::Denied(_))) => {
                tracing::warn!(host, "the server does not offer TLS, going on in clear text");
                Ok(MaybeTls::Plain(io))
            }
            (_, Err(why)) => Err(why),
        }
    }

    /// Asks, and gives the stream back with the answer.
    async fn ask<IO: Stream>(
        &self,
        mut io: IO,
        program: u32,
        version: u32,
    ) -> Result<(IO, Result<(), StartTlsError>), StartTlsError> {
        let asked = ::tokio::time::timeout(self.handshake_timeout, probe(&mut io, program, version)).await;
        let offered = asked.map_err(|_| StartTlsError::TimedOut)??;
        Ok((io, offered))
    }
}

/// One call of NULL with AUTH_TLS, and what its reply says.
async fn probe<IO: Stream>(
    io: &mut IO,
    program: u32,
    version: u32,
) -> Result<Result<(), StartTlsError>, StartTlsError> {
    let config = ConnectionConfig { max_record: REPLY_MAX, ..ConnectionConfig::default() };
    let mut engine = Connection::new(ConnectionConfig { first_xid: crate::tokio::random_xid(), ..config });
    let credential = OpaqueAuth { flavor: AuthFlavor::TLS, ..OpaqueAuth::none() };
    let call = OutgoingCall::new(program, version, 0).with_credential(&credential);
    let now = Duration::ZERO;
    engine.call(now, &call, &(), None).map_err(StartTlsError::NotSent)?;
    io.write_all(engine.output()).await?;
    io.flush().await?;
    let reply = loop {
        match engine.poll_event()? {
            Some(Event::Reply(reply)) => break reply,
            Some(_) => return Err(StartTlsError::NoReply),
            None => {}
        }
        if io.read_buf(engine.input_with_room()).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        engine.handle_input(now);
    };
    let offered = match reply.body.map_err(StartTlsError::Reply)? {
        ReplyBody::Accepted(accepted) => {
            let verifier = accepted.verifier;
            let offered = verifier.flavor == AuthFlavor::NONE && verifier.body == STARTTLS;
            if offered { Ok(()) } else { Err(StartTlsError::NotOffered) }
        }
        ReplyBody::Denied(why) => Err(StartTlsError::Denied(why)),
    };
    match engine.input().len() {
        0 => Ok(offered),
        more => Err(StartTlsError::ClearText(more)),
    }
}

/// A connection with TLS, or without where the server has none.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTls<IO> {
    /// Encrypted, with a server whose certificate was verified.
    Tls(Box<TlsStream<IO>>),
    /// In clear text.
    Plain(IO),
}

impl<IO> MaybeTls<IO> {
    /// Whether it is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl<IO: Stream> AsyncRead for MaybeTls<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl<IO: Stream> AsyncWrite for MaybeTls<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
