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
    /// Changes of our own that are being made.
    changing: usize,
    /// What looks have told to be defined since the first of these began: it may have been one of them.
    defined_meanwhile: BTreeSet<Uuid>,
}

/// A change of our own that is being made, until this is dropped.
pub(super) struct Changing<'a>(&'a Watch);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        seen.changing = seen.changing.saturating_sub(1);
        if seen.changing == 0 {
            seen.defined_meanwhile.clear();
        }
    }
}

/// A domain as it was at the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    name: String,
    id: Option<i32>,
    /// None where it neither runs nor is paused, but for instance is about to end: then it counts as it was.
    paused: Option<bool>,
    defined: bool,
}

impl Watch {
    pub(super) fn new(queue: usize) -> Self {
        let (events, defined_meanwhile) = (Events::new(queue), BTreeSet::new());
        Self { seen: Mutex::new(Seen { events, domains: None, changing: 0, defined_meanwhile }) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens from now on. Also tells whether nobody did before: then somebody has to look from time to time.
    pub(super) fn begin(&self, connect: &Connect) -> Reply<(Subscription, bool)> {
        let mut seen = self.seen();
        let first = seen.domains.is_none();
        seen.look(connect, !first)?;
        Ok((seen.events.subscribe(), first))
    }

    /// Begins a change of our own, which a look may see before we have looked for it ourselves.
    pub(super) fn changing(&self) -> Changing<'_> {
        let mut seen = self.seen();
        seen.changing = seen.changing.saturating_add(1);
        Changing(self)
    }

    /// Looks again, and tells what has changed. `defined` is a domain whose definition was kept by us.
    pub(super) fn look(&self, connect: &Connect, defined: Option<Uuid>) -> Reply<()> {
        let mut seen = self.seen();
        if seen.domains.is_none() {
            return Ok(());
        }
        let told = seen.look(connect, true)?;
        let kept = defined.filter(|uuid| !told.contains(uuid) && !seen.defined_meanwhile.remove(uuid));
        if seen.changing > 0 {
            // That of our own need not be remembered.
            seen.defined_meanwhile.extend(told.into_iter().filter(|uuid| Some(*uuid) != defined));
        }
        if let Some((uuid, sight)) = kept.and_then(|uuid| Some((uuid, seen.domains.as_ref()?.get(&uuid)?))) {
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

impl Seen {
    /// Looks, and tells what has changed; gives back which domains are defined anew.
    fn look(&mut self, connect: &Connect, told: bool) -> Reply<BTreeSet<Uuid>> {
        let mut now = look(connect)?;
        let before = self.domains.take().unwrap_or_default();
        for (uuid, now) in &mut now {
            let same = before.get(uuid).filter(|before| before.id == now.id);
            now.paused = now.paused.or(same.and_then(|before| before.paused));
        }
        let defined = if told { tell(&self.events, &before, &now) } else { BTreeSet::new() };
        self.domains = Some(now);
        Ok(defined)
    }
}

/// All domains in four calls, and one more for each that is paused. Others can change something between these: what has changed since
/// the first is seen by the next look, and what is gone is not taken for changed.
fn look(connect: &Connect) -> Reply<BTreeMap<Uuid, Sight>> {
    let listed = |flags| {
        let domains = connect.list_all_domains(flags).map_err(|error| failure(&error))?;
        domains.into_iter().map(|domain| Ok((key(&domain)?, domain))).collect::<Reply<BTreeMap<_, _>>>()
    };
    let running = listed(sys::VIR_CONNECT_LIST_DOMAINS_RUNNING)?;
    let paused = listed(sys::VIR_CONNECT_LIST_DOMAINS_PAUSED)?;
    let persistent = listed(sys::VIR_CONNECT_LIST_DOMAINS_PERSISTENT)?;
    let persistent: BTreeSet<_> = persistent.into_keys().map(|(uuid, _)| uuid).collect();
    let sight = |(key, domain): (Key, Domain)| {
        let (uuid, mut id) = key;
        let defined = persistent.contains(&uuid);
        let mut now = running.get(&key).map(|_| false);
        if let Some(domain) = paused.get(&key) {
            // Where it has ended meanwhile there is nothing to know.
            now = match domain.get_state().ok() {
                // One that is being started is paused meanwhile, and may yet come to nothing: it is not active.
                Some((sys::VIR_DOMAIN_PAUSED, STARTING)) => {
                    id = None;
                    None
                }
                Some((sys::VIR_DOMAIN_PAUSED, _)) => Some(true),
                Some((sys::VIR_DOMAIN_RUNNING, _)) => Some(false),
                _ => None,
            };
        }
        Ok((uuid, Sight { name: terms::name(domain.get_name())?, id, paused: now, defined }))
    };
    // What is neither active nor defined is about to start or has just ended.
    let there = |sight: &Reply<(Uuid, Sight)>| !matches!(sight, Ok((_, sight)) if sight.id.is_none() && !sight.defined);
    listed(0)?.into_iter().map(sight).filter(there).collect()
}

/// Why a domain is paused that is being started.
const STARTING: i32 = sys::VIR_DOMAIN_PAUSED_STARTING_UP.cast_signed();

/// A domain and the id it runs under.
type Key = (Uuid, Option<i32>);

fn key(domain: &Domain) -> Reply<Key> {
    let uuid = domain.get_uuid().map_err(|error| failure(&error))?;
    Ok((terms::identity(&uuid), domain.get_id().and_then(|id| i32::try_from(id).ok())))
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
    let paused = |one: Option<&Sight>| one.and_then(|one| one.paused).unwrap_or(false);
    let (was_paused, is_paused) = (paused(before), paused(now));
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
