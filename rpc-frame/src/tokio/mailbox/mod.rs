//! Calls on a connection that is served: the way into the task that owns it, and the way of the replies back.
//!
//! The task looks at one flag to see that nobody calls; only calls of our own take the lock.

mod post; // the task's end

pub(super) use post::Post;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::sync::{Notify, oneshot};
use ::tokio::time::Instant;
use xdr_core::{Bytes, Encode};

use super::error::{CallError, ClosedError};
use super::woken::Woken;
use crate::auth::OpaqueAuth;
use crate::connection::{Connection, ConnectionConfig, IncomingReply, OutgoingCall, RecordNotWritten, room_to_send};

/// Bytes of a call ahead of its arguments, without the body of its credential: xid, message type, RPC version, program,
/// version, procedure, and flavor and length of credential and verifier.
const CALL_HEADER: usize = 40;

/// What the callers on a connection share with its task.
pub(crate) struct Mailbox {
    epoch: Instant,
    woken: Arc<Woken>,
    /// There is something for the task to take.
    full: AtomicBool,
    content: Mutex<Content>,
    /// Bytes of output that wait in the engine.
    unsent: AtomicUsize,
    max_unsent: usize,
    max_record: usize,
    max_calls: usize,
    /// Oneway calls that wait for room.
    senders: AtomicUsize,
    /// Links that are in somebody's hands.
    links: AtomicUsize,
    /// There may be room to send, or the connection has ended.
    changed: Notify,
}

#[derive(Default)]
struct Content {
    letters: Vec<Letter>,
    /// Bytes of the letters.
    bytes: usize,
    /// Letters whose replies are awaited.
    awaited: usize,
    /// Letters whose calls were given up, and which have not been swept out.
    dead: usize,
    /// How often the letters were taken: one of an earlier round is here no more.
    round: u64,
    /// Calls that were sent and then given up.
    given_up: Vec<u32>,
    closed: Option<ClosedError>,
}

/// A call that has not got its xid.
struct Letter {
    program: u32,
    version: u32,
    procedure: u32,
    credential: OpaqueAuth,
    args: Bytes,
    /// Who waits for the reply, and until when; nobody for a oneway call.
    awaited: Option<(Arc<Pending>, Option<Duration>)>,
}

impl Letter {
    fn new(call: &OutgoingCall<'_>, args: Bytes, awaited: Option<(Arc<Pending>, Option<Duration>)>) -> Self {
        let OutgoingCall { program, version, procedure, credential, .. } = *call;
        Self { program, version, procedure, credential: credential.clone(), args, awaited }
    }

    fn len(&self) -> usize {
        self.args.len().saturating_add(self.credential.body.len())
    }

    fn write(&self, engine: &mut Connection, now: Duration) -> Result<u32, RecordNotWritten> {
        let call = OutgoingCall::new(self.program, self.version, self.procedure).with_credential(&self.credential);
        engine.call_encoded(now, &call, &self.args, self.awaited.as_ref().map(|(_, deadline)| *deadline))
    }
}

/// A call that waits for its reply.
#[derive(Default)]
struct Pending(Mutex<Stage>);

