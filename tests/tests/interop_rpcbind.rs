//! The real `rpcbind`: what we register it lists, what others register we find.
//!
//! rpcbind listens on every address and at a fixed path, so it runs in network and mount namespaces of its own: each
//! test starts itself again inside of them, where a fresh `/run` and a loopback interface are all that there is.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::messages::GUEST;
use rpc_frame::Procedure;
use rpc_frame::rpcbind::version2::Mapping;
use rpc_frame::rpcbind::{
    Netbuf, PROGRAM, Registration, Rpcb, Rpcbind, RpcbindError, Service, Uaddr, UniversalAddress, netid, version2,
    version3, version4,
};
use rpc_frame::tokio::{Client, ServerConfig};
use xdr_tests::foreign_tool::require;
use xdr_tests::namespace::Namespaces;

/// Set for a process of another user, inside as well.
const NOBODY: &str = "XDR_TESTS_RPCBIND_NOBODY";

/// rpcbind's socket.
const SOCKET: &str = "/run/rpcbind.sock";

/// As root, as a user with subordinate ids (rpcbind changes its user), as one with sudo. There is a `/run` that nobody else
/// sees.
const NETWORK: Namespaces = Namespaces {
    ways: &[
        &["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"],
        &["unshare", "--map-root-user", "--map-auto", "--net", "--mount", "--pid", "--fork", "--kill-child"],
        &["sudo", "-n", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"],
    ],
    tools: &["rpcbind", "rpcinfo", "mount"],
    prepare: r#"
ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 777 /run/rpcbind && exec "$@"
"#,
    works: &["true"],
    wanted: "rpcbind needs a network and a `/run` of its own, from root, newuidmap with subordinate ids, or sudo",
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// rpcbind, until the value is dropped.
struct Running(Child);

impl Running {
    /// Starts it, and waits until it answers. That it listens is not enough: its unix socket is there before the others.
    async fn start() -> Self {
        let rpcbind = require("rpcbind").expect("it was there outside");
        let daemon = Self(Command::new(rpcbind).arg("-f").stdin(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while let Err(error) = Rpcbind::at_socket(SOCKET).list().await {
            assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
            tokio::task::yield_now().await;
        }
        daemon
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What rpcinfo prints.
fn rpcinfo(arguments: &[&str]) -> Output {
    Command::new(require("rpcinfo").unwrap()).args(arguments).output().unwrap()
}

/// The lines of `rpcinfo` with our program, their columns separated by one blank.
fn lines(arguments: &[&str]) -> Vec<String> {
    let printed = text(&rpcinfo(arguments).stdout);
    let columns = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    columns.filter(|line| line.starts_with(&GUEST.to_string())).collect()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

// ---- registrations ----

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_server_is_found_and_reached_by_rpcinfo_until_it_unregisters() {
    if !NETWORK.are_around("a_registered_server_is_found_and_reached_by_rpcinfo_until_it_unregisters") {
        return;
    }
    let _daemon = Running::start().await;
    let server = Daemon::new(Arc::new(TestDriver::new())).into_server(ServerConfig::default());
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rpcbind = Rpcbind::local();
    let tcp = [listener.local_addr().unwrap()];
    let registration = Registration::of_server(&rpcbind, &server, &tcp, &[]).await.unwrap();
    tokio::spawn(async move { server.serve(listener).await });

    assert_eq!(lines(&["-p"]), [format!("{GUEST} 1 tcp {port}")]);
    let address = format!("0.0.0.0.{}.{}", port >> 8, port & 0xff);
    assert_eq!(lines(&[]), [format!("{GUEST} 1 tcp {address} - superuser")]);
    // libtirpc asks rpcbind for the address, and calls procedure 0 there.
    let reach = || rpcinfo(&["-T", "tcp", "127.0.0.1", &GUEST.to_string(), "1"]);
    let reached = tokio::task::spawn_blocking(reach).await.unwrap();
    assert_eq!(text(&reached.stdout), format!("program {GUEST} version 1 ready and waiting\n"), "{reached:?}");
    // So do we, through the socket, which has the list only, and by TCP.
    for rpcbind in [&rpcbind, &Rpcbind::connect(at("127.0.0.1:111")).await.unwrap()] {
        let found = rpcbind.address_of(GUEST, 1, netid::TCP).await.unwrap().unwrap().socket_addr().unwrap();
        assert_eq!(found, SocketAddr::from(([127, 0, 0, 1], port)));
        Client::connect_tcp(found).await.unwrap().null(GUEST, 1).await.unwrap();
    }

    registration.unregister().await.unwrap();
    assert_eq!((lines(&["-p"]), lines(&[])), (vec![], vec![]));
    assert_eq!(rpcbind.address_of(GUEST, 1, netid::TCP).await.unwrap(), None);
    let reached = tokio::task::spawn_blocking(reach).await.unwrap();
    assert!(text(&reached.stderr).contains("Program not registered"), "{reached:?}");
}

#[tokio::test]
async fn every_transport_is_kept_apart_and_stale_entries_are_replaced() {
    if !NETWORK.are_around("every_transport_is_kept_apart_and_stale_entries_are_replaced") {
        return;
    }
    let _daemon = Running::start().await;
    let rpcbind = Rpcbind::local();
    let services = |port: u16| {
        [
            Service::tcp(GUEST, 1, SocketAddr::from(([0, 0, 0, 0], port))),
            Service::tcp(GUEST, 1, SocketAddr::from(([0; 8], port))),
            Service::new(GUEST, 1, netid::UDP, &at("127.0.0.1:2049").into()),
            Service::new(GUEST, 1, netid::LOCAL, &"/run/guest.sock".parse().unwrap()),
        ]
    };
    // Left behind by a process that has ended otherwise.
    for service in services(2048) {
        rpcbind.set(&service).await.unwrap();
    }
    let stale = Service::tcp(GUEST, 1, at("0.0.0.0:2049"));
    let error = rpcbind.set(&stale).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Refused { .. }), "{error}");

    let first = Registration::new(&rpcbind, services(2049)).await.unwrap();
    let mut found = Vec::new();
    for netid in [netid::TCP, netid::TCP6, netid::UDP, netid::LOCAL] {
        found.push(rpcbind.address_of(GUEST, 1, netid).await.unwrap().unwrap().to_string());
    }
    assert_eq!(found, ["127.0.0.1.8.1", "::1.8.1", "127.0.0.1.8.1", "/run/guest.sock"]);
    let by_tcp6 = Rpcbind::connect("[::1]:111").await.unwrap();
    assert_eq!(by_tcp6.address_of(GUEST, 1, netid::TCP6).await.unwrap(), Some(at("[::1]:2049").into()));

    // Who comes later has the place, and keeps it when the earlier one goes.
    let second = Registration::new(&rpcbind, services(2050)).await.unwrap();
    first.unregister().await.unwrap();
    let ours = |listed: Vec<Service>| listed.into_iter().filter(|service| service.program == GUEST).count();
    // Those of UDP and of the unix socket have the same address in both; they are the first one's as well.
    assert_eq!(ours(rpcbind.list().await.unwrap()), 2);
    drop(second);
    let begun = Instant::now();
    while ours(rpcbind.list().await.unwrap()) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "what was dropped is still there");
    }
}

#[tokio::test]
async fn an_entry_of_another_user_can_neither_be_replaced_nor_removed() {
    let name = "an_entry_of_another_user_can_neither_be_replaced_nor_removed";
    let service = Service::tcp(GUEST, 1, at("0.0.0.0:2049"));
    let other = Service::tcp(GUEST, 2, at("0.0.0.0:2049"));
    if std::env::var_os(NOBODY).is_some() {
        // The other user, who may register what is free, and may not touch what is not.
        let rpcbind = Rpcbind::local();
        assert!(!rpcbind.unset(GUEST, 1, netid::TCP).await.unwrap());
        // At the same address rpcbind would say that it is done.
        let elsewhere = Service::tcp(GUEST, 1, at("0.0.0.0:2050"));
        let error = Registration::new(&rpcbind, [other.clone(), elsewhere]).await.unwrap_err();
        assert!(matches!(error, RpcbindError::Refused { service } if service.version == 1));
        rpcbind.set(&other).await.unwrap();
        return;
    }
    if require("setpriv").is_none() || !NETWORK.are_around(name) {
        return;
    }
    let _daemon = Running::start().await;
    let rpcbind = Rpcbind::local();
    rpcbind.set(&service).await.unwrap();
    // Where that user can read it, whatever the folder is that cargo has put it into.
    fs::copy(std::env::current_exe().unwrap(), "/run/nobody").unwrap();
    fs::set_permissions("/run/nobody", fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/run/nobody", "--exact", name, "--nocapture"])
        .env(NOBODY, "1")
        .current_dir("/")
        .output()
        .unwrap();
    assert!(nobody.status.success(), "{}{}", text(&nobody.stdout), text(&nobody.stderr));
    let mut listed = lines(&[]);
    listed.sort();
    assert_eq!(
        listed,
        [format!("{GUEST} 1 tcp 0.0.0.0.8.1 - superuser"), format!("{GUEST} 2 tcp 0.0.0.0.8.1 - 65534")]
    );
}

// ---- lookups ----

#[tokio::test]
async fn lookups_go_by_tcp_where_there_is_no_socket_and_registrations_do_not() {
    if !NETWORK.are_around("lookups_go_by_tcp_where_there_is_no_socket_and_registrations_do_not") {
        return;
    }
    let daemon = Running::start().await;
    let rpcbind = Rpcbind::local();
    let listed = rpcbind.list().await.unwrap();
    let own = |netid: &str| listed.iter().any(|service| service.program == PROGRAM && service.netid == netid);
    assert!([netid::TCP, netid::UDP, netid::LOCAL].into_iter().all(own), "{listed:?}");
    fs::remove_file(SOCKET).unwrap();
    assert_eq!(rpcbind.list().await.unwrap(), listed);
    let found = rpcbind.address_of(PROGRAM, 4, netid::TCP).await.unwrap();
    assert_eq!(found, Some(UniversalAddress::Ip(at("127.0.0.1:111"))));
    let error = rpcbind.set(&Service::tcp(GUEST, 1, at("0.0.0.0:2049"))).await.unwrap_err();
    let expected = format!("cannot reach rpcbind at {SOCKET}: No such file or directory (os error 2)");
    assert_eq!(error.to_string(), expected);
    drop(daemon);
    let error = rpcbind.list().await.unwrap_err();
    assert!(error.to_string().contains("or by TCP at 127.0.0.1:111: Connection refused"), "{error}");
}

#[tokio::test]
async fn a_registration_from_elsewhere_than_the_loopback_interface_is_refused() {
    if !NETWORK.are_around("a_registration_from_elsewhere_than_the_loopback_interface_is_refused") {
        return;
    }
    let address = Command::new("ip").args(["addr", "add", "10.9.9.9/24", "dev", "lo"]).status().unwrap();
    assert!(address.success());
    let _daemon = Running::start().await;
    let rpcbind = Rpcbind::connect("10.9.9.9:111").await.unwrap();
    let error = rpcbind.set(&Service::tcp(GUEST, 1, at("0.0.0.0:2049"))).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Refused { .. }), "{error}");
    // Who asks by that address is told that address.
    let found = rpcbind.address_of(PROGRAM, 4, netid::TCP).await.unwrap();
    assert_eq!(found, Some(UniversalAddress::Ip(at("10.9.9.9:111"))));
    assert_eq!(rpcbind.address_of(GUEST, 1, netid::TCP).await.unwrap(), None);
}

#[tokio::test]
async fn every_other_procedure_is_understood_in_both_directions() {
    if !NETWORK.are_around("every_other_procedure_is_understood_in_both_directions") {
        return;
    }
    async fn call<P: Procedure>(client: &Client, args: P::Args) -> P::Reply {
        client.call_procedure::<P>(&args).await.unwrap_or_else(|error| panic!("{}: {error}", P::NAME))
    }
    let _daemon = Running::start().await;
    let client = Client::connect_tcp("127.0.0.1:111").await.unwrap();
    let tcp = |port| Mapping { program: GUEST, version: 5, protocol: version2::IPPROTO_TCP, port };
    let rpcb = |program, version| Rpcb { program, version, netid: "tcp".into(), ..Rpcb::default() };
    // Version 2.
    assert!(call::<version2::Set>(&client, tcp(2049)).await);
    assert_eq!(call::<version2::GetPort>(&client, tcp(0)).await, 2049);
    assert!(call::<version2::Dump>(&client, ()).await.entries.contains(&tcp(2049)));
    // Version 3, which has an address of another version rather than none.
    let address = Uaddr("127.0.0.1.8.1".into());
    assert_eq!(call::<version3::GetAddr>(&client, rpcb(GUEST, 5)).await, address);
    assert_eq!(call::<version3::GetAddr>(&client, rpcb(GUEST, 6)).await, address);
    assert!(call::<version3::GetTime>(&client, ()).await > 1_700_000_000);
    let netbuf = call::<version3::Uaddr2Taddr>(&client, address.clone()).await;
    assert_eq!(netbuf.bytes[2..8], [8, 1, 127, 0, 0, 1]);
    assert_eq!(call::<version3::Taddr2Uaddr>(&client, Netbuf { max_len: 16, ..netbuf }).await, address);
    let entries = call::<version3::Dump>(&client, ()).await.entries;
    assert!(entries.iter().any(|entry| (entry.program, entry.address.to_string()) == (GUEST, "0.0.0.0.8.1".into())));
    // Version 4.
    assert_eq!(call::<version4::GetVersAddr>(&client, rpcb(GUEST, 6)).await, Uaddr::default());
    let list = call::<version4::GetAddrList>(&client, rpcb(GUEST, 5)).await.entries;
    let [entry] = &list[..] else { panic!("one address: {list:?}") };
    assert_eq!((entry.address.to_string(), entry.protocol_family.to_string()), ("127.0.0.1.8.1".into(), "inet".into()));
    let stat = call::<version4::GetStat>(&client, ()).await.0;
    assert_eq!((stat[0].sets, stat[0].calls[1..=4].to_vec()), (1, vec![1, 0, 1, 1]));
    assert_eq!((stat[1].calls[3], stat[1].addresses.len(), stat[2].calls[9]), (2, 2, 1));
    assert!(call::<version2::Unset>(&client, tcp(0)).await);
    assert_eq!(call::<version2::GetPort>(&client, tcp(0)).await, 0);
}
