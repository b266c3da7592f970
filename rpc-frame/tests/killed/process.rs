//! A process that is started, says where it is, and is killed.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::watched;

/// The role of a process, in its environment.
pub(crate) const ROLE: &str = "KILLED_ROLE";

/// What a process says begins with this, and what it does not mean for the test does not.
pub(crate) const SAYS: &str = "@ ";

/// A process of this program in another role. It is killed with this value at the latest.
pub(crate) struct Process {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Process {
    /// Starts a process in a role, with its arguments behind it.
    pub(crate) fn start(role: &str) -> Self {
        let program = std::env::current_exe().expect("a test is a program");
        let mut child = Command::new(program)
            .args(["--exact", "--nocapture", "role::the_process_to_be_killed"])
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it can be started");
        let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, said }
    }

    /// What the process says next.
    pub(crate) async fn says(&mut self) -> String {
        loop {
            let line = watched("what a process says", self.said.next_line()).await.expect("lines");
            let line = line.expect("the process lives");
            match line.strip_prefix(SAYS) {
                Some(said) => return said.to_owned(),
                None => eprintln!("{line}"),
            }
        }
    }

    /// Waits until the process says this.
    pub(crate) async fn at(&mut self, place: &str) {
        assert_eq!(self.says().await, place);
    }

    /// The port that the process listens at, which it says first.
    pub(crate) async fn port(&mut self) -> u16 {
        let said = self.says().await;
        said.strip_prefix("listens ").and_then(|port| port.parse().ok()).expect("a port")
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it is there");
    }
}
