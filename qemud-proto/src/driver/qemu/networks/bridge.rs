//! Bridges, by netlink.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{BridgeStpState, InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::plan::{Plan, Subnet};
use crate::failure::{Code, Failure, Reply};

/// The kernel counts a bridge's delay in hundredths of a second.
const DELAY_UNITS: u32 = 100;

/// A conversation with the kernel, until the value is dropped.
struct Netlink {
    handle: Handle,
    connection: JoinHandle<()>,
}

/// An interface of the host.
struct Interface {
    index: u32,
    is_bridge: bool,
    hardware_address: Vec<u8>,
}

impl Netlink {
    fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    async fn find(&self, name: &str) -> io::Result<Option<Interface>> {
        let mut found = std::pin::pin!(self.handle.link().get().match_name(name).execute());
        match found.try_next().await.map_err(cause) {
            Ok(message) => Ok(message.as_ref().map(interface)),
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bridge of a network, where there is one and it is this network's own.
    async fn find_own(&self, plan: &Plan) -> io::Result<Option<Interface>> {
        let found = self.find(&plan.bridge).await?;
        Ok(found.filter(|found| found.is_bridge && found.hardware_address == plan.hardware_address()))
    }

    async fn set(&self, message: LinkMessage) -> io::Result<()> {
        self.handle.link().set(message).execute().await.map_err(cause)
    }

    /// The interface that has an address of a network, and that address.
    async fn neighbour(&self, subnet: Subnet) -> io::Result<Option<(String, Subnet)>> {
        let mut addresses = std::pin::pin!(self.handle.address().get().execute());
        while let Some(message) = addresses.try_next().await.map_err(cause)? {
            let local = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            });
            let Some(address) = local else { continue };
            let other = Subnet { address, prefix: message.header.prefix_len };
            if other.overlaps(subnet) {
                let mut links = std::pin::pin!(self.handle.link().get().match_index(message.header.index).execute());
                let link = links.try_next().await.map_err(cause)?;
                return Ok(Some((link.and_then(|link| name(&link)).unwrap_or_default(), other)));
            }
        }
        Ok(None)
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn interface(message: &LinkMessage) -> Interface {
    let mut interface = Interface { index: message.header.index, is_bridge: false, hardware_address: Vec::new() };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Address(address) => interface.hardware_address.clone_from(address),
            LinkAttribute::LinkInfo(infos) => {
                interface.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
            }
            _ => {}
        }
    }
    interface
}

fn name(message: &LinkMessage) -> Option<String> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn cause(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(error) => error.to_io(),
        other => io::Error::other(other),
    }
}

/// Says what is missing where it is a right.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!("{error}; this takes the capability CAP_NET_ADMIN"),
        _ => error.to_string(),
    }
}

/// The names of all interfaces of the host.
pub(super) async fn names() -> Reply<BTreeSet<String>> {
    let list = async {
        let netlink = Netlink::open()?;
        let links = netlink.handle.link().get().execute();
        links.try_filter_map(|link| std::future::ready(Ok(name(&link)))).try_collect().await.map_err(cause)
    };
    let list: io::Result<_> = list.await;
    list.map_err(|error| Failure::new(Code::SystemError, format!("cannot list the interfaces: {}", reason(&error))))
}

/// Whether the bridge of a network is there.
pub(super) async fn exists(plan: &Plan) -> Reply<bool> {
    let look = async { Ok(Netlink::open()?.find_own(plan).await?.is_some()) };
    let look: io::Result<bool> = look.await;
    look.map_err(|error| plan.failed(&format!("cannot look for its bridge '{}'", plan.bridge), &reason(&error)))
}

/// Refuses a network whose addresses the host reaches by another interface: it would no longer.
pub(super) async fn refuse_overlap(plan: &Plan) -> Reply<()> {
    let Some(subnet) = plan.subnet else {
        return Ok(());
    };
    let what = format!("cannot take the addresses {subnet}");
    let look = async { Netlink::open()?.neighbour(subnet).await };
    match look.await.map_err(|error: io::Error| plan.failed(&what, &reason(&error)))? {
        None => Ok(()),
        Some((interface, other)) => {
            let why = format!("the host is in {other} already, by its interface '{interface}'");
            Err(plan.failed(&what, &why))
        }
    }
}

/// Makes the bridge of a network, without an address and down. One that is there is somebody else's.
pub(super) async fn make(plan: &Plan) -> Reply<()> {
    let delay = plan.delay.saturating_mul(DELAY_UNITS);
    let stp = if plan.stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
    let bridge = LinkMessageBuilder::<LinkBridge>::new(&plan.bridge)
        .address(plan.hardware_address().to_vec())
        .forward_delay(delay)
        .stp_state(stp)
        .build();
    let made = async { Netlink::open()?.handle.link().add(bridge).execute().await.map_err(cause) };
    let made: io::Result<()> = made.await;
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let why = "the host has an interface of that name, which is not this network's";
            plan.failed(&format!("cannot make the bridge '{}'", plan.bridge), &why)
        }
        _ => plan.failed(&format!("cannot make the bridge '{}'", plan.bridge), &reason(&error)),
    })
}

/// Gives the bridge its address and switches it on.
pub(super) async fn switch_on(plan: &Plan) -> Reply<()> {
    let failed =
        |error: io::Error| plan.failed(&format!("cannot set up the bridge '{}'", plan.bridge), &reason(&error));
    let netlink = Netlink::open().map_err(failed)?;
    let Some(bridge) = netlink.find_own(plan).await.map_err(failed)? else {
        return Err(failed(ErrorKind::NotFound.into()));
    };
    if let Some(subnet) = plan.subnet {
        let address = netlink.handle.address().add(bridge.index, subnet.address.into(), subnet.prefix);
        // It has it already where a daemon died at work.
        address.replace().execute().await.map_err(|error| failed(cause(error)))?;
    }
    netlink.set(LinkUnspec::new_with_index(bridge.index).up().build()).await.map_err(failed)
}

/// Removes the bridge of a network, and with it its address. One that is not there, or is somebody else's, is no error.
pub(super) async fn remove(plan: &Plan) -> Reply<()> {
    let removed = async {
        let netlink = Netlink::open()?;
        match netlink.find_own(plan).await? {
            Some(bridge) => netlink.handle.link().del(bridge.index).execute().await.map_err(cause),
            None => Ok(()),
        }
    };
    let removed: io::Result<()> = removed.await;
    removed.map_err(|error| plan.failed(&format!("cannot remove the bridge '{}'", plan.bridge), &reason(&error)))
}

/// Puts the network interface of a guest into a bridge of the host, and switches it on.
///
/// # Errors
/// [`Code::OperationFailed`] that says what is missing: the interface, the bridge or the right.
pub(in crate::driver) async fn attach(tap: &str, bridge: &str) -> Reply<()> {
    let failed = |why: &dyn std::fmt::Display| {
        let message = format!("cannot put the interface '{tap}' into the bridge '{bridge}': {why}");
        Failure::new(Code::OperationFailed, message)
    };
    let netlink = Netlink::open().map_err(|error| failed(&reason(&error)))?;
    let find = async |name: &str| match netlink.find(name).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(failed(&format_args!("there is no interface '{name}'"))),
        Err(error) => Err(failed(&reason(&error))),
    };
    let (port, controller) = (find(tap).await?, find(bridge).await?);
    if !controller.is_bridge {
        return Err(failed(&format_args!("'{bridge}' is no bridge")));
    }
    let message = LinkUnspec::new_with_index(port.index).controller(controller.index).up().build();
    netlink.set(message).await.map_err(|error| failed(&reason(&error)))
}
