//! A server: many connections under one cap, and an end that loses no reply.

use std::boxed::Box;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::tokio::io::DuplexStream;
use ::tokio::net::UdpSocket;
use ::tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use tracing::{Instrument as _, Level, Span};

use super::client::Client;
use super::mailbox::Mailbox;
use super::serve::serve;
use super::shared::{Lines, Phase, ServerConfig, ServerCounters, Shared, reached};
use super::tally::{Counted, Tallies};
use super::woken::MOST_HANDLERS;
use super::{Listener, LogLimit, Stream, is_heard, udp};
use crate::answer::Rules;
use crate::authenticate::Authenticator;
use crate::program::Programs;
use crate::session::{Peer, Policy, Session};

/// A server of one or several programs. Its clones are the same server.
///
/// A handler runs in the task of its connection: one that computes for long without waiting stalls that
/// connection, so move such work to `tokio::task::spawn_blocking`. One that waits for too long is given up:
/// [`ServerConfig::time_limit`].
///
/// A handler that waits is dropped where it waits when its time is up, when its connection is lost (it is reset, or its client
/// breaks a limit on time, or does not read), and when the grace of a [`shutdown`](Self::shutdown) is over; the rest of it does
/// not run. A client that has closed its end, or whose process has ended, cannot be told from one that sends no more and waits
/// for its reply: its handlers run on. What must not stay half done belongs in a task of its own, which the handler waits for:
///
/// ```
/// # use rpc_frame::{Context, ProcedureTable};
/// # use xdr_core::Xdr;
/// # #[derive(Xdr)]
/// # #[rpc(program = 9, version = 1, proc = 1, reply = bool)]
/// # struct Move { #[xdr(max = 64)] from: String, #[xdr(max = 64)] to: String }
/// # #[derive(ProcedureTable)]
/// # #[rpc(program = 9, version = 1, service = StoreService)]
/// # enum Store { Move(Move) }
/// # struct Shelves;
/// # async fn copy(_: &str, _: &str) {}
/// # async fn remove(_: &str) {}
/// impl StoreService for Shelves {
///     async fn r#move(&self, _: &Context, args: Move) -> bool {
///         let moved = tokio::spawn(async move {
///             copy(&args.from, &args.to).await;
///             remove(&args.from).await;
///         });
///         moved.await.is_ok()
///     }
/// }
/// ```
pub struct Server<P> {
    shared: Arc<Shared<P>>,
    /// Whether the connections of this handle allow only what changes nothing.
    read_only: bool,
}

/// A server that is being put together: [`Server::builder`].
pub struct ServerBuilder<P> {
    programs: P,
    rules: Rules,
    config: ServerConfig,
    sessions: Box<dyn Fn(Peer) -> Session + Send + Sync>,
}

impl<P: Programs> ServerBuilder<P> {
    /// Sets the policy over calls; [`ActivationPolicy`](crate::ActivationPolicy) else.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.rules.policy = Box::new(policy);
        self
    }

    /// Sets who decides who calls; [`AcceptClaims`](crate::AcceptClaims) else.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.rules.authenticator = Box::new(authenticator);
        self
    }

    /// Sets what the server may cost.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets how a new connection's session is made; [`Session::new`] else. By UDP each call has a session of its own.
    #[must_use]
    pub fn sessions(mut self, make: impl Fn(Peer) -> Session + Send + Sync + 'static) -> Self {
        self.sessions = Box::new(make);
        self
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> Server<P> {
        let Self { programs, mut rules, mut config, sessions } = self;
        for most in [&mut config.connection.max_calls_in_flight, &mut config.datagram.max_calls_in_flight] {
            *most = MOST_HANDLERS.min(*most);
        }
        rules.limits = config.limits;
        rules.time_limit = config.time_limit;
        let places = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
        let (tallies, lines) = (Tallies::default(), Lines::default());
        let (open, phase) = (watch::Sender::new(0), watch::Sender::new(Phase::Serving));
        Server {
            shared: Arc::new(Shared { programs, rules, config, sessions, places, open, phase, tallies, lines }),
            read_only: false,
        }
    }
}

impl<P: Programs> Server<P> {
    /// A server with the defaults.
    #[must_use]
    pub fn new(programs: P) -> Self {
        Self::builder(programs).build()
    }

    /// A server to be put together.
    #[must_use]
    pub fn builder(programs: P) -> ServerBuilder<P> {
        ServerBuilder {
            programs,
            rules: Rules::default(),
            config: ServerConfig::default(),
            sessions: Box::new(Session::new),
        }
    }

