//! The domains of the test driver.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::saved::Saved;
use crate::driver::Events;
use crate::events::DomainChange;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{
    ACTIVE_DOMAINS_MAX, DEFINED_DOMAINS_MAX, Description, DomainInfo, DomainOfName, DomainOfUuid, Identity, RunState,
};
use crate::xml::DomainDefinition;
use crate::xml::devices::Graphics;

/// Lowest port of a VNC display.
const VNC_PORT_MIN: u16 = 5900;
/// The id of a domain that is not active.
const INACTIVE: i32 = -1;

/// All domains under their names; each is active, defined or both.
pub(super) struct Domains {
    by_name: BTreeMap<String, Domain>,
    last_id: i32,
    pub(super) active_max: usize,
    pub(super) defined_max: usize,
    /// Told of each change while the domains are locked, so in the order of the changes.
    pub(super) events: Events,
}

struct Domain {
    uuid: Uuid,
    defined: Option<DomainDefinition>,
    active: Option<Active>,
    autostart: bool,
}

/// A domain that runs or is suspended.
struct Active {
    id: i32,
    definition: DomainDefinition,
    vnc_port: Option<u16>,
    /// Processor time used before `running_since`.
    used: Duration,
    /// `None` while it is suspended.
    running_since: Option<Instant>,
}

