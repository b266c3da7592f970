//! Processes of QEMU, by handles that never mean another process than the one they were made for.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The variable of its environment that tells whose guest a process is: the path of the guest's file in the state folder.
pub(super) const MARK: &str = "GUESTD_GUEST";

/// A process's place among all that ever were: numbers are given again, but not at the same tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessId {
    pub(super) pid: i32,
    /// Ticks of the clock since the machine was started.
    pub(super) started: u64,
}

/// A process that runs, or has ended since.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    handle: AsyncFd<OwnedFd>,
}

impl Process {
    /// The process of that number.
    pub(super) fn open(pid: i32) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let handle = pidfd_open(Pid::from_raw(pid).ok_or_else(gone)?, PidfdFlags::NONBLOCK)?;
        // Read after the handle was made, so that both mean the same process if it still is.
        let started = Stat::read(pid).filter(|stat| stat.runs).ok_or_else(gone)?.started;
        #[expect(
            deprecated,
            reason = "its successor is not safe; it is sound for what owns its descriptor, as this does"
        )]
        let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
        Ok(Self { id: ProcessId { pid, started }, handle })
    }

    /// The process that was noted, if it is still there.
    pub(super) fn find(id: ProcessId) -> Option<Self> {
        Self::open(id.pid).ok().filter(|process| process.id == id)
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // Its only error is that the runtime ends.
        let _ = self.handle.readable().await;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        Stat::read(self.id.pid).is_none_or(|stat| stat.started != self.id.started || !stat.runs)
    }

    /// Ends it at once; no error where it has ended.
    pub(super) fn kill(&self) {
        if let Err(error) = pidfd_send_signal(self.handle.get_ref(), Signal::KILL) {
            tracing::debug!(pid = self.id.pid, %error, "cannot kill a process");
        }
    }

    /// The processor time that it has used; none after its end.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let stat = Stat::read(self.id.pid).filter(|stat| stat.started == self.id.started)?;
        Some(Duration::from_millis(stat.used.saturating_mul(1000) / clock_ticks_per_second().max(1)))
    }
}

/// All processes with this mark.
pub(super) fn marked(mark: &Path) -> Vec<Process> {
    let wanted = format!("{MARK}={}", mark.display());
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    numbers.filter(is_marked).filter_map(|pid| Process::open(pid).ok()).collect()
}

/// What the kernel says of a process.
struct Stat {
    started: u64,
    /// Ticks, its own and those of the kernel for it.
    used: u64,
    /// False for one that has ended and that nobody has waited for.
    runs: bool,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc(5): `pid (name) state …`, where the name may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        // The state is field 3, the times are fields 14 and 15, the start is field 22.
        let user: u64 = fields.nth(10)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let started = fields.nth(6)?.parse().ok()?;
        Some(Self { started, used: user.saturating_add(system), runs: !matches!(state, "Z" | "X") })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let line = "7 (a) R (b) S 1 7 7 0 -1 4194304 1 2 3 4 50 60 7 8 20 0 1 0 12345 6";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.started, stat.used, stat.runs), (12345, 110, true));
        assert!(!Stat::parse(&line.replace("S 1", "Z 1")).unwrap().runs);
        assert!(Stat::parse("7 (a) S 1 2").is_none() && Stat::parse("").is_none());
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_mark_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("1.json");
        assert!(marked(&mark).is_empty());
        let mut child = Command::new("cat").env(MARK, &mark).stdin(Stdio::piped()).spawn().unwrap();
        let found = marked(&mark);
        assert_eq!(found.len(), 1);
        let process = Process::find(found[0].id).unwrap();
        assert_eq!(process.id.pid, i32::try_from(child.id()).unwrap());
        let earlier = ProcessId { started: process.id.started - 1, ..process.id };
        assert!(Process::find(earlier).is_none(), "another process of the same number");
        assert!(process.cpu_time().is_some());
        process.kill();
        process.ended().await;
        // It has ended, but nobody has waited for it.
        assert!(Process::find(process.id).is_none() && marked(&mark).is_empty());
        child.wait().unwrap();
        assert_eq!(process.cpu_time(), None);
    }
}
