//! Networks of the QEMU driver: a bridge of the host each, with an address, forwarding and DHCP where the definition asks
//! for them.
//!
//! - `plan`: what a definition asks of the host
//! - `host`: all of it made, undone, and found again by a later daemon
//! - `bridge`: bridges, by netlink
//! - `settings`: the kernel's settings
//! - `forwarding`: rules of nftables
//! - `dhcp`: dnsmasq
//! - `watch`: that it goes on

mod bridge;
mod dhcp;
mod forwarding;
mod host;
mod plan;
mod settings;
mod watch;

pub(in crate::driver) use self::bridge::attach;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::host::{Host, Running};
use self::plan::Plan;
use self::watch::{Restarts, Watch};
use super::whole;
use crate::driver::disk::blocking;
use crate::driver::networks::Networks;
use crate::driver::qemu::programs::Programs;
use crate::driver::store::{Store, Stored};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::xml::NetworkDefinition;

/// The networks, with one method for each of their procedures.
///
/// It needs a runtime of tokio. Questions never wait for a change that is under way.
pub(in crate::driver) struct QemuNetworks(Arc<Shared>);

struct Shared {
    networks: Mutex<Networks<Plan>>,
    definitions: Store,
    host: Host,
    /// Held by the change that is being made: they go one at a time, in the order in which they came.
    turn: Arc<tokio::sync::Mutex<()>>,
    restarts: Restarts,
    /// Over the active networks that hand out addresses.
    watches: Mutex<HashMap<Uuid, Watch>>,
}

impl QemuNetworks {
    /// Reads the definitions, finds the networks that an earlier daemon has started and left, and starts those that are
    /// marked for it. The folders are made where there are none.
    ///
    /// What is wrong with one network goes to the log, and keeps no other from being served.
    ///
    /// # Errors
    /// [`Code::SystemError`]: a folder cannot be used.
    pub(in crate::driver) async fn open(definitions: &Path, state: &Path) -> Reply<Self> {
        Self::open_with(definitions, state, Programs::of_this_host(), Restarts::default()).await
    }

    async fn open_with(definitions: &Path, state: &Path, programs: Programs, restarts: Restarts) -> Reply<Self> {
        let host = Host::open(state, programs).await?;
        let folder = definitions.to_owned();
        let definitions = blocking(move || Store::open(&folder)).await?;
        let networks = Mutex::new(Networks::new());
        let (turn, watches) = (Arc::default(), Mutex::default());
        let shared = Arc::new(Shared { networks, definitions, host, turn, restarts, watches });
        let networks = Self(shared);
        networks.change(async |shared| shared.begin().await).await?;
        Ok(networks)
    }

    /// Makes a change when its turn has come, and then to its end, also when whoever asked for it has left meanwhile.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Shared>) -> F) -> Reply<T>
    where
        T: Send + 'static,
        F: Future<Output = Reply<T>> + Send + 'static,
    {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let change = change(Arc::clone(&self.0));
        whole(async move {
            let reply = change.await;
            drop(turn);
            reply
        })
        .await
    }

