use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rpc_frame::{AcceptStatus, AuthSys, Context, Credential, OpaqueAuth, program};

use crate::block_on::block_on;
use crate::client::{CallError, Client};
use crate::protocol::{Desk, Divide, Doze, EXAMPLE, ExampleService, Examples, Shout, Shouted, Undivided, Wait};
use crate::server::{Server, ServerConfig};
use crate::{GRACE, PATIENCE, converse, serve};

const HERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn server(config: ServerConfig) -> Server {
    Server::start(TcpListener::bind(HERE).unwrap(), program::<Examples, _>(Desk), config).unwrap()
}

/// Its `wait` blocks until the test says that it is over.
struct Gate(Mutex<mpsc::Receiver<()>>);

impl ExampleService for Gate {
    async fn shout(&self, cx: &Context, shout: Shout) -> Shouted {
        Desk.shout(cx, shout).await
    }

    async fn divide(&self, cx: &Context, divide: Divide) -> Result<i64, Undivided> {
        Desk.divide(cx, divide).await
    }

    async fn wait(&self, _: &Context, Wait { millis }: Wait) -> u32 {
        // A test that has failed releases it as well.
        let _ = self.0.lock().unwrap().recv();
        millis
    }

    async fn doze(&self, _: &Context, _: Doze) {}
}

fn gated() -> (Server, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let programs = program::<Examples, _>(Gate(Mutex::new(gate)));
    (Server::start(TcpListener::bind(HERE).unwrap(), programs, ServerConfig::default()).unwrap(), open)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    // A test fails where it would hang.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn somebody() -> OpaqueAuth {
    let sys = AuthSys { stamp: 0, machine_name: "here".into(), uid: 1, gid: 1, gids: vec![] };
    Credential::Sys(sys).to_opaque().unwrap()
}

/// A call as it is on the wire, mark included.
fn call(xid: u32, procedure: u32, credential: &OpaqueAuth, args: &[u32]) -> Vec<u8> {
    let mut call = rpc_frame::xdr::to_vec(&(xid, 0, 2, EXAMPLE, 1, procedure)).unwrap();
    call.extend(rpc_frame::xdr::to_vec(&(credential.clone(), OpaqueAuth::none())).unwrap());
    call.extend(args.iter().flat_map(|word| word.to_be_bytes()));
    let mark = rpc_frame::write_record_mark(call.len()).unwrap();
    [&mark[..], &call].concat()
}

/// The words of the next reply.
fn reply(stream: &mut TcpStream) -> Vec<u32> {
    let mut mark = [0; 4];
    stream.read_exact(&mut mark).unwrap();
    let mut reply = vec![0; (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize];
    stream.read_exact(&mut reply).unwrap();
    reply.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect()
}

/// A successful reply with these results.
fn success(xid: u32, results: &[u32]) -> Vec<u32> {
    [&[xid, 1, 0, 0, 0, 0], results].concat()
}

fn at_end(stream: &mut TcpStream) -> bool {
    // What arrives at a socket that is closed resets the connection. WouldBlock is our own timeout.
    stream.read(&mut [0]).map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |len| len == 0)
}

#[test]
fn the_conversation_is_as_it_is_told() {
    let begun = Instant::now();
    let server = serve(HERE.into()).unwrap();
    let mut said = Vec::new();
    converse(server.address(), |line| said.push(line)).unwrap();
    let told = [
        "shout hello: HELLO",
        "divide 42 by 7: 6",
        "divide 1 by 0: the procedure refuses, DivisionByZero",
        "three calls in flight, from last to first: [Ok(3), Ok(2), Ok(1)]",
        "wait as nobody: the server does not accept the caller: AuthError(TooWeak)",
        "wait as uid 1000: 20",
        "doze 20 ms: no reply is waited for",
        "procedure 99: the server answers ProcUnavail",
        "shout 33 bytes: not sent: Shout.text: string of 33 bytes is longer than its maximum 32",
        "shout 33 bytes unchecked: the server answers GarbageArgs",
        "divide i64::MIN by -1: the server answers SystemErr",
        "wait 200 ms, at most 50: no reply within the deadline",
        "and after it: Ok(3), replies that nobody waited for: 1",
    ];
    assert_eq!(said, told);
    assert!(server.shutdown(GRACE), "nothing was cut off");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn null_is_answered_byte_by_byte() {
    let server = server(ServerConfig::default());
    let mut stream = connect(&server);
    // What rpcinfo sends: mark, xid, CALL, RPC 2, program, version, procedure 0, AUTH_NONE twice.
    let words = [0x8000_0028, 7, 0, 2, EXAMPLE, 1, 0, 0, 0, 0, 0_u32];
    for byte in words.iter().flat_map(|word| word.to_be_bytes()) {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = [0; 28];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..], [0x8000_0018, 7, 1, 0, 0, 0, 0_u32].map(u32::to_be_bytes).concat());
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(at_end(&mut stream));
    assert!(server.shutdown(GRACE));
}

