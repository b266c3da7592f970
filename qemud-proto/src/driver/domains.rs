//! The domains of a driver: names, identities and ids, what is defined and what is active.
//!
//! A driver says what an active domain is to it (`M`): nothing but a clock, or a process of QEMU. A start that takes its
//! time reserves name, id and port first, see [`Domains::reserve`], and then begins or gives up. What is here is in
//! memory: a driver that keeps definitions on disk asks with a `may_` method, changes the disk, and then makes the change.

use std::collections::BTreeMap;

use super::Events;
use crate::events::DomainChange;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{ACTIVE_DOMAINS_MAX, DEFINED_DOMAINS_MAX, Description, DomainOfName, DomainOfUuid, Identity};
use crate::xml::DomainDefinition;
use crate::xml::devices::Graphics;

/// Lowest port of a VNC display.
const VNC_PORT_MIN: u16 = 5900;
/// The id of a domain that is not active.
const INACTIVE: i32 = -1;

/// All domains under their names; each is active, defined or both, or on its way to be active.
pub(super) struct Domains<M> {
    by_name: BTreeMap<String, Domain<M>>,
    /// The highest id that was ever given.
    pub(super) last_id: i32,
    pub(super) active_max: usize,
    pub(super) defined_max: usize,
    /// Told of each change while the domains are locked, so in the order of the changes.
    pub(super) events: Events,
}

struct Domain<M> {
    uuid: Uuid,
    defined: Option<DomainDefinition>,
    run: Run<M>,
    autostart: bool,
}

enum Run<M> {
    Inactive,
    /// It has an id, which nobody is told yet.
    Starting(Reserved),
    Active(Active<M>),
}

/// What a domain gets before it starts. No other domain gets the same until the start is given up or the domain stops.
#[derive(Debug, Clone)]
pub(super) struct Reserved {
    pub(super) id: i32,
    pub(super) definition: DomainDefinition,
    pub(super) vnc_port: Option<u16>,
}

/// A domain that runs or is suspended.
pub(super) struct Active<M> {
    pub(super) id: i32,
    /// What it was started with, which need not be what is defined now.
    pub(super) definition: DomainDefinition,
    pub(super) paused: bool,
    pub(super) machine: M,
    vnc_port: Option<u16>,
}

