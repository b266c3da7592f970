//! The messages of the guest protocol, procedures 1 to 45, and their table.
//!
//! A message is a procedure's arguments; its `#[rpc]` line carries the number, the reply and whether a
//! read-only channel may call it. Every reply travels in [`Reply`]. Replies come first in this file,
//! then the messages in the order of their numbers, then the table.

use std::time::Duration;

use rpc_frame::ProcedureTable;
use xdr_core::{Bytes, Xdr};

use crate::failure::Reply;
use crate::identity::Uuid;

/// Program number of the guest protocol.
pub const GUEST: u32 = 0x2000_1A64;
/// Longest name of a domain or network, in bytes.
pub const NAME_MAX: usize = 256;
/// Longest XML text, in bytes.
pub const XML_MAX: usize = 65_536;
/// Longest path of a file, in bytes.
pub const PATH_MAX: usize = 4096;
/// Longest URI, in bytes.
pub const URI_MAX: usize = 4096;
/// Longest name of a host's bridge, in bytes.
pub const BRIDGE_MAX: usize = 50;
/// Longest name of a processor model, in bytes.
pub const MODEL_MAX: usize = 32;
/// Most domains that run at a time.
pub const ACTIVE_DOMAINS_MAX: usize = 16_384;
/// Most domains whose definitions are kept.
pub const DEFINED_DOMAINS_MAX: usize = 1024;
/// Most networks of either kind, active or defined.
pub const NETWORKS_MAX: usize = 256;
/// Most procedures a negotiation can list.
pub const PROCEDURES_MAX: usize = 1024;
/// Longest name of a picture's format, in bytes.
pub const MIME_MAX: usize = 64;
/// Longest piece of a stream, in bytes.
pub const PIECE_MAX: usize = 65_536;
/// How long a call may take that carries a domain's memory to or from a disk.
pub const MEMORY_LIMIT: Duration = Duration::from_secs(3600);

/// Processors, memory and topology of a machine, the reply to [`GetNodeInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct NodeInfo {
    /// Processor model, `string<32>`.
    #[xdr(max = MODEL_MAX)]
    pub model: String,
    /// Memory in KiB.
    pub memory: u32,
    /// Processors online.
    pub cpus: u32,
    /// Clock in MHz.
    pub mhz: u32,
    /// NUMA nodes.
    pub nodes: u32,
    /// Sockets of a node.
    pub sockets: u32,
    /// Cores of a socket.
    pub cores: u32,
    /// Threads of a core.
    pub threads: u32,
}

/// The active domains, `int ids<16384>`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct DomainIds {
    /// Their ids in ascending order.
    #[xdr(max = ACTIVE_DOMAINS_MAX)]
    pub ids: Vec<i32>,
}

/// Names of domains, `string<256> names<1024>`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct DomainNames {
    /// The names in ascending order.
    #[xdr(max = DEFINED_DOMAINS_MAX, item(max = NAME_MAX))]
    pub names: Vec<String>,
}

/// Names of networks, `string<256> names<256>`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct NetworkNames {
    /// The names in ascending order.
    #[xdr(max = NETWORKS_MAX, item(max = NAME_MAX))]
    pub names: Vec<String>,
}

/// The domain that was created and now runs.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct DomainCreated {
    /// Id it runs under.
    pub id: i32,
    /// Its identity, `opaque[16]`.
    pub uuid: Uuid,
    /// Its name, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// What a domain or network is known by.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Identity {
    /// Its identity, `opaque[16]`.
    pub uuid: Uuid,
    /// Its name, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// The domain that has the identity asked for.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct DomainOfUuid {
    /// Id, or -1 while it is inactive.
    pub id: i32,
    /// Its name, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// The domain that has the name asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub struct DomainOfName {
    /// Id, or -1 while it is inactive.
    pub id: i32,
    /// Its identity, `opaque[16]`.
    pub uuid: Uuid,
}

