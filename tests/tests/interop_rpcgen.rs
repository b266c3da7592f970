//! Programs that rpcgen made from the protocol's `.x` file, with libtirpc below them: a C client calls our daemon,
//! and our client calls a C server.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::failure::Code;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, CallOptions, Client, Server, ServerConfig, UdpClient};
use rpc_frame::{AuthSys, Credential, DatagramClientConfig, Programs};
use tokio::net::{TcpListener, UdpSocket};
use xdr_tests::foreign_c::CFolder;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

/// The folder with the programs `client` and `server`, built once.
fn programs() -> Option<&'static CFolder> {
    static BUILT: OnceLock<Option<CFolder>> = OnceLock::new();
    BUILT.get_or_init(build).as_ref()
}

fn build() -> Option<CFolder> {
    let folder = CFolder::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("rpcgen"))?;
    for file in ["guest.x", "client.c", "server.c"] {
        folder.copy(&Path::new(SOURCES).join(file), file);
    }
    for (kind, out) in [("-h", "guest.h"), ("-c", "guest_xdr.c"), ("-l", "guest_clnt.c"), ("-m", "guest_svc.c")] {
        folder.rpcgen(kind, "guest.x", out);
    }
    folder.compile("client", "-O1", &["client.c", "guest_clnt.c", "guest_xdr.c"]);
    folder.compile("server", "-O1", &["server.c", "guest_svc.c", "guest_xdr.c"]);
    Some(folder)
}

fn server() -> Server<impl Programs> {
    Daemon::new(Arc::new(TestDriver::with_defaults().unwrap())).into_server(ServerConfig::default())
}

/// A daemon on a port of its own, as long as the runtime lives.
async fn daemon() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server().serve(listener).await });
    address
}

/// The same by UDP.
async fn daemon_by_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { server().serve_udp(socket).await });
    address
}

/// The way to a UDP server that loses the first reply to each call, and of every other call the first try. The others
/// are doubled. So each call reaches the server at least twice, and no first reply ever reaches the client.
async fn bad_way_to(server: SocketAddr) -> SocketAddr {
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    far.connect(server).await.unwrap();
    let address = near.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
        let (mut called, mut replied) = (HashSet::new(), HashSet::new());
        let mut client = None;
        loop {
            tokio::select! {
                received = near.recv_from(&mut there) => {
                    let (len, from) = received.unwrap();
                    client = Some(from);
                    let xid = there[..4].to_vec();
                    let copies = if xid[3].is_multiple_of(2) { 2 } else { usize::from(!called.insert(xid)) };
                    for _ in 0..copies {
                        far.send(&there[..len]).await.unwrap();
                    }
                }
                received = far.recv(&mut back) => {
                    let len = received.unwrap();
                    if !replied.insert(back[..4].to_vec()) {
                        near.send_to(&back[..len], client.unwrap()).await.unwrap();
                    }
                }
            }
        }
    });
    address
}

/// What the C client printed: each step with its keys and values.
fn steps(output: &str) -> HashMap<String, String> {
    let step = |line: &str| {
        let (name, rest) = line.strip_prefix("step=")?.split_once(' ').unwrap_or((line.strip_prefix("step=")?, ""));
        Some((name.to_owned(), rest.to_owned()))
    };
    output.lines().filter_map(step).collect()
}

async fn call_with_the_c_client(arguments: &[&str]) -> Option<HashMap<String, String>> {
    walk_with_the_c_client(daemon().await, arguments).await
}

async fn walk_with_the_c_client(address: SocketAddr, arguments: &[&str]) -> Option<HashMap<String, String>> {
    let folder = programs()?;
    let mut client = Command::new(folder.file("client"));
    client.args(["--type", "test"]).args(arguments).args([address.ip().to_string(), address.port().to_string()]);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(steps(&text))
}

