//! A server's socket for datagrams: the handlers of all peers' calls run in its task.

use std::future::{Future, poll_fn};
use std::hash::RandomState;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::tokio::net::UdpSocket;
use xdr_core::Bytes;

use super::super::serve::log_undispatched;
use super::super::shared::{Lines, Shared};
use super::super::slots::{Ended, Slots, Unreturned};
use super::super::tally::Tally;
use super::super::woken::Woken;
use super::super::{Alarm, LogLimit};
use super::addressed::{Addressed, Received};
use super::{DATAGRAMS_A_TURN, is_about_the_last};
use crate::answer::{Answer, check};
use crate::connection::Outcome;
use crate::context::Context;
use crate::datagram::{CallId, DatagramCall, DatagramServer, Transmit};
use crate::message::AcceptStatus;
use crate::procedure::ProcedureInfo;
use crate::program::Programs;
use crate::reply::EncodeReply;
use crate::session::Peer;
use crate::table::Undispatched;

/// How long a socket that cannot be read is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a socket until `finish` is ready and what was taken up is answered.
pub(in crate::tokio) async fn serve<P: Programs>(
    socket: UdpSocket,
    shared: Arc<Shared<P>>,
    tally: Arc<Tally>,
    finish: impl Future<Output = ()> + Send,
) {
    let programs = Arc::clone(&shared);
    let programs = &programs.programs;
    let start = move |cx: Context, args: Bytes| async move { programs.dispatch(&cx, &args).await };
    let mut finish = pin!(finish);
    let config = shared.config.datagram.clone();
    let mut served = Served {
        socket: Addressed::new(socket, config.max_datagram),
        slots: Slots::new(Woken::new(config.max_calls_in_flight)),
        engine: DatagramServer::with_hasher(config, RandomState::new()),
        alarm: Alarm::new(),
        unsent: None,
        resume: None,
        finishing: false,
        failures: LogLimit::new("datagrams could not be received"),
        tally,
        shared,
        start,
    };
    poll_fn(|cx| {
        served.finishing = served.finishing || finish.as_mut().poll(cx).is_ready();
        let polled = served.poll(cx);
        served.slots.rest(cx.waker());
        polled
    })
    .await;
}

struct Served<P: Programs, S, F> {
    engine: DatagramServer<RandomState>,
    slots: Slots<F, CallId>,
    alarm: Alarm,
    /// What the socket did not take yet.
    unsent: Option<Transmit>,
    /// When a socket that could not be read is read again.
    resume: Option<Duration>,
    /// Shutting down: what was taken up is answered.
    finishing: bool,
    /// Failures to receive in the log.
    failures: LogLimit,
    tally: Arc<Tally>,
    socket: Addressed,
    shared: Arc<Shared<P>>,
    /// Makes a handler's future, whose type has no name.
    start: S,
}

// However the socket is closed.
impl<P: Programs, S, F> Drop for Served<P, S, F> {
    fn drop(&mut self) {
        self.tally.end(self.engine.counters());
    }
}

