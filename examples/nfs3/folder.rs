//! A folder of this machine as a tree.
//!
//! Every path is resolved below the folder's own descriptor by cap-std: no `..`, no symbolic link and nobody who renames
//! directories meanwhile leads out of it.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{OFlags, fstatvfs, major, minor};

use crate::protocol::{Attributes, FileType, NfsTime, SpecData};
use crate::tree::{Part, Space, Tree};

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: Dir,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: Dir::open_ambient_dir(path, ambient_authority())? })
    }
}

impl Tree for Folder {
    fn attributes(&self, path: &Path) -> io::Result<Attributes> {
        attributes(&self.root.symlink_metadata(path)?)
    }

    fn names(&self, path: &Path, max: usize) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in self.root.read_dir(path)? {
            if names.len() == max {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            names.push(entry?.file_name().into_vec());
        }
        Ok(names)
    }

    fn target(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.root.read_link_contents(path)?.into_os_string().into_vec())
    }

    fn read(&self, path: &Path, offset: u64, count: u32) -> io::Result<Part> {
        // Whoever puts a pipe into the place of a file must not keep a thread waiting for its writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = self.root.open_with(path, OpenOptions::new().read(true).custom_flags(flags))?;
        let attributes = attributes(&file.metadata()?)?;
        if attributes.kind != FileType::Regular {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Room is made for what is there, not for what is asked for.
        let count = attributes.size.saturating_sub(offset).min(count.into());
        let mut data = vec![0; usize::try_from(count).unwrap_or_default()];
        let file = file.into_std();
        let mut len = 0;
        while let Some(rest @ [_, ..]) = data.get_mut(len..) {
            match file.read_at(rest, offset.saturating_add(len as u64)) {
                // It has become shorter.
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let eof = len < data.len() || offset.saturating_add(count) >= attributes.size;
        data.truncate(len);
        Ok(Part { attributes, data, eof })
    }

    fn space(&self) -> io::Result<Space> {
        let space = fstatvfs(&self.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        Ok(Space {
            bytes: bytes(space.f_blocks),
            bytes_free: bytes(space.f_bfree),
            bytes_available: bytes(space.f_bavail),
            files: space.f_files,
            files_free: space.f_ffree,
        })
    }
}

fn attributes(metadata: &Metadata) -> io::Result<Attributes> {
    let kind = match metadata.mode() & 0o170_000 {
        0o100_000 => FileType::Regular,
        0o040_000 => FileType::Directory,
        0o060_000 => FileType::Block,
        0o020_000 => FileType::Character,
        0o120_000 => FileType::Link,
        0o140_000 => FileType::Socket,
        0o010_000 => FileType::Fifo,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok(Attributes {
        kind,
        mode: metadata.mode() & 0o7777,
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size(),
        used: metadata.blocks().saturating_mul(512),
        rdev: SpecData { specdata1: major(metadata.rdev()), specdata2: minor(metadata.rdev()) },
        fsid: metadata.dev(),
        fileid: metadata.ino(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Times before 1970 and after 2106 have no form in `nfstime3`: the nearest is given.
fn time(seconds: i64, nanoseconds: i64) -> NfsTime {
    let seconds = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
    NfsTime { seconds, nseconds: u32::try_from(nanoseconds).unwrap_or_default() }
}
