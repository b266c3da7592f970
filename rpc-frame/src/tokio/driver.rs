//! The task that drives a client's connection, where the client serves nothing.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use ::tokio::sync::Notify;
use ::tokio::task::yield_now;
use ::tokio::time::Instant;
use atomic_waker::AtomicWaker;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use xdr_core::{Bytes, Encode};

use super::error::{CallError, ClosedError};
use super::farewell::Farewell;
use super::{Alarm, LAST_READS, SecondLook, Stream, poll_read, poll_write, read_last};
use crate::connection::{Connection, ConnectionConfig, Event, IncomingReply, Outcome, OutgoingCall};
use crate::message::AcceptStatus;

/// What a client shares with the task of its connection.
pub(super) struct Driver {
    epoch: Instant,
    state: Mutex<State>,
    /// The task that reads and writes.
    task: AtomicWaker,
    /// There may be room to send, or the connection has ended.
    changed: Notify,
}

struct State {
    engine: Connection,
    waiting: HashMap<u32, Waiting>,
    closed: Option<ClosedError>,
    farewell: Farewell,
    look: SecondLook,
    /// Oneway calls that wait for room.
    senders: usize,
    /// Replies passed over that the log has been told of.
    passed_over: u64,
}

enum Waiting {
    For(Option<Waker>),
    Done(Result<IncomingReply, CallError>),
}

impl Driver {
    /// Drives a connection in a task of its own.
    pub(super) fn spawn<IO: Stream>(io: IO, config: ConnectionConfig) -> Arc<Self> {
        let alarm = Alarm::new();
        let engine = Connection::new(config);
        let (waiting, farewell, look) = (HashMap::new(), Farewell::default(), SecondLook::default());
        let state = State { engine, waiting, closed: None, farewell, look, senders: 0, passed_over: 0 };
        let driver = Arc::new(Self {
            epoch: alarm.epoch(),
            state: Mutex::new(state),
            task: AtomicWaker::new(),
            changed: Notify::new(),
        });
        ::tokio::spawn(drive(io, alarm, Arc::clone(&driver)));
        driver
    }

