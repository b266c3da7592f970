//! Calls in both directions of one connection, and oneway calls, on tokio.
//!
//! Where nothing is left to do, paused time jumps to the next timer: so a timeout of a second says that nothing
//! more happens without waiting for it.

mod wire;

use std::future::Future;
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client, ClosedError, Server, ServerConfig};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, OnewayProcedure, Peer, ProcedureTable, Program, RecordNotWritten, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use wire::{Call, record, success, words};

// ---- a program that either end can serve ----

const TALK: u32 = 0x2000_0045;

/// Goes to and fro that many times, and counts.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 1, reply = u32)]
struct Bounce {
    times: u32,
}

/// Waits until the test answers.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 2, reply = u32)]
struct Hold;

/// Lends the test a client of the caller's.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 3)]
struct Lend;

/// Sends that many notes to the caller, and replies then.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 4, reply = u32)]
struct Tell {
    notes: u32,
}

/// Is noted.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 5, oneway)]
struct Note {
    number: u32,
    #[xdr(max = 0x10_0000)]
    load: Vec<u8>,
}

/// Panics, at once or after it has waited.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 6, oneway)]
struct Explode {
    late: bool,
}

/// Not allowed without a credential.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 7, oneway, auth)]
struct Guarded;

/// As a note, but nobody has it.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = TALK, version = 1, proc = 99, oneway)]
struct Unknown;

#[derive(ProcedureTable)]
#[rpc(program = TALK, version = 1, service = TalkService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Talk {
    Bounce(Bounce),
    Hold(Hold),
    Lend(Lend),
    Tell(Tell),
    Note(Note),
    Explode(Explode),
    Guarded(Guarded),
}

struct Talker {
    held: mpsc::UnboundedSender<oneshot::Sender<u32>>,
    lent: mpsc::UnboundedSender<Client>,
    notes: mpsc::UnboundedSender<u32>,
}

impl TalkService for Talker {
    async fn bounce(&self, cx: &Context, args: Bounce) -> u32 {
        match args.times.checked_sub(1) {
            None => 0,
            Some(times) => {
                cx.client().expect("a connection").call(&Bounce { times }).await.map_or(1000, |so_far| so_far + 1)
            }
        }
    }

    async fn hold(&self, _: &Context, _: Hold) -> u32 {
        let (answer, answered) = oneshot::channel();
        self.held.send(answer).expect("the test listens");
        answered.await.unwrap_or(0)
    }

    async fn lend(&self, cx: &Context, _: Lend) {
        self.lent.send(cx.client().expect("a connection")).expect("the test listens");
    }

    async fn tell(&self, cx: &Context, args: Tell) -> u32 {
        let caller = cx.client().expect("a connection");
        for number in 0..args.notes {
            caller.send(&Note { number, load: Vec::new() }).await.expect("a note is sent");
        }
        args.notes
    }

    async fn note(&self, _: &Context, args: Note) {
        self.notes.send(args.number).expect("the test listens");
    }

    async fn explode(&self, _: &Context, args: Explode) {
        if args.late {
            tokio::task::yield_now().await;
        }
        panic!("as the test wants it")
    }

    async fn guarded(&self, _: &Context, _: Guarded) {
        self.notes.send(u32::MAX).expect("the test listens");
    }
}

/// What the handlers of one end hand to the test.
struct Seen {
    held: mpsc::UnboundedReceiver<oneshot::Sender<u32>>,
    lent: mpsc::UnboundedReceiver<Client>,
    notes: mpsc::UnboundedReceiver<u32>,
}

fn talk() -> (Program<Talk, Talker>, Seen) {
    let ((held, held_here), (lent, lent_here)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (notes, notes_here) = mpsc::unbounded_channel();
    (program::<Talk, _>(Talker { held, lent, notes }), Seen { held: held_here, lent: lent_here, notes: notes_here })
}

fn server_with(change: impl FnOnce(&mut ServerConfig)) -> (Server<Program<Talk, Talker>>, Seen) {
    let (program, seen) = talk();
    let mut config = ServerConfig::default();
    change(&mut config);
    (Server::builder(program).config(config).build(), seen)
}

fn server() -> (Server<Program<Talk, Talker>>, Seen) {
    server_with(|_| {})
}

/// A server with one connection to `peer`, and the client that calls on it.
async fn lent_by(server: &Server<Program<Talk, Talker>>, seen: &mut Seen, peer: &mut DuplexStream) -> Client {
    let (near, far) = duplex(4096);
    server.serve_connection(far, Peer::Unknown).unwrap();
    *peer = near;
    peer.write_all(&Call::new(1, TALK, 1, 3).record()).await.unwrap();
    assert_eq!(read_record(peer).await, success(1, &[]));
    seen.lent.recv().await.unwrap()
}

fn duplex_to_be() -> DuplexStream {
    duplex(1).0
}

/// What a future gives, if it gives it without anything else happening.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    timeout(Duration::from_secs(1), future).await.ok()
}

