//! The driver `qemu`: domains that are processes of QEMU.
//!
//! - `hypervisor`: the guests, and what is done to those that run
//! - `definitions`: what is defined, on disk and in memory
//! - `starting`: how guests start
//! - `saving`: their memory on its way to a file and back
//! - `found`: guests that an earlier daemon left behind
//! - `catching_up`: guests that were not heard of for a while
//! - `machine`, `process`, `monitor`: one guest, its process, and what it is told
//! - `log`: what its process says
//! - `programs`: programs of the host
//! - `state`: the folder that tells what runs
//! - `command_line`: a definition as the arguments of QEMU
//! - `capabilities`: the emulators of this machine, and what each can do
//! - `networks`: bridges with addresses, forwarding and DHCP
//!
#![doc = include_str!("../../../GUESTS.md")]

mod capabilities;
mod catching_up;
mod command_line;
mod definitions;
#[cfg(test)]
#[path = "../../../../tests/src/foreign_tool.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public in the package that it is from")]
mod foreign_tool;
mod found;
mod hypervisor;
mod log;
mod machine;
mod monitor;
mod networks;
mod process;
mod programs;
mod saving;
mod starting;
mod state;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

use self::capabilities::Emulators;
use self::hypervisor::Hypervisor;
use self::networks::QemuNetworks;
use self::state::StateFolder;
use super::disk::blocking;
use super::domains::Domains;
use super::node::node_info;
use super::saved::path;
use super::store::Store;
use super::{Driver, EVENT_QUEUE, Events, Picture, Subscription};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::xml::DomainDefinition;
use crate::xml::domain::DomainType;

/// What it runs.
const ACCEPTED: &[DomainType] = &[DomainType::Qemu, DomainType::Kvm];
/// The folder of networks, below that of definitions and that of what runs.
const NETWORKS: &str = "networks";
/// How long a guest's monitor may keep silent, unless you say otherwise.
pub const MONITOR_LIMIT: Duration = Duration::from_secs(10);
/// More than any disk takes, in bytes a second: left to itself QEMU would be careful with a network.
const SAVE_BANDWIDTH: u64 = 1 << 40;

fn parse(xml: &str) -> Reply<DomainDefinition> {
    DomainDefinition::parse(xml, ACCEPTED)
}

/// Where a [`QemuDriver`] keeps what it knows, and how patient it is.
#[derive(Debug, Clone)]
pub struct QemuConfig {
    definitions: PathBuf,
    state: PathBuf,
    monitor_limit: Duration,
    save_bandwidth: u64,
    event_queue: usize,
}

impl QemuConfig {
    /// Definitions in one folder, which lasts; what runs in another, which need not outlast the machine. Both are made
    /// where they are missing. The path of the second one must be short, since sockets are in it.
    #[must_use]
    pub fn new(definitions: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        let (definitions, state) = (definitions.into(), state.into());
        let (monitor_limit, save_bandwidth, event_queue) = (MONITOR_LIMIT, SAVE_BANDWIDTH, EVENT_QUEUE);
        Self { definitions, state, monitor_limit, save_bandwidth, event_queue }
    }

    /// A guest whose monitor says nothing for this long is taken to hang, instead of for [`MONITOR_LIMIT`].
    #[must_use]
    pub const fn with_monitor_limit(mut self, limit: Duration) -> Self {
        self.monitor_limit = limit;
        self
    }

    /// Saves guests with no more than this many bytes a second, each of them, instead of as fast as the disk takes it.
    #[must_use]
    pub const fn with_save_bandwidth(mut self, bytes_per_second: NonZeroU64) -> Self {
        self.save_bandwidth = bytes_per_second.get();
        self
    }

    /// Keeps this many events for each subscriber, instead of [`EVENT_QUEUE`]; rounded up to a power of two.
    #[must_use]
    pub const fn with_event_queue(mut self, events: usize) -> Self {
        self.event_queue = events;
        self
    }
}

/// Domains that are processes of QEMU, each with a monitor (QMP) on a unix socket.
///
/// Guests outlive the driver: the next one with the same folders finds them again. A call that starts, saves or ends a
/// guest goes on when its caller leaves.
///
/// # Examples
/// ```no_run
/// use qemud_proto::driver::Driver;
/// use qemud_proto::driver::qemu::{QemuConfig, QemuDriver};
/// use qemud_proto::messages::ListDomains;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let driver = QemuDriver::open(QemuConfig::new("/etc/guestd/qemu", "/run/guestd/qemu")).await?;
/// println!("{:?} are running", driver.list_domains(ListDomains).await?.ids);
/// # Ok(())
/// # }
/// ```
pub struct QemuDriver(Arc<Hypervisor>);

