//! The definition of a network.

use std::net::Ipv4Addr;

use super::element::Element;
use super::{Edit, INTERFACE_NAME_MAX, edited, identity, name, parse, too_long_to_dump};
use crate::failure::{Failure, Reply};
use crate::identity::Uuid;
use crate::messages::XML_MAX;

/// Elements directly below `network` that would change what runs.
const CHANGES_WHAT_RUNS: &[&str] =
    &["bandwidth", "dns", "domain", "mac", "mtu", "port", "portgroup", "route", "virtualport", "vlan"];

/// Longest delay of a bridge, in seconds.
const DELAY_MAX: u64 = 3600;

/// A network as its XML describes it.
///
/// Everything is kept in the text. Unknown elements directly below `network` are otherwise ignored,
/// except those libvirt gives a meaning that cannot be honoured here (`dns`, `route`, …), which are
/// refused, as is everything unknown inside `bridge`, `forward` and `ip`.
///
/// # Examples
/// ```
/// use qemud_proto::xml::NetworkDefinition;
///
/// let mut network = NetworkDefinition::parse("<network><name>lab</name><bridge stp='off'/></network>")?;
/// assert_eq!(network.bridge.name, None);
/// network.assign_bridge("virbr0");
/// assert!(network.stored_xml().contains("<bridge name='virbr0' stp='off'/>"));
/// # Ok::<(), qemud_proto::failure::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkDefinition {
    /// Its name, at most 48 bytes, fit for a file name.
    pub name: String,
    /// Its identity, made when the XML had none.
    pub uuid: Uuid,
    /// Its bridge on the host.
    pub bridge: Bridge,
    /// How packets leave the host; not at all if absent.
    pub forward: Option<Forward>,
    /// Address of the host in the network and what is handed out there.
    pub ip: Option<Addresses>,
    source: Source,
}

/// The bridge of a network, the element `bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name, at most 15 bytes; `None` until one was assigned.
    pub name: Option<String>,
    /// Whether it speaks the spanning tree protocol.
    pub stp: bool,
    /// Seconds before a new port forwards packets.
    pub delay: u32,
}

/// Forwarding with address translation, the element `forward`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The only interface to forward to; any if absent.
    pub dev: Option<String>,
}

/// The addresses of a network, the element `ip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Address of the host.
    pub address: Ipv4Addr,
    /// Mask of the network.
    pub netmask: Ipv4Addr,
    /// First and last address of each range that DHCP hands out.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// The text and the places where dumps differ from it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    original: String,
    uuid: Option<Edit>,
    bridge: BridgePlace,
}

/// Where an assigned name of a bridge goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BridgePlace {
    /// The text has a name.
    Named,
    /// Into this `bridge` element.
    Attribute(usize),
    /// Into a `bridge` element behind `name`, indented like it.
    Element(usize, String),
}

impl NetworkDefinition {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`Code::XmlError`](crate::failure::Code::XmlError) with the line and the rule that is broken.
    pub fn parse(xml: &str) -> Reply<Self> {
        let document = parse(xml)?;
        let root = Element::root(&document, "network")?;
        let name = name(root)?;
        let (uuid, made) = identity(root, xml)?;
        for element in root.children() {
            if CHANGES_WHAT_RUNS.contains(&element.name()) {
                return Err(element.refuse(format_args!("{} is not supported", element.name())));
            }
        }
        let (bridge, place) = bridge(root, xml)?;
        let definition = Self {
            name,
            uuid,
            bridge,
            forward: root.child("forward")?.map(forward).transpose()?,
            ip: root.child("ip")?.map(addresses).transpose()?,
            source: Source { original: xml.to_owned(), uuid: made, bridge: place },
        };
        let mut longest = definition.clone();
        longest.assign_bridge(&"x".repeat(INTERFACE_NAME_MAX));
        match longest.stored_xml().len() {
            length if length > XML_MAX => Err(too_long_to_dump(length)),
            _ => Ok(definition),
        }
    }

    /// Gives a network whose XML names no bridge the one it will use.
    pub fn assign_bridge(&mut self, name: &str) {
        if self.source.bridge != BridgePlace::Named {
            self.bridge.name = Some(name.to_owned());
        }
    }

    /// The definition as it is stored and as it runs: the text with its identity and its bridge.
    #[must_use]
    pub fn stored_xml(&self) -> String {
        let source = &self.source;
        let mut edits: Vec<Edit> = source.uuid.iter().cloned().collect();
        if let Some(name) = &self.bridge.name {
            match &source.bridge {
                BridgePlace::Named => {}
                BridgePlace::Attribute(at) => {
                    edits.push(Edit::insert(*at, format!(" name='{name}'")));
                }
                BridgePlace::Element(at, indent) => {
                    edits.push(Edit::insert(*at, format!("{indent}<bridge name='{name}'/>")));
                }
            }
        }
        edited(&source.original, edits)
    }
}

