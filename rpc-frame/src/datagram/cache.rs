//! Replies that are kept, so that a call which comes twice is executed once.

use alloc::collections::BTreeMap;
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hashbrown::HashMap;
use xdr_core::Bytes;

use super::config::DatagramServerConfig;
use super::shares::{Shares, holder};

/// What makes two datagrams the same call: the peer, the xid, and a keyed hash of all that follows the xid. So an xid that
/// a client uses again, for another call, is another call. Which of our addresses it came to makes no difference.
#[derive(Debug, Clone, Copy)]
pub struct CallId {
    peer: SocketAddr,
    to: Option<IpAddr>,
    xid: u32,
    body: u64,
}

impl CallId {
    fn key(&self) -> (SocketAddr, u32, u64) {
        (self.peer, self.xid, self.body)
    }
}

impl PartialEq for CallId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for CallId {}

impl Hash for CallId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl CallId {
    /// Where the call came from.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address of ours that it came to, where that is known.
    #[must_use]
    pub const fn to(&self) -> Option<IpAddr> {
        self.to
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
    /// The answered ones in the order of their answers, and when they were answered.
    answered: BTreeMap<u64, (Duration, CallId)>,
    /// Answers so far.
    answers: u64,
    shares: Shares,
    bytes: usize,
    max_kept: usize,
    max_bytes: usize,
    keep_for: Duration,
}

impl<S: BuildHasher> ReplyCache<S> {
    pub(super) fn new(config: &DatagramServerConfig, hasher: S) -> Self {
        Self {
            calls: HashMap::with_hasher(hasher),
            answered: BTreeMap::new(),
            answers: 0,
            shares: Shares::default(),
            bytes: 0,
            max_kept: config.max_kept,
            max_bytes: config.max_kept_bytes,
            keep_for: config.keep_for,
        }
    }

    /// The identity of a call whose `body` is all that follows the xid.
    pub(super) fn identify(&self, peer: SocketAddr, to: Option<IpAddr>, xid: u32, body: &[u8]) -> CallId {
        CallId { peer, to, xid, body: self.calls.hasher().hash_one(body) }
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

    /// Keeps the reply to a call in progress, unless it is longer than all room; the oldest of whoever holds most make room,
    /// this one last. One that was forgotten stays so.
    pub(super) fn answer(&mut self, now: Duration, id: &CallId, reply: Option<&Bytes>) {
        let Some(known @ Known::InProgress) = self.calls.get_mut(id) else { return };
        if cost(reply) > self.max_bytes {
            self.calls.remove(id);
            return;
        }
        *known = Known::Answered(reply.cloned());
        self.bytes = self.bytes.saturating_add(cost(reply));
        self.answers = self.answers.saturating_add(1);
        self.answered.insert(self.answers, (now, *id));
        self.shares.add(holder(id.peer), self.answers, cost(reply));
        while self.answered.len() > self.max_kept && self.drop_oldest_of(self.shares.most(self.answers)) {}
        while self.bytes > self.max_bytes && self.drop_oldest_of(self.shares.most_bytes(self.answers)) {}
    }

    /// Drops what has been kept for long enough.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some((since, id)) = self.answered.first_entry().map(|oldest| *oldest.get())
            && now >= since.saturating_add(self.keep_for)
            // The oldest of all is the oldest of its holder.
            && self.drop_oldest_of(Some(holder(id.peer)))
        {}
    }

    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.answered.first_key_value().map(|(_, (since, _))| since.saturating_add(self.keep_for))
    }

    pub(super) fn kept(&self) -> usize {
        self.answered.len()
    }

    /// False where there is none.
    fn drop_oldest_of(&mut self, holder: Option<IpAddr>) -> bool {
        if let Some(holder) = holder
            && let Some(oldest) = self.shares.oldest(holder)
            && let Some((_, id)) = self.answered.remove(&oldest)
            && let Some(Known::Answered(reply)) = self.calls.remove(&id)
        {
            self.bytes = self.bytes.saturating_sub(cost(reply.as_ref()));
            self.shares.remove_oldest(holder, cost(reply.as_ref()));
            return true;
        }
        false
    }
}

/// What keeping a reply takes: its bytes, its place among the calls and those among the answered ones.
fn cost(reply: Option<&Bytes>) -> usize {
    const PLACES: usize = size_of::<(CallId, Known)>()
        .saturating_add(size_of::<(u64, (Duration, CallId))>())
        .saturating_add(Shares::PLACE);
    reply.map_or(0, Bytes::len).saturating_add(PLACES)
}
