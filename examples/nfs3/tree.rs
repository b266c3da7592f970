//! What is exported: a tree of files, by path. Here the embedded one; `folder` has the other.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::{Attributes, FileType, NfsTime, SpecData};

/// The path of a tree's root. All others begin with it, and have only plain names behind it.
pub(crate) const ROOT: &str = ".";

/// What a file is called by, whatever its name: file system and number in it.
pub(crate) type Identity = (u64, u64);

impl Attributes {
    pub(crate) const fn identity(&self) -> Identity {
        (self.fsid, self.fileid)
    }
}

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) attributes: Attributes,
    pub(crate) data: Vec<u8>,
    /// The part is the file's last.
    pub(crate) eof: bool,
}

/// How much room there is, in bytes and in files.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pub(crate) bytes: u64,
    pub(crate) bytes_free: u64,
    pub(crate) bytes_available: u64,
    pub(crate) files: u64,
    pub(crate) files_free: u64,
}

/// A tree of files. Its methods block, and follow no symbolic link.
pub(crate) trait Tree: Send + Sync + 'static {
    /// What a path leads to.
    fn attributes(&self, path: &Path) -> io::Result<Attributes>;

    /// The names in a directory, without `.` and `..`, in any order; an error where there are more than `max`.
    fn names(&self, path: &Path, max: usize) -> io::Result<Vec<Vec<u8>>>;

    /// What a symbolic link says.
    fn target(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// At most `count` bytes of a regular file. What is read is what the attributes beside it are about.
    fn read(&self, path: &Path, offset: u64, count: u32) -> io::Result<Part>;

    /// How much room there is.
    fn space(&self) -> io::Result<Space>;
}

/// A small tree in memory.
#[derive(Debug)]
pub(crate) struct Embedded {
    nodes: BTreeMap<PathBuf, Node>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Directory,
    File(&'static str),
    Link(&'static str),
}

impl Embedded {
    pub(crate) fn new() -> Self {
        let nodes = [
            ("", Node::Directory),
            ("README", Node::File("This tree is part of the example nfs3.\nServe a folder with --export DIR.\n")),
            ("empty", Node::File("")),
            ("latest", Node::Link("notes/second")),
            ("notes", Node::Directory),
            ("notes/first", Node::File("RFC 1813 is from June 1995.\n")),
            ("notes/second", Node::File("Its types are in protocol/, as they stand there.\n")),
        ];
        Self { nodes: nodes.into_iter().map(|(path, node)| (Path::new(ROOT).join(path), node)).collect() }
    }

    fn node(&self, path: &Path) -> io::Result<(u64, Node)> {
        let place = self.nodes.iter().position(|(other, _)| other == path).ok_or(io::ErrorKind::NotFound)?;
        let node = self.nodes.get(path).ok_or(io::ErrorKind::NotFound)?;
        // 1 is the root's.
        Ok((place as u64 + 1, *node))
    }

    fn children(&self, path: &Path) -> impl Iterator<Item = &Path> {
        self.nodes.keys().map(PathBuf::as_path).filter(move |other| *other != path && other.parent() == Some(path))
    }
}

impl Tree for Embedded {
    fn attributes(&self, path: &Path) -> io::Result<Attributes> {
        let (fileid, node) = self.node(path)?;
        let (kind, mode, size, nlink) = match node {
            Node::Directory => {
                let folders =
                    self.children(path).filter(|child| matches!(self.nodes.get(*child), Some(Node::Directory)));
                (FileType::Directory, 0o555, 0, folders.count() + 2)
            }
            Node::File(text) => (FileType::Regular, 0o444, text.len(), 1),
            Node::Link(target) => (FileType::Link, 0o777, target.len(), 1),
        };
        // Nobody has ever changed it.
        let time = NfsTime { seconds: 802_000_000, nseconds: 0 };
        Ok(Attributes {
            kind,
            mode,
            nlink: u32::try_from(nlink).unwrap_or(u32::MAX),
            uid: 0,
            gid: 0,
            size: size as u64,
            used: size as u64,
            rdev: SpecData::default(),
            fsid: 1,
            fileid,
            atime: time,
            mtime: time,
            ctime: time,
        })
    }

    fn names(&self, path: &Path, max: usize) -> io::Result<Vec<Vec<u8>>> {
        let names = self.children(path).filter_map(Path::file_name);
        let names: Vec<_> = names.map(|name| name.as_encoded_bytes().to_vec()).collect();
        if names.len() > max { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(names) }
    }

    fn target(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.node(path)?.1 {
            Node::Link(target) => Ok(target.into()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn read(&self, path: &Path, offset: u64, count: u32) -> io::Result<Part> {
        let attributes = self.attributes(path)?;
        let Node::File(text) = self.node(path)?.1 else { return Err(io::ErrorKind::InvalidInput.into()) };
        let rest = usize::try_from(offset).ok().and_then(|offset| text.as_bytes().get(offset..)).unwrap_or_default();
        let part = rest.get(..count as usize).unwrap_or(rest);
        Ok(Part { attributes, data: part.into(), eof: part.len() == rest.len() })
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space::default())
    }
}
