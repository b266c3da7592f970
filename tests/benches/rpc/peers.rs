//! Other people's servers. One speaks ONC RPC, and is sent the same bytes as the others; the rest bring clients of their
//! own, and our client stands beside those.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;

use futures::StreamExt;
use futures::future::join_all;
use http::uri::PathAndQuery;
use nfs3_server::memfs::MemFs;
use nfs3_server::tcp::{NFSTcp, NFSTcpListener};
use rpc_frame::tokio::Client as RpcClient;
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::client::{Caller, Scenario};
use crate::servers::{Connect, PROGRAM, Server, on_tokio};

const NFS: u32 = 100_003;

/// Those, and our own server once more, with our own client.
pub(crate) fn all(ours: SocketAddr) -> Vec<Server> {
    vec![
        server("nfs3_server", nfs3_server()),
        with_client("ours, both ends", ours, connect_ours),
        with_client("tonic, both ends", on_tokio(serve_tonic), connect_tonic),
        with_client("tarpc, both ends", on_tokio(serve_tarpc), connect_tarpc),
    ]
}

fn server(name: &'static str, address: SocketAddr) -> Server {
    Server { name, address, program: NFS, version: 3, waiting: 0, is_raw: false, connect: None }
}

/// A server that only its own client calls.
pub(crate) fn with_client(name: &'static str, address: SocketAddr, connect: Connect) -> Server {
    Server { connect: Some(connect), ..server(name, address) }
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// A client that is driven by a runtime of this thread.
pub(crate) struct Driven<C> {
    pub(crate) runtime: Runtime,
    pub(crate) call: C,
    pub(crate) in_a_round: u32,
}

impl<C: Fn() -> F, F: Future<Output = ()>> Caller for Driven<C> {
    fn round(&mut self) -> u32 {
        let calls = (0..self.in_a_round).map(|_| (self.call)());
        self.runtime.block_on(join_all(calls));
        self.in_a_round
    }
}

// ---- ours ----

fn connect_ours(address: SocketAddr, scenario: Scenario) -> Box<dyn Caller> {
    let runtime = runtime();
    if scenario == Scenario::Handshake {
        let call = move || async move {
            let client = RpcClient::connect_tcp(address).await.expect("the server listens");
            client.null(PROGRAM, 1).await.expect("the server replies");
        };
        return Box::new(Driven { runtime, call, in_a_round: 1 });
    }
    let client = runtime.block_on(RpcClient::connect_tcp(address)).expect("the server listens");
    let call = move || {
        let client = client.clone();
        async move { client.null(PROGRAM, 1).await.expect("the server replies") }
    };
    Box::new(Driven { runtime, call, in_a_round: scenario.calls_a_round() })
}

// ---- nfs3_server ----

fn nfs3_server() -> SocketAddr {
    let (port, bound) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async {
            let listener = NFSTcpListener::bind("127.0.0.1:0", MemFs::default()).await.expect("a port is free");
            port.send(listener.get_listen_port()).expect("the benchmark waits");
            listener.handle_forever().await
        })
    });
    SocketAddr::from(([127, 0, 0, 1], bound.recv().expect("it listens")))
}

// ---- tonic ----

/// Nothing, which is how an empty message of protobuf is encoded.
#[derive(Default)]
struct Nothing;

impl Encoder for Nothing {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Nothing {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

impl Codec for Nothing {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

#[derive(Clone)]
pub(crate) struct TonicNull;

impl UnaryService<()> for TonicNull {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

impl NamedService for TonicNull {
    const NAME: &'static str = "bench.Null";
}

/// What tonic's code generation makes of a service with one method.
impl tower_service::Service<http::Request<Body>> for TonicNull {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async { Ok(tonic::server::Grpc::new(Nothing).unary(TonicNull, request).await) })
    }
}

async fn serve_tonic(listener: tokio::net::TcpListener) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = tonic::transport::Server::builder().add_service(TonicNull).serve_with_incoming(incoming).await;
    served.expect("it serves");
}

fn connect_tonic(address: SocketAddr, scenario: Scenario) -> Box<dyn Caller> {
    let runtime = runtime();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
    let channel: Channel = runtime.block_on(endpoint.connect()).expect("the server listens");
    Box::new(Driven { runtime, call: move || call_tonic(channel.clone()), in_a_round: scenario.calls_a_round() })
}

pub(crate) async fn call_tonic(channel: Channel) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("the connection is there");
    let path = PathAndQuery::from_static("/bench.Null/Null");
    client.unary(Request::new(()), path, Nothing).await.expect("the server replies");
}

// ---- tarpc ----

#[tarpc::service]
trait Null {
    async fn null();
}

#[derive(Clone)]
struct TarpcNull;

impl Null for TarpcNull {
    async fn null(self, _: tarpc::context::Context) {}
}

fn framed(stream: TcpStream) -> Framed<TcpStream, LengthDelimitedCodec> {
    stream.set_nodelay(true).expect("a TCP socket has the option");
    Framed::new(stream, LengthDelimitedCodec::new())
}

async fn serve_tarpc(listener: tokio::net::TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let transport = tarpc::serde_transport::new(framed(stream), Bincode::default());
        let calls = BaseChannel::with_defaults(transport).execute(TarpcNull.serve());
        tokio::spawn(calls.for_each(|call| async {
            tokio::spawn(call);
        }));
    }
}

fn connect_tarpc(address: SocketAddr, scenario: Scenario) -> Box<dyn Caller> {
    let runtime = runtime();
    let client = runtime.block_on(async {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let transport = tarpc::serde_transport::new(framed(stream), Bincode::default());
        NullClient::new(tarpc::client::Config::default(), transport).spawn()
    });
    let call = move || {
        let client = client.clone();
        async move { client.null(tarpc::context::current()).await.expect("the server replies") }
    };
    Box::new(Driven { runtime, call, in_a_round: scenario.calls_a_round() })
}
