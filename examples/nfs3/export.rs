//! A tree as clients see it: by handles and names. Everything here blocks.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::handles::Handles;
use crate::listing::Listing;
use crate::protocol::{Attributes, FileHandle, FileType, NfsStat};
use crate::tree::{Part, ROOT, Space, Tree};

/// Most handles that are remembered.
const MAX_HANDLES: usize = 65_536;
/// Most bytes of a path below the export's root: with the handles it bounds their table.
const MAX_PATH: usize = 1024;
/// Most bytes of a name.
pub(crate) const MAX_NAME: usize = 255;

/// An exported tree.
pub(crate) struct Export {
    pub(super) tree: Box<dyn Tree>,
    handles: Mutex<Handles>,
    /// The directory that was listed last: the next page is mostly of the same one.
    pub(super) listed: Mutex<Option<Arc<Listing>>>,
}

/// A file as it was a moment ago.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: Arc<Path>,
    pub(crate) attributes: Attributes,
}

impl Export {
    pub(crate) fn new(tree: impl Tree) -> io::Result<Self> {
        Self::with_handles(tree, MAX_HANDLES)
    }

    pub(crate) fn with_handles(tree: impl Tree, max: usize) -> io::Result<Self> {
        let root = tree.attributes(Path::new(ROOT))?;
        let handles = Mutex::new(Handles::new(root.identity(), max));
        Ok(Self { tree: Box::new(tree), handles, listed: Mutex::new(None) })
    }

    pub(crate) fn root(&self) -> Result<File, NfsStat> {
        self.at(Path::new(ROOT).into())
    }

    /// The file of a handle, if it is still the same.
    pub(crate) fn file(&self, handle: &FileHandle) -> Result<File, NfsStat> {
        let (path, identity) = self.handles.lock().unwrap_or_else(PoisonError::into_inner).find(handle)?;
        let attributes = self.tree.attributes(&path).map_err(|error| match error.kind() {
            // The file was here when its handle was given out.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NfsStat::Stale,
            _ => error.into(),
        })?;
        if attributes.identity() == identity { Ok(File { path, attributes }) } else { Err(NfsStat::Stale) }
    }

    pub(crate) fn directory(&self, handle: &FileHandle) -> Result<File, NfsStat> {
        let file = self.file(handle)?;
        if file.attributes.kind == FileType::Directory { Ok(file) } else { Err(NfsStat::NotDir) }
    }

    /// The handle of a file.
    pub(crate) fn handle(&self, file: &File) -> Result<FileHandle, NfsStat> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.issue(&file.path, file.attributes.identity())
    }

    /// The file of a name in a directory. Above the root there is the root.
    pub(crate) fn lookup(&self, directory: &File, name: &[u8]) -> Result<File, NfsStat> {
        if directory.attributes.kind != FileType::Directory {
            return Err(NfsStat::NotDir);
        }
        match name {
            b"." => return Ok(directory.clone()),
            b".." if *directory.path == *Path::new(ROOT) => return Ok(directory.clone()),
            b".." => return self.at(directory.path.parent().unwrap_or(Path::new(ROOT)).into()),
            _ => {}
        }
        if name.len() > MAX_NAME {
            return Err(NfsStat::NameTooLong);
        }
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Err(NfsStat::Acces);
        }
        let path = directory.path.join(OsStr::from_bytes(name));
        if path.as_os_str().len() > MAX_PATH {
            return Err(NfsStat::NameTooLong);
        }
        self.at(path.into())
    }

    pub(crate) fn target(&self, file: &File) -> Result<Vec<u8>, NfsStat> {
        if file.attributes.kind != FileType::Link {
            return Err(NfsStat::Inval);
        }
        Ok(self.tree.target(&file.path)?)
    }

    /// A part of a regular file.
    pub(crate) fn read(&self, file: &File, offset: u64, count: u32) -> Result<Part, NfsStat> {
        if file.attributes.kind != FileType::Regular {
            return Err(NfsStat::Inval);
        }
        let part = self.tree.read(&file.path, offset, count)?;
        // Opening follows links, inside of the tree: what was opened has to be the file of the handle.
        if part.attributes.identity() == file.attributes.identity() { Ok(part) } else { Err(NfsStat::Stale) }
    }

    pub(crate) fn space(&self) -> Result<Space, NfsStat> {
        Ok(self.tree.space()?)
    }

    fn at(&self, path: Arc<Path>) -> Result<File, NfsStat> {
        let attributes = self.tree.attributes(&path)?;
        Ok(File { path, attributes })
    }
}

impl From<io::Error> for NfsStat {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoEnt,
            io::ErrorKind::PermissionDenied => Self::Acces,
            io::ErrorKind::NotADirectory => Self::NotDir,
            io::ErrorKind::InvalidInput => Self::Inval,
            io::ErrorKind::InvalidFilename => Self::NameTooLong,
            io::ErrorKind::QuotaExceeded => Self::ServerFault,
            _ => Self::Io,
        }
    }
}