    pub(super) fn call<T: Encode + ?Sized>(
        self: &Arc<Self>,
        call: &OutgoingCall<'_>,
        args: &T,
        timeout: Option<Duration>,
    ) -> Result<Call, CallError> {
        let now = self.epoch.elapsed();
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Err(CallError::NotConnected(closed.clone()));
        }
        let xid = state.engine.call(now, call, args, deadline).map_err(CallError::NotSent)?;
        state.waiting.insert(xid, Waiting::For(None));
        drop(state);
        self.task.wake();
        Ok(Call { driver: Arc::clone(self), xid, has_ended: false })
    }

    /// Queues a oneway call as soon as there is room.
    pub(super) async fn send(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<(), CallError> {
        if self.try_send(call, args)? {
            return Ok(());
        }
        {
            let mut state = self.lock();
            state.senders = state.senders.saturating_add(1);
        }
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

    /// False where there is no room.
    fn try_send(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<bool, CallError> {
        let now = self.epoch.elapsed();
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            return Err(CallError::NotConnected(closed.clone()));
        }
        if !state.engine.has_room_to_send(args.len().saturating_add(call.credential.body.len())) {
            return Ok(false);
        }
        state.engine.call_encoded(now, call, args, None).map_err(CallError::NotSent)?;
        drop(state);
        self.task.wake();
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

    /// Ends the connection and every call that waits for it.
    pub(super) fn close(&self, why: ClosedError) {
        let mut state = self.lock();
        let why = state.closed.get_or_insert(why).clone();
        let State { engine, waiting, .. } = &mut *state;
        // Nobody wants the rest of a reply any more.
        engine.discard_input();
        for (xid, waiting) in waiting {
            // What is not sent by now never will be: nobody who waits lets the last handle go.
            waiting.finish(|| Err(CallError::lost(why.clone(), engine.is_sent(*xid))));
        }
        drop(state);
        self.changed.notify_waiters();
        self.task.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted as long as a oneway call waits for room.
struct Waits<'a>(&'a Driver);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders = state.senders.saturating_sub(1);
    }
}

/// A call in flight.
pub(super) struct Call {
    driver: Arc<Driver>,
    xid: u32,
    /// The reply was taken, or why there is none.
    has_ended: bool,
}

impl Future for Call {
    type Output = Result<IncomingReply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Self { driver, xid, has_ended } = &mut *self;
        let reply = match driver.lock().waiting.entry(*xid) {
            Entry::Occupied(mut waiting) => match waiting.get_mut() {
                Waiting::For(Some(waker)) => {
                    waker.clone_from(cx.waker());
                    return Poll::Pending;
                }
                Waiting::For(waker) => {
                    *waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Waiting::Done(_) => waiting.remove(),
            },
            Entry::Vacant(_) => Waiting::For(None),
        };
        *has_ended = true;
        Poll::Ready(match reply {
            Waiting::Done(reply) => reply,
            Waiting::For(_) => Err(CallError::Closed(ClosedError::ByUs)),
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.driver.lock();
        if state.waiting.remove(&self.xid).is_some() {
            state.engine.forget(self.xid);
            drop(state);
            // A connection without calls may be idle.
            self.driver.task.wake();
        }
    }
}

impl Waiting {
    fn finish(&mut self, reply: impl FnOnce() -> Result<IncomingReply, CallError>) {
        if let Self::For(waker) = self {
            let waker = waker.take();
            *self = Self::Done(reply());
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Reads and writes until the connection ends, for one reason or another.
async fn drive<IO: Stream>(mut io: IO, mut alarm: Alarm, driver: Arc<Driver>) {
    let _driven = Driven(Arc::clone(&driver));
    let why = poll_fn(|cx| {
        driver.task.register(cx.waker());
        let mut state = driver.lock();
        let polled = state.poll(cx, &mut io, &mut alarm);
        if state.senders > 0 && state.engine.has_room_to_send(0) {
            drop(state);
            driver.changed.notify_waiters();
        }
        polled
    })
    .await;
    if let ClosedError::Io(_) = &why {
        // The runtime says then what can be read.
        yield_now().await;
        poll_fn(|cx| {
            driver.lock().take_the_last(cx, &mut io, alarm.now());
            Poll::Ready(())
        })
        .await;
    }
    driver.close(why);
    // Once: a peer that does not read would have it waited for without end. Behind a farewell it has been said.
    let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut io).poll_shutdown(cx))).await;
}

/// Dropped with the task that drives a connection, also where its runtime ends.
struct Driven(Arc<Driver>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.close(ClosedError::ByUs);
    }
}

impl State {
    fn poll<IO: Stream>(&mut self, cx: &mut TaskContext<'_>, io: &mut IO, alarm: &mut Alarm) -> Poll<ClosedError> {
        match self.run(cx, io, alarm) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(self.closed.clone().unwrap_or(ClosedError::ByPeer)),
            Err(why) => Poll::Ready(why),
        }
    }

    fn run<IO: Stream>(
        &mut self,
        cx: &mut TaskContext<'_>,
        io: &mut IO,
        alarm: &mut Alarm,
    ) -> Result<Poll<()>, ClosedError> {
        loop {
            let now = alarm.now();
            let written = poll_write(cx, io, &mut self.engine, now)?;
            if self.closed.is_some() {
                // The last handle is gone. What it has queued still goes, if the peer takes it in time.
                self.farewell.drain(cx, io, now);
                if written.is_ready() {
                    return Ok(self.farewell.poll(cx, io, &self.engine, alarm, now));
                }
                break;
            }
            // What was written may have made room for what has come before.
            self.take_events(now)?;
            if written.is_ready() && !self.engine.output().is_empty() {
                continue;
            }
            if !self.engine.wants_input() {
                break;
            }
            match poll_read(cx, io, &mut self.engine, now)? {
                Poll::Ready(0) => {
                    self.engine.handle_eof().map_err(ClosedError::Protocol)?;
                    return Ok(Poll::Ready(()));
                }
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        if let Some(deadline) = self.engine.overdue(alarm.now())
            && self.look.is_due(cx, deadline)
        {
            return Ok(Poll::Pending);
        }
        alarm.poll(cx, &mut self.engine, alarm.now()).map_err(ClosedError::Protocol)?;
        if self.closed.is_none() {
            self.take_events(alarm.now())?;
        }
        Ok(Poll::Pending)
    }

    /// Takes the replies that have come on a stream that is lost, as may be seen where something was to be written to it.
    fn take_the_last<IO: Stream>(&mut self, cx: &mut TaskContext<'_>, io: &mut IO, now: Duration) {
        let mut reads = LAST_READS;
        while self.closed.is_none() && self.take_events(now).is_ok() && reads > 0 && self.engine.wants_input() {
            if !read_last(cx, io, &mut self.engine, now) {
                return;
            }
            reads = reads.saturating_sub(1);
        }
    }

    fn take_events(&mut self, now: Duration) -> Result<(), ClosedError> {
        while let Some(event) = self.engine.poll_event().map_err(ClosedError::Protocol)? {
            match event {
                Event::Reply(reply) => self.finish(reply.xid, || Ok(reply)),
                Event::DeadlineExceeded { xid } => self.finish(xid, || Err(CallError::DeadlineExceeded)),
                // This client serves no program.
                Event::Call(call) => {
                    self.engine.reply(now, call.xid, Outcome::Accepted(AcceptStatus::ProgUnavail));
                }
            }
        }
        let passed_over = self.engine.client().passed_over();
        if passed_over != self.passed_over {
            tracing::debug!(passed_over, "passed over a reply that nobody waits for");
            self.passed_over = passed_over;
        }
        Ok(())
    }

    fn finish(&mut self, xid: u32, reply: impl FnOnce() -> Result<IncomingReply, CallError>) {
        if let Some(waiting) = self.waiting.get_mut(&xid) {
            waiting.finish(reply);
        }
    }
}