/// The network that has the identity asked for.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct NetworkOfUuid {
    /// Its name, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// State and use of resources, the reply to [`DomainGetInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub struct DomainInfo {
    /// Processor time used since the start, in ns.
    pub cpu_time: u64,
    /// State.
    pub runstate: RunState,
    /// Memory in use, in KiB.
    pub memory: u32,
    /// Memory it may grow to, in KiB.
    pub maxmem: u32,
    /// Virtual processors.
    pub nr_virt_cpu: u32,
}

/// State of a domain, an `enum` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub enum RunState {
    /// Its processors run.
    Running = 1,
    /// It is active and its processors are halted.
    Paused = 2,
    /// It is not active.
    Stopped = 3,
}

/// A description in XML.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Description {
    /// XML text, `string<65536>`.
    #[xdr(max = XML_MAX)]
    pub xml: String,
}

/// The bridge a network uses on the host.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct BridgeName {
    /// Its name, `string<50>`.
    #[xdr(max = BRIDGE_MAX)]
    pub name: String,
}

/// What both sides will use, the reply to [`Negotiate`].
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Negotiated {
    /// Major version, the version of the RPC program.
    pub major: u32,
    /// Minor version in effect, the smaller of both sides'.
    pub minor: u32,
    /// Procedures that can be called, `unsigned int active<1024>`.
    #[xdr(max = PROCEDURES_MAX)]
    pub active: Vec<u32>,
}

/// Bytes that are too many for one reply, and wait to be read with [`StreamRead`].
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Stream {
    /// Its number, which means something to this session alone.
    pub stream: u32,
    /// How many bytes there are.
    pub length: u64,
    /// What they are, for instance `image/png`, `string<64>`.
    #[xdr(max = MIME_MAX)]
    pub mime: String,
}

/// A piece of a stream, the reply to [`StreamRead`].
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct StreamPiece {
    /// `opaque<65536>`; shorter only where the stream ends, and empty behind its end.
    #[xdr(max = PIECE_MAX)]
    pub bytes: Bytes,
}

/// What a domain is busy with, the reply to [`DomainGetJobInfo`]. All but the kind is zero where it is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub struct JobInfo {
    /// Whether it is busy.
    pub kind: JobKind,
    /// Time since it began, in ms.
    pub elapsed: u64,
    /// Bytes that it has to carry, as far as is known by now; more may come.
    pub data_total: u64,
    /// Bytes that it has carried.
    pub data_processed: u64,
    /// Bytes that are left.
    pub data_remaining: u64,
}

/// The kind of a job, an `enum` on the wire with the numbers of libvirt's `virDomainJobType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub enum JobKind {
    /// The domain is idle.
    None = 0,
    /// Its end can be foreseen.
    Bounded = 1,
    /// Nobody knows when it ends.
    Unbounded = 2,
    /// It has ended, and is still being cleared away.
    Completed = 3,
    /// It has failed, and is still being cleared away.
    Failed = 4,
    /// It was given up, and is still being cleared away.
    Cancelled = 5,
}

/// Asks for the version of the hypervisor: major * 1,000,000 + minor * 1000 + micro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 1, reply = Reply<u32>, read_only, idempotent)]
pub struct GetVersion;

/// Asks what machine the daemon runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 2, reply = Reply<NodeInfo>, read_only, idempotent)]
pub struct GetNodeInfo;

/// Asks for the ids of the active domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 3, reply = Reply<DomainIds>, read_only, idempotent)]
pub struct ListDomains;

/// Asks how many domains are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 4, reply = Reply<i32>, read_only, idempotent)]
pub struct NumDomains;

/// Starts a domain from XML without keeping its definition.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 5, reply = Reply<DomainCreated>)]
pub struct DomainCreate {
    /// XML text, `string<65536>`.
    #[xdr(max = XML_MAX)]
    pub xml: String,
}

/// Looks for the active domain with an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 6, reply = Reply<Identity>, read_only, idempotent)]
pub struct DomainLookupById {
    /// Id to look for.
    pub id: i32,
}

