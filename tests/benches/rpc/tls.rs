//! Ours and tonic by TLS, each with both ends, certificates on both sides, and ring.

use std::fs;
use std::net::SocketAddr;
use std::sync::OnceLock;

use rpc_frame::program;
use rpc_frame::tls::{ClientTls, ServerTls, TlsFiles, TlsListener};
use rpc_frame::tokio::{Client as RpcClient, Server as RpcServer};
use tokio::net::TcpStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use xdr_tests::authority::{Authority, Issued, Request};

use crate::client::{Caller, Scenario};
use crate::peers::{Driven, TonicNull, call_tonic, runtime, with_client};
use crate::servers::{Idle, Idler, PROGRAM, Server, on_tokio};

pub(crate) fn all() -> Vec<Server> {
    vec![
        with_client("ours by TLS, both ends", on_tokio(serve_ours), connect_ours),
        with_client("tonic by TLS, both ends", on_tokio(serve_tonic), connect_tonic),
    ]
}

/// The certificates of all contenders.
struct Certificates {
    authority: Authority,
    server: Issued,
    client: Issued,
}

fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let authority = Authority::new();
        let server = authority.issue("server", &Request::server(&["localhost"]));
        let client = authority.issue("client", &Request::client("client"));
        Certificates { authority, server, client }
    })
}

fn files(own: &Issued) -> TlsFiles {
    TlsFiles::new(certificates().authority.certificate()).with_certificate(&own.certificate, &own.key)
}

// ---- ours ----

async fn serve_ours(listener: tokio::net::TcpListener) {
    let tls = ServerTls::builder(files(&certificates().server)).build().expect("the certificates are good");
    RpcServer::new(program::<Idle, _>(Idler)).serve(TlsListener::new(listener, tls)).await;
}

async fn open(tls: &ClientTls, address: SocketAddr) -> RpcClient {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket has the option");
    RpcClient::new(tls.connect(stream, "localhost").await.expect("the certificates are good"))
}

fn connect_ours(address: SocketAddr, scenario: Scenario) -> Box<dyn Caller> {
    let runtime = runtime();
    let tls = ClientTls::builder(files(&certificates().client)).build().expect("the certificates are good");
    if scenario == Scenario::Handshake {
        let call = move || {
            let tls = tls.clone();
            async move { open(&tls, address).await.null(PROGRAM, 1).await.expect("the server replies") }
        };
        return Box::new(Driven { runtime, call, in_a_round: 1 });
    }
    let client = runtime.block_on(open(&tls, address));
    let call = move || {
        let client = client.clone();
        async move { client.null(PROGRAM, 1).await.expect("the server replies") }
    };
    Box::new(Driven { runtime, call, in_a_round: scenario.calls_a_round() })
}

// ---- tonic ----

fn identity(own: &Issued) -> Identity {
    let read = |path| fs::read(path).expect("it was written");
    Identity::from_pem(read(&own.certificate), read(&own.key))
}

fn authority() -> Certificate {
    Certificate::from_pem(fs::read(certificates().authority.certificate()).expect("it was written"))
}

async fn serve_tonic(listener: tokio::net::TcpListener) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let tls = ServerTlsConfig::new().identity(identity(&certificates().server)).client_ca_root(authority());
    let mut server = tonic::transport::Server::builder().tls_config(tls).expect("the certificates are good");
    server.add_service(TonicNull).serve_with_incoming(incoming).await.expect("it serves");
}

fn connect_tonic(address: SocketAddr, scenario: Scenario) -> Box<dyn Caller> {
    let runtime = runtime();
    let tls = ClientTlsConfig::new().ca_certificate(authority()).identity(identity(&certificates().client));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", address.port())).expect("an address");
    let endpoint =
        endpoint.tcp_nodelay(true).tls_config(tls.domain_name("localhost")).expect("the certificates are good");
    if scenario == Scenario::Handshake {
        let call = move || {
            let endpoint = endpoint.clone();
            async move { call_tonic(endpoint.connect().await.expect("the server listens")).await }
        };
        return Box::new(Driven { runtime, call, in_a_round: 1 });
    }
    let channel: Channel = runtime.block_on(endpoint.connect()).expect("the server listens");
    Box::new(Driven { runtime, call: move || call_tonic(channel.clone()), in_a_round: scenario.calls_a_round() })
}
