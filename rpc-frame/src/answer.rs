//! The order of checks on a call, and the answers that need no user code.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use xdr_core::{Bytes, Limits};

use crate::auth::{AuthFlavor, OpaqueAuth};
use crate::authenticate::{AcceptClaims, Authenticator};
use crate::caller::Caller;
use crate::connection::{CallHeader, IncomingCall, Malformed, Outcome};
use crate::context::Context;
use crate::message::{AcceptStatus, AuthStat, CallBody, RPC_VERSION, RejectedReply};
use crate::procedure::ProcedureInfo;
use crate::program::{Found, Programs};
use crate::session::{ActivationPolicy, Policy, Session, Verdict};

/// Who may call what, and at what cost.
pub struct Rules {
    /// Decides who calls: [`AcceptClaims`].
    pub authenticator: Box<dyn Authenticator>,
    /// Decides on calls to known procedures: [`ActivationPolicy`].
    pub policy: Box<dyn Policy>,
    /// What decoding the arguments of one call may cost.
    pub limits: Limits,
    /// How long a handler may take, where its procedure has no limit of its own: 10 min. None: none has a limit, whatever
    /// its procedure says.
    ///
    /// [`check`] only hands it on, as [`Context::time_limit`]: who runs the handlers has the clock.
    pub time_limit: Option<Duration>,
}

/// What a handler may take where nothing else is said. A call that takes minutes, as one that writes a machine's memory to
/// disk, is not cut off; one that hangs does not keep its place for ever.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(600);

impl Default for Rules {
    fn default() -> Self {
        Self {
            authenticator: Box::new(AcceptClaims),
            policy: Box::new(ActivationPolicy::default()),
            limits: Limits::DEFAULT,
            time_limit: Some(TIME_LIMIT),
        }
    }
}

impl Rules {
    /// How long a handler of this procedure may take.
    pub(crate) fn time_limit_of(&self, procedure: &ProcedureInfo) -> Option<Duration> {
        self.time_limit.map(|limit| procedure.time_limit.unwrap_or(limit))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("limits", &self.limits)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// What becomes of a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// An answer without results.
    Outcome(Outcome),
    /// Success with these results: NULL's, or what the policy answers.
    Results(Bytes),
    /// The service has to be asked.
    Dispatch(Context),
}

/// Looks at a call in the order that clients rely on: RPC version, credential, program, version,
/// procedure, and then the policy. The arguments are looked at later, and only if all of this holds.
pub fn check<P: Programs>(programs: &P, rules: &Rules, session: &Arc<Session>, call: &IncomingCall) -> Answer {
    match admit(rules, session, call) {
        Ok((header, caller)) => answer(programs, rules, session, header, &caller, || None),
        Err(refusal) => Answer::Outcome(refusal),
    }
}

/// The first part of [`check`]: the call is well-formed, and its caller is let in.
pub(crate) fn admit(rules: &Rules, session: &Session, call: &IncomingCall) -> Result<(CallHeader, Caller), Outcome> {
    match &call.header {
        Ok(header) => {
            let CallBody { program, version, procedure, .. } = *header;
            // Where TLS is offered, nothing but NULL is a question for it (RFC 9289 §4.1). Elsewhere it is any flavor.
            if header.credential.flavor == AuthFlavor::TLS && procedure != 0 && session.offers_tls {
                return Err(auth_error(AuthStat::BadCred));
            }
            let caller = authenticate(rules, session, &header.credential, &header.verifier)?;
            let is_without_args = call.args.is_empty();
            Ok((CallHeader { xid: call.xid, program, version, procedure, is_without_args }, caller))
        }
        Err(Malformed::RpcVersion(_)) => {
            Err(Outcome::Denied(RejectedReply::RpcMismatch { low: RPC_VERSION, high: RPC_VERSION }))
        }
        Err(Malformed::Credential) => Err(auth_error(AuthStat::BadCred)),
        Err(Malformed::Verifier) => Err(auth_error(AuthStat::BadVerf)),
        Err(Malformed::Header) => Err(Outcome::Accepted(AcceptStatus::GarbageArgs)),
    }
}

/// Who says this of itself, if it is let in.
pub(crate) fn authenticate(
    rules: &Rules,
    session: &Session,
    credential: &OpaqueAuth,
    verifier: &OpaqueAuth,
) -> Result<Caller, Outcome> {
    // Whoever is encrypted has nothing to ask for (RFC 9289 §4.1).
    #[cfg(feature = "tls")]
    if credential.flavor == AuthFlavor::TLS && session.peer().is_tls() {
        return Err(auth_error(AuthStat::BadCred));
    }
    rules.authenticator.authenticate(session, credential, verifier).map(Caller::from).map_err(auth_error)
}

/// The second part of [`check`], for a caller that is let in. `spare` is a context of the same session to be used again.
#[inline]
pub(crate) fn answer<P: Programs>(
    programs: &P,
    rules: &Rules,
    session: &Arc<Session>,
    header: CallHeader,
    caller: &Caller,
    spare: impl FnOnce() -> Option<Context>,
) -> Answer {
    let procedure = match programs.find(header.program, header.version, header.procedure) {
        Found::NoProgram => return accepted(AcceptStatus::ProgUnavail),
        Found::OtherVersions { low, high } => return accepted(AcceptStatus::ProgMismatch { low, high }),
        Found::NoProcedure => return accepted(AcceptStatus::ProcUnavail),
        Found::Null if header.is_without_args => return Answer::Results(Bytes::new()),
        Found::Null => return accepted(AcceptStatus::GarbageArgs),
        Found::Procedure(procedure) => procedure,
    };
    let time_limit = rules.time_limit_of(procedure);
    let context = Context::new(spare(), session, header.xid, procedure, caller, rules.limits, time_limit);
    match rules.policy.check(&context) {
        Verdict::Allow => Answer::Dispatch(context),
        Verdict::ProcUnavail => accepted(AcceptStatus::ProcUnavail),
        Verdict::AuthError(stat) => Answer::Outcome(auth_error(stat)),
        Verdict::Reply(results) => Answer::Results(results),
    }
}

const fn accepted(status: AcceptStatus) -> Answer {
    Answer::Outcome(Outcome::Accepted(status))
}

const fn auth_error(stat: AuthStat) -> Outcome {
    Outcome::Denied(RejectedReply::AuthError(stat))
}
