//! What happens to domains, also to those that others change.
//!
//! The bindings have no callbacks for it, so while somebody listens this looks: after each change of our own, before the
//! reply to it, and besides every [`PERIOD`]. What others do and undo between two looks is not told, nor is a definition
//! that others put in the place of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use super::terms::{self, failure};
use crate::driver::{Events, Subscription};
use crate::events::DomainChange;
use crate::failure::Reply;
use crate::identity::Uuid;

/// Time between two looks for what others have changed.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    seen: Mutex<Seen>,
}

struct Seen {
    events: Events,
    /// None while nobody listens.
    domains: Option<BTreeMap<Uuid, Sight>>,
}

/// A domain as it was at the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    name: String,
    id: Option<i32>,
    paused: bool,
    defined: bool,
}

impl Watch {
    pub(super) fn new(queue: usize) -> Self {
        Self { seen: Mutex::new(Seen { events: Events::new(queue), domains: None }) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens from now on. Also tells whether nobody did before: then somebody has to look from time to time.
    pub(super) fn begin(&self, connect: &Connect) -> Reply<(Subscription, bool)> {
        let mut seen = self.seen();
        let now = look(connect)?;
        let first = seen.domains.is_none();
        if let Some(before) = seen.domains.replace(now.clone()) {
            tell(&seen.events, &before, &now);
        }
        Ok((seen.events.subscribe(), first))
    }

    /// Looks again, and tells what has changed. `defined` is a domain whose definition was kept by us.
    pub(super) fn look(&self, connect: &Connect, defined: Option<Uuid>) -> Reply<()> {
        let mut seen = self.seen();
        if seen.domains.is_none() {
            return Ok(());
        }
        let now = look(connect)?;
        let before = seen.domains.replace(now.clone()).unwrap_or_default();
        let told = tell(&seen.events, &before, &now);
        if let Some((uuid, sight)) = defined.and_then(|uuid| Some((uuid, now.get(&uuid)?)))
            && !told.contains(&uuid)
        {
            seen.events.tell(DomainChange::Defined, &sight.name, uuid, sight.id);
        }
        Ok(())
    }

    /// Whether somebody still listens. If not, nothing is looked for until somebody does.
    pub(super) fn is_heard(&self) -> bool {
        let mut seen = self.seen();
        let heard = seen.events.is_heard();
        if !heard {
            seen.domains = None;
        }
        heard
    }
}

/// All domains in three calls, however many there are.
fn look(connect: &Connect) -> Reply<BTreeMap<Uuid, Sight>> {
    let listed = |flags| connect.list_all_domains(flags).map_err(|error| failure(&error));
    let uuid = |domain: &Domain| domain.get_uuid().map(|uuid| terms::identity(&uuid)).map_err(|error| failure(&error));
    let uuids = |flags| listed(flags)?.iter().map(uuid).collect::<Reply<BTreeSet<_>>>();
    let (all, paused) = (listed(0)?, uuids(sys::VIR_CONNECT_LIST_DOMAINS_PAUSED)?);
    let persistent = uuids(sys::VIR_CONNECT_LIST_DOMAINS_PERSISTENT)?;
    let sight = |domain: &Domain| {
        let (uuid, name) = (uuid(domain)?, terms::name(domain.get_name())?);
        let id = domain.get_id().and_then(|id| i32::try_from(id).ok());
        let paused = id.is_some() && paused.contains(&uuid);
        // What is not active is there because it is defined.
        Ok((uuid, Sight { name, id, paused, defined: id.is_none() || persistent.contains(&uuid) }))
    };
    all.iter().map(sight).collect()
}

/// Tells what has changed, and gives back which domains are defined anew.
fn tell(events: &Events, before: &BTreeMap<Uuid, Sight>, now: &BTreeMap<Uuid, Sight>) -> BTreeSet<Uuid> {
    let mut defined = BTreeSet::new();
    for (uuid, now) in now {
        for (change, id) in changes(before.get(uuid), Some(now)) {
            events.tell(change, &now.name, *uuid, id);
            if change == DomainChange::Defined {
                defined.insert(*uuid);
            }
        }
    }
    for (uuid, before) in before.iter().filter(|(uuid, _)| !now.contains_key(*uuid)) {
        for (change, id) in changes(Some(before), None) {
            events.tell(change, &before.name, *uuid, id);
        }
    }
    defined
}

/// What has happened to a domain between two looks, in an order in which it can have happened.
fn changes(before: Option<&Sight>, now: Option<&Sight>) -> Vec<(DomainChange, Option<i32>)> {
    let (was_defined, is_defined) = (before.is_some_and(|one| one.defined), now.is_some_and(|one| one.defined));
    let (old, new) = (before.and_then(|one| one.id), now.and_then(|one| one.id));
    let (was_paused, is_paused) = (before.is_some_and(|one| one.paused), now.is_some_and(|one| one.paused));
    let mut changes = Vec::new();
    if old.is_some() && old != new {
        changes.push((DomainChange::Stopped, old));
    }
    if is_defined && !was_defined {
        changes.push((DomainChange::Defined, old.filter(|_| old == new)));
    }
    if new.is_some() && old != new {
        changes.push((DomainChange::Started, new));
    }
    match (new.is_some(), old == new && was_paused, is_paused) {
        (true, false, true) => changes.push((DomainChange::Suspended, new)),
        (true, true, false) => changes.push((DomainChange::Resumed, new)),
        _ => {}
    }
    if was_defined && !is_defined {
        changes.push((DomainChange::Undefined, new));
    }
    changes
}

#[cfg(test)]
mod tests;
