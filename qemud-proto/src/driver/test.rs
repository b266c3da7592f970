//! The driver `test`: domains and networks in memory, for clients that are being written or taught.
//!
//! Everything means what it means to a real hypervisor, down to the failures; only nothing runs. Saved
//! domains are the one thing that reaches the disk.
//!
//! - `domains`: what an active domain is here
//! - `saved`: the file of a saved domain
//! - `screen`: what is seen of a domain

mod domains;
mod saved;
mod screen;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;

use self::domains::Clock;
use super::capabilities::{Guest, capabilities_xml};
use super::disk::blocking;
use super::domains::Domains;
use super::networks::Networks;
use super::node::node_info;
use super::{Driver, Events, Picture, Subscription, saved::path};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::xml::domain::DomainType;
use crate::xml::{DomainDefinition, NetworkDefinition};

/// Types of domains it pretends to run: its own, and those of the real drivers, so that a client is
/// tested with the XML it will use.
const ACCEPTED: &[DomainType] = &[DomainType::Test, DomainType::Qemu, DomainType::Kvm];

/// The domain of [`TestDriver::with_defaults`].
const DEFAULT_DOMAIN: &str = "\
<domain type='test'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory>8388608</memory>
  <currentMemory>2097152</currentMemory>
  <vcpu>2</vcpu>
  <os>
    <type>hvm</type>
  </os>
</domain>
";

/// The network of [`TestDriver::with_defaults`].
const DEFAULT_NETWORK: &str = "\
<network>
  <name>default</name>
  <uuid>dd8fe884-6c02-601e-7551-cca97df1c5df</uuid>
  <bridge name='virbr0'/>
  <forward/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.128' end='192.168.122.253'/>
    </dhcp>
  </ip>
</network>
";

/// Domains and networks in memory.
///
/// Every call is short, except that saving and restoring wait for the disk.
///
/// # Examples
/// ```
/// use qemud_proto::driver::{Driver, test::TestDriver};
/// use qemud_proto::messages::DomainLookupByName;
///
/// let driver = TestDriver::with_defaults()?;
/// let lookup = DomainLookupByName { name: "test".to_owned() };
/// assert_eq!(pollster::block_on(driver.domain_lookup_by_name(lookup))?.id, 1);
/// # Ok::<(), qemud_proto::failure::Failure>(())
/// ```
pub struct TestDriver {
    domains: Mutex<Domains<Clock>>,
    networks: Mutex<Networks<()>>,
    /// Read once: it takes a look into many files, and does not change.
    node: OnceLock<NodeInfo>,
}

impl TestDriver {
    /// A host without domains and networks.
    #[must_use]
    pub fn new() -> Self {
        Self { domains: Mutex::new(Domains::new()), networks: Mutex::new(Networks::new()), node: OnceLock::new() }
    }

    /// The host of `test:///default`: a domain `test` that is defined and runs under id 1, and a network
    /// `default` that is defined, active and started with the daemon.
    ///
    /// # Errors
    /// None in practice: only when the built-in definitions break the rules.
    pub fn with_defaults() -> Reply<Self> {
        let driver = Self::new();
        let domain = DomainDefinition::parse(DEFAULT_DOMAIN, ACCEPTED)?;
        let uuid = driver.domains().define(domain)?.uuid;
        driver.domains().start(uuid)?;
        let network = NetworkDefinition::parse(DEFAULT_NETWORK)?;
        let uuid = driver.networks().define(network.clone())?.uuid;
        driver.networks().launch(network, ())?;
        driver.networks().set_autostart(uuid, true)?;
        Ok(driver)
    }

    /// Keeps this many events for each subscriber that has not taken them, instead of
    /// [`EVENT_QUEUE`](super::EVENT_QUEUE); rounded up to a power of two. Subscribers of before get no more.
    #[must_use]
    pub fn with_event_queue(self, events: usize) -> Self {
        self.domains().events = Events::new(events);
        self
    }

