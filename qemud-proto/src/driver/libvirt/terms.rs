//! libvirt's failures, states and texts as those of the protocol.

use virt::error::{Error, ErrorNumber};
use virt::sys;

use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{Description, JobKind, NAME_MAX, RunState, XML_MAX};

/// libvirt's failure, with its code and text.
pub(super) fn failure(error: &Error) -> Failure {
    let message = match error.message() {
        "" => "libvirt does not say why",
        message => message,
    };
    Failure::new(Code::from_number(number(error)), message)
}

/// The number of a failure, also of one that is newer than the bindings: those write it, but do not tell it.
fn number(error: &Error) -> i32 {
    let known = error.code();
    let written = || error.to_string().rsplit_once("[code=")?.1.split_once('(')?.1.split_once(')')?.0.parse().ok();
    let newer = if known == ErrorNumber::Last { written() } else { None };
    newer.unwrap_or_else(|| i32::try_from(known.to_raw()).unwrap_or(Code::InternalError.number()))
}

/// A text that becomes one of C, which ends at its first NUL.
pub(super) fn text(what: &str, text: &str) -> Reply<()> {
    if text.contains('\0') {
        return Err(Failure::new(Code::InvalidArg, format!("the {what} has a NUL")));
    }
    Ok(())
}

/// A text of libvirt that has to fit the protocol's bound.
pub(super) fn bounded(what: &str, text: String, max: usize) -> Reply<String> {
    if text.len() > max {
        return Err(too_many(&format!("bytes in {what}"), text.len(), max));
    }
    Ok(text)
}

/// libvirt has more of something than fits into a reply.
pub(super) fn too_many(what: &str, count: usize, max: usize) -> Failure {
    Failure::new(Code::OperationFailed, format!("libvirt has {count} {what}, the protocol carries {max}"))
}

pub(super) fn name(name: Result<String, Error>) -> Reply<String> {
    bounded("a name", name.map_err(|error| failure(&error))?, NAME_MAX)
}

pub(super) fn description(xml: Result<String, Error>) -> Reply<Description> {
    Ok(Description { xml: bounded("the xml", xml.map_err(|error| failure(&error))?, XML_MAX)? })
}

pub(super) fn identity(uuid: &uuid::Uuid) -> Uuid {
    Uuid(*uuid.as_bytes())
}

/// The seven states of libvirt in three. One that is being shut down still runs.
pub(super) fn runstate(state: sys::virDomainState, active: bool) -> RunState {
    match state {
        _ if !active => RunState::Stopped,
        sys::VIR_DOMAIN_PAUSED | sys::VIR_DOMAIN_PMSUSPENDED | sys::VIR_DOMAIN_CRASHED => RunState::Paused,
        sys::VIR_DOMAIN_SHUTOFF => RunState::Stopped,
        _ => RunState::Running,
    }
}

pub(super) fn job_kind(kind: i32) -> JobKind {
    match kind {
        0 => JobKind::None,
        1 => JobKind::Bounded,
        3 => JobKind::Completed,
        4 => JobKind::Failed,
        5 => JobKind::Cancelled,
        _ => JobKind::Unbounded,
    }
}

/// A number of libvirt's, or the highest that the protocol can say.
pub(super) fn narrow(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