#[test]
fn what_is_answered_leaves_before_the_next_handler_blocks() {
    let (server, gate) = gated();
    let mut stream = connect(&server);
    let calls = [call(1, 0, &OpaqueAuth::none(), &[]), call(2, 3, &somebody(), &[5])].concat();
    stream.write_all(&calls).unwrap();
    assert_eq!(reply(&mut stream), success(1, &[]));
    gate.send(()).unwrap();
    assert_eq!(reply(&mut stream), success(2, &[5]));
}

#[test]
fn a_handler_that_blocks_delays_no_other_connection() {
    let (server, gate) = gated();
    let (mut slow, mut quick) = (connect(&server), connect(&server));
    slow.write_all(&call(1, 3, &somebody(), &[5])).unwrap();
    quick.write_all(&call(1, 0, &OpaqueAuth::none(), &[])).unwrap();
    assert_eq!(reply(&mut quick), success(1, &[]));
    gate.send(()).unwrap();
    assert_eq!(reply(&mut slow), success(1, &[5]));
}

#[test]
fn a_record_that_waits_for_a_handler_is_not_late() {
    // Wait, which has a reply, and Doze, which has none.
    for procedure in [3, 4] {
        let mut config = ServerConfig::default();
        config.connection.record_timeout = Duration::from_millis(500);
        let server = server(config);
        let mut stream = connect(&server);
        // Longer than one read of the server's. Its beginning is read with the call before it.
        let long = call(2, 0, &OpaqueAuth::none(), &[0; 20_000]);
        let first = [&call(1, procedure, &somebody(), &[1000])[..], &long[..10]].concat();
        stream.write_all(&first).unwrap();
        stream.write_all(&long[10..]).unwrap();
        if procedure == 3 {
            assert_eq!(reply(&mut stream), success(1, &[1000]));
        }
        // NULL has no arguments.
        assert_eq!(reply(&mut stream), [2, 1, 0, 0, 0, 4]);
    }
}

#[test]
fn a_record_that_is_not_finished_in_time_ends_its_connection() {
    const LEN: usize = 1024 * 1024;
    let mut config = ServerConfig::default();
    config.connection.record_timeout = Duration::from_millis(200);
    let server = server(config);
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    stream.write_all(&rpc_frame::write_record_mark(LEN).unwrap()).unwrap();
    // There is always another byte to read, which does not stop the clock.
    let sent = (0..LEN).take_while(|_| stream.write_all(&[0]).is_ok()).count();
    assert!(sent < LEN, "the whole record was taken");
    // And where no byte comes.
    let mut stream = connect(&server);
    stream.write_all(&[0x80]).unwrap();
    assert!(at_end(&mut stream));
}

#[test]
fn a_peer_that_does_not_read_ends_its_connection() {
    let mut config = ServerConfig::default();
    config.connection.write_timeout = Duration::from_millis(200);
    let server = server(config);
    let mut stream = connect(&server);
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let calls = call(1, 0, &OpaqueAuth::none(), &[]).repeat(1000);
    // The socket's buffers are full at some time, then the server gives up.
    let error = loop {
        if let Err(error) = stream.write_all(&calls) {
            break error;
        }
    };
    assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server waits without end");
    assert!(server.shutdown(GRACE));
}