/// What the C client has to see, in a run whatever its fragments.
fn check(steps: &HashMap<String, String>) {
    let step = |name: &str| steps.get(name).unwrap_or_else(|| panic!("the client did not take the step {name}"));
    assert!(step("negotiate").starts_with("major=1 minor=0 active=1,2,3,"), "{}", step("negotiate"));
    assert!(step("domain_create").contains("name=\"interop-created\""));
    assert!(step("domain_lookup_missing").starts_with("code=42 message=\"no domain"));
    assert!(step("domain_define").starts_with("sent=60000 "));
    assert!(step("domain_get_info").starts_with("runstate=1 memory=65536 "));
    assert_eq!(step("unknown_procedure"), "status=PROC_UNAVAIL");
    assert_eq!(step("wrong_version"), "status=PROG_MISMATCH low=1 high=1");
    assert_eq!(step("wrong_program"), "status=PROG_UNAVAIL");
    assert_eq!(step("long_name"), "status=GARBAGE_ARGS bytes=300");
    assert!(step("auth_sys").starts_with("version="));
    assert_eq!(step("done"), "steps=30");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_by_rpcgen_calls_our_daemon() {
    if let Some(steps) = call_with_the_c_client(&[]).await {
        check(&steps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_by_rpcgen_sends_its_records_in_many_fragments() {
    if let Some(steps) = call_with_the_c_client(&["--fragment", "400"]).await {
        check(&steps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_by_rpcgen_calls_our_daemon_by_udp() {
    if let Some(steps) = walk_with_the_c_client(daemon_by_udp().await, &["--udp", "5000"]).await {
        check(&steps);
    }
}

/// It creates, defines and destroys domains: what runs twice would fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_by_rpcgen_sends_its_calls_again_and_our_daemon_executes_each_once() {
    let address = bad_way_to(daemon_by_udp().await).await;
    if let Some(steps) = walk_with_the_c_client(address, &["--udp", "50"]).await {
        check(&steps);
    }
}

/// The C server, which ends with this handle: it reads until its standard input ends.
struct CServer {
    child: Child,
    port: u16,
}

impl CServer {
    fn start(arguments: &[&str]) -> Option<Self> {
        let mut child = Command::new(programs()?.file("server"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port=").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Some(Self { child, port })
    }
}

impl Drop for CServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn call_the_c_server(arguments: &[&str]) {
    let Some(server) = CServer::start(arguments) else { return };
    let client = Client::connect_tcp(("127.0.0.1", server.port)).await.unwrap();
    client.null(GUEST, 1).await.unwrap();
    assert_eq!(client.call(&GetVersion).await.unwrap().unwrap(), 42_000_001);
    assert_eq!(client.call(&ListDomains).await.unwrap().unwrap().ids, [1, 2, 7]);
    let found = client.call(&DomainLookupByName { name: "alpha".into() }).await.unwrap().unwrap();
    assert_eq!((found.id, found.uuid.to_string().as_str()), (1, "a1010203-0405-0607-0809-0a0b0c0d0e0f"));
    let info = client.call(&DomainGetInfo { uuid: found.uuid }).await.unwrap().unwrap();
    assert_eq!((info.runstate, info.cpu_time), (RunState::Running, 0x0102_0304_0506_0708));
    let xml = client.call(&DomainDumpXml { uuid: found.uuid }).await.unwrap().unwrap().xml;
    assert_eq!(xml.len(), 60_000);
    let failure = client.call(&DomainLookupByName { name: "omega".into() }).await.unwrap().unwrap_err();
    assert_eq!(failure.code, Code::NoDomain);
    let failure = client.call(&GetNodeInfo).await.unwrap().unwrap_err();
    assert_eq!(failure.code, Code::NoSupport);
    let mismatch = client.null(GUEST, 9).await.unwrap_err();
    assert!(matches!(mismatch, CallError::ProgMismatch { low: 1, high: 1 }), "{mismatch}");
    let unavailable = client.null(GUEST + 1, 1).await.unwrap_err();
    assert!(matches!(unavailable, CallError::ProgUnavail { .. }), "{unavailable}");

    let unix = AuthSys { stamp: 7, machine_name: "here".into(), uid: 1000, gid: 1001, gids: vec![5, 6] };
    let options = CallOptions::default().with_credential(Credential::Sys(unix).to_opaque().unwrap());
    assert_eq!(client.with_options(options).call(&GetVersion).await.unwrap().unwrap(), 42_000_001);
}

#[tokio::test]
async fn our_client_calls_a_libtirpc_server_by_udp() {
    let Some(server) = CServer::start(&["--udp"]) else { return };
    let client = UdpClient::connect(("127.0.0.1", server.port)).await.unwrap();
    ask_the_c_server(&client).await;
}

#[tokio::test]
async fn our_client_sends_its_calls_again_to_a_libtirpc_server() {
    let Some(server) = CServer::start(&["--udp"]) else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(bad_way_to(([127, 0, 0, 1], server.port).into()).await).await.unwrap();
    let mut config = DatagramClientConfig::default();
    (config.first_wait, config.max_wait, config.max_tries) =
        (Duration::from_millis(50), Duration::from_millis(50), 100);
    ask_the_c_server(&UdpClient::with_config(socket, config).unwrap()).await;
}

async fn ask_the_c_server(client: &UdpClient) {
    client.null(GUEST, 1).await.unwrap();
    assert_eq!(client.call(&GetVersion).await.unwrap().unwrap(), 42_000_001);
    let found = client.call(&DomainLookupByName { name: "alpha".into() }).await.unwrap().unwrap();
    let xml = client.call(&DomainDumpXml { uuid: found.uuid }).await.unwrap().unwrap().xml;
    assert_eq!(xml.len(), 60_000);
    let failure = client.call(&DomainLookupByName { name: "omega".into() }).await.unwrap().unwrap_err();
    assert_eq!(failure.code, Code::NoDomain);
    let mismatch = client.null(GUEST, 9).await.unwrap_err();
    assert!(matches!(mismatch, CallError::ProgMismatch { low: 1, high: 1 }), "{mismatch}");
    let unavailable = client.null(GUEST + 1, 1).await.unwrap_err();
    assert!(matches!(unavailable, CallError::ProgUnavail { .. }), "{unavailable}");
    let unix = AuthSys { stamp: 7, machine_name: "here".into(), uid: 1000, gid: 1001, gids: vec![5, 6] };
    let options = CallOptions::default().with_credential(Credential::Sys(unix).to_opaque().unwrap());
    assert_eq!(client.clone().with_options(options).call(&GetVersion).await.unwrap().unwrap(), 42_000_001);
}

#[tokio::test]
async fn our_client_calls_a_libtirpc_server() {
    call_the_c_server(&[]).await;
}

#[tokio::test]
async fn our_client_reads_replies_in_many_fragments() {
    call_the_c_server(&["--fragment", "400"]).await;
}

#[tokio::test]
async fn a_libtirpc_server_reads_many_calls_in_flight() {
    let Some(server) = CServer::start(&[]) else { return };
    let client = Client::connect_tcp(("127.0.0.1", server.port)).await.unwrap();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call(&ListDomains).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().unwrap().ids.len(), 3);
    }
}
