//! Who makes a call, as its context carries it, and the caller that a connection knows already.

use alloc::sync::Arc;

#[cfg(feature = "tokio")]
use xdr_core::BytesMut;

#[cfg(feature = "tokio")]
use crate::auth::AuthFlavor;
use crate::auth::{Credential, OpaqueAuth};
use crate::authenticate::{Authenticated, Identity};

static NO_CREDENTIAL: Credential = Credential::None;
static NO_VERIFIER: OpaqueAuth = OpaqueAuth::none();

/// A caller that is let in.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    /// What the caller said, and what it is to be told; none where neither has anything to say.
    said: Option<Arc<(Credential, OpaqueAuth)>>,
}

impl Clone for Caller {
    fn clone(&self) -> Self {
        Self { identity: self.identity.clone(), said: self.said.clone() }
    }

    /// Mostly the caller is the same.
    #[inline]
    fn clone_from(&mut self, source: &Self) {
        let is_same = match (&self.said, &source.said) {
            (Some(said), Some(other)) => Arc::ptr_eq(said, other),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.said.clone_from(&source.said);
        }
        if !matches!((&self.identity, &source.identity), (Identity::Anonymous, Identity::Anonymous)) {
            self.identity.clone_from(&source.identity);
        }
    }
}

impl From<Authenticated> for Caller {
    fn from(caller: Authenticated) -> Self {
        let Authenticated { credential, identity, verifier } = caller;
        let is_silent = matches!(credential, Credential::None) && verifier.is_none();
        Self { identity, said: if is_silent { None } else { Some(Arc::new((credential, verifier))) } }
    }
}

impl Caller {
    pub(crate) fn credential(&self) -> &Credential {
        self.said.as_ref().map_or(&NO_CREDENTIAL, |said| &said.0)
    }

    /// What the reply says to the caller, if it says anything.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn said_to_caller(&self) -> Option<&OpaqueAuth> {
        self.said.as_ref().map(|said| &said.1).filter(|verifier| !verifier.is_none())
    }

    /// What the reply says to the caller.
    pub(crate) fn verifier(&self) -> &OpaqueAuth {
        self.said.as_ref().map_or(&NO_VERIFIER, |said| &said.1)
    }

    /// Whether it may outlive its call: other credentials, and what callers are told, may be parts of the record that they
    /// came in.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn may_be_kept(&self) -> bool {
        self.said.as_deref().is_none_or(|(credential, verifier)| {
            matches!(credential, Credential::None | Credential::Sys(_)) && verifier.is_none()
        })
    }
}

/// The last caller on a connection that need not be asked again who it is.
///
/// Most connections have one caller, who says the same with each call.
#[cfg(feature = "tokio")]
#[derive(Debug, Default)]
pub(crate) struct KnownCaller {
    /// Its credential and verifier, byte for byte as they come in a call.
    wire: BytesMut,
    caller: Option<Caller>,
}

#[cfg(feature = "tokio")]
impl KnownCaller {
    /// Remembers a caller who was let in for as long as the connection lasts.
    pub(crate) fn learn(&mut self, credential: &OpaqueAuth, verifier: &OpaqueAuth, caller: &Caller) {
        self.caller = None;
        self.wire.clear();
        // Whether AUTH_TLS will do depends on the procedure.
        let is_question = credential.flavor == AuthFlavor::TLS;
        if !is_question
            && caller.may_be_kept()
            && xdr_core::encode_into(&(credential, verifier), &mut self.wire).is_ok()
        {
            self.caller = Some(caller.clone());
        }
    }

    /// The caller, if it is the known one whose credential and verifier are at the front of `words`; and what follows them.
    #[inline]
    pub(crate) fn recognize<'w>(&self, words: &'w [u8]) -> Option<(&Caller, &'w [u8])> {
        let caller = self.caller.as_ref()?;
        // Mostly neither, in four words, for which comparing bytes one by one would take its time.
        let rest = match (words.split_first_chunk::<16>(), self.wire.as_array::<16>()) {
            (Some((said, rest)), Some(wire)) if said == wire => rest,
            _ => words.strip_prefix(&*self.wire)?,
        };
        Some((caller, rest))
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::auth::{AuthFlavor, AuthSys};
    use crate::session::{Peer, Session};
    use xdr_core::Bytes;

    fn sys(uid: u32) -> Credential {
        Credential::Sys(AuthSys { stamp: 0, machine_name: "host".into(), uid, gid: 9, gids: Vec::new() })
    }

    fn words(credential: &OpaqueAuth, args: &[u8]) -> Vec<u8> {
        let mut words = xdr_core::to_vec(&(credential, OpaqueAuth::none())).unwrap();
        words.extend_from_slice(args);
        words
    }

    #[test]
    fn only_the_last_caller_is_known_and_only_by_all_that_it_says() {
        let session = Session::new(Peer::Unknown);
        let [first, second] = [1, 2].map(|uid| {
            let credential = sys(uid);
            (credential.to_opaque().unwrap(), Caller::from(Authenticated::new(&session, credential)))
        });
        let mut known = KnownCaller::default();
        assert!(known.recognize(&words(&OpaqueAuth::none(), b"")).is_none(), "nobody is known");
        known.learn(&first.0, &OpaqueAuth::none(), &first.1);
        let (caller, args) =
            known.recognize(&words(&first.0, b"args")).map(|(caller, args)| (caller, args.len())).unwrap();
        assert_eq!((&caller.identity, args), (&Identity::Claimed { uid: 1, gid: 9 }, 4));
        assert!(known.recognize(&words(&second.0, b"args")).is_none());
        assert!(known.recognize(&words(&first.0, b"")[..20]).is_none(), "cut off");
        known.learn(&second.0, &OpaqueAuth::none(), &second.1);
        assert!(known.recognize(&words(&first.0, b"")).is_none(), "one at a time");
        assert!(known.recognize(&words(&second.0, b"")).is_some());
    }

    #[test]
    fn whose_credential_lies_in_the_record_who_is_told_something_and_who_asks_for_tls_is_not_kept() {
        let session = Session::new(Peer::Unknown);
        let token = OpaqueAuth { flavor: AuthFlavor(77), body: Bytes::from_static(b"sesame..") };
        let other = Authenticated::new(&session, Credential::Other(token.clone()));
        let told = Authenticated { verifier: token.clone(), ..Authenticated::new(&session, sys(1)) };
        let sys = sys(1).to_opaque().unwrap();
        // An authenticator may let it in as nobody, with NULL.
        let question = OpaqueAuth { flavor: AuthFlavor::TLS, body: Bytes::new() };
        let nobody = Authenticated::new(&session, Credential::None);
        let mut known = KnownCaller::default();
        for (said, caller) in [(&token, other), (&sys, told), (&question, nobody)] {
            known.learn(said, &OpaqueAuth::none(), &Caller::from(caller));
            assert!(known.recognize(&words(said, b"")).is_none());
        }
    }
}