    fn networks(&self) -> MutexGuard<'_, Networks<Plan>> {
        self.0.networks()
    }

    /// The bridge of an active network.
    pub(in crate::driver) async fn bridge_of(&self, name: &str) -> Reply<String> {
        let networks = self.networks();
        let uuid = networks.of_name(name)?;
        networks.may_stop(uuid).map(|(_, plan)| plan.bridge.clone())
    }

    pub(in crate::driver) async fn num_networks(&self, _: NumNetworks) -> Reply<u32> {
        Ok(count(&self.networks().names(true)))
    }

    pub(in crate::driver) async fn list_networks(&self, _: ListNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.networks().names(true) })
    }

    pub(in crate::driver) async fn num_defined_networks(&self, _: NumDefinedNetworks) -> Reply<u32> {
        Ok(count(&self.networks().names(false)))
    }

    pub(in crate::driver) async fn list_defined_networks(&self, _: ListDefinedNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.networks().names(false) })
    }

    pub(in crate::driver) async fn network_lookup_by_uuid(&self, args: NetworkLookupByUuid) -> Reply<NetworkOfUuid> {
        self.networks().of_uuid(args.uuid)
    }

    pub(in crate::driver) async fn network_lookup_by_name(&self, args: NetworkLookupByName) -> Reply<Uuid> {
        self.networks().of_name(&args.name)
    }

    pub(in crate::driver) async fn network_create(&self, args: NetworkCreate) -> Reply<Identity> {
        let definition = NetworkDefinition::parse(&args.xml)?;
        self.change(async move |shared| shared.launch(definition).await).await
    }

    pub(in crate::driver) async fn network_define(&self, args: NetworkDefine) -> Reply<Identity> {
        let definition = NetworkDefinition::parse(&args.xml)?;
        self.change(async move |shared| shared.define(definition).await).await
    }

    pub(in crate::driver) async fn network_undefine(&self, args: NetworkUndefine) -> Reply<()> {
        self.change(async move |shared| shared.undefine(args.uuid).await).await
    }

    pub(in crate::driver) async fn network_start(&self, args: NetworkStart) -> Reply<()> {
        self.change(async move |shared| shared.start(args.uuid).await).await
    }

    pub(in crate::driver) async fn network_destroy(&self, args: NetworkDestroy) -> Reply<()> {
        self.change(async move |shared| shared.stop(args.uuid).await).await
    }

    pub(in crate::driver) async fn network_dump_xml(&self, args: NetworkDumpXml) -> Reply<Description> {
        self.networks().xml(args.uuid)
    }

    pub(in crate::driver) async fn network_get_bridge_name(&self, args: NetworkGetBridgeName) -> Reply<BridgeName> {
        self.networks().bridge(args.uuid)
    }

    pub(in crate::driver) async fn network_get_autostart(&self, args: NetworkGetAutostart) -> Reply<bool> {
        self.networks().autostart(args.uuid)
    }

    pub(in crate::driver) async fn network_set_autostart(&self, args: NetworkSetAutostart) -> Reply<()> {
        self.change(async move |shared| shared.set_autostart(args.uuid, args.autostart).await).await
    }
}

/// The changes. Whoever makes one has its turn.
impl Shared {
    // Each change is made whole or not at all, so a lock that a panic left behind guards a sound state.
    fn networks(&self) -> MutexGuard<'_, Networks<Plan>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<Uuid, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the dnsmasq of an active network looked after.
    fn watch(self: &Arc<Self>, plan: Plan) {
        if plan.dhcp.is_some() {
            let uuid = plan.uuid;
            self.watches().insert(uuid, Watch::begin(Arc::downgrade(self), plan, self.restarts));
        }
    }

    async fn begin(self: &Arc<Self>) -> Reply<()> {
        for Running { definition, plan } in self.host.find_again().await? {
            let launched = self.networks().launch(definition, plan.clone());
            match launched {
                Ok(_) => self.watch(plan),
                Err(failure) => {
                    tracing::warn!(network = plan.name, %failure, "a network runs that cannot be served");
                }
            }
        }
        let definitions = self.definitions.clone();
        let loaded = blocking(move || definitions.load()).await?;
        for (file, fault) in loaded.faults {
            tracing::warn!(file = %file.display(), fault, "a definition cannot be read");
        }
        let mut marked = Vec::new();
        for stored in loaded.definitions {
            let file = self.definitions.path(&stored.name);
            match self.take(&stored).await {
                Ok(uuid) if stored.autostart => marked.push((uuid, stored.name)),
                Ok(_) => {}
                Err(failure) => tracing::warn!(file = %file.display(), %failure, "a definition cannot be used"),
            }
        }
        for (uuid, network) in marked {
            let active = self.networks().may_stop(uuid).is_ok();
            if !active && let Err(failure) = self.start(uuid).await {
                tracing::warn!(network, %failure, "a network that is marked to start has not started");
            }
        }
        Ok(())
    }

