//! Handlers that are woken: by themselves, by each other, and by threads of their own. Each ends once, and none has the
//! thread to itself.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use rpc_frame::tokio::{Client, Server, UdpClient};
use rpc_frame::xdr::Xdr;
use rpc_frame::{ConnectionConfig, Context, Peer, ProcedureTable, Program, program};
use tokio::io::duplex;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Ends when a thread says so, after as many times as it wakes itself.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 4, proc = 1, reply = u32)]
struct Wait {
    number: u32,
    by: Waked,
}

#[derive(Debug, Clone, Copy, Xdr)]
enum Waked {
    /// Itself, so many times as its number says.
    Itself = 0,
    /// A thread, which may do so while it is polled, between two polls, and after the task has gone to rest.
    Thread = 1,
    /// The handler of a call that comes later.
    Another = 2,
}

/// Wakes itself on and on, until [`Stop`] is called.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 4, proc = 2, reply = u32)]
struct Spin;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 4, proc = 3, reply = u32)]
struct Stop;

#[derive(ProcedureTable)]
#[rpc(program = 9, version = 4, service = ClockService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Clock {
    Wait(Wait),
    Spin(Spin),
    Stop(Stop),
}

struct Wakes {
    /// To the thread that wakes.
    thread: Mutex<Sender<(Waker, Arc<AtomicBool>)>>,
    another: Semaphore,
    stopped: AtomicBool,
    spins: AtomicU32,
}

impl Wakes {
    fn new() -> Self {
        let (thread, waits) = channel::<(Waker, Arc<AtomicBool>)>();
        thread::spawn(move || {
            for (round, (waker, done)) in waits.into_iter().enumerate() {
                // Some at once, some when the task has looked elsewhere, some when it rests.
                for _ in 0..round % 64 * 8 {
                    std::hint::spin_loop();
                }
                done.store(true, Ordering::SeqCst);
                waker.wake();
            }
        });
        let (another, stopped, spins) = (Semaphore::new(0), AtomicBool::new(false), AtomicU32::new(0));
        Self { thread: Mutex::new(thread), another, stopped, spins }
    }
}

impl ClockService for Wakes {
    async fn wait(&self, _: &Context, args: Wait) -> u32 {
        match args.by {
            Waked::Itself => {
                let mut left = args.number % 5;
                poll_fn(|cx| {
                    if left == 0 {
                        return Poll::Ready(());
                    }
                    left -= 1;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            Waked::Thread => {
                let done = Arc::new(AtomicBool::new(false));
                let mut is_told = false;
                poll_fn(|cx| {
                    if done.load(Ordering::SeqCst) {
                        return Poll::Ready(());
                    }
                    if !std::mem::replace(&mut is_told, true) {
                        self.thread.lock().unwrap().send((cx.waker().clone(), Arc::clone(&done))).unwrap();
                    }
                    Poll::Pending
                })
                .await;
            }
            Waked::Another if args.number.is_multiple_of(2) => self.another.acquire().await.unwrap().forget(),
            Waked::Another => self.another.add_permits(1),
        }
        args.number
    }

    async fn spin(&self, _: &Context, _: Spin) -> u32 {
        poll_fn(|cx| {
            if self.stopped.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            let spins = self.spins.fetch_add(1, Ordering::SeqCst);
            assert!(spins < 1_000_000, "nobody else has had a turn");
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.spins.load(Ordering::SeqCst)
    }

    async fn stop(&self, _: &Context, _: Stop) -> u32 {
        self.stopped.store(true, Ordering::SeqCst);
        self.spins.load(Ordering::SeqCst)
    }
}

fn server() -> Server<Program<Clock, Wakes>> {
    Server::new(program::<Clock, _>(Wakes::new()))
}

fn connect(server: &Server<Program<Clock, Wakes>>) -> Client {
    let (near, far) = duplex(4096);
    server.serve_connection(far, Peer::Unknown).unwrap();
    Client::with_config(near, ConnectionConfig::default())
}

/// Would catch a wake-up that is lost: its call would not end. The two threads of the runtime move connections between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_handler_ends_whoever_wakes_it_and_whenever() {
    let server = server();
    let mut connections = JoinSet::new();
    for _ in 0..3 {
        let client = connect(&server);
        connections.spawn(async move {
            for round in 0..60 {
                let mut calls = JoinSet::new();
                for number in 0..48 {
                    let by = [Waked::Thread, Waked::Itself, Waked::Another, Waked::Another]
                        [(number / 2 + round) as usize % 4];
                    let client = client.clone();
                    calls.spawn(async move { assert_eq!(client.call(&Wait { number, by }).await.unwrap(), number) });
                }
                while let Some(called) = calls.join_next().await {
                    called.unwrap();
                }
            }
        });
    }
    let all = async {
        while let Some(ended) = connections.join_next().await {
            ended.unwrap();
        }
    };
    timeout(Duration::from_secs(100), all).await.expect("a handler was woken and not polled");
}

/// Would catch a connection that polls a handler for as long as it wakes itself.
#[tokio::test]
async fn a_handler_that_wakes_itself_on_and_on_leaves_others_their_turns() {
    let server = server();
    let (spinning, other) = (connect(&server), connect(&server));
    let spin = spinning.clone();
    let spun = tokio::spawn(async move { spin.call(&Spin).await });
    // On the same connection, and on another one in the same thread.
    for client in [&spinning, &other] {
        assert_eq!(client.call(&Wait { number: 4, by: Waked::Itself }).await.unwrap(), 4);
    }
    let before = other.call(&Stop).await.unwrap();
    assert!(spun.await.unwrap().unwrap() >= before);
}

/// The same for calls by UDP, which are polled in one task for all peers.
#[tokio::test]
async fn a_handler_by_udp_that_wakes_itself_on_and_on_leaves_others_their_turns() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = server();
    tokio::spawn(async move { server.serve_udp(socket).await });
    let client = UdpClient::connect(address).await.unwrap();
    let spin = client.clone();
    let spun = tokio::spawn(async move { spin.call(&Spin).await });
    for (number, by) in [(4, Waked::Itself), (1, Waked::Thread)] {
        assert_eq!(client.call(&Wait { number, by }).await.unwrap(), number);
    }
    let before = client.call(&Stop).await.unwrap();
    assert!(spun.await.unwrap().unwrap() >= before);
}
