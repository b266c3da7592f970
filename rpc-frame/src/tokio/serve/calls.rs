//! The calls of a connection: who makes them, and what becomes of them.

use std::future::Future;
use std::time::Duration;

use xdr_core::Bytes;

use super::super::shared::Shared;
use super::{Returned, Served, finish_call};
use crate::answer::{Answer, admit, answer, authenticate};
use crate::auth::OpaqueAuth;
use crate::caller::Caller;
use crate::connection::{CallHeader, Glance, Glanced, IncomingCall, Outcome};
use crate::context::Context;
use crate::message::{AcceptStatus, CallBody};
use crate::program::Programs;

/// The credential and the verifier of a call that has none.
static NOBODY: OpaqueAuth = OpaqueAuth::none();

/// Without results, as NULL is answered.
const SUCCESS: Outcome = Outcome::Accepted(AcceptStatus::Success);

impl<P, IO, S, F> Served<'_, P, IO, S, F>
where
    P: Programs,
    S: Fn(Context, Bytes) -> F,
    F: Future<Output = Returned<P::Reply>>,
{
    /// Takes up the next call, if that can be done where it lies. Whether a handler was started for it; none where it
    /// cannot be done.
    pub(super) fn glance(&mut self, now: Duration) -> Option<bool> {
        let Self { engine, shared, session, contexts, .. } = self;
        let (mut stranger, mut context) = (None, None);
        let look = |header: CallHeader, known: Option<&Caller>| {
            let caller = match known {
                Some(known) => known,
                None => match authenticate(&shared.rules, session, &NOBODY, &NOBODY) {
                    Ok(caller) => stranger.insert(caller),
                    Err(refusal) => return refused(header.xid, refusal),
                },
            };
            match answer(&shared.programs, &shared.rules, session, header, caller, || contexts.pop()) {
                Answer::Outcome(outcome) => refused(header.xid, outcome),
                Answer::Results(results) if results.is_empty() => Glance::Outcome(SUCCESS),
                Answer::Results(results) => Glance::Results(results),
                Answer::Dispatch(kept) => {
                    context = Some(kept);
                    Glance::Keep
                }
            }
        };
        let glanced = engine.glance(now, &self.known, look)?;
        if let Some(stranger) = stranger {
            self.learn(&NOBODY, &NOBODY, &stranger);
        }
        match glanced {
            Glanced::Answered(Ok(())) => {}
            Glanced::Answered(Err((xid, error))) => self.shared.lines.not_sent.line(|left_out| {
                tracing::error!(xid, %error, left_out, "cannot send a reply");
            }),
            Glanced::Kept { xid, args } => {
                if let Some(context) = context {
                    self.dispatch(now, xid, context, args);
                }
                return Some(true);
            }
        }
        Some(false)
    }

    pub(super) fn take_up(&mut self, now: Duration, call: IncomingCall) {
        let Shared { programs, rules, lines, .. } = self.shared;
        let answer = match admit(rules, &self.session, &call) {
            Ok((header, caller)) => {
                if let Ok(CallBody { credential, verifier, .. }) = &call.header {
                    self.learn(credential, verifier, &caller);
                }
                answer(programs, rules, &self.session, header, &caller, || self.contexts.pop())
            }
            Err(refusal) => Answer::Outcome(refusal),
        };
        match answer {
            Answer::Outcome(outcome) => {
                tracing::debug!(xid = call.xid, ?outcome, "refused a call");
                self.engine.reply(now, call.xid, outcome);
            }
            Answer::Results(results) => {
                if let Err(error) = self.engine.reply_with(now, call.xid, &results) {
                    lines.not_sent.line(|left_out| {
                        tracing::error!(xid = call.xid, %error, left_out, "cannot send a reply");
                    });
                }
            }
            Answer::Dispatch(context) => self.dispatch(now, call.xid, context, call.args),
        }
    }

    /// Remembers a caller that was let in, where it need not be asked again.
    fn learn(&mut self, credential: &OpaqueAuth, verifier: &OpaqueAuth, caller: &Caller) {
        if self.shared.rules.authenticator.lets_in_for_good() {
            self.known.learn(credential, verifier, caller);
        }
    }

    /// Starts a handler.
    fn dispatch(&mut self, now: Duration, xid: u32, mut context: Context, args: Bytes) {
        context.begin(self.instant);
        let Self { engine, post, slots, contexts, start, shared, .. } = self;
        slots.start(
            now,
            xid,
            context,
            |context| start(context, args),
            |ended| {
                finish_call(engine, post, contexts, &shared.lines, now, ended);
            },
        );
    }
}

fn refused(xid: u32, outcome: Outcome) -> Glance {
    tracing::debug!(xid, ?outcome, "refused a call");
    Glance::Outcome(outcome)
}
