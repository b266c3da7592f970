//! The client's end.

use std::fmt;
use std::string::ToString;
use std::sync::Arc;
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_rustls::{TlsConnector, TlsStream};

use super::files::{Usage, may_sign};
use super::name::parsed;
use super::{ALPN, TlsError, TlsFiles};
use crate::tokio::Stream;

/// The certificates and rules of a client.
#[derive(Clone)]
pub struct ClientTls {
    from_the_start: Arc<ClientConfig>,
    begun: Arc<ClientConfig>,
    pub(super) handshake_timeout: Duration,
}

/// A client's end that is being put together: [`ClientTls::builder`].
#[derive(Clone)]
pub struct ClientTlsBuilder {
    files: TlsFiles,
    verify: bool,
    handshake_timeout: Duration,
    provider: Option<Arc<CryptoProvider>>,
}

impl ClientTlsBuilder {
    /// Takes any certificate of the server's: whoever is in between can read and change everything. It is logged.
    #[must_use]
    pub const fn dangerous_no_verify(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Sets how long a handshake may take: 10 s else.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets the library that encrypts; ring else.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When one of them is missing or of no use.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let provider = self.provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let own = self.files.own(Usage::Client, &provider)?.map(Arc::new);
        let roots = if self.verify { Some(self.files.roots()?) } else { None };
        let verifier = verifier(roots, &provider)?;
        let config = |versions: &[&'static SupportedProtocolVersion]| {
            let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
            let config = config.with_protocol_versions(versions).map_err(TlsError::setup)?;
            let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier));
            let mut config = match &own {
                Some(own) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(own)))),
                None => config.with_no_client_auth(),
            };
            config.alpn_protocols = vec![ALPN.to_vec()];
            Ok(Arc::new(config))
        };
        Ok(ClientTls {
            from_the_start: config(&[&TLS13, &TLS12])?,
            begun: config(&[&TLS13])?,
            handshake_timeout: self.handshake_timeout,
        })
    }
}

fn verifier(
    roots: Option<Arc<RootCertStore>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    match roots {
        Some(roots) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            Ok(Arc::new(Signing(verifier.map_err(TlsError::setup)?)))
        }
        None => {
            tracing::warn!("the server's certificate is not verified");
            Ok(Arc::new(Anybody(Arc::clone(provider))))
        }
    }
}

impl ClientTls {
    /// A client's end with these files.
    #[must_use]
    pub const fn builder(files: TlsFiles) -> ClientTlsBuilder {
        ClientTlsBuilder { files, verify: true, handshake_timeout: Duration::from_secs(10), provider: None }
    }

    /// Speaks TLS from the first byte with a server whose certificate has this name or address.
    ///
    /// # Errors
    /// When there is no handshake in time, or the server's certificate is not accepted. A server that does not accept
    /// ours may say so later: the first call fails then.
    pub async fn connect<IO: Stream>(&self, io: IO, host: &str) -> Result<TlsStream<IO>, TlsError> {
        self.handshake(&self.from_the_start, io, host).await
    }

    /// Speaks TLS on a connection that has begun in clear text.
    pub(super) async fn begin<IO: Stream>(&self, io: IO, host: &str) -> Result<TlsStream<IO>, TlsError> {
        self.handshake(&self.begun, io, host).await
    }

    async fn handshake<IO: Stream>(
        &self,
        config: &Arc<ClientConfig>,
        io: IO,
        host: &str,
    ) -> Result<TlsStream<IO>, TlsError> {
        let name = server_name(host)?;
        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, io);
        let connected = ::tokio::time::timeout(self.handshake_timeout, connecting).await;
        let stream = connected.map_err(|_| TlsError::TimedOut)?.map_err(TlsError::handshake)?;
        Ok(TlsStream::Client(stream))
    }
}

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    // A dot behind a name only says that it is whole.
    let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host));
    name.map(|name| name.to_owned()).map_err(|_| TlsError::Host(host.to_string()))
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("handshake_timeout", &self.handshake_timeout).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTlsBuilder")
            .field("files", &self.files)
            .field("verify", &self.verify)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Looks as well at what a certificate's key is for.
#[derive(Debug)]
struct Signing(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Signing {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(certificate, intermediates, host, ocsp, now)?;
        match parsed(certificate) {
            Ok(certificate) if may_sign(&certificate) => Ok(verified),
            Ok(_) => Err(TlsError::KeyUsage.of_certificate()),
            Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Takes any certificate. That the server has its key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