fn bridge(root: Element<'_>, xml: &str) -> Reply<(Bridge, BridgePlace)> {
    let Some(element) = root.child("bridge")? else {
        let name = root.required("name")?.span();
        let before = xml.get(..name.start).unwrap_or_default();
        let indent = before.get(before.trim_end().len()..).unwrap_or_default();
        let bridge = Bridge { name: None, stp: true, delay: 0 };
        return Ok((bridge, BridgePlace::Element(name.end, indent.to_owned())));
    };
    element.only(&["name", "stp", "delay"], &[])?;
    let delay = match element.attribute("delay") {
        Some(text) => element.number(text, 0, DELAY_MAX)?,
        None => 0,
    };
    let bridge = Bridge {
        name: element.interface_name("name")?,
        stp: element.choice("stp", &[("on", true), ("off", false)])?.unwrap_or(true),
        delay: u32::try_from(delay).unwrap_or(u32::MAX),
    };
    let place = match bridge.name {
        Some(_) => BridgePlace::Named,
        None => BridgePlace::Attribute(element.opening()),
    };
    Ok((bridge, place))
}

fn forward(element: Element<'_>) -> Reply<Forward> {
    element.only(&["dev", "mode"], &[])?;
    element.choice("mode", &[("nat", ())])?;
    Ok(Forward { dev: element.interface_name("dev")? })
}

fn addresses(element: Element<'_>) -> Reply<Addresses> {
    element.only(&["address", "netmask"], &["dhcp"])?;
    let address = address(element, "address")?;
    let netmask = address_of_mask(element)?;
    let inside = |other: Ipv4Addr| other & netmask == address & netmask;
    let mut ranges = Vec::new();
    if let Some(dhcp) = element.child("dhcp")? {
        dhcp.only(&[], &["range"])?;
        for range in dhcp.children() {
            range.only(&["start", "end"], &[])?;
            let (start, end) = (self::address(range, "start")?, self::address(range, "end")?);
            if start > end {
                return Err(range.refuse(format_args!("the range from {start} to {end} is empty")));
            }
            if !inside(start) || !inside(end) {
                return Err(range
                    .refuse(format_args!("the range from {start} to {end} is not inside the network of {address}")));
            }
            ranges.push((start, end));
        }
    }
    Ok(Addresses { address, netmask, ranges })
}

fn address_of_mask(element: Element<'_>) -> Reply<Ipv4Addr> {
    let netmask = address(element, "netmask")?;
    match netmask.to_bits().leading_ones() == netmask.to_bits().count_ones() {
        true => Ok(netmask),
        false => Err(refuse_address(element, "netmask", &netmask.to_string())),
    }
}

fn address(element: Element<'_>, name: &str) -> Reply<Ipv4Addr> {
    let text = element.required_attribute(name)?;
    text.parse().map_err(|_| refuse_address(element, name, text))
}

fn refuse_address(element: Element<'_>, name: &str, text: &str) -> Failure {
    element.refuse_value(name, text, "not an IPv4 address or mask")
}

#[cfg(test)]
mod tests;
