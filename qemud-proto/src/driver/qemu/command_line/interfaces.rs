//! Network interfaces: where packets go, and the card that the guest sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::options::Options;
use super::{Board, BootOrder, CommandLine, Launch, Tap, refuse};
use crate::failure::{Code, Failure, Reply};
use crate::xml::INTERFACE_NAME_MAX;
use crate::xml::interfaces::{Interface, Link};

/// Network cards by the names that definitions use, which are QEMU's but for virtio.
pub(super) const CARDS: &[(&str, &str)] = &[
    ("virtio", "virtio-net-pci"),
    ("e1000", "e1000"),
    ("e1000e", "e1000e"),
    ("rtl8139", "rtl8139"),
    ("ne2k_pci", "ne2k_pci"),
    ("ne2k_isa", "ne2k_isa"),
    ("pcnet", "pcnet"),
    ("i82551", "i82551"),
    ("i82557b", "i82557b"),
    ("i82559er", "i82559er"),
    ("tulip", "tulip"),
    ("vmxnet3", "vmxnet3"),
];

/// The first version that joins two machines by IPv6.
const STREAMS_SINCE: u32 = 7_002_000;

pub(super) fn add(
    line: &mut CommandLine,
    board: &Board<'_>,
    launch: &Launch<'_>,
    boot_order: &BootOrder<'_>,
) -> Reply<()> {
    let mut ends = Vec::new();
    for (position, interface) in launch.definition.devices.interfaces.iter().enumerate() {
        let id = format!("net{position}");
        let netdev = match bridge(launch, interface)? {
            Some(bridge) => {
                let name = end(launch, interface, position, &mut ends)?;
                let netdev = tap(&name, None);
                line.taps.push(Tap { name, bridge });
                netdev
            }
            None => match &interface.link {
                Link::Ethernet { script } => tap(&end(launch, interface, position, &mut ends)?, script.as_deref()),
                link => sockets(launch, link)?,
            },
        };
        line.add("-netdev", netdev.with("id", &id));
        let card = Options::of(card(board, interface)?).with("id", &id).with("netdev", &id);
        let card = card.with("mac", interface.mac.to_string());
        line.add("-device", card.with_some("bootindex", boot_order.interface(position)));
    }
    Ok(())
}

/// The bridge that an interface's host end belongs to.
fn bridge(launch: &Launch<'_>, interface: &Interface) -> Reply<Option<String>> {
    match &interface.link {
        Link::Bridge { bridge } => Ok(Some(bridge.clone())),
        Link::Network { network } => match launch.bridges.get(network) {
            Some(bridge) => Ok(Some(bridge.clone())),
            None => Err(refuse(format!("no network with the name '{network}' is active"))),
        },
        _ => Ok(None),
    }
}

/// The name of the host's end, which no other interface of the domain has.
fn end(launch: &Launch<'_>, interface: &Interface, position: usize, ends: &mut Vec<String>) -> Reply<String> {
    let name = interface.target.clone().unwrap_or_else(|| format!("vnet{}-{position}", launch.id));
    if name.len() > INTERFACE_NAME_MAX {
        return Err(refuse(format!(
            "'{name}' is too long for the name of an interface, interface/target can name one"
        )));
    }
    if ends.contains(&name) {
        return Err(refuse(format!("two interfaces are to be '{name}' on the host")));
    }
    ends.push(name.clone());
    Ok(name)
}

/// An interface that QEMU makes on the host, set up by a script where there is one, and removed with the process.
fn tap(name: &str, script: Option<&str>) -> Options {
    Options::of("tap").with("ifname", name).with("script", script.unwrap_or("no")).with("downscript", "no")
}

fn sockets(launch: &Launch<'_>, link: &Link) -> Reply<Options> {
    let (key, address, port) = match link {
        Link::User => return Ok(Options::of("user")),
        Link::Multicast { address: IpAddr::V6(address), .. } => {
            return Err(refuse(format!("QEMU joins no multicast group of IPv6, such as {address}")));
        }
        Link::Server { address, port } => ("listen", address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), *port),
        Link::Client { address, port } => ("connect", *address, *port),
        Link::Multicast { address, port } => ("mcast", *address, *port),
        Link::Ethernet { .. } | Link::Bridge { .. } | Link::Network { .. } => {
            return Err(Failure::new(Code::InternalError, "an interface of the host is taken for a socket"));
        }
    };
    if address.is_ipv4() {
        return Ok(Options::of("socket").with(key, SocketAddr::new(address, port).to_string()));
    }
    if launch.emulator.version < STREAMS_SINCE {
        return Err(refuse(format!("this QEMU joins machines by IPv4 only, and not by {address}")));
    }
    let stream = Options::of("stream").switch("server", key == "listen").with("addr.type", "inet");
    Ok(stream.with("addr.host", address.to_string()).with("addr.port", port.to_string()))
}

fn card(board: &Board<'_>, interface: &Interface) -> Reply<&'static str> {
    let default = if board.is_pc() { "e1000" } else { "virtio" };
    let model = interface.model.as_deref().unwrap_or(default);
    let known = CARDS.iter().find(|(name, _)| *name == model);
    known.map(|(_, card)| *card).ok_or_else(|| {
        let names: Vec<_> = CARDS.iter().map(|(name, _)| *name).collect();
        refuse(format!("'{model}' is no network card, but {} are", names.join(", ")))
    })
}
