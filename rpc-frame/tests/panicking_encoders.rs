//! Encoders that panic, of a `with` module or written by hand: a reply's costs its call a SYSTEM_ERR and nobody else
//! anything, an argument's only who calls. And reasons of refusals that panic when the log has them written: they cost
//! nobody anything.
#![cfg(feature = "tokio")]

mod log;
mod wire;

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use log::Log;
use rpc_frame::tokio::{CallError, Client, Server, UdpClient};
use rpc_frame::xdr::{Bytes, BytesMut, EncodeError, Xdr};
use rpc_frame::{
    Connection, ConnectionConfig, Context, DatagramServer, DatagramServerConfig, EncodeReply, Event, Found, OpaqueAuth,
    OutgoingCall, Peer, ProcedureTable, Program, Programs, Refusal, ReplyEncoder, Undispatched, program,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::Level;
use wire::{Call, record, success, words};

const KILN: u32 = 0x2000_004b;

/// A number that panics when it is looked at for the so-manieth time: an encoder measures first, and writes then.
#[derive(Debug)]
struct Fuse {
    left: AtomicU32,
}

impl Fuse {
    /// At 0 it never panics.
    fn blowing_at(look: u32) -> Self {
        Self { left: AtomicU32::new(look) }
    }
}

mod fuse {
    use super::{Fuse, Ordering};

    pub(crate) type Wire = u32;

    pub(crate) fn to_wire(fuse: &Fuse) -> u32 {
        assert_ne!(fuse.left.fetch_sub(1, Ordering::Relaxed), 1, "as the test wants it");
        7
    }

    pub(crate) fn from_wire(_: u32) -> Option<Fuse> {
        Some(Fuse::blowing_at(0))
    }
}

/// Behind something that is written before it blows.
#[derive(Debug, Xdr)]
struct Pot {
    #[xdr(max = 255)]
    glaze: String,
    #[xdr(with = fuse)]
    fuse: Fuse,
}

impl Pot {
    fn blowing_at(look: u32) -> Self {
        Self { glaze: "celadon".into(), fuse: Fuse::blowing_at(look) }
    }
}

/// Replies with a pot, now or when the kiln is opened.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = KILN, version = 1, proc = 1, reply = Pot)]
struct Fire {
    blows_at: u32,
    waits: bool,
}

/// Takes a pot.
#[derive(Debug, Xdr)]
#[rpc(program = KILN, version = 1, proc = 2, reply = u32)]
struct Sell {
    pot: Pot,
}

#[derive(ProcedureTable)]
#[rpc(program = KILN, version = 1, service = KilnService)]
enum Kiln {
    Fire(Fire),
    Sell(Sell),
}

struct Potter {
    opened: Arc<Notify>,
}

impl KilnService for Potter {
    async fn fire(&self, _: &Context, args: Fire) -> Pot {
        if args.waits {
            self.opened.notified().await;
        }
        Pot::blowing_at(args.blows_at)
    }

    async fn sell(&self, _: &Context, _: Sell) -> u32 {
        12
    }
}

fn server() -> (Server<Program<Kiln, Potter>>, Arc<Notify>) {
    let opened = Arc::new(Notify::new());
    (Server::new(program::<Kiln, _>(Potter { opened: Arc::clone(&opened) })), opened)
}

fn fire(xid: u32, blows_at: u32, waits: bool) -> Call {
    Call::new(xid, KILN, 1, 1).args(words(&[blows_at, u32::from(waits)]))
}

/// What a pot is on the wire.
fn pot() -> Vec<u8> {
    [words(&[7]), b"celadon\0".to_vec(), words(&[7])].concat()
}

fn system_err(xid: u32) -> Vec<u8> {
    words(&[xid, 1, 0, 0, 0, 5])
}

#[tokio::test]
async fn a_reply_whose_encoder_panics_is_a_system_error_between_the_replies_around_it() {
    let (server, opened) = server();
    let (far, mut near) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let calls = [
        fire(1, 0, false).record(),
        fire(2, 1, false).record(),
        fire(3, 1, true).record(),
        fire(4, 2, false).record(),
        fire(5, 0, false).record(),
        fire(6, 0, true).record(),
    ];
    near.write_all(&calls.concat()).await.unwrap();
    let expected = [success(1, &pot()), record(&system_err(2)), record(&system_err(4)), success(5, &pot())].concat();
    let mut replies = vec![0; expected.len()];
    near.read_exact(&mut replies).await.unwrap();
    assert_eq!(replies, expected);

    opened.notify_waiters();
    let expected = [record(&system_err(3)), success(6, &pot())].concat();
    let mut replies = vec![0; expected.len()];
    near.read_exact(&mut replies).await.unwrap();
    assert_eq!(replies, expected, "those that waited as well");
    let counted = server.counters().calls;
    assert_eq!((counted.succeeded, counted.system_err, counted.in_flight()), (3, 3, 0));
}

#[tokio::test]
async fn encoders_that_panic_take_no_place_among_the_calls_in_flight() {
    let (server, opened) = server();
    let client = Client::new(server.connect_in_memory());
    let most = ConnectionConfig::default().max_calls_in_flight as u32;
    for round in 0..most + 1 {
        let late = Fire { blows_at: 1 + round % 2, waits: true };
        let (error, ()) = tokio::join!(client.call(&late), async {
            // The call before the one that opens the kiln has reached its handler when this one is answered.
            client.null(KILN, 1).await.unwrap();
            opened.notify_waiters();
        });
        let error = error.unwrap_err();
        assert!(matches!(error, CallError::SystemErr) && error.may_have_run(), "{error}");
    }
    assert_eq!(client.call(&Fire { blows_at: 0, waits: false }).await.unwrap().glaze, "celadon");
    assert_eq!(server.counters().open, 1);
}

/// A peer by UDP, and the server's end.
async fn by_udp<P: Programs>(server: &Server<P>) -> (UdpSocket, JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_udp(socket).await });
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.connect(address).await.unwrap();
    (peer, served)
}

