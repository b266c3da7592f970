//! Tests in a network of their own, which no other process of the machine sees.

use std::process::{Command, Stdio};

use crate::foreign_tool::{missing, require};

/// Set inside.
const INSIDE: &str = "XDR_TESTS_INSIDE";

/// Longest time for one test inside, in seconds.
const PATIENCE: &str = "100";

/// New namespaces for one test.
#[derive(Debug)]
pub struct Namespaces {
    /// The ways into them, of which the first that works is taken.
    pub ways: &'static [&'static [&'static str]],
    /// What needs to be installed beside `unshare`, `ip` and `timeout`.
    pub tools: &'static [&'static str],
    /// What happens first inside, in a shell that goes on as `"$@"`.
    pub prepare: &'static str,
    /// What has to work there, or else they are no use.
    pub works: &'static [&'static str],
    /// Who may have them, for those who may not.
    pub wanted: &'static str,
}

impl Namespaces {
    /// True inside. Outside it runs the test `name` of this program inside, and the caller is to return.
    ///
    /// # Panics
    /// When the test fails inside, or there is none of this name; and where tools are required, when there is no way in.
    #[must_use]
    #[track_caller]
    pub fn are_around(&self, name: &str) -> bool {
        if std::env::var_os(INSIDE).is_some() {
            return true;
        }
        for tool in ["unshare", "ip", "timeout"].iter().chain(self.tools) {
            if require(tool).is_none() {
                return false;
            }
        }
        // Programs for administrators are not in everybody's PATH.
        let prepare = format!("PATH=$PATH:/usr/sbin:/sbin; {}", self.prepare);
        let inside = ["sh", "-c", &prepare, "sh"];
        let works = |way: &&&[&str]| {
            let mut attempt = Command::new("timeout");
            attempt.arg(PATIENCE).args(**way).args(inside).args(self.works).stdin(Stdio::null());
            attempt.output().is_ok_and(|output| output.status.success())
        };
        let Some(way) = self.ways.iter().find(works) else {
            missing(self.wanted);
            return false;
        };
        let output = Command::new("timeout")
            .args(["--kill-after=5", PATIENCE])
            .args(*way)
            .args(inside)
            .args(["env", &format!("{INSIDE}=1")])
            .arg(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", name, "--nocapture"])
            .stdin(Stdio::null())
            .output()
            .expect("`timeout` was there before");
        let told = [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
        assert!(output.status.success(), "inside of the namespaces ({}):\n{told}", output.status);
        assert!(told.contains("1 passed"), "no test inside is called {name}:\n{told}");
        false
    }
}
