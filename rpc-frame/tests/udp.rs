//! Client and server by UDP, on the loopback interface. Where one end is written by hand it is a plain socket.

mod log;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use log::Log;
use rpc_frame::tokio::{CallError, CallOptions, Server, ServerConfig, UdpClient};
use rpc_frame::xdr::Xdr;
use rpc_frame::{
    AuthFlavor, Context, DatagramClientConfig, MAX_DATAGRAM, OpaqueAuth, Policy, Procedure, ProcedureTable, Program,
    RecordNotWritten, Verdict, program,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Level;
use wire::{Call, words};

const POST: u32 = 0x2000_0046;

/// Waits until the test answers.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 1, reply = u32)]
struct Hold {
    ticket: u32,
}

/// Replies at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 2, reply = u32)]
struct Double {
    number: u32,
}

/// Replies with as many bytes as it was sent, and some more.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 3, reply = Filled)]
struct Fill {
    more: u32,
    #[xdr(max = 0x40_0000)]
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Xdr)]
struct Filled {
    #[xdr(max = 0x40_0000)]
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 4)]
struct Panic;

/// Is told, and not answered.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 6, oneway)]
struct Note {
    ticket: u32,
}

/// Who the peer is, and the minor version of its session.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 5, reply = Named)]
struct Whoami;

#[derive(Debug, Clone, Xdr)]
struct Named {
    #[xdr(max = 255)]
    name: String,
    minor: u32,
}

/// As `Double`, but the server does not have it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = POST, version = 1, proc = 99, reply = u32)]
struct Unknown;

/// As `Double`, with arguments that it does not take.
struct WrongDouble;

impl Procedure for WrongDouble {
    type Args = (u32, u32);
    type Reply = u32;
    const INFO: rpc_frame::ProcedureInfo = Double::INFO;
}

#[derive(ProcedureTable)]
#[rpc(program = POST, version = 1, service = PostService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Post {
    Hold(Hold),
    Double(Double),
    Fill(Fill),
    Panic(Panic),
    Whoami(Whoami),
    Note(Note),
}

struct Held {
    ticket: u32,
    answer: oneshot::Sender<u32>,
}

struct Clerk {
    held: mpsc::UnboundedSender<Held>,
    doubled: Arc<AtomicUsize>,
}

impl PostService for Clerk {
    async fn hold(&self, _: &Context, args: Hold) -> u32 {
        let (answer, answered) = oneshot::channel();
        self.held.send(Held { ticket: args.ticket, answer }).expect("the test listens");
        answered.await.unwrap_or(0)
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        self.doubled.fetch_add(1, Ordering::SeqCst);
        args.number.wrapping_mul(2)
    }

    async fn fill(&self, _: &Context, args: Fill) -> Filled {
        Filled { bytes: vec![7; args.bytes.len() + args.more as usize] }
    }

    async fn panic(&self, _: &Context, _: Panic) {
        panic!("as it was asked to");
    }

    async fn note(&self, _: &Context, args: Note) {
        let (answer, _) = oneshot::channel();
        self.held.send(Held { ticket: args.ticket, answer }).expect("the test listens");
    }

    async fn whoami(&self, cx: &Context, _: Whoami) -> Named {
        let minor = cx.session().minor();
        cx.session().negotiate_minor(1);
        Named { name: format!("{:?}", cx.peer()), minor }
    }
}

/// A server on a port of its own.
struct Office {
    server: Server<Program<Post, Clerk>>,
    address: SocketAddr,
    held: mpsc::UnboundedReceiver<Held>,
    doubled: Arc<AtomicUsize>,
    served: JoinHandle<()>,
}

struct NeverHold;

impl Policy for NeverHold {
    fn check(&self, cx: &Context) -> Verdict {
        assert_ne!(cx.procedure().name, "Hold", "the policy panics");
        Verdict::Allow
    }
}

impl Office {
    async fn open() -> Self {
        Self::open_with("127.0.0.1:0", ServerConfig::default(), None).await
    }

    async fn open_with(address: &str, config: ServerConfig, policy: Option<NeverHold>) -> Self {
        let (sender, held) = mpsc::unbounded_channel();
        let doubled = Arc::new(AtomicUsize::new(0));
        let clerk = Clerk { held: sender, doubled: Arc::clone(&doubled) };
        let mut server = Server::builder(program::<Post, _>(clerk)).config(config);
        if let Some(policy) = policy {
            server = server.policy(policy);
        }
        let server = server.build();
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = server.clone();
        let served = tokio::spawn(async move { serving.serve_udp(socket).await });
        Self { server, address, held, doubled, served }
    }

