//! Credentials and verifiers (RFC 5531 §8.2, §14, appendix A).

use alloc::string::String;
use alloc::vec::Vec;

use xdr_core::{Bytes, DecodeError, EncodeError, Xdr};

/// The longest body of a credential or verifier, in bytes.
pub const MAX_AUTH_BYTES: usize = 400;

/// The number of an authentication flavor.
///
/// On the wire an `unsigned int`, since flavors that nobody here knows must be kept, not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Xdr)]
#[xdr(transparent, rename = "auth_flavor")]
pub struct AuthFlavor(pub u32);

impl AuthFlavor {
    /// No identity.
    pub const NONE: Self = Self(0);
    /// A claimed unix identity, [`AuthSys`].
    pub const SYS: Self = Self(1);
    /// A short hand that the server issued for a credential.
    pub const SHORT: Self = Self(2);
    /// Diffie-Hellman, not supported.
    pub const DH: Self = Self(3);
    /// RPCSEC_GSS, not supported.
    pub const GSS: Self = Self(6);
    /// The probe for TLS (RFC 9289).
    pub const TLS: Self = Self(7);
}

/// A credential or a verifier: `struct opaque_auth { auth_flavor flavor; opaque body<400>; }`.
///
/// ```
/// use rpc_frame::{AuthFlavor, OpaqueAuth};
/// assert_eq!(rpc_frame::xdr::to_vec(&OpaqueAuth::none()).unwrap(), [0; 8]);
/// assert_eq!(OpaqueAuth::none().flavor, AuthFlavor::NONE);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "opaque_auth")]
pub struct OpaqueAuth {
    /// What the body is.
    pub flavor: AuthFlavor,
    /// The flavor's own data.
    #[xdr(max = MAX_AUTH_BYTES)]
    pub body: Bytes,
}

impl OpaqueAuth {
    /// AUTH_NONE with an empty body.
    #[must_use]
    pub const fn none() -> Self {
        Self { flavor: AuthFlavor::NONE, body: Bytes::new() }
    }

    /// Whether it is AUTH_NONE with an empty body. Asked for each call; a comparison would call `memcmp`.
    pub(crate) fn is_none(&self) -> bool {
        self.flavor == AuthFlavor::NONE && self.body.is_empty()
    }
}

impl Default for OpaqueAuth {
    fn default() -> Self {
        Self::none()
    }
}

/// [`OpaqueAuth`] as it lies in the record: nothing is copied or counted.
///
/// ```
/// use rpc_frame::{AuthFlavor, AuthSysRef, OpaqueAuthRef, xdr};
/// let wire = [[0, 0, 0, 1], [0, 0, 0, 24], [0; 4], [0; 4], [0; 4], [0; 4], [0, 0, 0, 1], [0, 0, 0, 100]];
/// let credential: OpaqueAuthRef<'_> = xdr::from_slice(wire.as_flattened())?;
/// assert_eq!(credential.flavor, AuthFlavor::SYS);
/// let claimed: AuthSysRef<'_> = xdr::from_slice(credential.body)?;
/// assert_eq!(claimed.gids().collect::<Vec<_>>(), [100]);
/// # Ok::<(), xdr::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "opaque_auth")]
pub struct OpaqueAuthRef<'a> {
    /// What the body is.
    pub flavor: AuthFlavor,
    /// The flavor's own data.
    #[xdr(max = MAX_AUTH_BYTES)]
    pub body: &'a [u8],
}

impl OpaqueAuthRef<'_> {
    /// As [`OpaqueAuth::is_none`].
    #[cfg(feature = "tokio")]
    pub(crate) fn is_none(&self) -> bool {
        self.flavor == AuthFlavor::NONE && self.body.is_empty()
    }

    /// The same with a body of its own: a part of `record`, where it lies.
    pub(crate) fn owned_in(&self, record: &Bytes) -> OpaqueAuth {
        OpaqueAuth { flavor: self.flavor, body: record.slice_ref(self.body) }
    }
}

/// The body of AUTH_SYS: a unix identity that the client claims. [`Credential::to_opaque`] makes a call's credential of it.
///
/// `struct authsys_parms { unsigned int stamp; string machinename<255>; unsigned int uid, gid, gids<16>; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "authsys_parms")]
pub struct AuthSys {
    /// An arbitrary number of the caller's.
    pub stamp: u32,
    /// The caller's machine.
    #[xdr(max = 255)]
    pub machine_name: String,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Further groups.
    #[xdr(max = 16)]
    pub gids: Vec<u32>,
}

/// [`AuthSys`] as it lies in the record: nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "authsys_parms")]
pub struct AuthSysRef<'a> {
    /// An arbitrary number of the caller's.
    pub stamp: u32,
    /// The caller's machine.
    #[xdr(max = 255)]
    pub machine_name: &'a str,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Further groups, each as its big-endian word.
    #[xdr(max = 16)]
    pub gids: &'a [[u8; 4]],
}

impl AuthSysRef<'_> {
    /// Further groups.
    pub fn gids(&self) -> impl Iterator<Item = u32> {
        self.gids.iter().map(|gid| u32::from_be_bytes(*gid))
    }
}

/// The body of AUTH_SHORT: what the server issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthShort(pub Bytes);

/// A credential whose body has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// AUTH_NONE.
    None,
    /// AUTH_SYS. A claim, as true as the channel is trusted.
    Sys(AuthSys),
    /// AUTH_SHORT.
    Short(AuthShort),
    /// Any other flavor, kept as it came.
    Other(OpaqueAuth),
}

impl Credential {
    /// Reads the body of a credential.
    ///
    /// # Errors
    /// When the body is not what its flavor says.
    pub fn read(auth: &OpaqueAuth) -> Result<Self, DecodeError> {
        match auth.flavor {
            AuthFlavor::NONE => Ok(Self::None),
            AuthFlavor::SYS => Ok(Self::Sys(xdr_core::from_bytes(&auth.body)?)),
            AuthFlavor::SHORT => Ok(Self::Short(AuthShort(auth.body.clone()))),
            _ => Ok(Self::Other(auth.clone())),
        }
    }

    /// The credential as it goes into a call.
    ///
    /// # Errors
    /// When a name or the groups of AUTH_SYS are longer than their maximum.
    pub fn to_opaque(&self) -> Result<OpaqueAuth, EncodeError> {
        match self {
            Self::None => Ok(OpaqueAuth::none()),
            Self::Sys(sys) => Ok(OpaqueAuth { flavor: AuthFlavor::SYS, body: xdr_core::to_bytes(sys)? }),
            Self::Short(AuthShort(body)) => Ok(OpaqueAuth { flavor: AuthFlavor::SHORT, body: body.clone() }),
            Self::Other(auth) => Ok(auth.clone()),
        }
    }
}
