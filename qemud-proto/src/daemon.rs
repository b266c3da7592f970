//! The daemon's service: negotiation, the policy over calls, and the way to a driver.

mod streams; //    pictures on their way to a client
mod subscriber; // events on their way to a client

use std::fmt;
use std::sync::{Arc, OnceLock};

use rpc_frame::tokio::{LogLimit, Server, ServerConfig};
use rpc_frame::xdr;
use rpc_frame::{
    ActivationPolicy, Context, Peer, Policy, Procedure, ProcedureInfo, ProcedureTable, Program, Session, Verdict,
};
use tracing::Level;

use self::streams::{Room, Streams};
use self::subscriber::Subscriber;
use crate::driver::{Driver, Opening};
use crate::failure::{Code, Failure, Reply};
use crate::messages::*;
use crate::uri::{ConnectUri, Transport};

/// The major version of the protocol: the version of the RPC program.
pub const MAJOR: u32 = Guest::VERSION;

/// The highest minor version that this daemon speaks. Minor 0 has procedures 1 to 39, minor 1 also 40 to 45.
pub const MINOR: u32 = 1;

/// A server of the guest protocol.
pub type GuestServer = Server<Program<Guest, Daemon>>;

/// The service behind the procedure table: it negotiates, opens drivers, and hands everything else to the session's.
pub struct Daemon {
    /// The first is the default.
    drivers: Vec<Arc<dyn Driver>>,
    activation: ActivationPolicy,
    /// For the streams of all sessions.
    room: Room,
}

impl Daemon {
    /// A daemon with this driver and every procedure switched on.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self { drivers: vec![driver], activation: ActivationPolicy::default(), room: Room::default() }
    }

    /// Adds a driver for connections that open one of its URIs. The drivers are asked in the order in which they came.
    #[must_use]
    pub fn with_driver(mut self, driver: Arc<dyn Driver>) -> Self {
        self.drivers.push(driver);
        self
    }

    /// Switches a procedure off, by its name in the table. For clients it is as if there were none.
    ///
    /// # Errors
    /// When no procedure has the name.
    pub fn switch_off(mut self, name: &str) -> Result<Self, UnknownProcedure> {
        let named = |procedure: &&ProcedureInfo| procedure.name.eq_ignore_ascii_case(name);
        let procedure = Guest::PROCEDURES.iter().find(named).ok_or_else(|| UnknownProcedure(name.to_owned()))?;
        self.activation = self.activation.switch_off(procedure.program, procedure.number);
        Ok(self)
    }

    /// A server of this daemon, which counts as one however many connections it has.
    #[must_use]
    pub fn into_server(self, config: ServerConfig) -> GuestServer {
        self.into_server_with(config, Session::new)
    }

    /// A server whose connections get their sessions from `sessions`, which for instance makes some read-only. The
    /// sessions' state is the daemon's own.
    #[must_use]
    pub fn into_server_with(
        self,
        config: ServerConfig,
        sessions: impl Fn(Peer) -> Session + Send + Sync + 'static,
    ) -> GuestServer {
        let sessions = move |peer| sessions(peer).with_state(Opened::default());
        let refusals = LogLimit::new("calls were refused on read-only channels").with_level(Level::INFO);
        let policy = GuestPolicy { activation: self.activation.clone(), refusals };
        Server::builder(rpc_frame::program::<Guest, _>(self)).policy(policy).config(config).sessions(sessions).build()
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drivers: Vec<_> = self.drivers.iter().map(|driver| driver.name()).collect();
        f.debug_struct("Daemon").field("drivers", &drivers).field("activation", &self.activation).finish()
    }
}

/// What the daemon remembers of a session.
#[derive(Default)]
struct Opened {
    driver: OnceLock<Arc<dyn Driver>>,
    subscriber: Subscriber,
    streams: Streams,
}

impl Daemon {
    /// The driver that the session has opened, or else the default.
    fn driver<'a>(&'a self, cx: &'a Context) -> Reply<&'a dyn Driver> {
        let opened = cx.session().state::<Opened>().and_then(|state| state.driver.get());
        let driver = opened.or(self.drivers.first());
        driver.map(|driver| &**driver).ok_or_else(|| Failure::new(Code::NoConnect, "the daemon has no driver"))
    }

