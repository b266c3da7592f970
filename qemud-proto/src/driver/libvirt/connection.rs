//! One connection of libvirt: the procedures over it.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use virt::connect::Connect;

use super::link::Link;
use super::terms::{failure, narrow};
use super::watch::{PERIOD, Watch};
use super::{domains, networks, terms};
use crate::driver::{Driver, Opening, Picture, Subscription};
use crate::failure::{Code, Reply, cut};
use crate::identity::Uuid;
use crate::messages::*;
use crate::uri::ConnectUri;

/// What libvirt manages behind one URI.
pub struct LibvirtConnection {
    link: Arc<Link>,
    watch: Arc<Watch>,
}

impl LibvirtConnection {
    pub(super) fn new(uri: &str, event_queue: usize) -> Self {
        Self { link: Arc::new(Link::new(uri)), watch: Arc::new(Watch::new(event_queue)) }
    }

    /// Opens it, if it is not open.
    pub(super) async fn reach(&self) -> Reply<()> {
        self.link.call(|_| Ok(())).await
    }

    /// Asks.
    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Connect) -> Reply<T> + Send + 'static) -> Reply<T> {
        self.link.call(ask).await
    }

    /// Changes a domain; what has come of it is told before the reply.
    async fn change<T: Send + 'static>(&self, change: impl FnOnce(&Connect) -> Reply<T> + Send + 'static) -> Reply<T> {
        self.change_or_define(change, |_| None).await
    }

    async fn change_or_define<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connect) -> Reply<T> + Send + 'static,
        defined: impl FnOnce(&T) -> Option<Uuid> + Send + 'static,
    ) -> Reply<T> {
        let watch = Arc::clone(&self.watch);
        let both = move |connect: &Connect| {
            let _changing = watch.changing();
            let reply = change(connect);
            // A call that fails can have changed something, too.
            if let Err(failure) = watch.look(connect, reply.as_ref().ok().and_then(defined)) {
                tracing::debug!(%failure, "cannot look what has changed");
            }
            reply
        };
        self.link.call(both).await
    }
}

/// Looks for what others have changed, as long as somebody listens.
async fn look_from_time_to_time(link: Weak<Link>, watch: Arc<Watch>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(link) = link.upgrade() else { return };
        if !watch.is_heard() {
            return;
        }
        let look = Arc::clone(&watch);
        if let Err(failure) = link.call(move |connect| look.look(connect, None)).await {
            tracing::debug!(uri = link.uri(), %failure, "cannot look what has changed");
        }
    }
}

