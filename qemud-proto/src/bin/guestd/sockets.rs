//! Unix sockets: their names, modes and groups, and what dead daemons left behind.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::{Gid, Group, Uid};
use rpc_frame::Peer;
use rpc_frame::tokio::{Listener, LogLimit};
use tokio::net::{UnixListener, UnixStream};

/// Who may connect to a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// Bits for the owner, the group and everybody else.
    pub(crate) mode: u32,
    /// The group, where it is not the daemon's.
    pub(crate) group: Option<Gid>,
}

/// A group by its name or number.
pub(crate) fn group(text: &str) -> anyhow::Result<Gid> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = Group::from_name(text).with_context(|| format!("cannot look for the group '{text}'"))?;
    Ok(found.with_context(|| format!("there is no group '{text}'"))?.gid)
}

/// A unix socket that listens. Its name goes with it, unless it is another's by then.
pub(crate) struct Socket {
    listener: UnixListener,
    /// For an abstract socket, which has no mode of its own.
    access: Option<Access>,
    /// Of those whom it does not let in, in the log.
    refusals: LogLimit,
    _name: Option<RemovedAtEnd>,
}

impl Socket {
    /// A socket at a path, or an abstract one (`@name`). One that a dead daemon left behind is replaced.
    pub(crate) async fn bind(path: &Path, access: Access) -> anyhow::Result<Self> {
        if let Some(name) = abstract_name(path) {
            let bound = SocketAddr::from_abstract_name(name).and_then(|address| StdListener::bind_addr(&address));
            let listener = bound.with_context(|| format!("cannot listen on '{}'", path.display()))?;
            return Ok(Self::passed(listener, access)?);
        }
        let listener = listen(path, access).await?;
        Ok(Self { listener, access: None, refusals: refusals(), _name: Some(RemovedAtEnd::new(path.to_owned())?) })
    }

    /// A socket that is bound already, by somebody else or without a file. Who may connect to a file, its mode tells; an
    /// abstract socket has none, whatever a unit of systemd says of it.
    pub(crate) fn passed(listener: StdListener, access: Access) -> io::Result<Self> {
        let access = listener.local_addr()?.as_abstract_name().map(|_| access);
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, access, refusals: refusals(), _name: None })
    }
}

fn refusals() -> LogLimit {
    LogLimit::new("connections were refused: the mode of the socket does not allow them")
}

impl Listener for Socket {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await?;
            match (&self.access, &peer) {
                (Some(access), Peer::Unix { uid, gid, .. }) if !access.allows(*uid, *gid) => {
                    self.refusals.line(|left_out| {
                        tracing::warn!(%peer, left_out, "refused a connection: the mode of the socket does not allow it");
                    });
                }
                _ => return Ok((stream, peer)),
            }
        }
    }
}

impl Access {
    /// As the kernel would decide over a file of this mode. It does not tell a peer's other groups.
    fn allows(self, uid: u32, gid: u32) -> bool {
        let group = self.group.unwrap_or_else(Gid::current);
        let bits = if uid == 0 {
            return true;
        } else if uid == Uid::current().as_raw() {
            self.mode >> 6
        } else if gid == group.as_raw() {
            self.mode >> 3
        } else {
            self.mode
        };
        bits & 0o2 != 0
    }
}

/// The name of a socket that was passed: its path, or `@name`.
pub(crate) fn name(listener: &StdListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    let path = address.as_pathname().map(|path| path.display().to_string());
    let name = || Some(format!("@{}", String::from_utf8_lossy(address.as_abstract_name()?)));
    Ok(path.or_else(name).unwrap_or_default())
}

/// The name of a socket before it has its own, in a folder of seven letters.
const BEGUN: &str = "s";

fn abstract_name(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix('@')
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Looks whether a socket can have this name: it is short enough for those who want to connect, its folder is there, and
/// no other file is. Whether somebody listens there already is not asked.
pub(crate) fn check(path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot listen on '{}'", path.display());
    if let Some(name) = abstract_name(path) {
        SocketAddr::from_abstract_name(name).with_context(failed)?;
        return Ok(());
    }
    SocketAddr::from_pathname(path).with_context(failed)?;
    // It is bound beside that first, under a name that begins at the root.
    let beside = std::path::absolute(folder(path)).with_context(failed)?.join(".123456");
    SocketAddr::from_pathname(beside.join(BEGUN)).with_context(failed)?;
    fs::metadata(folder(path)).with_context(failed)?;
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.file_type().is_socket()) {
        bail!("cannot listen on '{}': there is a file that is no socket", path.display());
    }
    Ok(())
}

async fn listen(path: &Path, access: Access) -> anyhow::Result<UnixListener> {
    check(path)?;
    if fs::symlink_metadata(path).is_ok() {
        match UnixStream::connect(path).await {
            Ok(_) => bail!("cannot listen on '{}': another daemon does", path.display()),
            // It has more to do than it can.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                bail!("cannot listen on '{}': another daemon does", path.display())
            }
            // Nobody does; whatever else is wrong may be so although somebody does.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                let unknown = || format!("cannot tell whether somebody listens on '{}'", path.display());
                return Err(error).with_context(unknown);
            }
        }
        fs::remove_file(path).with_context(|| format!("cannot replace the socket '{}'", path.display()))?;
    }
    bind_closed(path, access).with_context(|| format!("cannot listen on '{}'", path.display()))
}

/// A socket at a path, in the place of what is there. Nobody connects before its mode and group are set: it is bound in a
/// folder that only we can enter, and then renamed.
fn bind_closed(path: &Path, access: Access) -> io::Result<UnixListener> {
    // Short, since a socket's path may be no longer than 107 bytes.
    let folder = tempfile::Builder::new().prefix(".").rand_bytes(6).tempdir_in(folder(path))?;
    let begun = folder.path().join(BEGUN);
    let listener = UnixListener::bind(&begun)?;
    access.group.map_or(Ok(()), |group| chown(&begun, None, Some(group.as_raw())))?;
    fs::set_permissions(&begun, fs::Permissions::from_mode(access.mode))?;
    fs::rename(&begun, path)?;
    Ok(listener)
}

/// The socket's name goes with the daemon, unless it is another's by then.
struct RemovedAtEnd {
    path: PathBuf,
    /// Device and number of the socket's own inode.
    inode: (u64, u64),
}

impl RemovedAtEnd {
    fn new(path: PathBuf) -> io::Result<Self> {
        let inode = inode(&path)?;
        Ok(Self { path, inode })
    }
}

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_socket_lets_in_whom_a_file_of_its_mode_would() {
        let (own, group) = (Uid::current().as_raw(), 4711);
        let access = |mode| Access { mode, group: Some(Gid::from_raw(group)) };
        for (mode, uid, gid, allowed) in [
            (0o600, 12_345, 99, false),
            (0o660, 12_345, group, true),
            (0o660, 12_345, 99, false),
            (0o666, 12_345, 99, true),
            (0o644, 12_345, 99, false),
            (0o600, own, 99, true),
            (0o000, 0, 0, true),
        ] {
            assert_eq!(access(mode).allows(uid, gid), allowed, "{mode:o} {uid} {gid}");
        }
    }

    #[test]
    fn a_group_has_a_name_or_a_number() {
        assert_eq!(group("4711").unwrap(), Gid::from_raw(4711));
        assert_eq!(group("root").unwrap(), Gid::from_raw(0));
        assert_eq!(group("no such group").unwrap_err().to_string(), "there is no group 'no such group'");
    }
}
