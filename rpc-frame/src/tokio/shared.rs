//! What the connections of a server share: its programs, its caps, what it has done, and how far its end has come.

use std::boxed::Box;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::sync::{Semaphore, watch};
use tracing::Level;
use xdr_core::Limits;

use super::LogLimit;
use super::tally::Tallies;
use crate::answer::{Rules, TIME_LIMIT};
use crate::connection::ConnectionConfig;
use crate::counters::CallCounters;
use crate::datagram::DatagramServerConfig;
use crate::session::{Peer, Session};

/// What a server may cost. All of it is finite unless you say otherwise; what is not said stays as it is:
///
/// ```
/// use rpc_frame::tokio::ServerConfig;
/// let mut config = ServerConfig::default();
/// config.max_connections = 200;
/// config.connection.max_record = 64 * 1024;
/// ```
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
    /// How long a handler may take, where its procedure has no `time_limit` of its own: 10 min. None: no handler has a
    /// limit, whatever its procedure says.
    ///
    /// One that has not ended by then is dropped where it waits, its caller gets SYSTEM_ERR, and the log has the procedure.
    /// A handler that does not wait cannot be dropped.
    pub time_limit: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            connection: ConnectionConfig::default(),
            datagram: DatagramServerConfig::default(),
            limits: Limits::DEFAULT,
            time_limit: Some(TIME_LIMIT),
        }
    }
}

/// What a server has done so far. The numbers only grow, but for those of what is open now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCounters {
    /// Connections that are open, and sockets for UDP.
    pub open: usize,
    /// Connections that were ever opened, and sockets for UDP.
    pub opened: u64,
    /// Bytes that came over connections and in datagrams.
    pub bytes_received: u64,
    /// Bytes that were sent over connections and in datagrams.
    pub bytes_sent: u64,
    /// Calls over connections and by UDP; [`in_flight`](CallCounters::in_flight) tells how many wait for their handlers.
    /// A call by UDP that comes again counts once, as long as it is known.
    pub calls: CallCounters,
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
    pub(super) tallies: Tallies,
    pub(super) lines: Lines,
}

/// Lines of the log about calls that did not go as the server's author had it: as many as its peers like.
#[derive(Debug)]
pub(super) struct Lines {
    /// A layer in front of the methods has refused a call.
    pub(super) refused: LogLimit,
    pub(super) panicked: LogLimit,
    /// By UDP; elsewhere it ends the connection.
    pub(super) policy_panicked: LogLimit,
    pub(super) too_long: LogLimit,
    /// A reply exceeds a bound or is too long for its record.
    pub(super) not_sent: LogLimit,
    /// The encoder of a reply panicked, or its drop.
    pub(super) not_encoded: LogLimit,
}

impl Default for Lines {
    fn default() -> Self {
        let errors = |what| LogLimit::new(what).with_level(Level::ERROR);
        Self {
            refused: LogLimit::new("calls were refused in front of their methods"),
            panicked: errors("handlers panicked"),
            policy_panicked: errors("policies panicked"),
            too_long: errors("handlers took too long"),
            not_sent: errors("replies could not be sent"),
            not_encoded: errors("encoding or dropping of replies panicked"),
        }
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
