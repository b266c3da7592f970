//! What is on the host for a network: made in order, undone in the reverse order, and found again by a later daemon.
//!
//! For each network that is started there is a record in the state folder, from before the first step of its start until
//! after the last step of its end: whenever the daemon dies, the next one knows what there may be. Each step can be done
//! again, and undone where it was not done.

use std::path::{Path, PathBuf};

use super::plan::Plan;
use super::{bridge, dhcp, forwarding, settings};
use crate::driver::disk::{blocking, failed};
use crate::driver::qemu::process::Process;
use crate::driver::qemu::programs::Programs;
use crate::driver::store::Store;
use crate::failure::Reply;
use crate::xml::NetworkDefinition;

pub(super) struct Host {
    /// The XML of the networks that run, under their UUIDs.
    records: Store,
    /// The folder of the records, and of dnsmasq's files beside them.
    state: PathBuf,
    programs: Programs,
}

/// A network that is on the host.
pub(super) struct Running {
    pub(super) definition: NetworkDefinition,
    pub(super) plan: Plan,
}

impl Host {
    pub(super) async fn open(state: &Path, programs: Programs) -> Reply<Self> {
        let folder = state.to_owned();
        let (records, state) = blocking(move || {
            // dnsmasq works in a folder of its own choice.
            let state =
                std::path::absolute(&folder).map_err(|error| failed("cannot find the folder", &folder, &error))?;
            Ok((Store::open(&state)?, state))
        })
        .await?;
        Ok(Self { records, state, programs })
    }

    /// Makes all there is to a network; when that fails, nothing stays. `isolated` are the other networks that must not be
    /// forwarded.
    pub(super) async fn start(&self, running: &Running, isolated: &[Plan]) -> Reply<()> {
        let Running { definition, plan } = running;
        bridge::refuse_overlap(plan).await?;
        let (records, uuid, xml) = (self.records.clone(), plan.uuid.to_string(), definition.stored_xml());
        blocking(move || records.write(&uuid, &xml)).await?;
        let made = bridge::make(plan).await;
        if made.is_err() {
            // What stands in the way is not ours.
            self.forget(plan).await?;
            return made;
        }
        let ready = self.switch_on(plan, isolated).await;
        let furnished = match &ready {
            Ok(()) => self.hand_out(plan).await,
            Err(_) => ready.clone(),
        };
        if furnished.is_err() {
            // Rules that are not there must not need their tool to be removed.
            self.give_up(plan, ready.is_ok()).await;
        }
        furnished
    }

    /// The bridge with its address, and what becomes of packets that want out. After a failure no rules are in force.
    async fn switch_on(&self, plan: &Plan, isolated: &[Plan]) -> Reply<()> {
        settings::without_ipv6(plan).await?;
        bridge::switch_on(plan).await?;
        let Some(forward) = &plan.forward else {
            return settings::without_forwarding(plan).await;
        };
        forwarding::begin(plan, forward, &self.programs).await?;
        let forwards = Self::forward(plan, isolated).await;
        if forwards.is_err() {
            forwarding::end(plan, &self.programs).await?;
        }
        forwards
    }

    async fn forward(plan: &Plan, isolated: &[Plan]) -> Reply<()> {
        if settings::with_forwarding(plan).await? {
            tracing::info!(network = plan.name, "this host forwards IPv4 packets from now on");
            // The kernel has switched it on for each interface.
            for other in isolated {
                settings::without_forwarding(other).await?;
            }
        }
        Ok(())
    }

    /// Hands out addresses where the network has them; goes on with the dnsmasq that may run.
    pub(super) async fn hand_out(&self, plan: &Plan) -> Reply<()> {
        match &plan.dhcp {
            Some(dhcp) => dhcp::begin(plan, dhcp, &self.state, &self.programs).await,
            None => Ok(()),
        }
    }

    /// The dnsmasq of a network, if it runs.
    pub(super) fn dnsmasq(&self, plan: &Plan) -> Option<Process> {
        dhcp::running(plan, &self.state)
    }

    async fn give_up(&self, plan: &Plan, with_rules: bool) {
        if let Err(failure) = self.undo(plan, with_rules).await {
            tracing::warn!(network = plan.name, %failure, "something of a network that is not active is left");
        }
    }

    /// Undoes all, as far as it goes, and tells the first failure. It can be tried again.
    pub(super) async fn stop(&self, plan: &Plan) -> Reply<()> {
        self.undo(plan, true).await
    }

    async fn undo(&self, plan: &Plan, with_rules: bool) -> Reply<()> {
        let dhcp = match plan.dhcp {
            Some(_) => dhcp::end(plan, &self.state).await,
            None => Ok(()),
        };
        let forward = match plan.forward {
            Some(_) if with_rules => forwarding::end(plan, &self.programs).await,
            _ => Ok(()),
        };
        let bridge = bridge::remove(plan).await;
        dhcp.and(forward).and(bridge)?;
        self.forget(plan).await
    }

    async fn forget(&self, plan: &Plan) -> Reply<()> {
        let (records, uuid) = (self.records.clone(), plan.uuid.to_string());
        blocking(move || records.remove(&uuid)).await
    }

    /// Finds the networks that an earlier daemon has left, makes whole what it had not finished, and says which are gone.
    pub(super) async fn find_again(&self) -> Reply<Vec<Running>> {
        let records = self.records.clone();
        let loaded = blocking(move || records.load()).await?;
        for (file, fault) in loaded.faults {
            tracing::warn!(file = %file.display(), fault, "cannot tell which network runs");
        }
        let mut all = Vec::new();
        for stored in loaded.definitions {
            let read = NetworkDefinition::parse(&stored.xml);
            match read.and_then(|definition| Ok(Running { plan: Plan::of(&definition)?, definition })) {
                Ok(running) if running.plan.uuid.to_string() == stored.name => all.push(running),
                Ok(_) => tracing::warn!(record = stored.name, "cannot tell which network runs: it has another uuid"),
                Err(failure) => tracing::warn!(record = stored.name, %failure, "cannot tell which network runs"),
            }
        }
        // Those that must not be forwarded come last, so that none of the others can change that.
        all.sort_by_key(|running| running.plan.forward.is_none());
        let mut found = Vec::new();
        for running in all {
            match self.is_whole(&running.plan).await {
                Ok(true) => found.push(running),
                Ok(false) => {
                    tracing::warn!(
                        network = running.plan.name,
                        "its bridge has gone, so the network is no longer active"
                    );
                    self.give_up(&running.plan, true).await;
                }
                Err(failure) => {
                    tracing::warn!(network = running.plan.name, %failure, "it cannot go on, so it is stopped");
                    self.give_up(&running.plan, true).await;
                }
            }
        }
        Ok(found)
    }

    /// Whether a network is there, after what was missing has been made.
    async fn is_whole(&self, plan: &Plan) -> Reply<bool> {
        let there = bridge::exists(plan).await?;
        if there {
            self.switch_on(plan, &[]).await?;
            self.hand_out(plan).await?;
        }
        Ok(there)
    }
}
