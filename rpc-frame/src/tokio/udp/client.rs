//! A client by UDP: many calls in flight on one socket, which a task of its own drives.

use std::boxed::Box;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, ready};
use std::vec;

use ::tokio::io::ReadBuf;
use ::tokio::net::{ToSocketAddrs, UdpSocket, lookup_host};
use ::tokio::sync::{Notify, oneshot};
use ::tokio::time::Instant;
use atomic_waker::AtomicWaker;
use xdr_core::Encode;

use super::super::client::random_xid;
use super::super::error::successful;
use super::super::{Alarm, CallError, CallOptions, ClosedError};
use super::{DATAGRAMS_A_TURN, is_about_the_last};
use crate::auth::AuthFlavor;
use crate::connection::{Event, IncomingReply, OutgoingCall};
use crate::datagram::{DatagramClient, DatagramClientConfig, MAX_DATAGRAM, Transmit};
use crate::procedure::{OnewayProcedure, Procedure};

/// A client of one server by UDP. Its clones share the socket, which is closed with the last of them.
///
/// A call is sent again, with the same xid, until its reply comes or it is given up with
/// [`CallError::DeadlineExceeded`]: after [`CallOptions::timeout`], or when all tries of its
/// [`DatagramClientConfig`] are spent (31 s), whichever is earlier. That is also how a server ends that is not there: news of
/// an unreachable port may be forged or true for a moment only, and are passed over.
///
/// Arguments may have any type. A call that is too long for a datagram when it is made is
/// [`CallError::NotSent`], with its length and the maximum.
///
/// What else UDP does not give is said in the [crate's documentation](crate#udp): above all, a procedure can run twice,
/// and nobody proves who they are.
///
/// ```
/// # use rpc_frame::ProcedureTable;
/// # use rpc_frame::tokio::{Server, UdpClient};
/// # #[derive(xdr_core::Xdr)]
/// # #[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = u32)]
/// # struct Double { number: u32 }
/// # #[derive(ProcedureTable)]
/// # #[rpc(program = 0x2000_0042, version = 1, service = DoubleService)]
/// # enum Doubles { Double(Double) }
/// # struct Doubler;
/// # impl DoubleService for Doubler {
/// #     async fn double(&self, _: &rpc_frame::Context, args: Double) -> u32 { args.number * 2 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
/// let address = socket.local_addr()?;
/// let server = Server::new(rpc_frame::program::<Doubles, _>(Doubler));
/// tokio::spawn(async move { server.serve_udp(socket).await });
///
/// let client = UdpClient::connect(address).await?;
/// assert_eq!(client.call(&Double { number: 4 }).await?, 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UdpClient {
    handle: Arc<Handle>,
    options: CallOptions,
}

/// Dropped with the last clone of a client.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

struct Shared {
    epoch: Instant,
    server: SocketAddr,
    state: Mutex<State>,
    /// The task that sends and receives.
    driver: AtomicWaker,
    /// There may be room to send, or the socket is closed.
    changed: Notify,
}

struct State {
    engine: DatagramClient,
    waiting: HashMap<u32, oneshot::Sender<Result<IncomingReply, CallError>>>,
    closed: bool,
}

