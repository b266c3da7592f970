//! Saved domains of the test driver: nothing is behind the definition.

use std::path::Path;

use crate::driver::disk;
use crate::driver::saved::{self, HEAD_MAX, Saved};
use crate::failure::Reply;

const DRIVER: &str = "test";

/// Writes a file that is complete or does not exist, mode 0600, over one of that name.
///
/// This waits for the disk: call it where blocking is allowed.
pub(super) fn write(path: &Path, saved: &Saved) -> Reply<()> {
    let content = saved::head(DRIVER, saved);
    disk::replace(path, content.as_bytes()).map_err(|error| disk::failed("cannot save to", path, &error))
}

/// Reads a file that [`write`] wrote, and never more than such a file can hold.
///
/// This waits for the disk: call it where blocking is allowed.
pub(super) fn read(path: &Path) -> Reply<Saved> {
    let content =
        disk::read_at_most(path, HEAD_MAX).map_err(|error| disk::failed("cannot restore from", path, &error))?;
    let found = match &content {
        Some(content) => understand(content),
        None => Err("is not a regular file".to_owned()),
    };
    found.map_err(|reason| saved::refused(path, &reason))
}

fn understand(content: &[u8]) -> Result<Saved, String> {
    match saved::understand(DRIVER, content)? {
        (saved, []) => Ok(saved),
        (saved, _) => Err(format!("is damaged: more than {} bytes follow", saved.xml.len())),
    }
}

#[cfg(test)]
mod tests;
