//! What the definition of a network asks of the host: checked, and in words that nothing can be broken out of.

use std::net::Ipv4Addr;

use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::xml::NetworkDefinition;
use crate::xml::network::Addresses;

/// Names of bridges that mean something else among the kernel's settings of interfaces.
const RESERVED: &[&str] = &["all", "default", "lo"];

/// How large a network may be: from 255.0.0.0 to 255.255.255.252, which has two addresses to use.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;

/// Most leases that DHCP has at a time, however large its ranges are: it remembers each.
const LEASES_MAX: u32 = 65_536;

/// What is made on the host for a network.
///
/// Of the text that a client sent, only the names of the bridge and of an interface get here: words of letters, digits
/// and `_.+-`. The network's own name, which may hold nearly everything, is for messages alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// For messages.
    pub(super) name: String,
    pub(super) uuid: Uuid,
    pub(super) bridge: String,
    /// Whether it speaks the spanning tree protocol, for which the kernel keeps the delay between 2 and 30 seconds.
    pub(super) stp: bool,
    /// Seconds.
    pub(super) delay: u32,
    pub(super) subnet: Option<Subnet>,
    pub(super) forward: Option<ForwardPlan>,
    pub(super) dhcp: Option<DhcpPlan>,
}

/// The host's address, and how much of it all addresses of the network share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
}

/// Forwarding with address translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForwardPlan {
    pub(super) subnet: Subnet,
    /// The only interface to forward to.
    pub(super) dev: Option<String>,
}

/// Addresses to hand out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DhcpPlan {
    pub(super) netmask: Ipv4Addr,
    pub(super) ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    pub(super) leases: u32,
}

impl Subnet {
    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(self.prefix))).unwrap_or(0)
    }

    /// The network's own address, in which all bits behind the prefix are 0.
    pub(super) fn base(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// Whether an address belongs to both.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        self.address.to_bits() & mask == other.address.to_bits() & mask
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl Plan {
    /// Reads a definition whose bridge is settled.
    pub(super) fn of(definition: &NetworkDefinition) -> Reply<Self> {
        let refuse = |rule: String| {
            let message = format!("network '{}' cannot be started: {rule}", definition.name);
            Err(Failure::new(Code::OperationFailed, message))
        };
        let Some(bridge) = definition.bridge.name.clone() else {
            return refuse("it has no bridge".to_owned());
        };
        if RESERVED.contains(&bridge.as_str()) {
            return refuse(format!("no bridge can be called '{bridge}'"));
        }
        let subnet = match &definition.ip {
            None => None,
            Some(ip) => match subnet(ip) {
                Ok(subnet) => Some(subnet),
                Err(rule) => return refuse(rule),
            },
        };
        let forward = match (&definition.forward, subnet) {
            (None, _) => None,
            (Some(forward), Some(subnet)) => Some(ForwardPlan { subnet, dev: forward.dev.clone() }),
            (Some(_), None) => return refuse("it forwards, but has no address (ip) to forward from".to_owned()),
        };
        let dhcp = definition.ip.as_ref().filter(|ip| !ip.ranges.is_empty()).map(|ip| {
            let sizes = ip.ranges.iter().map(|(start, end)| end.to_bits().abs_diff(start.to_bits()).saturating_add(1));
            let leases = sizes.fold(0, u32::saturating_add).min(LEASES_MAX);
            DhcpPlan { netmask: ip.netmask, ranges: ip.ranges.clone(), leases }
        });
        let (stp, delay) = (definition.bridge.stp, definition.bridge.delay);
        Ok(Self { name: definition.name.clone(), uuid: definition.uuid, bridge, stp, delay, subnet, forward, dhcp })
    }

    /// The hardware address of the bridge, by which it is known again: locally administered, the rest out of the
    /// network's UUID.
    pub(super) fn hardware_address(&self) -> [u8; 6] {
        let [.., a, b, c, d, e] = self.uuid.0;
        [0x02, a, b, c, d, e]
    }

    /// A failure of what was done for this network.
    pub(super) fn failed(&self, what: &str, why: &dyn std::fmt::Display) -> Failure {
        Failure::new(Code::OperationFailed, format!("network '{}': {what}: {why}", self.name))
    }
}

/// The host must have an address of its own there, and others must have one left.
fn subnet(ip: &Addresses) -> Result<Subnet, String> {
    let prefix = u8::try_from(ip.netmask.to_bits().leading_ones()).unwrap_or(u8::MAX);
    if !PREFIXES.contains(&prefix) {
        return Err(format!("its netmask {} is not between 255.0.0.0 and 255.255.255.252", ip.netmask));
    }
    let host = !ip.netmask.to_bits();
    let number = ip.address.to_bits() & host;
    let special = ip.address.is_loopback() || ip.address.is_multicast() || ip.address.octets().first() == Some(&0);
    if special || ip.address.octets().first() >= Some(&240) || number == 0 || number == host {
        return Err(format!("its address {} is none that a host can have in a network {}", ip.address, ip.netmask));
    }
    Ok(Subnet { address: ip.address, prefix })
}

#[cfg(test)]
mod tests;