#[tokio::test]
async fn by_udp_it_is_the_same_and_the_call_again_gets_the_same_reply() {
    let (server, _) = server();
    let (peer, served) = by_udp(&server).await;
    for blows_at in [1, 1, 2, 2] {
        peer.send(&fire(blows_at, blows_at, false).message()).await.unwrap();
        let mut reply = [0; 100];
        let len = peer.recv(&mut reply).await.unwrap();
        assert_eq!(reply[..len], system_err(blows_at));
    }
    let client = UdpClient::connect(peer.peer_addr().unwrap()).await.unwrap();
    assert_eq!(client.call(&Fire { blows_at: 0, waits: false }).await.unwrap().glaze, "celadon");
    assert!(server.shutdown(Duration::from_secs(10)).await, "no call is left in flight");
    served.await.unwrap();
    let counted = server.counters().calls;
    assert_eq!((counted.succeeded, counted.system_err, counted.in_flight()), (1, 2, 0));
}

// ---- the engines ----

/// A reply that panics behind what it has written.
struct Broken;

impl EncodeReply for Broken {
    fn encode_reply(&self, encoder: &mut ReplyEncoder<'_>) -> Result<(), EncodeError> {
        encoder.encode(&[1_u32; 5])?;
        panic!("as the test wants it")
    }
}

fn panics<T>(act: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

#[test]
fn the_engine_has_answered_with_system_err_when_the_panic_leaves_it() {
    let verifier = OpaqueAuth { body: Bytes::from_static(b"said"), ..OpaqueAuth::none() };
    let now = Duration::ZERO;
    let mut server = Connection::new(ConnectionConfig::default());
    let calls = [fire(1, 0, false), fire(2, 0, false), fire(3, 0, false)].map(|call| call.record());
    server.receive(now, &calls.concat());
    for _ in &calls {
        assert!(matches!(server.poll_event(), Ok(Some(Event::Call(_)))));
    }
    server.reply_with(now, 3, &Bytes::from_static(b"fine")).unwrap();
    assert!(panics(|| server.reply_with(now, 1, &Broken)));
    assert!(panics(|| server.reply_with_verifier(now, 2, &verifier, &Broken)));
    let expected = [success(3, b"fine"), record(&system_err(1)), record(&system_err(2))].concat();
    assert_eq!(server.output(), expected);
    let counted = server.server().counters();
    assert_eq!((server.server().in_flight(), counted.succeeded, counted.system_err), (0, 1, 2));
}

#[test]
fn the_engine_for_datagrams_has_answered_as_well_and_keeps_its_answer() {
    let now = Duration::ZERO;
    let peer: SocketAddr = "192.0.2.7:700".parse().unwrap();
    let mut server = DatagramServer::new(DatagramServerConfig::default());
    let call = server.handle_datagram(now, peer, &fire(1, 0, false).message()).unwrap();
    assert!(panics(|| server.reply_with(now, &call.id, &Broken)));
    assert_eq!(server.poll_transmit().unwrap().datagram, system_err(1));
    assert!(server.handle_datagram(now, peer, &fire(1, 0, false).message()).is_none(), "it is known");
    assert_eq!(server.poll_transmit().unwrap().datagram, system_err(1));
    assert!(server.poll_transmit().is_none());
    let counted = server.counters();
    assert_eq!((server.in_flight(), counted.succeeded, counted.system_err), (0, 0, 1));
}

// ---- clients ----

#[tokio::test]
async fn a_call_whose_arguments_panic_leaves_its_client_as_it_was() {
    let (server, _) = server();
    let own = program::<Kiln, _>(Potter { opened: Arc::default() });
    for client in [Client::new(server.connect_in_memory()), Client::serving(server.connect_in_memory(), own)] {
        for look in [1, 2] {
            let calling = client.clone();
            let call = tokio::spawn(async move { calling.call(&Sell { pot: Pot::blowing_at(look) }).await });
            assert!(call.await.unwrap_err().is_panic());
            assert_eq!(client.call(&Sell { pot: Pot::blowing_at(0) }).await.unwrap(), 12);
        }
    }
}

#[test]
fn a_call_whose_arguments_panic_leaves_nothing_in_the_engine() {
    let call = OutgoingCall::new(KILN, 1, 2);
    let now = Duration::ZERO;
    let mut client = Connection::new(ConnectionConfig::default());
    let first = client.call(now, &call, &1_u32, None).unwrap();
    let before = BytesMut::from(client.output());
    for look in [1, 2] {
        assert!(panics(|| client.call(now, &call, &Pot::blowing_at(look), None)));
        assert!(panics(|| client.send(now, &call, &Pot::blowing_at(look))));
    }
    assert_eq!(client.output(), before);
    assert_eq!(client.client().in_flight(), 1);
    let second = client.call(now, &call, &1_u32, None).unwrap();
    assert_eq!(second, first.wrapping_add(1));
}

// ---- reasons ----

/// A reason that panics when it is written.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("as the test wants it")
    }
}

