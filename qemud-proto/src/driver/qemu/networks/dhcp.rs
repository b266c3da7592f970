//! DHCP, and names where the network forwards: dnsmasq, which outlives the daemon and is found again by its pid file.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::plan::{DhcpPlan, Plan};
use crate::driver::qemu::process::Process;
use crate::driver::qemu::programs::{self, Programs};
use crate::failure::Reply;

/// How long dnsmasq may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The user that dnsmasq becomes when it needs no more rights; its own is `dnsmasq` or `nobody`.
const NOBODY: u32 = 65_534;

/// The files of one dnsmasq, called after the network's UUID: a name could hold anything.
pub(super) struct Files {
    pid: PathBuf,
    leases: PathBuf,
}

impl Files {
    pub(super) fn of(plan: &Plan, state: &Path) -> Self {
        let file = |suffix: &str| state.join(format!("{}.{suffix}", plan.uuid));
        Self { pid: file("pid"), leases: file("leases") }
    }

    /// The argument with which our dnsmasq was started, and no other process.
    fn pid_argument(&self) -> OsString {
        joined("--pid-file=", &self.pid)
    }

    /// The dnsmasq that runs.
    fn running(&self) -> Option<Process> {
        let pid: i32 = fs::read_to_string(&self.pid).ok()?.trim().parse().ok()?;
        // The number may belong to another process by now; the handle keeps to the one that is looked at.
        let process = Process::open(pid).ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let own = self.pid_argument();
        line.split(|byte| *byte == 0).any(|argument| argument == own.as_bytes()).then_some(process)
    }

    fn remove(&self) -> io::Result<()> {
        for file in [&self.pid, &self.leases] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Hands out addresses in a network whose bridge is up; goes on with the dnsmasq that may run.
pub(super) async fn begin(plan: &Plan, dhcp: &DhcpPlan, state: &Path, programs: &Programs) -> Reply<()> {
    let files = Files::of(plan, state);
    if files.running().is_some() {
        return Ok(());
    }
    let what = "cannot hand out addresses";
    let Some(dnsmasq) = programs.find("dnsmasq") else {
        return Err(plan.failed(what, &"the program dnsmasq is missing"));
    };
    let arguments = arguments(plan, dhcp, &files);
    // It ends as soon as another process of it listens, or says why it cannot.
    programs::run(&dnsmasq, &arguments, &[]).await.map_err(|why| plan.failed(what, &why))
}

/// The dnsmasq of a network, if it runs.
pub(super) fn running(plan: &Plan, state: &Path) -> Option<Process> {
    Files::of(plan, state).running()
}

/// Ends the dnsmasq of a network and removes its files; no error where there is none.
pub(super) async fn end(plan: &Plan, state: &Path) -> Reply<()> {
    let files = Files::of(plan, state);
    if let Some(process) = files.running() {
        // It has nothing to put in order: its files go with it.
        process.kill();
        if tokio::time::timeout(PATIENCE, process.ended()).await.is_err() {
            let why = format!("process {} goes on", process.id.pid);
            return Err(plan.failed("cannot end dnsmasq", &why));
        }
    }
    files.remove().map_err(|error| plan.failed("cannot remove the files of dnsmasq", &error))
}

/// Nothing but addresses, the bridge's name and paths of ours is in it.
fn arguments(plan: &Plan, dhcp: &DhcpPlan, files: &Files) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        // Neither the host's own configuration, nor what it would do beside.
        "--conf-file=/dev/null".into(),
        "--no-hosts".into(),
        // This bridge and nothing else of the host.
        "--bind-interfaces".into(),
        format!("--interface={}", plan.bridge).into(),
        "--except-interface=lo".into(),
        files.pid_argument(),
        joined("--dhcp-leasefile=", &files.leases),
        format!("--dhcp-lease-max={}", dhcp.leases).into(),
        // Nobody else hands out addresses here.
        "--dhcp-authoritative".into(),
        "--dhcp-no-override".into(),
    ];
    for (start, end) in &dhcp.ranges {
        arguments.push(format!("--dhcp-range={start},{end},{}", dhcp.netmask).into());
    }
    match plan.forward {
        // Guests that reach other hosts want their names, too.
        Some(_) => arguments.extend(["--domain-needed".into(), "--bogus-priv".into()]),
        // Those that do not must not ask the host's name servers either, nor be told to take the host for a router.
        None => arguments.extend(["--port=0".into(), "--dhcp-option=option:router".into()]),
    }
    if !can_change_user() {
        // Without a group there is none to become.
        arguments.extend(["--user=root".into(), "--group=".into()]);
    }
    arguments
}

/// In a user namespace there may be nobody to become; who has the rights there has none outside.
fn can_change_user() -> bool {
    let ids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/setgroups").unwrap_or_default();
    let has_nobody = ids.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => NOBODY.checked_sub(first).is_some_and(|offset| offset < count),
            _ => false,
        }
    });
    has_nobody && groups.trim() != "deny"
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut bytes = option.as_bytes().to_vec();
    bytes.extend_from_slice(path.as_os_str().as_bytes());
    OsString::from_vec(bytes)
}
