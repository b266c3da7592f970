//! A port that begins in clear text and offers TLS (RFC 9289), the server's side.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use bytes::Buf as _;
use xdr_core::{Bytes, BytesMut};

use super::beginnings::{self, BEGINNINGS, Beginnings};
use super::start::STARTTLS;
use super::{MaybeTls, ServerTls, TlsError};
use crate::auth::{AuthFlavor, OpaqueAuth};
use crate::connection::{Connection, ConnectionConfig, Event, IncomingCall, Outcome};
use crate::message::{AuthStat, CALL, CallBody, RPC_VERSION, RejectedReply};
use crate::record::MARK;
use crate::session::Peer;
use crate::tokio::{Listener, Stream};

/// Longest record before TLS, in bytes: what is refused need not be long.
const RECORD_MAX: usize = 64 * 1024;

/// Mark, xid, message type, RPC version, program, version, procedure, and the flavor of the credential, in bytes.
const FRONT: usize = MARK + 7 * 4;

/// Bytes of a call without arguments, behind its mark, and the bit of a mark whose fragment is the last.
const WHOLE: u32 = 40;
const LAST_FRAGMENT: u32 = 0x8000_0000;

/// Whether calls in clear text are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClearText {
    Served,
    Refused,
}

/// A listener whose clients ask for TLS with their first call: NULL with AUTH_TLS, of any program (RFC 9289 §4.1).
///
/// TLS is 1.3 here. A client that sends anything between its question and its ClientHello is cut off. AUTH_TLS on another
/// procedure, and inside TLS, gets AUTH_BADCRED. A client that begins with another call goes on in clear text, or, with
/// [`required`](Self::required), gets AUTH_TOOWEAK for each call until it asks; one that asks later gets
/// AUTH_REJECTEDCRED and goes on as it began.
///
/// At most 64 connections are at their beginning at a time, for at most the handshake's time: one that is silent so long
/// goes on in clear text where that is served, and is closed else, as one that stops in the middle of a call always is. They are shared among addresses as
/// [`TlsListener`](super::TlsListener) shares its handshakes.
#[derive(Debug)]
pub struct StartTlsListener<L: Listener> {
    listener: L,
    tls: ServerTls,
    clear_text: ClearText,
    beginnings: Beginnings<L::Io, Begun<L::Io>>,
}

impl<L: Listener> StartTlsListener<L> {
    /// Serves those who ask by TLS, and others in clear text: whoever is in between can keep clients from asking.
    #[must_use]
    pub fn opportunistic(listener: L, tls: ServerTls) -> Self {
        Self { listener, tls, clear_text: ClearText::Served, beginnings: Beginnings::new(BEGINNINGS) }
    }

    /// Serves no call in clear text.
    #[must_use]
    pub fn required(listener: L, tls: ServerTls) -> Self {
        Self { listener, tls, clear_text: ClearText::Refused, beginnings: Beginnings::new(BEGINNINGS) }
    }
}

impl<L: Listener> Listener for StartTlsListener<L> {
    type Io = Begun<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        let (tls, clear_text) = (&self.tls, self.clear_text);
        let begin = |io, peer| {
            let tls = tls.clone();
            async move { begin(&tls, clear_text, io, peer).await }
        };
        self.beginnings.next(&mut self.listener, begin).await
    }

    fn offers_tls(&self) -> bool {
        true
    }
}

async fn begin<IO: Stream>(
    tls: &ServerTls,
    clear_text: ClearText,
    mut io: IO,
    peer: Peer,
) -> beginnings::Begun<Begun<IO>> {
    let config = ConnectionConfig { max_record: RECORD_MAX, max_calls_in_flight: 1, ..ConnectionConfig::default() };
    let mut engine = Connection::new(config);
    let asked = ::tokio::time::timeout(tls.handshake_timeout(), ask(&mut io, &mut engine, clear_text)).await;
    match asked {
        Ok(Ok(true)) => {
            let (io, peer) = tls.begin(io, peer).await?;
            Ok((Begun { early: Bytes::new(), io: MaybeTls::Tls(io.into()) }, peer))
        }
        Ok(Err(error)) => Err(error),
        Err(_) if clear_text == ClearText::Refused || !is_between_records(&engine) => Err(TlsError::TimedOut),
        Ok(Ok(false)) | Err(_) => Ok((Begun { early: engine.input().split().freeze(), io: MaybeTls::Plain(io) }, peer)),
    }
}

