//! The server's end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::vec;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::allow::AllowedNames;
use super::files::Usage;
use super::{ALPN, TlsAllow, TlsError, TlsFiles, UnusableFile, name};
use crate::session::Peer;
use crate::tokio::Stream;

/// The certificates and rules of a server. Its clones are the same, and read their files anew together.
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
}

struct Shared {
    builder: ServerTlsBuilder,
    now: Mutex<Now>,
}

/// What is in force.
#[derive(Clone)]
struct Now {
    /// For a port that speaks TLS from its first byte.
    from_the_start: Arc<ServerConfig>,
    /// For what was begun in clear text.
    begun: Arc<ServerConfig>,
}

/// A server's end that is being put together: [`ServerTls::builder`].
#[derive(Clone)]
pub struct ServerTlsBuilder {
    files: TlsFiles,
    allow: TlsAllow,
    certificates: ClientCertificates,
    handshake_timeout: Duration,
    provider: Option<Arc<CryptoProvider>>,
}

/// Whether clients have to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientCertificates {
    Demanded,
    Welcome,
}

impl ServerTlsBuilder {
    /// Sets who may connect; everybody with a verified certificate else.
    #[must_use]
    pub fn allow(mut self, allow: TlsAllow) -> Self {
        self.allow = allow;
        self
    }

    /// Lets clients in that present no certificate. One that is presented is verified all the same.
    #[must_use]
    pub const fn without_client_certificates(mut self) -> Self {
        self.certificates = ClientCertificates::Welcome;
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
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let now = Mutex::new(self.read()?);
        Ok(ServerTls { shared: Arc::new(Shared { builder: self, now }) })
    }

    fn read(&self) -> Result<Now, TlsError> {
        let provider = self.provider.clone().unwrap_or_else(|| Arc::new(ring::default_provider()));
        let roots = self.files.roots()?;
        let missing = || TlsError::File {
            path: self.files.authorities.clone(),
            why: UnusableFile::Empty("certificate of the server's own beside it"),
        };
        let own = Arc::new(self.files.own(Usage::Server, &provider)?.ok_or_else(missing)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = match self.certificates {
            ClientCertificates::Demanded => verifier,
            ClientCertificates::Welcome => verifier.allow_unauthenticated(),
        };
        let verifier = verifier.build().map_err(TlsError::setup)?;
        let verifier = Arc::new(AllowedNames { verifier, allow: self.allow.clone() });
        let config = |versions: &[&'static SupportedProtocolVersion]| {
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let config = config.with_protocol_versions(versions).map_err(TlsError::setup)?;
            let config = config.with_client_cert_verifier(Arc::clone(&verifier) as _);
            let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own))));
            config.alpn_protocols = vec![ALPN.to_vec()];
            // A session that is resumed would outlive the certificates and lists that it was let in by.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(Arc::new(config))
        };
        Ok(Now { from_the_start: config(&[&TLS13, &TLS12])?, begun: config(&[&TLS13])? })
    }
}

impl ServerTls {
    /// A server's end with these files, which demands a certificate of every client.
    #[must_use]
    pub fn builder(files: TlsFiles) -> ServerTlsBuilder {
        ServerTlsBuilder {
            files,
            allow: TlsAllow::default(),
            certificates: ClientCertificates::Demanded,
            handshake_timeout: Duration::from_secs(10),
            provider: None,
        }
    }

    /// Reads the files anew, for connections to come. Those that are open stay as they are.
    ///
    /// # Errors
    /// When one of the files is of no use: then what was read before stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = self.shared.builder.read()?;
        *self.shared.now.lock().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Takes up a connection that speaks TLS from its first byte.
    ///
    /// # Errors
    /// When there is no handshake in time, or the client may not connect.
    pub async fn accept<IO: Stream>(&self, io: IO, peer: Peer) -> Result<(TlsStream<IO>, Peer), TlsError> {
        let config = Arc::clone(&self.now().from_the_start);
        self.handshake(config, io, peer).await
    }

    /// Takes up TLS on a connection that has begun in clear text.
    pub(super) async fn begin<IO: Stream>(&self, io: IO, peer: Peer) -> Result<(TlsStream<IO>, Peer), TlsError> {
        let config = Arc::clone(&self.now().begun);
        self.handshake(config, io, peer).await
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        self.shared.builder.handshake_timeout
    }

    fn now(&self) -> Now {
        self.shared.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn handshake<IO: Stream>(
        &self,
        config: Arc<ServerConfig>,
        io: IO,
        peer: Peer,
    ) -> Result<(TlsStream<IO>, Peer), TlsError> {
        let builder = &self.shared.builder;
        // Before anything is computed for who may not connect anyway.
        builder.allow.check_address(peer.address())?;
        let accepted = ::tokio::time::timeout(builder.handshake_timeout, TlsAcceptor::from(config).accept(io)).await;
        let stream = accepted.map_err(|_| TlsError::TimedOut)?.map_err(TlsError::handshake)?;
        let certificates = stream.get_ref().1.peer_certificates();
        let subject = certificates.and_then(<[_]>::first).and_then(name::subject);
        // Those who presented a certificate have been looked at already; no pattern is for those who have none.
        if subject.is_none() && builder.allow.names_are_listed() {
            return Err(TlsError::NoCertificate);
        }
        Ok((TlsStream::Server(stream), peer.over_tls(subject.map(Into::into))))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("builder", &self.shared.builder).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsBuilder")
            .field("files", &self.files)
            .field("allow", &self.allow)
            .field("certificates", &self.certificates)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}
