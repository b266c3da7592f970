//! The networks of a driver: names, identities and bridges, what is defined and what is active.
//!
//! A driver says what an active network is to it (`A`): nothing at all, or what it has made on the host. What is here is
//! in memory: a driver that changes the host or the disk asks with a `may_` method, does its work, and then makes the
//! change, one at a time.

use std::collections::BTreeMap;

use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{BridgeName, Description, Identity, NETWORKS_MAX, NetworkOfUuid};
use crate::xml::NetworkDefinition;

/// All networks under their names; each is active, defined or both.
pub(super) struct Networks<A> {
    by_name: BTreeMap<String, Network<A>>,
    pub(super) max: usize,
}

struct Network<A> {
    uuid: Uuid,
    defined: Option<NetworkDefinition>,
    active: Option<Active<A>>,
    autostart: bool,
}

/// A network that has a bridge now.
struct Active<A> {
    /// What it was started with, which need not be what is defined now.
    definition: NetworkDefinition,
    made: A,
}

impl<A> Networks<A> {
    pub(super) fn new() -> Self {
        Self { by_name: BTreeMap::new(), max: NETWORKS_MAX }
    }

    /// Names of the active or inactive networks in ascending order.
    pub(super) fn names(&self, active: bool) -> Vec<String> {
        let chosen = self.by_name.iter().filter(|(_, network)| network.active.is_some() == active);
        chosen.map(|(name, _)| name.clone()).collect()
    }

    /// What was made for the active networks.
    #[cfg(feature = "qemu")]
    pub(super) fn made(&self) -> impl Iterator<Item = &A> {
        self.by_name.values().filter_map(|network| network.active.as_ref()).map(|active| &active.made)
    }

    pub(super) fn of_uuid(&self, uuid: Uuid) -> Reply<NetworkOfUuid> {
        let (name, _) = self.find(uuid)?;
        Ok(NetworkOfUuid { name: name.to_owned() })
    }

    pub(super) fn of_name(&self, name: &str) -> Reply<Uuid> {
        let network = self.by_name.get(name);
        network.map(|network| network.uuid).ok_or_else(|| no_network("name", &name))
    }

    fn find(&self, uuid: Uuid) -> Reply<(&str, &Network<A>)> {
        let found = self.by_name.iter().find(|(_, network)| network.uuid == uuid);
        let (name, network) = found.ok_or_else(|| no_network("uuid", &uuid))?;
        Ok((name, network))
    }

    /// A name belongs to one identity and an identity to one name.
    fn refuse_other(&self, definition: &NetworkDefinition) -> Reply<()> {
        let (name, uuid) = (&definition.name, definition.uuid);
        let (other, taken) = match self.by_name.get(name) {
            Some(network) if network.uuid == uuid => return Ok(()),
            Some(network) => (name.as_str(), network.uuid),
            None => match self.find(uuid) {
                Ok((other, _)) => (other, uuid),
                Err(_) => return Ok(()),
            },
        };
        let message = format!("network '{other}' exists already, its uuid is {taken}");
        Err(Failure::new(Code::NetworkExist, message))
    }

    /// Checks that no other network has the bridge, or assigns one: that of the network's other
    /// definition, or else the first of `virbr0`, `virbr1`, … that no network has and that `is_free` on the host.
    fn settle_bridge(&self, definition: &mut NetworkDefinition, is_free: impl Fn(&str) -> bool) -> Reply<()> {
        let bridges = self.by_name.iter().flat_map(|(name, network)| {
            let definitions = network.active.iter().map(|active| &active.definition).chain(&network.defined);
            definitions.filter_map(move |one| Some((name, one.bridge.name.as_deref()?)))
        });
        let bridges: Vec<_> = bridges.collect();
        let (own, others): (Vec<_>, Vec<_>) = bridges.into_iter().partition(|(name, _)| **name == definition.name);
        let owner = |bridge: &str| others.iter().find(|(_, other)| *other == bridge);
        if let Some(bridge) = &definition.bridge.name {
            return match owner(bridge) {
                None => Ok(()),
                Some((name, _)) => {
                    let message = format!("network '{name}' uses the bridge '{bridge}' already");
                    Err(Failure::new(Code::OperationFailed, message))
                }
            };
        }
        let bridge = match own.last() {
            Some((_, bridge)) => Some((*bridge).to_owned()),
            None => (0..=u16::MAX)
                .map(|number| format!("virbr{number}"))
                .find(|bridge| owner(bridge).is_none() && is_free(bridge)),
        };
        let bridge = bridge.ok_or_else(|| Failure::new(Code::OperationFailed, "no name for a bridge is free"))?;
        definition.assign_bridge(&bridge);
        Ok(())
    }

    fn refuse_more(&self, count: usize, state: &str) -> Reply<()> {
        if count >= self.max {
            let message = format!("{count} networks are {state}, which is the maximum");
            return Err(Failure::new(Code::OperationFailed, message));
        }
        Ok(())
    }

