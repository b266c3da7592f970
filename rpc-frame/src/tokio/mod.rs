//! Client and server on tokio.
//!
//! # A daemon
//!
//! One server on every socket, with a state for each connection, and an end that loses no reply:
//!
//! ```
//! # use rpc_frame::ProcedureTable;
//! # use xdr_core::Xdr;
//! # #[derive(Debug, Clone, Xdr)]
//! # #[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = u32)]
//! # struct Count;
//! # #[derive(ProcedureTable)]
//! # #[rpc(program = 0x2000_0042, version = 1, service = CounterService)]
//! # enum Counter { Count(Count) }
//! use std::future::Future;
//! use std::io;
//! use std::path::Path;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use std::time::Duration;
//!
//! use rpc_frame::tokio::{PeerLimit, Server, ServerConfig};
//! use rpc_frame::{Context, Session, program};
//! use tokio::net::{TcpListener, UdpSocket, UnixListener};
//!
//! /// What is known of a connection. Its calls run side by side, so what changes is atomic, or behind a lock.
//! #[derive(Default)]
//! struct Seen {
//!     calls: AtomicU32,
//! }
//!
//! struct Counting;
//!
//! impl CounterService for Counting {
//!     async fn count(&self, cx: &Context, _: Count) -> u32 {
//!         // None where the sessions are made without it.
//!         let Some(seen) = cx.session().state::<Seen>() else { return 0 };
//!         seen.calls.fetch_add(1, Ordering::Relaxed) + 1
//!     }
//! }
//!
//! /// `end` may be `tokio::signal::unix::signal(SignalKind::terminate())?.recv()`.
//! async fn run(socket: &Path, end: impl Future) -> io::Result<bool> {
//!     let tcp = TcpListener::bind("127.0.0.1:0").await?;
//!     let udp = UdpSocket::bind("127.0.0.1:0").await?;
//!     // The file outlives the daemon: a left one is removed before, by whoever knows that nobody listens there.
//!     let unix = UnixListener::bind(socket)?;
//!
//!     let mut config = ServerConfig::default();
//!     config.max_connections = 200;
//!     let server = Server::builder(program::<Counter, _>(Counting))
//!         .config(config)
//!         // By UDP each call has a session of its own.
//!         .sessions(|peer| Session::new(peer).with_state(Seen::default()))
//!         .build();
//!     tokio::select! {
//!         () = server.serve(PeerLimit::new(16).listener(tcp)) => {}
//!         () = server.serve(unix) => {}
//!         () = server.serve_udp(udp) => {}
//!         _ = end => {}
//!     }
//!     // What was taken up is answered; true where nothing had to be cut off.
//!     let in_time = server.shutdown(Duration::from_secs(10)).await;
//!     println!("{:?}", server.counters());
//!     Ok(in_time)
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let socket = std::env::temp_dir().join(format!("rpc-frame-doc-{}", std::process::id()));
//! # let client = async {
//! #     let client = rpc_frame::tokio::Client::connect_unix(&socket).await?;
//! #     Ok::<_, Box<dyn std::error::Error>>((client.call(&Count).await?, client.call(&Count).await?))
//! # };
//! # let mut counted = None;
//! # let ended = run(&socket, async { counted = Some(client.await) }).await;
//! # std::fs::remove_file(&socket)?;
//! # assert!(ended?);
//! # assert_eq!(counted.unwrap()?, (1, 2));
//! # Ok(())
//! # }
//! ```

mod client; //   calls
mod error; //    how they end without results
mod link; //     their way to the connection
mod driver; //   the task that drives a client's connection
mod mailbox; //  calls on a connection that is served
mod reconnecting; // one connection after the other
mod negotiate; // which version of a program both sides have
mod listener; // where connections come from
mod silence; //  peers that go without a word
mod peer_limit; // connections of one peer
mod log_limit; // lines of the log that a peer can cause
mod shared; //   what the connections of a server share
mod tally; //    what each connection has done
mod slots; //    handlers that wait
mod woken; //    which of them were woken
mod short_hand; // a few bytes in the place of a credential
mod farewell; // the end of a connection, behind all that was sent
mod serve; //    one connection: woken handlers, whole records, one write, one read
mod udp; //      one datagram a message: a client, and a server's socket
mod server; //   many connections, caps, shutdown

#[cfg(feature = "tls")]
pub(crate) use client::random_xid;
pub use client::{CallOptions, Client};
pub use error::{CallError, ClosedError};
#[cfg(feature = "tower")]
pub(crate) use link::Call;
pub use listener::Listener;
pub use log_limit::LogLimit;
pub(crate) use mailbox::Mailbox;
pub use negotiate::NegotiateError;
#[cfg(feature = "tls")]
pub(crate) use peer_limit::Place;
pub use peer_limit::{LimitedListener, LimitedStream, PeerLimit};
pub use reconnecting::{ReconnectPolicy, ReconnectingClient};
pub use server::{Server, ServerBuilder};
pub use shared::{ServerConfig, ServerCounters};
pub use short_hand::ShortHands;
pub use silence::{SILENCE, notice_silence};
#[cfg(feature = "tower")]
pub(crate) use udp::Call as UdpCall;
pub use udp::UdpClient;

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use ::tokio::task::{unconstrained, yield_now};
use ::tokio::time::{Instant, Sleep};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::connection::{Connection, ConnectionError};

/// Whether anybody listens to spans of this level. Where nobody does, they cost nothing: with the feature `log` of `tracing`,
/// which another crate of the program may switch on, each time that one is entered would be offered to `log`.
#[inline]
fn is_heard(level: Level) -> bool {
    level <= LevelFilter::current()
}

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The engine's clock and alarm.
struct Alarm {
    epoch: Instant,
    sleep: Pin<Box<Sleep>>,
    /// When it goes off, if it is set.
    armed: Option<Duration>,
    /// It goes off no later than a connection ends that rests from now on: it was set, or found early enough, for one.
    ends_rest: bool,
    /// Who is woken when it goes off.
    task: Waker,
}

