//! Who calls: the hook over credentials, and the short hands that a server issues for them (RFC 5531 §14, appendix A).

use alloc::sync::Arc;
use core::fmt;

use crate::auth::{Credential, OpaqueAuth};
use crate::message::AuthStat;
use crate::session::{Peer, Session};

/// Who calls, as far as the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// Nobody has said anything.
    Anonymous,
    /// A process on this machine, as the kernel tells.
    Unix {
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
    },
    /// What the caller says of itself with AUTH_SYS, and nobody proves.
    Claimed {
        /// The effective user.
        uid: u32,
        /// The effective group.
        gid: u32,
    },
    /// A name that is proven: the subject of a certificate, or what an [`Authenticator`] has found.
    Named(Arc<str>),
}

impl Identity {
    /// Whether somebody other than the caller vouches for it.
    ///
    /// ```
    /// use rpc_frame::Identity;
    /// assert!(Identity::Unix { uid: 0, gid: 0 }.is_proven());
    /// assert!(!Identity::Claimed { uid: 0, gid: 0 }.is_proven());
    /// ```
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        matches!(self, Self::Unix { .. } | Self::Named(_))
    }

    /// Who the channel knows to be at its other end (the subject of a certificate, or a process), or else what the
    /// credential claims.
    #[must_use]
    pub fn of(session: &Session, credential: &Credential) -> Self {
        Self::proven(session.peer()).unwrap_or(match credential {
            Credential::Sys(sys) => Self::Claimed { uid: sys.uid, gid: sys.gid },
            _ => Self::Anonymous,
        })
    }

    /// Who the channel knows to be at its other end.
    fn proven(peer: &Peer) -> Option<Self> {
        match peer {
            Peer::Unix { uid, gid, .. } => Some(Self::Unix { uid: *uid, gid: *gid }),
            #[cfg(feature = "tls")]
            Peer::Tls { subject: Some(subject), .. } => Some(Self::Named(Arc::clone(subject))),
            #[cfg(feature = "tls")]
            Peer::Tls { over, subject: None } => Self::proven(over),
            _ => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Unix { uid, gid } => write!(f, "uid {uid}, gid {gid}"),
            Self::Claimed { uid, gid } => write!(f, "claims uid {uid}, gid {gid}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// A caller that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// What the caller says of itself.
    pub credential: Credential,
    /// Who it is.
    pub identity: Identity,
    /// What the reply says to it: mostly nothing, or a short hand for the next call.
    pub verifier: OpaqueAuth,
}

impl Authenticated {
    /// A caller with the identity that channel and credential give it, and nothing to be said to it.
    #[must_use]
    pub fn new(session: &Session, credential: Credential) -> Self {
        let identity = Identity::of(session, &credential);
        Self { credential, identity, verifier: OpaqueAuth::none() }
    }
}

/// Decides who calls, before anything else of a call is looked at.
///
/// ```
/// use rpc_frame::{AuthFlavor, AuthStat, Authenticated, Authenticator, Credential, Identity, OpaqueAuth, Session};
///
/// /// Tokens in a flavor of our own.
/// struct Tokens;
///
/// impl Authenticator for Tokens {
///     fn authenticate(
///         &self,
///         session: &Session,
///         credential: &OpaqueAuth,
///         _verifier: &OpaqueAuth,
///     ) -> Result<Authenticated, AuthStat> {
///         match (credential.flavor, credential.body.as_ref()) {
///             (AuthFlavor(0x2000_0001), b"open sesame") => Ok(Authenticated {
///                 identity: Identity::Named("ali baba".into()),
///                 ..Authenticated::new(session, Credential::Other(credential.clone()))
///             }),
///             (AuthFlavor(0x2000_0001), _) => Err(AuthStat::RejectedCred),
///             _ => Err(AuthStat::TooWeak),
///         }
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Decides on a call's credential and verifier, which are at most 400 bytes each. One that panics ends the connection
    /// that the call came on; by UDP the call gets SYSTEM_ERR.
    ///
    /// # Errors
    /// What the caller is told instead: AUTH_BADCRED for a body that is not its flavor's, AUTH_REJECTEDCRED for a
    /// flavor or a caller that is not accepted.
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat>;

    /// Whether who was let in stays let in as long as its connection lasts: a call on the same connection with the same
    /// credential and verifier, byte for byte, need not be asked about again. No, unless you say so.
    ///
    /// A hook that can change its mind, that counts, or whose callers prove each call anew has to see every call.
    ///
    /// It is asked when a caller is let in, and what it says holds for that caller from then on. The server remembers the last
    /// caller of each connection, if that has AUTH_NONE or AUTH_SYS for its [`Credential`] and is told nothing; about others
    /// `authenticate` is asked all the same.
    fn lets_in_for_good(&self) -> bool {
        false
    }
}

/// The default: AUTH_NONE and AUTH_SYS are accepted, as what they are. Any other flavor gets AUTH_REJECTEDCRED.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AcceptClaims;

impl Authenticator for AcceptClaims {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        _: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        match Credential::read(credential) {
            Ok(credential @ (Credential::None | Credential::Sys(_))) => Ok(Authenticated::new(session, credential)),
            Ok(Credential::Short(_) | Credential::Other(_)) => Err(AuthStat::RejectedCred),
            Err(_) => Err(AuthStat::BadCred),
        }
    }

    /// It looks at nothing but the credential and the channel.
    fn lets_in_for_good(&self) -> bool {
        true
    }
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        (**self).authenticate(session, credential, verifier)
    }

    fn lets_in_for_good(&self) -> bool {
        (**self).lets_in_for_good()
    }
}
