//! A client that has a connection whenever it needs one.

mod policy; //   how hard it tries
mod attempts; // the present connection, and how another is got

use std::boxed::Box;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::tokio::net::ToSocketAddrs;
use ::tokio::time::{Instant, timeout_at};

use self::attempts::{Settings, Shared};
pub use self::policy::ReconnectPolicy;
use super::client::{CallOptions, Client};
use super::error::CallError;
use crate::auth::OpaqueAuth;
use crate::procedure::{OnewayProcedure, Procedure};

/// A client that opens a connection when it first needs one, and another when that is lost. Its clones share the
/// connection and the attempts to get one.
///
/// A connection is opened for a call, not ahead of it. Calls that come while there is none wait for the same attempts,
/// as long as their own [`timeout`](CallOptions::timeout) lets them; [`ReconnectPolicy`] says how many attempts are made
/// and at which intervals. When they have failed, each call that waited is
/// [`NotConnected`](CallError::NotConnected) with the last failure.
///
/// # What may run twice
///
/// | the call's connection was lost | the procedure is `idempotent` | it is not |
/// |---|---|---|
/// | before its last byte was sent | sent again | sent again |
/// | later | sent again | [`Closed`](CallError::Closed), which [may have run](CallError::may_have_run) |
///
/// `idempotent` is what the table's author says of a procedure: running it twice is as good as once. So that one call
/// which kills its server does not kill it for ever, each is sent at most [`max_sends`](ReconnectPolicy::max_sends)
/// times, 3 unless you say otherwise. When a call that was sent again fails in the end, the error says
/// that it may have run if that is so of any of its sendings. Any other error, SYSTEM_ERR and a deadline included, is the
/// caller's to look at.
///
/// A connection is lost when its stream says so. Where a machine or a network goes without a word, that of
/// [`tcp`](Self::tcp) says so after [`SILENCE`](super::SILENCE), with calls in flight (on Linux and Android) or without; a TCP stream that is opened
/// in [`new`](Self::new) does where [`notice_silence`](super::notice_silence) asks for it, and after a quarter of an hour
/// or never where nothing does.
///
/// A [`oneway`](Self::send) call is not sent again once it is queued: whether its connection is lost then is not known.
///
/// For stacks of `tower` layers there is `rpc_frame::tower::Connector` instead.
///
/// # Examples
/// ```
/// use rpc_frame::tokio::{Client, ReconnectingClient, Server};
/// use rpc_frame::{Context, ProcedureTable, program};
/// use xdr_core::Xdr;
///
/// #[derive(Debug, Clone, Xdr)]
/// #[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = u32, idempotent)]
/// struct Double { number: u32 }
///
/// #[derive(ProcedureTable)]
/// #[rpc(program = 0x2000_0042, version = 1, service = DoubleService)]
/// enum Doubles { Double(Double) }
///
/// struct Doubler;
/// impl DoubleService for Doubler {
///     async fn double(&self, _: &Context, args: Double) -> u32 { args.number * 2 }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), rpc_frame::tokio::CallError> {
/// let server = Server::new(program::<Doubles, _>(Doubler));
/// // `ReconnectingClient::tcp("guests.example:16509")` for an address.
/// let client = ReconnectingClient::new(move || {
///     let stream = server.connect_in_memory();
///     async { Ok(Client::new(stream)) }
/// });
/// assert_eq!(client.call(&Double { number: 4 }).await?, 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReconnectingClient {
    shared: Arc<Shared>,
    options: CallOptions,
    /// What the server takes in the place of the options' AUTH_SYS.
    short_hand: Arc<Mutex<Option<OpaqueAuth>>>,
}

