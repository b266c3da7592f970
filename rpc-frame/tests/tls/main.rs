//! TLS: certificates on both sides, who is let in, and what is refused with which words.

#[path = "../../../tests/src/authority.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "it is shared with the tests of other packages")]
mod authority;
mod direct; // a port that speaks TLS from its first byte
mod files; //  what is read at the start, and anew
mod offer; //  a port that begins in clear text
mod start; //  a connection that begins in clear text

use std::sync::Arc;

use authority::{Authority, Issued, Request};
use rpc_frame::tls::rustls::crypto::ring;
use rpc_frame::tls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use rpc_frame::tls::{ClientTls, ServerTls, ServerTlsBuilder, TlsAllow, TlsFiles, TlsListener};
use rpc_frame::tokio::{Client, Server};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, program};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) const WHO: u32 = 0x2000_0046;

/// Asks the server who calls, as it sees it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = WHO, version = 1, proc = 1, reply = Name)]
pub(crate) struct WhoAmI;

#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub(crate) struct Name {
    #[xdr(max = 1024)]
    pub(crate) name: String,
}

#[derive(ProcedureTable)]
#[rpc(program = WHO, version = 1, service = WhoService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Who {
    WhoAmI(WhoAmI),
}

struct Told;

impl WhoService for Told {
    async fn who_am_i(&self, cx: &Context, _: WhoAmI) -> Name {
        Name { name: cx.identity().to_string() }
    }
}

/// A server with TLS on a port of its own.
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) tls: ServerTls,
    pub(crate) server: Server<rpc_frame::Program<Who, Told>>,
}

/// A call of NULL, mark included, with a credential of this flavor and no body.
pub(crate) fn null(xid: u32, flavor: u32) -> Vec<u8> {
    [0x8000_0028, xid, 0, 2, WHO, 1, 0, flavor, 0, 0, 0].map(u32::to_be_bytes).concat()
}

pub(crate) fn server_files(authority: &Authority) -> TlsFiles {
    let own = authority.issue("server", &Request::server(&["localhost", "127.0.0.1"]));
    TlsFiles::new(authority.certificate()).with_certificate(own.certificate, own.key)
}

pub(crate) fn client_files(authority: &Authority, name: &str) -> TlsFiles {
    let own = authority.issue(name, &Request::client(name));
    TlsFiles::new(authority.certificate()).with_certificate(own.certificate, own.key)
}

pub(crate) async fn serve(tls: ServerTlsBuilder) -> Running {
    let tls = tls.build().unwrap();
    let server = Server::new(program::<Who, _>(Told));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (served, accepting) = (server.clone(), tls.clone());
    tokio::spawn(async move { served.serve(TlsListener::new(listener, accepting)).await });
    Running { port, tls, server }
}

impl Running {
    pub(crate) async fn stream(&self) -> TcpStream {
        self.stream_from([127, 0, 0, 1]).await
    }

    /// A connection of another address of this machine.
    pub(crate) async fn stream_from(&self, host: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((host, 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], self.port).into()).await.unwrap()
    }

    /// Who the server says that we are, or why it does not.
    pub(crate) async fn who(&self, tls: &ClientTls) -> Result<String, String> {
        self.who_from([127, 0, 0, 1], tls).await
    }

    pub(crate) async fn who_from(&self, host: [u8; 4], tls: &ClientTls) -> Result<String, String> {
        let stream = tls.connect(self.stream_from(host).await, "localhost").await.map_err(|error| error.to_string())?;
        let told = Client::new(stream).call(&WhoAmI).await;
        told.map(|told| told.name).map_err(|error| error.to_string())
    }
}

fn client(files: TlsFiles) -> ClientTls {
    ClientTls::builder(files).build().unwrap()
}

/// A chain and its key, without a look at whether they are of use.
fn read(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&issued.certificate).unwrap().map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_file(&issued.key).unwrap())
}

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority.certificate()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

/// A client that presents whatever it has.
pub(crate) async fn careless_client(authority: &Authority, issued: &Issued, stream: TcpStream) -> std::io::Result<()> {
    let (chain, key) = read(issued);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots(authority));
    let config = config.with_client_auth_cert(chain, key).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // What the server thinks of the certificate comes after the handshake (TLS 1.3).
    tokio::io::AsyncReadExt::read_u8(&mut stream).await.map(drop)
}

/// A server that presents whatever it has, to one client; with these versions of TLS.
pub(crate) async fn careless_server(issued: &Issued, versions: &[&'static rustls::SupportedProtocolVersion]) -> u16 {
    let (chain, key) = read(issued);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(versions).unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(stream) = acceptor.accept(stream).await {
            let server = Server::new(program::<Who, _>(Told));
            server.serve_connection(stream, rpc_frame::Peer::Unknown).unwrap();
        }
    });
    port
}
