//! What no guest is saved over: files that domains name, files that are being saved to or restored from, and whatever is in
//! the daemon's own folders.
//!
//! Files are compared by device and inode, and by folder and name, so that links, mounts and roundabout paths lead to
//! nothing else, and a file that is not there yet is spared as well.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::xml::DomainDefinition;
use crate::xml::interfaces::Link;

/// Device and inode.
type FileId = (u64, u64);

/// A file's place, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What is there.
    file: Option<FileId>,
    /// Its folder, and its name in there.
    entry: Option<(FileId, OsString)>,
}

impl Place {
    /// This waits for the disk.
    pub(super) fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok().as_ref().map(id_of);
        let folder = path.parent().and_then(|folder| fs::metadata(folder).ok()).as_ref().map(id_of);
        Self { file, entry: folder.zip(path.file_name().map(ToOwned::to_owned)) }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (self.file.is_some() && self.file == other.file) || (self.entry.is_some() && self.entry == other.entry)
    }
}

fn id_of(metadata: &Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// The files that a definition names, and what each is to the domain.
pub(super) fn named(definition: &DomainDefinition) -> Vec<(PathBuf, String)> {
    let of = |what: &str| format!("{what} of domain '{}'", definition.name);
    let (os, devices) = (&definition.os, &definition.devices);
    let disks = devices.disks.iter();
    let disks = disks.filter_map(|disk| Some((disk.source.as_ref()?, of(&format!("the disk '{}'", disk.target)))));
    let scripts = devices.interfaces.iter().filter_map(|interface| match &interface.link {
        Link::Ethernet { script, .. } => Some((script.as_ref()?, of("the script of an interface"))),
        _ => None,
    });
    let others = [("the kernel", &os.kernel), ("the initrd", &os.initrd), ("the emulator", &devices.emulator)];
    let others = others.into_iter().filter_map(|(what, path)| Some((path.as_ref()?, of(what))));
    disks.chain(others).chain(scripts).map(|(path, what)| (PathBuf::from(path), what)).collect()
}

/// Why nothing is saved there, if there is a reason. This waits for the disk.
pub(super) fn taken(path: &Path, named: &[(PathBuf, String)], own: &[PathBuf]) -> Option<String> {
    let place = Place::of(path);
    if let Some((_, what)) = named.iter().find(|(file, _)| place.is(&Place::of(file))) {
        return Some(format!("it is {what}"));
    }
    let above = fs::canonicalize(path.parent()?).ok()?;
    let above: Vec<FileId> = above.ancestors().filter_map(|folder| Some(id_of(&fs::metadata(folder).ok()?))).collect();
    let own = own.iter().find(|folder| fs::metadata(folder).is_ok_and(|folder| above.contains(&id_of(&folder))));
    own.map(|folder| format!("the daemon keeps its own files in '{}'", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_place_is_the_same_by_whatever_way_it_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink(path("sub"), path("other")).unwrap();
        for name in ["a", "b"] {
            fs::write(path("sub").join(name), "").unwrap();
        }
        fs::hard_link(path("sub/a"), path("linked")).unwrap();
        symlink(path("sub/a"), path("symbolic")).unwrap();
        let a = Place::of(&path("sub/a"));
        for same in ["sub/../sub/a", "other/a", "linked", "symbolic"] {
            assert!(a.is(&Place::of(&path(same))), "{same}");
        }
        for other in ["sub/b", "other/b", "a", "nowhere/a", "other"] {
            assert!(!a.is(&Place::of(&path(other))), "{other}");
        }
        // What is not there yet has a place already.
        assert!(Place::of(&path("sub/new")).is(&Place::of(&path("other/new"))));
        assert!(!Place::of(&path("nowhere/new")).is(&Place::of(&path("nowhere/new"))), "there is no such place");
    }
}
