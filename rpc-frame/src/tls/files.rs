//! Certificates and keys, and whether they are of use.

use std::path::{Path, PathBuf};
use std::string::ToString;
use std::sync::Arc;
use std::vec::Vec;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;

use super::name::{parsed, written};
use super::{TlsError, UnusableFile};

/// What stands in front of a key that needs a password (RFC 5958 in RFC 7468 §11, and RFC 1421 §4.6.1.1).
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The files of one end, all of them PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The certificates of those who vouch for the peer, as long as they are valid when they are read.
    pub authorities: PathBuf,
    /// Our certificate, with those between it and the authority behind it.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// The peer's authorities alone: a client that does not say who it is.
    #[must_use]
    pub fn new(authorities: impl Into<PathBuf>) -> Self {
        Self { authorities: authorities.into(), certificate: None, key: None }
    }

    /// With a certificate and its key.
    #[must_use]
    pub fn with_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some(certificate.into());
        self.key = Some(key.into());
        self
    }

    /// Those who vouch for the peer. One whose own certificate is not valid now vouches for nobody, which the TLS library
    /// would not look at; it is left out where there is another, as while that one takes its place.
    pub(super) fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let unusable = |why| TlsError::File { path: self.authorities.clone(), why };
        let mut roots = RootCertStore::empty();
        let mut left_out = None;
        for certificate in certificates(&self.authorities)? {
            let parsed = parsed(&certificate).map_err(|error| unusable(UnusableFile::Certificate(error)))?;
            if let Err(why) = valid_now(&parsed) {
                let subject = written(parsed.subject());
                tracing::warn!(file = %self.authorities.display(), subject, %why, "left an authority out");
                left_out = Some(why);
                continue;
            }
            roots.add(certificate).map_err(|error| unusable(UnusableFile::Unsupported(error)))?;
        }
        match left_out {
            Some(why) if roots.is_empty() => Err(unusable(why)),
            _ => Ok(Arc::new(roots)),
        }
    }

    /// Our certificate and its key, if they are given. Both are looked at before anybody else does: whether they
    /// belong together, are valid now, and for this `usage`.
    pub(super) fn own(&self, usage: Usage, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let chain = certificates(certificate)?;
        let unusable = |path: &Path, why| TlsError::File { path: path.to_path_buf(), why };
        if let Some(own) = chain.first() {
            check(own, usage).map_err(|why| unusable(certificate, why))?;
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, key_error(error, key)))?;
        let signing = provider.key_provider.load_private_key(secret);
        let signing = signing.map_err(|error| unusable(key, UnusableFile::Unsupported(error)))?;
        let own = CertifiedKey::new(chain, signing);
        own.keys_match().map_err(|_| unusable(key, UnusableFile::OtherKey(certificate.clone())))?;
        Ok(Some(own))
    }
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Server,
    Client,
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why| TlsError::File { path: path.to_path_buf(), why };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unusable(pem_error(error, "certificate")))?;
    if read.is_empty() { Err(unusable(UnusableFile::Empty("certificate"))) } else { Ok(read) }
}

/// A key that needs a password is passed over as if there were none, or read as what it is not.
fn key_error(error: pem::Error, path: &Path) -> UnusableFile {
    let is_encrypted = |text: Vec<u8>| text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
    match std::fs::read(path).is_ok_and(is_encrypted) {
        true => UnusableFile::Encrypted,
        false => pem_error(error, "private key"),
    }
}

fn pem_error(error: pem::Error, wanted: &'static str) -> UnusableFile {
    match error {
        pem::Error::Io(error) => UnusableFile::Read(error),
        pem::Error::NoItemsFound => UnusableFile::Empty(wanted),
        other => UnusableFile::Pem(other.to_string()),
    }
}

fn valid_now(certificate: &X509Certificate<'_>) -> Result<(), UnusableFile> {
    let (validity, now) = (certificate.validity(), x509_parser::time::ASN1Time::now());
    if now > validity.not_after {
        return Err(UnusableFile::Expired(validity.not_after.to_string()));
    }
    if now < validity.not_before {
        return Err(UnusableFile::NotYetValid(validity.not_before.to_string()));
    }
    Ok(())
}

/// Whether a certificate's key may do what it does in each handshake (RFC 8446 §4.4.2, RFC 8422 §5.3). One that names no use
/// is for all of them (RFC 5280 §4.2.1.3).
pub(super) fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        Ok(None) => true,
        // It cannot be read.
        Err(_) => false,
    }
}

fn check(certificate: &CertificateDer<'_>, usage: Usage) -> Result<(), UnusableFile> {
    let certificate = parsed(certificate).map_err(UnusableFile::Certificate)?;
    valid_now(&certificate)?;
    if !may_sign(&certificate) {
        return Err(UnusableFile::KeyUsage);
    }
    // A certificate that names no use is for all of them (RFC 5280 §4.2.1.12).
    if let Ok(Some(extended)) = certificate.extended_key_usage() {
        let extended = extended.value;
        let (named, what) = match usage {
            Usage::Server => (extended.server_auth, "servers"),
            Usage::Client => (extended.client_auth, "clients"),
        };
        if !named && !extended.any {
            return Err(UnusableFile::Usage(what));
        }
    }
    Ok(())
}