impl<P, S, F> Served<P, S, F>
where
    P: Programs,
    S: Fn(Context, Bytes) -> F,
    F: Future<Output = Result<P::Reply, Undispatched>>,
{
    /// Woken handlers, then all that is to be sent, then one datagram, until nothing moves.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.slots.register(cx.waker());
        for turn in (0..DATAGRAMS_A_TURN).rev() {
            let (engine, now) = (&mut self.engine, self.alarm.now());
            let Shared { rules, lines, .. } = &*self.shared;
            let mut moved = self.slots.poll_woken(|call| finish_call(engine, lines, now, call));
            moved |= self.slots.give_up(now, |call| {
                let limit = rules.time_limit_of(call.procedure).unwrap_or_default();
                let ProcedureInfo { program, name: procedure, .. } = *call.procedure;
                lines.too_long.line(|left_out| {
                    let (peer, xid) = (call.id.peer(), call.id.xid());
                    tracing::error!(%peer, xid, program, procedure, ?limit, left_out, "handler took too long");
                });
                finish_call(engine, lines, now, call);
            });
            match self.send(cx) {
                Poll::Ready(()) if self.finishing && self.engine.in_flight() == 0 => return Poll::Ready(()),
                Poll::Ready(()) if !self.finishing => moved |= self.receive(cx, now),
                // While replies wait, calls wait with the kernel, which drops what is too much.
                _ => {}
            }
            if !moved {
                break;
            }
            if turn == 0 {
                cx.waker().wake_by_ref();
            }
        }
        self.tally.calls(self.engine.counters());
        let deadline = self.slots.next_deadline();
        while let Some(next) = [self.engine.next_timeout(), self.resume, deadline].into_iter().flatten().min() {
            if self.alarm.poll_until(cx, self.alarm.now(), next).is_pending() {
                break;
            }
            let now = self.alarm.now();
            self.engine.handle_time(now);
            if self.resume.take_if(|at| now >= *at).is_some() {
                cx.waker().wake_by_ref();
            }
            if deadline.is_some_and(|at| now >= at) {
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    }

    fn send(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        while let Some(transmit) = self.unsent.take().or_else(|| self.engine.poll_transmit()) {
            match self.socket.poll_send(cx, &transmit) {
                Poll::Pending => {
                    self.unsent = Some(transmit);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(len)) => self.tally.sent(len),
                // As if it had been lost: the peer calls again.
                Poll::Ready(Err(error)) => tracing::debug!(peer = %transmit.to, %error, "cannot send a reply"),
            }
        }
        Poll::Ready(())
    }

    /// Receives one datagram. False when there is none.
    fn receive(&mut self, cx: &mut TaskContext<'_>, now: Duration) -> bool {
        if self.resume.is_some() {
            return false;
        }
        match self.socket.poll_receive(cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(Received { from, to, datagram })) => {
                self.tally.received(datagram.len());
                if let Some(new) = self.engine.handle_datagram_to(now, from, to, datagram) {
                    self.take_up(now, new);
                }
                true
            }
            Poll::Ready(Err(error)) if is_about_the_last(&error) => true,
            Poll::Ready(Err(error)) => {
                self.failures.line(|left_out| tracing::warn!(%error, left_out, "cannot receive datagrams"));
                self.resume = Some(now.saturating_add(PAUSE));
                false
            }
        }
    }

    fn take_up(&mut self, now: Duration, new: DatagramCall) {
        let DatagramCall { id, call } = new;
        let shared = &self.shared;
        // A policy that panics ends a connection; here it would end all peers' calls.
        let answer = catch_unwind(AssertUnwindSafe(|| {
            let session = Arc::new((shared.sessions)(Peer::Udp(id.peer())));
            check(&shared.programs, &shared.rules, &session, &call)
        }));
        match answer {
            Ok(Answer::Dispatch(mut context)) => {
                context.begin(self.alarm.instant(now));
                let Self { engine, slots, start, .. } = self;
                slots.start(
                    now,
                    id,
                    context,
                    |context| start(context, call.args),
                    |ended| finish_call(engine, &shared.lines, now, ended),
                );
            }
            Ok(Answer::Outcome(outcome)) => {
                tracing::debug!(peer = %id.peer(), xid = id.xid(), ?outcome, "refused a call");
                refuse(&mut self.engine, now, &id, outcome);
            }
            Ok(Answer::Results(results)) => {
                self.engine.forget(&id);
                if let Err(error) = self.engine.reply_with(now, &id, &results) {
                    shared.lines.not_sent.line(|left_out| {
                        tracing::error!(peer = %id.peer(), xid = id.xid(), %error, left_out, "cannot send a reply");
                    });
                }
            }
            Err(_) => {
                shared.lines.policy_panicked.line(|left_out| {
                    tracing::error!(peer = %id.peer(), xid = id.xid(), left_out, "policy panicked");
                });
                refuse(&mut self.engine, now, &id, Outcome::Accepted(AcceptStatus::SystemErr));
            }
        }
    }
}

/// Answers a call that has not reached a handler. It may be looked at again if it comes again.
fn refuse(engine: &mut DatagramServer<RandomState>, now: Duration, id: &CallId, outcome: Outcome) {
    engine.forget(id);
    engine.reply(now, id, outcome);
}

/// Replies to a call whose handler has ended.
fn finish_call<R: EncodeReply>(
    engine: &mut DatagramServer<RandomState>,
    lines: &Lines,
    now: Duration,
    call: Ended<'_, Result<R, Undispatched>, CallId>,
) {
    let Ended { id, procedure, verifier, output } = call;
    let (peer, xid) = (id.peer(), id.xid());
    let ProcedureInfo { program, name, oneway, .. } = *procedure;
    // The answer comes before the line of the log, which may run code of a user's that panics.
    match output {
        Ok(Ok(_)) if oneway => engine.leave_unanswered(now, &id),
        Ok(Ok(reply)) => {
            let verifier = verifier.map(|verifier| *verifier).unwrap_or_default();
            if let Err(error) = engine.reply_with_verifier(now, &id, &verifier, reply) {
                lines.not_sent.line(|left_out| {
                    tracing::error!(%peer, xid, program, procedure = name, %error, left_out, "cannot send a reply");
                });
            }
        }
        Ok(Err(undispatched)) => {
            if !matches!(undispatched, Undispatched::Refused(_)) {
                // It may be looked at again if it comes again.
                engine.forget(&id);
            }
            reply_without_results(engine, now, &id, oneway, undispatched.status());
            log_undispatched(undispatched, lines, xid, name);
        }
        Err(Unreturned::Panicked) => {
            reply_without_results(engine, now, &id, oneway, AcceptStatus::SystemErr);
            lines.panicked.line(|left_out| {
                tracing::error!(%peer, xid, program, procedure = name, left_out, "handler panicked");
            });
        }
        // It was answered before.
        Err(Unreturned::NotEncoded) => lines.not_encoded.line(|left_out| {
            tracing::error!(%peer, xid, program, procedure = name, left_out, "encoding or dropping of a reply panicked");
        }),
        Err(Unreturned::GivenUp) => reply_without_results(engine, now, &id, oneway, AcceptStatus::SystemErr),
    }
}

/// Answers a call that has no results.
fn reply_without_results(
    engine: &mut DatagramServer<RandomState>,
    now: Duration,
    id: &CallId,
    oneway: bool,
    status: AcceptStatus,
) {
    // That there is no such procedure is told also to who thinks that it is oneway.
    if oneway && status != AcceptStatus::ProcUnavail {
        engine.leave_unanswered(now, id);
    } else {
        engine.reply(now, id, Outcome::Accepted(status));
    }
}
