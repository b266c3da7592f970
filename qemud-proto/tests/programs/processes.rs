//! Processes: a daemon with its sockets, and programs that run to their end. None outlives its test.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must come: far longer than it takes, and no test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is yes. What is asked for must run a program or go through the system, so that
/// others get their turn.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
    }
}

/// A process that is killed and waited for when its test ends, well or not.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a stream in a thread of its own, so that whoever waits for it can lose patience.
fn in_background<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read()));
    receiver
}

fn text_of(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    in_background(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A program of ours, without what the environment of the test would tell it.
pub(crate) fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    for variable in ["GUESTD_DEFAULT_URI", "XDG_RUNTIME_DIR", "RUST_LOG", "RUST_BACKTRACE", "NO_COLOR"] {
        command.env_remove(variable);
    }
    // Nor is there a configuration.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn guestctl_command(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_guestctl"), arguments)
}

/// A daemon of the test driver: the folders of real guests are this machine's.
pub(crate) fn guestd_command(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_guestd"), arguments);
    command.env("GUESTD_DRIVERS", "test");
    command
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The exit status; -1 for a signal.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn new(status: i32, stdout: &str, stderr: &str) -> Self {
        Self { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }
}

/// Runs a program to its end, with this on its standard input.
#[track_caller]
pub(crate) fn run_with(mut command: Command, input: &[u8]) -> Ended {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut process = Guarded(command.spawn().unwrap());
    let stdout = process.0.stdout.take().map(text_of);
    let stderr = process.0.stderr.take().map(text_of);
    if let Some(mut stdin) = process.0.stdin.take() {
        // A program that has seen enough need not read it all.
        let _ = stdin.write_all(input);
    }
    let patient = |stream: Option<Receiver<String>>| {
        stream.map_or(String::new(), |text| text.recv_timeout(PATIENCE).expect("the program does not end"))
    };
    let (stdout, stderr) = (patient(stdout), patient(stderr));
    let status = process.0.wait().unwrap().code().unwrap_or(-1);
    Ended { status, stdout, stderr }
}

#[track_caller]
pub(crate) fn guestctl(arguments: &[&str]) -> Ended {
    run_with(guestctl_command(arguments), b"")
}

/// A daemon that runs.
pub(crate) struct Guestd {
    process: Guarded,
    lines: Receiver<String>,
    log: Option<Receiver<String>>,
    pub(crate) folder: TempDir,
}

impl Guestd {
    /// A daemon on a unix socket in a folder of its own.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let daemon = Self::start_in(folder, &[&["--unix", socket.to_str().unwrap()], arguments].concat());
        assert_eq!(daemon.line(), format!("listening unix {}", socket.display()));
        daemon
    }

    /// A daemon on a TCP port of its own, and its address.
    #[track_caller]
    pub(crate) fn start_tcp(arguments: &[&str]) -> (Self, String) {
        let daemon = Self::start_in(tempfile::tempdir().unwrap(), &[&["--tcp", "127.0.0.1:0"], arguments].concat());
        let line = daemon.line();
        let address = line.strip_prefix("listening tcp ").expect("the address").to_owned();
        (daemon, address)
    }

    /// A daemon with this command line. What it listens on has not been read yet.
    pub(crate) fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        Self::spawn(folder, guestd_command(arguments))
    }

    pub(crate) fn spawn(folder: TempDir, mut command: Command) -> Self {
        let mut process = Guarded(command.spawn().unwrap());
        let stdout = process.0.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let read = BufReader::new(stdout).lines().map_while(Result::ok);
            read.for_each(|line| drop(sender.send(line)));
        });
        let log = process.0.stderr.take().map(|stderr: ChildStderr| text_of(stderr));
        Self { process, lines, log, folder }
    }

    /// The next line of the daemon's standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("the daemon says nothing"),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    pub(crate) fn uri(&self) -> String {
        unix_uri(&self.socket())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Sends a signal to the daemon, which is still there because nobody has waited for it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the daemon to end by itself; its status and what it logged.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        // The log ends with the process.
        let log = self.log.take().unwrap().recv_timeout(PATIENCE).expect("the daemon does not end");
        (self.process.0.wait().unwrap(), log)
    }
}

pub(crate) fn unix_uri(socket: &std::path::Path) -> String {
    format!("test+unix:///default?socket={}", socket.display())
}

/// The client of one daemon, which keeps account of the commands it was asked for.
pub(crate) struct Ctl {
    pub(crate) uri: String,
    /// Commands, and whether for JSON.
    used: Mutex<BTreeSet<(String, bool)>>,
}

impl Ctl {
    pub(crate) fn new(uri: String) -> Self {
        Self { uri, used: Mutex::default() }
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        guestctl(&[&["--connect", &self.uri], arguments].concat())
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str], json: bool) -> String {
        let format: &[&str] = if json { &["--json"] } else { &[] };
        let ended = self.run(&[arguments, format].concat());
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{arguments:?}: {ended:?}");
        self.used.lock().unwrap().insert((arguments[0].to_owned(), json));
        ended.stdout
    }

    /// What a person sees.
    #[track_caller]
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        self.succeed(arguments, false)
    }

    /// What a program sees: one line.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let stdout = self.succeed(arguments, true);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// The command fails with this on standard error, and nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], stderr: &str) {
        assert_eq!(self.run(arguments), Ended::new(1, "", &format!("error: {stderr}\n")), "{arguments:?}");
    }

    pub(crate) fn used(self) -> BTreeSet<(String, bool)> {
        self.used.into_inner().unwrap()
    }
}