impl UdpClient {
    /// A client on a socket of its own, of a server at the first of these addresses that a socket can be connected to.
    ///
    /// # Errors
    /// When there is no such address. Whether a server is there, only a call tells.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host(address).await? {
            let own: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let connected = async {
                let socket = UdpSocket::bind(own).await?;
                socket.connect(address).await?;
                io::Result::Ok(socket)
            };
            match connected.await {
                Ok(socket) => {
                    let config = DatagramClientConfig { first_xid: random_xid(), ..DatagramClientConfig::default() };
                    return Self::with_config(socket, config);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A client on a socket that is connected to the server, with limits of your own. A task that drives it is spawned on
    /// the present runtime.
    ///
    /// # Errors
    /// When the socket is not connected.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn with_config(socket: UdpSocket, config: DatagramClientConfig) -> io::Result<Self> {
        let server = socket.peer_addr()?;
        let alarm = Alarm::new();
        // One byte more than is allowed, so that a datagram which was cut off to fit is seen to be too long.
        let room = config.max_datagram.min(MAX_DATAGRAM).saturating_add(1);
        let state = State { engine: DatagramClient::new(config), waiting: HashMap::new(), closed: false };
        let (epoch, state) = (alarm.epoch(), Mutex::new(state));
        let (driver, changed) = (AtomicWaker::new(), Notify::new());
        let shared = Arc::new(Shared { epoch, server, state, driver, changed });
        let socket = Socket { socket, alarm, buffer: vec![0; room].into_boxed_slice(), unsent: None };
        ::tokio::spawn(drive(socket, Arc::clone(&shared)));
        Ok(Self { handle: Arc::new(Handle { shared }), options: CallOptions::default() })
    }

    /// The same socket with other options for its calls.
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

    /// Calls the oneway procedure that the message belongs to: no reply comes, and nothing tells whether it arrives. It
    /// is sent once.
    ///
    /// The future ends when the call is queued. It waits as long as
    /// [`max_unsent`](DatagramClientConfig::max_unsent) bytes of others wait for the socket. It is a task of its own that
    /// sends, so what is queued is lost where the program, or its runtime, ends at once.
    ///
    /// # Errors
    /// When the arguments have no XDR form, or the message is too long for a datagram. Nothing was sent then.
    pub async fn send<P: OnewayProcedure<Args = P>>(&self, args: &P) -> Result<(), CallError> {
        self.send_procedure::<P>(args).await
    }

    /// Calls a oneway procedure whose message serves several.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_procedure<P: OnewayProcedure>(&self, args: &P::Args) -> Result<(), CallError> {
        self.refuse_tls()?;
        let shared = &self.handle.shared;
        let call = OutgoingCall::new(P::PROGRAM, P::VERSION, P::NUMBER).with_credential(&self.options.credential);
        loop {
            let mut changed = pin!(shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if shared.try_send(&call, args)? {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Calls procedure 0 of a program, which does nothing: is it there?
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn null(&self, program: u32, version: u32) -> Result<(), CallError> {
        let reply = self.raw(program, version, 0, &())?.await?;
        xdr_core::from_bytes(&reply.results).map_err(CallError::Reply)
    }

    /// A caller who asks for encryption must not believe to have it.
    fn refuse_tls(&self) -> Result<(), CallError> {
        if self.options.credential.flavor == AuthFlavor::TLS { Err(CallError::Dtls) } else { Ok(()) }
    }

    pub(crate) fn raw<T: Encode + ?Sized>(
        &self,
        program: u32,
        version: u32,
        procedure: u32,
        args: &T,
    ) -> Result<Call, CallError> {
        self.refuse_tls()?;
        let shared = &self.handle.shared;
        let now = shared.epoch.elapsed();
        let deadline = self.options.timeout.and_then(|timeout| now.checked_add(timeout));
        let call = OutgoingCall::new(program, version, procedure).with_credential(&self.options.credential);
        let (sender, reply) = oneshot::channel();
        let mut state = shared.lock();
        if state.closed {
            return Err(CallError::NotConnected(ClosedError::ByUs));
        }
        let xid = state.engine.call(now, shared.server, &call, args, deadline).map_err(CallError::NotSent)?;
        state.waiting.insert(xid, sender);
        drop(state);
        shared.driver.wake();
        Ok(Call { client: Arc::clone(&self.handle), reply, xid, program, procedure })
    }
}

impl fmt::Debug for UdpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.handle.shared.server;
        f.debug_struct("UdpClient").field("server", &server).field("options", &self.options).finish_non_exhaustive()
    }
}

/// A call in flight. Dropping it gives up on the reply.
pub(crate) struct Call {
    client: Arc<Handle>,
    reply: oneshot::Receiver<Result<IncomingReply, CallError>>,
    xid: u32,
    program: u32,
    procedure: u32,
}

impl Future for Call {
    type Output = Result<IncomingReply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let reply = ready!(Pin::new(&mut self.reply).poll(cx));
        let reply = reply.unwrap_or_else(|_| Err(CallError::Closed(ClosedError::ByUs)));
        Poll::Ready(reply.and_then(|reply| successful(reply, self.program, self.procedure)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.client.shared.lock();
        if state.waiting.remove(&self.xid).is_some() {
            state.engine.forget(self.xid);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a oneway call. False where there is no room.
    fn try_send<T: Encode + ?Sized>(&self, call: &OutgoingCall<'_>, args: &T) -> Result<bool, CallError> {
        let mut state = self.lock();
        if state.closed {
            return Err(CallError::NotConnected(ClosedError::ByUs));
        }
        if !state.engine.has_room_to_send() {
            return Ok(false);
        }
        state.engine.send(self.server, call, args).map_err(CallError::NotSent)?;
        drop(state);
        self.driver.wake();
        Ok(true)
    }

    /// Ends every call: without their senders they know.
    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.changed.notify_waiters();
        self.driver.wake();
    }
}

/// Dropped with the task that drives a socket, also where its runtime ends.
struct Driven(Arc<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Socket {
    socket: UdpSocket,
    alarm: Alarm,
    buffer: Box<[u8]>,
    /// What the socket did not take yet.
    unsent: Option<Transmit>,
}

/// Sends and receives until the client is closed.
async fn drive(mut socket: Socket, shared: Arc<Shared>) {
    let _driven = Driven(Arc::clone(&shared));
    poll_fn(|cx| {
        shared.driver.register(cx.waker());
        let mut state = shared.lock();
        let polled = socket.poll(cx, &mut state);
        let room = state.engine.has_room_to_send();
        drop(state);
        if room {
            shared.changed.notify_waiters();
        }
        polled
    })
    .await;
}

impl Socket {
    fn poll(&mut self, cx: &mut TaskContext<'_>, state: &mut State) -> Poll<()> {
        if state.closed {
            // The last handle is gone. What it has queued still goes.
            self.send(cx, &mut state.engine);
            return if self.unsent.is_none() { Poll::Ready(()) } else { Poll::Pending };
        }
        for turn in (0..DATAGRAMS_A_TURN).rev() {
            if !self.receive(cx, &mut state.engine) {
                break;
            }
            if turn == 0 {
                cx.waker().wake_by_ref();
            }
        }
        while let Some(next) = state.engine.next_timeout() {
            if self.alarm.poll_until(cx, self.alarm.now(), next).is_pending() {
                break;
            }
            state.engine.handle_time(self.alarm.now());
        }
        while let Some(event) = state.engine.poll_event() {
            let (xid, reply) = match event {
                Event::Reply(reply) => (reply.xid, Ok(reply)),
                Event::DeadlineExceeded { xid } => (xid, Err(CallError::DeadlineExceeded)),
                Event::Call(_) => continue,
            };
            if let Some(waiting) = state.waiting.remove(&xid) {
                // Its caller may have given up just now.
                let _ = waiting.send(reply);
            }
        }
        self.send(cx, &mut state.engine);
        Poll::Pending
    }

    /// Receives one datagram. False when there is none.
    fn receive(&mut self, cx: &mut TaskContext<'_>, engine: &mut DatagramClient) -> bool {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        match self.socket.poll_recv_from(cx, &mut buffer) {
            Poll::Pending => false,
            // What came before the socket was connected may be of anybody: the engine looks at the sender.
            Poll::Ready(Ok(from)) => {
                engine.handle_datagram(from, buffer.filled());
                true
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "cannot receive a datagram");
                // Any other error may come again at once; the alarm of the calls in flight wakes this task.
                is_about_the_last(&error)
            }
        }
    }

    fn send(&mut self, cx: &mut TaskContext<'_>, engine: &mut DatagramClient) {
        while let Some(transmit) = self.unsent.take().or_else(|| engine.poll_transmit()) {
            let mut sent = self.socket.poll_send(cx, &transmit.datagram);
            if let Poll::Ready(Err(error)) = &sent
                && is_about_the_last(error)
            {
                // The news took the place of this datagram, which has not been sent.
                sent = self.socket.poll_send(cx, &transmit.datagram);
            }
            match sent {
                Poll::Pending => {
                    self.unsent = Some(transmit);
                    return;
                }
                Poll::Ready(Ok(_)) => {}
                // As if it had been lost: it is sent again.
                Poll::Ready(Err(error)) => tracing::debug!(%error, "cannot send a datagram"),
            }
        }
    }
}
