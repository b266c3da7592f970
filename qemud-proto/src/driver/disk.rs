//! Files of drivers: each is complete or does not exist, and none takes more memory than it may.
//!
//! All of this waits for the disk: call it where blocking is allowed, see [`blocking`].

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
#[cfg(feature = "qemu")]
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::failure::{Code, Failure, Reply};

/// How the name of a file begins that is not complete yet, and how it ends.
pub(super) const UNFINISHED: (&str, &str) = (".guestd-", ".tmp");

/// Does what waits for a disk beside the connections' tasks, or here where there is no runtime.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Reply<T> + Send + 'static) -> Reply<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    let lost = |_| Failure::new(Code::InternalError, "the task that works on the file was lost");
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}

/// Writes a file of mode 0600, over one of that name. After an error, or the death of the daemon, what was there before is
/// there still.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // What is renamed over is gone: a device or a pipe must not be.
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is something that is no regular file"));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let (prefix, suffix) = UNFINISHED;
    // Made with mode 0600, and removed again unless it gets its name.
    let mut file = tempfile::Builder::new().prefix(prefix).suffix(suffix).tempfile_in(folder)?;
    io::Write::write_all(&mut file, content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(folder)
}

/// Makes a folder of mode 0700 where there is none. Those that it is in hold other things as well, such as sockets, and are
/// open to others as the daemon's umask has it.
#[cfg(feature = "qemu")]
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.parent().unwrap_or(folder))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes what was renamed or removed in a folder last.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Reads a regular file, but no more than one byte beyond `most`; none where it is something else.
pub(super) fn read_at_most(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    // A pipe would keep its reader waiting.
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// What a file could not be used for, and why.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::SystemError, format!("{what} '{}': {error}", path.display()))
}
