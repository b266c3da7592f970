//! Who may connect.

use std::net::{IpAddr, SocketAddr};
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use ipnet::IpNet;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use wildmatch::WildMatch;

use super::TlsError;
use super::files::may_sign;
use super::name::{parsed, written};

/// Who may connect, of those whose certificates are verified.
///
/// ```
/// use rpc_frame::tls::TlsAllow;
/// let allow = TlsAllow::default()
///     .with_names(["C=DE,O=Example,CN=*"])
///     .with_networks(["192.0.2.0/24", "::1"])?;
/// assert!(allow.allows_name("C=DE,O=Example,CN=client"));
/// assert!(!allow.allows_name("C=DE,O=Other,CN=client"));
/// # Ok::<(), rpc_frame::tls::MalformedNetwork>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TlsAllow {
    names: Option<Vec<WildMatch>>,
    networks: Option<Vec<IpNet>>,
}

/// A text is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither an address nor a network such as 192.0.2.0/24")]
pub struct MalformedNetwork(pub String);

impl TlsAllow {
    /// Allows only subjects that match one of these patterns, where `*` stands for any letters and `?` for one: an
    /// empty list allows nobody. Without a list any verified certificate will do. Who has presented none is on no list.
    ///
    /// A subject is written `C=DE,O=Example,CN=client`, in the order of the certificate, with `\` before a `,` or `=`
    /// that belongs to a value.
    #[must_use]
    pub fn with_names<T: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.names = Some(patterns.into_iter().map(|pattern| WildMatch::new(pattern.as_ref())).collect());
        self
    }

    /// Allows only addresses of these networks: an empty list allows nobody.
    ///
    /// # Errors
    /// When one of them is neither an address nor a network.
    pub fn with_networks<T: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, MalformedNetwork> {
        let network = |text: &str| {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            let network = single.or_else(|_| text.parse::<IpNet>());
            network.map(unmapped).map_err(|_| MalformedNetwork(text.to_string()))
        };
        let networks: Result<Vec<_>, _> = networks.into_iter().map(|text| network(text.as_ref())).collect();
        self.networks = Some(networks?);
        Ok(self)
    }

    /// Whether a certificate with this subject will do.
    #[must_use]
    pub fn allows_name(&self, subject: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|pattern| pattern.matches(subject)))
    }

    /// Whether a peer at this address will do. An IPv4 address in an IPv6 one is that address.
    #[must_use]
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.as_ref().is_none_or(|networks| networks.iter().any(|network| network.contains(&address)))
    }

    pub(super) const fn names_are_listed(&self) -> bool {
        self.names.is_some()
    }

    pub(super) fn check_name(&self, subject: &str) -> Result<(), TlsError> {
        if self.allows_name(subject) { Ok(()) } else { Err(TlsError::NameNotAllowed(subject.to_string())) }
    }

    pub(super) fn check_address(&self, address: Option<SocketAddr>) -> Result<(), TlsError> {
        match address {
            Some(address) if !self.allows_address(address.ip()) => Err(TlsError::AddressNotAllowed(address.ip())),
            _ => Ok(()),
        }
    }
}

/// A network of IPv4 addresses in IPv6 ones is that network.
fn unmapped(network: IpNet) -> IpNet {
    let address = network.addr().to_canonical();
    match network.prefix_len().checked_sub(96) {
        Some(bits) if address.is_ipv4() && network.addr().is_ipv6() => IpNet::new(address, bits).unwrap_or(network),
        _ => network,
    }
}

/// Looks at the subject of a certificate and at what its key is for, while the client can still be told.
#[derive(Debug)]
pub(super) struct AllowedNames {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) allow: TlsAllow,
}

impl ClientCertVerifier for AllowedNames {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        // One that cannot be read would pass for nobody's.
        let parsed = parsed(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if !may_sign(&parsed) {
            return Err(TlsError::KeyUsage.of_certificate());
        }
        self.allow.check_name(&written(parsed.subject())).map_err(TlsError::of_certificate)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_empty_allows_nobody_and_none_everybody() {
        let address = "192.0.2.1".parse().unwrap();
        assert!(TlsAllow::default().allows_name("") && TlsAllow::default().allows_address(address));
        let nobody = TlsAllow::default().with_names([""; 0]).with_networks([""; 0]).unwrap();
        assert!(!nobody.allows_name("CN=a") && !nobody.allows_name("") && !nobody.allows_address(address));
    }

    #[test]
    fn addresses_and_networks_of_both_families_are_told_apart() {
        let allow = TlsAllow::default()
            .with_networks(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7", "::ffff:203.0.113.0/120"])
            .unwrap();
        for (address, allowed) in [
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("::ffff:192.0.2.9", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("203.0.113.9", true),
            ("::ffff:203.0.114.9", false),
        ] {
            assert_eq!(allow.allows_address(address.parse().unwrap()), allowed, "{address}");
        }
        let error = TlsAllow::default().with_networks(["192.0.2.0/33"]).unwrap_err();
        assert_eq!(error.to_string(), "'192.0.2.0/33' is neither an address nor a network such as 192.0.2.0/24");
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        let allow = TlsAllow::default().with_names(["O=x,CN=a?", "O=y,*"]);
        for (name, allowed) in
            [("O=x,CN=ab", true), ("O=x,CN=a", false), ("O=x,CN=abc", false), ("C=DE,O=x,CN=ab", false), ("O=y,", true)]
        {
            assert_eq!(allow.allows_name(name), allowed, "{name}");
        }
    }
}
