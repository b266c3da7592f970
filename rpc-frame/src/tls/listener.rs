//! A port that speaks TLS from its first byte.

use std::io;

use ::tokio::task::JoinSet;
use tokio_rustls::TlsStream;

use super::{ServerTls, TlsError};
use crate::session::Peer;
use crate::tokio::Listener;

/// Most handshakes at a time, of clients of which nothing is known yet.
const HANDSHAKES: usize = 64;

/// How a handshake ends.
type Handshake<IO> = Result<(TlsStream<IO>, Peer), TlsError>;

/// A listener whose connections are given out when TLS stands. A client that is slow, or does not speak TLS, keeps no
/// other waiting; what it did wrong is logged.
///
/// At most 64 handshakes are made at a time; further connections wait in the system's queue.
#[derive(Debug)]
pub struct TlsListener<L: Listener> {
    listener: L,
    tls: ServerTls,
    max_handshakes: usize,
    /// Each with who it is, as far as is known before.
    handshakes: JoinSet<(Peer, Handshake<L::Io>)>,
}

impl<L: Listener> TlsListener<L> {
    /// TLS over what this listener accepts.
    #[must_use]
    pub fn new(listener: L, tls: ServerTls) -> Self {
        Self { listener, tls, max_handshakes: HANDSHAKES, handshakes: JoinSet::new() }
    }

    /// Sets how many handshakes may be made at a time: 64 else, and at least one.
    #[must_use]
    pub fn with_max_handshakes(mut self, most: usize) -> Self {
        self.max_handshakes = most.max(1);
        self
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = TlsStream<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        loop {
            ::tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok((_, Ok(accepted))) => return Ok(accepted),
                    Ok((peer, Err(error))) => tracing::warn!(%peer, %error, "refused a connection"),
                    Err(error) => tracing::error!(%error, "a handshake was cut off"),
                },
                accepted = self.listener.accept(), if self.handshakes.len() < self.max_handshakes => {
                    let (io, peer) = accepted?;
                    let tls = self.tls.clone();
                    self.handshakes.spawn(async move { (peer.clone(), tls.accept(io, peer).await) });
                }
            }
        }
    }
}