    /// The definition as it can be started, its bridge included. `is_free` tells of a bridge that no network has whether
    /// anything else has it.
    pub(super) fn may_launch(
        &self,
        mut definition: NetworkDefinition,
        is_free: impl Fn(&str) -> bool,
    ) -> Reply<NetworkDefinition> {
        self.refuse_other(&definition)?;
        let present = self.by_name.get(&definition.name);
        if present.is_some_and(|network| network.active.is_some()) {
            return Err(active_already(&definition.name));
        }
        self.refuse_more(self.names(true).len(), "active")?;
        self.settle_bridge(&mut definition, is_free)?;
        Ok(definition)
    }

    /// A network has started; when this fails, nothing has changed.
    pub(super) fn launch(&mut self, definition: NetworkDefinition, made: A) -> Reply<Identity> {
        let definition = self.may_launch(definition, |_| true)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        self.entry(&identity).active = Some(Active { definition, made });
        Ok(identity)
    }

    /// The definition that an inactive network starts with.
    pub(super) fn may_start(&self, uuid: Uuid) -> Reply<NetworkDefinition> {
        let (name, network) = self.find(uuid)?;
        match (&network.active, &network.defined) {
            (None, Some(definition)) => Ok(definition.clone()),
            _ => Err(active_already(name)),
        }
    }

    /// The definition as it can be kept, its bridge included.
    pub(super) fn may_define(
        &self,
        mut definition: NetworkDefinition,
        is_free: impl Fn(&str) -> bool,
    ) -> Reply<NetworkDefinition> {
        self.refuse_other(&definition)?;
        let present = self.by_name.get(&definition.name);
        if present.is_none_or(|network| network.defined.is_none()) {
            let defined = self.by_name.values().filter(|network| network.defined.is_some());
            self.refuse_more(defined.count(), "defined")?;
        }
        self.settle_bridge(&mut definition, is_free)?;
        Ok(definition)
    }

    pub(super) fn define(&mut self, definition: NetworkDefinition) -> Reply<Identity> {
        let definition = self.may_define(definition, |_| true)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        self.entry(&identity).defined = Some(definition);
        Ok(identity)
    }

    fn entry(&mut self, identity: &Identity) -> &mut Network<A> {
        let (uuid, name) = (identity.uuid, identity.name.clone());
        let new = || Network { uuid, defined: None, active: None, autostart: false };
        self.by_name.entry(name).or_insert_with(new)
    }

    /// The name of a network that can be forgotten.
    pub(super) fn may_undefine(&self, uuid: Uuid) -> Reply<String> {
        let (name, network) = self.find(uuid)?;
        if network.active.is_some() {
            let message = format!("network '{name}' is active, it cannot be undefined");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        Ok(name.to_owned())
    }

    /// Forgets an inactive network, its autostart mark included.
    pub(super) fn undefine(&mut self, uuid: Uuid) -> Reply<()> {
        let name = self.may_undefine(uuid)?;
        self.by_name.remove(&name);
        Ok(())
    }

    /// The name of an active network, and what was made for it.
    pub(super) fn may_stop(&self, uuid: Uuid) -> Reply<(&str, &A)> {
        let (name, network) = self.find(uuid)?;
        match &network.active {
            Some(active) => Ok((name, &active.made)),
            None => Err(inactive(name)),
        }
    }

    /// An active network has stopped; one that was never defined is gone.
    pub(super) fn stop(&mut self, uuid: Uuid) -> Reply<()> {
        let name = self.may_stop(uuid)?.0.to_owned();
        if let Some(network) = self.by_name.get_mut(&name) {
            network.active = None;
            if network.defined.is_none() {
                self.by_name.remove(&name);
            }
        }
        Ok(())
    }

    /// The definition it runs with, or would.
    fn definition(&self, uuid: Uuid) -> Reply<&NetworkDefinition> {
        let (_, network) = self.find(uuid)?;
        let active = network.active.as_ref().map(|active| &active.definition);
        active.or(network.defined.as_ref()).ok_or_else(|| no_network("uuid", &uuid))
    }

    pub(super) fn xml(&self, uuid: Uuid) -> Reply<Description> {
        let xml = self.definition(uuid)?.stored_xml();
        Ok(Description { xml })
    }

    pub(super) fn bridge(&self, uuid: Uuid) -> Reply<BridgeName> {
        let name = self.definition(uuid)?.bridge.name.clone();
        Ok(BridgeName { name: name.unwrap_or_default() })
    }

    pub(super) fn autostart(&self, uuid: Uuid) -> Reply<bool> {
        Ok(self.find(uuid)?.1.autostart)
    }

    /// The name of a network that can be marked.
    pub(super) fn may_set_autostart(&self, uuid: Uuid) -> Reply<String> {
        let (name, network) = self.find(uuid)?;
        if network.defined.is_none() {
            let message = format!("network '{name}' is not defined, so it has no autostart mark");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        Ok(name.to_owned())
    }

    pub(super) fn set_autostart(&mut self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let name = self.may_set_autostart(uuid)?;
        if let Some(network) = self.by_name.get_mut(&name) {
            network.autostart = autostart;
        }
        Ok(())
    }
}

fn inactive(name: &str) -> Failure {
    Failure::new(Code::OperationInvalid, format!("network '{name}' is not active"))
}

fn active_already(name: &str) -> Failure {
    Failure::new(Code::OperationInvalid, format!("network '{name}' is active already"))
}

fn no_network(key: &str, value: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::NoNetwork, format!("no network with {key} '{value}'"))
}

#[cfg(test)]
mod tests;