#[derive(Default)]
struct Stage {
    /// Set as long as the call is in flight.
    xid: Option<u32>,
    given_up: bool,
    /// There is a reply, or was one.
    ended: bool,
    reply: Option<Result<IncomingReply, CallError>>,
    waker: Option<Waker>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, reply: Result<IncomingReply, CallError>) {
        let mut stage = self.lock();
        stage.xid = None;
        stage.ended = true;
        stage.reply = Some(reply);
        let waker = stage.waker.take();
        drop(stage);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Mailbox {
    pub(super) fn new(config: &ConnectionConfig) -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            woken: Woken::new(config.max_calls_in_flight),
            full: AtomicBool::new(false),
            content: Mutex::default(),
            unsent: AtomicUsize::new(0),
            max_unsent: config.max_unsent,
            max_record: config.max_record,
            max_calls: config.max_own_calls_in_flight,
            senders: AtomicUsize::new(0),
            links: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    pub(super) const fn epoch(&self) -> Instant {
        self.epoch
    }

    pub(super) const fn woken(&self) -> &Arc<Woken> {
        &self.woken
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing that holds the lock leaves the content half done.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the task look.
    fn ring(&self) {
        self.full.store(true, Ordering::Release);
        self.woken.wake();
    }

    pub(super) fn call<T: Encode + ?Sized>(
        self: &Arc<Self>,
        call: &OutgoingCall<'_>,
        args: &T,
        timeout: Option<Duration>,
    ) -> Result<Call, CallError> {
        let deadline = timeout.and_then(|timeout| self.epoch.elapsed().checked_add(timeout));
        let args = xdr_core::to_bytes(args).map_err(|error| CallError::NotSent(RecordNotWritten::Encode(error)))?;
        let pending = Arc::new(Pending::default());
        let letter = Letter::new(call, args, Some((Arc::clone(&pending), deadline)));
        let len = letter.len();
        let mut content = self.lock();
        if let Some(closed) = &content.closed {
            return Err(CallError::NotConnected(closed.clone()));
        }
        if content.awaited >= self.max_calls {
            return Err(CallError::NotSent(RecordNotWritten::TooManyCalls { max: self.max_calls }));
        }
        content.put(letter);
        let round = content.round;
        drop(content);
        self.ring();
        Ok(Call { mailbox: Arc::clone(self), pending, round, len })
    }

    /// Queues a oneway call as soon as there is room.
    pub(super) async fn send(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<(), CallError> {
        self.check_len(call, args)?;
        if self.try_send(call, args)? {
            return Ok(());
        }
        self.senders.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(self);
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.try_send(call, args)? {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Refuses at once what the engine would refuse when nobody waits for its answer any more.
    fn check_len(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<(), CallError> {
        let credential = call.credential.body.len().next_multiple_of(4);
        let len = CALL_HEADER.saturating_add(credential).saturating_add(args.len());
        let too_long = RecordNotWritten::TooLong { len, max: self.max_record };
        if len > self.max_record { Err(CallError::NotSent(too_long)) } else { Ok(()) }
    }

    /// False where there is no room.
    fn try_send(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<bool, CallError> {
        let letter = Letter::new(call, args.clone(), None);
        let mut content = self.lock();
        if let Some(closed) = &content.closed {
            return Err(CallError::NotConnected(closed.clone()));
        }
        let unsent = content.bytes.saturating_add(self.unsent.load(Ordering::SeqCst));
        // Letters without arguments take room as well. One that is alone may always go.
        if !room_to_send(unsent, letter.len(), self.max_unsent) || content.letters.len() >= self.max_calls.max(1) {
            return Ok(false);
        }
        content.put(letter);
        drop(content);
        self.ring();
        Ok(true)
    }

    /// Why the connection ended, once it has.
    pub(super) async fn closed(&self) -> ClosedError {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(why) = &self.lock().closed {
                return why.clone();
            }
            changed.await;
        }
    }

    /// Why the connection has ended, if it has.
    pub(super) fn close_reason(&self) -> Option<ClosedError> {
        self.lock().closed.clone()
    }
}

impl Content {
    fn put(&mut self, letter: Letter) {
        self.bytes = self.bytes.saturating_add(letter.len());
        self.awaited = self.awaited.saturating_add(usize::from(letter.awaited.is_some()));
        self.letters.push(letter);
    }

    /// All letters, for whoever sends them or fails their calls.
    fn take(&mut self) -> Vec<Letter> {
        (self.bytes, self.awaited, self.dead) = (0, 0, 0);
        self.round = self.round.wrapping_add(1);
        std::mem::take(&mut self.letters)
    }

    /// Counts the letter of a call as dead that is given up, if it has not been taken. They are swept out when they are more
    /// than the others, so that each costs the same however many there are.
    fn take_back(&mut self, round: u64, len: usize) {
        if round != self.round {
            return;
        }
        self.bytes = self.bytes.saturating_sub(len);
        self.awaited = self.awaited.saturating_sub(1);
        self.dead = self.dead.saturating_add(1);
        if self.dead > self.letters.len() / 2 {
            self.letters.retain(|letter| letter.awaited.as_ref().is_none_or(|(pending, _)| !pending.lock().given_up));
            self.dead = 0;
        }
    }
}

/// Counted as long as a oneway call waits for room.
struct Waits<'a>(&'a Mailbox);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.senders.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A call in flight.
pub(super) struct Call {
    mailbox: Arc<Mailbox>,
    pending: Arc<Pending>,
    /// Of its letter, and how long that is.
    round: u64,
    len: usize,
}

impl Future for Call {
    type Output = Result<IncomingReply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut stage = self.pending.lock();
        if let Some(reply) = stage.reply.take() {
            return Poll::Ready(reply);
        }
        match &mut stage.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => stage.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut stage = self.pending.lock();
        stage.given_up = true;
        let (in_flight, ended) = (stage.xid.take(), stage.ended);
        let waker = stage.waker.take();
        drop(stage);
        // Here nothing is locked: with a waker its task may go, and calls of the same mailbox with that.
        drop(waker);
        if let Some(xid) = in_flight {
            self.mailbox.lock().given_up.push(xid);
            self.mailbox.ring();
        } else if !ended {
            self.mailbox.lock().take_back(self.round, self.len);
        }
    }
}

/// A way to call on the connection. As long as there is one, the connection is not idle.
pub(super) struct Link {
    pub(super) mailbox: Arc<Mailbox>,
    /// Dropped with the link whose end is the connection's.
    _ends: Option<oneshot::Sender<()>>,
}

impl Link {
    pub(super) fn new(mailbox: Arc<Mailbox>, ends: Option<oneshot::Sender<()>>) -> Self {
        mailbox.links.fetch_add(1, Ordering::AcqRel);
        Self { mailbox, _ends: ends }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.mailbox.links.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The connection may be idle from now on.
            self.mailbox.woken.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    const CALLS: usize = 4_000;

    /// Queues so many calls, whose task does not look.
    fn queued(mailbox: &Arc<Mailbox>, calls: usize) -> Vec<Option<Call>> {
        let call = |_| mailbox.call(&OutgoingCall::new(9, 1, 1), &7_u32, None).ok();
        (0..calls).map(call).collect()
    }

    fn letters(mailbox: &Mailbox) -> usize {
        mailbox.lock().letters.len()
    }

    /// Letters, bytes, and calls that are awaited.
    fn counted(mailbox: &Mailbox) -> (usize, usize, usize) {
        let content = mailbox.lock();
        (content.letters.len(), content.bytes, content.awaited)
    }

    #[test]
    fn the_more_calls_wait_the_less_often_are_those_looked_at_that_are_given_up() {
        for order in [|at| at, |at| CALLS - 1 - at, |at| (at * 1_999) % CALLS] {
            let mailbox = Mailbox::new(&ConnectionConfig::default());
            let mut calls = queued(&mailbox, CALLS);
            let mut looked_at = 0;
            for at in 0..CALLS {
                let before = letters(&mailbox);
                drop(calls[order(at)].take().unwrap());
                if letters(&mailbox) < before {
                    looked_at += before;
                }
                assert!(letters(&mailbox) <= 2 * (CALLS - 1 - at), "as many as are given up");
            }
            assert!(looked_at <= 4 * CALLS, "{looked_at}");
            let content = mailbox.lock();
            assert_eq!((content.letters.len(), content.bytes, content.awaited, content.dead), (0, 0, 0, 0));
        }
    }

    #[test]
    fn what_is_given_up_is_not_sent_and_what_has_been_taken_is_not_counted() {
        let mailbox = Mailbox::new(&ConnectionConfig::default());
        let mut engine = Connection::new(ConnectionConfig::default());
        let mut post = Post::new(Arc::clone(&mailbox));
        let mut calls = queued(&mailbox, 5);
        drop(calls[1].take());
        assert_eq!(counted(&mailbox), (5, 16, 4));
        assert!(post.collect(&mut engine, Duration::ZERO));
        assert_eq!(engine.client().in_flight(), 4);
        // Those of the round before are in flight, and those of this one in the queue.
        let mut others = queued(&mailbox, 2);
        drop(calls);
        // As where the task has taken it while it was given up.
        mailbox.lock().take_back(0, 4);
        assert_eq!(counted(&mailbox), (2, 8, 2));
        drop(others.pop());
        assert!(post.collect(&mut engine, Duration::ZERO));
        assert_eq!(engine.client().in_flight(), 1);
    }

    /// As that of an executor which drops a task, with a call in it, with its waker, or polls where it wakes.
    struct Task(Arc<Mailbox>, Arc<AtomicUsize>);

    impl Task {
        /// A locked mailbox would have it wait for itself.
        fn calls(&self) {
            self.1.fetch_add(usize::from(self.0.content.try_lock().is_ok()), Ordering::SeqCst);
        }
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.calls();
        }
    }

    impl Drop for Task {
        fn drop(&mut self) {
            self.calls();
        }
    }

    fn polled(call: &mut Call, mailbox: &Arc<Mailbox>, free: &Arc<AtomicUsize>) {
        let waker = Waker::from(Arc::new(Task(Arc::clone(mailbox), Arc::clone(free))));
        assert!(Pin::new(call).poll(&mut TaskContext::from_waker(&waker)).is_pending());
    }

    #[test]
    fn a_waker_is_dropped_and_woken_where_the_mailbox_is_not_locked() {
        let mailbox = Mailbox::new(&ConnectionConfig::default());
        let free = Arc::new(AtomicUsize::new(0));
        let mut calls = queued(&mailbox, 3);
        for call in calls.iter_mut().flatten() {
            polled(call, &mailbox, &free);
        }
        // The second has the dead letters swept out.
        drop(calls.pop());
        drop(calls.pop());
        assert_eq!(free.load(Ordering::SeqCst), 2);

        // The engine takes none.
        let mut engine =
            Connection::new(ConnectionConfig { max_own_calls_in_flight: 0, ..ConnectionConfig::default() });
        Post::new(Arc::clone(&mailbox)).collect(&mut engine, Duration::ZERO);
        assert_eq!(free.load(Ordering::SeqCst), 4, "woken, and dropped with that");
    }
}
