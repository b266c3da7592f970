//! Daemons in processes of their own, and their clients.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use qemud_proto::client;
use qemud_proto::failure::{Code, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::Procedure;
use rpc_frame::tokio::Client;

use crate::scene::Scene;

/// A daemon in a process of its own, killed at the latest when its test ends.
pub(crate) struct Guestd(pub(crate) Child);

impl Drop for Guestd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What starts a daemon, without what the environment of the test would tell it.
pub(crate) fn guestd(scene: &Scene) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_guestd")), scene)
}

pub(crate) fn prepared(mut command: Command, scene: &Scene) -> Command {
    for variable in ["GUESTD_DEFAULT_URI", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(["--driver", "qemu", "--unix", &scene.text("sock")]);
    command.args(["--config-dir", &scene.text("etc"), "--state-dir", &scene.text("run")]);
    command
}

/// Starts a daemon that serves.
pub(crate) fn serve(command: Command) -> Guestd {
    serve_with_log(command, Stdio::null())
}

pub(crate) fn serve_with_log(mut command: Command, log: Stdio) -> Guestd {
    let mut daemon = Guestd(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening unix "), "the daemon does not serve: {line}");
    daemon
}

fn uri(scene: &Scene) -> String {
    format!("qemu+unix:///session?socket={}", scene.text("sock"))
}

pub(crate) fn guestctl(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestctl"));
    command.env_remove("GUESTD_DEFAULT_URI").env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(["--connect", &uri(scene)]).args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
pub(crate) fn succeed(scene: &Scene, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = guestctl(scene, arguments).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// How a domain is: `running`, `paused` or `shut off`; or that there is none.
pub(crate) fn state(scene: &Scene, name: &str) -> String {
    let output = guestctl(scene, &["domstate", name]).output().unwrap();
    if output.status.success() {
        return String::from_utf8(output.stdout).unwrap().trim().to_owned();
    }
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.contains("NoDomain (42)"), "{says}");
    "none".to_owned()
}

/// A connection to a daemon, with the calls that tests need.
#[derive(Clone)]
pub(crate) struct Caller(Client);

impl Caller {
    pub(crate) async fn connect(scene: &Scene) -> Self {
        Self(client::connect(&uri(scene).parse().unwrap()).await.unwrap())
    }

    /// None where the connection is lost before the reply has come.
    pub(crate) async fn try_call<T, P>(&self, call: &P) -> Option<Reply<T>>
    where
        P: Procedure<Args = P, Reply = Reply<T>>,
    {
        self.0.call(call).await.ok()
    }

    pub(crate) async fn call<T, P>(&self, call: P) -> T
    where
        P: Procedure<Args = P, Reply = Reply<T>>,
    {
        self.0.call(&call).await.unwrap().unwrap()
    }

    /// The state of a domain, or none where there is no such domain.
    pub(crate) async fn state(&self, uuid: Uuid) -> Option<RunState> {
        match self.0.call(&DomainGetInfo { uuid }).await.unwrap() {
            Ok(info) => Some(info.runstate),
            Err(failure) if failure.code == Code::NoDomain => None,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// The id of a domain; -1 where it is not active.
    pub(crate) async fn id(&self, uuid: Uuid) -> i32 {
        self.call(DomainLookupByUuid { uuid }).await.id
    }

    pub(crate) async fn define(&self, xml: String) {
        self.call(DomainDefine { xml }).await;
    }
}
