//! Files of drivers: each is complete or does not exist, and none takes more memory than it may.
//!
//! All of this waits for the disk: call it where blocking is allowed, see [`blocking`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
#[cfg(feature = "qemu")]
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
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
    refuse_other_than_a_file(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let (prefix, suffix) = UNFINISHED;
    // Removed again unless it gets its name. It is neither made nor written to by the library itself, whose errors name
    // the file that nobody has asked for.
    let make = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = tempfile::Builder::new().prefix(prefix).suffix(suffix).make_in(folder, make)?;
    file.as_file_mut().write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(folder)
}

/// What is renamed over is gone: a device, a pipe or a link must not be. What cannot be looked at cannot be replaced either.
pub(super) fn refuse_other_than_a_file(path: &Path) -> io::Result<()> {
    // A name that only a folder can have, which is found out when all has been written.
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(ErrorKind::IsADirectory.into());
    }
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(()),
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, "there is something that is no regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
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
