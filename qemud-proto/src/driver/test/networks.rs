//! The networks of the test driver.

use std::collections::BTreeMap;

use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{BridgeName, Description, Identity, NETWORKS_MAX, NetworkOfUuid};
use crate::xml::NetworkDefinition;

/// All networks under their names; each is active, defined or both.
pub(super) struct Networks {
    by_name: BTreeMap<String, Network>,
    pub(super) max: usize,
}

struct Network {
    uuid: Uuid,
    defined: Option<NetworkDefinition>,
    active: Option<NetworkDefinition>,
    autostart: bool,
}

impl Networks {
    pub(super) fn new() -> Self {
        Self { by_name: BTreeMap::new(), max: NETWORKS_MAX }
    }

    /// Names of the active or inactive networks in ascending order.
    pub(super) fn names(&self, active: bool) -> Vec<String> {
        let chosen = self.by_name.iter().filter(|(_, network)| network.active.is_some() == active);
        chosen.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn of_uuid(&self, uuid: Uuid) -> Reply<NetworkOfUuid> {
        let (name, _) = self.find(uuid)?;
        Ok(NetworkOfUuid { name: name.to_owned() })
    }

    pub(super) fn of_name(&self, name: &str) -> Reply<Uuid> {
        let network = self.by_name.get(name);
        network.map(|network| network.uuid).ok_or_else(|| no_network("name", &name))
    }

    fn find(&self, uuid: Uuid) -> Reply<(&str, &Network)> {
        let found = self.by_name.iter().find(|(_, network)| network.uuid == uuid);
        let (name, network) = found.ok_or_else(|| no_network("uuid", &uuid))?;
        Ok((name, network))
    }

    fn find_mut(&mut self, uuid: Uuid) -> Reply<(&str, &mut Network)> {
        let found = self.by_name.iter_mut().find(|(_, network)| network.uuid == uuid);
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
    /// definition, or else the first free `virbr0`, `virbr1`, …
    fn settle_bridge(&self, definition: &mut NetworkDefinition) -> Reply<()> {
        let bridges = self.by_name.iter().flat_map(|(name, network)| {
            let definitions = network.active.iter().chain(&network.defined);
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
            None => (0..=others.len()).map(|number| format!("virbr{number}")).find(|bridge| owner(bridge).is_none()),
        };
        definition.assign_bridge(&bridge.unwrap_or_default());
        Ok(())
    }

    fn refuse_more(&self, count: usize, state: &str) -> Reply<()> {
        if count >= self.max {
            let message = format!("{count} networks are {state}, which is the maximum");
            return Err(Failure::new(Code::OperationFailed, message));
        }
        Ok(())
    }

    /// Starts a network; when it fails, nothing has changed.
    pub(super) fn launch(&mut self, mut definition: NetworkDefinition) -> Reply<Identity> {
        self.refuse_other(&definition)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        let present = self.by_name.get(&identity.name);
        if present.is_some_and(|network| network.active.is_some()) {
            return Err(active_already(&identity.name));
        }
        self.refuse_more(self.names(true).len(), "active")?;
        self.settle_bridge(&mut definition)?;
        self.entry(&identity).active = Some(definition);
        Ok(identity)
    }

    pub(super) fn define(&mut self, mut definition: NetworkDefinition) -> Reply<Identity> {
        self.refuse_other(&definition)?;
        let identity = Identity { uuid: definition.uuid, name: definition.name.clone() };
        let present = self.by_name.get(&identity.name);
        if present.is_none_or(|network| network.defined.is_none()) {
            let defined = self.by_name.values().filter(|network| network.defined.is_some());
            self.refuse_more(defined.count(), "defined")?;
        }
        self.settle_bridge(&mut definition)?;
        self.entry(&identity).defined = Some(definition);
        Ok(identity)
    }

    fn entry(&mut self, identity: &Identity) -> &mut Network {
        self.by_name.entry(identity.name.clone()).or_insert(Network {
            uuid: identity.uuid,
            defined: None,
            active: None,
            autostart: false,
        })
    }

    pub(super) fn start(&mut self, uuid: Uuid) -> Reply<()> {
        let (name, network) = self.find(uuid)?;
        let definition = match (&network.active, &network.defined) {
            (None, Some(definition)) => definition.clone(),
            _ => return Err(active_already(name)),
        };
        self.launch(definition).map(|_| ())
    }

    /// Forgets an inactive network, its autostart mark included.
    pub(super) fn undefine(&mut self, uuid: Uuid) -> Reply<()> {
        let (name, network) = self.find(uuid)?;
        if network.active.is_some() {
            let message = format!("network '{name}' is active, it cannot be undefined");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        let name = name.to_owned();
        self.by_name.remove(&name);
        Ok(())
    }

    /// Stops an active network; one that was never defined is gone.
    pub(super) fn stop(&mut self, uuid: Uuid) -> Reply<()> {
        let (name, network) = self.find_mut(uuid)?;
        if network.active.take().is_none() {
            let message = format!("network '{name}' is not active");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        if network.defined.is_none() {
            let name = name.to_owned();
            self.by_name.remove(&name);
        }
        Ok(())
    }

    /// The definition it runs with, or would.
    fn definition(&self, uuid: Uuid) -> Reply<&NetworkDefinition> {
        let (_, network) = self.find(uuid)?;
        let definition = network.active.as_ref().or(network.defined.as_ref());
        definition.ok_or_else(|| no_network("uuid", &uuid))
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

    pub(super) fn set_autostart(&mut self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let (name, network) = self.find_mut(uuid)?;
        if network.defined.is_none() {
            let message = format!("network '{name}' is not defined, so it has no autostart mark");
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        network.autostart = autostart;
        Ok(())
    }
}

fn active_already(name: &str) -> Failure {
    Failure::new(Code::OperationInvalid, format!("network '{name}' is active already"))
}

fn no_network(key: &str, value: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::NoNetwork, format!("no network with {key} '{value}'"))
}

#[cfg(test)]
mod tests;
