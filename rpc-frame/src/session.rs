//! What a connection remembers from call to call, what a handler knows of its call, and the policy over both.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use xdr_core::{Bytes, Limits};

use crate::auth::{Credential, OpaqueAuth};
use crate::authenticate::Identity;
use crate::caller::Caller;
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

    /// Gives the session a state of your own, which handlers get with [`state`](Self::state).
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

/// What a handler knows of the call that it answers.
#[derive(Debug, Clone)]
pub struct Context(Box<Facts>);

/// It is moved into the handler, so it lies in a box, which is used again for the next call.
#[derive(Debug, Clone)]
struct Facts {
    session: Arc<Session>,
    xid: u32,
    procedure: &'static ProcedureInfo,
    caller: Caller,
    limits: Limits,
    time_limit: Option<Duration>,
    #[cfg(feature = "tokio")]
    begun: Option<::tokio::time::Instant>,
}

impl Context {
    /// A call's context, in the box of `spare`, one of the same session, if there is one.
    pub(crate) fn new(
        spare: Option<Self>,
        session: &Arc<Session>,
        xid: u32,
        procedure: &'static ProcedureInfo,
        caller: &Caller,
        limits: Limits,
        time_limit: Option<Duration>,
    ) -> Self {
        let Some(Self(mut facts)) = spare else {
            return Self(Box::new(Facts {
                session: Arc::clone(session),
                xid,
                procedure,
                caller: caller.clone(),
                limits,
                time_limit,
                #[cfg(feature = "tokio")]
                begun: None,
            }));
        };
        facts.xid = xid;
        facts.procedure = procedure;
        facts.caller.clone_from(caller);
        facts.limits = limits;
        facts.time_limit = time_limit;
        #[cfg(feature = "tokio")]
        {
            facts.begun = None;
        }
        Self(facts)
    }

    /// Begins the handler's time.
    #[cfg(feature = "tokio")]
    pub(crate) fn begin(&mut self, now: ::tokio::time::Instant) {
        self.0.begun = Some(now);
    }

    /// What the reply says to the caller, if it says anything.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn said_to_caller(&self) -> Option<Box<OpaqueAuth>> {
        self.0.caller.said_to_caller().map(|verifier| Box::new(verifier.clone()))
    }

    /// What the connection remembers.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.0.session.peer()
    }

    /// A client of the caller's: its calls travel on the connection that this call came on. None where there is no
    /// such connection.
    ///
    /// It may outlive the call, and keeps the connection from being idle; when the connection ends, its calls fail. The
    /// caller has to serve what is called: [`Client::serving`](crate::tokio::Client::serving).
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn client(&self) -> Option<crate::tokio::Client> {
        let mailbox = self.0.session.mailbox.as_ref()?;
        Some(crate::tokio::Client::served(Arc::clone(mailbox), None))
    }

    /// The transaction.
    #[must_use]
    pub fn xid(&self) -> u32 {
        self.0.xid
    }

    /// What is called: program, version, number, name.
    #[must_use]
    pub fn procedure(&self) -> &'static ProcedureInfo {
        self.0.procedure
    }

    /// Who the caller says that it is. [`Credential::Sys`] is a claim, not a proof.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        self.0.caller.credential()
    }

    /// Who the caller is, and whether anybody but itself says so.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.caller.identity
    }

    /// What the reply says to the caller.
    #[must_use]
    pub fn verifier(&self) -> &OpaqueAuth {
        self.0.caller.verifier()
    }

    /// What decoding the arguments may cost.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// How long the handler may take in all: its procedure's own limit, or else the server's. None where there is none.
    ///
    /// The servers on tokio hold handlers to it. Whoever drives an engine himself has the clock, and does so himself.0.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.0.time_limit
    }

    /// When the handler is given up, if it has not ended by then: it is dropped where it waits, and its caller gets
    /// SYSTEM_ERR. None where there is no limit, or no server on tokio.
    ///
    /// A handler with something better to say than SYSTEM_ERR leaves itself the time to say it:
    ///
    /// ```
    /// use std::time::Duration;
    /// use rpc_frame::{Context, ProcedureTable};
    /// use tokio::time::{sleep, timeout_at};
    /// use xdr_core::Xdr;
    ///
    /// #[derive(Xdr)]
    /// #[rpc(program = 9, version = 1, proc = 1, reply = Option<u32>, time_limit = Duration::from_secs(30))]
    /// struct Measure;
    ///
    /// #[derive(ProcedureTable)]
    /// #[rpc(program = 9, version = 1, service = GaugeService)]
    /// enum Gauge { Measure(Measure) }
    ///
    /// struct Slow;
    /// impl GaugeService for Slow {
    ///     async fn measure(&self, cx: &Context, _: Measure) -> Option<u32> {
    ///         let measured = async { sleep(Duration::from_secs(60)).await; 42 };
    ///         let Some(deadline) = cx.deadline() else { return Some(measured.await) };
    ///         timeout_at(deadline - Duration::from_secs(1), measured).await.ok()
    ///     }
    /// }
    /// ```
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn deadline(&self) -> Option<::tokio::time::Instant> {
        self.0.begun?.checked_add(self.0.time_limit?)
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
    /// Decides on a call.
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

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use crate::auth::AuthSys;
    use crate::authenticate::Authenticated;

    static PROCEDURES: [ProcedureInfo; 2] =
        [ProcedureInfo::new(1, 1, 1, "First"), ProcedureInfo::new(1, 1, 2, "Second")];

    #[test]
    fn a_context_that_is_used_again_has_nothing_of_the_call_before() {
        let session = Arc::new(Session::new(Peer::Unknown));
        let sys = AuthSys { stamp: 1, machine_name: "host".into(), uid: 5, gid: 6, gids: alloc::vec![7] };
        let known = Authenticated::new(&session, Credential::Sys(sys));
        let verifier = OpaqueAuth { flavor: crate::AuthFlavor::SHORT, body: Bytes::from_static(b"told") };
        let callers =
            [Authenticated { verifier, ..known }, Authenticated::new(&session, Credential::None)].map(Caller::from);
        let limits = [Limits::unlimited_trusted(), Limits::DEFAULT];
        let times = [Some(Duration::from_secs(1)), None];
        let context = |spare, index: usize| {
            let caller = &callers[index];
            Context::new(spare, &session, index as u32, &PROCEDURES[index], caller, limits[index], times[index])
        };
        let shown = |context: &Context| alloc::format!("{context:?} {:?}", context.deadline());
        for (before, now) in [(0, 1), (1, 0), (0, 0)] {
            let mut spare = context(None, before);
            spare.begin(::tokio::time::Instant::now());
            assert_eq!(shown(&context(Some(spare), now)), shown(&context(None, now)));
        }
    }
}
