//! Who answers: each server in a thread of its own, or in a process of its own.

use std::future::poll_fn;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::task::Poll;
use std::thread;

use rpc_frame::tokio::{Server as RpcServer, ServerConfig};
use rpc_frame::{AuthSys, Context, Credential, OpaqueAuth, ProcedureTable, program, write_record_mark};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use xdr_core::Xdr;
use xdr_tests::foreign_c::CFolder;

use crate::client::{CALL, Caller, Client, REPLY, Scenario};

pub(crate) const OURS: &str = "ours";

pub(crate) const PROGRAM: u32 = 0x2000_0047;
const GUEST: u32 = 0x2000_1A64;

/// Makes a server's own client.
pub(crate) type Connect = fn(SocketAddr, Scenario) -> Box<dyn Caller>;

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) program: u32,
    pub(crate) version: u32,
    /// The procedure whose handler waits once; 0 where there is none.
    pub(crate) waiting: u32,
    /// It looks at no call.
    pub(crate) is_raw: bool,
    /// How its own client is made, if it needs one.
    pub(crate) connect: Option<Connect>,
}

impl Server {
    pub(crate) fn connect(&self, scenario: Scenario) -> Box<dyn Caller> {
        match self.connect {
            Some(connect) => connect(self.address, scenario),
            None => Box::new(Client::connect(self, scenario)),
        }
    }

    pub(crate) fn takes(&self, scenario: Scenario) -> bool {
        match scenario {
            Scenario::Connections if self.connect.is_some() => false,
            // What it costs to get to know each other, and for comparison the same without that.
            Scenario::Handshake => self.name.contains("TLS") || self.name == "ours, both ends",
            Scenario::Waiting => self.waiting != 0,
            Scenario::Connections => !self.name.contains("a call"),
            _ => true,
        }
    }
}

pub(crate) fn all() -> Vec<Server> {
    let raw =
        |name, waiting, address| Server { name, address, program: 1, version: 1, waiting, is_raw: true, connect: None };
    let ours =
        ours(on_tokio(|listener| async move { RpcServer::new(program::<Idle, _>(Idler)).serve(listener).await }));
    #[cfg(feature = "peers")]
    let peers = crate::peers::all(ours.address);
    let mut servers = vec![
        ours,
        raw("raw tokio", 0, on_tokio(raw_tokio)),
        raw("raw blocking", 0, raw_blocking()),
        raw("tokio, a task a call, lean", 1, on_tokio(task_a_call)),
        raw("tokio, a task a call", 1, on_tokio(task_a_call_by_messages)),
    ];
    servers.extend(libtirpc());
    #[cfg(feature = "peers")]
    servers.extend(peers);
    #[cfg(feature = "peers")]
    servers.extend(crate::tls::all());
    servers
}

/// Runs a server on a runtime of one thread.
pub(crate) fn on_tokio<F: Future<Output = ()>>(
    serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a socket has the option");
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async { serve(tokio::net::TcpListener::from_std(listener).expect("in a runtime")).await });
    });
    address
}

// ---- ours ----

const fn ours(address: SocketAddr) -> Server {
    Server { name: OURS, address, program: PROGRAM, version: 1, waiting: 1, is_raw: false, connect: None }
}

/// Waits once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 1)]
pub(crate) struct Wait;

#[derive(ProcedureTable)]
#[rpc(program = PROGRAM, version = 1, service = IdleService)]
pub(crate) enum Idle {
    Wait(Wait),
}

pub(crate) struct Idler;

impl IdleService for Idler {
    async fn wait(&self, _cx: &Context, _args: Wait) {
        wait_once().await;
    }
}

/// Pending once, having woken itself.
async fn wait_once() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if has_waited {
            return Poll::Ready(());
        }
        has_waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// NULL and waiting calls of our own client to our own server through memory, in one thread.
pub(crate) fn allocations_a_call() -> String {
    const CALLS: u64 = 10_000;
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let server = runtime.block_on(async { RpcServer::new(program::<Idle, _>(Idler)) });
    let mut io = runtime.block_on(async { server.connect_in_memory() });
    let mut counted = |procedure: u32, credential: &OpaqueAuth| {
        let header = (7, 0, 2, PROGRAM, 1, procedure, credential, OpaqueAuth::none());
        let header = xdr_core::to_vec::<(u32, u32, u32, u32, u32, u32, _, _)>(&header).expect("it is short");
        let call = [&write_record_mark(header.len()).expect("it is short")[..], &header].concat();
        let mut reply = [0; REPLY];
        let mut calls = |count: u64| {
            runtime.block_on(async {
                for _ in 0..count {
                    io.write_all(&call).await.expect("the server takes calls");
                    io.read_exact(&mut reply).await.expect("the server replies");
                }
            });
        };
        calls(1000);
        let info = allocation_counter::measure(|| calls(CALLS));
        info.count_total as f64 / CALLS as f64
    };
    let claim = AuthSys { stamp: 1, machine_name: "client".into(), uid: 1000, gid: 1000, gids: vec![4, 24, 27] };
    let claim = Credential::Sys(claim).to_opaque().expect("it is short");
    let (nobody, claim) = [&OpaqueAuth::none(), &claim].map(|who| (counted(0, who), counted(1, who))).into();
    format!("NULL {:.4}, waiting {:.4}; with AUTH_SYS {:.4}, {:.4}", nobody.0, nobody.1, claim.0, claim.1)
}

