//! Where a daemon is: `driver[+transport]://[user@][host][:port]/[path][?name=value&…]`.
//!
//! | transport | the way | needs | takes the parameters |
//! |---|---|---|---|
//! | none, without a host | as `unix`; `test:///default` is served inside this process | | as `unix` |
//! | none, with a host | as `tls` | | as `tls` |
//! | `unix` | a unix socket of this machine | | `socket`, `mode` |
//! | `tls` | TLS with certificates on both sides, port 16514 | host | `pkipath`, `no_verify` |
//! | `tcp` | TCP in clear text, port 16509 | host | |
//! | `ssh` | the system's ssh, and a socket at its far side, joined by `guestctl proxy` or netcat | host | `command`, `socket`, `netcat`, `keyfile`, `no_verify`, `no_tty`, `mode`, `proxy` |
//! | `ext` | any program that joins its standard input and output to a daemon | `command` | `command` |
//!
//! `name` is taken by all but the driver that is served inside this process. Parameters that are none of these are the
//! daemon's. The source is libvirt's `docs/uri.rst`.

mod error; //      what is wrong with a text
mod parameters; // what stands behind the '?'
mod parse; //      from the text to its target
mod sockets; //    where daemons of this machine listen
#[cfg(feature = "client")]
mod config; //     aliases and the default
#[cfg(feature = "client")]
mod probe; //      which daemon, where nobody says

use std::path::PathBuf;

#[cfg(feature = "client")]
pub use self::config::{ConfigError, UriConfig};
pub use self::error::UriError;
#[cfg(feature = "client")]
pub use self::probe::probe;
pub use self::sockets::{NoSocket, Sockets};
pub use crate::messages::URI_MAX;

/// The port of TCP without TLS.
pub const TCP_PORT: u16 = 16509;

/// The port that speaks TLS from its first byte.
pub const TLS_PORT: u16 = 16514;

/// A connection URI, taken apart.
///
/// ```
/// use qemud_proto::uri::{ConnectUri, Transport};
///
/// let uri: ConnectUri = "test+unix:///default?socket=/tmp/guestd-sock".parse()?;
/// assert_eq!(uri.driver, "test");
/// assert_eq!(uri.transport, Transport::Unix { socket: Some("/tmp/guestd-sock".into()) });
/// assert_eq!(uri.remote, "test:///default");
/// assert!("test+pigeon:///default".parse::<ConnectUri>().is_err());
/// # Ok::<(), qemud_proto::uri::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectUri {
    /// The hypervisor, in lower case: `test`, `qemu`, or whatever the daemon has. Empty where the daemon shall choose.
    pub driver: String,
    /// The way to the daemon.
    pub transport: Transport,
    /// Which of the driver's connections: `/default`, `/system`, `/session`.
    pub path: String,
    /// The URI that the daemon is asked to open: without transport, user, host, port and the parameters that were for
    /// us, or what the parameter `name` says.
    pub remote: String,
    /// Whether only procedures that change nothing are wanted.
    pub read_only: bool,
}

/// The way to a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// No daemon: the driver is served inside this process, through memory.
    InProcess,
    /// A unix socket on this machine.
    Unix {
        /// The socket's path. Without one the daemon's usual place: [`ConnectUri::socket`].
        socket: Option<PathBuf>,
    },
    /// TLS, with certificates on both sides.
    Tls {
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Where the certificates and the key are.
        certificates: Certificates,
        /// Whether the daemon's certificate is checked.
        verify: bool,
    },
    /// TCP, neither encrypted nor authenticated.
    Tcp {
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The system's ssh.
    Ssh(Ssh),
    /// A program that joins its standard input and output to a daemon.
    Ext {
        /// The program.
        command: PathBuf,
    },
}

impl Transport {
    /// As a URI names it.
    const fn name(&self) -> &'static str {
        match self {
            Self::InProcess => "in process",
            Self::Unix { .. } => "unix",
            Self::Tls { .. } => "tls",
            Self::Tcp { .. } => "tcp",
            Self::Ssh(_) => "ssh",
            Self::Ext { .. } => "ext",
        }
    }
}

/// Where a client's certificates and key are, as far as that is said; the rest is where it usually is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificates {
    /// A folder with `cacert.pem`, `clientcert.pem` and `clientkey.pem`.
    pub folder: Option<PathBuf>,
    /// Certificates of those who vouch for daemons.
    pub authorities: Option<PathBuf>,
    /// The client's certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl Certificates {
    /// What is not said here is as `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            folder: self.folder.or(other.folder),
            authorities: self.authorities.or(other.authorities),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }
}

/// How ssh is run, and what it runs at its far side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ssh {
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port; else what ssh's own configuration says, which is mostly 22.
    pub port: Option<u16>,
    /// The user at the far side; else what ssh's own configuration says.
    pub user: Option<String>,
    /// The program to run in the place of `ssh`.
    pub command: Option<PathBuf>,
    /// The socket at the far side; else the daemon's usual place there.
    pub socket: Option<PathBuf>,
    /// The program to run in the place of `nc` at the far side.
    pub netcat: Option<PathBuf>,
    /// The private key.
    pub keyfile: Option<PathBuf>,
    /// Whether the host's key is checked.
    pub verify: bool,
    /// Whether ssh may ask for a password or about a host on the terminal: only with `no_tty=0`, since a program must not
    /// hang.
    pub questions: bool,
    /// What joins ssh to the socket at the far side.
    pub proxy: Proxy,
}

/// What joins ssh to a socket at its far side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// `guestctl proxy` where it is installed, else netcat.
    #[default]
    Auto,
    /// Netcat.
    Netcat,
    /// `guestctl proxy`.
    Native,
}

impl ConnectUri {
    /// The daemon at a socket of this machine, which opens its own default.
    #[must_use]
    pub fn daemon_at(socket: PathBuf) -> Self {
        let transport = Transport::Unix { socket: Some(socket) };
        Self { driver: String::new(), transport, path: String::new(), remote: String::new(), read_only: false }
    }

    /// The socket of transport `unix`: the one that the URI names, or the usual one of the daemon of this session
    /// (`/session`, and driver `test`) or of this machine.
    ///
    /// # Errors
    /// When the session has no place for sockets, because `XDG_RUNTIME_DIR` is not set.
    pub fn socket(&self) -> Result<PathBuf, NoSocket> {
        if let Transport::Unix { socket: Some(socket) } = &self.transport {
            return Ok(socket.clone());
        }
        let sockets = if self.is_of_session() { Sockets::session()? } else { Sockets::system() };
        Ok(sockets.pick(self.read_only))
    }

    /// The same target, with certificates that come before those that the URI says.
    ///
    /// # Errors
    /// [`UriError::Misplaced`] when something is said and the transport is none that has certificates.
    pub fn with_certificates(mut self, given: Certificates) -> Result<Self, UriError> {
        match &mut self.transport {
            Transport::Tls { certificates, .. } => *certificates = given.or(std::mem::take(certificates)),
            _ if given == Certificates::default() => {}
            other => {
                return Err(UriError::Misplaced { transport: other.name(), part: "a certificate".to_owned() });
            }
        }
        Ok(self)
    }

    /// The same target for procedures that change nothing.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether a user's own daemon is meant, and not the machine's.
    pub(crate) fn is_of_session(&self) -> bool {
        self.path == "/session" || self.driver == "test"
    }
}