#[test]
fn one_connection_more_than_there_may_be_waits() {
    let server = server(ServerConfig { max_connections: 1, ..ServerConfig::default() });
    let mut first = connect(&server);
    first.write_all(&call(1, 0, &OpaqueAuth::none(), &[])).unwrap();
    assert_eq!(reply(&mut first), success(1, &[]));
    let mut second = connect(&server);
    second.write_all(&call(2, 0, &OpaqueAuth::none(), &[])).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.read(&mut [0]).is_err(), "nobody answers yet");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(reply(&mut second), success(2, &[]));
}

#[test]
fn the_end_answers_what_has_come_and_leaves_nobody_waiting() {
    let server = server(ServerConfig::default());
    let address = server.address();
    let (mut calling, mut idle, mut stuck) = (connect(&server), connect(&server), connect(&server));
    // In the middle of a record.
    stuck.write_all(&[0x80, 0, 0]).unwrap();
    for stream in [&mut idle, &mut calling] {
        stream.write_all(&call(1, 0, &OpaqueAuth::none(), &[])).unwrap();
        assert_eq!(reply(stream), success(1, &[]));
    }
    let calls = [call(2, 3, &somebody(), &[300]), call(3, 0, &OpaqueAuth::none(), &[])].concat();
    calling.write_all(&calls).unwrap();
    assert!(server.shutdown(GRACE), "nothing was cut off");
    assert_eq!(reply(&mut calling), success(2, &[300]));
    assert_eq!(reply(&mut calling), success(3, &[]));
    assert!(at_end(&mut calling) && at_end(&mut idle) && at_end(&mut stuck));
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
}

#[test]
fn the_end_cuts_off_what_takes_longer_than_its_grace() {
    let (server, gate) = gated();
    let mut stream = connect(&server);
    let calls = [call(1, 0, &OpaqueAuth::none(), &[]), call(2, 3, &somebody(), &[5])].concat();
    stream.write_all(&calls).unwrap();
    assert_eq!(reply(&mut stream), success(1, &[]));
    assert!(!server.shutdown(Duration::from_millis(50)), "the handler takes longer");
    assert!(at_end(&mut stream));
    drop(gate);
}

/// Calls whose replies are more than a peer's socket takes that does not read: most wait in the server's.
const MANY: usize = 20_000;

/// The length of a reply to NULL, with its mark.
const REPLY: usize = 28;

/// Everything until the end, which has to be one and no reset.
fn all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let end = stream.read_to_end(&mut all);
    assert!(end.is_ok(), "{end:?} after {} bytes", all.len());
    all
}

#[test]
fn the_end_delivers_all_answers_though_more_calls_come() {
    let (server, gate) = gated();
    let address = server.address();
    let mut stream = connect(&server);
    let null = call(1, 0, &OpaqueAuth::none(), &[]);
    // Who is answered has been accepted.
    stream.write_all(&null).unwrap();
    assert_eq!(reply(&mut stream), success(1, &[]));
    stream.write_all(&[null.repeat(MANY), call(2, 3, &somebody(), &[5])].concat()).unwrap();
    let ending = thread::spawn(move || server.shutdown(Duration::from_secs(60)));
    // The listener is gone behind the connections having been told.
    while TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    let heard = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut speaker = stream.try_clone().unwrap();
        let heard = &heard;
        scope.spawn(move || {
            let late = call(3, 0, &OpaqueAuth::none(), &[]);
            while !heard.load(Ordering::Relaxed) && speaker.write_all(&late).is_ok() {
                thread::yield_now();
            }
        });
        gate.send(()).unwrap();
        let mut answers = Vec::new();
        let end = stream.read_to_end(&mut answers);
        heard.store(true, Ordering::Relaxed);
        assert!(end.is_ok(), "{end:?} after {} bytes", answers.len());
        let last = answers.get(MANY * REPLY..MANY * REPLY + REPLY + 4).expect("all answers");
        assert_eq!(last, [0x8000_001c, 2, 1, 0, 0, 0, 0, 5_u32].map(u32::to_be_bytes).concat());
    });
    drop(stream);
    assert!(ending.join().unwrap(), "nothing was cut off");
}

