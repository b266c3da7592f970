//! Where a program's configuration is: with its user, or else with the machine.

use std::path::PathBuf;
use std::{env, fs, io};

use crate::uri::ConfigError;

/// The machine's.
const SYSTEM: &str = "/etc";

/// The folder in which the programs of a user have their configuration: `$XDG_CONFIG_HOME`, or else `~/.config`. None where
/// neither is known.
#[must_use]
pub fn own_folder() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))
}

/// The text of `guestd/FILE` in the user's folder, or else in `/etc`, and its path. None where it is in neither.
///
/// # Errors
/// When it may be there and cannot be read: another one in its place could say the opposite.
pub fn find(file: &str) -> Result<Option<(PathBuf, String)>, ConfigError> {
    for folder in own_folder().into_iter().chain([PathBuf::from(SYSTEM)]) {
        let path = folder.join("guestd").join(file);
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
    }
    Ok(None)
}
