//! What the procedures of domains do, in libvirt's terms. All of it blocks.

use std::fmt::Display;
use std::process::{Command, Stdio};

use rpc_frame::Procedure;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::stream::Stream;
use virt::sys;

use super::terms::{self, failure, narrow};
use crate::driver::{Picture, saved};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::xml;

/// The id of a domain that is not active.
const INACTIVE: i32 = -1;
/// Longest picture, in bytes; what the daemon hands on is shorter.
const PICTURE_MAX: usize = 64 << 20;
/// Bytes of a picture that are asked for at a time.
const PIECE: usize = 64 * 1024;

/// The domain of a UUID.
pub(super) fn of_uuid(connect: &Connect, uuid: Uuid) -> Reply<Domain> {
    Domain::lookup_by_uuid(connect, uuid::Uuid::from_bytes(uuid.0)).map_err(|error| failure(&error))
}

/// The active domain of an id, or a failure of this code.
pub(super) fn of_id(connect: &Connect, id: i32, missing: Code) -> Reply<Domain> {
    // libvirt calls a negative one an invalid argument.
    let none = || Failure::new(missing, format!("no active domain with id {id}"));
    let found = Domain::lookup_by_id(connect, u32::try_from(id).map_err(|_| none())?);
    found.map_err(|error| {
        let failure = failure(&error);
        if failure.code == Code::NoDomain { Failure { code: missing, ..failure } } else { failure }
    })
}

/// The active domain that a procedure is to change.
pub(super) fn active(connect: &Connect, id: i32) -> Reply<Domain> {
    of_id(connect, id, Code::InvalidDomain)
}

fn id(domain: &Domain) -> i32 {
    domain.get_id().and_then(|id| i32::try_from(id).ok()).unwrap_or(INACTIVE)
}

fn uuid(domain: &Domain) -> Reply<Uuid> {
    domain.get_uuid().map(|uuid| terms::identity(&uuid)).map_err(|error| failure(&error))
}

pub(super) fn identity(domain: &Domain) -> Reply<Identity> {
    Ok(Identity { uuid: uuid(domain)?, name: terms::name(domain.get_name())? })
}

/// A call that gives nothing back.
fn done<T>(result: Result<T, Error>) -> Reply<()> {
    result.map(drop).map_err(|error| failure(&error))
}

fn listed(connect: &Connect, flags: sys::virConnectListAllDomainsFlags) -> Reply<Vec<Domain>> {
    connect.list_all_domains(flags).map_err(|error| failure(&error))
}

pub(super) fn ids(connect: &Connect) -> Reply<Vec<i32>> {
    let mut ids: Vec<i32> = listed(connect, sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)?.iter().map(id).collect();
    // One that has ended meanwhile.
    ids.retain(|id| *id != INACTIVE);
    if ids.len() > ACTIVE_DOMAINS_MAX {
        return Err(terms::too_many("active domains", ids.len(), ACTIVE_DOMAINS_MAX));
    }
    ids.sort_unstable();
    Ok(ids)
}

