//! A client that has one connection after the other: who waits, who is told what, and what is sent again.
//!
//! Time stands still and jumps to the next timer where nothing is left to do, so that waits are exact.

use std::future::{Future, pending};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, ClosedError, ReconnectPolicy, ReconnectingClient, Server};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, Program, program};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

/// Waits until its server is killed.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 1)]
struct Hold;

/// As `Hold`, and may be sent again.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 2, idempotent)]
struct HoldAgain;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 3, reply = u32)]
struct Double {
    number: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 4, oneway)]
struct Note {
    number: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 5)]
struct Open;

#[derive(ProcedureTable)]
#[rpc(program = 9, version = 1, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Desk {
    Hold(Hold),
    HoldAgain(HoldAgain),
    Double(Double),
    Note(Note),
    Open(Open),
}

/// Tells the test of each call.
struct Clerk(mpsc::UnboundedSender<&'static str>);

impl Clerk {
    fn tell(&self, what: &'static str) {
        self.0.send(what).expect("the test listens");
    }
}

impl DeskService for Clerk {
    async fn hold(&self, _: &Context, _: Hold) {
        self.tell("hold");
        pending().await
    }

    async fn hold_again(&self, _: &Context, _: HoldAgain) {
        self.tell("hold again");
        pending().await
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        self.tell("double");
        args.number * 2
    }

    async fn note(&self, _: &Context, _: Note) {
        self.tell("note");
    }

    async fn open(&self, _: &Context, _: Open) {
        self.tell("open");
    }
}

type DeskServer = Server<Program<Desk, Clerk>>;

/// Where the connections of a test go: to a server that can be killed and started again.
#[derive(Clone)]
struct House {
    server: Arc<Mutex<Option<DeskServer>>>,
    attempts: Arc<AtomicUsize>,
    told: mpsc::UnboundedSender<&'static str>,
}

impl House {
    fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (told, calls) = mpsc::unbounded_channel();
        let house = Self { server: Arc::default(), attempts: Arc::default(), told };
        house.start();
        (house, calls)
    }

    fn start(&self) {
        *self.server.lock().unwrap() = Some(Server::new(program::<Desk, _>(Clerk(self.told.clone()))));
    }

    /// Cuts all connections off. The server's counters must be as if there had been none.
    async fn kill(&self) {
        let server = self.server.lock().unwrap().take().expect("it runs");
        server.shutdown(Duration::ZERO).await;
        while server.connections() > 0 {
            tokio::task::yield_now().await;
        }
        let counters = server.counters();
        assert_eq!((counters.open, counters.calls.in_flight()), (0, 0));
    }

    fn connect(&self) -> impl Future<Output = io::Result<Client>> + Send + use<> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let stream = self.server.lock().unwrap().as_ref().map(Server::connect_in_memory);
        async { stream.map(Client::new).ok_or_else(|| io::ErrorKind::ConnectionRefused.into()) }
    }

    fn client(&self) -> ReconnectingClient {
        let house = self.clone();
        ReconnectingClient::new(move || house.connect()).with_policy(exact())
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

fn exact() -> ReconnectPolicy {
    ReconnectPolicy::default().with_jitter(false)
}

/// A client of what the closure makes of the number of the attempt.
fn numbered<F>(connect: impl Fn(usize) -> F + Send + Sync + 'static) -> (ReconnectingClient, Arc<AtomicUsize>)
where
    F: Future<Output = io::Result<Client>> + Send + 'static,
{
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let client = ReconnectingClient::new(move || connect(counted.fetch_add(1, Ordering::SeqCst) + 1));
    (client.with_policy(exact()), attempts)
}

/// Times in milliseconds are as expected, but for what the timer rounds up each time.
fn assert_near(times: &[u128], expected: &[u128]) {
    let near = |(time, expected): (&u128, &u128)| (*expected..expected + 20).contains(time);
    assert!(times.len() == expected.len() && times.iter().zip(expected).all(near), "{times:?}, not {expected:?}");
}

fn over(stream: DuplexStream) -> io::Result<Client> {
    Ok(Client::new(stream))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_opened_before_the_first_call_and_then_one_connection_for_all() {
    let (house, _calls) = House::new();
    let client = house.client();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.attempts(), 0);
    let calls = (0..50).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { client.call(&Double { number }).await })
    });
    for (call, number) in calls.collect::<Vec<_>>().into_iter().zip(0..) {
        assert_eq!(call.await.unwrap().unwrap(), number * 2);
    }
    client.null(9, 1).await.unwrap();
    client.send(&Note { number: 1 }).await.unwrap();
    assert_eq!(house.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_fails_as_one_that_may_have_run_and_the_next_one_gets_a_new_connection() {
    let (house, mut calls) = House::new();
    let client = house.client();
    let held = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Hold).await }
    });
    assert_eq!(calls.recv().await, Some("hold"));
    house.kill().await;
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)) && error.may_have_run(), "{error}");
    house.start();
    assert_eq!(client.call(&Double { number: 3 }).await.unwrap(), 6);
    assert_eq!(house.attempts(), 2);
    assert_eq!((calls.recv().await, calls.try_recv().ok()), (Some("double"), None), "nothing was sent again");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_that_was_sent_is_sent_again_but_not_for_ever() {
    let (house, mut calls) = House::new();
    let client = house.client();
    let held = tokio::spawn(async move { client.call(&HoldAgain).await });
    for _ in 0..3 {
        assert_eq!(calls.recv().await, Some("hold again"));
        house.kill().await;
        house.start();
    }
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)) && error.may_have_run(), "{error}");
    assert_eq!(house.attempts(), 3);
    assert!(calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_sent_may_have_run_even_if_its_last_sending_has_not() {
    let (house, mut calls) = House::new();
    let client = house.client();
    let held = tokio::spawn(async move { client.call(&HoldAgain).await });
    assert_eq!(calls.recv().await, Some("hold again"));
    house.kill().await;
    // No server is started: the attempts to connect fail.
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)) && error.may_have_run(), "{error}");
    assert_eq!(house.attempts(), 1 + 5);
}

