//! Processes of QEMU, by handles that never mean another process than the one they were made for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

/// The variable of its environment that tells whose guest a process is: the path of the guest's file in the state folder.
pub(super) const MARK: &str = "GUESTD_GUEST";
/// The variable that holds the definition that the guest was started with: nobody can take it away while the guest runs.
pub(super) const DEFINITION: &str = "GUESTD_DEFINITION";

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

    /// Whether its environment can be read at all: programs with capabilities of their own keep theirs to themselves.
    pub(super) fn tells_its_mark(&self) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.id.pid));
        !environment.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
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
        self.send(Signal::KILL);
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        self.send(Signal::TERM);
    }

    fn send(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(self.handle.get_ref(), signal) {
            tracing::debug!(pid = self.id.pid, ?signal, %error, "cannot send a signal");
        }
    }

    /// The processor time that it has used; none after its end.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let stat = Stat::read(self.id.pid).filter(|stat| stat.started == self.id.started)?;
        Some(Duration::from_millis(stat.used.saturating_mul(1000) / clock_ticks_per_second().max(1)))
    }
}

/// A process that bears a mark.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) process: Process,
    /// The definition that it bears as well.
    pub(super) xml: Option<String>,
    arguments: Vec<u8>,
}

impl Marked {
    /// Whether this is one of its arguments. What a guest starts, such as a script, bears its mark too, but is not it.
    pub(super) fn has_argument(&self, wanted: &str) -> bool {
        words(&self.arguments).any(|word| word == wanted.as_bytes())
    }
}

/// All processes of this user whose mark is wanted, each with its mark, the oldest first.
fn with_mark(is_wanted: impl Fn(&Path) -> bool) -> Vec<(PathBuf, Marked)> {
    let mark = |environment: &[u8]| variable(environment, MARK).map(PathBuf::from).filter(|mark| is_wanted(mark));
    let look = |pid: i32| {
        let read = |what: &str| fs::read(format!("/proc/{pid}/{what}")).ok();
        let runs_as_we = |status: &[u8]| runs_as(&String::from_utf8_lossy(status), geteuid().as_raw());
        // Those of others are not looked into: they could keep whoever does waiting.
        read("status").filter(|status| runs_as_we(status))?;
        mark(&read("environ")?)?;
        let process = Process::open(pid).ok()?;
        // Read anew, and then seen to be of the process that the handle is of: the number may have been given again.
        let (environment, arguments, status) = (read("environ")?, read("cmdline")?, read("status")?);
        let (mark, xml) = (mark(&environment)?, variable(&environment, DEFINITION));
        // Anybody can bear any mark, and root of a container is called as root is here.
        let numbers = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        let here = numbers(&pid.to_string())? == numbers("self")?;
        let ours = here && runs_as_we(&status) && !process.has_ended();
        ours.then_some((mark, Marked { process, xml, arguments }))
    };
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<_> = numbers.filter_map(look).collect();
    found.sort_by_key(|(_, marked)| (marked.process.id.started, marked.process.id.pid));
    found
}

/// All processes with this mark.
pub(super) fn marked(mark: &Path) -> Vec<Marked> {
    with_mark(|found| found == mark).into_iter().map(|(_, marked)| marked).collect()
}

/// All processes with the mark of a file in this folder.
pub(super) fn marked_in(folder: &Path) -> BTreeMap<PathBuf, Vec<Marked>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (mark, marked) in with_mark(|mark| mark.parent() == Some(folder)) {
        found.entry(mark).or_default().push(marked);
    }
    found
}

/// Those of these processes that have not ended within this time.
pub(super) async fn endure(mut processes: Vec<Process>, limit: Duration) -> Vec<Process> {
    let all_ended = async {
        for process in &processes {
            process.ended().await;
        }
    };
    if timeout(limit, all_ended).await.is_ok() {
        return Vec::new();
    }
    processes.retain(|process| !process.has_ended());
    processes
}

/// What ends with NULs.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0)
}

fn variable(environment: &[u8], name: &str) -> Option<String> {
    let value = |word: &[u8]| Some(word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
    String::from_utf8(words(environment).find_map(value)?).ok()
}

/// proc(5): `Uid:` has the real, the effective, the saved one, and that for files. A program that somebody else started
/// and that has our rights has not all four.
fn runs_as(status: &str, user: u32) -> bool {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let mut users = users.split_ascii_whitespace().map(str::parse).peekable();
    users.peek().is_some() && users.all(|found| found == Ok(user))
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

    #[test]
    fn a_program_that_has_the_rights_of_another_is_not_taken_for_that_ones() {
        let status = |users: &str| format!("Name:\tcat\nUid:\t{users}\nGid:\t7 7 7 7\n");
        assert!(runs_as(&status("7\t7\t7\t7"), 7));
        assert!(!runs_as(&status("8\t7\t7\t7"), 7) && !runs_as(&status("7\t7\t8\t7"), 7));
        assert!(!runs_as(&status("8\t8\t8\t8"), 7) && !runs_as(&status(""), 7) && !runs_as("", 7));
    }

    #[tokio::test]
    async fn a_process_is_found_by_its_mark_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("1.json");
        assert!(marked(&mark).is_empty());
        let mut command = Command::new("cat");
        command.arg("-").env(MARK, &mark).env(DEFINITION, "<domain\n>");
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let found = marked(&mark);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].xml.as_deref(), Some("<domain\n>"));
        assert!(found[0].has_argument("-") && !found[0].has_argument("c"));
        assert!(marked_in(folder.path()).into_keys().eq([mark.clone()]));
        assert!(marked_in(folder.path().parent().unwrap()).keys().all(|found| *found != mark), "of a folder in it");
        let process = Process::find(found[0].process.id).unwrap();
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

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_waited_for_no_longer_than_said() {
        let cat = || Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (mut ends, mut endures) = (cat(), cat());
        let both = || [&ends, &endures].map(|child| Process::open(i32::try_from(child.id()).unwrap()).unwrap());
        let both = both();
        both[0].kill();
        both[0].ended().await;
        let left = endure(both.into(), Duration::from_secs(5)).await;
        assert_eq!(left.iter().map(|process| process.id.pid.cast_unsigned()).collect::<Vec<_>>(), [endures.id()]);
        endures.kill().unwrap();
        assert!(endure(left, Duration::MAX).await.is_empty());
        ends.wait().unwrap();
        endures.wait().unwrap();
    }
}