impl Domains {
    pub(super) fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
            last_id: 0,
            active_max: ACTIVE_DOMAINS_MAX,
            defined_max: DEFINED_DOMAINS_MAX,
            events: Events::default(),
        }
    }

    fn active(&self) -> impl Iterator<Item = &Active> {
        self.by_name.values().filter_map(|domain| domain.active.as_ref())
    }

    /// Ids of the active domains in ascending order.
    pub(super) fn ids(&self) -> Vec<i32> {
        let mut ids: Vec<_> = self.active().map(|active| active.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Names of the inactive domains in ascending order.
    pub(super) fn inactive(&self) -> Vec<String> {
        let inactive = self.by_name.iter().filter(|(_, domain)| domain.active.is_none());
        inactive.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn of_id(&self, id: i32) -> Reply<Identity> {
        let found = self.by_name.iter().find(|(_, domain)| domain.id() == id && id != INACTIVE);
        let (name, domain) = found.ok_or_else(|| no_domain("id", &id))?;
        Ok(Identity { uuid: domain.uuid, name: name.clone() })
    }

    pub(super) fn of_uuid(&self, uuid: Uuid) -> Reply<DomainOfUuid> {
        let (name, domain) = self.find(uuid)?;
        Ok(DomainOfUuid { id: domain.id(), name: name.to_owned() })
    }

    pub(super) fn of_name(&self, name: &str) -> Reply<DomainOfName> {
        let domain = self.by_name.get(name).ok_or_else(|| no_domain("name", &name))?;
        Ok(DomainOfName { id: domain.id(), uuid: domain.uuid })
    }

    fn find(&self, uuid: Uuid) -> Reply<(&str, &Domain)> {
        let found = self.by_name.iter().find(|(_, domain)| domain.uuid == uuid);
        let (name, domain) = found.ok_or_else(|| no_domain("uuid", &uuid))?;
        Ok((name, domain))
    }

    /// A name belongs to one identity and an identity to one name.
    fn refuse_other(&self, definition: &DomainDefinition) -> Reply<()> {
        let (name, uuid) = (&definition.name, definition.uuid);
        let (other, taken) = match self.by_name.get(name) {
            Some(domain) if domain.uuid == uuid => return Ok(()),
            Some(domain) => (name.as_str(), domain.uuid),
            None => match self.find(uuid) {
                Ok((other, _)) => (other, uuid),
                Err(_) => return Ok(()),
            },
        };
        let message = format!("domain '{other}' exists already, its uuid is {taken}");
        Err(Failure::new(Code::DomExist, message))
    }

    /// Starts a domain; when it fails, nothing has changed.
    pub(super) fn launch(&mut self, definition: DomainDefinition, paused: bool) -> Reply<i32> {
        self.refuse_other(&definition)?;
        let name = definition.name.clone();
        let present = self.by_name.get(&name);
        if present.is_some_and(|domain| domain.active.is_some()) {
            let message = format!("domain '{name}' is active already");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        if self.active().count() >= self.active_max {
            let message = format!("{} domains are active, which is the maximum", self.active_max);
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let vnc_port = self.vnc_port(&definition)?;
        let id = self
            .last_id
            .checked_add(1)
            .ok_or_else(|| Failure::new(Code::OperationFailed, "every id has been used once; none is left"))?;
        self.last_id = id;
        let domain = self.by_name.entry(name.clone()).or_insert(Domain {
            uuid: definition.uuid,
            defined: None,
            active: None,
            autostart: false,
        });
        domain.active = Some(Active {
            id,
            definition,
            vnc_port,
            used: Duration::ZERO,
            running_since: (!paused).then(Instant::now),
        });
        let uuid = domain.uuid;
        self.events.tell(DomainChange::Started, &name, uuid, Some(id));
        if paused {
            self.events.tell(DomainChange::Suspended, &name, uuid, Some(id));
        }
        Ok(id)
    }

    /// The port of the VNC display: the one asked for, or else the lowest that is free.
    fn vnc_port(&self, definition: &DomainDefinition) -> Reply<Option<u16>> {
        let Some(Graphics::Vnc { port, .. }) = definition.devices.graphics else {
            return Ok(None);
        };
        let taken: Vec<u16> = self.active().filter_map(|active| active.vnc_port).collect();
        let found = match port {
            Some(port) => Some(port).filter(|port| !taken.contains(port)),
            None => (VNC_PORT_MIN..=u16::MAX).find(|port| !taken.contains(port)),
        };
        let message = || match port {
            Some(port) => format!("another domain uses the vnc port {port}"),
            None => "no vnc port is free".to_owned(),
        };
        found.map(Some).ok_or_else(|| Failure::new(Code::OperationFailed, message()))
    }

    pub(super) fn start(&mut self, uuid: Uuid) -> Reply<i32> {
        let (name, domain) = self.find(uuid)?;
        let definition = match (&domain.active, &domain.defined) {
            (None, Some(definition)) => definition.clone(),
            _ => {
                let message = format!("domain '{name}' is active already");
                return Err(Failure::new(Code::OperationInvalid, message));
            }
        };
        self.launch(definition, false)
    }

    pub(super) fn define(&mut self, definition: DomainDefinition) -> Reply<Identity> {
        self.refuse_other(&definition)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        if let Some(domain) = self.by_name.get_mut(&identity.name)
            && domain.defined.is_some()
        {
            domain.defined = Some(definition);
            let id = domain.active.as_ref().map(|active| active.id);
            self.events.tell(DomainChange::Defined, &identity.name, identity.uuid, id);
            return Ok(identity);
        }
        let defined = self.by_name.values().filter(|domain| domain.defined.is_some()).count();
        if defined >= self.defined_max {
            let message = format!("{defined} domains are defined, which is the maximum");
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let domain = self.by_name.entry(identity.name.clone()).or_insert(Domain {
            uuid: definition.uuid,
            defined: None,
            active: None,
            autostart: false,
        });
        domain.defined = Some(definition);
        let id = domain.active.as_ref().map(|active| active.id);
        self.events.tell(DomainChange::Defined, &identity.name, identity.uuid, id);
        Ok(identity)
    }

    /// Forgets an inactive domain, its autostart mark included.
    pub(super) fn undefine(&mut self, uuid: Uuid) -> Reply<()> {
        let (name, domain) = self.find(uuid)?;
        if domain.active.is_some() {
            let message = format!("domain '{name}' is active, it cannot be undefined");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        let name = name.to_owned();
        self.by_name.remove(&name);
        self.events.tell(DomainChange::Undefined, &name, uuid, None);
        Ok(())
    }

    /// Stops an active domain; one that was never defined is gone.
    pub(super) fn stop(&mut self, id: i32) -> Reply<()> {
        let active = self.active_mut(id)?;
        let (name, uuid) = (active.definition.name.clone(), active.definition.uuid);
        if let Some(domain) = self.by_name.get_mut(&name) {
            domain.active = None;
            if domain.defined.is_none() {
                self.by_name.remove(&name);
            }
        }
        self.events.tell(DomainChange::Stopped, &name, uuid, Some(id));
        Ok(())
    }

    fn active_mut(&mut self, id: i32) -> Reply<&mut Active> {
        let mut active = self.by_name.values_mut().filter_map(|domain| domain.active.as_mut());
        active
            .find(|active| active.id == id)
            .ok_or_else(|| Failure::new(Code::InvalidDomain, format!("no active domain with id {id}")))
    }

    pub(super) fn suspend(&mut self, id: i32) -> Reply<()> {
        let active = self.active_mut(id)?;
        active.used = active.cpu_time();
        if active.running_since.take().is_some() {
            let (name, uuid) = (active.definition.name.clone(), active.definition.uuid);
            self.events.tell(DomainChange::Suspended, &name, uuid, Some(id));
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, id: i32) -> Reply<()> {
        let active = self.active_mut(id)?;
        if active.running_since.is_none() {
            active.running_since = Some(Instant::now());
            let (name, uuid) = (active.definition.name.clone(), active.definition.uuid);
            self.events.tell(DomainChange::Resumed, &name, uuid, Some(id));
        }
        Ok(())
    }

    /// Whether an active domain runs or is suspended.
    pub(super) fn runstate(&mut self, id: i32) -> Reply<RunState> {
        Ok(self.active_mut(id)?.runstate())
    }

    /// What has to be written to save an active domain.
    pub(super) fn snapshot(&mut self, id: i32) -> Reply<Saved> {
        let active = self.active_mut(id)?;
        let xml = active.definition.stored_xml();
        Ok(Saved { xml, paused: active.running_since.is_none() })
    }

    pub(super) fn info(&self, uuid: Uuid) -> Reply<DomainInfo> {
        let (_, domain) = self.find(uuid)?;
        let (runstate, cpu_time) = match &domain.active {
            None => (RunState::Stopped, Duration::ZERO),
            Some(active) => (active.runstate(), active.cpu_time()),
        };
        let definition = domain.active.as_ref().map(|active| &active.definition);
        let definition = definition.or(domain.defined.as_ref()).ok_or_else(|| no_domain("uuid", &uuid))?;
        Ok(DomainInfo {
            cpu_time: u64::try_from(cpu_time.as_nanos()).unwrap_or(u64::MAX),
            runstate,
            memory: definition.current_memory,
            maxmem: definition.memory,
            nr_virt_cpu: u32::from(definition.vcpus),
        })
    }

    pub(super) fn xml(&self, uuid: Uuid) -> Reply<Description> {
        let (_, domain) = self.find(uuid)?;
        let xml = match (&domain.active, &domain.defined) {
            (Some(active), _) => active.definition.live_xml(active.id, active.vnc_port),
            (None, Some(definition)) => definition.stored_xml(),
            (None, None) => return Err(no_domain("uuid", &uuid)),
        };
        Ok(Description { xml })
    }

    pub(super) fn autostart(&self, uuid: Uuid) -> Reply<bool> {
        Ok(self.find(uuid)?.1.autostart)
    }

    pub(super) fn set_autostart(&mut self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let name = self.find(uuid)?.0.to_owned();
        match self.by_name.get_mut(&name) {
            Some(domain) if domain.defined.is_some() => {
                domain.autostart = autostart;
                Ok(())
            }
            _ => {
                let message = format!("domain '{name}' is not defined, so it has no autostart mark");
                Err(Failure::new(Code::OperationInvalid, message))
            }
        }
    }
}

impl Domain {
    fn id(&self) -> i32 {
        self.active.as_ref().map_or(INACTIVE, |active| active.id)
    }
}

impl Active {
    fn runstate(&self) -> RunState {
        self.running_since.map_or(RunState::Paused, |_| RunState::Running)
    }

    /// One processor is taken to be busy all the time the domain runs.
    fn cpu_time(&self) -> Duration {
        let running = self.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.used.saturating_add(running)
    }
}

fn no_domain(key: &str, value: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::NoDomain, format!("no domain with {key} '{value}'"))
}

#[cfg(test)]
mod tests;