    /// Takes a definition from the disk.
    async fn take(&self, stored: &Stored) -> Reply<Uuid> {
        let definition = NetworkDefinition::parse(&stored.xml)?;
        if definition.name != stored.name {
            let message = format!("it is the definition of the network '{}'", definition.name);
            return Err(Failure::new(Code::XmlError, message));
        }
        let taken = taken(&definition).await?;
        let definition = self.networks().may_define(definition, |bridge| !taken.contains(bridge))?;
        // Written by hand without an identity or a bridge, it keeps those that it has got.
        if definition.stored_xml() != stored.xml {
            self.keep(&definition).await?;
        }
        let mut networks = self.networks();
        let uuid = networks.define(definition)?.uuid;
        networks.set_autostart(uuid, stored.autostart)?;
        Ok(uuid)
    }

    async fn keep(&self, definition: &NetworkDefinition) -> Reply<()> {
        let (definitions, name, xml) = (self.definitions.clone(), definition.name.clone(), definition.stored_xml());
        blocking(move || definitions.write(&name, &xml)).await
    }

    async fn launch(self: &Arc<Self>, definition: NetworkDefinition) -> Reply<Identity> {
        let taken = taken(&definition).await?;
        let definition = self.networks().may_launch(definition, |bridge| !taken.contains(bridge))?;
        let running = Running { plan: Plan::of(&definition)?, definition };
        let isolated = self.networks().made().filter(|plan| plan.forward.is_none()).cloned().collect::<Vec<_>>();
        self.host.start(&running, &isolated).await?;
        let launched = self.networks().launch(running.definition, running.plan.clone())?;
        self.watch(running.plan);
        Ok(launched)
    }

    async fn start(self: &Arc<Self>, uuid: Uuid) -> Reply<()> {
        let definition = self.networks().may_start(uuid)?;
        self.launch(definition).await.map(|_| ())
    }

    async fn stop(&self, uuid: Uuid) -> Reply<()> {
        let plan = self.networks().may_stop(uuid)?.1.clone();
        self.watches().remove(&uuid);
        self.host.stop(&plan).await?;
        self.networks().stop(uuid)
    }

    async fn define(&self, definition: NetworkDefinition) -> Reply<Identity> {
        let taken = taken(&definition).await?;
        let definition = self.networks().may_define(definition, |bridge| !taken.contains(bridge))?;
        let is_new = self.networks().may_set_autostart(definition.uuid).is_err();
        let (store, name, xml) = (self.definitions.clone(), definition.name.clone(), definition.stored_xml());
        blocking(move || if is_new { store.write_new(&name, &xml) } else { store.write(&name, &xml) }).await?;
        self.networks().define(definition)
    }

    async fn undefine(&self, uuid: Uuid) -> Reply<()> {
        let name = self.networks().may_undefine(uuid)?;
        let definitions = self.definitions.clone();
        blocking(move || definitions.remove(&name)).await?;
        self.networks().undefine(uuid)
    }

    async fn set_autostart(&self, uuid: Uuid, autostart: bool) -> Reply<()> {
        let name = self.networks().may_set_autostart(uuid)?;
        let definitions = self.definitions.clone();
        blocking(move || definitions.set_autostart(&name, autostart)).await?;
        self.networks().set_autostart(uuid, autostart)
    }
}

/// The names that a bridge cannot have, where one is to be chosen.
async fn taken(definition: &NetworkDefinition) -> Reply<BTreeSet<String>> {
    match definition.bridge.name {
        Some(_) => Ok(BTreeSet::new()),
        None => bridge::names().await,
    }
}

fn count(names: &[String]) -> u32 {
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