impl fmt::Debug for LibvirtConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibvirtConnection").field("uri", &self.link.uri()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for LibvirtConnection {
    fn name(&self) -> &'static str {
        "libvirt"
    }

    async fn open(&self, uri: &ConnectUri) -> Reply<Opening> {
        Ok(if uri.remote == self.link.uri() { Opening::Accepted } else { Opening::Declined })
    }

    async fn subscribe(&self) -> Reply<Subscription> {
        let watch = Arc::clone(&self.watch);
        let (subscription, first) = self.link.call(move |connect| watch.begin(connect)).await?;
        if first {
            tokio::spawn(look_from_time_to_time(Arc::downgrade(&self.link), Arc::clone(&self.watch)));
        }
        Ok(subscription)
    }

    async fn get_version(&self, _: GetVersion) -> Reply<u32> {
        self.ask(|connect| connect.get_hyp_version().map_err(|error| failure(&error))).await
    }

    async fn get_node_info(&self, _: GetNodeInfo) -> Reply<NodeInfo> {
        let mut info = self.ask(|connect| connect.get_node_info().map_err(|error| failure(&error))).await?;
        cut(&mut info.model, MODEL_MAX);
        let virt::connect::NodeInfo { model, memory, cpus, mhz, nodes, sockets, cores, threads } = info;
        Ok(NodeInfo { model, memory: narrow(memory), cpus, mhz, nodes, sockets, cores, threads })
    }

    async fn get_capabilities(&self, _: GetCapabilities) -> Reply<Description> {
        self.ask(|connect| terms::description(connect.get_capabilities())).await
    }

    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        Ok(DomainIds { ids: self.ask(domains::ids).await? })
    }

    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        let number = self.ask(|connect| connect.num_of_domains().map_err(|error| failure(&error))).await?;
        Ok(i32::try_from(number).unwrap_or(i32::MAX))
    }

    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Ok(DomainNames { names: self.ask(domains::inactive).await? })
    }

    async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
        self.ask(|connect| connect.num_of_defined_domains().map_err(|error| failure(&error))).await
    }

    async fn domain_create(&self, args: DomainCreate) -> Reply<DomainCreated> {
        self.change(move |connect| domains::create(connect, &args.xml)).await
    }

    async fn domain_define(&self, args: DomainDefine) -> Reply<Identity> {
        self.change_or_define(move |connect| domains::define(connect, &args.xml), |defined| Some(defined.uuid)).await
    }

    async fn domain_undefine(&self, args: DomainUndefine) -> Reply<()> {
        self.change(move |connect| domains::undefine(connect, args.uuid)).await
    }

    async fn domain_start(&self, args: DomainStart) -> Reply<i32> {
        self.change(move |connect| domains::start(connect, args.uuid)).await
    }

    async fn domain_suspend(&self, args: DomainSuspend) -> Reply<()> {
        self.change(move |connect| domains::suspend(connect, args.id)).await
    }

    async fn domain_resume(&self, args: DomainResume) -> Reply<()> {
        self.change(move |connect| domains::resume(connect, args.id)).await
    }

    async fn domain_destroy(&self, args: DomainDestroy) -> Reply<()> {
        self.change(move |connect| domains::destroy(connect, args.id)).await
    }

    async fn domain_shutdown(&self, args: DomainShutdown) -> Reply<()> {
        self.change(move |connect| domains::shutdown(connect, args.id)).await
    }

    async fn domain_save(&self, args: DomainSave) -> Reply<()> {
        let uri = self.link.uri().to_owned();
        self.change(move |connect| domains::save(connect, &uri, args.id, &args.path)).await
    }

    async fn domain_restore(&self, args: DomainRestore) -> Reply<i32> {
        self.change(move |connect| domains::restore(connect, &args.path)).await
    }

    async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
        let of_id = move |connect: &Connect| domains::of_id(connect, args.id, Code::NoDomain);
        self.ask(move |connect| domains::identity(&of_id(connect)?)).await
    }

    async fn domain_lookup_by_uuid(&self, args: DomainLookupByUuid) -> Reply<DomainOfUuid> {
        self.ask(move |connect| domains::lookup_by_uuid(connect, args.uuid)).await
    }

    async fn domain_lookup_by_name(&self, args: DomainLookupByName) -> Reply<DomainOfName> {
        self.ask(move |connect| domains::lookup_by_name(connect, &args.name)).await
    }

    async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
        self.ask(move |connect| domains::info(connect, args.uuid)).await
    }

    async fn domain_get_job_info(&self, args: DomainGetJobInfo) -> Reply<JobInfo> {
        self.ask(move |connect| domains::job_info(connect, args.uuid)).await
    }

    async fn domain_dump_xml(&self, args: DomainDumpXml) -> Reply<Description> {
        self.ask(move |connect| domains::dump(connect, args.uuid)).await
    }

    async fn domain_screenshot(&self, args: DomainScreenshot) -> Reply<Picture> {
        self.ask(move |connect| domains::screenshot(connect, args.id)).await
    }

    async fn domain_get_autostart(&self, args: DomainGetAutostart) -> Reply<bool> {
        self.ask(move |connect| domains::autostart(connect, args.uuid)).await
    }

    async fn domain_set_autostart(&self, args: DomainSetAutostart) -> Reply<()> {
        self.ask(move |connect| domains::set_autostart(connect, args.uuid, args.autostart)).await
    }

    async fn list_networks(&self, _: ListNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.ask(|connect| networks::names(connect, true)).await? })
    }

    async fn num_networks(&self, _: NumNetworks) -> Reply<u32> {
        self.ask(|connect| connect.num_of_networks().map_err(|error| failure(&error))).await
    }

    async fn list_defined_networks(&self, _: ListDefinedNetworks) -> Reply<NetworkNames> {
        Ok(NetworkNames { names: self.ask(|connect| networks::names(connect, false)).await? })
    }

    async fn num_defined_networks(&self, _: NumDefinedNetworks) -> Reply<u32> {
        self.ask(|connect| connect.num_of_defined_networks().map_err(|error| failure(&error))).await
    }

    async fn network_create(&self, args: NetworkCreate) -> Reply<Identity> {
        self.ask(move |connect| networks::create(connect, &args.xml)).await
    }

    async fn network_define(&self, args: NetworkDefine) -> Reply<Identity> {
        self.ask(move |connect| networks::define(connect, &args.xml)).await
    }

    async fn network_undefine(&self, args: NetworkUndefine) -> Reply<()> {
        self.ask(move |connect| networks::undefine(connect, args.uuid)).await
    }

    async fn network_start(&self, args: NetworkStart) -> Reply<()> {
        self.ask(move |connect| networks::start(connect, args.uuid)).await
    }

    async fn network_destroy(&self, args: NetworkDestroy) -> Reply<()> {
        self.ask(move |connect| networks::destroy(connect, args.uuid)).await
    }

    async fn network_lookup_by_uuid(&self, args: NetworkLookupByUuid) -> Reply<NetworkOfUuid> {
        self.ask(move |connect| networks::lookup_by_uuid(connect, args.uuid)).await
    }

    async fn network_lookup_by_name(&self, args: NetworkLookupByName) -> Reply<Uuid> {
        self.ask(move |connect| networks::lookup_by_name(connect, &args.name)).await
    }

    async fn network_dump_xml(&self, args: NetworkDumpXml) -> Reply<Description> {
        self.ask(move |connect| networks::dump(connect, args.uuid)).await
    }

    async fn network_get_bridge_name(&self, args: NetworkGetBridgeName) -> Reply<BridgeName> {
        self.ask(move |connect| networks::bridge(connect, args.uuid)).await
    }

    async fn network_get_autostart(&self, args: NetworkGetAutostart) -> Reply<bool> {
        self.ask(move |connect| networks::autostart(connect, args.uuid)).await
    }

    async fn network_set_autostart(&self, args: NetworkSetAutostart) -> Reply<()> {
        self.ask(move |connect| networks::set_autostart(connect, args.uuid, args.autostart)).await
    }
}
