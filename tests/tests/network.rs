//! Networks that lose everything, and machines with several addresses.
//!
//! Each test starts itself again in a network namespace of its own, where it does what it likes to the loopback interface.

use std::future::pending;
use std::process::{Command, Stdio};
use std::time::Duration;

use rpc_frame::tokio::{
    CallError, CallOptions, Client, ClosedError, ReconnectPolicy, ReconnectingClient, Server, UdpClient, notice_silence,
};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, DatagramClientConfig, ProcedureTable, program};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use xdr_tests::foreign_tool::require;
use xdr_tests::namespace::Namespaces;

/// As root, as a user who is root inside, as one with sudo. There are two addresses beside the usual ones.
const NETWORK: Namespaces = Namespaces {
    ways: &[&["unshare", "--net"], &["unshare", "--map-root-user", "--net"], &["sudo", "-n", "unshare", "--net"]],
    tools: &["nft"],
    prepare: r#"
ip link set lo up && ip address add 192.0.2.1/32 dev lo && ip address add 192.0.2.2/32 dev lo &&
ip address add 2001:db8::1/128 dev lo nodad && ip address add 2001:db8::2/128 dev lo nodad && exec "$@"
"#,
    works: &["nft", "list", "ruleset"],
    wanted: "a network of its own needs root, user namespaces, or sudo",
};

/// Makes rules of the packets that arrive, or takes them away again.
fn nft(rules: &[&str]) {
    let done = Command::new(require("nft").unwrap()).args(rules).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// From here on every packet is lost, and nobody is told.
fn swallow() {
    nft(&["add table inet hole; add chain inet hole input { type filter hook input priority 0; policy drop; }"]);
}

fn let_through() {
    nft(&["delete table inet hole"]);
}

/// Waits until its server ends.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = 0x2000_0042, version = 1, proc = 1)]
struct Hold;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 0x2000_0042, version = 1, proc = 2, reply = u32, idempotent)]
struct Double {
    number: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = 0x2000_0042, version = 1, service = DeskService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Desk {
    Hold(Hold),
    Double(Double),
}

/// Tells the test of each call that it holds.
struct Clerk(mpsc::UnboundedSender<()>);

impl DeskService for Clerk {
    async fn hold(&self, _: &Context, _: Hold) {
        self.0.send(()).unwrap();
        pending().await
    }

    async fn double(&self, _: &Context, args: Double) -> u32 {
        args.number * 2
    }
}

/// A client of a server at an address of this machine, whose calls have all the time of the world.
async fn connected() -> (ReconnectingClient, mpsc::UnboundedReceiver<()>) {
    let (told, held) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("192.0.2.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(program::<Desk, _>(Clerk(told)));
    tokio::spawn(async move { server.serve(listener).await });
    let client = ReconnectingClient::new(move || async move {
        let stream = TcpStream::connect(address).await?;
        notice_silence(&stream, Duration::from_secs(4))?;
        Ok(Client::new(stream))
    });
    let policy = ReconnectPolicy::default().with_tries(100).with_patience(Duration::from_secs(2));
    (client.with_policy(policy).with_options(CallOptions::default().with_timeout(None)), held)
}

/// Longest time for one step. What is waited for comes sooner, or, without what is tested, a quarter of an hour later.
const STEP: Duration = Duration::from_secs(40);

/// The system has given the connection up.
fn assert_given_up(why: &ClosedError) {
    assert!(matches!(why, ClosedError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut), "{why:?}");
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_missed_while_a_call_waits() {
    if !NETWORK.are_around("a_network_that_swallows_everything_is_missed_while_a_call_waits") {
        return;
    }
    let (client, mut held) = connected().await;
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call(&Hold).await }
    });
    timeout(STEP, held.recv()).await.unwrap().unwrap();
    let connection = client.client().await.unwrap();
    swallow();
    let error = timeout(STEP, calling).await.expect("the call ends").unwrap().unwrap_err();
    assert!(matches!(&error, CallError::Closed(why) if { assert_given_up(why); true }), "{error:?}");
    assert!(error.may_have_run());
    assert_given_up(&connection.closed().await);
    let_through();
    assert_eq!(timeout(STEP, client.call(&Double { number: 4 })).await.unwrap().unwrap(), 8);
}