    /// The same server for connections that allow only procedures marked read-only, whatever their sessions say. UDP is
    /// not affected.
    ///
    /// ```
    /// # use rpc_frame::tokio::Server;
    /// # async fn serve<P: rpc_frame::Programs>(server: Server<P>) -> std::io::Result<()> {
    /// let everybody = tokio::net::UnixListener::bind("/run/daemon/sock-ro")?;
    /// server.read_only().serve(everybody).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self { read_only: true, ..self.clone() }
    }

    /// Accepts and serves connections until [`shutdown`](Self::shutdown), or until this future is dropped: what was accepted
    /// is served on then.
    ///
    /// A failure to accept is logged, as often as [`LogLimit`] allows, and tried again: it is mostly a want of file descriptors.
    pub async fn serve<L: Listener>(&self, mut listener: L) {
        let mut phase = self.shared.phase.subscribe();
        let failures = LogLimit::new("connections could not be accepted");
        loop {
            let accepted = async {
                let (io, peer) = listener.accept().await?;
                // It takes its place when it is here: a listener that waits must not keep one from the others.
                let place = Arc::clone(&self.shared.places).acquire_owned().await.map_err(io::Error::other)?;
                io::Result::Ok((io, peer, place))
            };
            let accepted = ::tokio::select! {
                accepted = accepted => accepted,
                () = reached(&mut phase, Phase::Finishing) => return,
            };
            match accepted {
                Ok((io, peer, place)) => {
                    let offers_tls = listener.offers_tls();
                    drop(self.spawn(io, peer, Held { place: Some(place), offers_tls, ..Held::default() }));
                }
                Err(error) => {
                    failures.line(|left_out| tracing::warn!(%error, left_out, "cannot accept a connection"));
                    ::tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Answers the calls that come to a socket by UDP until [`shutdown`](Self::shutdown), or until this future is dropped.
    /// What was taken up is answered then.
    ///
    /// The same programs and policy as for connections, and one call a datagram. Each call has a session of its own
    /// ([`Peer::Udp`]), because the next datagram from an address may be anybody's: nothing that was negotiated lasts, so
    /// calls are at minor version 0. A call that comes again is not executed again while its reply is kept, within the
    /// limits of [`ServerConfig::datagram`]. Handlers of all peers run in one task.
    ///
    /// On Linux and Android a socket that is bound to every interface answers from the address that was called. Elsewhere it
    /// answers from the one that the way back to the client has; where that is another, as on a machine with several
    /// addresses, clients do not take the reply for theirs: serve a socket for each address there.
    ///
    /// Datagrams are neither encrypted nor authenticated (there is no DTLS), and whoever forges a sender's address has the
    /// replies sent there. Where replies are much longer than calls, serve only networks that you trust.
    pub async fn serve_udp(&self, socket: UdpSocket) {
        let (held, dropped) = oneshot::channel::<()>();
        let shared = Arc::clone(&self.shared);
        let counted = Counted::new(Arc::clone(&self.shared));
        let tally = Arc::clone(counted.tally());
        // In a task of its own, what was taken up is answered even if nobody waits for this future any more.
        let served = ::tokio::spawn(async move {
            let _held = counted;
            let mut finishing = shared.phase.subscribe();
            let mut aborting = shared.phase.subscribe();
            let finish = async {
                ::tokio::select! {
                    () = reached(&mut finishing, Phase::Finishing) => {}
                    _ = dropped => {}
                }
            };
            ::tokio::select! {
                () = udp::serve(socket, Arc::clone(&shared), tally, finish) => tracing::debug!("socket closed"),
                () = reached(&mut aborting, Phase::Aborting) => tracing::warn!("socket cut off"),
            }
        });
        let _ = served.await;
        drop(held);
    }

    /// Serves one connection in a task of its own.
    ///
    /// # Errors
    /// When the server has as many connections as it may have.
    pub fn serve_connection<IO: Stream>(&self, io: IO, peer: Peer) -> io::Result<()> {
        let place = Arc::clone(&self.shared.places)
            .try_acquire_owned()
            .map_err(|_| io::Error::other("the server has as many connections as it may have"))?;
        self.spawn(io, peer, Held { place: Some(place), ..Held::default() });
        Ok(())
    }

    /// The client's end of a new connection through memory. It does not count against the cap.
    #[must_use]
    pub fn connect_in_memory(&self) -> DuplexStream {
        let (client, server) = ::tokio::io::duplex(64 * 1024);
        self.spawn(server, Peer::InMemory, Held::default());
        client
    }

    /// Serves a connection that this side has made, and calls the peer on it: [`Client::serving`] with a policy and
    /// with sessions. It ends with the last clone of the client and does not count against the cap.
    #[must_use]
    pub fn serve_and_call<IO: Stream>(&self, io: IO, peer: Peer) -> Client {
        let (ends, ended) = oneshot::channel();
        Client::served(self.spawn(io, peer, Held { ended: Some(ended), ..Held::default() }), Some(ends))
    }

    /// Serves a connection in a task of its own.
    fn spawn<IO: Stream>(&self, io: IO, peer: Peer, held: Held) -> Arc<Mailbox> {
        let Held { place, ended, offers_tls } = held;
        let mailbox = Mailbox::new(&self.shared.config.connection);
        let calls = Arc::clone(&mailbox);
        let shared = Arc::clone(&self.shared);
        let counted = Counted::new(Arc::clone(&self.shared));
        let tally = Arc::clone(counted.tally());
        let read_only = self.read_only;
        // Whatever is logged on the connection's account says whose it is.
        let span = if is_heard(Level::INFO) { tracing::info_span!("connection", %peer) } else { Span::none() };
        let served = async move {
            let _held = (place, counted);
            let mut finishing = shared.phase.subscribe();
            let mut aborting = shared.phase.subscribe();
            let mut session = (shared.sessions)(peer.clone());
            session.offers_tls = offers_tls;
            if read_only {
                session.restrict_to_read_only();
            }
            tracing::debug!(%peer, "connection opened");
            let finish = pin!(async {
                match ended {
                    Some(ended) => ::tokio::select! {
                        _ = ended => {}
                        () = reached(&mut finishing, Phase::Finishing) => {}
                    },
                    None => reached(&mut finishing, Phase::Finishing).await,
                }
            });
            let abort = pin!(reached(&mut aborting, Phase::Aborting));
            match serve(io, session, Arc::clone(&shared), calls, tally, finish, abort).await {
                Some(Ok(())) => tracing::debug!(%peer, "connection closed"),
                Some(Err(error)) => tracing::debug!(%peer, %error, "connection closed"),
                None => tracing::warn!(%peer, "connection cut off"),
            }
        };
        ::tokio::spawn(served.instrument(span));
        mailbox
    }

    /// Stops accepting connections and calls, and waits for the calls in flight: their replies are delivered.
    /// After `grace` what is left is cut off. True when nothing was.
    ///
    /// A connection without calls in flight is closed when its peer has closed it as well, or when nothing has come on it
    /// or gone for two seconds: one that is closed while more calls come is reset, and its last replies may be lost.
    /// It may be closed so all the same where `grace` ends before, and counts as ended: give more than two seconds.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        // Who is told a second time has no more patience than before.
        self.shared.phase.send_if_modified(|phase| {
            let goes_on = *phase < Phase::Finishing;
            *phase = (*phase).max(Phase::Finishing);
            goes_on
        });
        let mut open = self.shared.open.subscribe();
        let ended = ::tokio::time::timeout(grace, open.wait_for(|open| *open == 0)).await.is_ok()
            || self.shared.tallies.all_leave();
        self.shared.phase.send_replace(Phase::Aborting);
        ended
    }

    /// Calls `visit` with the number and version of each program that is served.
    pub fn each_version(&self, mut visit: impl FnMut(u32, u32)) {
        self.shared.programs.each_version(&mut visit);
    }

    /// What the server has done so far. A connection says what it has done at the end of each of its turns. While
    /// others work the numbers are not of one moment: an end may be counted before its call.
    ///
    /// # Examples
    /// ```
    /// # use rpc_frame::ProcedureTable;
    /// # #[derive(xdr_core::Xdr)]
    /// # #[rpc(program = 9, version = 1, proc = 3)]
    /// # struct Ping;
    /// # #[derive(ProcedureTable)]
    /// # #[rpc(program = 9, version = 1, service = PingService)]
    /// # enum Pings { Ping(Ping) }
    /// # struct Pong;
    /// # impl PingService for Pong { async fn ping(&self, _: &rpc_frame::Context, _: Ping) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc_frame::tokio::{Client, Server};
    /// let server = Server::new(rpc_frame::program::<Pings, _>(Pong));
    /// let client = Client::new(server.connect_in_memory());
    /// client.call(&Ping).await?;
    /// let counters = server.counters();
    /// assert_eq!((counters.opened, counters.calls.succeeded, counters.calls.in_flight()), (1, 1, 0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn counters(&self) -> ServerCounters {
        ServerCounters { open: self.connections(), ..self.shared.tallies.sum() }
    }

    /// Connections that are open, those through memory included. A socket for UDP counts as one.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.open.borrow()
    }
}

/// What a connection is served with.
#[derive(Default)]
struct Held {
    /// Of the places of the server, for those that count.
    place: Option<OwnedSemaphorePermit>,
    /// It is served until the other end of this is dropped, at the longest.
    ended: Option<oneshot::Receiver<()>>,
    /// [`Listener::offers_tls`].
    offers_tls: bool,
}

impl<P> Clone for Server<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), read_only: self.read_only }
    }
}

impl<P> fmt::Debug for Server<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for ServerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
