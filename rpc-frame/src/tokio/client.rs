//! A client: many calls in flight on one connection, which a task of its own drives.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use ::tokio::net::{TcpStream, ToSocketAddrs, UnixStream};
use ::tokio::time::Instant;
use atomic_waker::AtomicWaker;
use xdr_core::{DecodeError, Encode};

use super::{Alarm, Stream, poll_read, poll_write};
use crate::auth::OpaqueAuth;
use crate::connection::{
    Connection, ConnectionConfig, ConnectionError, Event, IncomingReply, Outcome, OutgoingCall, RecordNotWritten,
};
use crate::message::{AcceptStatus, AuthStat, RejectedReply, ReplyBody};
use crate::procedure::Procedure;

/// Why a call has no results.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The arguments have no XDR form. Nothing was sent.
    #[error("cannot send the call: {0}")]
    NotSent(#[source] RecordNotWritten),
    /// The connection was lost before. Nothing was sent.
    #[error("not connected: {0}")]
    NotConnected(#[source] ClosedError),
    /// The connection is lost.
    #[error("connection lost: {0}")]
    Closed(#[source] ClosedError),
    /// No reply came in time.
    #[error("no reply within the deadline")]
    DeadlineExceeded,
    /// The server speaks other versions of RPC.
    #[error("server supports RPC versions {low} to {high}, not 2")]
    RpcMismatch {
        /// The lowest.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The server does not accept the caller.
    #[error("server does not accept the caller: {0:?}")]
    AuthError(AuthStat),
    /// The server does not have the program.
    #[error("server does not have program {program}")]
    ProgUnavail {
        /// The program that was called.
        program: u32,
    },
    /// The server has other versions of the program.
    #[error("server has versions {low} to {high} of the program")]
    ProgMismatch {
        /// The lowest.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The program has no such procedure, or not in this session.
    #[error("server does not have procedure {procedure}")]
    ProcUnavail {
        /// The procedure that was called.
        procedure: u32,
    },
    /// The server could not decode the arguments.
    #[error("server could not decode the arguments")]
    GarbageArgs,
    /// The server failed.
    #[error("server failed with an internal error")]
    SystemErr,
    /// The reply is not what the procedure's type says.
    #[error("cannot decode the reply: {0}")]
    Reply(#[source] DecodeError),
}

impl CallError {
    /// Whether the procedure may have run all the same. False where it certainly has not.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::DeadlineExceeded | Self::SystemErr | Self::Reply(_))
    }
}

/// Why a connection is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedError {
    /// The server closed it.
    #[error("server closed the connection")]
    ByPeer,
    /// The client's own last handle was dropped, or its runtime ended.
    #[error("client was closed")]
    ByUs,
    /// The server broke the protocol, or let a limit pass.
    #[error(transparent)]
    Protocol(ConnectionError),
    /// The socket failed.
    #[error("{0}")]
    Io(#[source] Arc<io::Error>),
}

/// How a call is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long to wait for the reply: 60 s. `None` waits as long as the connection lasts.
    pub timeout: Option<Duration>,
    /// Who calls: AUTH_NONE.
    pub credential: OpaqueAuth,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(60)), credential: OpaqueAuth::none() }
    }
}

impl CallOptions {
    /// Sets how long to wait for the reply.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets who calls.
    #[must_use]
    pub fn with_credential(mut self, credential: OpaqueAuth) -> Self {
        self.credential = credential;
        self
    }
}

/// A client on one connection. Its clones share the connection, which ends with the last of them.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
    options: CallOptions,
}

/// Dropped with the last clone of a client.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close(ClosedError::ByUs);
    }
}

struct Shared {
    epoch: Instant,
    state: Mutex<State>,
    /// The task that reads and writes.
    driver: AtomicWaker,
}

struct State {
    engine: Connection,
    waiting: HashMap<u32, Waiting>,
    closed: Option<ClosedError>,
}

enum Waiting {
    For(Option<Waker>),
    Done(Result<IncomingReply, CallError>),
}

