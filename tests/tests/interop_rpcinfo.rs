//! `rpcinfo` gets its NULL calls answered.

use std::process::{Command, Output};
use std::sync::Arc;

use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::messages::GUEST;
use rpc_frame::tokio::ServerConfig;
use xdr_tests::foreign_tool::{missing, require};

/// Asks a daemon on a port of its own with `rpcinfo -a ADDRESS -T TRANSPORT` and these arguments.
async fn ask_by(transport: &str, arguments: &[String]) -> Option<Output> {
    let rpcinfo = require("rpcinfo")?;
    if !std::path::Path::new("/etc/netconfig").exists() {
        missing("there is no /etc/netconfig, where rpcinfo looks transports up");
        return None;
    }
    let server = Daemon::new(Arc::new(TestDriver::new())).into_server(ServerConfig::default());
    let port = if transport == "udp" {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move { server.serve_udp(socket).await });
        port
    } else {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { server.serve(listener).await });
        port
    };
    // A universal address ends with the port's two bytes.
    let address = format!("127.0.0.1.{}.{}", port >> 8, port & 0xff);
    let mut command = Command::new(rpcinfo);
    command.args(["-a", &address, "-T", transport]).args(arguments);
    Some(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
}

async fn ask(arguments: &[String]) -> Option<Output> {
    ask_by("tcp", arguments).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_finds_the_program_ready() {
    let Some(output) = ask(&[GUEST.to_string(), "1".into()]).await else { return };
    assert_eq!(text(&output.stdout), "program 536877668 version 1 ready and waiting\n", "{}", text(&output.stderr));
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_finds_the_versions_by_itself() {
    let Some(output) = ask(&[GUEST.to_string()]).await else { return };
    assert_eq!(text(&output.stdout), "program 536877668 version 1 ready and waiting\n", "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_is_told_the_true_range_of_versions() {
    let Some(output) = ask(&[GUEST.to_string(), "7".into()]).await else { return };
    assert!(text(&output.stderr).contains("low version = 1, high version = 1"), "{}", text(&output.stderr));
    assert!(!output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_is_told_that_a_program_is_not_here() {
    let Some(output) = ask(&[(GUEST + 1).to_string(), "1".into()]).await else { return };
    assert!(text(&output.stderr).contains("Program unavailable"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_finds_the_program_ready_by_udp() {
    let Some(output) = ask_by("udp", &[GUEST.to_string(), "1".into()]).await else { return };
    assert_eq!(text(&output.stdout), "program 536877668 version 1 ready and waiting\n", "{}", text(&output.stderr));
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn rpcinfo_is_told_by_udp_what_is_not_here() {
    let Some(output) = ask_by("udp", &[GUEST.to_string(), "7".into()]).await else { return };
    assert!(text(&output.stderr).contains("low version = 1, high version = 1"), "{}", text(&output.stderr));
    let Some(output) = ask_by("udp", &[(GUEST + 1).to_string(), "1".into()]).await else { return };
    assert!(text(&output.stderr).contains("Program unavailable"), "{}", text(&output.stderr));
}
