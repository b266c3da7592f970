//! A client: many calls in flight on one connection, which a task drives.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::tokio::net::{TcpStream, ToSocketAddrs, UnixStream};
use ::tokio::sync::oneshot;
use xdr_core::{Bytes, Encode};

use super::error::{CallError, ClosedError};
use super::link::{Call, Link};
use super::mailbox::Mailbox;
use super::silence::{SILENCE, notice_silence};
use super::{Server, ServerConfig, Stream};
use crate::auth::{AuthFlavor, OpaqueAuth};
use crate::connection::{ConnectionConfig, IncomingReply, OutgoingCall, RecordNotWritten};
use crate::message::{AcceptedReply, AuthStat, ReplyBody};
use crate::procedure::{OnewayProcedure, Procedure};
use crate::program::Programs;
use crate::session::Peer;

/// How a call is made. With AUTH_SYS, and no longer than five seconds:
///
/// ```
/// use std::time::Duration;
/// use rpc_frame::tokio::CallOptions;
/// use rpc_frame::{AuthSys, Credential};
///
/// # fn main() -> Result<(), rpc_frame::xdr::EncodeError> {
/// let ada = AuthSys { stamp: 1, machine_name: "here".into(), uid: 1000, gid: 100, gids: vec![] };
/// let options = CallOptions::default()
///     .with_credential(Credential::Sys(ada).to_opaque()?)
///     .with_timeout(Some(Duration::from_secs(5)));
/// // let client = Client::connect_tcp(address).await?.with_options(options);
/// # let _ = options;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long to wait for the reply: 60 s. `None` waits as long as the connection lasts.
    pub timeout: Option<Duration>,
    /// Who calls: AUTH_NONE. [`Credential::to_opaque`](crate::Credential::to_opaque) makes others.
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
///
/// One that handlers got from their [`Context`](crate::Context::client) leaves the connection to its owner.
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
    options: CallOptions,
    /// What the server takes in the place of the options' AUTH_SYS.
    short_hand: Arc<Mutex<Option<OpaqueAuth>>>,
}

