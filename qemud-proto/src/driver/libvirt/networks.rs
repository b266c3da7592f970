//! What the procedures of networks do, in libvirt's terms. All of it blocks.

use virt::connect::Connect;
use virt::error::Error;
use virt::network::Network;
use virt::sys;

use super::terms::{self, failure};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;
use crate::xml;

fn of_uuid(connect: &Connect, uuid: Uuid) -> Reply<Network> {
    Network::lookup_by_uuid(connect, uuid::Uuid::from_bytes(uuid.0)).map_err(|error| failure(&error))
}

fn uuid(network: &Network) -> Reply<Uuid> {
    network.get_uuid().map(|uuid| terms::identity(&uuid)).map_err(|error| failure(&error))
}

fn identity(network: &Network) -> Reply<Identity> {
    Ok(Identity { uuid: uuid(network)?, name: terms::name(network.get_name())? })
}

fn done<T>(result: Result<T, Error>) -> Reply<()> {
    result.map(drop).map_err(|error| failure(&error))
}

/// Names of the active or inactive networks in ascending order.
pub(super) fn names(connect: &Connect, active: bool) -> Reply<Vec<String>> {
    let flags = if active { sys::VIR_CONNECT_LIST_NETWORKS_ACTIVE } else { sys::VIR_CONNECT_LIST_NETWORKS_INACTIVE };
    let networks = connect.list_all_networks(flags).map_err(|error| failure(&error))?;
    if networks.len() > NETWORKS_MAX {
        return Err(terms::too_many("networks", networks.len(), NETWORKS_MAX));
    }
    let mut names = networks.iter().map(|network| terms::name(network.get_name())).collect::<Reply<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

pub(super) fn lookup_by_uuid(connect: &Connect, uuid: Uuid) -> Reply<NetworkOfUuid> {
    Ok(NetworkOfUuid { name: terms::name(of_uuid(connect, uuid)?.get_name())? })
}

pub(super) fn lookup_by_name(connect: &Connect, name: &str) -> Reply<Uuid> {
    if name.contains('\0') {
        return Err(Failure::new(Code::NoNetwork, format!("no network with name '{name}'")));
    }
    uuid(&Network::lookup_by_name(connect, name).map_err(|error| failure(&error))?)
}

pub(super) fn create(connect: &Connect, xml: &str) -> Reply<Identity> {
    xml::well_formed(xml, "network")?;
    identity(&Network::create_xml(connect, xml).map_err(|error| failure(&error))?)
}

pub(super) fn define(connect: &Connect, xml: &str) -> Reply<Identity> {
    xml::well_formed(xml, "network")?;
    identity(&Network::define_xml(connect, xml).map_err(|error| failure(&error))?)
}

/// libvirt would forget the definition of an active network as well.
pub(super) fn undefine(connect: &Connect, uuid: Uuid) -> Reply<()> {
    let network = of_uuid(connect, uuid)?;
    if network.is_active().map_err(|error| failure(&error))? {
        let name = terms::name(network.get_name())?;
        let message = format!("network '{name}' is active, it cannot be undefined");
        return Err(Failure::new(Code::OperationInvalid, message));
    }
    done(network.undefine())
}

pub(super) fn start(connect: &Connect, uuid: Uuid) -> Reply<()> {
    done(of_uuid(connect, uuid)?.create())
}

pub(super) fn destroy(connect: &Connect, uuid: Uuid) -> Reply<()> {
    done(of_uuid(connect, uuid)?.destroy())
}

pub(super) fn dump(connect: &Connect, uuid: Uuid) -> Reply<Description> {
    terms::description(of_uuid(connect, uuid)?.get_xml_desc(0))
}

pub(super) fn bridge(connect: &Connect, uuid: Uuid) -> Reply<BridgeName> {
    let name = of_uuid(connect, uuid)?.get_bridge_name().map_err(|error| failure(&error))?;
    Ok(BridgeName { name: terms::bounded("the name of a bridge", name, BRIDGE_MAX)? })
}

pub(super) fn autostart(connect: &Connect, uuid: Uuid) -> Reply<bool> {
    of_uuid(connect, uuid)?.get_autostart().map_err(|error| failure(&error))
}

pub(super) fn set_autostart(connect: &Connect, uuid: Uuid, autostart: bool) -> Reply<()> {
    done(of_uuid(connect, uuid)?.set_autostart(autostart))
}