pub(super) fn inactive(connect: &Connect) -> Reply<Vec<String>> {
    let domains = listed(connect, sys::VIR_CONNECT_LIST_DOMAINS_INACTIVE)?;
    if domains.len() > DEFINED_DOMAINS_MAX {
        return Err(terms::too_many("inactive domains", domains.len(), DEFINED_DOMAINS_MAX));
    }
    let mut names = domains.iter().map(|domain| terms::name(domain.get_name())).collect::<Reply<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

pub(super) fn create(connect: &Connect, xml: &str) -> Reply<DomainCreated> {
    xml::well_formed(xml, "domain")?;
    let domain = Domain::create_xml(connect, xml, sys::VIR_DOMAIN_NONE).map_err(|error| failure(&error))?;
    let Identity { uuid, name } = identity(&domain)?;
    Ok(DomainCreated { id: id(&domain), uuid, name })
}

pub(super) fn define(connect: &Connect, xml: &str) -> Reply<Identity> {
    xml::well_formed(xml, "domain")?;
    identity(&Domain::define_xml(connect, xml).map_err(|error| failure(&error))?)
}

/// libvirt would forget the definition of an active domain as well.
pub(super) fn undefine(connect: &Connect, uuid: Uuid) -> Reply<()> {
    let domain = of_uuid(connect, uuid)?;
    if domain.is_active().map_err(|error| failure(&error))? {
        let name = terms::name(domain.get_name())?;
        let message = format!("domain '{name}' is active, it cannot be undefined");
        return Err(Failure::new(Code::OperationInvalid, message));
    }
    done(domain.undefine())
}

pub(super) fn start(connect: &Connect, uuid: Uuid) -> Reply<i32> {
    let domain = of_uuid(connect, uuid)?;
    domain.create().map_err(|error| failure(&error))?;
    // Not every driver of libvirt tells the domain its new id.
    match id(&domain) {
        INACTIVE => Ok(id(&of_uuid(connect, uuid)?)),
        id => Ok(id),
    }
}

/// libvirt may refuse what has nothing to change.
pub(super) fn suspend(connect: &Connect, id: i32) -> Reply<()> {
    let domain = active(connect, id)?;
    done(domain.suspend()).or_else(|failure| unless_already(&domain, sys::VIR_DOMAIN_PAUSED, failure))
}

/// As for [`suspend`].
pub(super) fn resume(connect: &Connect, id: i32) -> Reply<()> {
    let domain = active(connect, id)?;
    done(domain.resume()).or_else(|failure| unless_already(&domain, sys::VIR_DOMAIN_RUNNING, failure))
}

fn unless_already(domain: &Domain, state: sys::virDomainState, failure: Failure) -> Reply<()> {
    // By different codes.
    if domain.get_state().is_ok_and(|(now, _)| now == state) { Ok(()) } else { Err(failure) }
}

pub(super) fn destroy(connect: &Connect, id: i32) -> Reply<()> {
    done(active(connect, id)?.destroy())
}

pub(super) fn shutdown(connect: &Connect, id: i32) -> Reply<()> {
    done(active(connect, id)?.shutdown())
}

pub(super) fn info(connect: &Connect, uuid: Uuid) -> Reply<DomainInfo> {
    let domain = of_uuid(connect, uuid)?;
    let info = domain.get_info().map_err(|error| failure(&error))?;
    let active = id(&domain) != INACTIVE;
    Ok(DomainInfo {
        cpu_time: if active { info.cpu_time } else { 0 },
        runstate: terms::runstate(info.state, active),
        memory: narrow(info.memory),
        maxmem: narrow(info.max_mem),
        nr_virt_cpu: info.nr_virt_cpu,
    })
}

pub(super) fn dump(connect: &Connect, uuid: Uuid) -> Reply<Description> {
    terms::description(of_uuid(connect, uuid)?.get_xml_desc(sys::VIR_DOMAIN_NONE))
}

pub(super) fn lookup_by_uuid(connect: &Connect, uuid: Uuid) -> Reply<DomainOfUuid> {
    let domain = of_uuid(connect, uuid)?;
    Ok(DomainOfUuid { id: id(&domain), name: terms::name(domain.get_name())? })
}

pub(super) fn lookup_by_name(connect: &Connect, name: &str) -> Reply<DomainOfName> {
    if name.contains('\0') {
        return Err(Failure::new(Code::NoDomain, format!("no domain with name '{name}'")));
    }
    let domain = Domain::lookup_by_name(connect, name).map_err(|error| failure(&error))?;
    Ok(DomainOfName { id: id(&domain), uuid: uuid(&domain)? })
}

/// The bindings lack this call, so libvirt's own client makes it. It tells why it failed, but not by which code.
pub(super) fn save(connect: &Connect, uri: &str, id: i32, path: &str) -> Reply<()> {
    // libvirt would take others from the daemon's own folder on.
    saved::path(path)?;
    let uuid = uuid(&active(connect, id)?)?;
    // These guests are in this process, and the client would look for them in its own.
    if uri.starts_with("test:") || uri.starts_with("qemu:///embed") {
        return Err(Failure::no_support(DomainSave::NAME));
    }
    let failed = |why: &dyn Display| Failure::new(Code::OperationFailed, format!("cannot save to '{path}': {why}"));
    let mut virsh = Command::new("virsh");
    virsh.args(["--quiet", "--connect", uri, "save", &uuid.to_string(), path]).env("LC_ALL", "C");
    let ended = virsh.stdin(Stdio::null()).output().map_err(|error| failed(&format_args!("virsh: {error}")))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let reasons: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    Err(failed(&if reasons.is_empty() { ended.status.to_string() } else { reasons.join(": ") }))
}

/// libvirt does not tell which domain it was, but the file does.
pub(super) fn restore(connect: &Connect, path: &str) -> Reply<i32> {
    saved::path(path)?;
    let xml = Domain::save_image_get_xml_desc(connect, path, 0).map_err(|error| failure(&error))?;
    let uuid = xml::uuid_of(&xml)?;
    done(Domain::domain_restore(connect, path))?;
    Ok(id(&of_uuid(connect, uuid)?))
}

pub(super) fn autostart(connect: &Connect, uuid: Uuid) -> Reply<bool> {
    of_uuid(connect, uuid)?.get_autostart().map_err(|error| failure(&error))
}

pub(super) fn set_autostart(connect: &Connect, uuid: Uuid, autostart: bool) -> Reply<()> {
    done(of_uuid(connect, uuid)?.set_autostart(autostart))
}

pub(super) fn screenshot(connect: &Connect, id: i32) -> Reply<Picture> {
    let domain = active(connect, id)?;
    let stream = Stream::new(connect, 0).map_err(|error| failure(&error))?;
    let mime = domain.screenshot(&stream, 0, 0).map_err(|error| failure(&error))?;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let length = stream.recv(&mut piece).map_err(|error| failure(&error))?;
        let Some(received @ [_, ..]) = piece.get(..length) else { break };
        bytes.extend_from_slice(received);
        if bytes.len() > PICTURE_MAX {
            let _ = stream.abort();
            return Err(Failure::new(Code::OperationFailed, format!("the picture has more than {PICTURE_MAX} bytes")));
        }
    }
    done(stream.finish())?;
    Ok(Picture { mime, bytes })
}

/// One that is not active is idle.
pub(super) fn job_info(connect: &Connect, uuid: Uuid) -> Reply<JobInfo> {
    let domain = of_uuid(connect, uuid)?;
    let job = match domain.get_job_info() {
        Ok(job) => job,
        Err(error) if error.code() == ErrorNumber::OperationInvalid && id(&domain) == INACTIVE => Default::default(),
        Err(error) => return Err(failure(&error)),
    };
    Ok(JobInfo {
        kind: terms::job_kind(job.r#type),
        elapsed: job.time_elapsed.unwrap_or(0),
        data_total: job.data_total.unwrap_or(0),
        data_processed: job.data_processed.unwrap_or(0),
        data_remaining: job.data_remaining.unwrap_or(0),
    })
}
