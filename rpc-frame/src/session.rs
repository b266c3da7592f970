//! What a connection remembers from call to call, and the policy over its calls.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
#[cfg(feature = "tokio")]
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use xdr_core::Bytes;

use crate::auth::Credential;
use crate::context::Context;
use crate::message::AuthStat;
use crate::procedure::ProcedureInfo;

/// The other end of a connection, as the channel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// An internet address.
    Tcp(SocketAddr),
    /// The address that a datagram says it is from, which is easily forged.
    Udp(SocketAddr),
    /// A process on this machine, as the kernel tells.
    Unix {
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
        /// Its number.
        pid: Option<i32>,
    },
    /// The end of a channel that TLS protects.
    #[cfg(feature = "tls")]
    Tls {
        /// What the channel runs over.
        over: Box<Self>,
        /// The subject of the certificate that the peer has presented, such as `C=DE,O=Example,CN=client`.
        subject: Option<Arc<str>>,
    },
    /// This process, through memory.
    InMemory,
    /// Nothing is known.
    Unknown,
}

impl Peer {
    /// The internet address, where there is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Some(*address),
            #[cfg(feature = "tls")]
            Self::Tls { over, .. } => over.address(),
            _ => None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// The same peer at the end of a channel that TLS protects.
    #[cfg(feature = "tls")]
    pub(crate) fn over_tls(self, subject: Option<Arc<str>>) -> Self {
        Self::Tls { over: Box::new(self), subject }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) => write!(f, "{address}"),
            Self::Unix { uid, gid, pid: Some(pid) } => write!(f, "uid {uid}, gid {gid}, pid {pid}"),
            Self::Unix { uid, gid, pid: None } => write!(f, "uid {uid}, gid {gid}"),
            #[cfg(feature = "tls")]
            Self::Tls { over, subject: Some(subject) } => write!(f, "{over}, {subject}"),
            #[cfg(feature = "tls")]
            Self::Tls { over, subject: None } => write!(f, "{over}, by TLS"),
            Self::InMemory => f.write_str("this process"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What a connection remembers from call to call.
pub struct Session {
    peer: Peer,
    read_only: AtomicBool,
    /// Whether it began in clear text, where the peer could have asked for TLS.
    pub(crate) offers_tls: bool,
    /// The effective minor version and one more; 0 before one has been negotiated.
    minor: AtomicU32,
    state: Box<dyn Any + Send + Sync>,
    /// The way of our own calls to the connection.
    #[cfg(feature = "tokio")]
    pub(crate) mailbox: Option<Arc<crate::tokio::Mailbox>>,
}

impl Session {
    /// A session at minor version 0, with no state of the user's.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            read_only: AtomicBool::new(false),
            offers_tls: false,
            minor: AtomicU32::new(0),
            state: Box::new(()),
            #[cfg(feature = "tokio")]
            mailbox: None,
        }
    }

    /// Says that only procedures marked read-only are allowed.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = AtomicBool::new(read_only);
        self
    }

    /// Gives the session a state of your own, which handlers get with [`state`](Self::state). Sessions are made where a
    /// server is put together (`ServerBuilder::sessions`), and live as long as their connections.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Mutex;
    /// use rpc_frame::{Peer, Session};
    ///
    /// #[derive(Default)]
    /// struct Login(Mutex<Option<String>>);
    ///
    /// let session = Session::new(Peer::Unknown).with_state(Login::default());
    /// *session.state::<Login>().unwrap().0.lock().unwrap() = Some("ada".into());
    /// assert!(session.state::<String>().is_none(), "it is of another type");
    /// ```
    #[must_use]
    pub fn with_state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.state = Box::new(state);
        self
    }

    /// The other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether only procedures marked read-only are allowed.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// From now on only procedures marked read-only are allowed; nothing lifts it again.
    ///
    /// # Examples
    /// ```
    /// use rpc_frame::{Peer, Session};
    /// let session = Session::new(Peer::Unknown);
    /// session.restrict_to_read_only();
    /// assert!(session.is_read_only());
    /// ```
    pub fn restrict_to_read_only(&self) {
        self.read_only.store(true, Ordering::Release);
    }

    /// The user's state, if it is of this type.
    #[must_use]
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.state.downcast_ref()
    }

    /// The effective minor version; 0 before anything was negotiated.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor.load(Ordering::Acquire).saturating_sub(1)
    }

    /// Settles the minor version and returns the effective one. The first time may raise it, later ones only lower it.
    ///
    /// # Examples
    /// ```
    /// use rpc_frame::{Peer, Session};
    /// let session = Session::new(Peer::Unknown);
    /// assert_eq!(session.negotiate_minor(3), 3);
    /// assert_eq!(session.negotiate_minor(1), 1);
    /// assert_eq!(session.negotiate_minor(2), 1);
    /// ```
    pub fn negotiate_minor(&self, minor: u32) -> u32 {
        // The highest number of all counts as the one below it.
        let minor = minor.saturating_add(1);
        let settle = |before: u32| Some(if before == 0 { minor } else { minor.min(before) });
        // The closure always gives a value, so the update never fails.
        let _ = self.minor.fetch_update(Ordering::AcqRel, Ordering::Acquire, settle);
        self.minor()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("read_only", &self.read_only)
            .field("minor", &self.minor())
            .finish_non_exhaustive()
    }
}

/// What a policy says to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Go on.
    Allow,
    /// As if there were no such procedure.
    ProcUnavail,
    /// The caller is not accepted for this.
    AuthError(AuthStat),
    /// Answer with these results, so that a protocol can refuse in its own reply type.
    Reply(Bytes),
}

/// Decides on calls to known procedures, before their arguments are looked at.
pub trait Policy: Send + Sync + 'static {
    /// Decides on a call. One that panics ends the connection that the call came on; by UDP the call gets SYSTEM_ERR.
    fn check(&self, cx: &Context) -> Verdict;
}

/// The default policy: procedures that the session's minor version has and nobody switched off, with a credential
/// where one is demanded, and only read-only ones on a read-only channel.
///
/// ```
/// use rpc_frame::ActivationPolicy;
/// let policy = ActivationPolicy::default().switch_off(0x2000_0042, 7);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ActivationPolicy {
    switched_off: BTreeSet<(u32, u32)>,
}

impl ActivationPolicy {
    /// Switches a procedure of a program off. It cannot be told from an unknown one.
    #[must_use]
    pub fn switch_off(mut self, program: u32, procedure: u32) -> Self {
        self.switched_off.insert((program, procedure));
        self
    }

    /// Whether a procedure exists for a session at this minor version.
    #[must_use]
    pub fn is_active(&self, procedure: &ProcedureInfo, minor: u32) -> bool {
        procedure.exists_at(minor) && !self.switched_off.contains(&(procedure.program, procedure.number))
    }
}

impl Policy for ActivationPolicy {
    fn check(&self, cx: &Context) -> Verdict {
        let procedure = cx.procedure();
        if !self.is_active(procedure, cx.session().minor()) {
            Verdict::ProcUnavail
        } else if (procedure.auth && *cx.credential() == Credential::None)
            || (cx.session().is_read_only() && !procedure.read_only)
        {
            Verdict::AuthError(AuthStat::TooWeak)
        } else {
            Verdict::Allow
        }
    }
}
