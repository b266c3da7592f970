//! One connection that is served, a server's or a client's: its handlers run in its own task.

mod calls; // who makes them, and what becomes of them

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;
use std::vec::Vec;

use ::tokio::task::yield_now;
use ::tokio::time::Instant;
use xdr_core::Bytes;

use super::error::{CallError, ClosedError};
use super::farewell::Farewell;
use super::mailbox::{Mailbox, Post};
use super::shared::{Lines, Shared};
use super::slots::{Ended, Slots, Unreturned};
use super::tally::Tally;
use super::{Alarm, LAST_READS, SecondLook, Stream, poll_read, poll_write, read_last};
use crate::caller::KnownCaller;
use crate::connection::{Connection, ConnectionError, Event, Outcome};
use crate::context::Context;
use crate::message::AcceptStatus;
use crate::procedure::ProcedureInfo;
use crate::program::Programs;
use crate::session::Session;
use crate::table::Undispatched;

/// Serves one connection until the peer ends it, or until `finish` is ready and what was taken up is answered. None
/// where `abort` was ready before.
pub(super) async fn serve<P: Programs, IO: Stream>(
    io: IO,
    mut session: Session,
    shared: Arc<Shared<P>>,
    mailbox: Arc<Mailbox>,
    tally: Arc<Tally>,
    // Pinned where they are: a future that is handed on takes its room twice, in every connection.
    mut finish: Pin<&mut (impl Future<Output = ()> + Send)>,
    mut abort: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Option<Result<(), ClosedError>> {
    session.mailbox = Some(Arc::clone(&mailbox));
    let programs = &shared.programs;
    let start = move |cx: Context, args: Bytes| async move {
        let returned = programs.dispatch(&cx, &args).await.map_err(Box::new);
        (returned, Some(cx))
    };
    let woken = Arc::clone(mailbox.woken());
    let end_waker = woken.end_waker();
    let mut served = Served {
        engine: Connection::new(shared.config.connection.clone()),
        slots: Slots::new(Arc::clone(&woken)),
        session: Arc::new(session),
        contexts: Vec::new(),
        known: KnownCaller::default(),
        alarm: Alarm::since(mailbox.epoch()),
        instant: mailbox.epoch(),
        post: Post::new(mailbox),
        state: State::Open,
        listens: true,
        look: SecondLook::default(),
        tally,
        written: Poll::Ready(()),
        broken: None,
        farewell: Farewell::default(),
        io,
        shared: &shared,
        start,
    };
    let ended = poll_fn(|cx| {
        // Before the end is looked at, so that no change is missed.
        served.slots.register(cx.waker());
        let is_told = woken.take_end();
        let mut end = TaskContext::from_waker(&end_waker);
        if is_told && abort.as_mut().poll(&mut end).is_ready() {
            return Poll::Ready(served.tally.leaves().then_some(Ok(())));
        }
        if is_told && served.state != State::Finishing && finish.as_mut().poll(&mut end).is_ready() {
            served.state = State::Finishing;
            // What was sent before is delivered.
            served.post.collect(&mut served.engine, served.alarm.now());
            // Handlers that call the peer need its replies to come to an end.
            if !served.post.in_use() {
                served.stop_listening(ClosedError::ByUs);
            }
        }
        let polled = served.poll(cx);
        served.slots.rest(cx.waker());
        // Mostly it is, and then there is nothing to be moved.
        if polled.is_pending() { Poll::Pending } else { polled.map(Some) }
    })
    .await;
    if let Some(Err(ClosedError::Io(_))) = &ended
        && served.post.in_use()
    {
        // The runtime says then what can be read.
        yield_now().await;
        poll_fn(|cx| {
            served.take_the_last(cx);
            Poll::Ready(())
        })
        .await;
    }
    let why = match &ended {
        None => ClosedError::ByUs,
        Some(Ok(())) if served.state == State::Finishing => ClosedError::ByUs,
        Some(Ok(())) => ClosedError::ByPeer,
        Some(Err(why)) => why.clone(),
    };
    served.post.end(&served.engine, why);
    ended
}

/// Calls that a connection takes up before it lets others have their turn.
const CALLS_A_TURN: usize = 128;

/// Rounds that it makes before it does.
const ROUNDS_A_TURN: usize = 64;

/// What a connection still does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Reads and answers.
    Open,
    /// The peer sends no more: what has come is answered.
    Eof,
    /// Shutting down, or the stream is broken: what was taken up is answered, and no other call.
    Finishing,
}

