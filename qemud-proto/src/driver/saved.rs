//! Files of saved domains: three lines of header, the definition, and what else the driver needs.
//!
//! ```text
//! guestd test driver: saved domain, version 1
//! runstate running
//! length 314
//! <domain …
//! ```

use std::path::{Path, PathBuf};

use crate::failure::{Code, Failure, Reply};
use crate::messages::XML_MAX;

const VERSION: &str = "1";
/// Most bytes before what else the driver needs.
pub(super) const HEAD_MAX: usize = 128 + XML_MAX;

/// What a file says of the domain that was saved.
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

fn magic(driver: &str) -> String {
    format!("guestd {driver} driver: saved domain, version ")
}

/// How a file begins.
pub(super) fn head(driver: &str, saved: &Saved) -> String {
    let (magic, length) = (magic(driver), saved.xml.len());
    let runstate = if saved.paused { "paused" } else { "running" };
    format!("{magic}{VERSION}\nrunstate {runstate}\nlength {length}\n{}", saved.xml)
}

/// Reads the beginning of a file, and what of `content` is behind it; or what is wrong with the file.
pub(super) fn understand<'a>(driver: &str, content: &'a [u8]) -> Result<(Saved, &'a [u8]), String> {
    let foreign = || format!("is not a domain saved by the {driver} driver");
    let content = content.strip_prefix(magic(driver).as_bytes()).ok_or_else(foreign)?;
    let (version, content) = line(content)?;
    if version != VERSION {
        let version: String = version.chars().take(20).collect();
        return Err(format!("has version {version:?}, not {VERSION}"));
    }
    let (runstate, content) = line(content)?;
    let paused = match runstate {
        "runstate running" => false,
        "runstate paused" => true,
        _ => return Err("is damaged: its runstate is unknown".to_owned()),
    };
    let (length, content) = line(content)?;
    let length: usize = length
        .strip_prefix("length ")
        .and_then(|length| length.parse().ok())
        .ok_or("is damaged: its length is not a number")?;
    let cut = || format!("is cut short: {} of {length} bytes are left", content.len());
    let (xml, rest) = content.split_at_checked(length).ok_or_else(cut)?;
    Ok((Saved { xml: text(xml)?.to_owned(), paused }, rest))
}

fn line(content: &[u8]) -> Result<(&str, &[u8]), String> {
    let end = content.iter().position(|byte| *byte == b'\n').ok_or("is cut short in its header")?;
    let (line, rest) = content.split_at(end);
    Ok((text(line)?, rest.get(1..).unwrap_or_default()))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| "is damaged: it is not text".to_owned())
}

/// A file that no domain can be restored from, and why.
pub(super) fn refused(path: &Path, reason: &str) -> Failure {
    Failure::new(Code::OperationFailed, format!("cannot restore: '{}' {reason}", path.display()))
}