/// Whether nothing has begun that would have to be gone on with: neither a call of the client's nor a reply of ours.
fn is_between_records(engine: &Connection) -> bool {
    engine.handle_eof().is_ok() && engine.output().is_empty()
}

/// Whether the client asks for TLS. What it sent instead stays in the engine's input.
async fn ask<IO: Stream>(io: &mut IO, engine: &mut Connection, clear_text: ClearText) -> Result<bool, TlsError> {
    let now = Duration::ZERO;
    let mut is_for_us = clear_text == ClearText::Refused;
    loop {
        // The front of a record tells, and is gone when the rest of the record is waited for.
        if !is_for_us && !begins_with_auth_tls(io, engine.input()).await? {
            return Ok(false);
        }
        is_for_us = true;
        let Some(event) = engine.poll_event().map_err(TlsError::ClearText)? else {
            if io.read_buf(engine.input_with_room()).await.map_err(TlsError::Io)? == 0 {
                return Err(TlsError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            engine.handle_input(now);
            continue;
        };
        let Event::Call(call) = event else { continue };
        let offered = answer(engine, now, &call);
        is_for_us = clear_text == ClearText::Refused;
        io.write_all(engine.output()).await.map_err(TlsError::Io)?;
        io.flush().await.map_err(TlsError::Io)?;
        let sent = engine.output().len();
        engine.advance_output(now, sent);
        if offered {
            // What came with the question was not encrypted, and might be taken for what is.
            let ahead = engine.input().len();
            return if ahead == 0 { Ok(true) } else { Err(TlsError::AheadOfHandshake(ahead)) };
        }
    }
}

/// Whether what comes is a call with AUTH_TLS, in one fragment. Reads no more than tells.
async fn begins_with_auth_tls<IO: Stream>(io: &mut IO, input: &mut BytesMut) -> Result<bool, TlsError> {
    while input.len() < FRONT {
        if io.read_buf(input).await.map_err(TlsError::Io)? == 0 {
            return Ok(false);
        }
    }
    let front = input.first_chunk::<FRONT>().map(|front| front.as_chunks::<4>().0).unwrap_or_default();
    let [mark, _, kind, version, _, _, _, flavor] = front else { return Ok(false) };
    let whole = u32::from_be_bytes(*mark) >= LAST_FRAGMENT | WHOLE;
    let words = [kind, version, flavor].map(|word| u32::from_be_bytes(*word));
    Ok(whole && words == [CALL, RPC_VERSION, AuthFlavor::TLS.0])
}

/// Answers a call before TLS; true for STARTTLS.
fn answer(engine: &mut Connection, now: Duration, call: &IncomingCall) -> bool {
    let refused = |stat| Outcome::Denied(RejectedReply::AuthError(stat));
    let outcome = match &call.header {
        Ok(CallBody { procedure, credential, verifier, .. }) if credential.flavor == AuthFlavor::TLS => {
            if *procedure == 0 && credential.body.is_empty() && *verifier == OpaqueAuth::none() && call.args.is_empty()
            {
                let offer = OpaqueAuth { flavor: AuthFlavor::NONE, body: Bytes::from_static(STARTTLS) };
                return engine.reply_with_verifier(now, call.xid, &offer, &Bytes::new()).is_ok();
            }
            refused(AuthStat::BadCred)
        }
        Ok(_) => refused(AuthStat::TooWeak),
        Err(_) => refused(AuthStat::BadCred),
    };
    tracing::debug!(xid = call.xid, ?outcome, "refused a call before TLS");
    engine.reply(now, call.xid, outcome);
    false
}

/// A connection that began in clear text: in TLS now, or as it began.
#[derive(Debug)]
pub struct Begun<IO> {
    /// What was read before it was known.
    early: Bytes,
    io: MaybeTls<IO>,
}

impl<IO> Begun<IO> {
    /// Whether it is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.io.is_tls()
    }
}

impl<IO: Stream> AsyncRead for Begun<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let len = this.early.len().min(buf.remaining());
        buf.put_slice(this.early.get(..len).unwrap_or_default());
        this.early.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<IO: Stream> AsyncWrite for Begun<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
