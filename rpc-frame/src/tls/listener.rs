//! A port that speaks TLS from its first byte.

use std::io;

use tokio_rustls::TlsStream;

use super::ServerTls;
use super::beginnings::{BEGINNINGS, Beginnings};
use crate::session::Peer;
use crate::tokio::Listener;

/// A listener whose connections are given out when TLS stands. A client that is slow, or does not speak TLS, keeps no
/// other waiting; what it did wrong is logged.
///
/// At most 64 handshakes are made at a time, and of one address no more than are left to all others: half of them, a quarter
/// beside one that has its half, and so on, so that a few addresses do not take them all. Its further connections wait, as
/// many as there are handshakes, or fewer beside others that wait; what comes then is closed. Where there are as many
/// handshakes as may be, connections wait in the system's queue.
#[derive(Debug)]
pub struct TlsListener<L: Listener> {
    listener: L,
    tls: ServerTls,
    handshakes: Beginnings<L::Io, TlsStream<L::Io>>,
}

impl<L: Listener> TlsListener<L> {
    /// TLS over what this listener accepts.
    #[must_use]
    pub fn new(listener: L, tls: ServerTls) -> Self {
        Self { listener, tls, handshakes: Beginnings::new(BEGINNINGS) }
    }

    /// Sets how many handshakes may be made at a time: 64 else, and at least one.
    #[must_use]
    pub fn with_max_handshakes(mut self, most: usize) -> Self {
        self.handshakes = Beginnings::new(most);
        self
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Io = TlsStream<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        let tls = &self.tls;
        let begin = |io, peer| {
            let tls = tls.clone();
            async move { tls.accept(io, peer).await }
        };
        self.handshakes.next(&mut self.listener, begin).await
    }
}
