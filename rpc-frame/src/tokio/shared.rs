//! What the connections of a server share: its programs, its caps, and how far its end has come.

use std::boxed::Box;
use std::sync::Arc;

use ::tokio::sync::{Semaphore, watch};
use xdr_core::Limits;

use crate::answer::Rules;
use crate::connection::ConnectionConfig;
use crate::datagram::DatagramServerConfig;
use crate::session::{Peer, Session};

/// What a server may cost. All of it is finite unless you say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Most connections at a time: 1,024. Further ones wait: one a listener to be served, the others to be accepted.
    pub max_connections: usize,
    /// What each connection may cost.
    pub connection: ConnectionConfig,
    /// What each socket for datagrams may cost.
    pub datagram: DatagramServerConfig,
    /// What decoding the arguments of one call may cost.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            connection: ConnectionConfig::default(),
            datagram: DatagramServerConfig::default(),
            limits: Limits::DEFAULT,
        }
    }
}

/// What the connections of a server share.
pub(super) struct Shared<P> {
    pub(super) programs: P,
    pub(super) rules: Rules,
    pub(super) config: ServerConfig,
    pub(super) sessions: Box<dyn Fn(Peer) -> Session + Send + Sync>,
    /// Places for connections under the cap.
    pub(super) places: Arc<Semaphore>,
    /// Connections that are open, under the cap or not.
    pub(super) open: watch::Sender<usize>,
    pub(super) phase: watch::Sender<Phase>,
}

/// Counts a connection as long as it is open.
pub(super) struct Counted<P>(Arc<Shared<P>>);

impl<P> Counted<P> {
    pub(super) fn new(shared: Arc<Shared<P>>) -> Self {
        shared.open.send_modify(|open| *open = open.saturating_add(1));
        Self(shared)
    }
}

impl<P> Drop for Counted<P> {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// No more connections and calls.
    Finishing,
    /// No more patience.
    Aborting,
}

/// Ends when the phase has been reached.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, goal: Phase) {
    if phase.wait_for(|phase| *phase >= goal).await.is_err() {
        // The server's handles are gone; its connections live on.
        std::future::pending::<()>().await;
    }
}