impl Error for Unspeakable {}

/// Fires nothing, and cannot say why.
struct Closed(Program<Kiln, Potter>);

impl Programs for Closed {
    type Reply = <Program<Kiln, Potter> as Programs>::Reply;

    fn each_version(&self, visit: &mut dyn FnMut(u32, u32)) {
        self.0.each_version(visit);
    }

    fn find(&self, program: u32, version: u32, procedure: u32) -> Found {
        self.0.find(program, version, procedure)
    }

    async fn dispatch(&self, _: &Context, _: &Bytes) -> Result<Self::Reply, Undispatched> {
        Err(Undispatched::Refused(Refusal::new(Unspeakable)))
    }
}

fn closed_server() -> Server<Closed> {
    Server::new(Closed(program::<Kiln, _>(Potter { opened: Arc::default() })))
}

#[tokio::test]
async fn a_refusal_whose_reason_panics_in_the_log_is_answered_and_leaves_no_call_in_flight() {
    let (_, _logging) = Log::begin(Level::WARN);
    let server = closed_server();
    let (far, mut near) = duplex(64 * 1024);
    server.serve_connection(far, Peer::Unknown).unwrap();
    // The log has the reasons of the first ten.
    for xid in 0..12 {
        near.write_all(&fire(xid, 0, false).record()).await.unwrap();
        let expected = record(&system_err(xid));
        let mut reply = vec![0; expected.len()];
        near.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply, expected);
    }
    let counted = server.counters().calls;
    assert_eq!((counted.system_err, counted.in_flight()), (12, 0));
}

#[tokio::test]
async fn by_udp_such_a_refusal_is_answered_as_well_and_kept() {
    let (_, _logging) = Log::begin(Level::WARN);
    let server = closed_server();
    let (peer, served) = by_udp(&server).await;
    for xid in [1, 2, 1] {
        peer.send(&fire(xid, 0, false).message()).await.unwrap();
        let mut reply = [0; 100];
        let len = peer.recv(&mut reply).await.unwrap();
        assert_eq!(reply[..len], system_err(xid));
    }
    assert!(server.shutdown(Duration::from_secs(10)).await, "no call is left in flight");
    served.await.unwrap();
    let counted = server.counters().calls;
    assert_eq!((counted.system_err, counted.in_flight()), (2, 0));
}

// ---- the log ----

#[tokio::test]
async fn the_log_tells_which_procedure_it_was() {
    let (log, _logging) = Log::begin(Level::INFO);
    let (server, _) = server();
    let client = Client::new(server.connect_in_memory());
    client.call(&Fire { blows_at: 1, waits: false }).await.unwrap_err();
    let lines = log.lines_with("");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("ERROR") && lines[0].contains("encoding or dropping of a reply panicked xid="),
        "{lines:?}"
    );
    assert!(lines[0].ends_with(r#"program=536870987 procedure="Fire""#), "{lines:?}");
}