    /// The driver of a URI: the first that accepts it.
    async fn route(&self, text: &str) -> Reply<Arc<dyn Driver>> {
        let refused = |message| Failure::new(Code::NoConnect, message);
        let names = || self.drivers.iter().map(|driver| driver.name()).collect::<Vec<_>>().join(", ");
        if text.is_empty() {
            return self.drivers.first().cloned().ok_or_else(|| refused("the daemon has no driver".to_owned()));
        }
        let uri: ConnectUri = text.parse().map_err(|error| refused(format!("{error}")))?;
        if !matches!(uri.transport, Transport::InProcess | Transport::Unix { socket: None }) || uri.remote != text {
            return Err(refused(format!("'{text}' tells the way to another daemon, which this one does not go")));
        }
        for driver in &self.drivers {
            match driver.open(&uri).await? {
                Opening::Accepted => return Ok(Arc::clone(driver)),
                Opening::Through(driver) => return Ok(driver),
                Opening::Declined => {}
            }
        }
        Err(refused(format!("no driver serves '{text}'; there are: {}", names())))
    }
}

/// No procedure has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProcedure(pub String);

impl fmt::Display for UnknownProcedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no procedure is named '{}'", self.0)
    }
}

impl std::error::Error for UnknownProcedure {}

/// What is allowed on which channel. A refusal on a read-only channel is a [`Failure`], not an RPC error.
#[derive(Debug)]
struct GuestPolicy {
    activation: ActivationPolicy,
    /// In the log. What changes something is told of each time; what does not cannot fill it.
    refusals: LogLimit,
}

impl Policy for GuestPolicy {
    fn check(&self, cx: &Context) -> Verdict {
        let procedure = cx.procedure();
        if cx.session().is_read_only()
            && !procedure.read_only
            && self.activation.is_active(procedure, cx.session().minor())
        {
            let message = format!("{} is not allowed on a read-only channel", procedure.name);
            self.refusals.line(|left_out| {
                let (procedure, xid, caller) = (procedure.name, cx.xid(), cx.identity());
                tracing::info!(procedure, xid, %caller, left_out, "refused: read-only");
            });
            // The failure's arm is the same whatever the procedure returns.
            let refusal: Reply<()> = Err(Failure::new(Code::OperationDenied, message));
            return xdr::to_bytes(&refusal).map_or(Verdict::ProcUnavail, Verdict::Reply);
        }
        self.activation.check(cx)
    }
}

/// Logs who has called what and how it ended: calls that may change something for everybody to read, the others for those
/// who look for a fault.
fn log<T>(cx: &Context, reply: &Reply<T>) {
    let (procedure, xid, caller) = (cx.procedure().name, cx.xid(), cx.identity());
    let failure = reply.as_ref().err().map(tracing::field::display);
    if cx.procedure().read_only {
        tracing::debug!(procedure, xid, %caller, failure, "call");
    } else {
        tracing::info!(procedure, xid, %caller, failure, "call");
    }
}

macro_rules! to_the_driver {
    ($($method:ident: $message:ident,)+) => {$(
        async fn $method(&self, cx: &Context, args: $message) -> <$message as Procedure>::Reply {
            let reply = self.driver(cx)?.$method(args).await;
            log(cx, &reply);
            reply
        }
    )+};
}

impl GuestService for Daemon {
    /// Settles the minor version: the smaller of both sides'. The first call may raise it, later ones only lower it.
    async fn negotiate(&self, cx: &Context, args: Negotiate) -> Reply<Negotiated> {
        if args.major != MAJOR {
            let message = format!("protocol major version {} is not supported, only {MAJOR} to {MAJOR}", args.major);
            return Err(Failure::new(Code::NoSupport, message));
        }
        let minor = cx.session().negotiate_minor(args.minor.min(MINOR));
        let active = |procedure: &&ProcedureInfo| self.activation.is_active(procedure, minor);
        let active = Guest::PROCEDURES.iter().filter(active).map(|procedure| procedure.number).collect();
        Ok(Negotiated { major: MAJOR, minor, active })
    }

