//! Programs of the host: found, run without a shell, and for no longer than they may take.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest time that a program gets: each does its work in an instant, unless the host is in a bad way.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where programs for administrators are, which is not in everybody's `PATH`.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Where programs are looked for, each time anew: one may be installed while the daemon runs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    /// Absolute ones.
    pub(super) folders: Vec<PathBuf>,
}

impl Programs {
    pub(super) fn of_this_host() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::within(&env::join_paths(env::split_paths(&path).chain(ADMINISTRATORS.map(PathBuf::from))).unwrap_or(path))
    }

    /// Those in the folders of a list as `PATH` is one. What is not absolute depends on where the daemon was started, and
    /// is left out.
    pub(super) fn within(path: &OsStr) -> Self {
        Self { folders: env::split_paths(path).filter(|folder| folder.is_absolute()).collect() }
    }

    /// The first executable file of that name.
    pub(super) fn find(&self, program: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(program)).find(|file| is_program(file))
    }
}

/// Whether there is a file that can be executed.
pub(super) fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs a program to its end, with `input` on its standard input. Where that fails, tells what the program has said.
pub(super) async fn run(program: &Path, arguments: &[OsString], input: &[u8]) -> Result<(), String> {
    let named = |what: &dyn std::fmt::Display| format!("{}: {what}", program.display());
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| named(&error))?;
    let stdin = child.stdin.take();
    let whole = async {
        if let Some(mut stdin) = stdin {
            // A program that has read enough, or failed before, says so by its end.
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    };
    let ended = tokio::time::timeout(PATIENCE, whole).await;
    let output = ended.map_err(|_| named(&format_args!("no end after {} s", PATIENCE.as_secs())))?;
    let output = output.map_err(|error| named(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => Err(named(&output.status)),
        said => Err(named(&said)),
    }
}
