//! What a server's connections have done: each keeps its own tally, which anybody may read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::shared::{ServerCounters, Shared};
use crate::counters::CallCounters;

/// What one connection or socket has done. Only its task writes, so that nothing is locked and nobody waits.
#[derive(Default)]
pub(super) struct Tally {
    received: AtomicU64,
    sent: AtomicU64,
    calls: [AtomicU64; CallCounters::NUMBERS],
    leaves: AtomicBool,
}

impl Tally {
    pub(super) fn received(&self, bytes: usize) {
        add(&self.received, bytes);
    }

    pub(super) fn sent(&self, bytes: usize) {
        add(&self.sent, bytes);
    }

    /// Says how many calls came so far, and to what end.
    #[inline]
    pub(super) fn calls(&self, calls: CallCounters) {
        for (number, now) in self.calls.iter().zip(calls.numbers()) {
            number.store(now, Ordering::Relaxed);
        }
    }

    /// Says that there is nothing more to do, but to see that what was sent arrives.
    pub(super) fn leave(&self) {
        self.leaves.store(true, Ordering::Release);
    }

    pub(super) fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Acquire)
    }

    /// The last time: calls in flight are not answered any more.
    pub(super) fn end(&self, mut calls: CallCounters) {
        calls.unanswered = calls.unanswered.saturating_add(calls.in_flight());
        self.calls(calls);
    }

    /// All of it together with what others have done.
    fn onto(&self, counters: ServerCounters) -> ServerCounters {
        let calls = self.calls.each_ref().map(|number| number.load(Ordering::Relaxed));
        ServerCounters {
            bytes_received: counters.bytes_received.saturating_add(self.received.load(Ordering::Relaxed)),
            bytes_sent: counters.bytes_sent.saturating_add(self.sent.load(Ordering::Relaxed)),
            calls: counters.calls.plus(CallCounters::from_numbers(calls)),
            ..counters
        }
    }
}

/// Adds to a number that nobody else writes.
fn add(number: &AtomicU64, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    number.store(number.load(Ordering::Relaxed).saturating_add(more), Ordering::Relaxed);
}

/// The tallies of a server.
#[derive(Default)]
pub(super) struct Tallies(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// What those have done that are closed; how many were ever opened.
    closed: ServerCounters,
    open: HashMap<u64, Arc<Tally>>,
}

impl Tallies {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether none that is open has anything more to do.
    pub(super) fn all_leave(&self) -> bool {
        self.lock().open.values().all(|tally| tally.leaves())
    }

    pub(super) fn sum(&self) -> ServerCounters {
        let inner = self.lock();
        inner.open.values().fold(inner.closed, |counters, tally| tally.onto(counters))
    }
}

/// Counts a connection as long as it is open, and keeps its tally.
pub(super) struct Counted<P> {
    shared: Arc<Shared<P>>,
    number: u64,
    tally: Arc<Tally>,
}

impl<P> Counted<P> {
    pub(super) fn new(shared: Arc<Shared<P>>) -> Self {
        shared.open.send_modify(|open| *open = open.saturating_add(1));
        let tally = Arc::<Tally>::default();
        let mut inner = shared.tallies.lock();
        inner.closed.opened = inner.closed.opened.saturating_add(1);
        let number = inner.closed.opened;
        inner.open.insert(number, Arc::clone(&tally));
        drop(inner);
        Self { shared, number, tally }
    }

    pub(super) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

impl<P> Drop for Counted<P> {
    fn drop(&mut self) {
        let mut inner = self.shared.tallies.lock();
        if let Some(tally) = inner.open.remove(&self.number) {
            inner.closed = tally.onto(inner.closed);
        }
        drop(inner);
        self.shared.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}