/// Looks for the domain with a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 7, reply = Reply<DomainOfUuid>, read_only, idempotent)]
pub struct DomainLookupByUuid {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Looks for the domain with a name.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 8, reply = Reply<DomainOfName>, read_only, idempotent)]
pub struct DomainLookupByName {
    /// Name of the domain, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// Halts the processors of an active domain; no error when they are halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 9, reply = Reply<()>, idempotent)]
pub struct DomainSuspend {
    /// Id of an active domain.
    pub id: i32,
}

/// Lets a suspended domain go on; no error when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 10, reply = Reply<()>, idempotent)]
pub struct DomainResume {
    /// Id of an active domain.
    pub id: i32,
}

/// Stops an active domain at once, as pulling the plug does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 11, reply = Reply<()>)]
pub struct DomainDestroy {
    /// Id of an active domain.
    pub id: i32,
}

/// Asks for state and use of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 12, reply = Reply<DomainInfo>, read_only, idempotent)]
pub struct DomainGetInfo {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Writes an active domain to a file and stops it.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 13, reply = Reply<()>, time_limit = MEMORY_LIMIT)]
pub struct DomainSave {
    /// Id of an active domain.
    pub id: i32,
    /// Absolute path of the file on the daemon's machine, `string<4096>`.
    #[xdr(max = PATH_MAX)]
    pub path: String,
}

/// Starts a domain from a saved file; replies with its new id.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 14, reply = Reply<i32>, time_limit = MEMORY_LIMIT)]
pub struct DomainRestore {
    /// Absolute path of the file on the daemon's machine, `string<4096>`.
    #[xdr(max = PATH_MAX)]
    pub path: String,
}

/// Asks for the XML of a domain; the live one while it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 15, reply = Reply<Description>, read_only, idempotent)]
pub struct DomainDumpXml {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Asks for the names of the inactive domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 16, reply = Reply<DomainNames>, read_only, idempotent)]
pub struct ListDefinedDomains;

/// Asks how many domains are inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 17, reply = Reply<u32>, read_only, idempotent)]
pub struct NumDefinedDomains;

/// Starts an inactive domain; replies with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 18, reply = Reply<i32>)]
pub struct DomainStart {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Keeps a definition; the next start uses it.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 19, reply = Reply<Identity>)]
pub struct DomainDefine {
    /// XML text, `string<65536>`.
    #[xdr(max = XML_MAX)]
    pub xml: String,
}

/// Forgets the definition of an inactive domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 20, reply = Reply<()>)]
pub struct DomainUndefine {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Asks how many networks are active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 21, reply = Reply<u32>, read_only, idempotent)]
pub struct NumNetworks;

/// Asks for the names of the active networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 22, reply = Reply<NetworkNames>, read_only, idempotent)]
pub struct ListNetworks;

/// Asks how many networks are inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 23, reply = Reply<u32>, read_only, idempotent)]
pub struct NumDefinedNetworks;

/// Asks for the names of the inactive networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 24, reply = Reply<NetworkNames>, read_only, idempotent)]
pub struct ListDefinedNetworks;

/// Looks for the network with a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 25, reply = Reply<NetworkOfUuid>, read_only, idempotent)]
pub struct NetworkLookupByUuid {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Looks for the network with a name; replies with its UUID.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 26, reply = Reply<Uuid>, read_only, idempotent)]
pub struct NetworkLookupByName {
    /// Name of the network, `string<256>`.
    #[xdr(max = NAME_MAX)]
    pub name: String,
}

/// Starts a network from XML without keeping its definition.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 27, reply = Reply<Identity>)]
pub struct NetworkCreate {
    /// XML text, `string<65536>`.
    #[xdr(max = XML_MAX)]
    pub xml: String,
}

/// Keeps a definition; the next start uses it.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 28, reply = Reply<Identity>)]
pub struct NetworkDefine {
    /// XML text, `string<65536>`.
    #[xdr(max = XML_MAX)]
    pub xml: String,
}