    async fn client(&self) -> UdpClient {
        UdpClient::connect(self.address).await.unwrap()
    }

    async fn next_held(&mut self) -> Held {
        within(self.held.recv()).await.unwrap()
    }
}

/// Long enough for anything that is to happen.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("in time")
}

/// A plain socket that talks to one address.
async fn plain(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(address).await.unwrap();
    socket
}

async fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (len, from) = within(socket.recv_from(&mut buffer)).await.unwrap();
    buffer.truncate(len);
    (buffer, from)
}

fn success(xid: u32, results: &[u32]) -> Vec<u8> {
    [words(&[xid, 1, 0, 0, 0, 0]), words(results)].concat()
}

fn double(xid: u32, number: u32) -> Vec<u8> {
    Call::new(xid, POST, 1, 2).args(words(&[number])).message()
}

fn xid(datagram: &[u8]) -> u32 {
    u32::from_be_bytes(datagram[..4].try_into().unwrap())
}

/// A client that is impatient, and a plain socket in place of its server.
async fn impatient_client() -> (UdpClient, UdpSocket) {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = plain(server.local_addr().unwrap()).await;
    (UdpClient::with_config(socket, impatient()).unwrap(), server)
}

fn impatient() -> DatagramClientConfig {
    let mut config = DatagramClientConfig::default();
    (config.first_wait, config.max_wait) = (Duration::from_millis(20), Duration::from_millis(50));
    config.max_tries = 400;
    config
}

// ---- both ends ----

#[tokio::test]
async fn many_calls_in_flight_get_their_own_replies() {
    let office = Office::open().await;
    let client = office.client().await;
    client.null(POST, 1).await.unwrap();
    let calls: Vec<_> = (0..500)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { (number, client.call(&Double { number }).await) })
        })
        .collect();
    for call in calls {
        let (number, doubled) = within(call).await.unwrap();
        assert_eq!(doubled.unwrap(), number * 2);
    }
    assert_eq!(office.doubled.load(Ordering::SeqCst), 500);
}

#[tokio::test]
async fn tls_is_refused_with_the_reason_and_nothing_is_sent() {
    let (client, server) = impatient_client().await;
    let credential = OpaqueAuth { flavor: AuthFlavor::TLS, ..OpaqueAuth::none() };
    let asking = client.clone().with_options(CallOptions::default().with_credential(credential));
    for ended in [
        asking.null(POST, 1).await,
        asking.call(&Double { number: 1 }).await.map(drop),
        asking.send(&Note { ticket: 1 }).await,
    ] {
        let error = ended.unwrap_err();
        assert_eq!(error.to_string(), "DTLS is not supported: AUTH_TLS does not begin TLS over UDP");
        assert!(!error.may_have_run());
    }
    // What comes first is another call.
    let _other = tokio::spawn(async move { client.null(POST, 1).await });
    assert_eq!(next(&server).await.0[24..28], [0; 4]);
}

#[tokio::test]
async fn a_server_answers_on_ipv6_too() {
    let Ok(_) = UdpSocket::bind("[::1]:0").await else {
        eprintln!("SKIPPED: there is no IPv6 here");
        return;
    };
    let office = Office::open_with("[::]:0", ServerConfig::default(), None).await;
    let client = UdpClient::connect(("::1", office.address.port())).await.unwrap();
    assert_eq!(within(client.call(&Double { number: 4 })).await.unwrap(), 8);
}

#[tokio::test]
async fn the_peer_is_an_address_and_its_session_ends_with_the_call() {
    let office = Office::open().await;
    let client = office.client().await;
    for _ in 0..2 {
        let named = within(client.call(&Whoami)).await.unwrap();
        assert!(named.name.starts_with("Udp(127.0.0.1:"), "{}", named.name);
        assert_eq!(named.minor, 0, "what the call before has negotiated is forgotten");
    }
}