impl Client {
    /// A client on a connection. A task that drives it is spawned on the present runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new<IO: Stream>(io: IO) -> Self {
        let config = ConnectionConfig {
            first_xid: u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(1),
            // A client may hold a connection for later; the server decides how long.
            idle_timeout: Duration::MAX,
            ..ConnectionConfig::default()
        };
        Self::with_config(io, config)
    }

    /// A client on a connection, with limits of your own.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn with_config<IO: Stream>(io: IO, config: ConnectionConfig) -> Self {
        let alarm = Alarm::new();
        let state = State { engine: Connection::new(config), waiting: HashMap::new(), closed: None };
        let shared = Arc::new(Shared { epoch: alarm.epoch(), state: Mutex::new(state), driver: AtomicWaker::new() });
        ::tokio::spawn(drive(io, alarm, Arc::clone(&shared)));
        Self { handle: Arc::new(Handle { shared }), options: CallOptions::default() }
    }

    /// Connects by TCP.
    ///
    /// # Errors
    /// When no address accepts the connection.
    pub async fn connect_tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }

    /// Connects to a unix socket.
    ///
    /// # Errors
    /// When nobody listens at the path.
    pub async fn connect_unix(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(UnixStream::connect(path).await?))
    }

    /// The same connection with other options for its calls.
    #[must_use]
    pub fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    /// Calls the procedure that the message belongs to. Dropping the future gives up on the reply.
    ///
    /// # Errors
    /// When there are no results; [`CallError::may_have_run`] tells whether the procedure can have run.
    pub async fn call<P: Procedure<Args = P>>(&self, args: &P) -> Result<P::Reply, CallError> {
        self.call_procedure::<P>(args).await
    }

    /// Calls a procedure whose message serves several.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_procedure<P: Procedure>(&self, args: &P::Args) -> Result<P::Reply, CallError> {
        let reply = self.raw(P::PROGRAM, P::VERSION, P::NUMBER, args)?.await?;
        xdr_core::from_bytes(&reply.results).map_err(CallError::Reply)
    }

    /// Calls procedure 0 of a program, which does nothing: is it there?
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn null(&self, program: u32, version: u32) -> Result<(), CallError> {
        let reply = self.raw(program, version, 0, &())?.await?;
        xdr_core::from_bytes(&reply.results).map_err(CallError::Reply)
    }

    /// Why the connection is lost, when it is: no further call can be made then.
    #[must_use]
    pub fn closed(&self) -> Option<ClosedError> {
        self.handle.shared.lock().closed.clone()
    }

    pub(crate) fn raw<T: Encode + ?Sized>(
        &self,
        program: u32,
        version: u32,
        procedure: u32,
        args: &T,
    ) -> Result<Call, CallError> {
        let shared = &self.handle.shared;
        let now = shared.epoch.elapsed();
        let deadline = self.options.timeout.and_then(|timeout| now.checked_add(timeout));
        let call = OutgoingCall::new(program, version, procedure).with_credential(&self.options.credential);
        let mut state = shared.lock();
        if let Some(closed) = &state.closed {
            return Err(CallError::NotConnected(closed.clone()));
        }
        let xid = state.engine.call(now, &call, args, deadline).map_err(CallError::NotSent)?;
        state.waiting.insert(xid, Waiting::For(None));
        drop(state);
        shared.driver.wake();
        Ok(Call { client: Arc::clone(&self.handle), xid, program, procedure })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A call in flight.
pub(crate) struct Call {
    client: Arc<Handle>,
    xid: u32,
    program: u32,
    procedure: u32,
}

impl Future for Call {
    type Output = Result<IncomingReply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut state = self.client.shared.lock();
        match state.waiting.get_mut(&self.xid) {
            Some(Waiting::For(waker)) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            Some(Waiting::Done(_)) => match state.waiting.remove(&self.xid) {
                Some(Waiting::Done(reply)) => {
                    drop(state);
                    Poll::Ready(reply.and_then(|reply| successful(reply, self.program, self.procedure)))
                }
                _ => Poll::Ready(Err(CallError::Closed(ClosedError::ByUs))),
            },
            None => Poll::Ready(Err(CallError::Closed(ClosedError::ByUs))),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.client.shared.lock();
        if state.waiting.remove(&self.xid).is_some() {
            state.engine.forget(self.xid);
            drop(state);
            // A connection without calls may be idle.
            self.client.shared.driver.wake();
        }
    }
}

/// A reply, if it carries results.
fn successful(reply: IncomingReply, program: u32, procedure: u32) -> Result<IncomingReply, CallError> {
    let body = match &reply.body {
        Ok(body) => body,
        Err(error) => return Err(CallError::Reply(error.clone())),
    };
    match body {
        ReplyBody::Accepted(accepted) => match accepted.status {
            AcceptStatus::Success => Ok(reply),
            AcceptStatus::ProgUnavail => Err(CallError::ProgUnavail { program }),
            AcceptStatus::ProgMismatch { low, high } => Err(CallError::ProgMismatch { low, high }),
            AcceptStatus::ProcUnavail => Err(CallError::ProcUnavail { procedure }),
            AcceptStatus::GarbageArgs => Err(CallError::GarbageArgs),
            AcceptStatus::SystemErr => Err(CallError::SystemErr),
        },
        ReplyBody::Denied(RejectedReply::RpcMismatch { low, high }) => {
            Err(CallError::RpcMismatch { low: *low, high: *high })
        }
        ReplyBody::Denied(RejectedReply::AuthError(stat)) => Err(CallError::AuthError(*stat)),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection and every call that waits for it.
    fn close(&self, why: ClosedError) {
        let mut state = self.lock();
        let why = state.closed.get_or_insert(why).clone();
        for waiting in state.waiting.values_mut() {
            waiting.finish(|| Err(CallError::Closed(why.clone())));
        }
        drop(state);
        self.driver.wake();
    }
}

impl Waiting {
    fn finish(&mut self, reply: impl FnOnce() -> Result<IncomingReply, CallError>) {
        if let Self::For(waker) = self {
            let waker = waker.take();
            *self = Self::Done(reply());
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Reads and writes until the connection ends, for one reason or another.
async fn drive<IO: Stream>(mut io: IO, mut alarm: Alarm, shared: Arc<Shared>) {
    let _driven = Driven(Arc::clone(&shared));
    let why = poll_fn(|cx| {
        shared.driver.register(cx.waker());
        shared.lock().poll(cx, &mut io, &mut alarm)
    })
    .await;
    shared.close(why);
    let _ = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await;
}

/// Dropped with the task that drives a connection, also where its runtime ends.
struct Driven(Arc<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.close(ClosedError::ByUs);
    }
}

impl State {
    fn poll<IO: Stream>(&mut self, cx: &mut TaskContext<'_>, io: &mut IO, alarm: &mut Alarm) -> Poll<ClosedError> {
        match self.run(cx, io, alarm) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(self.closed.clone().unwrap_or(ClosedError::ByPeer)),
            Err(why) => Poll::Ready(why),
        }
    }

    fn run<IO: Stream>(
        &mut self,
        cx: &mut TaskContext<'_>,
        io: &mut IO,
        alarm: &mut Alarm,
    ) -> Result<Poll<()>, ClosedError> {
        loop {
            let now = alarm.now();
            let written = poll_write(cx, io, &mut self.engine, now)?;
            if self.closed.is_some() {
                // The last handle is gone: what it had to say has been said, or nobody listens.
                return Ok(Poll::Ready(()));
            }
            // What was written may have made room for what has come before.
            self.take_events(now)?;
            if written.is_ready() && !self.engine.output().is_empty() {
                continue;
            }
            if !self.engine.wants_input() {
                break;
            }
            match poll_read(cx, io, &mut self.engine, now)? {
                Poll::Ready(0) => {
                    self.engine.handle_eof().map_err(ClosedError::Protocol)?;
                    return Ok(Poll::Ready(()));
                }
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        alarm.poll(cx, &mut self.engine).map_err(ClosedError::Protocol)?;
        self.take_events(alarm.now())?;
        Ok(Poll::Pending)
    }

    fn take_events(&mut self, now: Duration) -> Result<(), ClosedError> {
        while let Some(event) = self.engine.poll_event().map_err(ClosedError::Protocol)? {
            match event {
                Event::Reply(reply) => self.finish(reply.xid, || Ok(reply)),
                Event::DeadlineExceeded { xid } => self.finish(xid, || Err(CallError::DeadlineExceeded)),
                // A client serves no program.
                Event::Call(call) => {
                    self.engine.reply(now, call.xid, Outcome::Accepted(AcceptStatus::ProgUnavail));
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, xid: u32, reply: impl FnOnce() -> Result<IncomingReply, CallError>) {
        if let Some(waiting) = self.waiting.get_mut(&xid) {
            waiting.finish(reply);
        }
    }
}

impl From<io::Error> for ClosedError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