impl Client {
    /// A client on a connection. A task that drives it is spawned on the present runtime. It serves nothing: the
    /// peer's calls are answered with PROG_UNAVAIL.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new<IO: Stream>(io: IO) -> Self {
        Self::with_config(io, Self::default_config())
    }

    /// A client on a connection, with limits of your own.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn with_config<IO: Stream>(io: IO, config: ConnectionConfig) -> Self {
        Self::over(Link::drive(io, config))
    }

    /// A client that answers the peer's calls as well: callbacks and events travel on the same connection.
    ///
    /// The connection ends with the last clone of the client, once the peer's calls that were taken up are answered.
    /// [`Server::serve_and_call`] does the same with a policy and with sessions of your own.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    /// ```
    /// use rpc_frame::tokio::{Client, Server};
    /// use rpc_frame::{Context, ProcedureTable, program};
    /// use xdr_core::Xdr;
    ///
    /// #[derive(Debug, Clone, Xdr)]
    /// #[rpc(program = 0x2000_0042, version = 1, proc = 1, reply = u32)]
    /// struct Sum;
    ///
    /// #[derive(Debug, Clone, Xdr)]
    /// #[rpc(program = 0x2000_0043, version = 1, proc = 1, reply = u32)]
    /// struct Summand { index: u32 }
    ///
    /// #[derive(ProcedureTable)]
    /// #[rpc(program = 0x2000_0042, version = 1, service = AdderService)]
    /// enum Adder { Sum(Sum) }
    ///
    /// #[derive(ProcedureTable)]
    /// #[rpc(program = 0x2000_0043, version = 1, service = SummandsService)]
    /// enum Summands { Summand(Summand) }
    ///
    /// /// Asks its caller for what it adds.
    /// struct Asking;
    /// impl AdderService for Asking {
    ///     async fn sum(&self, cx: &Context, _: Sum) -> u32 {
    ///         let Some(caller) = cx.client() else { return 0 };
    ///         let mut sum = 0;
    ///         for index in 0..3 {
    ///             sum += caller.call(&Summand { index }).await.unwrap_or(0);
    ///         }
    ///         sum
    ///     }
    /// }
    ///
    /// struct Squares;
    /// impl SummandsService for Squares {
    ///     async fn summand(&self, _: &Context, args: Summand) -> u32 { args.index * args.index }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), rpc_frame::tokio::CallError> {
    /// let server = Server::new(program::<Adder, _>(Asking));
    /// let client = Client::serving(server.connect_in_memory(), program::<Summands, _>(Squares));
    /// assert_eq!(client.call(&Sum).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn serving<IO: Stream, P: Programs>(io: IO, programs: P) -> Self {
        let config = ServerConfig { connection: Self::default_config(), ..ServerConfig::default() };
        Self::serving_with_config(io, programs, config)
    }

    /// A client that answers the peer's calls as well, with limits of your own. `max_connections` means nothing here.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn serving_with_config<IO: Stream, P: Programs>(io: IO, programs: P, config: ServerConfig) -> Self {
        Server::builder(programs).config(config).build().serve_and_call(io, Peer::Unknown)
    }

    /// A client on a connection that is served. With `ends`, its end is the connection's.
    pub(crate) fn served(mailbox: Arc<Mailbox>, ends: Option<oneshot::Sender<()>>) -> Self {
        Self::over(Link::serve(mailbox, ends))
    }

    fn over(link: Link) -> Self {
        Self { link: Arc::new(link), options: CallOptions::default(), short_hand: Arc::default() }
    }

    fn default_config() -> ConnectionConfig {
        ConnectionConfig {
            first_xid: random_xid(),
            // A client may hold a connection for later; the server decides how long.
            idle_timeout: Duration::MAX,
            ..ConnectionConfig::default()
        }
    }

    /// Connects by TCP. Where the peer's machine, or the network to it, goes without a word, the connection is lost after
    /// [`SILENCE`](super::SILENCE), as [`notice_silence`](super::notice_silence) describes: also where a server leaves so much
    /// unread for so long that its machine takes no more.
    ///
    /// # Errors
    /// When no address accepts the connection.
    pub async fn connect_tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::new(open_tcp(address).await?))
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
        self.short_hand = Arc::default();
        self
    }

    /// The same connection for calls of another caller.
    pub(super) fn calling_as(self, options: &CallOptions, short_hand: &Arc<Mutex<Option<OpaqueAuth>>>) -> Self {
        Self { link: self.link, options: options.clone(), short_hand: Arc::clone(short_hand) }
    }

    /// The same caller with another time for its calls.
    pub(super) fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.timeout = timeout;
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
        let reply = self.reply(P::PROGRAM, P::VERSION, P::NUMBER, args).await?;
        xdr_core::from_bytes(&reply.results).map_err(CallError::Reply)
    }

    /// Calls the oneway procedure that the message belongs to: no reply comes.
    ///
    /// The future ends when the call is queued for writing. It waits as long as the peer leaves more unread than
    /// [`ConnectionConfig::max_unsent`], with no other limit than the end of the connection: see `write_timeout`.
    ///
    /// It is the connection's task that writes, so what is queued is lost where the program, or its runtime, ends at once.
    /// Calls arrive in their order: the reply to a later one shows that all before it has arrived.
    ///
    /// ```
    /// # use rpc_frame::{Context, ProcedureTable, program, tokio::{CallError, Client, Server}};
    /// # use xdr_core::Xdr;
    /// # #[derive(Xdr)]
    /// # #[rpc(program = 9, version = 1, proc = 1, oneway)]
    /// # struct Note { #[xdr(max = 80)] text: String }
    /// # #[derive(ProcedureTable)]
    /// # #[rpc(program = 9, version = 1, service = NotesService)]
    /// # enum Notes { Note(Note) }
    /// # struct Reader;
    /// # impl NotesService for Reader { async fn note(&self, _: &Context, _: Note) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), CallError> {
    /// # let server = Server::new(program::<Notes, _>(Reader));
    /// # let client = Client::new(server.connect_in_memory());
    /// client.send(&Note { text: "the last words of this program".into() }).await?;
    /// client.null(9, 1).await?;
    /// # assert_eq!(server.counters().calls.unanswered, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the connection is lost, or the arguments have no XDR form. Nothing was sent then.
    pub async fn send<P: OnewayProcedure<Args = P>>(&self, args: &P) -> Result<(), CallError> {
        self.send_procedure::<P>(args).await
    }

    /// Calls a oneway procedure whose message serves several.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_procedure<P: OnewayProcedure>(&self, args: &P::Args) -> Result<(), CallError> {
        let args = xdr_core::to_bytes(args).map_err(|error| CallError::NotSent(RecordNotWritten::Encode(error)))?;
        let call = OutgoingCall::new(P::PROGRAM, P::VERSION, P::NUMBER).with_credential(&self.options.credential);
        self.link.send(&call, &args).await
    }

    /// Calls procedure 0 of a program, which does nothing: is it there?
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn null(&self, program: u32, version: u32) -> Result<(), CallError> {
        let reply = self.reply(program, version, 0, &()).await?;
        xdr_core::from_bytes(&reply.results).map_err(CallError::Reply)
    }

    /// Waits until the connection has ended, and tells why. A peer that goes without a word, with its machine or its network,
    /// is missed where TCP is asked to: see [`notice_silence`](super::notice_silence).
    pub async fn closed(&self) -> ClosedError {
        self.link.closed().await
    }

    /// Why the connection has ended, once it has: no further call can be made then.
    #[must_use]
    pub fn close_reason(&self) -> Option<ClosedError> {
        self.link.close_reason()
    }

    /// The reply to a call. Where the server has issued a short hand for our AUTH_SYS, that goes in its place, until the
    /// server has forgotten it: then the call, which has not been looked at, is made again.
    async fn reply<T: Encode + ?Sized>(
        &self,
        program: u32,
        version: u32,
        procedure: u32,
        args: &T,
    ) -> Result<IncomingReply, CallError> {
        let own = &self.options.credential;
        if own.flavor != AuthFlavor::SYS {
            return self.raw(program, version, procedure, args)?.await;
        }
        let short = self.short_hand().clone();
        if let Some(short) = short {
            match self.raw_as(&short, program, version, procedure, args)?.await {
                Err(CallError::AuthError(AuthStat::RejectedCred | AuthStat::BadCred)) => *self.short_hand() = None,
                reply => return reply,
            }
        }
        let reply = self.raw(program, version, procedure, args)?.await?;
        if let Ok(ReplyBody::Accepted(AcceptedReply {
            verifier: OpaqueAuth { flavor: AuthFlavor::SHORT, body }, ..
        })) = &reply.body
        {
            let body = Bytes::copy_from_slice(body);
            *self.short_hand() = Some(OpaqueAuth { flavor: AuthFlavor::SHORT, body });
        }
        Ok(reply)
    }

    fn short_hand(&self) -> MutexGuard<'_, Option<OpaqueAuth>> {
        self.short_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn raw<T: Encode + ?Sized>(
        &self,
        program: u32,
        version: u32,
        procedure: u32,
        args: &T,
    ) -> Result<Call, CallError> {
        self.raw_as(&self.options.credential, program, version, procedure, args)
    }

    fn raw_as<T: Encode + ?Sized>(
        &self,
        credential: &OpaqueAuth,
        program: u32,
        version: u32,
        procedure: u32,
        args: &T,
    ) -> Result<Call, CallError> {
        let call = OutgoingCall::new(program, version, procedure).with_credential(credential);
        Link::call(&self.link, &call, args, self.options.timeout)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A TCP connection as clients use it.
pub(super) async fn open_tcp(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if let Err(error) = notice_silence(&stream, SILENCE) {
        tracing::debug!(%error, "a silent peer is missed late");
    }
    Ok(stream)
}

/// An xid that is hard to guess.
pub(crate) fn random_xid() -> u32 {
    u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(1)
}
