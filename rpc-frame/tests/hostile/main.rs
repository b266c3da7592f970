//! Hostile peers of the server and of the client, over real sockets. The numbers are those of the list of inputs that
//! have broken other implementations; what belongs to the codec alone is tested with it, and datagrams in `udp.rs`.

mod records; //   18 to 22: what is no record, and records in any pieces
mod envelopes; // 23 to 28: what is no call and no reply, or not one that belongs here
mod load; //      31 to 34: peers that are slow, many, or gone
mod farewell; //  34: what is still on its way when a connection is closed
mod limits; //    each limit on a connection and on a server: at it, one below and one beyond
mod datagram_limits; // the same by UDP
#[path = "../wire/mod.rs"]
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, ClosedError, Server, ServerConfig};
use rpc_frame::xdr::Xdr;
use rpc_frame::{ConnectionConfig, ConnectionError, Context, ProcedureTable, Program, program};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wire::{Call, record, words};

const GATE: u32 = 0x2000_0047;

/// Replies at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 1, reply = u32)]
struct Double {
    number: u32,
}

/// Waits until the test answers.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 2, reply = u32)]
struct Hold {
    ticket: u32,
}

/// Replies with that many bytes.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 4, reply = Filled)]
struct Fill {
    count: u32,
}

#[derive(Debug, Clone, Xdr)]
struct Filled {
    #[xdr(max = 0x40_0000)]
    bytes: Vec<u8>,
}

/// Panics, at once or after it has waited.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 5)]
struct Panic {
    late: bool,
}

/// Tells how many bytes came.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 6, reply = u32)]
struct Store {
    #[xdr(max = 0x10_0000)]
    bytes: Vec<u8>,
}

/// Is not answered.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 7, oneway)]
struct Tell {
    number: u32,
}

/// Nested so deep.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 8, reply = u32)]
struct Nest {
    inner: Option<Box<Nest>>,
}

/// Is not answered, and long.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GATE, version = 3, proc = 9, oneway)]
struct Shout {
    #[xdr(max = 0x10_0000)]
    bytes: Vec<u8>,
}

#[derive(ProcedureTable)]
#[rpc(program = GATE, version = 3, service = GateService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Gate {
    Double(Double),
    Hold(Hold),
    // 3 is a gap.
    Fill(Fill),
    Panic(Panic),
    Store(Store),
    Tell(Tell),
    Nest(Nest),
    Shout(Shout),
}

/// A call whose handler waits. Its sender is closed when the handler is gone.
struct Held {
    ticket: u32,
    answer: oneshot::Sender<u32>,
}

struct Keeper {
    held: mpsc::UnboundedSender<Held>,
    /// How often `Double` was run.
    doubled: Arc<AtomicUsize>,
}

impl GateService for Keeper {
    async fn double(&self, _: &Context, args: Double) -> u32 {
        self.doubled.fetch_add(1, Ordering::SeqCst);
        args.number.wrapping_mul(2)
    }

    async fn hold(&self, _: &Context, args: Hold) -> u32 {
        let (answer, answered) = oneshot::channel();
        self.held.send(Held { ticket: args.ticket, answer }).expect("the test listens");
        answered.await.unwrap_or(0)
    }

    async fn fill(&self, _: &Context, args: Fill) -> Filled {
        Filled { bytes: vec![7; args.count as usize] }
    }

    async fn panic(&self, _: &Context, args: Panic) {
        if args.late {
            tokio::task::yield_now().await;
        }
        panic!("as the test wants it")
    }

    async fn store(&self, _: &Context, args: Store) -> u32 {
        u32::try_from(args.bytes.len()).unwrap()
    }

    async fn tell(&self, _: &Context, _: Tell) {}

    async fn shout(&self, _: &Context, _: Shout) {}

    async fn nest(&self, _: &Context, args: Nest) -> u32 {
        std::iter::successors(Some(&args), |nest| nest.inner.as_deref()).map(|_| 1).sum()
    }
}

/// A server that listens on TCP and on a unix socket.
struct Site {
    server: Server<Program<Gate, Keeper>>,
    held: mpsc::UnboundedReceiver<Held>,
    doubled: Arc<AtomicUsize>,
    tcp: SocketAddr,
    unix: SocketPath,
}

/// A path for a socket, which is removed in the end.
struct SocketPath(PathBuf);