#[tokio::test]
async fn refusals_are_what_they_are_on_a_connection() {
    let office = Office::open().await;
    let client = office.client().await;
    let error = within(client.null(POST + 1, 1)).await.unwrap_err();
    assert!(matches!(error, CallError::ProgUnavail { program } if program == POST + 1), "{error}");
    let error = within(client.null(POST, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::ProgMismatch { low: 1, high: 1 }), "{error}");
    let error = within(client.call(&Unknown)).await.unwrap_err();
    assert!(matches!(error, CallError::ProcUnavail { procedure: 99 }), "{error}");
    let error = within(client.call_procedure::<WrongDouble>(&(1, 2))).await.unwrap_err();
    assert!(matches!(error, CallError::GarbageArgs), "{error}");
    let error = within(client.call(&Panic)).await.unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
    assert_eq!(within(client.call(&Double { number: 1 })).await.unwrap(), 2);
}

#[tokio::test]
async fn what_fails_again_and_again_does_not_fill_the_log() {
    let (log, _logging) = Log::begin(Level::WARN);
    let begun = std::time::Instant::now();
    let office = Office::open_with("127.0.0.1:0", ServerConfig::default(), Some(NeverHold)).await;
    let client = office.client().await;
    for _ in 0..50 {
        assert!(matches!(within(client.call(&Panic)).await, Err(CallError::SystemErr)));
        assert!(matches!(within(client.call(&Hold { ticket: 1 })).await, Err(CallError::SystemErr)));
        let long = Fill { more: 65_500, bytes: vec![0; 100] };
        assert!(matches!(within(client.call(&long)).await, Err(CallError::SystemErr)));
    }
    let most = 10 + begun.elapsed().as_secs() as usize;
    for line in ["handler panicked peer=127.0.0.1", "policy panicked", "cannot send a reply peer=127.0.0.1"] {
        let lines = log.lines_with(line).len();
        assert!((1..=most).contains(&lines), "{lines} lines of {line}");
    }
}

#[tokio::test]
async fn survives_a_policy_that_panics() {
    let office = Office::open_with("127.0.0.1:0", ServerConfig::default(), Some(NeverHold)).await;
    let client = office.client().await;
    let error = within(client.call(&Hold { ticket: 1 })).await.unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
    assert_eq!(within(client.call(&Double { number: 1 })).await.unwrap(), 2);
}

#[tokio::test]
async fn the_longest_call_and_reply_pass_and_longer_ones_are_errors() {
    let office = Office::open().await;
    let client = office.client().await;
    let call = |len, more| Fill { more, bytes: vec![0; len] };
    // 40 bytes of header, 4 of `more`, 4 of length; whole words only.
    let longest = MAX_DATAGRAM / 4 * 4 - 48;
    assert_eq!(within(client.call(&call(longest, 0))).await.unwrap().bytes.len(), longest);
    let Err(CallError::NotSent(error)) = client.call(&call(longest + 1, 0)).await else {
        panic!("it fits no datagram")
    };
    assert_eq!(error, RecordNotWritten::TooLong { len: MAX_DATAGRAM + 1, max: MAX_DATAGRAM });
    // 24 bytes of header, 4 of length.
    let longest = u32::try_from(MAX_DATAGRAM / 4 * 4 - 28).unwrap();
    assert_eq!(within(client.call(&call(0, longest))).await.unwrap().bytes.len(), longest as usize);
    let error = within(client.call(&call(0, longest + 1))).await.unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
}

