//! Foreign programs: where they are, and what happens to a test whose program is missing.
//!
//! Such a test passes, but says SKIPPED loudly; with `GUEST_REQUIRE_TOOLS=1`, as in CI, it fails.

use std::env;
use std::ffi::OsStr;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};

/// The program's path, or `None` after SKIPPED has been said: the test is then to return.
///
/// # Panics
/// When the program is missing and `GUEST_REQUIRE_TOOLS=1`.
///
/// # Examples
/// ```
/// let Some(shell) = xdr_tests::foreign_tool::require("sh") else { return };
/// assert!(std::process::Command::new(shell).args(["-c", "exit 0"]).status().unwrap().success());
/// ```
#[must_use]
#[track_caller]
pub fn require(tool: &str) -> Option<PathBuf> {
    let found = find(tool, &env::var_os("PATH").unwrap_or_default());
    if found.is_none() {
        missing(&format!("there is no program `{tool}` in PATH"));
    }
    found
}

/// Says that a test is skipped because of `what`, for what is missing without being a program.
///
/// # Panics
/// With `GUEST_REQUIRE_TOOLS=1`.
#[track_caller]
pub fn missing(what: &str) {
    let required = env::var_os("GUEST_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "{what}, and GUEST_REQUIRE_TOOLS=1 forbids skipping");
    // Not `eprintln`, which the test harness keeps for itself when a test passes.
    let _ = writeln!(stderr(), "SKIPPED: {what} ({})", std::panic::Location::caller());
}

/// Where programs for administrators are, which is not in everybody's PATH.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The first executable file of that name.
fn find(tool: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = env::split_paths(path).chain(ADMINISTRATORS.map(PathBuf::from));
    folders.map(|folder| folder.join(tool)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_folders_of_the_path() {
        assert_eq!(find("sh", OsStr::new("/nowhere:/bin")), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find("sh", OsStr::new("/nowhere")), None);
    }

    #[test]
    fn a_file_or_folder_that_cannot_be_executed_is_no_program() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(find("Cargo.toml", here.as_os_str()), None);
        assert_eq!(find("src", here.as_os_str()), None);
    }
}