    fn node(&self) -> &NodeInfo {
        self.node.get_or_init(node_info)
    }

    // Each change is made whole or not at all, so a lock that a panic left behind guards a sound state.
    fn domains(&self) -> MutexGuard<'_, Domains<Clock>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn networks(&self) -> MutexGuard<'_, Networks<()>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestDriver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Driver for TestDriver {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn subscribe(&self) -> Reply<Subscription> {
        Ok(self.domains().events.subscribe())
    }

    async fn get_version(&self, _: GetVersion) -> Reply<u32> {
        Ok(version())
    }

    async fn get_node_info(&self, _: GetNodeInfo) -> Reply<NodeInfo> {
        Ok(self.node().clone())
    }

    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        Ok(DomainIds { ids: self.domains().ids() })
    }

    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        Ok(i32::try_from(self.domains().ids().len()).unwrap_or(i32::MAX))
    }

    async fn domain_create(&self, args: DomainCreate) -> Reply<DomainCreated> {
        let definition = DomainDefinition::parse(&args.xml, ACCEPTED)?;
        let (uuid, name) = (definition.uuid, definition.name.clone());
        let id = self.domains().launch(definition, false)?;
        Ok(DomainCreated { id, uuid, name })
    }

    async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
        self.domains().of_id(args.id)
    }

    async fn domain_lookup_by_uuid(&self, args: DomainLookupByUuid) -> Reply<DomainOfUuid> {
        self.domains().of_uuid(args.uuid)
    }

    async fn domain_lookup_by_name(&self, args: DomainLookupByName) -> Reply<DomainOfName> {
        self.domains().of_name(&args.name)
    }

    async fn domain_suspend(&self, args: DomainSuspend) -> Reply<()> {
        self.domains().suspend(args.id)
    }

    async fn domain_resume(&self, args: DomainResume) -> Reply<()> {
        self.domains().resume(args.id)
    }

    async fn domain_destroy(&self, args: DomainDestroy) -> Reply<()> {
        self.domains().stop(args.id)
    }

    async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
        self.domains().info(args.uuid)
    }

    async fn domain_save(&self, args: DomainSave) -> Reply<()> {
        let path = path(&args.path)?;
        let saved = self.domains().snapshot(args.id)?;
        blocking(move || saved::write(&path, &saved)).await?;
        self.domains().stop(args.id)
    }

    async fn domain_restore(&self, args: DomainRestore) -> Reply<i32> {
        let path = path(&args.path)?;
        let saved = blocking(move || saved::read(&path)).await?;
        let definition = DomainDefinition::parse(&saved.xml, ACCEPTED).map_err(|failure| {
            let message = format!("cannot restore: '{}' is damaged: {}", args.path, failure.message);
            Failure::new(Code::OperationFailed, message)
        })?;
        self.domains().launch(definition, saved.paused)
    }

    async fn domain_dump_xml(&self, args: DomainDumpXml) -> Reply<Description> {
        self.domains().xml(args.uuid)
    }

    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Ok(DomainNames { names: self.domains().inactive() })
    }

    async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
        Ok(count(&self.domains().inactive()))
    }

    async fn domain_start(&self, args: DomainStart) -> Reply<i32> {
        self.domains().start(args.uuid)
    }

    async fn domain_define(&self, args: DomainDefine) -> Reply<Identity> {
        let definition = DomainDefinition::parse(&args.xml, ACCEPTED)?;
        self.domains().define(definition)
    }

    async fn domain_undefine(&self, args: DomainUndefine) -> Reply<()> {
        self.domains().undefine(args.uuid)
    }

    async fn num_networks(&self, _: NumNetworks) -> Reply<u32> {
        Ok(count(&self.networks().names(true)))
    }

    async fn list_networks(&self, _: ListNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.networks().names(true) })
    }

    async fn num_defined_networks(&self, _: NumDefinedNetworks) -> Reply<u32> {
        Ok(count(&self.networks().names(false)))
    }

    async fn list_defined_networks(&self, _: ListDefinedNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.networks().names(false) })
    }

    async fn network_lookup_by_uuid(&self, args: NetworkLookupByUuid) -> Reply<NetworkOfUuid> {
        self.networks().of_uuid(args.uuid)
    }

    async fn network_lookup_by_name(&self, args: NetworkLookupByName) -> Reply<Uuid> {
        self.networks().of_name(&args.name)
    }

    async fn network_create(&self, args: NetworkCreate) -> Reply<Identity> {
        let definition = NetworkDefinition::parse(&args.xml)?;
        self.networks().launch(definition, ())
    }

    async fn network_define(&self, args: NetworkDefine) -> Reply<Identity> {
        let definition = NetworkDefinition::parse(&args.xml)?;
        self.networks().define(definition)
    }

    async fn network_undefine(&self, args: NetworkUndefine) -> Reply<()> {
        self.networks().undefine(args.uuid)
    }

    async fn network_start(&self, args: NetworkStart) -> Reply<()> {
        let mut networks = self.networks();
        let definition = networks.may_start(args.uuid)?;
        networks.launch(definition, ()).map(|_| ())
    }

    async fn network_destroy(&self, args: NetworkDestroy) -> Reply<()> {
        self.networks().stop(args.uuid)
    }

    async fn network_dump_xml(&self, args: NetworkDumpXml) -> Reply<Description> {
        self.networks().xml(args.uuid)
    }

    async fn network_get_bridge_name(&self, args: NetworkGetBridgeName) -> Reply<BridgeName> {
        self.networks().bridge(args.uuid)
    }

    async fn domain_get_autostart(&self, args: DomainGetAutostart) -> Reply<bool> {
        self.domains().autostart(args.uuid)
    }

    async fn domain_set_autostart(&self, args: DomainSetAutostart) -> Reply<()> {
        self.domains().set_autostart(args.uuid, args.autostart)
    }

    async fn network_get_autostart(&self, args: NetworkGetAutostart) -> Reply<bool> {
        self.networks().autostart(args.uuid)
    }

    async fn network_set_autostart(&self, args: NetworkSetAutostart) -> Reply<()> {
        self.networks().set_autostart(args.uuid, args.autostart)
    }

    async fn get_capabilities(&self, _: GetCapabilities) -> Reply<Description> {
        Ok(Description { xml: capabilities(&self.node().model) })
    }

    /// The guest listens, and is off at once.
    async fn domain_shutdown(&self, args: DomainShutdown) -> Reply<()> {
        self.domains().stop(args.id)
    }

    async fn domain_screenshot(&self, args: DomainScreenshot) -> Reply<Picture> {
        let runstate = self.domains().runstate(args.id)?;
        screen::picture(args.id, runstate)
    }

    /// Nothing lasts here, so there is never anything to tell.
    async fn domain_get_job_info(&self, args: DomainGetJobInfo) -> Reply<JobInfo> {
        self.domains().of_uuid(args.uuid)?;
        Ok(JobInfo { kind: JobKind::None, elapsed: 0, data_total: 0, data_processed: 0, data_remaining: 0 })
    }
}

/// The version of this crate, major * 1,000,000 + minor * 1000 + micro.
fn version() -> u32 {
    let parts = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    parts.into_iter().fold(0, |version, part| version * 1000 + part.parse().unwrap_or(0))
}

fn count(names: &[String]) -> u32 {
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

fn capabilities(arch: &str) -> String {
    let guest = Guest {
        arch: arch.to_owned(),
        word_size: usize::BITS,
        emulator: None,
        machines: Vec::new(),
        types: ACCEPTED.iter().map(|accepted| accepted.as_str()).collect(),
        features: &["acpi", "apic", "pae"],
    };
    capabilities_xml(arch, &[guest])
}

#[cfg(test)]
mod tests;