#[tokio::test]
async fn a_call_beyond_the_cap_is_answered_when_it_comes_again() {
    let mut config = ServerConfig::default();
    config.datagram.max_calls_in_flight = 1;
    let mut office = Office::open_with("127.0.0.1:0", config, None).await;
    let client = UdpClient::with_config(plain(office.address).await, impatient()).unwrap();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Hold { ticket: 1 }).await }
    });
    let held = office.next_held().await;
    let hasty = CallOptions::default().with_timeout(Some(Duration::from_millis(100)));
    let error = client.clone().with_options(hasty).call(&Double { number: 1 }).await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    let second = tokio::spawn(async move { client.call(&Double { number: 2 }).await });
    held.answer.send(11).unwrap();
    assert_eq!(within(first).await.unwrap().unwrap(), 11);
    assert_eq!(within(second).await.unwrap().unwrap(), 4);
    assert_eq!(office.doubled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn messages_without_reply_are_taken_once_each_and_counted_as_unanswered() {
    let mut office = Office::open().await;
    let client = office.client().await;
    for ticket in 0..20 {
        within(client.send(&Note { ticket })).await.unwrap();
        assert_eq!(office.next_held().await.ticket, ticket);
    }
    within(client.null(POST, 1)).await.unwrap();
    let calls = office.server.counters().calls;
    assert_eq!((calls.unanswered, calls.succeeded, calls.calls), (20, 1, 21));
}

#[tokio::test]
async fn what_is_queued_when_the_last_client_is_dropped_still_goes_and_waits_for_room_before() {
    let (_, server) = impatient_client().await;
    let socket = plain(server.local_addr().unwrap()).await;
    let mut config = DatagramClientConfig::default();
    config.max_unsent = 100;
    let client = UdpClient::with_config(socket, config).unwrap();
    // Nothing goes as long as this task does not wait, and there is room for three of 44 bytes.
    for ticket in 0..3 {
        within(client.send(&Note { ticket })).await.unwrap();
    }
    let mut fourth = Box::pin(client.send(&Note { ticket: 3 }));
    assert!(std::future::poll_fn(|cx| Poll::Ready(fourth.as_mut().poll(cx).is_pending())).await);
    within(fourth).await.unwrap();
    drop(client);
    for ticket in 0..4 {
        assert_eq!(next(&server).await.0[40..], words(&[ticket]));
    }
}

#[tokio::test]
async fn a_reply_that_has_come_in_time_is_in_time_however_late_the_runtime_looks() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpClient::connect(server.local_addr().unwrap()).await.unwrap();
    let timed = CallOptions::default().with_timeout(Some(Duration::from_millis(200)));
    let call = |client: UdpClient| tokio::spawn(async move { client.call(&Double { number: 3 }).await });
    let first = call(client.clone().with_options(timed));
    let (datagram, from) = next(&server).await;
    let sent = server.try_send_to(&success(xid(&datagram), &[6]), from);
    assert_eq!(sent.unwrap(), 28);
    // Not a wait for anybody: this is the deadline passing while something else keeps the thread.
    std::thread::sleep(Duration::from_millis(400));
    // It has the client's task run before the runtime looks at its sockets.
    let further = call(client);
    assert_eq!(first.await.unwrap().expect("its reply came in time"), 6);
    further.abort();
}

#[tokio::test]
async fn a_message_without_reply_that_is_too_long_is_not_sent() {
    let (_, server) = impatient_client().await;
    let mut config = DatagramClientConfig::default();
    config.max_datagram = 43;
    let client = UdpClient::with_config(plain(server.local_addr().unwrap()).await, config).unwrap();
    let error = within(client.send(&Note { ticket: 1 })).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooLong { len: 44, max: 43 })), "{error}");
}

#[tokio::test]
async fn calls_are_counted_by_the_way_they_end_and_once_however_often_they_come() {
    let mut office = Office::open().await;
    let socket = plain(office.address).await;
    let ask = async |call: Vec<u8>| {
        socket.send(&call).await.unwrap();
        next(&socket).await.0.len()
    };
    let mut replies = ask(double(1, 21)).await;
    replies += ask(double(1, 21)).await;
    for (xid, call) in [
        (2, Call::new(2, POST + 1, 1, 2)),
        (3, Call::new(3, POST, 2, 2)),
        (4, Call::new(4, POST, 1, 99)),
        (5, Call::new(5, POST, 1, 2)),
        (6, Call::new(6, POST, 1, 4)),
        (7, Call::new(7, POST, 1, 0)),
    ] {
        assert_eq!(call.message()[..4], words(&[xid]));
        replies += ask(call.message()).await;
    }
    let hold = Call::new(8, POST, 1, 1).args(words(&[5])).message();
    socket.send(&hold).await.unwrap();
    let held = office.next_held().await;
    // Too short for a call, and a reply.
    socket.send(&[0; 7]).await.unwrap();
    socket.send(&success(9, &[])).await.unwrap();
    replies += ask(double(10, 1)).await;
    let counters = office.server.counters();
    let calls = counters.calls;
    assert_eq!((calls.calls, calls.in_flight(), calls.succeeded, calls.unanswered), (9, 1, 3, 0));
    assert_eq!((calls.prog_unavail, calls.prog_mismatch, calls.proc_unavail), (1, 1, 1));
    assert_eq!((calls.garbage_args, calls.system_err), (1, 1));
    assert_eq!((counters.open, counters.opened), (1, 1));
    assert_eq!(counters.bytes_sent, u64::try_from(replies).unwrap());
    assert_eq!(counters.bytes_received, 4 * 44 + 6 * 40 + 7 + 24);
    within(office.server.shutdown(Duration::ZERO)).await;
    within(office.served).await.unwrap();
    let calls = office.server.counters().calls;
    assert_eq!((calls.in_flight(), calls.unanswered), (0, 1), "cut off");
    drop(held);
}