#[test]
fn what_is_answered_arrives_though_garbage_follows() {
    let server = server(ServerConfig::default());
    let mut stream = connect(&server);
    let calls = call(1, 0, &OpaqueAuth::none(), &[]).repeat(MANY);
    stream.write_all(&[calls, vec![b'x'; 100_000]].concat()).unwrap();
    assert_eq!(all(&mut stream).len(), MANY * REPLY);
    assert!(server.shutdown(GRACE));
}

#[test]
fn a_peer_that_goes_on_sending_is_not_waited_for_and_nothing_of_it_is_cut_off() {
    let server = server(ServerConfig::default());
    let mut stream = connect(&server);
    stream.write_all(&call(1, 0, &OpaqueAuth::none(), &[])).unwrap();
    assert_eq!(reply(&mut stream), success(1, &[]));
    // One whose system has said that it takes nothing may close without another word.
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Calls as long as may be: mostly in the middle of one, and there is always more of it.
            let long = call(2, 9, &OpaqueAuth::none(), &vec![0; 256 * 1024 - 10]);
            while !over.load(Ordering::Relaxed) {
                if stream.write_all(&long).is_err() {
                    break;
                }
            }
        });
        assert!(server.shutdown(Duration::from_secs(2)), "its call is answered");
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_a_client_has_told_arrives_though_it_has_left_a_reply_unread() {
    let listener = TcpListener::bind(HERE).unwrap();
    let mut client = Client::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It never looks at this.
    far.write_all(&call(1, 0, &OpaqueAuth::none(), &[])).unwrap();
    for _ in 0..MANY {
        client.tell(&Doze { millis: 1 }).unwrap();
    }
    let closing = thread::spawn(move || client.close());
    assert_eq!(all(&mut far).len(), MANY * 48);
    drop(far);
    closing.join().unwrap();
}

#[test]
fn a_reply_that_has_come_in_time_counts_however_late_it_is_asked_for() {
    let server = server(ServerConfig::default());
    let mut client = Client::connect(server.address()).unwrap();
    let call = client.start(&Divide { dividend: 6, divisor: 3 }, Duration::from_millis(200)).unwrap();
    // Not a wait for the server: this is the deadline passing.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(client.wait(call).unwrap(), Ok(2));
}

#[test]
fn a_client_learns_that_its_server_is_gone() {
    let server = server(ServerConfig::default());
    let mut client = Client::connect(server.address()).unwrap();
    assert_eq!(client.call(&Divide { dividend: 6, divisor: 3 }, PATIENCE).unwrap(), Ok(2));
    assert!(server.shutdown(GRACE));
    let error = client.call(&Wait { millis: 1 }, PATIENCE).unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error}");
}

#[test]
fn a_client_has_no_more_calls_in_flight_than_it_may() {
    let server = server(ServerConfig::default());
    let mut client = Client::connect(server.address()).unwrap();
    let mut calls = Vec::new();
    let error = loop {
        match client.start(&Divide { dividend: 1, divisor: 1 }, PATIENCE) {
            Ok(call) => calls.push(call),
            Err(error) => break error,
        }
    };
    assert_eq!((calls.len(), error.to_string()), (32, "not sent: 32 calls are in flight, which is the maximum".into()));
    for call in calls {
        assert_eq!(client.wait(call).unwrap(), Ok(1));
    }
    // A panic is the call's and not the connection's.
    let error = client.call(&Divide { dividend: i64::MIN, divisor: -1 }, PATIENCE).unwrap_err();
    assert!(matches!(error, CallError::Failed(AcceptStatus::SystemErr)), "{error}");
    assert_eq!(client.call(&Divide { dividend: 1, divisor: 1 }, PATIENCE).unwrap(), Ok(1));
}

#[test]
fn a_future_is_polled_again_when_another_thread_wakes_it() {
    let (wakers, woken) = mpsc::channel::<Waker>();
    let (done, polled) = mpsc::channel();
    thread::spawn(move || woken.recv().unwrap().wake());
    thread::spawn(move || {
        let mut polls = 0;
        let polls = block_on(poll_fn(|cx| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(polls);
            }
            wakers.send(cx.waker().clone()).unwrap();
            Poll::Pending
        }));
        done.send(polls).unwrap();
    });
    assert_eq!(polled.recv_timeout(Duration::from_secs(20)), Ok(2));
}
