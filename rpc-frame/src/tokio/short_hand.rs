//! AUTH_SHORT: a few bytes instead of a whole AUTH_SYS credential, for callers that take them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use xdr_core::Bytes;

use crate::auth::{AuthFlavor, OpaqueAuth};
use crate::authenticate::{Authenticated, Authenticator};
use crate::message::AuthStat;
use crate::session::Session;

/// Issues a short hand for each AUTH_SYS credential that `inner` accepts, and takes it in the credential's place.
///
/// The reply's verifier carries it (RFC 5531, appendix A). Only the latest are remembered; a caller that comes with a
/// forgotten one gets AUTH_REJECTEDCRED and calls again with its credential, as [`Client`](super::Client) does.
/// A short hand is as weak as the claim that it stands for.
pub struct ShortHands<A> {
    inner: A,
    most: usize,
    /// Makes short hands that cannot be guessed from others.
    secrets: [RandomState; 2],
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    next: u64,
    by_short: HashMap<[u8; SHORT], OpaqueAuth>,
    by_credential: HashMap<Bytes, [u8; SHORT]>,
    oldest_first: VecDeque<[u8; SHORT]>,
}

/// The length of a short hand, in bytes.
const SHORT: usize = 16;

impl<A: Authenticator> ShortHands<A> {
    /// Remembers the latest `most` short hands, each with its credential of at most 400 bytes.
    ///
    /// # Examples
    /// ```
    /// use rpc_frame::AcceptClaims;
    /// use rpc_frame::tokio::ShortHands;
    /// let authenticator = ShortHands::new(AcceptClaims, 1024);
    /// ```
    #[must_use]
    pub fn new(inner: A, most: usize) -> Self {
        Self { inner, most, secrets: [RandomState::new(), RandomState::new()], issued: Mutex::default() }
    }

    /// Forgets all that was issued.
    pub fn forget(&self) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        *issued = Issued { next: issued.next, ..Issued::default() };
    }

    /// The short hand of a credential: the one that it has, or a new one.
    fn issue(&self, credential: &OpaqueAuth) -> [u8; SHORT] {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(short) = issued.by_credential.get(&credential.body) {
            return *short;
        }
        while issued.oldest_first.len() >= self.most.max(1) {
            if let Some(oldest) = issued.oldest_first.pop_front()
                && let Some(forgotten) = issued.by_short.remove(&oldest)
            {
                issued.by_credential.remove(&forgotten.body);
            }
        }
        issued.next = issued.next.wrapping_add(1);
        let next = issued.next;
        let mut short = [0; SHORT];
        for (part, secret) in short.as_chunks_mut::<8>().0.iter_mut().zip(&self.secrets) {
            *part = secret.hash_one(next).to_be_bytes();
        }
        // A copy: the body is a part of the record that it came in.
        let body = Bytes::copy_from_slice(&credential.body);
        issued.by_credential.insert(body.clone(), short);
        issued.by_short.insert(short, OpaqueAuth { flavor: credential.flavor, body });
        issued.oldest_first.push_back(short);
        short
    }

    fn credential_of(&self, short: &OpaqueAuth) -> Option<OpaqueAuth> {
        let short: [u8; SHORT] = short.body.as_ref().try_into().ok()?;
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).by_short.get(&short).cloned()
    }
}

impl<A: Authenticator> Authenticator for ShortHands<A> {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        match credential.flavor {
            AuthFlavor::SHORT => match self.credential_of(credential) {
                Some(known) => self.inner.authenticate(session, &known, verifier),
                None => Err(AuthStat::RejectedCred),
            },
            AuthFlavor::SYS => {
                let accepted = self.inner.authenticate(session, credential, verifier)?;
                let body = Bytes::from(Vec::from(self.issue(credential)));
                Ok(Authenticated { verifier: OpaqueAuth { flavor: AuthFlavor::SHORT, body }, ..accepted })
            }
            _ => self.inner.authenticate(session, credential, verifier),
        }
    }
}

impl<A: fmt::Debug> fmt::Debug for ShortHands<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShortHands").field("inner", &self.inner).field("most", &self.most).finish_non_exhaustive()
    }
}
