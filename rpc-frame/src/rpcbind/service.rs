//! A registration as plain data, whatever version of the protocol it comes by.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::SocketAddr;

use xdr_core::XdrString;

use super::address::{AddressError, UniversalAddress};
use super::netid;
use super::rpcb::Rpcb;
use super::version2::{IPPROTO_TCP, IPPROTO_UDP, Mapping};

/// One version of a program on one transport, and where it listens there.
///
/// # Examples
/// ```
/// use rpc_frame::rpcbind::Service;
/// let service = Service::tcp(100_003, 3, "192.0.2.1:2049".parse().unwrap());
/// assert_eq!((service.netid.as_str(), service.address.as_str()), ("tcp", "192.0.2.1.8.1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Service {
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The transport, one of [`netid`]'s mostly. Where a portmapper lists a protocol other than TCP and UDP, its number.
    pub netid: String,
    /// The universal address as text: a registration's address may be anything. See
    /// [`universal_address`](Self::universal_address).
    pub address: String,
    /// Who registered it; empty where the answer does not say, as in version 2.
    pub owner: String,
}

impl Service {
    /// A program on a transport.
    #[must_use]
    pub fn new(program: u32, version: u32, netid: &str, address: &UniversalAddress) -> Self {
        Self { program, version, netid: netid.into(), address: address.to_string(), owner: String::new() }
    }

    /// A program that listens for TCP.
    #[must_use]
    pub fn tcp(program: u32, version: u32, address: SocketAddr) -> Self {
        let netid = if address.is_ipv4() { netid::TCP } else { netid::TCP6 };
        Self::new(program, version, netid, &address.into())
    }

    /// A program that takes datagrams by UDP.
    #[must_use]
    pub fn udp(program: u32, version: u32, address: SocketAddr) -> Self {
        let netid = if address.is_ipv4() { netid::UDP } else { netid::UDP6 };
        Self::new(program, version, netid, &address.into())
    }

    /// The address, if it is one.
    ///
    /// # Errors
    /// When the text is no universal address.
    pub fn universal_address(&self) -> Result<UniversalAddress, AddressError> {
        self.address.parse()
    }

    pub(super) fn rpcb(&self) -> Rpcb {
        Rpcb { address: self.address.as_str().into(), ..key(self.program, self.version, &self.netid) }
    }

    /// What version 2 sends for it: TCP and UDP on IPv4, and the port alone.
    pub(super) fn mapping(&self) -> Option<Mapping> {
        let protocol = protocol(&self.netid)?;
        let port = self.universal_address().ok()?.socket_addr()?.port();
        Some(Mapping { program: self.program, version: self.version, protocol, port: port.into() })
    }

    /// Whether an entry of the list is this registration. Version 2 keeps the port of an address only.
    pub(super) fn is_listed_as(&self, listed: &Self) -> bool {
        let same = |one: &Self, other: &Self| {
            (one.program, one.version, &one.netid, &one.address)
                == (other.program, other.version, &other.netid, &other.address)
        };
        same(self, listed) || self.mapping().is_some_and(|mapping| same(&mapping.into(), listed))
    }
}

/// A program on a transport without an address, which lookups and removals send.
pub(super) fn key(program: u32, version: u32, netid: &str) -> Rpcb {
    Rpcb { program, version, netid: netid.into(), address: XdrString::default(), owner: XdrString::default() }
}

/// The number that version 2 has for a transport.
pub(super) fn protocol(netid: &str) -> Option<u32> {
    match netid {
        netid::TCP => Some(IPPROTO_TCP),
        netid::UDP => Some(IPPROTO_UDP),
        _ => None,
    }
}

impl From<Rpcb> for Service {
    fn from(rpcb: Rpcb) -> Self {
        let Rpcb { program, version, netid, address, owner } = rpcb;
        Self { program, version, netid: text(netid), address: text(address), owner: text(owner) }
    }
}

/// What is not UTF-8 becomes U+FFFD.
fn text(bytes: XdrString) -> String {
    String::from_utf8(bytes.0).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl From<Mapping> for Service {
    fn from(mapping: Mapping) -> Self {
        let Mapping { program, version, protocol, port } = mapping;
        let netid = match protocol {
            IPPROTO_TCP => netid::TCP.into(),
            IPPROTO_UDP => netid::UDP.into(),
            other => other.to_string(),
        };
        // A port beyond 65,535 gives a text that is no address, and says so when it is read.
        let address = format!("0.0.0.0.{}.{}", port >> 8, port & 0xff);
        Self { program, version, netid, address, owner: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_2_lists_is_an_address_of_every_interface() {
        let listed = |protocol, port| Service::from(Mapping { program: 1, version: 2, protocol, port });
        assert_eq!(listed(6, 2049), Service::tcp(1, 2, "0.0.0.0:2049".parse().unwrap()));
        assert_eq!((listed(17, 7).netid, listed(99, 7).netid), ("udp".into(), "99".into()));
        assert_eq!(listed(6, 65535).universal_address().unwrap().socket_addr(), "0.0.0.0:65535".parse().ok());
        listed(6, 65536).universal_address().unwrap_err();
        listed(6, u32::MAX).universal_address().unwrap_err();
    }

    #[test]
    fn a_registration_is_found_in_the_list_by_its_address_or_in_version_2_by_its_port() {
        let ours = Service::tcp(1, 2, "10.0.0.1:2049".parse().unwrap());
        assert!(ours.is_listed_as(&Service { owner: "superuser".into(), ..ours.clone() }));
        assert!(ours.is_listed_as(&ours.mapping().unwrap().into()));
        for other in [
            Service::tcp(2, 2, "10.0.0.1:2049".parse().unwrap()),
            Service::tcp(1, 3, "10.0.0.1:2049".parse().unwrap()),
            Service::tcp(1, 2, "10.0.0.2:2049".parse().unwrap()),
            Service::tcp(1, 2, "0.0.0.0:2050".parse().unwrap()),
            Service { netid: "udp".into(), ..ours.clone() },
        ] {
            assert!(!ours.is_listed_as(&other), "{other:?}");
        }
        let path = Service::new(1, 2, netid::LOCAL, &"/run/x".parse().unwrap());
        assert_eq!(path.mapping(), None);
        assert!(path.is_listed_as(&path));
    }
}
