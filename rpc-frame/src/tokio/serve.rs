//! One connection of a server: its handlers run in its own task.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use xdr_core::Bytes;

use super::shared::Shared;
use super::slots::{Ended, Slots};
use super::{Alarm, Stream, poll_read, poll_write};
use crate::answer::{Answer, check};
use crate::connection::{Connection, ConnectionError, Event, IncomingCall, Outcome};
use crate::message::AcceptStatus;
use crate::program::Programs;
use crate::session::{Context, Session};
use crate::table::Undispatched;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Protocol(#[from] ConnectionError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves one connection until the peer ends it, or until `finish` is ready and what was taken up is answered.
pub(super) async fn serve<P: Programs, IO: Stream>(
    io: IO,
    session: Session,
    shared: Arc<Shared<P>>,
    finish: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let programs = Arc::clone(&shared);
    let start = move |cx: Context, args: Bytes| {
        let shared = Arc::clone(&programs);
        async move { shared.programs.dispatch(&cx, &args).await }
    };
    let mut finish = std::pin::pin!(finish);
    let mut served = Served {
        engine: Connection::new(shared.config.connection.clone()),
        slots: Slots::new(shared.config.connection.max_calls_in_flight),
        session: Arc::new(session),
        alarm: Alarm::new(),
        state: State::Open,
        broken: None,
        io,
        shared,
        start,
    };
    poll_fn(|cx| {
        if served.state != State::Finishing && finish.as_mut().poll(cx).is_ready() {
            served.state = State::Finishing;
            served.engine.discard_input();
        }
        served.poll(cx)
    })
    .await
}

/// Calls that a connection takes up, and rounds that it makes, before it lets others have their turn.
const CALLS_A_TURN: usize = 64;

/// What a connection still does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Reads and answers.
    Open,
    /// The peer sends no more: what has come is answered.
    Eof,
    /// Shutting down, or the stream is broken: what was taken up is answered.
    Finishing,
}

struct Served<P: Programs, IO, S, F> {
    engine: Connection,
    slots: Slots<F>,
    session: Arc<Session>,
    alarm: Alarm,
    state: State,
    /// Why the peer is not listened to any more.
    broken: Option<ConnectionError>,
    io: IO,
    shared: Arc<Shared<P>>,
    /// Makes a handler's future, whose type has no name.
    start: S,
}

impl<P, IO, S, F> Served<P, IO, S, F>
where
    P: Programs,
    IO: Stream,
    S: Fn(Context, Bytes) -> F,
    F: Future<Output = Result<P::Reply, Undispatched>>,
{
    /// Woken handlers, then whole records, then one write, then one read, until nothing moves.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), ServeError>> {
        self.slots.register(cx.waker());
        // Neither a peer that sends calls without end nor a handler that wakes itself without end may keep the others of
        // this thread waiting.
        let mut turn = CALLS_A_TURN;
        loop {
            let engine = &mut self.engine;
            let now = self.alarm.now();
            let mut moved = self.slots.poll_woken(|call| finish_call(engine, now, call));
            while self.state != State::Finishing && turn > 0 {
                match self.engine.poll_event() {
                    Ok(Some(event)) => {
                        turn = turn.saturating_sub(1);
                        moved = true;
                        if let Event::Call(call) = event {
                            self.take_up(&call);
                        }
                    }
                    Ok(None) => break,
                    // The stream is lost, but what came before it was broken is answered.
                    Err(error) => {
                        self.broken = Some(error);
                        self.state = State::Finishing;
                        self.engine.discard_input();
                    }
                }
            }
            let unsent = self.engine.output().len();
            let written = poll_write(cx, &mut self.io, &mut self.engine, now)?;
            moved |= self.engine.output().len() < unsent;
            // After the end of the input there may be calls that have waited for room, which this write made.
            let taken = self.state == State::Finishing || !moved;
            if self.state != State::Open && taken && written.is_ready() && self.engine.server().in_flight() == 0 {
                return Poll::Ready(self.end(cx));
            }
            if self.state == State::Open && self.engine.wants_input() {
                match poll_read(cx, &mut self.io, &mut self.engine, now)? {
                    Poll::Ready(len) => {
                        moved = true;
                        if len == 0 {
                            self.state = State::Eof;
                        }
                    }
                    Poll::Pending => {}
                }
            }
            if !moved {
                break;
            }
            turn = turn.saturating_sub(1);
            if turn == 0 {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.alarm.poll(cx, &mut self.engine)?;
        Poll::Pending
    }

    fn end(&mut self, cx: &mut TaskContext<'_>) -> Result<(), ServeError> {
        // The peer may be gone already; there is nothing left to lose.
        let _ = Pin::new(&mut self.io).poll_shutdown(cx);
        if let Some(error) = self.broken.take() {
            return Err(error.into());
        }
        if self.state == State::Eof {
            self.engine.handle_eof()?;
        }
        Ok(())
    }

    fn take_up(&mut self, call: &IncomingCall) {
        let now = self.alarm.now();
        match check(&self.shared.programs, &self.shared.rules, &self.session, call) {
            Answer::Outcome(outcome) => {
                tracing::debug!(xid = call.xid, ?outcome, "refused a call");
                self.engine.reply(now, call.xid, outcome);
            }
            Answer::Results(results) => {
                if let Err(error) = self.engine.reply_with(now, call.xid, &results) {
                    tracing::error!(xid = call.xid, %error, "cannot send a reply");
                }
            }
            Answer::Dispatch(context) => {
                let (procedure, verifier) = (context.procedure(), context.verifier().clone());
                let handler = (self.start)(context, call.args.clone());
                if let Some(ended) = self.slots.start(call.xid, procedure, verifier, handler) {
                    finish_call(&mut self.engine, now, ended);
                }
            }
        }
    }
}

/// Replies to a call whose handler has ended.
fn finish_call<R: crate::EncodeReply>(
    engine: &mut Connection,
    now: core::time::Duration,
    call: Ended<Result<R, Undispatched>>,
) {
    let Ended { xid, procedure, verifier, output } = call;
    let refused = |status| Outcome::Accepted(status);
    match output {
        Some(Ok(reply)) => {
            if let Err(error) = engine.reply_with_verifier(now, xid, &verifier, &reply) {
                tracing::error!(xid, procedure = procedure.name, %error, "cannot send a reply");
            }
        }
        Some(Err(Undispatched::GarbageArgs(error))) => {
            tracing::debug!(xid, procedure = procedure.name, %error, "garbage arguments");
            engine.reply(now, xid, refused(AcceptStatus::GarbageArgs));
        }
        Some(Err(Undispatched::UnknownProcedure)) => engine.reply(now, xid, refused(AcceptStatus::ProcUnavail)),
        Some(Err(Undispatched::Refused(refusal))) => {
            let error: &(dyn std::error::Error + 'static) = refusal.reason();
            tracing::warn!(xid, procedure = procedure.name, error, "refused a call in front of its method");
            engine.reply(now, xid, refused(AcceptStatus::SystemErr));
        }
        None => {
            tracing::error!(xid, procedure = procedure.name, "handler panicked");
            engine.reply(now, xid, refused(AcceptStatus::SystemErr));
        }
    }
}
