//! Handlers that do not end in time: where they wait they are dropped, and everything else goes on.
//!
//! The clock stands still, and jumps to the next timer when nothing else is left to do.

mod wire;

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, Server, ServerConfig};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, Program, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use wire::{Call, record, words};

const CLINIC: u32 = 0x2000_0049;

/// The server's limit in these tests.
const LIMIT: Duration = Duration::from_secs(60);

/// Never ends. Says so when it begins and when it is dropped.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 1)]
struct Hang {
    panics_when_dropped: bool,
}

/// Takes so many seconds.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 2, reply = u32)]
struct Take {
    seconds: u32,
}

/// The same, with an hour to do it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 3, reply = u32, time_limit = Duration::from_secs(3600))]
struct TakeLong {
    seconds: u32,
}

/// The same, with a second to do it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 4, reply = u32, time_limit = Duration::from_secs(1))]
struct TakeShort {
    seconds: u32,
}

/// Seconds that are left to the handler.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 5, reply = Option<u64>)]
struct TimeLeft;

/// Never ends, and nobody waits for it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 6, oneway)]
struct HangAlone;

/// Takes so many seconds, and nobody waits for it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = CLINIC, version = 1, proc = 7, oneway)]
struct TakeAlone {
    seconds: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = CLINIC, version = 1, service = ClinicService)]
enum Clinic {
    Hang(Hang),
    Take(Take),
    TakeLong(TakeLong),
    TakeShort(TakeShort),
    TimeLeft(TimeLeft),
    HangAlone(HangAlone),
    TakeAlone(TakeAlone),
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum News {
    Begun,
    Dropped,
}

struct Patient {
    news: mpsc::UnboundedSender<News>,
    panics: bool,
}

impl Patient {
    fn new(news: &mpsc::UnboundedSender<News>, panics: bool) -> Self {
        news.send(News::Begun).unwrap();
        Self { news: news.clone(), panics }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        let _ = self.news.send(News::Dropped);
        assert!(!self.panics, "as the test wants it");
    }
}

struct Doctor(mpsc::UnboundedSender<News>);

impl ClinicService for Doctor {
    async fn hang(&self, _: &Context, args: Hang) {
        let _patient = Patient::new(&self.0, args.panics_when_dropped);
        std::future::pending().await
    }

    async fn take(&self, _: &Context, args: Take) -> u32 {
        sleep(Duration::from_secs(args.seconds.into())).await;
        args.seconds
    }

    async fn take_long(&self, _: &Context, args: TakeLong) -> u32 {
        sleep(Duration::from_secs(args.seconds.into())).await;
        args.seconds
    }

    async fn take_short(&self, _: &Context, args: TakeShort) -> u32 {
        sleep(Duration::from_secs(args.seconds.into())).await;
        args.seconds
    }

    async fn time_left(&self, cx: &Context, _: TimeLeft) -> Option<u64> {
        Some((cx.deadline()? - Instant::now()).as_secs())
    }

    async fn hang_alone(&self, _: &Context, _: HangAlone) {
        let _patient = Patient::new(&self.0, false);
        std::future::pending().await
    }

    async fn take_alone(&self, _: &Context, args: TakeAlone) {
        sleep(Duration::from_secs(args.seconds.into())).await;
    }
}

/// What all tests have logged. There before the first of them logs, since a place that logs remembers who listens.
static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(|| Writer).init();
    Mutex::default()
});

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Hospital = Server<Program<Clinic, Doctor>>;

fn server_with(change: impl FnOnce(&mut ServerConfig)) -> (Hospital, mpsc::UnboundedReceiver<News>) {
    LazyLock::force(&LOG);
    let (news, heard) = mpsc::unbounded_channel();
    let mut config = ServerConfig::default();
    config.time_limit = Some(LIMIT);
    change(&mut config);
    (Server::builder(program::<Clinic, _>(Doctor(news))).config(config).build(), heard)
}

fn server() -> (Hospital, mpsc::UnboundedReceiver<News>) {
    server_with(|_| {})
}

/// A client that waits as long as it takes.
fn client(server: &Hospital) -> Client {
    let endless = CallOptions::default().with_timeout(None);
    Client::new(server.connect_in_memory()).with_options(endless)
}

