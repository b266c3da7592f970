//! The order of checks on a call, and the answers that need no user code.

use xdr_core::{Bytes, Limits};

use alloc::sync::Arc;

use crate::auth::Credential;
use crate::connection::{IncomingCall, Malformed, Outcome};
use crate::message::{AcceptStatus, AuthStat, RPC_VERSION, RejectedReply};
use crate::program::{Found, Programs};
use crate::session::{Context, Policy, Session, Verdict};

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
pub fn check<P: Programs, Y: Policy + ?Sized>(
    programs: &P,
    policy: &Y,
    session: &Arc<Session>,
    call: &IncomingCall,
    limits: Limits,
) -> Answer {
    let accepted = |status| Answer::Outcome(Outcome::Accepted(status));
    let auth_error = |stat| Answer::Outcome(Outcome::Denied(RejectedReply::AuthError(stat)));
    let header = match &call.header {
        Ok(header) => header,
        Err(Malformed::RpcVersion(_)) => {
            return Answer::Outcome(Outcome::Denied(RejectedReply::RpcMismatch {
                low: RPC_VERSION,
                high: RPC_VERSION,
            }));
        }
        Err(Malformed::Credential) => return auth_error(AuthStat::BadCred),
        Err(Malformed::Verifier) => return auth_error(AuthStat::BadVerf),
        Err(Malformed::Header) => return accepted(AcceptStatus::GarbageArgs),
    };
    let credential = match Credential::read(&header.credential) {
        Ok(credential @ (Credential::None | Credential::Sys(_))) => credential,
        Ok(Credential::Short(_) | Credential::Other(_)) => return auth_error(AuthStat::RejectedCred),
        Err(_) => return auth_error(AuthStat::BadCred),
    };
    let procedure = match programs.find(header.program, header.version, header.procedure) {
        Found::NoProgram => return accepted(AcceptStatus::ProgUnavail),
        Found::OtherVersions { low, high } => return accepted(AcceptStatus::ProgMismatch { low, high }),
        Found::NoProcedure => return accepted(AcceptStatus::ProcUnavail),
        Found::Null if call.args.is_empty() => return Answer::Results(Bytes::new()),
        Found::Null => return accepted(AcceptStatus::GarbageArgs),
        Found::Procedure(procedure) => procedure,
    };
    let context = Context::new(Arc::clone(session), call.xid, procedure, credential, limits);
    match policy.check(&context) {
        Verdict::Allow => Answer::Dispatch(context),
        Verdict::ProcUnavail => accepted(AcceptStatus::ProcUnavail),
        Verdict::AuthError(stat) => auth_error(stat),
        Verdict::Reply(results) => Answer::Results(results),
    }
}
