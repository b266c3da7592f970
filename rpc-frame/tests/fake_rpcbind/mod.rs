//! An rpcbind made of our own tables: a list of registrations, in whichever versions a test wants.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rpc_frame::rpcbind::version2::{CallResult, Mapping, MappingList, Portmap, PortmapService};
use rpc_frame::rpcbind::version3::{Rpcb3, Rpcb3Service};
use rpc_frame::rpcbind::version4::{Rpcb4, Rpcb4Service};
use rpc_frame::rpcbind::{
    CallitArgs, CallitResult, Netbuf, PROGRAM, Rpcb, RpcbEntryList, RpcbList, RpcbStatByVersion, Rpcbind, Service,
    Uaddr,
};
use rpc_frame::tokio::Server;
use rpc_frame::{Context, Peer, Program, Programs, program};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

pub(crate) const GREETER: u32 = 0x2000_0042;

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn greeter(version: u32, address: &str) -> Service {
    Service::tcp(GREETER, version, at(address))
}

pub(crate) fn entry(version: u32, netid: &str, address: &str, owner: &str) -> Rpcb {
    Rpcb { program: GREETER, version, netid: netid.into(), address: address.into(), owner: owner.into() }
}

pub(crate) fn v2(fake: &Arc<Fake>) -> Program<Portmap, Fake> {
    program(Arc::clone(fake))
}

pub(crate) fn v3(fake: &Arc<Fake>) -> Program<Rpcb3, Fake> {
    program(Arc::clone(fake))
}

pub(crate) fn v4(fake: &Arc<Fake>) -> Program<Rpcb4, Fake> {
    program(Arc::clone(fake))
}

/// All versions at a socket.
pub(crate) fn rpcbind(fake: &Arc<Fake>) -> (Socket, Rpcbind) {
    let socket = Socket::serving((v2(fake), (v3(fake), v4(fake))));
    let rpcbind = Rpcbind::at_socket(&socket);
    (socket, rpcbind)
}

/// An owner that no caller is.
pub(crate) const SOMEBODY: &str = "somebody";

/// Registrations, and what was called.
pub(crate) struct Fake {
    pub(crate) entries: watch::Sender<Vec<Rpcb>>,
    /// Version and name of each call.
    calls: Mutex<Vec<String>>,
}

impl Fake {
    pub(crate) fn new(entries: Vec<Rpcb>) -> Arc<Self> {
        Arc::new(Self { entries: watch::Sender::new(entries), calls: Mutex::default() })
    }

    /// The calls since this was asked for last.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// Waits until there are so many registrations.
    pub(crate) async fn has(&self, count: usize) {
        let mut entries = self.entries.subscribe();
        tokio::time::timeout(std::time::Duration::from_secs(10), entries.wait_for(|entries| entries.len() == count))
            .await
            .expect("not in time")
            .unwrap();
    }

    fn note(&self, cx: &Context) {
        let procedure = cx.procedure();
        assert_eq!(procedure.program, PROGRAM);
        self.calls.lock().unwrap().push(format!("{} {}", procedure.version, procedure.name));
    }

    fn set(&self, cx: &Context, rpcb: Rpcb) -> bool {
        self.note(cx);
        let Some(owner) = owner(cx) else { return false };
        self.entries.send_if_modified(|entries| {
            let taken = entries.iter().any(|entry| same_place(entry, &rpcb));
            if !taken {
                entries.push(Rpcb { owner: owner.as_str().into(), ..rpcb });
            }
            !taken
        })
    }

    fn unset(&self, cx: &Context, meant: impl Fn(&Rpcb) -> bool) -> bool {
        self.note(cx);
        let Some(owner) = owner(cx) else { return false };
        self.entries.send_if_modified(|entries| {
            let before = entries.len();
            entries.retain(|entry| !meant(entry) || entry.owner != owner.as_str().into());
            entries.len() < before
        })
    }

    /// By the transport of the connection, whatever the argument says.
    fn address(&self, cx: &Context, rpcb: &Rpcb) -> Uaddr {
        self.note(cx);
        let netid = if matches!(cx.peer(), Peer::Unix { .. }) { "local" } else { "tcp" };
        let meant = Rpcb { netid: netid.into(), ..rpcb.clone() };
        let entries = self.entries.borrow();
        Uaddr(
            entries.iter().find(|entry| same_place(entry, &meant)).map_or_else(Default::default, |e| e.address.clone()),
        )
    }

    fn dump(&self, cx: &Context) -> RpcbList {
        self.note(cx);
        RpcbList { entries: self.entries.borrow().clone() }
    }
}

/// Who calls; by TCP nobody knows.
fn owner(cx: &Context) -> Option<String> {
    match cx.peer() {
        Peer::Unix { uid, .. } => Some(uid.to_string()),
        _ => None,
    }
}

