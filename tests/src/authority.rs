//! Certificates for tests, good and bad ones, from an authority of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// An authority with a folder for its certificate and for those that it issues. The folder ends with it.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// What is written into a certificate.
#[derive(Debug)]
pub struct Request {
    params: CertificateParams,
}

impl Request {
    /// For a server with these names and addresses, the first of which is its common name.
    ///
    /// # Panics
    /// When there is none, or one that no certificate can have.
    #[must_use]
    pub fn server(names: &[&str]) -> Self {
        Self::new(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client with this common name.
    ///
    /// # Panics
    /// When no certificate can have it.
    #[must_use]
    pub fn client(name: &str) -> Self {
        Self::new(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn new(names: &[&str], usage: ExtendedKeyUsagePurpose) -> Self {
        let alternative: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(alternative).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        Self { params }
    }

    /// Valid in these years alone, from January to January.
    #[must_use]
    pub fn valid(mut self, from: i32, until: i32) -> Self {
        self.params.not_before = date_time_ymd(from, 1, 1);
        self.params.not_after = date_time_ymd(until, 1, 1);
        self
    }

    /// For a key that may encrypt other keys and sign nothing.
    #[must_use]
    pub fn that_signs_nothing(mut self) -> Self {
        self.params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        self
    }
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key that it is for.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// An authority with a key and a name of its own.
    ///
    /// # Panics
    /// When its folder cannot be made.
    ///
    /// # Examples
    /// ```
    /// use xdr_tests::authority::{Authority, Request};
    ///
    /// let authority = Authority::new();
    /// let issued = authority.issue("alice", &Request::client("alice"));
    /// assert_eq!(issued.key, authority.folder().join("alicekey.pem"));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::valid(1975, 4096)
    }

    /// One whose own certificate is valid in these years alone, from January to January. What it issues is valid longer.
    ///
    /// # Panics
    /// When its folder cannot be made.
    #[must_use]
    pub fn valid(from: i32, until: i32) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.distinguished_name = DistinguishedName::new();
        // Two authorities of one name would be taken for each other until a signature fails.
        let folder = tempfile::tempdir().unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("Authority {}", folder.path().display()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("cacert.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cacert.pem")
    }

    /// The folder that all is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Issues a certificate. The files are named after `name`, and written over if they are there.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn issue(&self, name: &str, request: &Request) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = request.params.signed_by(&key, &self.issuer).unwrap();
        let at = |suffix: &str| self.folder.path().join(format!("{name}{suffix}.pem"));
        let issued = Issued { certificate: at("cert"), key: at("key") };
        fs::write(&issued.certificate, certificate.pem()).unwrap();
        fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}
