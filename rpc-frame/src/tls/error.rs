//! Why there is no channel.

use std::boxed::Box;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::string::String;
use std::sync::Arc;

use tokio_rustls::rustls;

use crate::connection::ConnectionError;

/// Why a file of certificates or keys is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableFile {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is not PEM.
    #[error("it is not PEM: {0}")]
    Pem(String),
    /// It holds nothing of the kind.
    #[error("there is no {0} in it")]
    Empty(&'static str),
    /// It needs a password.
    #[error("the private key is encrypted, and nobody is asked for its password")]
    Encrypted,
    /// It is no certificate.
    #[error("it is not a certificate: {0}")]
    Certificate(String),
    /// It is not valid any more.
    #[error("the certificate has expired, it was valid until {0}")]
    Expired(String),
    /// It is not valid yet.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(String),
    /// It is for another use.
    #[error("the certificate is not for {0} (extended key usage)")]
    Usage(&'static str),
    /// Its key may sign nothing, and a handshake is signed.
    #[error("the certificate's key is not for signatures (key usage)")]
    KeyUsage,
    /// The key is not that of the certificate.
    #[error("the key does not belong to the certificate '{}'", .0.display())]
    OtherKey(PathBuf),
    /// The TLS library does not take it.
    #[error(transparent)]
    Unsupported(rustls::Error),
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is of no use.
    #[error("'{}': {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: UnusableFile,
    },
    /// The TLS library does not take the configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(Box<dyn std::error::Error + Send + Sync>),
    /// The host is neither a name nor an address.
    #[error("'{0}' is neither a host's name nor an address")]
    Host(String),
    /// The peer does not speak TLS.
    #[error("the peer does not speak TLS")]
    PlainText,
    /// The peer broke the protocol before TLS.
    #[error("in clear text: {0}")]
    ClearText(ConnectionError),
    /// The peer went on in clear text behind its question for TLS.
    #[error("{0} bytes of clear text came ahead of the handshake")]
    AheadOfHandshake(usize),
    /// The peer has presented no certificate.
    #[error("the peer has presented no certificate")]
    NoCertificate,
    /// The peer's certificate is not accepted.
    #[error("the peer's certificate is not accepted: {0}")]
    Certificate(rustls::CertificateError),
    /// The key of the peer's certificate may sign nothing, and a handshake is signed.
    #[error("the peer's certificate is not accepted: its key is not for signatures (key usage)")]
    KeyUsage,
    /// The peer ends the handshake.
    #[error("the peer refuses: {0:?}")]
    Refused(rustls::AlertDescription),
    /// TLS failed in another way.
    #[error("{0}")]
    Protocol(rustls::Error),
    /// The stream failed.
    #[error("{0}")]
    Io(io::Error),
    /// The handshake took too long.
    #[error("the handshake was not done in time")]
    TimedOut,
    /// The certificate's name is not on the list.
    #[error("'{0}' is not on the list of names that may connect")]
    NameNotAllowed(String),
    /// The address is not on the list.
    #[error("{0} is not in a network that may connect")]
    AddressNotAllowed(IpAddr),
}

impl TlsError {
    /// What a handshake ended with.
    pub(super) fn handshake(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
        match inner {
            None => Self::Io(error),
            Some(rustls::Error::InvalidMessage(
                rustls::InvalidMessage::InvalidContentType | rustls::InvalidMessage::UnknownProtocolVersion,
            )) => Self::PlainText,
            Some(rustls::Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(why))) => {
                match why.0.downcast_ref::<Self>() {
                    Some(Self::NameNotAllowed(name)) => Self::NameNotAllowed(name.clone()),
                    Some(Self::KeyUsage) => Self::KeyUsage,
                    _ => Self::Certificate(rustls::CertificateError::Other(why)),
                }
            }
            Some(rustls::Error::InvalidCertificate(why)) => Self::Certificate(why),
            Some(rustls::Error::AlertReceived(alert)) => Self::Refused(alert),
            Some(other) => Self::Protocol(other),
        }
    }

    /// The same, as what a verifier of certificates says.
    pub(super) fn of_certificate(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(Arc::new(self))))
    }

    pub(super) fn setup(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Setup(error.into())
    }
}