#[tokio::test]
async fn a_call_that_a_network_has_swallowed_is_made_again_when_there_is_another_connection() {
    if !NETWORK.are_around("a_call_that_a_network_has_swallowed_is_made_again_when_there_is_another_connection") {
        return;
    }
    let (client, _held) = connected().await;
    assert_eq!(client.call(&Double { number: 1 }).await.unwrap(), 2);
    let connection = client.client().await.unwrap();
    swallow();
    let calling = tokio::spawn(async move { client.call(&Double { number: 2 }).await });
    assert_given_up(&timeout(STEP, connection.closed()).await.expect("it is given up"));
    let_through();
    assert_eq!(timeout(STEP, calling).await.unwrap().unwrap().unwrap(), 4);
}

/// NULL of this program.
fn null() -> Vec<u8> {
    [7, 0, 2, 0x2000_0042, 1, 0, 0, 0, 0, 0_u32].map(u32::to_be_bytes).concat()
}

#[tokio::test]
async fn a_call_by_udp_is_answered_from_the_address_that_it_came_to() {
    if !NETWORK.are_around("a_call_by_udp_is_answered_from_the_address_that_it_came_to") {
        return;
    }
    // Where the server listens, the client, and what it calls. To be answered from elsewhere is what the way back to the
    // client asks for.
    for (everywhere, own, called) in [
        ("0.0.0.0:0", "192.0.2.1:0", "192.0.2.2"),
        ("0.0.0.0:0", "127.0.0.1:0", "192.0.2.1"),
        ("[::]:0", "[2001:db8::1]:0", "2001:db8::2"),
        ("[::]:0", "[::1]:0", "2001:db8::1"),
        ("[::]:0", "192.0.2.1:0", "192.0.2.2"),
        ("192.0.2.2:0", "192.0.2.1:0", "192.0.2.2"),
    ] {
        let socket = UdpSocket::bind(everywhere).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let server = Server::new(program::<Desk, _>(Clerk(mpsc::unbounded_channel().0)));
        let serving = tokio::spawn(async move { server.serve_udp(socket).await });
        let socket = UdpSocket::bind(own).await.unwrap();
        socket.connect((called, port)).await.unwrap();
        let client = UdpClient::with_config(socket, DatagramClientConfig::default()).unwrap();
        let reply = timeout(Duration::from_secs(20), client.call(&Double { number: 4 })).await;
        assert!(matches!(reply, Ok(Ok(8))), "{own} calls {called} of {everywhere}: {reply:?}");
        serving.abort();
    }
}

/// As the datagram does for which a socket was handed to a new server.
#[tokio::test]
async fn a_call_by_udp_that_came_before_its_socket_was_served_is_answered_from_where_it_came_to() {
    if !NETWORK.are_around("a_call_by_udp_that_came_before_its_socket_was_served_is_answered_from_where_it_came_to") {
        return;
    }
    for (everywhere, own, called) in [
        ("0.0.0.0:0", "192.0.2.1:0", "192.0.2.2"),
        ("[::]:0", "[2001:db8::1]:0", "2001:db8::2"),
        ("[::]:0", "192.0.2.1:0", "192.0.2.2"),
    ] {
        let socket = UdpSocket::bind(everywhere).await.unwrap();
        let client = UdpSocket::bind(own).await.unwrap();
        client.connect((called, socket.local_addr().unwrap().port())).await.unwrap();
        client.send(&null()).await.unwrap();
        let server = Server::new(program::<Desk, _>(Clerk(mpsc::unbounded_channel().0)));
        let serving = tokio::spawn(async move { server.serve_udp(socket).await });
        let mut reply = [0; 64];
        let len = timeout(STEP, client.recv(&mut reply)).await.expect("an answer").unwrap();
        assert_eq!(reply[..len], [7, 1, 0, 0, 0, 0_u32].map(u32::to_be_bytes).concat(), "{called} of {everywhere}");
        serving.abort();
    }
}

#[tokio::test]
async fn a_call_to_everybody_is_answered_by_udp_from_an_address_that_somebody_has() {
    if !NETWORK.are_around("a_call_to_everybody_is_answered_by_udp_from_an_address_that_somebody_has") {
        return;
    }
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let socket = UdpSocket::bind(everywhere).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let server = Server::new(program::<Desk, _>(Clerk(mpsc::unbounded_channel().0)));
        let serving = tokio::spawn(async move { server.serve_udp(socket).await });
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(&null(), ("127.255.255.255", port)).await.unwrap();
        let mut reply = [0; 64];
        let (len, from) = timeout(STEP, socket.recv_from(&mut reply)).await.expect("an answer").unwrap();
        assert_eq!(reply[..len], [7, 1, 0, 0, 0, 0_u32].map(u32::to_be_bytes).concat());
        assert!(from.ip().is_loopback() && !from.ip().to_string().ends_with("255"), "{from}");
        serving.abort();
    }
}