/// The growth of resident memory over connections that have made a call and are quiet now.
pub(crate) fn memory_a_connection() -> String {
    const CONNECTIONS: usize = 5000;
    let mut config = ServerConfig::default();
    config.max_connections = 2 * CONNECTIONS;
    let address = on_tokio(|listener| async move {
        RpcServer::builder(program::<Idle, _>(Idler)).config(config).build().serve(listener).await;
    });
    let server = ours(address);
    let mut clients: Vec<_> = (0..100).map(|_| Client::connect(&server, Scenario::OneAtATime)).collect();
    let (warm, before) = (clients.len(), resident());
    while clients.len() < CONNECTIONS + warm {
        match std::panic::catch_unwind(|| Client::connect(&server, Scenario::OneAtATime)) {
            Ok(client) => clients.push(client),
            Err(_) => break,
        }
    }
    let (more, grown) = (clients.len() - warm, resident().saturating_sub(before));
    match grown.checked_div(more) {
        Some(each) => format!("{:.1} KiB, of {more} connections", each as f64 / 1024.0),
        None => "no connection could be opened".to_owned(),
    }
}

/// Bytes of resident memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it says how much is resident");
    let kib: usize = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB");
    kib * 1024
}

// ---- raw ----

async fn raw_tokio(listener: tokio::net::TcpListener) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let (mut buffer, replies) = (vec![0; 4096], [0x55; REPLY * 128]);
            let mut unanswered = 0;
            while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                unanswered += len;
                let due = unanswered / CALL * REPLY;
                unanswered %= CALL;
                if stream.write_all(&replies[..due]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What a server does that has no slots: each call is a task that waits once and sends its reply to who writes.
///
/// It is the fastest of its kind: the tasks run on one thread, and whoever writes takes all replies that are there, for
/// one write. Where each task writes its own reply, or where the tasks run on tokio's default runtime of several threads
/// and all of that on one CPU, a call takes several times as long.
async fn task_a_call(listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<()>(64);
            tokio::spawn(async move {
                let replies = [0x55; REPLY * 64];
                let mut ended = Vec::with_capacity(64);
                loop {
                    let count = receiver.recv_many(&mut ended, 64).await;
                    ended.clear();
                    if count == 0 || writer.write_all(&replies[..count * REPLY]).await.is_err() {
                        return;
                    }
                }
            });
            let mut buffer = vec![0; 4096];
            let mut unanswered = 0;
            while let Ok(len @ 1..) = reader.read(&mut buffer).await {
                unanswered += len;
                for _ in 0..unanswered / CALL {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        wait_once().await;
                        let _ = sender.send(()).await;
                    });
                }
                unanswered %= CALL;
            }
        });
    }
}

/// The same as it is mostly written: a task has the bytes of its call, and its reply is a message to who writes, who sends all
/// that are there at once.
async fn task_a_call_by_messages(listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<u8>>(64);
            tokio::spawn(async move {
                let mut replies = Vec::new();
                while let Some(reply) = receiver.recv().await {
                    replies.extend_from_slice(&reply);
                    while let Ok(reply) = receiver.try_recv() {
                        replies.extend_from_slice(&reply);
                    }
                    if writer.write_all(&replies).await.is_err() {
                        return;
                    }
                    replies.clear();
                }
            });
            let mut buffer = Vec::with_capacity(4096);
            while let Ok(1..) = reader.read_buf(&mut buffer).await {
                let mut calls = buffer.chunks_exact(CALL);
                for call in &mut calls {
                    let (call, sender) = (call.to_vec(), sender.clone());
                    tokio::spawn(async move {
                        wait_once().await;
                        let mut reply = vec![0x55; REPLY];
                        reply[4..8].copy_from_slice(&call[4..8]);
                        let _ = sender.send(reply).await;
                    });
                }
                let rest = calls.remainder().len();
                buffer.drain(..buffer.len() - rest);
            }
        });
    }
}

fn raw_blocking() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client connects");
            let _ = stream.set_nodelay(true);
            thread::spawn(move || {
                let (mut buffer, replies) = (vec![0; 4096], [0x55; REPLY * 128]);
                let mut unanswered = 0;
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    unanswered += len;
                    let due = unanswered / CALL * REPLY;
                    unanswered %= CALL;
                    if stream.write_all(&replies[..due]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

// ---- libtirpc ----

/// The C server of the interop tests, whose NULL procedure is rpcgen's own.
fn libtirpc() -> Option<Server> {
    let folder = CFolder::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-rpc"))?;
    let interop = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop");
    folder.copy(&interop.join("guest.x"), "guest.x");
    folder.copy(&interop.join("server.c"), "server.c");
    for (kind, out) in [("-h", "guest.h"), ("-c", "guest_xdr.c"), ("-m", "guest_svc.c")] {
        folder.rpcgen(kind, "guest.x", out);
    }
    folder.compile("server", "-O2", &["server.c", "guest_svc.c", "guest_xdr.c"]);
    let mut child = Command::new(folder.file("server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("what was built runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it prints its port");
    let port: u16 = line.trim().strip_prefix("port=").and_then(|port| port.parse().ok()).expect("`port=NUMBER`");
    // It ends when its input does, which is with this process.
    std::mem::forget(child);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Some(Server { name: "libtirpc", address, program: GUEST, version: 1, waiting: 0, is_raw: false, connect: None })
}
