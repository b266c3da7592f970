//! The task's end of a mailbox: calls on their way into the engine, replies on their way to who waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::vec::Vec;

use hashbrown::HashMap;

use super::super::error::{CallError, ClosedError};
use super::{Mailbox, Pending};
use crate::connection::{Connection, IncomingReply, room_to_send};

/// The task's end of a mailbox.
pub(in crate::tokio) struct Post {
    mailbox: Arc<Mailbox>,
    waiting: HashMap<u32, Arc<Pending>>,
    /// Somebody has called.
    in_use: bool,
    /// Replies passed over that the log has been told of.
    passed_over: u64,
}

impl Post {
    pub(in crate::tokio) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox, waiting: HashMap::new(), in_use: false, passed_over: 0 }
    }

    pub(in crate::tokio) const fn in_use(&self) -> bool {
        self.in_use
    }

    /// Whether somebody can call.
    pub(in crate::tokio) fn is_held(&self) -> bool {
        self.mailbox.links.load(Ordering::Acquire) > 0
    }

    /// Hands what is in the mailbox to the engine. False where there was nothing.
    #[inline]
    pub(in crate::tokio) fn collect(&mut self, engine: &mut Connection, now: Duration) -> bool {
        if !self.mailbox.full.load(Ordering::Acquire) {
            return false;
        }
        self.empty(engine, now);
        true
    }

    #[cold]
    fn empty(&mut self, engine: &mut Connection, now: Duration) {
        self.in_use = true;
        self.mailbox.full.store(false, Ordering::Release);
        let mut content = self.mailbox.lock();
        for xid in content.given_up.drain(..) {
            if self.waiting.remove(&xid).is_some() {
                engine.forget(xid);
            }
        }
        let mut letters = content.take();
        let mut failed = Vec::new();
        for letter in letters.drain(..) {
            let Some((pending, _)) = &letter.awaited else {
                if let Err(error) = letter.write(engine, now) {
                    tracing::error!(procedure = letter.procedure, %error, "cannot send a oneway call");
                }
                continue;
            };
            let mut stage = pending.lock();
            if stage.given_up {
                continue;
            }
            match letter.write(engine, now) {
                Ok(xid) => {
                    stage.xid = Some(xid);
                    drop(stage);
                    self.waiting.insert(xid, Arc::clone(pending));
                }
                Err(error) => failed.push((Arc::clone(pending), error)),
            }
        }
        // Their room is for the next.
        content.letters = letters;
        self.mailbox.unsent.store(engine.output().len(), Ordering::SeqCst);
        drop(content);
        // Who is woken may look into the mailbox at once.
        for (pending, error) in failed {
            pending.finish(Err(CallError::NotSent(error)));
        }
    }

    /// Tells the callers how much waits to be sent.
    pub(in crate::tokio) fn publish(&mut self, engine: &Connection) {
        if !self.in_use {
            return;
        }
        let unsent = engine.output().len();
        self.mailbox.unsent.store(unsent, Ordering::SeqCst);
        if self.mailbox.senders.load(Ordering::SeqCst) > 0 && room_to_send(unsent, 0, self.mailbox.max_unsent) {
            self.mailbox.changed.notify_waiters();
        }
        let passed_over = engine.client().passed_over();
        if passed_over != self.passed_over {
            tracing::debug!(passed_over, "passed over a reply that nobody waits for");
            self.passed_over = passed_over;
        }
    }

    pub(in crate::tokio) fn finish(&mut self, xid: u32, reply: Result<IncomingReply, CallError>) {
        if let Some(pending) = self.waiting.remove(&xid) {
            pending.finish(reply);
        }
    }

    /// Fails every call that waits, and those that are still to come. What the engine has to send still goes.
    pub(in crate::tokio) fn close(&mut self, engine: &mut Connection, why: ClosedError) {
        for xid in self.waiting.keys() {
            engine.forget(*xid);
        }
        self.fail(why, |_| true);
    }

    /// [`close`](Self::close) where nothing is sent any more.
    pub(in crate::tokio) fn end(&mut self, engine: &Connection, why: ClosedError) {
        self.fail(why, |xid| engine.is_sent(xid));
    }

    fn fail(&mut self, why: ClosedError, may_be_sent: impl Fn(u32) -> bool) {
        let mut content = self.mailbox.lock();
        let why = content.closed.get_or_insert(why).clone();
        let letters = content.take();
        drop(content);
        let queued = letters.into_iter().filter_map(|letter| letter.awaited.map(|(pending, _)| pending));
        for (xid, pending) in self.waiting.drain() {
            pending.finish(Err(CallError::lost(why.clone(), may_be_sent(xid))));
        }
        for pending in queued {
            pending.finish(Err(CallError::NotConnected(why.clone())));
        }
        self.mailbox.changed.notify_waiters();
    }
}

/// Also where the task is cut off, or its runtime ends.
impl Drop for Post {
    fn drop(&mut self) {
        // How much the engine has sent is not known here.
        self.fail(ClosedError::ByUs, |_| true);
    }
}