fn same_place(one: &Rpcb, other: &Rpcb) -> bool {
    (one.program, one.version, &one.netid) == (other.program, other.version, &other.netid)
}

fn rpcb(mapping: Mapping) -> Rpcb {
    let netid = if mapping.protocol == 6 { "tcp" } else { "udp" };
    let address = format!("0.0.0.0.{}.{}", mapping.port / 256, mapping.port % 256);
    let Mapping { program, version, .. } = mapping;
    Rpcb { program, version, netid: netid.into(), address: address.into(), owner: Default::default() }
}

fn mapping(rpcb: &Rpcb) -> Option<Mapping> {
    let protocol = match rpcb.netid.to_str().ok()? {
        "tcp" => 6,
        "udp" => 17,
        _ => return None,
    };
    let mut bytes = rpcb.address.to_str().ok()?.rsplit('.').map(|byte| byte.parse::<u32>().unwrap());
    let port = bytes.next()? + 256 * bytes.next()?;
    Some(Mapping { program: rpcb.program, version: rpcb.version, protocol, port })
}

impl PortmapService for Fake {
    async fn set(&self, cx: &Context, args: Mapping) -> bool {
        Self::set(self, cx, rpcb(args))
    }

    async fn unset(&self, cx: &Context, args: Mapping) -> bool {
        Self::unset(self, cx, |entry| (entry.program, entry.version) == (args.program, args.version))
    }

    async fn get_port(&self, cx: &Context, args: Mapping) -> u32 {
        self.note(cx);
        let entries = self.entries.borrow();
        entries.iter().find(|entry| same_place(entry, &rpcb(args))).and_then(mapping).map_or(0, |found| found.port)
    }

    async fn dump(&self, cx: &Context, (): ()) -> MappingList {
        self.note(cx);
        MappingList { entries: self.entries.borrow().iter().filter_map(mapping).collect() }
    }

    // Noted as well: the tests know which calls may come.
    async fn callit(&self, cx: &Context, _: CallitArgs) -> CallResult {
        self.note(cx);
        CallResult::default()
    }
}

macro_rules! versions_3_and_4 {
    ($service:ty { $($callit:ident)+ } { $($more:tt)* }) => {
        impl $service for Fake {
            async fn set(&self, cx: &Context, args: Rpcb) -> bool {
                Self::set(self, cx, args)
            }

            async fn unset(&self, cx: &Context, args: Rpcb) -> bool {
                Self::unset(self, cx, |entry| same_place(entry, &args))
            }

            async fn get_addr(&self, cx: &Context, args: Rpcb) -> Uaddr {
                self.address(cx, &args)
            }

            async fn dump(&self, cx: &Context, (): ()) -> RpcbList {
                Self::dump(self, cx)
            }

            async fn get_time(&self, _: &Context, (): ()) -> u32 {
                0
            }

            async fn uaddr2_taddr(&self, _: &Context, _: Uaddr) -> Netbuf {
                Netbuf::default()
            }

            async fn taddr2_uaddr(&self, _: &Context, _: Netbuf) -> Uaddr {
                Uaddr::default()
            }

            $(async fn $callit(&self, cx: &Context, _: CallitArgs) -> CallitResult {
                self.note(cx);
                CallitResult::default()
            })+

            $($more)*
        }
    };
}

versions_3_and_4!(Rpcb3Service { callit } {});
versions_3_and_4!(Rpcb4Service { bcast indirect } {
    async fn get_vers_addr(&self, cx: &Context, args: Rpcb) -> Uaddr {
        self.address(cx, &args)
    }

    async fn get_addr_list(&self, _: &Context, _: Rpcb) -> RpcbEntryList {
        RpcbEntryList::default()
    }

    async fn get_stat(&self, _: &Context, (): ()) -> RpcbStatByVersion {
        RpcbStatByVersion::default()
    }
});

/// A unix socket's path that is removed with this value.
pub(crate) struct Socket(PathBuf);

impl Socket {
    /// A path of its own.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rpcbind-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Serves the programs at a path of its own.
    pub(crate) fn serving(programs: impl Programs) -> Self {
        let socket = Self::new();
        let listener = UnixListener::bind(&socket).unwrap();
        let server = Server::new(programs);
        tokio::spawn(async move { server.serve(listener).await });
        socket
    }
}

impl AsRef<Path> for Socket {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Serves the programs by TCP.
pub(crate) async fn by_tcp(programs: impl Programs) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(programs);
    tokio::spawn(async move { server.serve(listener).await });
    address
}

/// The versions of the calls that were made.
pub(crate) fn versions(calls: &[String]) -> HashSet<&str> {
    calls.iter().filter_map(|call| call.split(' ').next()).collect()
}