fn seconds_since(begun: Instant) -> u64 {
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_never_returns() {
    let (server, mut news) = server_with(|config| config.connection.max_calls_in_flight = 1);
    let (client, begun) = (client(&server), Instant::now());
    for round in 1..=3 {
        let error = client.call(&Hang { panics_when_dropped: false }).await.unwrap_err();
        assert!(matches!(error, CallError::SystemErr), "{error}");
        assert_eq!(seconds_since(begun), round * LIMIT.as_secs());
        assert_eq!([news.recv().await, news.recv().await], [Some(News::Begun), Some(News::Dropped)]);
    }
    // The only slot is free, and the connection is as good as before.
    assert_eq!(client.call(&Take { seconds: 1 }).await.unwrap(), 1);
    let calls = server.counters().calls;
    assert_eq!((calls.system_err, calls.succeeded, calls.in_flight()), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn survives_a_handler_that_panics_when_it_is_given_up() {
    let (server, mut news) = server();
    let client = client(&server);
    let error = client.call(&Hang { panics_when_dropped: true }).await.unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
    assert_eq!([news.recv().await, news.recv().await], [Some(News::Begun), Some(News::Dropped)]);
    assert_eq!(client.call(&Take { seconds: 1 }).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ends_just_in_time_is_answered() {
    let (server, _news) = server();
    let client = client(&server);
    assert_eq!(client.call(&Take { seconds: 59 }).await.unwrap(), 59);
    assert!(matches!(client.call(&Take { seconds: 61 }).await, Err(CallError::SystemErr)));
}

#[tokio::test(start_paused = true)]
async fn each_handler_has_a_time_of_its_own() {
    let (server, _news) = server();
    let (client, begun) = (client(&server), Instant::now());
    let take = |after: u64, seconds: u32| {
        let client = client.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(after)).await;
            let reply = client.call(&Take { seconds }).await;
            (reply.is_ok(), seconds_since(begun))
        })
    };
    // The first ends, the second is given up when it is due and not when the first would have been, and so on.
    let calls = [take(0, 50), take(20, 100), take(30, 55), take(70, 1000), take(75, 59)];
    let mut ends = Vec::new();
    for call in calls {
        ends.push(call.await.unwrap());
    }
    assert_eq!(ends, [(true, 50), (false, 80), (true, 85), (false, 130), (true, 134)]);
}

#[tokio::test(start_paused = true)]
async fn a_procedure_may_have_a_limit_of_its_own_longer_or_shorter() {
    let (server, _news) = server();
    let (client, begun) = (client(&server), Instant::now());
    assert_eq!(client.call(&TakeLong { seconds: 3000 }).await.unwrap(), 3000);
    assert_eq!(seconds_since(begun), 3000);
    assert!(matches!(client.call(&TakeLong { seconds: 4000 }).await, Err(CallError::SystemErr)));
    assert_eq!(seconds_since(begun), 3000 + 3600);
    assert!(matches!(client.call(&TakeShort { seconds: 2 }).await, Err(CallError::SystemErr)));
    assert_eq!(seconds_since(begun), 3000 + 3600 + 1);
}

#[tokio::test(start_paused = true)]
async fn who_switches_the_limit_off_switches_off_those_of_the_procedures_as_well() {
    let (server, _news) = server_with(|config| config.time_limit = None);
    let client = client(&server);
    assert_eq!(client.call(&Take { seconds: 100_000 }).await.unwrap(), 100_000);
    assert_eq!(client.call(&TakeShort { seconds: 100_000 }).await.unwrap(), 100_000);
    assert_eq!(client.call(&TimeLeft).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_default_limit_is_ten_minutes_and_the_handler_knows() {
    let (server, _news) = server_with(|config| *config = ServerConfig::default());
    let client = client(&server);
    assert_eq!(client.call(&TimeLeft).await.unwrap(), Some(600));
    let begun = Instant::now();
    assert!(client.call(&Hang { panics_when_dropped: false }).await.is_err());
    assert_eq!(seconds_since(begun), 600);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_given_up_without_an_answer() {
    let (server, mut news) = server();
    let (client, begun) = (client(&server), Instant::now());
    client.send(&HangAlone).await.unwrap();
    assert_eq!([news.recv().await, news.recv().await], [Some(News::Begun), Some(News::Dropped)]);
    assert_eq!(seconds_since(begun), LIMIT.as_secs());
    assert_eq!(client.call(&Take { seconds: 1 }).await.unwrap(), 1);
    let calls = server.counters().calls;
    assert_eq!((calls.unanswered, calls.system_err, calls.in_flight()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_serves_gives_its_handlers_up_as_well() {
    let (far, near) = tokio::io::duplex(4096);
    let (news, _heard) = mpsc::unbounded_channel();
    let mut config = ServerConfig::default();
    config.time_limit = Some(LIMIT);
    let _serving = Client::serving_with_config(far, program::<Clinic, _>(Doctor(news)), config);
    let (caller, begun) = (Client::new(near).with_options(CallOptions::default().with_timeout(None)), Instant::now());
    assert!(matches!(caller.call(&Hang { panics_when_dropped: false }).await, Err(CallError::SystemErr)));
    assert_eq!(seconds_since(begun), LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_handlers_no_longer_than_they_may_take() {
    let (server, mut news) = server();
    let (client, begun) = (client(&server), Instant::now());
    let call = tokio::spawn(async move { client.call(&Hang { panics_when_dropped: false }).await });
    assert_eq!(news.recv().await, Some(News::Begun));
    assert!(server.shutdown(Duration::from_secs(3600)).await);
    assert_eq!(seconds_since(begun), LIMIT.as_secs());
    assert!(matches!(call.await.unwrap(), Err(CallError::SystemErr)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_from_the_end_of_a_handler_on_that_nobody_waits_for() {
    let idle = Duration::from_secs(100);
    let (server, _news) = server_with(|config| config.connection.idle_timeout = idle);
    let mut io = server.connect_in_memory();
    sleep(Duration::from_secs(1)).await;
    io.write_all(&Call::new(1, CLINIC, 1, 7).args(words(&[50])).record()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(io.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(seconds_since(begun), 150);
}

#[tokio::test(start_paused = true)]
async fn the_log_has_the_procedure_and_its_limit() {
    let (server, _news) = server();
    let mut io = server.connect_in_memory();
    io.write_all(&Call::new(0x4c6f67, CLINIC, 1, 4).args(words(&[2])).record()).await.unwrap();
    let mut reply = [0; 28];
    io.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[..], record(&words(&[0x4c6f67, 1, 0, 0, 0, 5])), "SYSTEM_ERR");
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains(&format!("xid={}", 0x4c6f67))).expect("it is logged");
    assert!(line.contains("ERROR") && line.contains(r#"procedure="TakeShort""#) && line.contains("limit=1s"), "{line}");
}

#[tokio::test]
async fn survives_a_handler_that_never_returns_by_udp() {
    let (server, mut news) = server_with(|config| config.datagram.max_calls_in_flight = 1);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.connect(socket.local_addr().unwrap()).await.unwrap();
    let serving = server.clone();
    let over = Arc::new(Semaphore::new(0));
    let ended = Arc::clone(&over);
    tokio::spawn(async move {
        serving.serve_udp(socket).await;
        ended.add_permits(1);
    });
    let mut buffer = [0; 100];
    for (xid, panics) in [(7, 0), (8, 1)] {
        peer.send(&Call::new(xid, CLINIC, 1, 1).args(words(&[panics])).message()).await.unwrap();
        assert_eq!(news.recv().await, Some(News::Begun));
        // With the handler waiting, time jumps to its deadline.
        tokio::time::pause();
        let begun = Instant::now();
        let dropped = timeout(LIMIT * 2, news.recv()).await.expect("the handler is given up");
        assert_eq!((dropped, seconds_since(begun)), (Some(News::Dropped), LIMIT.as_secs()));
        tokio::time::resume();
        let len = peer.recv(&mut buffer).await.unwrap();
        assert_eq!(buffer[..len], words(&[xid, 1, 0, 0, 0, 5]), "SYSTEM_ERR");
    }
    // The only place is free.
    peer.send(&Call::new(9, CLINIC, 1, 2).args(words(&[0])).message()).await.unwrap();
    let len = peer.recv(&mut buffer).await.unwrap();
    assert_eq!(record(&buffer[..len]), wire::success(9, &words(&[0])));
    assert!(server.shutdown(Duration::from_secs(10)).await);
    drop(over.acquire().await.unwrap());
}
