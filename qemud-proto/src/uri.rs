//! Where a daemon is: `driver[+transport]://[host][:port]/[path][?name=value&…]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};

/// The port of TCP without TLS.
pub const TCP_PORT: u16 = 16509;

/// A connection URI, taken apart.
///
/// ```
/// use qemud_proto::uri::{ConnectUri, Transport};
///
/// let uri: ConnectUri = "test+unix:///default?socket=/tmp/guestd-sock".parse()?;
/// assert_eq!(uri.driver, "test");
/// assert_eq!(uri.transport, Transport::Unix { socket: "/tmp/guestd-sock".into() });
/// assert!("test+pigeon:///default".parse::<ConnectUri>().is_err());
/// # Ok::<(), qemud_proto::uri::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectUri {
    /// The hypervisor: `test`.
    pub driver: String,
    /// The way to the daemon.
    pub transport: Transport,
    /// Which of the driver's connections: `/default`.
    pub path: String,
}

/// The way to a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// No daemon: the driver is served inside this process, through memory.
    InProcess,
    /// A unix socket on this machine.
    Unix {
        /// The socket's path.
        socket: PathBuf,
    },
    /// TCP, neither encrypted nor authenticated.
    Tcp {
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Why a text is not a URI that can be connected to. The part that is wrong is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Not a URI at all.
    #[error("'{uri}' is not a URI: {reason}")]
    Syntax {
        /// The text.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// No driver has this name.
    #[error("no driver is named '{0}'; there is 'test'")]
    UnknownDriver(String),
    /// No transport has this name.
    #[error("no transport is named '{0}'; there are 'unix' and 'tcp'")]
    UnknownTransport(String),
    /// A part is missing.
    #[error("transport '{transport}' needs {part}")]
    Missing {
        /// The transport.
        transport: &'static str,
        /// The part.
        part: &'static str,
    },
    /// A part means nothing here.
    #[error("{part} means nothing for transport '{transport}'")]
    Misplaced {
        /// The transport.
        transport: &'static str,
        /// The part.
        part: String,
    },
    /// The driver has no such connection.
    #[error("driver '{driver}' has no connection '{path}'; there is '/default'")]
    UnknownPath {
        /// The driver.
        driver: String,
        /// The path.
        path: String,
    },
}

impl FromStr for ConnectUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let syntax = |reason: &dyn fmt::Display| UriError::Syntax { uri: text.to_owned(), reason: reason.to_string() };
        let url = Url::parse(text).map_err(|error| syntax(&error))?;
        if url.cannot_be_a_base() {
            return Err(syntax(&"'//' is missing behind the driver"));
        }
        let (driver, transport) = match url.scheme().split_once('+') {
            Some((driver, transport)) => (driver, Some(transport)),
            None => (url.scheme(), None),
        };
        if driver != "test" {
            return Err(UriError::UnknownDriver(driver.to_owned()));
        }
        let transport = match (transport, host(&url)) {
            (None, None) => in_process(&url)?,
            // The transport for a host is TLS, which must not become clear text silently.
            (None, Some(_)) => return Err(UriError::UnknownTransport("tls".to_owned())),
            (Some("unix"), host) => unix(&url, host)?,
            (Some("tcp"), host) => tcp(&url, host)?,
            (Some(other), _) => return Err(UriError::UnknownTransport(other.to_owned())),
        };
        let path = url.path();
        if path != "/default" {
            return Err(UriError::UnknownPath { driver: driver.to_owned(), path: path.to_owned() });
        }
        Ok(Self { driver: driver.to_owned(), transport, path: path.to_owned() })
    }
}

fn host(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain("") => None,
        Host::Ipv6(address) => Some(address.to_string()),
        host => Some(host.to_string()),
    }
}

fn in_process(url: &Url) -> Result<Transport, UriError> {
    no_parameters(url, "in process", &[])?;
    Ok(Transport::InProcess)
}

fn unix(url: &Url, host: Option<String>) -> Result<Transport, UriError> {
    if let Some(host) = host {
        return Err(UriError::Misplaced { transport: "unix", part: format!("host '{host}'") });
    }
    no_parameters(url, "unix", &["socket"])?;
    let socket = url.query_pairs().find(|(name, _)| name == "socket").map(|(_, value)| value.into_owned());
    match socket {
        Some(socket) if !socket.is_empty() => Ok(Transport::Unix { socket: socket.into() }),
        _ => default_socket()
            .map(|socket| Transport::Unix { socket })
            .ok_or(UriError::Missing { transport: "unix", part: "'?socket=PATH', since XDG_RUNTIME_DIR is not set" }),
    }
}

/// The daemon's socket of this session: `$XDG_RUNTIME_DIR/guestd/guestd-sock`.
#[must_use]
pub fn default_socket() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
    Some(PathBuf::from(folder).join("guestd").join("guestd-sock"))
}

fn tcp(url: &Url, host: Option<String>) -> Result<Transport, UriError> {
    no_parameters(url, "tcp", &[])?;
    let host = host.ok_or(UriError::Missing { transport: "tcp", part: "a host" })?;
    Ok(Transport::Tcp { host, port: url.port().unwrap_or(TCP_PORT) })
}

fn no_parameters(url: &Url, transport: &'static str, known: &[&str]) -> Result<(), UriError> {
    for (part, given) in [("a user", !url.username().is_empty()), ("a password", url.password().is_some())] {
        if given {
            return Err(UriError::Misplaced { transport, part: part.to_owned() });
        }
    }
    if transport != "tcp" && url.port().is_some() {
        return Err(UriError::Misplaced { transport, part: "a port".to_owned() });
    }
    if url.fragment().is_some() {
        return Err(UriError::Misplaced { transport, part: "a fragment ('#')".to_owned() });
    }
    let unknown = url.query_pairs().find(|(name, _)| !name.is_empty() && !known.contains(&name.as_ref()));
    match unknown {
        Some((name, _)) => Err(UriError::Misplaced { transport, part: format!("parameter '{name}'") }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uri: &str) -> String {
        uri.parse::<ConnectUri>().unwrap_err().to_string()
    }

    #[test]
    fn each_transport_has_its_form() {
        let transport = |uri: &str| uri.parse::<ConnectUri>().unwrap().transport;
        assert_eq!(transport("test:///default"), Transport::InProcess);
        assert_eq!(transport("test+unix:///default?socket=/a%20b"), Transport::Unix { socket: "/a b".into() });
        assert_eq!(transport("TEST+TCP://localhost/default"), Transport::Tcp { host: "localhost".into(), port: 16509 });
        assert_eq!(transport("test+tcp://[::1]:7/default"), Transport::Tcp { host: "::1".into(), port: 7 });
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(message("").contains("is not a URI"));
        assert!(message("test").contains("is not a URI"));
        assert!(message("test:default").contains("'//' is missing"));
        assert_eq!(message("xen:///"), "no driver is named 'xen'; there is 'test'");
        assert!(message("test+pigeon:///default").contains("'pigeon'"));
        assert!(message("test://host/default").contains("'tls'"));
        assert_eq!(message("test+unix://host/default"), "host 'host' means nothing for transport 'unix'");
        assert_eq!(message("test+tcp:///default"), "transport 'tcp' needs a host");
        assert_eq!(message("test+tcp://h/default?socket=/x"), "parameter 'socket' means nothing for transport 'tcp'");
        assert_eq!(message("test+tcp://me@h/default"), "a user means nothing for transport 'tcp'");
        assert!(message("test+tcp://h:99999/default").contains("port"));
        assert!(message("test:///system").contains("'/default'"));
    }
}
