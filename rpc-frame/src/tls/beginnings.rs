//! Connections of which nothing is known yet, and how many of them one address may have.

use std::collections::VecDeque;
use std::io;

use ::tokio::task::JoinSet;

use super::TlsError;
use crate::session::Peer;
use crate::tokio::{Listener, PeerLimit, Place};

/// Most beginnings at a time, unless you say otherwise.
pub(super) const BEGINNINGS: usize = 64;

/// What a connection is when it has begun.
pub(super) type Begun<T> = Result<(T, Peer), TlsError>;

/// The beginnings of a listener's connections, which go on side by side. One address has at most half of the places; its
/// further connections wait, as many as there are places, and what comes then is closed.
#[derive(Debug)]
pub(super) struct Beginnings<IO, T> {
    most: usize,
    shares: PeerLimit,
    /// Each with who it is, as far as is known before.
    begun: JoinSet<(Peer, Begun<T>)>,
    /// The first at the front.
    waiting: VecDeque<(IO, Peer)>,
}

impl<IO: Send + 'static, T: Send + 'static> Beginnings<IO, T> {
    /// This many at a time, at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, shares: PeerLimit::new(most.div_ceil(2)), begun: JoinSet::new(), waiting: VecDeque::new() }
    }

    /// The next connection that has begun as `begin` has it. What is wrong with others is logged.
    pub(super) async fn next<L, F>(&mut self, listener: &mut L, begin: impl Fn(IO, Peer) -> F) -> io::Result<(T, Peer)>
    where
        L: Listener<Io = IO>,
        F: Future<Output = Begun<T>> + Send + 'static,
    {
        loop {
            ::tokio::select! {
                Some(done) = self.begun.join_next() => {
                    if let Some((io, peer, place)) = self.next_waiting() {
                        self.spawn(begin(io, peer.clone()), peer, place);
                    }
                    match done {
                        Ok((_, Ok(begun))) => return Ok(begun),
                        Ok((peer, Err(error))) => tracing::warn!(%peer, %error, "refused a connection"),
                        Err(error) => tracing::error!(%error, "a handshake was cut off"),
                    }
                },
                accepted = listener.accept(), if self.begun.len() < self.most => {
                    let (io, peer) = accepted?;
                    if let Some(place) = self.shares.place(&peer) {
                        self.spawn(begin(io, peer.clone()), peer, place);
                    } else if self.waiting.len() < self.most {
                        self.waiting.push_back((io, peer));
                    } else {
                        tracing::warn!(%peer, "refused a connection: too many of the peer's handshakes are not done");
                    }
                }
            }
        }
    }

    fn spawn(&mut self, beginning: impl Future<Output = Begun<T>> + Send + 'static, peer: Peer, place: Place) {
        self.begun.spawn(async move {
            let _place = place;
            (peer, beginning.await)
        });
    }

    /// The first that waits and need not any more.
    fn next_waiting(&mut self) -> Option<(IO, Peer, Place)> {
        let mut waiting = self.waiting.iter().enumerate();
        let (at, place) = waiting.find_map(|(at, (_, peer))| Some((at, self.shares.place(peer)?)))?;
        let (io, peer) = self.waiting.remove(at)?;
        Some((io, peer, place))
    }
}