// ---- the server, and a plain socket ----

#[tokio::test]
async fn a_call_that_comes_again_is_not_executed_again() {
    let mut office = Office::open().await;
    let socket = plain(office.address).await;
    let hold = Call::new(1, POST, 1, 1).args(words(&[5])).message();
    socket.send(&hold).await.unwrap();
    let held = office.next_held().await;
    socket.send(&hold).await.unwrap();
    for _ in 0..3 {
        // The calls come in order: the reply to this one says that the one before was dropped.
        socket.send(&double(2, 21)).await.unwrap();
        assert_eq!(next(&socket).await.0, success(2, &[42]));
    }
    held.answer.send(6).unwrap();
    assert_eq!(next(&socket).await.0, success(1, &[6]));
    socket.send(&hold).await.unwrap();
    assert_eq!(next(&socket).await.0, success(1, &[6]));
    assert_eq!(held.ticket, 5);
    assert!(office.held.try_recv().is_err(), "it was called once");
    assert_eq!(office.doubled.load(Ordering::SeqCst), 1);
    socket.send(&double(2, 22)).await.unwrap();
    assert_eq!(next(&socket).await.0, success(2, &[44]), "an xid that is used again for another call");
}

#[tokio::test]
async fn rejects_truncated_oversized_and_reflected_datagrams_without_an_answer() {
    let mut config = ServerConfig::default();
    config.datagram.max_datagram = 200;
    let office = Office::open_with("127.0.0.1:0", config, None).await;
    let socket = plain(office.address).await;
    let whole = double(7, 1);
    for len in 0..whole.len() - 4 {
        socket.send(&whole[..len]).await.unwrap();
    }
    let padded = Call::new(8, POST, 1, 0).args(vec![0; 161]).message();
    assert_eq!(padded.len(), 201);
    socket.send(&padded).await.unwrap();
    socket.send(&success(9, &[1])).await.unwrap();
    socket.send(&words(&[10, 2])).await.unwrap();
    socket.send(&double(11, 4)).await.unwrap();
    assert_eq!(next(&socket).await.0, success(11, &[8]), "the first answer is that to the first call");
    socket.send(&padded[..200]).await.unwrap();
    assert_eq!(next(&socket).await.0, words(&[8, 1, 0, 0, 0, 4]), "one that is just short enough is looked at");
    assert_eq!(office.doubled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_rpc_version_that_nobody_speaks_is_told_which_one_is_spoken() {
    let office = Office::open().await;
    let socket = plain(office.address).await;
    let mut call = Call::new(7, POST, 1, 0);
    call.rpcvers = 3;
    socket.send(&call.message()).await.unwrap();
    assert_eq!(next(&socket).await.0, words(&[7, 1, 1, 0, 2, 2]));
}

// ---- the end of a server ----

#[tokio::test]
async fn shutdown_in_the_middle_of_a_call_delivers_its_reply_and_takes_no_other() {
    let mut office = Office::open().await;
    let socket = plain(office.address).await;
    socket.send(&Call::new(1, POST, 1, 1).args(words(&[5])).message()).await.unwrap();
    let held = office.next_held().await;
    assert_eq!(office.server.connections(), 1);
    let server = office.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(Duration::from_secs(20)).await });
    // The task has to have seen the end before this call, which is then not taken.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    socket.send(&double(2, 1)).await.unwrap();
    let early = timeout(Duration::from_millis(100), next(&socket)).await;
    assert!(early.is_err(), "no call is taken any more, while one is in progress");
    held.answer.send(6).unwrap();
    assert_eq!(next(&socket).await.0, success(1, &[6]));
    assert!(within(shutdown).await.unwrap());
    within(office.served).await.unwrap();
    assert_eq!((office.server.connections(), office.doubled.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn shutdown_cuts_off_a_handler_that_never_returns() {
    let mut office = Office::open().await;
    let socket = plain(office.address).await;
    socket.send(&Call::new(1, POST, 1, 1).args(words(&[5])).message()).await.unwrap();
    let held = office.next_held().await;
    assert!(!within(office.server.shutdown(Duration::from_millis(20))).await);
    within(office.served).await.unwrap();
    assert!(held.answer.is_closed());
}

#[tokio::test]
async fn who_stops_waiting_for_the_server_stops_it_and_loses_no_reply() {
    let mut office = Office::open().await;
    let socket = plain(office.address).await;
    socket.send(&Call::new(1, POST, 1, 1).args(words(&[5])).message()).await.unwrap();
    let held = office.next_held().await;
    office.served.abort();
    assert!(within(office.served).await.unwrap_err().is_cancelled());
    held.answer.send(6).unwrap();
    assert_eq!(next(&socket).await.0, success(1, &[6]));
    let its_socket_is_closed = async {
        while UdpSocket::bind(office.address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(its_socket_is_closed).await;
}

// ---- the client, and a plain socket ----

#[tokio::test]
async fn a_call_that_is_lost_is_sent_again_with_the_same_bytes() {
    let (client, server) = impatient_client().await;
    let call = tokio::spawn(async move { client.call(&Double { number: 3 }).await });
    let (lost, from) = next(&server).await;
    assert_eq!(lost, double(xid(&lost), 3));
    assert_eq!(next(&server).await.0, lost);
    server.send_to(&success(xid(&lost), &[6]), from).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

#[tokio::test]
async fn rejects_what_is_no_reply_to_the_call_and_goes_on_waiting() {
    let (client, server) = impatient_client().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let call = tokio::spawn(async move { client.call(&Double { number: 3 }).await });
    let (datagram, from) = next(&server).await;
    let xid = xid(&datagram);
    stranger.send_to(&success(xid, &[666]), from).await.unwrap();
    server.send_to(&datagram, from).await.unwrap();
    server.send_to(&success(xid.wrapping_add(1), &[667]), from).await.unwrap();
    server.send_to(&success(xid, &[6])[..20], from).await.unwrap();
    server.send_to(&[], from).await.unwrap();
    server.send_to(&[0xff; 60_000], from).await.unwrap();
    server.send_to(&success(xid, &[6]), from).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

#[tokio::test]
async fn rejects_a_reply_that_was_there_before_the_socket_was_connected() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut config = impatient();
    config.first_xid = 77;
    stranger.send_to(&success(77, &[666]), socket.local_addr().unwrap()).await.unwrap();
    socket.connect(server.local_addr().unwrap()).await.unwrap();
    // Made before the driving task has read anything.
    let client = UdpClient::with_config(socket, config).unwrap();
    let call = tokio::spawn(async move { client.call(&Double { number: 3 }).await });
    let (_, from) = next(&server).await;
    server.send_to(&success(77, &[6]), from).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 6);
}

#[tokio::test]
async fn results_of_another_type_are_an_error_of_their_call_only() {
    let (client, server) = impatient_client().await;
    let other = client.clone();
    let call = tokio::spawn(async move { client.call(&Double { number: 3 }).await });
    let (datagram, from) = next(&server).await;
    server.send_to(&success(xid(&datagram), &[6, 7]), from).await.unwrap();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Reply(_)), "{error}");
    let call = tokio::spawn(async move { other.call(&Double { number: 4 }).await });
    let (datagram, from) = next(&server).await;
    server.send_to(&success(xid(&datagram), &[8]), from).await.unwrap();
    assert_eq!(within(call).await.unwrap().unwrap(), 8);
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_called_until_it_is() {
    let (client, server) = impatient_client().await;
    let address = server.local_addr().unwrap();
    drop(server);
    let hasty = CallOptions::default().with_timeout(Some(Duration::from_millis(100)));
    let error = client.clone().with_options(hasty).null(POST, 1).await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    assert!(error.may_have_run());
    let call = tokio::spawn(async move { client.null(POST, 1).await });
    tokio::task::yield_now().await;
    let office = Office::open_with(&address.to_string(), ServerConfig::default(), None).await;
    within(call).await.unwrap().unwrap();
    assert_eq!(office.address, address);
}

#[tokio::test]
async fn all_tries_of_a_call_are_spent_before_its_deadline() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut config = impatient();
    config.max_tries = 3;
    let client = UdpClient::with_config(plain(server.local_addr().unwrap()).await, config).unwrap();
    let error = within(client.null(POST, 1)).await.unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    for _ in 0..3 {
        next(&server).await;
    }
    let mut buffer = [0; 100];
    assert!(server.try_recv(&mut buffer).is_err(), "it was sent three times");
}

#[tokio::test]
async fn a_socket_that_is_not_connected_makes_no_client() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert!(UdpClient::with_config(socket, DatagramClientConfig::default()).is_err());
}
