//! The server's process in the hands of this one.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub(crate) struct Watched {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

/// What the server tells of itself.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) rss_kib: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) open: u64,
    pub(crate) opened: u64,
    pub(crate) in_flight: u64,
    pub(crate) calls: u64,
    pub(crate) succeeded: u64,
    pub(crate) system_err: u64,
    pub(crate) unanswered: u64,
}

impl Watched {
    pub(crate) fn start(connections: usize) -> Self {
        let this = std::env::current_exe().expect("this program is a file");
        let mut child = Command::new(this)
            .args(["--serve", "--connections", &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process starts");
        let ask = child.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let address = answer(&mut answers)["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { child, ask, answers, address }
    }

    fn asked(&mut self, what: &str) -> Sample {
        writeln!(self.ask, "{what}").expect("the server lives");
        let told = answer(&mut self.answers);
        let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name} in {told}"));
        Sample {
            rss_kib: number("rss_kib"),
            cpu_ms: number("cpu_ms"),
            open: number("open"),
            opened: number("opened"),
            in_flight: number("in_flight"),
            calls: number("calls"),
            succeeded: number("succeeded"),
            system_err: number("system_err"),
            unanswered: number("unanswered"),
        }
    }

    pub(crate) fn sample(&mut self) -> Sample {
        self.asked("sample")
    }

    /// What it has come to in the end.
    pub(crate) fn shut_down(mut self) -> Sample {
        let end = self.asked("shut down");
        assert!(self.child.wait().expect("a child").success());
        end
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the server lives");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Where a check has failed, it still runs.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