/// Forgets the definition of an inactive network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 29, reply = Reply<()>)]
pub struct NetworkUndefine {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Starts an inactive network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 30, reply = Reply<()>)]
pub struct NetworkStart {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Stops an active network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 31, reply = Reply<()>)]
pub struct NetworkDestroy {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Asks for the XML of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 32, reply = Reply<Description>, read_only, idempotent)]
pub struct NetworkDumpXml {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Asks which bridge of the host a network uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 33, reply = Reply<BridgeName>, read_only, idempotent)]
pub struct NetworkGetBridgeName {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Asks whether a domain starts together with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 34, reply = Reply<bool>, read_only, idempotent)]
pub struct DomainGetAutostart {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// Chooses whether a domain starts together with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 35, reply = Reply<()>, idempotent)]
pub struct DomainSetAutostart {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
    /// Whether it starts together with the daemon.
    pub autostart: bool,
}

/// Asks whether a network starts together with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 36, reply = Reply<bool>, read_only, idempotent)]
pub struct NetworkGetAutostart {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
}

/// Chooses whether a network starts together with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 37, reply = Reply<()>, idempotent)]
pub struct NetworkSetAutostart {
    /// Identity of the network, `opaque[16]`.
    pub uuid: Uuid,
    /// Whether it starts together with the daemon.
    pub autostart: bool,
}

/// Asks what the host and its guests can do, as XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 38, reply = Reply<Description>, read_only, idempotent)]
pub struct GetCapabilities;

/// Offers versions; each side uses the smaller minor. Without it a session has minor 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 39, reply = Reply<Negotiated>, read_only, idempotent)]
pub struct Negotiate {
    /// Major version, the version of the RPC program.
    pub major: u32,
    /// Highest minor version the client knows.
    pub minor: u32,
}

/// The flag of [`Open`] by which a session allows only procedures marked read-only, from then on.
pub const OPEN_READ_ONLY: u32 = 1;

/// Opens the driver of a URI for this session, once. Without it a session has the daemon's default driver.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 40, reply = Reply<()>, since = 1, read_only)]
pub struct Open {
    /// `driver:///path?parameters`, `string<4096>`; an empty one stands for the daemon's default.
    #[xdr(max = URI_MAX)]
    pub uri: String,
    /// [`OPEN_READ_ONLY`] or nothing.
    pub flags: u32,
}

/// Asks for the [events](crate::events) of domains, or for no more of them. They come on the same connection, as calls
/// of the program [`GUEST_EVENTS`](crate::events::GUEST_EVENTS) that the client serves, until the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 41, reply = Reply<()>, since = 1, read_only, idempotent)]
pub struct DomainEvents {
    /// Whether events shall come. Each change after the reply is told.
    pub on: bool,
}

/// Asks the guest of an active domain to power off, as its button does; a guest that does not listen goes on. The reply
/// does not wait for it: the domain is stopped when the guest is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 42, reply = Reply<()>, since = 1)]
pub struct DomainShutdown {
    /// Id of an active domain.
    pub id: i32,
}

/// Takes a picture of an active domain's screen. What it shows may be secret, so a read-only channel has none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 43, reply = Reply<Stream>, since = 1)]
pub struct DomainScreenshot {
    /// Id of an active domain.
    pub id: i32,
}

/// Reads a piece of one of the session's streams. The first read from its end on, whose piece is empty, closes the
/// stream, as does the end of the connection; until then each piece can be read as often as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 44, reply = Reply<StreamPiece>, since = 1)]
pub struct StreamRead {
    /// Number of the stream.
    pub stream: u32,
    /// The first byte to read, counted from 0.
    pub offset: u64,
}

/// Asks what a domain is busy with, which is while it is saved or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 45, reply = Reply<JobInfo>, since = 1, read_only, idempotent)]
pub struct DomainGetJobInfo {
    /// Identity of the domain, `opaque[16]`.
    pub uuid: Uuid,
}

/// The procedure table of program [`GUEST`], version 1.
#[derive(Debug, Clone, PartialEq, Eq, ProcedureTable)]
#[rpc(program = GUEST, version = 1, service = GuestService)]
pub enum Guest {
    /// [`GetVersion`].
    GetVersion(GetVersion),
    /// [`GetNodeInfo`].
    GetNodeInfo(GetNodeInfo),
    /// [`ListDomains`].
    ListDomains(ListDomains),
    /// [`NumDomains`].
    NumDomains(NumDomains),
    /// [`DomainCreate`].
    DomainCreate(DomainCreate),
    /// [`DomainLookupById`].
    DomainLookupById(DomainLookupById),
    /// [`DomainLookupByUuid`].
    DomainLookupByUuid(DomainLookupByUuid),
    /// [`DomainLookupByName`].
    DomainLookupByName(DomainLookupByName),
    /// [`DomainSuspend`].
    DomainSuspend(DomainSuspend),
    /// [`DomainResume`].
    DomainResume(DomainResume),
    /// [`DomainDestroy`].
    DomainDestroy(DomainDestroy),
    /// [`DomainGetInfo`].
    DomainGetInfo(DomainGetInfo),
    /// [`DomainSave`].
    DomainSave(DomainSave),
    /// [`DomainRestore`].
    DomainRestore(DomainRestore),
    /// [`DomainDumpXml`].
    DomainDumpXml(DomainDumpXml),
    /// [`ListDefinedDomains`].
    ListDefinedDomains(ListDefinedDomains),
    /// [`NumDefinedDomains`].
    NumDefinedDomains(NumDefinedDomains),
    /// [`DomainStart`].
    DomainStart(DomainStart),
    /// [`DomainDefine`].
    DomainDefine(DomainDefine),
    /// [`DomainUndefine`].
    DomainUndefine(DomainUndefine),
    /// [`NumNetworks`].
    NumNetworks(NumNetworks),
    /// [`ListNetworks`].
    ListNetworks(ListNetworks),
    /// [`NumDefinedNetworks`].
    NumDefinedNetworks(NumDefinedNetworks),
    /// [`ListDefinedNetworks`].
    ListDefinedNetworks(ListDefinedNetworks),
    /// [`NetworkLookupByUuid`].
    NetworkLookupByUuid(NetworkLookupByUuid),
    /// [`NetworkLookupByName`].
    NetworkLookupByName(NetworkLookupByName),
    /// [`NetworkCreate`].
    NetworkCreate(NetworkCreate),
    /// [`NetworkDefine`].
    NetworkDefine(NetworkDefine),
    /// [`NetworkUndefine`].
    NetworkUndefine(NetworkUndefine),
    /// [`NetworkStart`].
    NetworkStart(NetworkStart),
    /// [`NetworkDestroy`].
    NetworkDestroy(NetworkDestroy),
    /// [`NetworkDumpXml`].
    NetworkDumpXml(NetworkDumpXml),
    /// [`NetworkGetBridgeName`].
    NetworkGetBridgeName(NetworkGetBridgeName),
    /// [`DomainGetAutostart`].
    DomainGetAutostart(DomainGetAutostart),
    /// [`DomainSetAutostart`].
    DomainSetAutostart(DomainSetAutostart),
    /// [`NetworkGetAutostart`].
    NetworkGetAutostart(NetworkGetAutostart),
    /// [`NetworkSetAutostart`].
    NetworkSetAutostart(NetworkSetAutostart),
    /// [`GetCapabilities`].
    GetCapabilities(GetCapabilities),
    /// [`Negotiate`].
    Negotiate(Negotiate),
    /// [`Open`].
    Open(Open),
    /// [`DomainEvents`].
    DomainEvents(DomainEvents),
    /// [`DomainShutdown`].
    DomainShutdown(DomainShutdown),
    /// [`DomainScreenshot`].
    DomainScreenshot(DomainScreenshot),
    /// [`StreamRead`].
    StreamRead(StreamRead),
    /// [`DomainGetJobInfo`].
    DomainGetJobInfo(DomainGetJobInfo),
}
