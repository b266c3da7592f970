//! A port that speaks TLS from its first byte.

use std::collections::VecDeque;
use std::io;

use ::tokio::task::JoinSet;
use tokio_rustls::TlsStream;

use super::{ServerTls, TlsError};
use crate::session::Peer;
use crate::tokio::{Listener, PeerLimit, Place};

/// Most handshakes at a time, of clients of which nothing is known yet.
const HANDSHAKES: usize = 64;

/// How a handshake ends.
type Handshake<IO> = Result<(TlsStream<IO>, Peer), TlsError>;

/// A listener whose connections are given out when TLS stands. A client that is slow, or does not speak TLS, keeps no
/// other waiting; what it did wrong is logged.
///
/// At most 64 handshakes are made at a time, and of one address no more than half of that. Its further connections wait, as
/// many as there are handshakes; what comes then is closed. Others wait in the system's queue.
#[derive(Debug)]
pub struct TlsListener<L: Listener> {
    listener: L,
    tls: ServerTls,
    max_handshakes: usize,
    shares: PeerLimit,
    /// Each with who it is, as far as is known before.
    handshakes: JoinSet<(Peer, Handshake<L::Io>)>,
    /// Those whose address has its share of the handshakes, the first at the front.
    waiting: VecDeque<(L::Io, Peer)>,
}

impl<L: Listener> TlsListener<L> {
    /// TLS over what this listener accepts.
    #[must_use]
    pub fn new(listener: L, tls: ServerTls) -> Self {
        let listener = Self {
            listener,
            tls,
            max_handshakes: 0,
            shares: PeerLimit::new(0),
            handshakes: JoinSet::new(),
            waiting: VecDeque::new(),
        };
        listener.with_max_handshakes(HANDSHAKES)
    }

    /// Sets how many handshakes may be made at a time: 64 else, and at least one.
    #[must_use]
    pub fn with_max_handshakes(mut self, most: usize) -> Self {
        self.max_handshakes = most.max(1);
        self.shares = PeerLimit::new(self.max_handshakes.div_ceil(2));
        self
    }

    /// Begins the handshake of a connection, or has it wait.
    fn begin(&mut self, io: L::Io, peer: Peer) {
        if let Some(place) = self.shares.place(&peer) {
            self.shake_hands(io, peer, place);
        } else if self.waiting.len() < self.max_handshakes {
            self.waiting.push_back((io, peer));
        } else {
            tracing::warn!(%peer, "refused a connection: too many of the peer's handshakes are not done");
        }
    }

    /// Begins the first handshake that had to wait and need not any more.
    fn begin_next(&mut self) {
        let shares = &self.shares;
        let next = self.waiting.iter().enumerate().find_map(|(at, (_, peer))| Some((at, shares.place(peer)?)));
        if let Some((at, place)) = next
            && let Some((io, peer)) = self.waiting.remove(at)
        {
            self.shake_hands(io, peer, place);
        }
    }

    fn shake_hands(&mut self, io: L::Io, peer: Peer, place: Place) {
        let tls = self.tls.clone();
        self.handshakes.spawn(async move {
            let _place = place;
            (peer.clone(), tls.accept(io, peer).await)
        });
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = TlsStream<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        loop {
            ::tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    self.begin_next();
                    match done {
                        Ok((_, Ok(accepted))) => return Ok(accepted),
                        Ok((peer, Err(error))) => tracing::warn!(%peer, %error, "refused a connection"),
                        Err(error) => tracing::error!(%error, "a handshake was cut off"),
                    }
                },
                accepted = self.listener.accept(), if self.handshakes.len() < self.max_handshakes => {
                    let (io, peer) = accepted?;
                    self.begin(io, peer);
                }
            }
        }
    }
}