impl SocketPath {
    /// For the calling test, whose thread has its name.
    fn of_this_test() -> Self {
        let thread = std::thread::current();
        let name: String = thread.name().unwrap_or("test").replace("::", "-").chars().take(60).collect();
        Self(std::env::temp_dir().join(format!("{}-{name}", std::process::id())))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Site {
    async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let (sender, held) = mpsc::unbounded_channel();
        let mut config = ServerConfig::default();
        change(&mut config);
        let doubled = Arc::new(AtomicUsize::new(0));
        let keeper = Keeper { held: sender, doubled: Arc::clone(&doubled) };
        let server = Server::builder(program::<Gate, _>(keeper)).config(config).build();
        let tcp_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = tcp_listener.local_addr().unwrap();
        let unix = SocketPath::of_this_test();
        let unix_listener = UnixListener::bind(&unix.0).unwrap();
        let (by_tcp, by_unix) = (server.clone(), server.clone());
        tokio::spawn(async move { by_tcp.serve(tcp_listener).await });
        tokio::spawn(async move { by_unix.serve(unix_listener).await });
        Self { server, held, doubled, tcp, unix }
    }

    async fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn unix(&self) -> UnixStream {
        UnixStream::connect(&self.unix.0).await.unwrap()
    }

    /// Somebody else who is served as ever.
    async fn bystander(&self) -> Client {
        Client::new(self.unix().await)
    }
}

/// A client by TCP, and the server's end of its connection in the hands of the test.
async fn client_with(change: impl FnOnce(&mut ConnectionConfig)) -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (patient(Client::with_config(near, configured(change))), far)
}

async fn client() -> (Client, TcpStream) {
    client_with(|_| {}).await
}

/// The same by unix socket, whose bytes are there at once: for time that stands still.
fn unix_client_with(change: impl FnOnce(&mut ConnectionConfig)) -> (Client, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (patient(Client::with_config(near, configured(change))), far)
}

fn configured(change: impl FnOnce(&mut ConnectionConfig)) -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    change(&mut config);
    config
}

/// A client that waits for its replies as long as it takes, but not for ever: a test fails then, and does not hang.
fn patient(client: Client) -> Client {
    client.with_options(CallOptions::default().with_timeout(Some(Duration::from_secs(7 * 24 * 3600))))
}

fn hold(client: &Client, ticket: u32) -> JoinHandle<Result<u32, CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(&Hold { ticket }).await })
}

/// What comes, in a time that is enough for a busy machine. A test that waits in vain fails and does not hang.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("nothing happens")
}

async fn read_record(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mark = within(io.read_u32()).await.expect("a record");
    assert_ne!(mark & 0x8000_0000, 0, "what we send is in one fragment");
    let mut body = vec![0; (mark & 0x7fff_ffff) as usize];
    within(io.read_exact(&mut body)).await.unwrap();
    record(&body)
}

/// The xid of the next call that comes.
async fn called(io: &mut (impl AsyncRead + Unpin)) -> u32 {
    u32::from_be_bytes(read_record(io).await[4..8].try_into().unwrap())
}

/// Everything until the end. The other side may close before it has read all: that is an end as well.
async fn rest(io: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let end = within(io.read_to_end(&mut rest)).await;
    assert!(end.is_ok() || rest.is_empty(), "{end:?} after {rest:?}");
    rest
}

/// Sends what the other side may not want to read to its end.
async fn send(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    within(io.write_all(bytes)).await
}

fn double(xid: u32, number: u32) -> Vec<u8> {
    Call::new(xid, GATE, 3, 1).args(words(&[number])).record()
}

fn fill(xid: u32, count: u32) -> Vec<u8> {
    Call::new(xid, GATE, 3, 4).args(words(&[count])).record()
}

/// An accepted reply without results.
fn accepted(xid: u32, status: u32) -> Vec<u8> {
    record(&words(&[xid, 1, 0, 0, 0, status]))
}

/// A refusal for reasons of authentication.
fn auth_error(xid: u32, stat: u32) -> Vec<u8> {
    record(&words(&[xid, 1, 1, 1, stat]))
}

/// Why the connection was given up.
fn reason(error: &CallError) -> ConnectionError {
    match error {
        CallError::Closed(ClosedError::Protocol(error)) | CallError::NotConnected(ClosedError::Protocol(error)) => {
            *error
        }
        other => panic!("{other:?}"),
    }
}

/// The server closes the connection without a word, and serves others as ever.
async fn closes_a_server(site: &Site, stream: &[u8]) {
    let mut raw = site.tcp().await;
    let _ = send(&mut raw, stream).await;
    assert_eq!(rest(&mut raw).await, b"", "closed without a reply");
    assert_eq!(within(site.bystander().await.call(&Double { number: 4 })).await.unwrap(), 8);
}

/// Why a client that waits for a reply gives the connection up.
async fn closes_a_client(stream: &[u8]) -> ConnectionError {
    closes_a_client_with(|_| {}, stream).await
}

async fn closes_a_client_with(change: impl FnOnce(&mut ConnectionConfig), stream: &[u8]) -> ConnectionError {
    let (client, mut raw) = client_with(change).await;
    let call = hold(&client, 1);
    called(&mut raw).await;
    let _ = send(&mut raw, stream).await;
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!(rest(&mut raw).await, b"", "the client has closed");
    reason(&error)
}