#[tokio::test(start_paused = true)]
async fn with_one_sending_nothing_is_sent_again() {
    let (house, mut calls) = House::new();
    let client = house.client().with_policy(exact().with_max_sends(1));
    let held = tokio::spawn(async move { client.call(&HoldAgain).await });
    assert_eq!(calls.recv().await, Some("hold again"));
    house.kill().await;
    assert!(held.await.unwrap().unwrap_err().may_have_run());
    assert_eq!(house.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_is_sent_again_whatever_the_procedure() {
    let (house, _calls) = House::new();
    let (client, attempts) = numbered(move |attempt| {
        // The first connections are lost before a byte is sent, which is found out when a call is.
        let lost = attempt <= 2;
        let connect = house.connect();
        async move { if lost { over(duplex(64).0) } else { connect.await } }
    });
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    assert_eq!(attempts.load(Ordering::SeqCst), 3);

    let (client, attempts) = numbered(|_| async { over(duplex(64).0) });
    let error = client.call(&Double { number: 4 }).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
    assert_eq!(attempts.load(Ordering::SeqCst), 3, "not for ever");
}

#[tokio::test(start_paused = true)]
async fn attempts_come_at_growing_intervals_and_all_who_wait_share_them_and_their_end() {
    let begun = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let (client, _) = numbered(move |attempt| {
        noted.lock().unwrap().push(begun.elapsed().as_millis());
        async move { Err(io::Error::other(format!("attempt {attempt}"))) }
    });
    let calls = [1, 2, 3].map(|number| {
        let client = client.clone();
        tokio::spawn(async move { client.call(&Double { number }).await })
    });
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "not connected: attempt 5");
        assert!(matches!(error, CallError::NotConnected(ClosedError::Io(_))) && !error.may_have_run());
    }
    assert_near(&times.lock().unwrap(), &[0, 100, 300, 700, 1500]);
    // The next call is due when the next attempt is, and succeeds no earlier for asking often.
    assert!(client.call(&Double { number: 4 }).await.is_err());
    assert_near(&times.lock().unwrap()[5..], &[3100, 6300, 12_700, 22_700, 32_700]);
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_last_are_opened_at_growing_intervals_and_one_that_lasted_at_once() {
    let (house, mut calls) = House::new();
    let client = house.client();
    let begun = Instant::now();
    let mut waits = Vec::new();
    for lasts in [0, 0, 0, 20, 0, 0] {
        let asked = Instant::now();
        assert_eq!(client.call(&Double { number: 1 }).await.unwrap(), 2);
        assert_eq!(calls.recv().await, Some("double"));
        waits.push(asked.elapsed().as_millis());
        tokio::time::sleep(Duration::from_secs(lasts)).await;
        house.kill().await;
        house.start();
    }
    assert_near(&waits, &[0, 100, 200, 400, 0, 100]);
    assert!(begun.elapsed() < Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn each_session_is_set_up_before_any_other_call() {
    let (house, mut calls) = House::new();
    let client = house.client().with_set_up(|client| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(client.call(&Open).await?)
    });
    for _ in 0..2 {
        let doubled = [1, 2, 3].map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.call(&Double { number }).await })
        });
        for call in doubled {
            call.await.unwrap().unwrap();
        }
        for expected in ["open", "double", "double", "double"] {
            assert_eq!(calls.recv().await, Some(expected));
        }
        house.kill().await;
        house.start();
    }
    assert!(calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_fails_is_told_to_who_waits_and_one_that_loses_its_connection_is_tried_again() {
    let (house, _calls) = House::new();
    let fails = house.client().with_set_up(|_| async { Err("no room".into()) });
    let (first, second) = tokio::join!(fails.null(9, 1), fails.null(9, 1));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(matches!(error, CallError::NotConnected(ClosedError::SetUp(_))) && !error.may_have_run());
        assert_eq!(error.to_string(), "not connected: cannot set up the session: no room");
    }
    assert_eq!(house.attempts(), 1);
    assert!(fails.null(9, 1).await.is_err());
    assert_eq!(house.attempts(), 2, "the next call tries again");

    let (house, _calls) = House::new();
    let (client, attempts) = numbered(move |attempt| {
        let connect = house.connect();
        async move { if attempt < 3 { over(duplex(64).0) } else { connect.await } }
    });
    let client = client.with_set_up(|client| async move { Ok(client.call(&Open).await?) });
    client.null(9, 1).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_makes_way_for_the_next_one() {
    let (house, _calls) = House::new();
    let (client, attempts) = numbered(move |attempt| {
        let connect = house.connect();
        async move { if attempt == 1 { pending().await } else { connect.await } }
    });
    let begun = Instant::now();
    client.null(9, 1).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    assert_near(&[begun.elapsed().as_millis()], &[10_100]);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_connection_no_longer_than_its_deadline_and_leaves_the_attempt_to_others() {
    let gate = Arc::new(Notify::new());
    let (house, _calls) = House::new();
    let opened = Arc::clone(&gate);
    let (client, attempts) = numbered(move |_| {
        let (gate, connect) = (Arc::clone(&opened), house.connect());
        async move {
            gate.notified().await;
            connect.await
        }
    });
    let patient = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Double { number: 5 }).await }
    });
    let begun = Instant::now();
    let hasty = client.clone().with_options(CallOptions::default().with_timeout(Some(Duration::from_secs(2))));
    let error = hasty.call(&Double { number: 5 }).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(ClosedError::Io(_))) && !error.may_have_run(), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 2);
    gate.notify_one();
    assert_eq!(patient.await.unwrap().unwrap(), 10);
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_call_spans_all_its_sendings() {
    let (house, mut calls) = House::new();
    let options = CallOptions::default().with_timeout(Some(Duration::from_secs(3)));
    let client = house.client().with_options(options);
    let begun = Instant::now();
    let held = tokio::spawn(async move { client.call(&HoldAgain).await });
    assert_eq!(calls.recv().await, Some("hold again"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    house.kill().await;
    house.start();
    assert_eq!(calls.recv().await, Some("hold again"));
    let error = held.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_panics_while_it_connects_is_an_error_and_the_next_call_tries_again() {
    let (house, _calls) = House::new();
    let (client, attempts) = numbered(move |attempt| {
        let connect = house.connect();
        async move {
            assert!(attempt != 1, "as the test wants it");
            connect.await
        }
    });
    let error = client.null(9, 1).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(_)) && !error.may_have_run(), "{error}");
    client.null(9, 1).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn with_the_last_clone_the_connection_ends_and_so_do_attempts() {
    let (house, _calls) = House::new();
    let server = house.server.lock().unwrap().clone().expect("it runs");
    let client = house.client();
    let clone = client.clone();
    client.null(9, 1).await.unwrap();
    drop(client);
    clone.null(9, 1).await.unwrap();
    assert_eq!((house.attempts(), server.connections()), (1, 1));
    drop(clone);
    assert!(server.shutdown(Duration::from_secs(1)).await, "the connection has ended");

    // Dropped with the attempt.
    let (held, dropped) = tokio::sync::oneshot::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let (client, _) = numbered(move |_| {
        let held = held.lock().unwrap().take();
        async move {
            let _held = held;
            pending().await
        }
    });
    assert!(timeout(Duration::from_secs(1), client.null(9, 1)).await.is_err());
    let begun = Instant::now();
    drop(client);
    assert!(timeout(Duration::from_secs(1), dropped).await.expect("no one holds it").is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_present_connections_client_is_the_same_for_all_and_is_lost_with_it() {
    let (house, _calls) = House::new();
    let client = house.client();
    let first = client.client().await.unwrap();
    client.null(9, 1).await.unwrap();
    assert_eq!(house.attempts(), 1);
    house.kill().await;
    assert!(matches!(first.closed().await, ClosedError::ByPeer));
    house.start();
    assert!(client.client().await.unwrap().close_reason().is_none());
    assert!(matches!(first.null(9, 1).await, Err(CallError::NotConnected(_))));
}
