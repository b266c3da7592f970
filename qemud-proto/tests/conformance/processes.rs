//! Processes that a test leaves behind when it fails.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether the signal was sent.
pub(crate) fn send(signal: &str, pid: u32) -> bool {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &pid.to_string()]).stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success())
}

/// Ends the processes whose arguments name this folder, which is a test's own.
#[cfg(feature = "qemu")]
pub(crate) struct GuestsOf(pub(crate) PathBuf);

#[cfg(feature = "qemu")]
impl Drop for GuestsOf {
    fn drop(&mut self) {
        let folder = self.0.to_str().unwrap();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            if let Some(pid) = pid.filter(|_| String::from_utf8_lossy(&arguments).contains(folder)) {
                send("KILL", pid);
            }
        }
    }
}
