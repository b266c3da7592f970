//! One direction of a stream: it keeps the order of its bytes, and nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::plan::{LinkPlan, millis};

pub(crate) struct Link {
    plan: LinkPlan,
    reads: usize,
    /// Pieces under way and when each arrives.
    under_way: VecDeque<(Duration, VecDeque<u8>)>,
    held: usize,
    latest: Duration,
    /// No more is written.
    finished: bool,
    /// Nobody will read what is written.
    pub(crate) reader_gone: bool,
    /// How often anything was written.
    pub(crate) pieces: usize,
}

/// What a read gives.
pub(crate) enum Read {
    Bytes(Vec<u8>),
    NothingYet,
    End,
}

impl Link {
    pub(crate) fn new(plan: &LinkPlan) -> Self {
        Self {
            plan: plan.clone(),
            reads: 0,
            under_way: VecDeque::new(),
            held: 0,
            latest: Duration::ZERO,
            finished: false,
            reader_gone: false,
            pieces: 0,
        }
    }

    /// The number of bytes that were taken off the front.
    pub(crate) fn write(&mut self, now: Duration, bytes: &[u8]) -> usize {
        assert!(!self.finished, "nothing is sent after the end");
        let (most, delay) = self.plan.writes[self.pieces % self.plan.writes.len()];
        let len = bytes.len().min(most).min(self.plan.capacity - self.held);
        if len > 0 {
            self.pieces += 1;
            self.latest = self.latest.max(now + millis(delay));
            self.held += len;
            self.under_way.push_back((self.latest, bytes[..len].iter().copied().collect()));
        }
        len
    }

    pub(crate) fn read(&mut self, now: Duration) -> Read {
        match self.under_way.front_mut() {
            Some((at, piece)) if *at <= now => {
                let most = self.plan.reads[self.reads % self.plan.reads.len()];
                self.reads += 1;
                let bytes: Vec<u8> = piece.drain(..most.min(piece.len())).collect();
                if piece.is_empty() {
                    self.under_way.pop_front();
                }
                self.held -= bytes.len();
                Read::Bytes(bytes)
            }
            None if self.finished => Read::End,
            _ => Read::NothingYet,
        }
    }

    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.under_way.front().map(|(at, _)| *at)
    }
}
