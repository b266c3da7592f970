//! Universal addresses: text that names a transport address (RFC 5665 §5.2).

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use xdr_core::XdrString;

/// Where a program listens: `192.0.2.1.8.1`, `2001:db8::1.8.1`, `/run/rpcbind.sock`.
///
/// The two last numbers of an internet address are the bytes of its port. Which of TCP and UDP it is, the netid says.
///
/// # Examples
/// ```
/// use rpc_frame::rpcbind::UniversalAddress;
/// let address: UniversalAddress = "127.0.0.1.8.1".parse().unwrap();
/// assert_eq!(address, UniversalAddress::Ip("127.0.0.1:2049".parse().unwrap()));
/// assert_eq!(address.to_string(), "127.0.0.1.8.1");
/// assert_eq!(
///     "127.0.0.1:2049".parse::<UniversalAddress>().unwrap_err().to_string(),
///     r#"address "127.0.0.1:2049" does not end with the two bytes of a port"#,
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UniversalAddress {
    /// An internet address with a port. The zone of a link-local address has no place in the text.
    Ip(SocketAddr),
    /// The path of a unix socket; one that begins with `@` is in Linux's abstract namespace.
    Local(String),
}

/// Why a text is no universal address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The bytes are not UTF-8.
    #[error("address {text:?} is not UTF-8")]
    NotUtf8 {
        /// The text, with U+FFFD for what is not.
        text: String,
    },
    /// The text is neither a path nor does it end with a port.
    #[error("address {text:?} does not end with the two bytes of a port")]
    Port {
        /// The text.
        text: String,
    },
    /// What stands before the port is not an IP address.
    #[error("{host:?} in address {text:?} is neither an IPv4 nor an IPv6 address")]
    Host {
        /// The text.
        text: String,
        /// The part that should be an IP address.
        host: String,
    },
}

impl FromStr for UniversalAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with(['/', '@']) {
            return Ok(Self::Local(text.into()));
        }
        let split = || {
            let (rest, low) = text.rsplit_once('.')?;
            let (host, high) = rest.rsplit_once('.')?;
            Some((host, u16::from_be_bytes([byte(high)?, byte(low)?])))
        };
        let (host, port) = split().ok_or_else(|| AddressError::Port { text: text.into() })?;
        let host: IpAddr = host.parse().map_err(|_| AddressError::Host { text: text.into(), host: host.into() })?;
        Ok(Self::Ip(SocketAddr::new(host, port)))
    }
}

/// A number of at most 255, in decimal without sign or leading zeros: the same rule as for the bytes before it.
fn byte(text: &str) -> Option<u8> {
    let canonical = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    canonical.then(|| text.parse().ok()).flatten()
}

impl TryFrom<&XdrString> for UniversalAddress {
    type Error = AddressError;

    fn try_from(text: &XdrString) -> Result<Self, AddressError> {
        text.to_str().map_err(|_| AddressError::NotUtf8 { text: alloc::format!("{text}") })?.parse()
    }
}

impl From<SocketAddr> for UniversalAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for UniversalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => {
                let [high, low] = address.port().to_be_bytes();
                write!(f, "{}.{high}.{low}", address.ip())
            }
            Self::Local(path) => f.write_str(path),
        }
    }
}

impl UniversalAddress {
    /// The internet address, if it is one.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Local(_) => None,
        }
    }

    /// The same port at `host`, where the address is that of every interface. Where it is of the other family, only
    /// this machine's own is known.
    pub(super) fn or_at(self, host: IpAddr) -> Self {
        let Self::Ip(address) = self else { return self };
        let host = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            ip if ip.is_ipv4() == host.is_ipv4() => host,
            IpAddr::V4(_) if host.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) if host.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self::Ip(SocketAddr::new(host, address.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn addresses_are_parsed_and_written_alike() {
        for (text, address) in [
            ("0.0.0.0.0.111", "0.0.0.0:111"),
            ("127.0.0.1.8.1", "127.0.0.1:2049"),
            ("255.255.255.255.255.255", "255.255.255.255:65535"),
            ("1.2.3.4.0.0", "1.2.3.4:0"),
            ("::.0.111", "[::]:111"),
            ("::1.1.0", "[::1]:256"),
            ("2001:db8::1.3.225", "[2001:db8::1]:993"),
            ("::ffff:192.0.2.1.0.111", "[::ffff:192.0.2.1]:111"),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(text.parse(), Ok(UniversalAddress::Ip(address)), "{text}");
            assert_eq!(UniversalAddress::from(address).to_string(), text);
        }
        for text in ["/run/rpcbind.sock", "/tmp/a.1.2", "@rpc"] {
            assert_eq!(text.parse(), Ok(UniversalAddress::Local(text.into())));
            assert_eq!(UniversalAddress::Local(text.into()).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_which_part_of_it_is_wrong() {
        let port = |text: &str| AddressError::Port { text: text.into() };
        for text in [
            "",
            ".",
            "1.2",
            "tcp",
            "a.b",
            "127.0.0.1:111",
            "1.2.3.4.0.256",
            "1.2.3.4.256.0",
            "1.2.3.4.0.+1",
            "1.2.3.4.0.-1",
            "1.2.3.4.00.1",
            "1.2.3.4.0.01",
            "1.2.3.4.0.",
            "1.2.3.4..1",
            "1.2.3.4.0. 1",
            "::1",
            "1.2.3.4.0.1\n",
            "1.2.3.4.0.1000000000000000000000",
        ] {
            assert_eq!(text.parse::<UniversalAddress>(), Err(port(text)), "{text:?}");
        }
        for (text, host) in [
            ("1.2.3.0.111", "1.2.3"),
            ("1.2.3.4", "1.2"),
            (".0.111", ""),
            ("1.2.3.4.5.0.111", "1.2.3.4.5"),
            ("256.2.3.4.0.111", "256.2.3.4"),
            ("localhost.0.111", "localhost"),
            ("[::1].0.111", "[::1]"),
            ("fe80::1%eth0.0.111", "fe80::1%eth0"),
        ] {
            let expected = AddressError::Host { text: text.into(), host: host.into() };
            assert_eq!(text.parse::<UniversalAddress>(), Err(expected), "{text:?}");
        }
        let bytes = XdrString(alloc::vec![b'1', 0xff]);
        assert_eq!(UniversalAddress::try_from(&bytes), Err(AddressError::NotUtf8 { text: "1\u{fffd}".into() }));
    }

    #[test]
    fn every_interface_is_the_host_that_was_asked_if_it_is_of_the_family() {
        let at =
            |text: &str, host: &str| text.parse::<UniversalAddress>().unwrap().or_at(host.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0.0.7", "192.0.2.1"), "192.0.2.1.0.7");
        assert_eq!(at("::.0.7", "::1"), "::1.0.7");
        assert_eq!(at("::.0.7", "192.0.2.1"), "::.0.7");
        assert_eq!(at("0.0.0.0.0.7", "2001:db8::1"), "0.0.0.0.0.7");
        assert_eq!(at("::.0.7", "127.0.0.1"), "::1.0.7");
        assert_eq!(at("0.0.0.0.0.7", "::1"), "127.0.0.1.0.7");
        assert_eq!(at("10.0.0.1.0.7", "192.0.2.1"), "10.0.0.1.0.7");
        assert_eq!(at("/run/x", "192.0.2.1"), "/run/x");
    }
}
