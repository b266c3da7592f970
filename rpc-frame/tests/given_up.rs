//! Futures of the client that are dropped at any of their polls: nothing is left of them, and the connection goes on.
//!
//! The stream takes and gives a few bytes at a time and rests in between, and a future is polled whether it was woken or
//! not: so it is dropped between any two steps of its call, on either side. With a cap of one call in flight, one
//! that is left over lets no other pass.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use rpc_frame::tokio::{CallOptions, Client, ReconnectingClient, Server, ServerConfig, ShortHands, UdpClient};
use rpc_frame::xdr::Xdr;
use rpc_frame::{
    AcceptClaims, AuthSys, ConnectionConfig, Credential, DatagramClientConfig, Peer, ProcedureTable, Program, program,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::net::UdpSocket;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 3, proc = 1, reply = u32)]
struct Double {
    number: u32,
    #[xdr(max = 64)]
    bytes: Vec<u8>,
}

/// Waits a while before it replies.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 3, proc = 2, reply = u32)]
struct Slow;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 3, proc = 3, oneway)]
struct Note {
    number: u32,
    #[xdr(max = 64)]
    bytes: Vec<u8>,
}

#[derive(ProcedureTable)]
#[rpc(program = 9, version = 3, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Desk {
    Double(Double),
    Slow(Slow),
    Note(Note),
}

/// Adds up the numbers that it is told.
#[derive(Clone, Default)]
struct Clerk {
    notes: Arc<AtomicU32>,
}

impl DeskService for Clerk {
    async fn double(&self, _: &rpc_frame::Context, args: Double) -> u32 {
        args.number * 2
    }

    async fn slow(&self, _: &rpc_frame::Context, _: Slow) -> u32 {
        for _ in 0..7 {
            tokio::task::yield_now().await;
        }
        7
    }

    async fn note(&self, _: &rpc_frame::Context, args: Note) {
        self.notes.fetch_add(args.number, Ordering::SeqCst);
    }
}

fn double(number: u32) -> Double {
    Double { number, bytes: vec![7; 13] }
}

/// A stream that moves a few bytes at a time, and rests in between.
struct Slowly {
    io: DuplexStream,
    reads: usize,
    writes: usize,
}

impl Slowly {
    fn new(io: DuplexStream) -> Self {
        Self { io, reads: 0, writes: 0 }
    }
}

/// How many bytes may move now.
fn step(steps: &mut usize, cx: &mut Context<'_>) -> Option<usize> {
    *steps += 1;
    if steps.is_multiple_of(2) {
        return Some([1, 7, 3, 30, 2][*steps / 2 % 5]);
    }
    cx.waker().wake_by_ref();
    None
}

impl AsyncRead for Slowly {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(most) = step(&mut self.reads, cx) else { return Poll::Pending };
        let mut part = vec![0; most.min(buffer.remaining())];
        let mut taken = ReadBuf::new(&mut part);
        let read = Pin::new(&mut self.io).poll_read(cx, &mut taken);
        buffer.put_slice(taken.filled());
        read
    }
}

