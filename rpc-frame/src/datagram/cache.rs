//! Replies that are kept, so that a call which comes twice is executed once.

use alloc::collections::VecDeque;
use core::hash::BuildHasher;
use core::net::SocketAddr;
use core::time::Duration;

use hashbrown::HashMap;
use xdr_core::Bytes;

use super::config::DatagramServerConfig;

/// What makes two datagrams the same call: the peer, the xid, and a keyed hash of all that follows the xid. So an xid that
/// a client uses again, for another call, is another call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId {
    peer: SocketAddr,
    xid: u32,
    body: u64,
}

impl CallId {
    /// Where the call came from.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Its transaction.
    #[must_use]
    pub const fn xid(&self) -> u32 {
        self.xid
    }
}

/// What is known of a call that came before.
#[derive(Debug)]
pub(super) enum Known {
    InProgress,
    /// Answered with this reply, or with none.
    Answered(Option<Bytes>),
}

#[derive(Debug)]
pub(super) struct ReplyCache<S> {
    /// Those in progress are bounded by their number in flight.
    calls: HashMap<CallId, Known, S>,
    /// The answered ones, oldest first, and when they were answered.
    answered: VecDeque<(Duration, CallId)>,
    bytes: usize,
    max_kept: usize,
    max_bytes: usize,
    keep_for: Duration,
}

impl<S: BuildHasher> ReplyCache<S> {
    pub(super) fn new(config: &DatagramServerConfig, hasher: S) -> Self {
        Self {
            calls: HashMap::with_hasher(hasher),
            answered: VecDeque::new(),
            bytes: 0,
            max_kept: config.max_kept,
            max_bytes: config.max_kept_bytes,
            keep_for: config.keep_for,
        }
    }

    /// The identity of a call whose `body` is all that follows the xid.
    pub(super) fn identify(&self, peer: SocketAddr, xid: u32, body: &[u8]) -> CallId {
        CallId { peer, xid, body: self.calls.hasher().hash_one(body) }
    }

    pub(super) fn find(&self, id: &CallId) -> Option<&Known> {
        self.calls.get(id)
    }

    pub(super) fn begin(&mut self, id: CallId) {
        self.calls.insert(id, Known::InProgress);
    }

    /// Keeps nothing of a call in progress.
    pub(super) fn forget(&mut self, id: &CallId) {
        if matches!(self.calls.get(id), Some(Known::InProgress)) {
            self.calls.remove(id);
        }
    }

    /// Keeps the reply to a call in progress; the oldest others make room. One that was forgotten stays so.
    pub(super) fn answer(&mut self, now: Duration, id: &CallId, reply: Option<&Bytes>) {
        let Some(known @ Known::InProgress) = self.calls.get_mut(id) else { return };
        *known = Known::Answered(reply.cloned());
        self.bytes = self.bytes.saturating_add(cost(reply));
        self.answered.push_back((now, *id));
        while self.answered.len() > self.max_kept || self.bytes > self.max_bytes {
            self.drop_oldest();
        }
    }

    /// Drops what has been kept for long enough.
    pub(super) fn expire(&mut self, now: Duration) {
        while self.next_expiry().is_some_and(|at| now >= at) {
            self.drop_oldest();
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.answered.front().map(|(since, _)| since.saturating_add(self.keep_for))
    }

    pub(super) fn kept(&self) -> usize {
        self.answered.len()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, id)) = self.answered.pop_front()
            && let Some(Known::Answered(reply)) = self.calls.remove(&id)
        {
            self.bytes = self.bytes.saturating_sub(cost(reply.as_ref()));
        }
    }
}

/// What keeping a reply takes: its bytes, its place in the map and that in the queue.
fn cost(reply: Option<&Bytes>) -> usize {
    let places = size_of::<(CallId, Known)>().saturating_add(size_of::<(Duration, CallId)>());
    reply.map_or(0, Bytes::len).saturating_add(places)
}