impl QemuDriver {
    /// Looks for an emulator of this machine's architecture; replies with its version, as [`GetVersion`] does.
    ///
    /// # Errors
    /// [`Code::OperationFailed`] where there is none in `PATH`, or it does not work.
    pub async fn find_emulator() -> Reply<u32> {
        Ok(Emulators::new().for_host().await?.version)
    }

    /// Reads what is defined, takes over the guests that run, and begins to start those that are marked to.
    ///
    /// This needs a tokio runtime, on which the driver then looks after its guests.
    ///
    /// # Errors
    /// [`Code::OperationFailed`] while another daemon uses one of the folders, with its pid; [`Code::SystemError`] when a
    /// folder cannot be used. A bad file in a folder is no error: it is left out, and the log tells why.
    pub async fn open(config: QemuConfig) -> Reply<Self> {
        let QemuConfig { definitions, state: state_folder, monitor_limit, save_bandwidth, event_queue } = config;
        let folders = (definitions.clone(), state_folder.clone());
        let (store, state, locks) = blocking(move || {
            let opened = (Store::open(&definitions)?, StateFolder::open(&state_folder)?);
            let locks = [state::lock(&definitions)?, state::lock(&state_folder)?];
            Ok((opened.0, opened.1, locks))
        })
        .await?;
        // Before the guests, which join them.
        let networks = QemuNetworks::open(&folders.0.join(NETWORKS), &folders.1.join(NETWORKS)).await?;
        let mut domains = Domains::new();
        domains.events = Events::new(event_queue);
        let hypervisor = Arc::new(Hypervisor {
            domains: Mutex::new(domains),
            changes: tokio::sync::Mutex::default(),
            store,
            state,
            emulators: Emulators::new(),
            networks,
            limit: monitor_limit,
            save_bandwidth,
            jobs: Mutex::default(),
            tasks: Mutex::default(),
            node: OnceLock::new(),
            _locks: locks,
        });
        hypervisor.take_over().await?;
        hypervisor.load_definitions().await?;
        let starting = Arc::downgrade(&hypervisor);
        hypervisor.beside(async move {
            if let Some(hypervisor) = starting.upgrade() {
                hypervisor.autostart().await;
            }
        });
        Ok(Self(hypervisor))
    }
}

/// Does all of a piece of work, whether or not somebody waits for it: half a start is none.
async fn whole<T: Send + 'static>(work: impl Future<Output = Reply<T>> + Send + 'static) -> Reply<T> {
    let lost = |_| Failure::new(Code::InternalError, "the task that did the work was lost");
    tokio::spawn(work).await.map_err(lost)?
}