impl AsyncWrite for Slowly {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(most) = step(&mut self.writes, cx) else { return Poll::Pending };
        Pin::new(&mut self.io).poll_write(cx, &bytes[..bytes.len().min(most)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Runs a test on a runtime that polls one task after the other, and the test's own future after each.
fn turn_by_turn(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build().unwrap();
    runtime.block_on(test);
}

/// Polls a future so many times, once a turn of the runtime, and then drops it. None where it was not ready by then.
async fn given_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (Box::pin(future), polls);
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        cx.waker().wake_by_ref();
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Both ends of a connection, which have room for one call at a time.
struct Pair {
    client: Client,
    server: Server<Program<Desk, Clerk>>,
    clerk: Clerk,
    /// Where the client's connection is served as well.
    own: Option<Server<Program<Desk, Clerk>>>,
}

fn narrow() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.connection = ConnectionConfig::default();
    config.connection.max_calls_in_flight = 1;
    config.connection.max_own_calls_in_flight = 1;
    config.connection.max_unsent = 100;
    config
}

impl Pair {
    fn new(both_ways: bool) -> Self {
        let clerk = Clerk::default();
        let server = Server::builder(program::<Desk, Clerk>(clerk.clone()))
            .authenticator(ShortHands::new(AcceptClaims, 1))
            .config(narrow())
            .build();
        let (far, near) = duplex(11);
        server.serve_connection(Slowly::new(far), Peer::Unknown).unwrap();
        let near = Slowly::new(near);
        let (client, own) = if both_ways {
            let own = Server::builder(program::<Desk, Clerk>(Clerk::default())).config(narrow()).build();
            (own.serve_and_call(near, Peer::Unknown), Some(own))
        } else {
            (Client::with_config(near, narrow().connection), None)
        };
        Self { client, server, clerk, own }
    }

    /// The next call passes, and nothing is in flight behind it.
    async fn is_well(&self, polls: usize) {
        let number = u32::try_from(polls).unwrap();
        let doubled = self.client.call(&double(number)).await;
        assert!(matches!(doubled, Ok(doubled) if doubled == number * 2), "{polls} polls: {doubled:?}");
        // Replies come in the order of the calls, but for those of handlers that wait.
        while self.server.counters().calls.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(self.client.close_reason().is_none());
        assert_eq!(self.server.connections(), 1);
        if let Some(own) = &self.own {
            assert_eq!((own.connections(), own.counters().calls.in_flight()), (1, 0));
        }
    }
}

/// Drops what `begin` makes after every number of polls until it is ready in time, and calls `check` in between.
async fn at_every_poll<F: Future>(begin: impl Fn(usize) -> F, check: impl AsyncFn(usize, Option<F::Output>)) -> usize {
    for polls in 0.. {
        let ended = given_up_after(polls, begin(polls)).await;
        let is_last = ended.is_some();
        check(polls, ended).await;
        if is_last {
            return polls;
        }
    }
    unreachable!("it ends before")
}

#[test]
fn a_call_that_is_given_up_at_any_poll_leaves_nothing() {
    turn_by_turn(async {
        for both_ways in [false, true] {
            let pair = Pair::new(both_ways);
            let polls = at_every_poll(
                |_| pair.client.call(&Slow),
                async |polls, ended| {
                    assert!(matches!(ended, None | Some(Ok(7))), "{ended:?}");
                    pair.is_well(polls).await;
                },
            );
            // So many that the call was given up in the middle of its record, of its handler and of its reply.
            let polls = polls.await;
            assert!(polls > 20, "{polls}");
        }
    });
}

#[test]
fn a_call_that_is_given_up_while_its_short_hand_is_refused_leaves_nothing() {
    turn_by_turn(async {
        for both_ways in [false, true] {
            let pair = Pair::new(both_ways);
            let as_user = |uid| {
                let claim = AuthSys { stamp: 0, machine_name: "here".into(), uid, gid: 0, gids: vec![] };
                let options = CallOptions::default().with_credential(Credential::Sys(claim).to_opaque().unwrap());
                pair.client.clone().with_options(options)
            };
            let (one, other) = (as_user(1), as_user(2));
            let polls = at_every_poll(
                |_| one.call(&Slow),
                async |polls, ended| {
                    assert!(matches!(ended, None | Some(Ok(7))), "{ended:?}");
                    // Only one short hand is remembered: that of the one is forgotten, and it has to call twice.
                    assert_eq!(other.call(&double(1)).await.unwrap(), 2);
                    pair.is_well(polls).await;
                },
            );
            assert!(polls.await > 40);
        }
    });
}

#[test]
fn a_negotiation_that_is_given_up_at_any_poll_leaves_nothing() {
    turn_by_turn(async {
        for both_ways in [false, true] {
            let pair = Pair::new(both_ways);
            let polls = at_every_poll(
                |_| pair.client.negotiate(9, 1..=5),
                async |polls, ended| {
                    assert!(matches!(ended, None | Some(Ok(3))), "{ended:?}");
                    pair.is_well(polls).await;
                },
            );
            assert!(polls.await > 40);
        }
    });
}

#[test]
fn a_message_without_reply_that_is_given_up_is_sent_whole_or_not_at_all() {
    turn_by_turn(async {
        for both_ways in [false, true] {
            let pair = Pair::new(both_ways);
            let note = |number| Note { number, bytes: vec![7; 20] };
            // Each bit of the sum is one message.
            for polls in 0..1000 {
                pair.clerk.notes.store(0, Ordering::SeqCst);
                let mut expected = 0;
                for bit in 0..8 {
                    let sent = given_up_after(polls, pair.client.send(&note(1 << bit))).await;
                    if sent.is_some_and(|sent| sent.is_ok()) {
                        expected |= 1 << bit;
                    }
                }
                pair.is_well(polls).await;
                assert_eq!(pair.clerk.notes.load(Ordering::SeqCst), expected, "{polls} polls");
                assert_eq!(expected == 0, polls == 0);
                if expected == 0xff && polls > 0 {
                    break;
                }
                assert!(polls < 999, "all are sent in the end");
            }
        }
    });
}

#[test]
fn a_call_that_is_given_up_while_it_waits_for_a_connection_leaves_the_attempt_to_the_next_one() {
    turn_by_turn(async {
        // How often a connection was opened.
        let opened = Arc::new(AtomicUsize::new(0));
        let clerk = Clerk::default();
        let server = Server::new(program::<Desk, Clerk>(clerk));
        let begin = || {
            let (server, opened) = (server.clone(), Arc::clone(&opened));
            let client = ReconnectingClient::new(move || {
                opened.fetch_add(1, Ordering::SeqCst);
                let (far, near) = duplex(11);
                let served = server.serve_connection(Slowly::new(far), Peer::Unknown);
                async move {
                    for _ in 0..5 {
                        tokio::task::yield_now().await;
                    }
                    served.map(|()| Client::with_config(Slowly::new(near), narrow().connection))
                }
            });
            client.with_set_up(|client| async move {
                client.negotiate(9, 1..=5).await?;
                Ok(())
            })
        };
        for polls in 0.. {
            let client = begin();
            opened.store(0, Ordering::SeqCst);
            let ended = given_up_after(polls, client.call(&Slow)).await;
            assert!(matches!(ended, None | Some(Ok(7))), "{ended:?}");
            assert_eq!(client.call(&double(4)).await.unwrap(), 8, "{polls} polls");
            assert_eq!(opened.load(Ordering::SeqCst), 1, "{polls} polls");
            drop(client);
            while server.connections() > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(server.counters().calls.in_flight(), 0);
            if ended.is_some() {
                assert!(polls > 60, "{polls}");
                break;
            }
        }
    });
}

#[test]
fn a_client_that_is_dropped_while_it_connects_ends_the_attempt() {
    turn_by_turn(async {
        let server = Server::new(program::<Desk, Clerk>(Clerk::default()));
        for polls in 0..40 {
            let (far, near) = duplex(11);
            server.serve_connection(Slowly::new(far), Peer::Unknown).unwrap();
            let near = std::sync::Mutex::new(Some(near));
            let client = ReconnectingClient::new(move || {
                let near = near.lock().unwrap().take();
                async move {
                    tokio::task::yield_now().await;
                    near.map(|io| Client::new(Slowly::new(io))).ok_or_else(|| io::ErrorKind::NotFound.into())
                }
            });
            let ended = given_up_after(polls, async move { client.call(&Slow).await }).await;
            assert!(matches!(ended, None | Some(Ok(7))), "{ended:?}");
            while server.connections() > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(server.counters().calls.in_flight(), 0);
        }
    });
}

#[test]
fn a_call_by_udp_that_is_given_up_is_not_sent_again() {
    turn_by_turn(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(server.local_addr().unwrap()).await.unwrap();
        let mut config = DatagramClientConfig::default();
        (config.first_wait, config.max_wait) =
            (std::time::Duration::from_millis(1), std::time::Duration::from_millis(2));
        config.max_tries = 100_000;
        let client = UdpClient::with_config(socket, config).unwrap();
        let mut seen = std::collections::HashMap::<Vec<u8>, usize>::new();
        let mut last = 0;
        for polls in 0..12 {
            let given_up = double(1000 + polls);
            let message = Note { number: 2000 + polls, bytes: vec![] };
            assert!(given_up_after(polls as usize, client.call(&given_up)).await.is_none());
            let sent = given_up_after(polls as usize, client.send(&message)).await;
            assert_eq!(sent.is_some(), polls > 0);
            // The one behind it is sent three times, and would not overtake it.
            let behind = double(polls);
            let call = client.call(&behind);
            tokio::pin!(call);
            let mut times = 0;
            while times < 3 {
                let mut buffer = [0; 200];
                let len = tokio::select! {
                    received = server.recv_from(&mut buffer) => received.unwrap().0,
                    reply = &mut call => panic!("{reply:?}"),
                };
                let datagram = &buffer[..len];
                times += usize::from(datagram[40..44] == polls.to_be_bytes());
                *seen.entry(datagram[40..44].to_vec()).or_default() += 1;
            }
            last = polls;
        }
        for polls in 0..=last {
            let times = |number: u32| seen.get(&number.to_be_bytes()[..]).copied().unwrap_or(0);
            assert!(times(1000 + polls) <= 1, "given up after {polls} polls");
            assert_eq!(times(2000 + polls), usize::from(polls > 0), "a message without reply");
            assert!(times(polls) >= 3);
        }
    });
}