async fn read_record(io: &mut DuplexStream) -> Vec<u8> {
    let mark = io.read_u32().await.unwrap();
    let mut body = vec![0; (mark & 0x7fff_ffff) as usize];
    io.read_exact(&mut body).await.unwrap();
    record(&body)
}

/// The xid of a record, and its procedure if it is a call.
fn call_in(record: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_be_bytes(record[at..at + 4].try_into().unwrap());
    assert_eq!(word(8), 0, "a call");
    (word(4), word(24))
}

fn hold(client: &Client) -> JoinHandle<Result<u32, CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(&Hold).await })
}

fn note(number: u32, load: usize) -> Note {
    Note { number, load: vec![7; load] }
}

/// A reply without results and without sense to a oneway call: accepted, with this status.
fn accepted(xid: u32, status: u32) -> Vec<u8> {
    record(&words(&[xid, 1, 0, 0, 0, status]))
}

const PROC_UNAVAIL: u32 = 3;

// ---- calls of the server's ----

#[tokio::test]
async fn a_call_goes_to_and_fro_through_memory() {
    let (server, _seen) = server();
    let (program, _seen) = talk();
    let client = Client::serving(server.connect_in_memory(), program);
    assert_eq!(client.call(&Bounce { times: 50 }).await.unwrap(), 50);
}