#[async_trait]
impl Driver for QemuDriver {
    fn name(&self) -> &'static str {
        "qemu"
    }

    async fn subscribe(&self) -> Reply<Subscription> {
        Ok(self.0.domains().events.subscribe())
    }

    async fn get_version(&self, _: GetVersion) -> Reply<u32> {
        Ok(self.0.emulators.for_host().await?.version)
    }

    async fn get_node_info(&self, _: GetNodeInfo) -> Reply<NodeInfo> {
        Ok(self.0.node.get_or_init(node_info).clone())
    }

    async fn get_capabilities(&self, _: GetCapabilities) -> Reply<Description> {
        Ok(Description { xml: self.0.emulators.capabilities_xml().await })
    }

    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        Ok(DomainIds { ids: self.0.domains().ids() })
    }

    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        Ok(i32::try_from(self.0.domains().ids().len()).unwrap_or(i32::MAX))
    }

    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Ok(DomainNames { names: self.0.domains().inactive() })
    }

    async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
        Ok(u32::try_from(self.0.domains().inactive().len()).unwrap_or(u32::MAX))
    }

    async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
        self.0.domains().of_id(args.id)
    }

    async fn domain_lookup_by_uuid(&self, args: DomainLookupByUuid) -> Reply<DomainOfUuid> {
        self.0.domains().of_uuid(args.uuid)
    }

    async fn domain_lookup_by_name(&self, args: DomainLookupByName) -> Reply<DomainOfName> {
        self.0.domains().of_name(&args.name)
    }

    async fn domain_dump_xml(&self, args: DomainDumpXml) -> Reply<Description> {
        self.0.domains().xml(args.uuid)
    }

    async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
        self.0.info(args.uuid).await
    }

    async fn domain_get_job_info(&self, args: DomainGetJobInfo) -> Reply<JobInfo> {
        self.0.job_info(args.uuid).await
    }

    async fn domain_get_autostart(&self, args: DomainGetAutostart) -> Reply<bool> {
        self.0.domains().autostart(args.uuid)
    }

    async fn domain_set_autostart(&self, args: DomainSetAutostart) -> Reply<()> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.set_autostart(args.uuid, args.autostart).await }).await
    }

    async fn domain_define(&self, args: DomainDefine) -> Reply<Identity> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.define(&args.xml).await }).await
    }

    async fn domain_undefine(&self, args: DomainUndefine) -> Reply<()> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.undefine(args.uuid).await }).await
    }

    async fn domain_create(&self, args: DomainCreate) -> Reply<DomainCreated> {
        let hypervisor = Arc::clone(&self.0);
        let created = async move {
            let definition = parse(&args.xml)?;
            let (uuid, name) = (definition.uuid, definition.name.clone());
            let reserved = hypervisor.reserve(definition).await?;
            let id = hypervisor.launch(reserved, None).await?;
            Ok(DomainCreated { id, uuid, name })
        };
        whole(created).await
    }

    async fn domain_start(&self, args: DomainStart) -> Reply<i32> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.start(args.uuid).await }).await
    }

    async fn domain_suspend(&self, args: DomainSuspend) -> Reply<()> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.suspend(args.id).await }).await
    }

    async fn domain_resume(&self, args: DomainResume) -> Reply<()> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.resume(args.id).await }).await
    }

    async fn domain_shutdown(&self, args: DomainShutdown) -> Reply<()> {
        self.0.shutdown(args.id).await
    }

    async fn domain_destroy(&self, args: DomainDestroy) -> Reply<()> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.destroy(args.id).await }).await
    }

    async fn domain_save(&self, args: DomainSave) -> Reply<()> {
        let (hypervisor, path) = (Arc::clone(&self.0), path(&args.path)?);
        whole(async move { hypervisor.save(args.id, path).await }).await
    }

    async fn domain_restore(&self, args: DomainRestore) -> Reply<i32> {
        let (hypervisor, path) = (Arc::clone(&self.0), path(&args.path)?);
        whole(async move { hypervisor.restore(path).await }).await
    }

    async fn domain_screenshot(&self, args: DomainScreenshot) -> Reply<Picture> {
        let hypervisor = Arc::clone(&self.0);
        whole(async move { hypervisor.screenshot(args.id).await }).await
    }

    async fn num_networks(&self, args: NumNetworks) -> Reply<u32> {
        self.0.networks.num_networks(args).await
    }

    async fn list_networks(&self, args: ListNetworks) -> Reply<NetworkNames> {
        self.0.networks.list_networks(args).await
    }

    async fn num_defined_networks(&self, args: NumDefinedNetworks) -> Reply<u32> {
        self.0.networks.num_defined_networks(args).await
    }

    async fn list_defined_networks(&self, args: ListDefinedNetworks) -> Reply<NetworkNames> {
        self.0.networks.list_defined_networks(args).await
    }

    async fn network_lookup_by_uuid(&self, args: NetworkLookupByUuid) -> Reply<NetworkOfUuid> {
        self.0.networks.network_lookup_by_uuid(args).await
    }

    async fn network_lookup_by_name(&self, args: NetworkLookupByName) -> Reply<Uuid> {
        self.0.networks.network_lookup_by_name(args).await
    }

    async fn network_create(&self, args: NetworkCreate) -> Reply<Identity> {
        self.0.networks.network_create(args).await
    }

    async fn network_define(&self, args: NetworkDefine) -> Reply<Identity> {
        self.0.networks.network_define(args).await
    }

    async fn network_undefine(&self, args: NetworkUndefine) -> Reply<()> {
        self.0.networks.network_undefine(args).await
    }

    async fn network_start(&self, args: NetworkStart) -> Reply<()> {
        self.0.networks.network_start(args).await
    }

    async fn network_destroy(&self, args: NetworkDestroy) -> Reply<()> {
        self.0.networks.network_destroy(args).await
    }

    async fn network_dump_xml(&self, args: NetworkDumpXml) -> Reply<Description> {
        self.0.networks.network_dump_xml(args).await
    }

    async fn network_get_bridge_name(&self, args: NetworkGetBridgeName) -> Reply<BridgeName> {
        self.0.networks.network_get_bridge_name(args).await
    }

    async fn network_get_autostart(&self, args: NetworkGetAutostart) -> Reply<bool> {
        self.0.networks.network_get_autostart(args).await
    }

    async fn network_set_autostart(&self, args: NetworkSetAutostart) -> Reply<()> {
        self.0.networks.network_set_autostart(args).await
    }
}