impl<M> Domains<M> {
    pub(super) fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
            last_id: 0,
            active_max: ACTIVE_DOMAINS_MAX,
            defined_max: DEFINED_DOMAINS_MAX,
            events: Events::default(),
        }
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Active<M>> {
        self.by_name.values().filter_map(Domain::active)
    }

    /// All definitions that hold: those that are kept, and those that domains run with or are about to.
    #[cfg(feature = "qemu")]
    pub(super) fn definitions(&self) -> impl Iterator<Item = &DomainDefinition> {
        self.by_name.values().flat_map(|domain| {
            let running = match &domain.run {
                Run::Inactive => None,
                Run::Starting(reserved) => Some(&reserved.definition),
                Run::Active(active) => Some(&active.definition),
            };
            domain.defined.iter().chain(running)
        })
    }

    /// Ids of the active domains in ascending order.
    pub(super) fn ids(&self) -> Vec<i32> {
        let mut ids: Vec<_> = self.active().map(|active| active.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Names of the inactive domains in ascending order.
    pub(super) fn inactive(&self) -> Vec<String> {
        let inactive = |domain: &Domain<M>| domain.defined.is_some() && domain.active().is_none();
        self.by_name.iter().filter(|(_, domain)| inactive(domain)).map(|(name, _)| name.clone()).collect()
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

    fn find(&self, uuid: Uuid) -> Reply<(&str, &Domain<M>)> {
        let found = self.by_name.iter().find(|(_, domain)| domain.uuid == uuid);
        let (name, domain) = found.ok_or_else(|| no_domain("uuid", &uuid))?;
        Ok((name, domain))
    }

    /// The domain of that identity where it is active, and the definition that holds: the one it was started with.
    pub(super) fn look(&self, uuid: Uuid) -> Reply<(&DomainDefinition, Option<&Active<M>>)> {
        let (_, domain) = self.find(uuid)?;
        match (&domain.run, &domain.defined) {
            (Run::Active(active), _) => Ok((&active.definition, Some(active))),
            (_, Some(definition)) => Ok((definition, None)),
            (Run::Starting(reserved), None) => Ok((&reserved.definition, None)),
            (Run::Inactive, None) => Err(no_domain("uuid", &uuid)),
        }
    }

    pub(super) fn active_of(&self, id: i32) -> Reply<&Active<M>> {
        self.active().find(|active| active.id == id).ok_or_else(|| not_active(id))
    }

    pub(super) fn active_mut(&mut self, id: i32) -> Reply<&mut Active<M>> {
        let mut active = self.by_name.values_mut().filter_map(Domain::active_mut);
        active.find(|active| active.id == id).ok_or_else(|| not_active(id))
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

    /// Whether no other domain and no other start is in the way of this one.
    pub(super) fn may_begin(&self, definition: &DomainDefinition) -> Reply<()> {
        self.refuse_other(definition)?;
        self.by_name.get(&definition.name).map_or(Ok(()), |domain| domain.refuse_start(&definition.name))
    }

    /// Reserves what the domain of this definition needs to start; when that fails, nothing has changed.
    pub(super) fn reserve(&mut self, definition: DomainDefinition) -> Reply<Reserved> {
        self.may_begin(&definition)?;
        if self.by_name.values().filter(|domain| !matches!(domain.run, Run::Inactive)).count() >= self.active_max {
            let message = format!("{} domains are active, which is the maximum", self.active_max);
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let vnc_port = self.vnc_port(&definition)?;
        let id = self
            .last_id
            .checked_add(1)
            .ok_or_else(|| Failure::new(Code::OperationFailed, "every id has been used once; none is left"))?;
        self.last_id = id;
        let reserved = Reserved { id, definition, vnc_port };
        self.entry(&reserved.definition).run = Run::Starting(reserved.clone());
        Ok(reserved)
    }

    /// The domain has started. What was reserved may have become something else meanwhile, such as the port.
    pub(super) fn begin(&mut self, reserved: Reserved, machine: M, paused: bool) {
        let Reserved { id, definition, vnc_port } = reserved;
        let (name, uuid) = (definition.name.clone(), definition.uuid);
        self.last_id = self.last_id.max(id);
        let domain = self.entry(&definition);
        domain.run = Run::Active(Active { id, definition, paused, machine, vnc_port });
        self.events.tell(DomainChange::Started, &name, uuid, Some(id));
        if paused {
            self.events.tell(DomainChange::Suspended, &name, uuid, Some(id));
        }
    }

    /// The domain has not started, and all is as before.
    #[cfg(any(test, feature = "qemu"))] // the test driver's starts take no time
    pub(super) fn give_up(&mut self, reserved: &Reserved) {
        self.inactivate(&reserved.definition.name);
    }

    /// What is neither defined nor active is gone.
    fn inactivate(&mut self, name: &str) {
        if let Some(domain) = self.by_name.get_mut(name) {
            domain.run = Run::Inactive;
            if domain.defined.is_none() {
                self.by_name.remove(name);
            }
        }
    }

    fn entry(&mut self, definition: &DomainDefinition) -> &mut Domain<M> {
        let (uuid, name) = (definition.uuid, definition.name.clone());
        let new = || Domain { uuid, defined: None, run: Run::Inactive, autostart: false };
        self.by_name.entry(name).or_insert_with(new)
    }

    /// The port of the VNC display: the one asked for, or else the lowest that is free.
    fn vnc_port(&self, definition: &DomainDefinition) -> Reply<Option<u16>> {
        let Some(Graphics::Vnc { port, .. }) = definition.devices.graphics else {
            return Ok(None);
        };
        let taken: Vec<u16> = self.by_name.values().filter_map(Domain::vnc_port).collect();
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

    /// The definition that an inactive domain starts with.
    pub(super) fn may_start(&self, uuid: Uuid) -> Reply<DomainDefinition> {
        let (name, domain) = self.find(uuid)?;
        domain.refuse_start(name)?;
        domain.defined.clone().ok_or_else(|| no_domain("uuid", &uuid))
    }

    /// Whether the definition can be kept.
    pub(super) fn may_define(&self, definition: &DomainDefinition) -> Reply<()> {
        self.refuse_other(definition)?;
        if self.by_name.get(&definition.name).is_some_and(|domain| domain.defined.is_some()) {
            return Ok(());
        }
        let defined = self.by_name.values().filter(|domain| domain.defined.is_some()).count();
        if defined >= self.defined_max {
            let message = format!("{defined} domains are defined, which is the maximum");
            return Err(Failure::new(Code::OperationFailed, message));
        }
        Ok(())
    }

    pub(super) fn define(&mut self, definition: DomainDefinition) -> Reply<Identity> {
        self.may_define(&definition)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        let domain = self.entry(&definition);
        domain.defined = Some(definition);
        let id = domain.active().map(|active| active.id);
        self.events.tell(DomainChange::Defined, &identity.name, identity.uuid, id);
        Ok(identity)
    }

    /// The name of a domain that can be forgotten.
    pub(super) fn may_undefine(&self, uuid: Uuid) -> Reply<String> {
        let (name, domain) = self.find(uuid)?;
        let state = match domain.run {
            Run::Inactive => return Ok(name.to_owned()),
            Run::Starting(_) => "being started",
            Run::Active(_) => "active",
        };
        let message = format!("domain '{name}' is {state}, it cannot be undefined");
        Err(Failure::new(Code::OperationInvalid, message))
    }

    /// Forgets an inactive domain, its autostart mark included.
    pub(super) fn undefine(&mut self, uuid: Uuid) -> Reply<()> {
        let name = self.may_undefine(uuid)?;
        self.by_name.remove(&name);
        self.events.tell(DomainChange::Undefined, &name, uuid, None);
        Ok(())
    }

    /// An active domain has stopped; one that was never defined is gone.
    pub(super) fn stop(&mut self, id: i32) -> Reply<()> {
        let Identity { uuid, name } = self.of_id(id).map_err(|_| not_active(id))?;
        self.inactivate(&name);
        self.events.tell(DomainChange::Stopped, &name, uuid, Some(id));
        Ok(())
    }

    /// An active domain is suspended now, or runs, whatever it did before.
    pub(super) fn set_paused(&mut self, id: i32, paused: bool) -> Reply<()> {
        let active = self.active_mut(id)?;
        if active.paused != paused {
            active.paused = paused;
            let (name, uuid) = (active.definition.name.clone(), active.definition.uuid);
            let change = if paused { DomainChange::Suspended } else { DomainChange::Resumed };
            self.events.tell(change, &name, uuid, Some(id));
        }
        Ok(())
    }

    /// An active domain has its display at this port.
    #[cfg(feature = "qemu")]
    pub(super) fn set_vnc_port(&mut self, id: i32, vnc_port: Option<u16>) -> Reply<()> {
        self.active_mut(id)?.vnc_port = vnc_port;
        Ok(())
    }

    pub(super) fn xml(&self, uuid: Uuid) -> Reply<Description> {
        let (definition, active) = self.look(uuid)?;
        let live = |active: &Active<M>| definition.live_xml(active.id, active.vnc_port);
        Ok(Description { xml: active.map_or_else(|| definition.stored_xml(), live) })
    }

    pub(super) fn autostart(&self, uuid: Uuid) -> Reply<bool> {
        Ok(self.find(uuid)?.1.autostart)
    }

    /// The name of a domain that can be marked.
    pub(super) fn may_set_autostart(&self, uuid: Uuid) -> Reply<String> {
        let (name, domain) = self.find(uuid)?;
        if domain.defined.is_some() {
            return Ok(name.to_owned());
        }
        let message = format!("domain '{name}' is not defined, so it has no autostart mark");
        Err(Failure::new(Code::OperationInvalid, message))
    }

    pub(super) fn set_autostart(&mut self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let name = self.may_set_autostart(uuid)?;
        if let Some(domain) = self.by_name.get_mut(&name) {
            domain.autostart = autostart;
        }
        Ok(())
    }
}

impl<M> Domain<M> {
    fn active(&self) -> Option<&Active<M>> {
        if let Run::Active(active) = &self.run { Some(active) } else { None }
    }

    fn active_mut(&mut self) -> Option<&mut Active<M>> {
        if let Run::Active(active) = &mut self.run { Some(active) } else { None }
    }

    fn id(&self) -> i32 {
        self.active().map_or(INACTIVE, |active| active.id)
    }

    fn vnc_port(&self) -> Option<u16> {
        match &self.run {
            Run::Inactive => None,
            Run::Starting(reserved) => reserved.vnc_port,
            Run::Active(active) => active.vnc_port,
        }
    }

    fn refuse_start(&self, name: &str) -> Reply<()> {
        let message = match self.run {
            Run::Inactive => return Ok(()),
            Run::Starting(_) => format!("domain '{name}' is being started already"),
            Run::Active(_) => format!("domain '{name}' is active already"),
        };
        Err(Failure::new(Code::OperationInvalid, message))
    }
}

fn no_domain(key: &str, value: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::NoDomain, format!("no domain with {key} '{value}'"))
}

fn not_active(id: i32) -> Failure {
    Failure::new(Code::InvalidDomain, format!("no active domain with id {id}"))
}

#[cfg(test)]
mod tests;