/// The alarm never looks further ahead than this.
const FARTHEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Alarm {
    fn new() -> Self {
        Self::since(Instant::now())
    }

    fn since(epoch: Instant) -> Self {
        Self {
            epoch,
            sleep: Box::pin(::tokio::time::sleep_until(epoch)),
            armed: None,
            ends_rest: false,
            task: Waker::noop().clone(),
        }
    }

    const fn epoch(&self) -> Instant {
        self.epoch
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// A time as an instant.
    fn instant(&self, time: Duration) -> Instant {
        self.epoch.checked_add(time).unwrap_or(self.epoch)
    }

    /// An instant as a time.
    fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }

    /// Lets time pass in the engine, and wakes this task when it has to pass again.
    ///
    /// The alarm is only ever set earlier. When it goes off and nothing is due, it is set anew: traffic, which
    /// moves what is due, does not touch it.
    fn poll(&mut self, cx: &mut Context<'_>, engine: &mut Connection, now: Duration) -> Result<(), ConnectionError> {
        self.poll_with(cx, engine, now, None).map(|_| ())
    }

    /// [`poll`](Self::poll) that is also ready when this time has come.
    #[inline]
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        engine: &mut Connection,
        now: Duration,
        time: Option<Duration>,
    ) -> Result<Poll<()>, ConnectionError> {
        // Most turns leave nothing behind, and the alarm that ends a rest is set.
        if self.ends_rest
            && time.is_none()
            && engine.rests()
            && self.armed.is_some_and(|armed| now < armed)
            && self.task.will_wake(cx.waker())
        {
            return Ok(Poll::Pending);
        }
        let passed = self.let_time_pass(cx, engine, now, time)?;
        self.ends_rest |= passed.is_pending() && engine.rests();
        Ok(passed)
    }

    fn let_time_pass(
        &mut self,
        cx: &mut Context<'_>,
        engine: &mut Connection,
        mut now: Duration,
        time: Option<Duration>,
    ) -> Result<Poll<()>, ConnectionError> {
        engine.handle_time(now)?;
        while let Some(next) = [engine.next_timeout(), time].into_iter().flatten().min() {
            if time.is_some_and(|time| time <= now) {
                return Ok(Poll::Ready(()));
            }
            if self.poll_until(cx, now, next).is_pending() {
                break;
            }
            now = self.now();
            engine.handle_time(now)?;
        }
        Ok(Poll::Pending)
    }

    /// Ready when that time, or one that was waited for before, has come.
    fn poll_until(&mut self, cx: &mut Context<'_>, now: Duration, next: Duration) -> Poll<()> {
        let earliest = now.saturating_add(Duration::from_millis(1));
        let due = next.clamp(earliest, now.saturating_add(FARTHEST));
        match self.armed {
            // It goes off later, and knows whom to wake.
            Some(armed) if armed <= due && now < armed && self.task.will_wake(cx.waker()) => return Poll::Pending,
            Some(armed) if armed <= due => {}
            _ => {
                let instant = self.instant(due);
                self.sleep.as_mut().reset(instant);
                self.armed = Some(due);
            }
        }
        self.task.clone_from(cx.waker());
        let gone = self.sleep.as_mut().poll(cx);
        if gone.is_ready() {
            self.armed = None;
            self.ends_rest = false;
        }
        gone
    }
}

/// A second look at the socket before calls are told to be overdue. Their replies may have come in time, and the runtime not
/// know of them, where another task has kept it from looking.
#[derive(Default)]
struct SecondLook {
    /// The last deadline before which there was one.
    before: Option<Duration>,
}

impl SecondLook {
    /// Whether it is due now, where a call may have reached this deadline: once for each. This task is woken then when the
    /// runtime has looked.
    #[cold]
    fn is_due(&mut self, cx: &mut Context<'_>, deadline: Duration) -> bool {
        let is_due = self.before.replace(deadline) != Some(deadline);
        if is_due {
            let _ = pin!(yield_now()).poll(cx);
        }
        is_due
    }
}

/// Writes as much of the engine's output as the peer takes. True when all of it went.
fn poll_write<IO: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    io: &mut IO,
    engine: &mut Connection,
    now: Duration,
) -> Poll<std::io::Result<()>> {
    while !engine.output().is_empty() {
        match Pin::new(&mut *io).poll_write(cx, engine.output()) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(len)) => engine.advance_output(now, len),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Pin::new(io).poll_flush(cx)
}

/// Most reads of what has come on a stream that cannot be written to any more: what a socket holds, and some more.
const LAST_READS: usize = 4096;

/// Reads what has come on a stream that cannot be written to any more, whatever its task has done in this turn. False where
/// there is no more.
fn read_last<IO: AsyncRead + Unpin>(cx: &mut Context<'_>, io: &mut IO, engine: &mut Connection, now: Duration) -> bool {
    let read = pin!(unconstrained(poll_fn(|cx| poll_read(cx, io, engine, now))));
    matches!(read.poll(cx), Poll::Ready(Ok(1..)))
}

/// Reads what has come into the engine's input; the number of bytes, 0 at the end.
fn poll_read<IO: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    io: &mut IO,
    engine: &mut Connection,
    now: Duration,
) -> Poll<std::io::Result<usize>> {
    let read = pin!(io.read_buf(engine.input_with_room())).poll(cx);
    if let Poll::Ready(Ok(1..)) = read {
        engine.handle_input(now);
    }
    read
}
