//! Drivers: what stands behind the procedures.
//!
//! A connection opens a URI and the URI picks the driver, so a driver is an object behind one trait.
//!
//! - `test`: everything in memory, always built
//! - `libvirt`: whatever libvirt manages
//! - `events`: what happens to domains, and who listens
//! - `domains`: names, identities, ids and states, for every driver that keeps them itself
//! - `networks`: what networks there are and in which state, for every driver
//! - `disk`, `store`: files that are complete or absent, definitions that last
//! - `saved`: how a file of a saved domain begins
//! - `qemu`: processes of QEMU, and their networks
//! - `node`: the machine the daemon runs on, for every driver
//! - `capabilities`: what a host and its guests can do, as XML
//!
#![doc = include_str!("../../DRIVERS.md")]

mod capabilities;
mod disk;
mod domains;
mod events;
#[cfg(feature = "libvirt")]
pub mod libvirt;
mod networks;
pub mod node;
mod saved;
#[cfg(feature = "qemu")]
pub mod qemu;
#[cfg(feature = "qemu")]
mod store;
pub mod test;

pub use self::events::{EVENT_QUEUE, Events, Subscription};

use std::sync::Arc;

use async_trait::async_trait;

use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::uri::ConnectUri;

/// What a driver says to a URI.
#[derive(Clone)]
pub enum Opening {
    /// It serves it.
    Accepted,
    /// It serves it by this object, where each URI leads to a hypervisor of its own.
    Through(Arc<dyn Driver>),
    /// It is another driver's.
    Declined,
}

/// A picture of a domain's screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its format, for instance `image/png`.
    pub mime: String,
    /// The file's content.
    pub bytes: Vec<u8>,
}