    /// Picks the session's driver, once.
    async fn open(&self, cx: &Context, args: Open) -> Reply<()> {
        if args.flags & !OPEN_READ_ONLY != 0 {
            return Err(Failure::new(Code::InvalidArg, format!("flags {:#x} are not known", args.flags)));
        }
        let state = cx.session().state::<Opened>().ok_or_else(|| Failure::no_support(Open::NAME))?;
        let driver = self.route(&args.uri).await?;
        let twice = |_| Failure::new(Code::OperationInvalid, "the connection is open already");
        state.driver.set(driver).map_err(twice)?;
        if args.flags & OPEN_READ_ONLY != 0 {
            cx.session().restrict_to_read_only();
        }
        Ok(())
    }

    /// Begins or ends a session's events. A driver without events, and a connection that calls do not travel back on,
    /// have none to give.
    async fn domain_events(&self, cx: &Context, args: DomainEvents) -> Reply<()> {
        let unsupported = || Failure::no_support(DomainEvents::NAME);
        let subscriber = &cx.session().state::<Opened>().ok_or_else(unsupported)?.subscriber;
        if args.on {
            let client = cx.client().ok_or_else(unsupported)?;
            subscriber.begin(client, self.driver(cx)?.subscribe().await?).await;
        } else {
            subscriber.end().await;
        }
        Ok(())
    }

    /// Has the driver take a picture, and keeps it until the client has read it.
    async fn domain_screenshot(&self, cx: &Context, args: DomainScreenshot) -> Reply<Stream> {
        let unsupported = || Failure::no_support(DomainScreenshot::NAME);
        let streams = &cx.session().state::<Opened>().ok_or_else(unsupported)?.streams;
        let place = streams.place()?;
        let picture = self.driver(cx)?.domain_screenshot(args).await?;
        streams.open(place, &self.room, picture)
    }

    /// Gives a piece of what the session holds.
    async fn stream_read(&self, cx: &Context, args: StreamRead) -> Reply<StreamPiece> {
        let unsupported = || Failure::no_support(StreamRead::NAME);
        cx.session().state::<Opened>().ok_or_else(unsupported)?.streams.read(args)
    }

    to_the_driver! {
        get_version: GetVersion,
        get_node_info: GetNodeInfo,
        get_capabilities: GetCapabilities,
        list_domains: ListDomains,
        num_domains: NumDomains,
        list_defined_domains: ListDefinedDomains,
        num_defined_domains: NumDefinedDomains,
        domain_create: DomainCreate,
        domain_define: DomainDefine,
        domain_undefine: DomainUndefine,
        domain_start: DomainStart,
        domain_suspend: DomainSuspend,
        domain_resume: DomainResume,
        domain_destroy: DomainDestroy,
        domain_shutdown: DomainShutdown,
        domain_save: DomainSave,
        domain_restore: DomainRestore,
        domain_lookup_by_id: DomainLookupById,
        domain_lookup_by_uuid: DomainLookupByUuid,
        domain_lookup_by_name: DomainLookupByName,
        domain_get_info: DomainGetInfo,
        domain_get_job_info: DomainGetJobInfo,
        domain_dump_xml: DomainDumpXml,
        domain_get_autostart: DomainGetAutostart,
        domain_set_autostart: DomainSetAutostart,
        list_networks: ListNetworks,
        num_networks: NumNetworks,
        list_defined_networks: ListDefinedNetworks,
        num_defined_networks: NumDefinedNetworks,
        network_create: NetworkCreate,
        network_define: NetworkDefine,
        network_undefine: NetworkUndefine,
        network_start: NetworkStart,
        network_destroy: NetworkDestroy,
        network_lookup_by_uuid: NetworkLookupByUuid,
        network_lookup_by_name: NetworkLookupByName,
        network_dump_xml: NetworkDumpXml,
        network_get_bridge_name: NetworkGetBridgeName,
        network_get_autostart: NetworkGetAutostart,
        network_set_autostart: NetworkSetAutostart,
    }
}
