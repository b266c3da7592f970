//! Saved domains: one file each, three lines of header and the definition.
//!
//! ```text
//! guestd test driver: saved domain, version 1
//! runstate running
//! length 314
//! <domain …
//! ```

use std::path::{Path, PathBuf};

use crate::driver::disk;
use crate::failure::{Code, Failure, Reply};
use crate::messages::XML_MAX;

const MAGIC: &str = "guestd test driver: saved domain, version ";
const VERSION: &str = "1";
/// Longest header, in bytes.
const HEADER_MAX: usize = 128;

/// What a file of a saved domain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// The definition it ran with, without a live id.
    pub(super) xml: String,
    /// Whether it was suspended.
    pub(super) paused: bool,
}

/// A path of the daemon's machine that a client may name.
pub(super) fn path(path: &str) -> Reply<PathBuf> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Failure::new(Code::InvalidArg, format!("the path '{path}' is not absolute")));
    }
    Ok(PathBuf::from(path))
}

/// Writes a file that is complete or does not exist, mode 0600, over one of that name.
///
/// This waits for the disk: call it where blocking is allowed.
pub(super) fn write(path: &Path, saved: &Saved) -> Reply<()> {
    let runstate = if saved.paused { "paused" } else { "running" };
    let length = saved.xml.len();
    let content = format!("{MAGIC}{VERSION}\nrunstate {runstate}\nlength {length}\n{}", saved.xml);
    disk::replace(path, content.as_bytes()).map_err(|error| disk::failed("cannot save to", path, &error))
}

/// Reads a file that [`write`] wrote, and never more than such a file can hold.
///
/// This waits for the disk: call it where blocking is allowed.
pub(super) fn read(path: &Path) -> Reply<Saved> {
    let content = disk::read_at_most(path, HEADER_MAX + XML_MAX)
        .map_err(|error| disk::failed("cannot restore from", path, &error))?;
    let found = match &content {
        Some(content) => understand(content),
        None => Err("is not a regular file".to_owned()),
    };
    found.map_err(|reason| {
        let path = path.display();
        Failure::new(Code::OperationFailed, format!("cannot restore: '{path}' {reason}"))
    })
}

fn understand(content: &[u8]) -> Result<Saved, String> {
    let foreign = || "is not a domain saved by the test driver".to_owned();
    let content = content.strip_prefix(MAGIC.as_bytes()).ok_or_else(foreign)?;
    let content = str::from_utf8(content).map_err(|_| "is damaged: it is not text")?;
    let (version, content) = content.split_once('\n').ok_or("is cut short in its header")?;
    if version != VERSION {
        let version: String = version.chars().take(20).collect();
        return Err(format!("has version {version:?}, not {VERSION}"));
    }
    let (runstate, content) = content.split_once('\n').ok_or("is cut short in its header")?;
    let paused = match runstate {
        "runstate running" => false,
        "runstate paused" => true,
        _ => return Err("is damaged: its runstate is unknown".to_owned()),
    };
    let (length, xml) = content.split_once('\n').ok_or("is cut short in its header")?;
    let length: usize = length
        .strip_prefix("length ")
        .and_then(|length| length.parse().ok())
        .ok_or("is damaged: its length is not a number")?;
    match xml.len() {
        found if found < length => Err(format!("is cut short: {found} of {length} bytes are left")),
        found if found > length => Err(format!("is damaged: more than {length} bytes follow")),
        _ => Ok(Saved { xml: xml.to_owned(), paused }),
    }
}

#[cfg(test)]
mod tests;