/// One method for each procedure that reaches a hypervisor: 1 to 38, 42, 43 and 45.
///
/// A method that a driver leaves out answers [`Code::NoSupport`] with
/// the procedure's name. What a method has to do is told in full at its message.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The scheme of the URIs it serves, for instance `test`.
    fn name(&self) -> &'static str;

    /// Whether a connection with this URI is its own to serve. Drivers are asked in turn, and a failure ends the search.
    ///
    /// A driver that leaves this out accepts the URIs of its name, without parameters.
    async fn open(&self, uri: &ConnectUri) -> Reply<Opening> {
        if uri.driver != self.name() {
            return Ok(Opening::Declined);
        }
        match uri.remote.split_once('?') {
            None => Ok(Opening::Accepted),
            Some((_, parameters)) => {
                let message = format!("driver '{}' takes no parameters, and was given '{parameters}'", self.name());
                Err(Failure::new(Code::NoConnect, message))
            }
        }
    }

    /// Listens to what happens to the domains, from now on.
    async fn subscribe(&self) -> Reply<Subscription> {
        Err(Failure::no_support("DomainEvents"))
    }

    /// Asks for the version of the hypervisor: major * 1,000,000 + minor * 1000 + micro.
    async fn get_version(&self, _: GetVersion) -> Reply<u32> {
        Err(Failure::no_support("GetVersion"))
    }

    /// Asks what machine the daemon runs on.
    async fn get_node_info(&self, _: GetNodeInfo) -> Reply<NodeInfo> {
        Err(Failure::no_support("GetNodeInfo"))
    }

    /// Asks for the ids of the active domains.
    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        Err(Failure::no_support("ListDomains"))
    }

    /// Asks how many domains are active.
    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        Err(Failure::no_support("NumDomains"))
    }

    /// Starts a domain from XML without keeping its definition.
    async fn domain_create(&self, _: DomainCreate) -> Reply<DomainCreated> {
        Err(Failure::no_support("DomainCreate"))
    }

    /// Looks for the active domain with an id.
    async fn domain_lookup_by_id(&self, _: DomainLookupById) -> Reply<Identity> {
        Err(Failure::no_support("DomainLookupById"))
    }

    /// Looks for the domain with a UUID.
    async fn domain_lookup_by_uuid(&self, _: DomainLookupByUuid) -> Reply<DomainOfUuid> {
        Err(Failure::no_support("DomainLookupByUuid"))
    }

    /// Looks for the domain with a name.
    async fn domain_lookup_by_name(&self, _: DomainLookupByName) -> Reply<DomainOfName> {
        Err(Failure::no_support("DomainLookupByName"))
    }

    /// Halts the processors of an active domain; no error when they are halted.
    async fn domain_suspend(&self, _: DomainSuspend) -> Reply<()> {
        Err(Failure::no_support("DomainSuspend"))
    }

    /// Lets a suspended domain go on; no error when it runs.
    async fn domain_resume(&self, _: DomainResume) -> Reply<()> {
        Err(Failure::no_support("DomainResume"))
    }

    /// Stops an active domain at once, as pulling the plug does.
    async fn domain_destroy(&self, _: DomainDestroy) -> Reply<()> {
        Err(Failure::no_support("DomainDestroy"))
    }

    /// Asks for state and use of resources.
    async fn domain_get_info(&self, _: DomainGetInfo) -> Reply<DomainInfo> {
        Err(Failure::no_support("DomainGetInfo"))
    }

    /// Writes an active domain to a file and stops it.
    async fn domain_save(&self, _: DomainSave) -> Reply<()> {
        Err(Failure::no_support("DomainSave"))
    }

    /// Starts a domain from a saved file; replies with its new id.
    async fn domain_restore(&self, _: DomainRestore) -> Reply<i32> {
        Err(Failure::no_support("DomainRestore"))
    }

    /// Asks for the XML of a domain; the live one while it is active.
    async fn domain_dump_xml(&self, _: DomainDumpXml) -> Reply<Description> {
        Err(Failure::no_support("DomainDumpXml"))
    }

    /// Asks for the names of the inactive domains.
    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Err(Failure::no_support("ListDefinedDomains"))
    }

    /// Asks how many domains are inactive.
    async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
        Err(Failure::no_support("NumDefinedDomains"))
    }

    /// Starts an inactive domain; replies with its id.
    async fn domain_start(&self, _: DomainStart) -> Reply<i32> {
        Err(Failure::no_support("DomainStart"))
    }

    /// Keeps a definition; the next start uses it.
    async fn domain_define(&self, _: DomainDefine) -> Reply<Identity> {
        Err(Failure::no_support("DomainDefine"))
    }

    /// Forgets the definition of an inactive domain.
    async fn domain_undefine(&self, _: DomainUndefine) -> Reply<()> {
        Err(Failure::no_support("DomainUndefine"))
    }

    /// Asks how many networks are active.
    async fn num_networks(&self, _: NumNetworks) -> Reply<u32> {
        Err(Failure::no_support("NumNetworks"))
    }

    /// Asks for the names of the active networks.
    async fn list_networks(&self, _: ListNetworks) -> Reply<NetworkNames> {
        Err(Failure::no_support("ListNetworks"))
    }

    /// Asks how many networks are inactive.
    async fn num_defined_networks(&self, _: NumDefinedNetworks) -> Reply<u32> {
        Err(Failure::no_support("NumDefinedNetworks"))
    }

    /// Asks for the names of the inactive networks.
    async fn list_defined_networks(&self, _: ListDefinedNetworks) -> Reply<NetworkNames> {
        Err(Failure::no_support("ListDefinedNetworks"))
    }

    /// Looks for the network with a UUID.
    async fn network_lookup_by_uuid(&self, _: NetworkLookupByUuid) -> Reply<NetworkOfUuid> {
        Err(Failure::no_support("NetworkLookupByUuid"))
    }

    /// Looks for the network with a name; replies with its UUID.
    async fn network_lookup_by_name(&self, _: NetworkLookupByName) -> Reply<Uuid> {
        Err(Failure::no_support("NetworkLookupByName"))
    }

    /// Starts a network from XML without keeping its definition.
    async fn network_create(&self, _: NetworkCreate) -> Reply<Identity> {
        Err(Failure::no_support("NetworkCreate"))
    }

    /// Keeps a definition; the next start uses it.
    async fn network_define(&self, _: NetworkDefine) -> Reply<Identity> {
        Err(Failure::no_support("NetworkDefine"))
    }

    /// Forgets the definition of an inactive network.
    async fn network_undefine(&self, _: NetworkUndefine) -> Reply<()> {
        Err(Failure::no_support("NetworkUndefine"))
    }

    /// Starts an inactive network.
    async fn network_start(&self, _: NetworkStart) -> Reply<()> {
        Err(Failure::no_support("NetworkStart"))
    }

    /// Stops an active network.
    async fn network_destroy(&self, _: NetworkDestroy) -> Reply<()> {
        Err(Failure::no_support("NetworkDestroy"))
    }

    /// Asks for the XML of a network.
    async fn network_dump_xml(&self, _: NetworkDumpXml) -> Reply<Description> {
        Err(Failure::no_support("NetworkDumpXml"))
    }

    /// Asks which bridge of the host a network uses.
    async fn network_get_bridge_name(&self, _: NetworkGetBridgeName) -> Reply<BridgeName> {
        Err(Failure::no_support("NetworkGetBridgeName"))
    }

    /// Asks whether a domain starts together with the daemon.
    async fn domain_get_autostart(&self, _: DomainGetAutostart) -> Reply<bool> {
        Err(Failure::no_support("DomainGetAutostart"))
    }

    /// Chooses whether a domain starts together with the daemon.
    async fn domain_set_autostart(&self, _: DomainSetAutostart) -> Reply<()> {
        Err(Failure::no_support("DomainSetAutostart"))
    }

    /// Asks whether a network starts together with the daemon.
    async fn network_get_autostart(&self, _: NetworkGetAutostart) -> Reply<bool> {
        Err(Failure::no_support("NetworkGetAutostart"))
    }

    /// Chooses whether a network starts together with the daemon.
    async fn network_set_autostart(&self, _: NetworkSetAutostart) -> Reply<()> {
        Err(Failure::no_support("NetworkSetAutostart"))
    }

    /// Asks what the host and its guests can do, as XML.
    async fn get_capabilities(&self, _: GetCapabilities) -> Reply<Description> {
        Err(Failure::no_support("GetCapabilities"))
    }

    /// Asks the guest of an active domain to power off, and does not wait for it.
    async fn domain_shutdown(&self, _: DomainShutdown) -> Reply<()> {
        Err(Failure::no_support("DomainShutdown"))
    }

    /// Takes a picture of an active domain's screen, which the daemon hands to the client in pieces.
    async fn domain_screenshot(&self, _: DomainScreenshot) -> Reply<Picture> {
        Err(Failure::no_support("DomainScreenshot"))
    }

    /// Asks what a domain is busy with.
    async fn domain_get_job_info(&self, _: DomainGetJobInfo) -> Reply<JobInfo> {
        Err(Failure::no_support("DomainGetJobInfo"))
    }
}