struct Served<'a, P: Programs, IO, S, F> {
    engine: Connection,
    slots: Slots<F>,
    session: Arc<Session>,
    /// Those of calls that have ended, for the calls to come.
    contexts: Vec<Context>,
    known: KnownCaller,
    alarm: Alarm,
    /// The present time.
    instant: Instant,
    /// Calls of our own.
    post: Post,
    state: State,
    /// Whether anything is still read: while finishing, only for the replies to calls of our own.
    listens: bool,
    look: SecondLook,
    tally: Arc<Tally>,
    /// Whether the peer has all that was to be sent, as far as the stream knows.
    written: Poll<()>,
    /// Why the peer is not listened to any more.
    broken: Option<ConnectionError>,
    farewell: Farewell,
    io: IO,
    shared: &'a Shared<P>,
    /// Makes a handler's future, whose type has no name.
    start: S,
}

// However the connection ends.
impl<P: Programs, IO, S, F> Drop for Served<'_, P, IO, S, F> {
    fn drop(&mut self) {
        self.tally.end(self.engine.server().counters());
    }
}

impl<P, IO, S, F> Served<'_, P, IO, S, F>
where
    P: Programs,
    IO: Stream,
    S: Fn(Context, Bytes) -> F,
    F: Future<Output = Returned<P::Reply>>,
{
    /// Woken handlers, then whole records, then one write, then one read, until nothing moves.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ClosedError>> {
        // Neither a peer that sends calls without end nor a handler that wakes itself without end may keep the others of
        // this thread waiting.
        let (mut calls, mut rounds) = (CALLS_A_TURN, ROUNDS_A_TURN);
        let mut looked_again = false;
        let mut now = self.look_at_the_clock();
        loop {
            let (engine, post, contexts) = (&mut self.engine, &mut self.post, &mut self.contexts);
            let Shared { rules, lines, .. } = self.shared;
            let mut ran = self.slots.poll_woken(|call| finish_call(engine, post, contexts, lines, now, call));
            let mut moved = ran;
            moved |= self.slots.give_up(now, |call| {
                let limit = rules.time_limit_of(call.procedure).unwrap_or_default();
                let ProcedureInfo { program, name: procedure, .. } = *call.procedure;
                lines.too_long.line(|left_out| {
                    tracing::error!(xid = call.id, program, procedure, ?limit, left_out, "handler took too long");
                });
                finish_call(engine, post, contexts, lines, now, call);
            });
            moved |= post.collect(engine, now);
            while self.listens && calls > 0 && (self.state == State::Eof || self.engine.has_something()) {
                if self.state != State::Finishing
                    && let Some(started) = self.glance(now)
                {
                    calls = calls.saturating_sub(1);
                    moved = true;
                    ran |= started;
                    continue;
                }
                match self.engine.poll_event() {
                    Ok(Some(event)) => {
                        calls = calls.saturating_sub(1);
                        moved = true;
                        ran = true;
                        match event {
                            Event::Call(call) if self.state != State::Finishing => self.take_up(now, call),
                            Event::Call(_) => self.engine.leave_unanswered(),
                            Event::Reply(reply) => self.post.finish(reply.xid, Ok(reply)),
                            Event::DeadlineExceeded { xid } => self.post.finish(xid, Err(CallError::DeadlineExceeded)),
                        }
                    }
                    Ok(None) => {
                        // All that came before the end has been read: no reply to a call of ours will come.
                        if self.state == State::Eof {
                            self.post.close(&mut self.engine, ClosedError::ByPeer);
                        }
                        break;
                    }
                    // The stream is lost, but what came before it was broken is answered.
                    Err(error) => {
                        self.broken = Some(error);
                        self.state = State::Finishing;
                        self.stop_listening(error.into());
                    }
                }
            }
            if self.state == State::Finishing && !self.listens {
                let drained = self.farewell.drain(cx, &mut self.io, now);
                self.tally.received(drained);
            }
            if ran {
                // Handlers take their time, and a peer has its own from here on.
                now = self.look_at_the_clock();
            }
            let held_back = !self.engine.has_room();
            let unsent = self.engine.output().len();
            if unsent > 0 || self.written.is_pending() {
                self.written = poll_write(cx, &mut self.io, &mut self.engine, now)?;
                let sent = unsent.saturating_sub(self.engine.output().len());
                self.tally.sent(sent);
                moved |= sent > 0;
            }
            self.post.publish(&self.engine);
            // After the end of the input there may be calls that have waited for room, which this write made.
            let taken = self.state == State::Finishing || !moved;
            if self.state != State::Open && taken && self.written.is_ready() && self.engine.server().in_flight() == 0 {
                if self.state == State::Finishing && self.listens {
                    self.stop_listening(ClosedError::ByUs);
                    continue;
                }
                self.tally.calls(self.engine.server().counters());
                return self.poll_end(cx, now);
            }
            let mut more = held_back && self.engine.has_room();
            if self.state != State::Eof && self.listens && self.engine.wants_input() {
                match poll_read(cx, &mut self.io, &mut self.engine, now)? {
                    Poll::Ready(len) => {
                        (moved, more) = (true, true);
                        self.tally.received(len);
                        match self.state {
                            _ if len > 0 => {}
                            State::Finishing => self.stop_listening(ClosedError::ByPeer),
                            State::Open | State::Eof => self.state = State::Eof,
                        }
                    }
                    Poll::Pending => {}
                }
            }
            // What else could move things wakes the task.
            if !moved || (self.state == State::Open && !more && calls > 0) {
                // Most handlers that are woken in the turn in which they begin are done when they are polled again. Those
                // who wake themselves on and on wait for their next turn.
                if std::mem::replace(&mut looked_again, true) || !self.slots.any_woken() {
                    break;
                }
            }
            rounds = rounds.saturating_sub(1);
            if calls == 0 || rounds == 0 {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.tally.calls(self.engine.server().counters());
        self.engine.hold(self.post.is_held());
        if let Some(deadline) = self.engine.overdue(now)
            && self.look.is_due(cx, deadline)
        {
            return Poll::Pending;
        }
        if self.alarm.poll_with(cx, &mut self.engine, now, self.slots.next_deadline())?.is_ready() {
            cx.waker().wake_by_ref();
        }
        while let Some(xid) = self.engine.poll_expired() {
            self.post.finish(xid, Err(CallError::DeadlineExceeded));
        }
        Poll::Pending
    }

    /// Takes the replies to calls of our own that have come on a stream that is lost, as may be seen where something was to
    /// be written to it. Calls of the peer's are not taken up any more.
    fn take_the_last(&mut self, cx: &mut TaskContext<'_>) {
        let (mut reads, now) = (LAST_READS, self.alarm.now());
        while self.listens && reads > 0 {
            match self.engine.poll_event() {
                Ok(Some(Event::Reply(reply))) => self.post.finish(reply.xid, Ok(reply)),
                Ok(Some(Event::DeadlineExceeded { xid })) => self.post.finish(xid, Err(CallError::DeadlineExceeded)),
                Ok(Some(Event::Call(_))) => self.engine.leave_unanswered(),
                Ok(None) if self.state != State::Eof && read_last(cx, &mut self.io, &mut self.engine, now) => {
                    reads = reads.saturating_sub(1);
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// What time it is, for handlers that begin as well.
    fn look_at_the_clock(&mut self) -> Duration {
        self.instant = Instant::now();
        self.alarm.at(self.instant)
    }

    /// Reads no more: what has come and was not taken up is forgotten, and no reply to a call of ours will come.
    fn stop_listening(&mut self, why: ClosedError) {
        self.listens = false;
        self.engine.discard_input();
        self.post.close(&mut self.engine, why);
    }

    fn poll_end(&mut self, cx: &mut TaskContext<'_>, now: Duration) -> Poll<Result<(), ClosedError>> {
        let Self { io, engine, alarm, .. } = self;
        if self.state == State::Eof {
            // The peer may be gone already; there is nothing left to lose.
            let _ = Pin::new(io).poll_shutdown(cx);
            engine.handle_eof()?;
            return Poll::Ready(Ok(()));
        }
        self.tally.leave();
        ready!(self.farewell.poll(cx, io, engine, alarm, now));
        Poll::Ready(self.broken.take().map_or(Ok(()), |error| Err(error.into())))
    }
}

/// What a handler's future returns: how the call went, and its context, which is not needed any more.
type Returned<R> = (Result<R, Box<Undispatched>>, Option<Context>);

/// Says why no method was called.
pub(super) fn log_undispatched(why: &Undispatched, lines: &Lines, xid: u32, procedure: &str) {
    match why {
        Undispatched::UnknownProcedure => tracing::debug!(xid, procedure, "unknown procedure"),
        Undispatched::GarbageArgs(error) => tracing::debug!(xid, procedure, %error, "garbage arguments"),
        Undispatched::Refused(refusal) => {
            let error: &(dyn std::error::Error + 'static) = refusal.reason();
            lines.refused.line(|left_out| {
                tracing::warn!(xid, procedure, error, left_out, "refused a call in front of its method");
            });
        }
    }
}

/// Replies to a call whose handler has ended.
fn finish_call<R: crate::EncodeReply>(
    engine: &mut Connection,
    post: &mut Post,
    contexts: &mut Vec<Context>,
    lines: &Lines,
    now: Duration,
    call: Ended<'_, Returned<R>>,
) {
    let Ended { id: xid, procedure, verifier, output } = call;
    let output = output.map(|(returned, context)| {
        // One that is not kept is dropped with what was returned, behind the answer.
        if let Some(context) = context.take_if(|context| context.may_be_kept()) {
            contexts.push(context);
        }
        returned
    });
    // What the handler has sent to the peer goes before its reply.
    post.collect(engine, now);
    let ProcedureInfo { program, name, .. } = *procedure;
    // The answer comes before the line of the log, which may run code of a user's that panics.
    match output {
        Ok(Ok(_)) if procedure.oneway => engine.leave_unanswered(),
        Ok(Ok(reply)) => {
            let written = match &verifier {
                None => engine.reply_with(now, xid, reply),
                Some(verifier) => engine.reply_with_verifier(now, xid, verifier, reply),
            };
            if let Err(error) = written {
                lines.not_sent.line(|left_out| {
                    tracing::error!(xid, program, procedure = name, %error, left_out, "cannot send a reply");
                });
            }
        }
        Ok(Err(undispatched)) => {
            reply_without_results(engine, now, xid, procedure.oneway, undispatched.status());
            log_undispatched(undispatched, lines, xid, name);
        }
        Err(Unreturned::Panicked) => {
            reply_without_results(engine, now, xid, procedure.oneway, AcceptStatus::SystemErr);
            lines.panicked.line(|left_out| {
                tracing::error!(xid, program, procedure = name, left_out, "handler panicked");
            });
        }
        // It was answered before.
        Err(Unreturned::NotEncoded) => lines.not_encoded.line(|left_out| {
            tracing::error!(xid, program, procedure = name, left_out, "encoding or dropping of a reply panicked");
        }),
        Err(Unreturned::GivenUp) => reply_without_results(engine, now, xid, procedure.oneway, AcceptStatus::SystemErr),
    }
}

/// Answers a call that has no results.
fn reply_without_results(engine: &mut Connection, now: Duration, xid: u32, oneway: bool, status: AcceptStatus) {
    // That there is no such procedure is told also to who thinks that it is oneway.
    if oneway && status != AcceptStatus::ProcUnavail {
        engine.leave_unanswered();
    } else {
        engine.reply(now, xid, Outcome::Accepted(status));
    }
}