#[tokio::test]
async fn a_call_goes_to_and_fro_by_tcp_and_by_unix_socket() {
    let (server, _seen) = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let path = std::env::temp_dir().join(format!("rpc-frame-{}-both-ways", std::process::id()));
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn({
        let server = server.clone();
        async move { server.serve(listener).await }
    });
    tokio::spawn(async move { server.serve(unix).await });
    let tcp = Client::serving(tokio::net::TcpStream::connect(address).await.unwrap(), talk().0);
    assert_eq!(tcp.call(&Bounce { times: 7 }).await.unwrap(), 7);
    let unix = Client::serving(UnixStream::connect(&path).await.unwrap(), talk().0);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(unix.call(&Bounce { times: 8 }).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_calls_its_caller_does_not_wait_for_itself_where_both_ends_take_one_call_at_a_time() {
    let (server, _seen) = server_with(|config| config.connection.max_calls_in_flight = 1);
    let mut config = ServerConfig::default();
    config.connection.max_calls_in_flight = 1;
    let client = Client::serving_with_config(server.connect_in_memory(), talk().0, config);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(&Bounce { times: 1 }).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_calls_both_ways_from_other_threads_each_get_their_reply() {
    let (server, mut seen) = server();
    let client = Client::serving(server.connect_in_memory(), talk().0);
    client.call(&Lend).await.unwrap();
    let back = seen.lent.recv().await.unwrap();
    let calls: Vec<_> = (0..2000u32)
        .map(|number| {
            let client = if number % 2 == 0 { client.clone() } else { back.clone() };
            tokio::spawn(async move {
                // If both ended in the other's handlers, all places of both ends could wait for each other.
                let times = 1 - number % 2;
                (times, client.call(&Bounce { times }).await.unwrap())
            })
        })
        .collect();
    for call in calls {
        let (times, counted) = call.await.unwrap();
        assert_eq!(times, counted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_fails_the_calls_in_flight_of_both_directions_at_once() {
    // The server's end.
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    let ours = hold(&back);
    assert_eq!(call_in(&read_record(&mut peer).await).1, 2);
    peer.write_all(&Call::new(2, TALK, 1, 2).record()).await.unwrap();
    let theirs = seen.held.recv().await.unwrap();
    drop(peer);
    let error = soon(ours).await.expect("at once").unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)) && error.may_have_run(), "{error:?}");
    // The call of the peer's was taken up; the connection ends with its handler.
    theirs.send(3).unwrap();
    assert!(matches!(soon(back.closed()).await, Some(ClosedError::ByPeer)));
    let error = back.call(&Hold).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected(_)), "{error:?}");
    assert!(matches!(back.send(&note(1, 0)).await.unwrap_err(), CallError::NotConnected(_)));

    // The end of a client that serves.
    let (near, mut far) = duplex(4096);
    let (program, mut seen) = talk();
    let client = Client::serving(near, program);
    let ours = hold(&client);
    assert_eq!(call_in(&read_record(&mut far).await).1, 2);
    far.write_all(&Call::new(2, TALK, 1, 1).args(words(&[1])).record()).await.unwrap();
    assert_eq!(call_in(&read_record(&mut far).await).1, 1, "the handler calls back");
    far.write_all(&Call::new(3, TALK, 1, 2).record()).await.unwrap();
    let _answer = seen.held.recv().await.unwrap();
    drop(far);
    let error = soon(ours).await.expect("at once").unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByPeer)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_fails_the_servers_calls_with_the_reason() {
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    let call = hold(&back);
    read_record(&mut peer).await;
    peer.write_all(&record(&words(&[1, 2]))).await.unwrap();
    let error = soon(call).await.expect("at once").unwrap().unwrap_err();
    assert!(error.to_string().contains("message type 2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_cut_off_fails_its_calls() {
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    peer.write_all(&Call::new(2, TALK, 1, 2).record()).await.unwrap();
    // Its handler does not end.
    let _answer = seen.held.recv().await.unwrap();
    let call = hold(&back);
    read_record(&mut peer).await;
    assert!(!server.shutdown(Duration::from_secs(5)).await);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(ClosedError::ByUs)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_servers_call_holds_and_a_late_reply_is_passed_over() {
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    let back = back.with_options(CallOptions::default().with_timeout(Some(Duration::from_secs(3))));
    let begun = Instant::now();
    let error = timeout(Duration::from_secs(9), back.call(&Hold)).await.expect("in time").unwrap_err();
    assert!(matches!(error, CallError::DeadlineExceeded), "{error:?}");
    assert_eq!(begun.elapsed().as_secs(), 3);
    let (xid, _) = call_in(&read_record(&mut peer).await);
    peer.write_all(&success(xid, &words(&[5]))).await.unwrap();
    let call = hold(&back);
    let (xid, _) = call_in(&read_record(&mut peer).await);
    peer.write_all(&success(xid, &words(&[6]))).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 6);
}

/// Three calls where only two may be in flight, and again when one was given up.
async fn at_the_cap(client: Client) {
    let (one, _two) = (hold(&client), hold(&client));
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let error = client.call(&Hold).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooManyCalls { max: 2 })), "{error:?}");
    assert!(!error.may_have_run());
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    assert!(soon(client.call(&Hold)).await.is_none(), "it waits for its reply");
    // Nor does a oneway call take a place.
    client.send(&note(1, 0)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_of_our_own_are_capped_and_one_that_is_dropped_makes_room() {
    let (server, mut seen) = server_with(|config| config.connection.max_own_calls_in_flight = 2);
    let mut peer = duplex_to_be();
    at_the_cap(lent_by(&server, &mut seen, &mut peer).await).await;
    let mut config = rpc_frame::ConnectionConfig::default();
    config.max_own_calls_in_flight = 2;
    let (near, _far) = duplex(4096);
    at_the_cap(Client::with_config(near, config)).await;
}

#[tokio::test(start_paused = true)]
async fn oneway_calls_go_where_no_other_calls_of_our_own_may() {
    let (server, mut seen) = server();
    let mut config = ServerConfig::default();
    config.connection.max_own_calls_in_flight = 0;
    let driven = Client::with_config(server.connect_in_memory(), config.connection.clone());
    let served = Client::serving_with_config(server.connect_in_memory(), talk().0, config);
    for (number, client) in [(1, driven), (2, served)] {
        let error = client.call(&Bounce { times: 0 }).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooManyCalls { max: 0 })), "{error}");
        soon(client.send(&note(number, 0))).await.expect("it has room").unwrap();
        assert_eq!(soon(seen.notes.recv()).await, Some(Some(number)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_oneway_call_takes_no_place_among_the_calls_that_wait_for_replies() {
    let (server, _seen) = server();
    let mut config = ServerConfig::default();
    config.connection.max_own_calls_in_flight = 1;
    let driven = Client::with_config(server.connect_in_memory(), config.connection.clone());
    let served = Client::serving_with_config(server.connect_in_memory(), talk().0, config);
    for client in [driven, served] {
        // Before the connection's task has taken it.
        client.send(&note(1, 0)).await.unwrap();
        assert_eq!(client.call(&Bounce { times: 0 }).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_without_programs_answers_the_servers_calls_with_prog_unavail() {
    let (server, mut seen) = server();
    let client = Client::new(server.connect_in_memory());
    client.call(&Lend).await.unwrap();
    let back = seen.lent.recv().await.unwrap();
    let error = back.call(&Hold).await.unwrap_err();
    assert!(matches!(error, CallError::ProgUnavail { program: TALK }), "{error:?}");
    // The same answer to a oneway call is passed over.
    for number in 0..10 {
        back.send(&note(number, 0)).await.unwrap();
    }
    assert!(back.null(TALK, 1).await.is_err());
    assert_eq!(client.call(&Bounce { times: 0 }).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_idle_as_long_as_somebody_can_call_on_it() {
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(server.connections(), 1);
    back.send(&note(1, 0)).await.unwrap();
    assert_eq!(call_in(&read_record(&mut peer).await).1, 5);
    drop(back);
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(server.connections(), 0);
}

/// The alarm is set for a record that comes slowly, later than the connection ends that nobody holds any more.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_held_is_idle_in_time_whatever_else_was_waited_for() {
    let seconds = Duration::from_secs;
    let (server, mut seen) = server_with(|config| {
        (config.connection.idle_timeout, config.connection.record_timeout) = (seconds(100), seconds(1000));
    });
    let (mut peer, far) = duplex(4096);
    server.serve_connection(far, Peer::Unknown).unwrap();
    // The alarm is set for a connection that rests before anybody holds it.
    tokio::time::sleep(seconds(1)).await;
    peer.write_all(&Call::new(1, TALK, 1, 3).record()).await.unwrap();
    assert_eq!(read_record(&mut peer).await, success(1, &[]));
    let back = seen.lent.recv().await.unwrap();
    let null = Call::new(2, TALK, 1, 0).record();
    let (slow, rest) = null.split_at(20);
    tokio::time::sleep(seconds(50)).await;
    peer.write_all(slow).await.unwrap();
    tokio::time::sleep(seconds(200)).await;
    peer.write_all(rest).await.unwrap();
    assert_eq!(read_record(&mut peer).await, success(2, &[]));
    drop(back);
    let begun = Instant::now();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(begun.elapsed().as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_a_handler_that_calls_its_caller_come_to_its_end() {
    let (server, mut seen) = server();
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    drop(back);
    peer.write_all(&Call::new(2, TALK, 1, 1).args(words(&[1])).record()).await.unwrap();
    let (xid, procedure) = call_in(&read_record(&mut peer).await);
    assert_eq!(procedure, 1);
    let ending = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown(Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;
    // A call that comes now is not taken up, and the reply behind it still arrives.
    peer.write_all(&Call::new(3, TALK, 1, 1).args(words(&[0])).record()).await.unwrap();
    peer.write_all(&success(xid, &words(&[0]))).await.unwrap();
    assert_eq!(read_record(&mut peer).await, success(2, &words(&[1])));
    assert!(ending.await.unwrap(), "nothing was cut off");
    assert_eq!(peer.read(&mut [0; 64]).await.unwrap(), 0, "nothing else was answered");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_serves_ends_its_connection_with_its_last_clone_and_not_with_a_borrowed_one() {
    let (near, mut far) = duplex(4096);
    let (program, mut seen) = talk();
    let client = Client::serving(near, program);
    far.write_all(&Call::new(1, TALK, 1, 3).record()).await.unwrap();
    assert_eq!(read_record(&mut far).await, success(1, &[]));
    let borrowed = seen.lent.recv().await.unwrap();
    drop(borrowed.clone());
    drop(client.clone());
    far.write_all(&Call::new(2, TALK, 1, 1).args(words(&[0])).record()).await.unwrap();
    assert_eq!(read_record(&mut far).await, success(2, &words(&[0])));
    drop(client);
    assert!(matches!(soon(borrowed.closed()).await, Some(ClosedError::ByUs)));
    assert_eq!(soon(far.read(&mut [0; 8])).await.expect("at once").unwrap(), 0);
}

// ---- oneway calls ----

#[tokio::test(start_paused = true)]
async fn a_oneway_call_is_answered_only_where_it_does_not_get_as_far_as_its_procedure() {
    let (server, mut seen) = server();
    let mut raw = server.connect_in_memory();
    let call = |xid, procedure, args: &[u32]| Call::new(xid, TALK, 1, procedure).args(words(args)).record();
    let silent = [
        call(1, 5, &[41, 0]),          // a note
        call(2, 5, &[1]),              // half of one
        call(3, 5, &[1, 0, 0]),        // and one with something behind it
        call(4, 5, &[1, 0xffff_ffff]), // and one that claims to be long
        call(5, 6, &[0]),              // a panic at once
        call(6, 6, &[1]),              // and later
    ];
    raw.write_all(&silent.concat()).await.unwrap();
    assert_eq!(soon(raw.read(&mut [0; 8])).await.map(Result::ok), None, "no reply");
    assert_eq!(seen.notes.recv().await, Some(41));
    let answered =
        [call(7, 99, &[]), call(8, 7, &[]), Call::new(9, TALK, 2, 5).record(), Call::new(10, 9, 1, 5).record()];
    let too_weak = record(&words(&[8, 1, 1, 1, 5]));
    let mismatch = record(&words(&[9, 1, 0, 0, 0, 2, 1, 1]));
    for (call, reply) in answered.iter().zip([accepted(7, PROC_UNAVAIL), too_weak, mismatch, accepted(10, 1)]) {
        raw.write_all(call).await.unwrap();
        assert_eq!(read_record(&mut raw).await, reply);
    }
    // None of them is in flight any more.
    assert!(server.shutdown(Duration::from_secs(1)).await);
    assert!(seen.notes.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn replies_to_oneway_calls_are_passed_over_and_calls_get_theirs() {
    let (near, mut far) = duplex(4096);
    let client = Client::new(near);
    for number in 0..3 {
        client.send(&note(number, 0)).await.unwrap();
        let (xid, procedure) = call_in(&read_record(&mut far).await);
        assert_eq!(procedure, Note::NUMBER);
        far.write_all(&accepted(xid, PROC_UNAVAIL)).await.unwrap();
    }
    let call = hold(&client);
    let (xid, _) = call_in(&read_record(&mut far).await);
    far.write_all(&success(xid, &words(&[9]))).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 9);
    // A reply to what was never called still ends the connection.
    far.write_all(&success(xid.wrapping_add(100), &[])).await.unwrap();
    assert!(matches!(soon(client.closed()).await, Some(ClosedError::Protocol(_))));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_have_can_be_sent_without_an_error() {
    let (server, _seen) = server();
    let client = Client::new(server.connect_in_memory());
    client.send(&Unknown).await.unwrap();
    client.send(&Guarded).await.unwrap();
    assert_eq!(client.call(&Bounce { times: 0 }).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_to_its_caller_arrives_before_its_reply() {
    let (server, _seen) = server();
    let mut raw = server.connect_in_memory();
    raw.write_all(&Call::new(1, TALK, 1, 4).args(words(&[3])).record()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(call_in(&read_record(&mut raw).await).1, Note::NUMBER);
    }
    assert_eq!(read_record(&mut raw).await, success(1, &words(&[3])));
}

#[tokio::test(start_paused = true)]
async fn notes_arrive_in_the_order_in_which_they_were_sent_in_both_directions() {
    let (server, mut at_server) = server();
    let (program, mut at_client) = talk();
    let client = Client::serving(server.connect_in_memory(), program);
    client.call(&Lend).await.unwrap();
    let back = at_server.lent.recv().await.unwrap();
    for number in 0..500 {
        client.send(&note(number, 1000)).await.unwrap();
        back.send(&note(number, 1000)).await.unwrap();
    }
    for number in 0..500 {
        assert_eq!(at_server.notes.recv().await, Some(number));
        assert_eq!(at_client.notes.recv().await, Some(number));
    }
}

/// Sends notes of 1 KiB to a peer that does not read until one has to wait, and then lets the peer read.
async fn back_pressure(client: Client, mut peer: DuplexStream, max_unsent: usize) {
    let mut sent = 0;
    while soon(client.send(&note(sent, 1024))).await.is_some() {
        sent += 1;
        assert!(sent < 1000, "as much as one likes can be sent to a peer that does not read");
    }
    let bytes = sent as usize * 1100;
    assert!(bytes > max_unsent / 2, "{sent} is not much");
    // Twice, for what waits in the mailbox; and what the stream holds.
    assert!(bytes < 2 * max_unsent + 8192, "{sent} notes of 1 KiB are sent to a peer that does not read");
    // What is alone has room, however long it is.
    let next = tokio::spawn({
        let client = client.clone();
        async move {
            client.send(&note(sent, 1024)).await.unwrap();
            client.send(&note(sent + 1, 3 * max_unsent)).await.unwrap();
        }
    });
    for number in 0..sent + 2 {
        let record = soon(read_record(&mut peer)).await.expect("the sender goes on");
        assert_eq!(record[44..48], number.to_be_bytes(), "in their order");
    }
    next.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sending_waits_for_a_peer_that_leaves_too_much_unread() {
    const MAX: usize = 64 * 1024;
    let (server, mut seen) = server_with(|config| config.connection.max_unsent = MAX);
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    back_pressure(back, peer, MAX).await;

    let mut config = rpc_frame::ConnectionConfig::default();
    config.max_unsent = MAX;
    let (near, far) = duplex(4096);
    back_pressure(Client::with_config(near, config), far, MAX).await;
}

#[tokio::test(start_paused = true)]
async fn sending_to_a_peer_that_never_reads_fails_when_the_connection_is_given_up() {
    let (server, mut seen) = server_with(|config| config.connection.max_unsent = 4096);
    let mut peer = duplex_to_be();
    let back = lent_by(&server, &mut seen, &mut peer).await;
    let (near, far) = duplex(64);
    let mut config = rpc_frame::ConnectionConfig::default();
    config.max_unsent = 4096;
    for client in [back, Client::with_config(near, config)] {
        let begun = Instant::now();
        let mut sent = 0;
        let error = loop {
            if let Err(error) = client.send(&note(sent, 1024)).await {
                break error;
            }
            sent += 1;
            assert!(sent < 1000, "as much as one likes can be sent to a peer that does not read");
        };
        assert!(matches!(error, CallError::NotConnected(ClosedError::Protocol(_))), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
    drop((peer, far));
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_send_without_end_through_a_narrow_stream_do_not_wait_for_each_other() {
    let (server, mut at_server) = server_with(|config| config.connection.max_unsent = 16 * 1024);
    let (near, far) = duplex(256);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let (program, mut at_client) = talk();
    let mut config = ServerConfig::default();
    config.connection.max_unsent = 16 * 1024;
    let client = Client::serving_with_config(near, program, config);
    client.call(&Lend).await.unwrap();
    let back = at_server.lent.recv().await.unwrap();
    let begun = Instant::now();
    for client in [client.clone(), back.clone()] {
        tokio::spawn(async move {
            for number in 0..200 {
                client.send(&note(number, 4000)).await.unwrap();
            }
        });
    }
    for number in 0..200 {
        assert_eq!(at_server.notes.recv().await, Some(number));
        assert_eq!(at_client.notes.recv().await, Some(number));
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waited for a timeout");
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_each_send_more_than_may_wait_at_once_do_not_wait_for_each_other() {
    let (server, mut at_server) = server_with(|config| config.connection.max_unsent = 1024);
    let (near, far) = duplex(256);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let (program, mut at_client) = talk();
    let mut config = ServerConfig::default();
    config.connection.max_unsent = 1024;
    let client = Client::serving_with_config(near, program, config);
    client.call(&Lend).await.unwrap();
    let back = at_server.lent.recv().await.unwrap();
    for client in [&client, &back] {
        client.send(&note(1, 100_000)).await.unwrap();
    }
    for seen in [&mut at_server, &mut at_client] {
        assert_eq!(soon(seen.notes.recv()).await, Some(Some(1)), "without waiting for a timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_written_though_the_client_is_gone() {
    for serving in [false, true] {
        let (near, mut far) = duplex(512);
        let client = if serving { Client::serving(near, talk().0) } else { Client::new(near) };
        for number in 0..50 {
            client.send(&note(number, 2000)).await.unwrap();
        }
        drop(client);
        for _ in 0..50 {
            assert_eq!(call_in(&soon(read_record(&mut far)).await.expect("a note")).1, Note::NUMBER);
        }
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_that_fits_no_record_is_not_sent_and_the_connection_goes_on() {
    let (server, mut seen) = server();
    let client = Client::new(server.connect_in_memory());
    let error = client.send(&note(1, 0x10_0000)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooLong { .. })), "{error:?}");
    let error = client.send(&note(1, 0x10_0001)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::Encode(_))), "{error:?}");
    client.call(&Lend).await.unwrap();
    let back = seen.lent.recv().await.unwrap();
    let error = back.send(&note(1, 0x10_0000)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent(RecordNotWritten::TooLong { .. })), "{error:?}");
    assert_eq!(client.call(&Bounce { times: 0 }).await.unwrap(), 0);
}