impl ReconnectingClient {
    /// A client of what a closure opens: a stream of any kind with [`Client::new`], or with [`Client::serving`] so that
    /// the server can call back on every connection.
    ///
    /// The options of the closure's client hold for the set-up of the session only.
    pub fn new<F: Future<Output = io::Result<Client>> + Send + 'static>(
        connect: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let connect = Arc::new(move || -> attempts::Boxed<io::Result<Client>> { Box::pin(connect()) });
        Self::with_settings(Settings { connect, set_up: None, policy: ReconnectPolicy::default() })
    }

    /// A client by TCP. A name is looked up for each attempt.
    #[must_use]
    pub fn tcp(address: impl ToSocketAddrs + Clone + Send + Sync + 'static) -> Self {
        Self::new(move || Client::connect_tcp(address.clone()))
    }

    /// A client of a unix socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(move || Client::connect_unix(path.clone()))
    }

    fn with_settings(settings: Settings) -> Self {
        Self { shared: Shared::new(settings), options: CallOptions::default(), short_hand: Arc::default() }
    }

    /// A client that tries as hard as this, with a connection of its own.
    #[must_use]
    pub fn with_policy(self, policy: ReconnectPolicy) -> Self {
        Self { shared: Shared::new(Settings { policy, ..self.shared.settings.clone() }), ..self }
    }

    /// A client, with a connection of its own, that sets up a session on each new connection before it is used: that
    /// negotiates or opens something, for example. The set-up calls the client that it is given.
    ///
    /// Where it fails because the connection was lost, another attempt is made. Any other failure is told to all calls
    /// that wait, as [`ClosedError::SetUp`](crate::tokio::ClosedError::SetUp), the connection is closed, and the next call tries again.
    ///
    /// ```
    /// # use rpc_frame::tokio::ReconnectingClient;
    /// let client = ReconnectingClient::unix("/run/guests.sock").with_set_up(|client| async move {
    ///     let version = client.negotiate(0x2000_0042, 1..=3).await?;
    ///     if version < 2 { Err("the server is too old".into()) } else { Ok(()) }
    /// });
    /// ```
    #[must_use]
    pub fn with_set_up<F>(self, set_up: impl Fn(Client) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let set_up: Arc<attempts::SetUp> = Arc::new(move |client| Box::pin(set_up(client)));
        Self { shared: Shared::new(Settings { set_up: Some(set_up), ..self.shared.settings.clone() }), ..self }
    }

    /// The same connection with other options for its calls. Their timeout holds for all of a call: for the
    /// connection that it waits for, and for each time that it is sent.
    #[must_use]
    pub fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self.short_hand = Arc::default();
        self
    }

    /// Calls the procedure that the message belongs to. Dropping the future gives up on the reply.
    ///
    /// # Errors
    /// When there are no results; [`CallError::may_have_run`] tells whether the procedure can have run.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as every call.
    pub async fn call<P: Procedure<Args = P>>(&self, args: &P) -> Result<P::Reply, CallError> {
        self.call_procedure::<P>(args).await
    }

    /// Calls a procedure whose message serves several.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_procedure<P: Procedure>(&self, args: &P::Args) -> Result<P::Reply, CallError> {
        let mut sendings = Sendings::of(self, P::INFO.idempotent);
        loop {
            match sendings.next().await?.call_procedure::<P>(args).await {
                Err(error) => sendings.failed(error)?,
                reply => return reply,
            }
        }
    }

    /// Calls procedure 0 of a program, which does nothing: is it there?
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn null(&self, program: u32, version: u32) -> Result<(), CallError> {
        let mut sendings = Sendings::of(self, true);
        loop {
            match sendings.next().await?.null(program, version).await {
                Err(error) => sendings.failed(error)?,
                reply => return reply,
            }
        }
    }

    /// Calls the oneway procedure that the message belongs to: no reply comes. The future ends as that of
    /// [`Client::send`].
    ///
    /// # Errors
    /// When there is no connection, or the arguments have no XDR form. Nothing was sent then.
    pub async fn send<P: OnewayProcedure<Args = P>>(&self, args: &P) -> Result<(), CallError> {
        self.send_procedure::<P>(args).await
    }

    /// Calls a oneway procedure whose message serves several.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_procedure<P: OnewayProcedure>(&self, args: &P::Args) -> Result<(), CallError> {
        let mut sendings = Sendings::of(self, false);
        loop {
            match sendings.next().await?.send_procedure::<P>(args).await {
                Err(error) => sendings.failed(error)?,
                sent => return sent,
            }
        }
    }

    /// A client of the present connection, or of the next one if there is none. It is of that connection only, and is
    /// lost with it.
    ///
    /// One who must be connected even without calls, for the server's calls, waits for the end of each connection:
    ///
    /// ```no_run
    /// # async fn run(client: rpc_frame::tokio::ReconnectingClient) {
    /// loop {
    ///     match client.client().await {
    ///         Ok(connected) => drop(connected.closed().await),
    ///         Err(error) => eprintln!("still trying: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::NotConnected`] when no connection could be opened.
    pub async fn client(&self) -> Result<Client, CallError> {
        Sendings::of(self, false).next().await.map(|client| client.with_timeout(self.options.timeout))
    }
}

impl fmt::Debug for ReconnectingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingClient")
            .field("policy", &self.shared.settings.policy)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// How often a call has been sent, and to what end.
struct Sendings<'a> {
    client: &'a ReconnectingClient,
    idempotent: bool,
    deadline: Option<Instant>,
    left: usize,
    /// The first end of a sending which may have run.
    lost: Option<CallError>,
}

impl<'a> Sendings<'a> {
    fn of(client: &'a ReconnectingClient, idempotent: bool) -> Self {
        let deadline = client.options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { client, idempotent, deadline, left: client.shared.settings.policy.max_sends, lost: None }
    }

    /// The client for the next sending.
    async fn next(&mut self) -> Result<Client, CallError> {
        let ReconnectingClient { shared, options, short_hand } = self.client;
        let connected = match self.deadline {
            Some(deadline) => timeout_at(deadline, shared.connected()).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within the deadline").into())
            }),
            None => shared.connected().await,
        };
        match connected {
            Ok(client) => Ok(client.calling_as(options, short_hand).with_timeout(self.time_left())),
            Err(why) => Err(self.at_the_worst(CallError::NotConnected(why))),
        }
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether another sending follows one that has failed; the call's error if not.
    fn failed(&mut self, error: CallError) -> Result<(), CallError> {
        self.left = self.left.saturating_sub(1);
        let again = match error {
            CallError::NotConnected(_) => self.left > 0,
            CallError::Closed(_) => self.left > 0 && self.idempotent,
            _ => false,
        };
        if !again {
            return Err(self.at_the_worst(error));
        }
        if error.may_have_run() {
            self.lost.get_or_insert(error);
        }
        Ok(())
    }

    /// The error of the whole call: if any of its sendings may have run, it says so.
    fn at_the_worst(&mut self, error: CallError) -> CallError {
        match self.lost.take() {
            Some(lost) if !error.may_have_run() => lost,
            _ => error,
        }
    }
}
