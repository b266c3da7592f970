//! Where daemons of this machine listen.

use std::path::{Path, PathBuf};

/// The sockets of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sockets {
    /// For all procedures.
    pub read_write: PathBuf,
    /// For procedures that change nothing. The daemon of a session has none: whoever can connect is its owner.
    pub read_only: Option<PathBuf>,
}

/// There is no place for the sockets of this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("transport 'unix' needs '?socket=PATH', since XDG_RUNTIME_DIR is not set")]
pub struct NoSocket;

impl Sockets {
    /// Those of this machine's daemon: `/run/guestd/guestd-sock` and `/run/guestd/guestd-sock-ro`.
    #[must_use]
    pub fn system() -> Self {
        let folder = Path::new("/run/guestd");
        Self { read_write: folder.join("guestd-sock"), read_only: Some(folder.join("guestd-sock-ro")) }
    }

    /// The one for this use.
    pub(crate) fn pick(self, read_only: bool) -> PathBuf {
        match self.read_only {
            Some(socket) if read_only => socket,
            _ => self.read_write,
        }
    }

    /// That of the daemon of this session: `$XDG_RUNTIME_DIR/guestd/guestd-sock`.
    ///
    /// # Errors
    /// When `XDG_RUNTIME_DIR` is not set.
    pub fn session() -> Result<Self, NoSocket> {
        let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).ok_or(NoSocket)?;
        let read_write = PathBuf::from(folder).join("guestd").join("guestd-sock");
        Ok(Self { read_write, read_only: None })
    }
}
