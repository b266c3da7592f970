//! The host of a test: a network namespace that nothing else is in, made by starting the test again inside of it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::foreign_tool::{missing, require};

/// Set inside of the namespace.
const INSIDE: &str = "GUESTD_TESTS_NETWORKS_INSIDE";

/// Longest time for one test inside, in seconds.
const PATIENCE: &str = "120";

/// Processes are in a namespace too, which ends with the test: so does every dnsmasq.
const NAMESPACES: [&str; 5] = ["--net", "--mount-proc", "--pid", "--fork", "--kill-child"];

/// The ways into it: as root, as a user who is root inside, as one with sudo.
const WAYS: [&[&str]; 3] = [&["unshare"], &["unshare", "--map-root-user"], &["sudo", "-n", "unshare"]];

/// The last step: with all rights of an administrator, or without the right to change networks.
pub(super) const WITH_RIGHTS: &[&str] = &["env"];
pub(super) const WITHOUT_RIGHTS: &[&str] = &["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "env"];

/// What happens first inside. The kernel's settings must be those of this namespace, and not be read-only.
const PREPARE: &str = "ip link set lo up && echo 0 >/proc/sys/net/ipv4/ip_forward && exec \"$@\"";

/// True inside of the namespace. Outside it runs the test `name` inside, and the caller is to return.
#[track_caller]
pub(super) fn inside(name: &str, rights: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    for tool in ["unshare", "ip", "nft", "dnsmasq", "setpriv", "timeout"] {
        if require(tool).is_none() {
            return false;
        }
    }
    let works = |way: &&&[&str]| {
        let mut attempt = Command::new(way[0]);
        attempt.args(&way[1..]).args(NAMESPACES).args(["sh", "-c", PREPARE, "sh", "true"]).stdin(Stdio::null());
        attempt.output().is_ok_and(|output| output.status.success())
    };
    let Some(way) = WAYS.iter().find(works) else {
        missing("networks need a namespace of their own, from root, user namespaces or sudo");
        return false;
    };
    // A binary of tests is called after its crate, which is no part of the tests' names.
    let path = module_path!().split_once("::").unwrap().1.rsplit_once("::").unwrap().0;
    let name = format!("{path}::{name}");
    let output = Command::new("timeout")
        .args(["--kill-after=5", PATIENCE])
        .args(*way)
        .args(NAMESPACES)
        .args(["sh", "-c", PREPARE, "sh"])
        .args(rights)
        .arg(format!("{INSIDE}=1"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "inside of the namespace ({}):\n{told}", output.status);
    assert!(told.contains("1 passed"), "no test inside is called {name}:\n{told}");
    if let Some((_, what)) = told.lines().find_map(|line| line.split_once("SKIPPED: ")) {
        missing(what);
    }
    false
}

/// What a program of the host prints, when it succeeds.
pub(super) fn attempt(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(require(program).unwrap()).args(arguments).stdin(Stdio::null()).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[track_caller]
pub(super) fn ip(arguments: &[&str]) {
    attempt("ip", arguments).unwrap();
}

/// What `ip` tells of an interface; nothing where there is none.
pub(super) fn interface(name: &str) -> Option<Value> {
    let told = attempt("ip", &["-json", "-details", "address", "show", "dev", name]).ok()?;
    let list: Value = serde_json::from_str(&told).unwrap();
    Some(list[0].clone())
}

/// All rules of nftables, as text.
pub(super) fn rules() -> String {
    attempt("nft", &["list", "ruleset"]).unwrap()
}

pub(super) fn setting(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned()
}

/// Another machine: a namespace of its own, in which a process does what an ignored test does. It waits for each line
/// before it goes on.
pub(super) struct Machine {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Machine {
    /// Starts a machine with an interface `eth0`, whose other end is `port` here.
    pub(super) fn start(role: &str, port: &str) -> Self {
        let path = module_path!().split_once("::").unwrap().1.rsplit_once("::").unwrap().0;
        let mut child = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{path}::{role}"), "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut machine = Self { child, stdin, stdout };
        machine.hear("ready");
        let machine_id = machine.child.id().to_string();
        ip(&["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", &machine_id]);
        machine
    }

    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// Waits for a line that begins so; returns the rest.
    #[track_caller]
    pub(super) fn hear(&mut self, beginning: &str) -> String {
        let mut all = String::new();
        loop {
            let begin = all.len();
            let length = self.stdout.read_line(&mut all).unwrap();
            assert!(length > 0, "no '{beginning}' in what it said:\n{all}");
            // Behind the name of the test, which the harness prints first.
            if let Some((_, rest)) = all[begin..].split_once(&format!("machine: {beginning}")) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a machine says to its host.
pub(super) fn say(line: &str) {
    println!("machine: {line}");
}

/// What its host says to a machine.
pub(super) fn listen() -> String {
    let mut line = String::new();
    assert!(std::io::stdin().read_line(&mut line).unwrap() > 0, "the host has left");
    line.trim().to_owned()
}
