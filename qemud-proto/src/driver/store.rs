//! Definitions on disk: for each a file `NAME.xml` of mode 0600, and beside them a folder `autostart` of symbolic links to
//! those that start together with the daemon.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::disk;
use crate::failure::{Code, Failure, Reply};
use crate::messages::XML_MAX;

const SUFFIX: &str = ".xml";
const AUTOSTART: &str = "autostart";

/// The definitions of one kind.
///
/// A method that fails has changed nothing, and so has one in which the daemon dies: a definition is on disk as it was
/// before or as it is afterwards. Names are those of parsed definitions, which hold no `/`.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

/// What was found on disk.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// In the order of their names.
    pub(super) definitions: Vec<Stored>,
    /// Files that are no definitions, and why. They stay where they are.
    pub(super) faults: Vec<(PathBuf, String)>,
}

/// A definition on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// What its file is called. Its XML may have been changed by hand to tell another.
    pub(super) name: String,
    pub(super) xml: String,
    pub(super) autostart: bool,
}

impl Store {
    /// Uses a folder, which is made where there is none, with mode 0700.
    pub(super) fn open(folder: &Path) -> Reply<Self> {
        let made = || {
            disk::make_private(folder)?;
            disk::make_private(&folder.join(AUTOSTART))
        };
        made().map_err(|error| disk::failed("cannot make the folder", folder, &error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where all of them are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a definition is, or would be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.folder.join(AUTOSTART).join(format!("{name}{SUFFIX}"))
    }

    /// Reads all there is, and clears away what a daemon left that died at work.
    pub(super) fn load(&self) -> Reply<Loaded> {
        let failed = |error: io::Error| disk::failed("cannot read the folder", &self.folder, &error);
        let mut loaded = Loaded::default();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(file) = path.file_name() else { continue };
            let Some(file) = file.to_str() else {
                if path.extension().is_some_and(|extension| extension == "xml") {
                    loaded.faults.push((path, "its name is not UTF-8".to_owned()));
                }
                continue;
            };
            let (prefix, suffix) = disk::UNFINISHED;
            if file.starts_with(prefix) && file.ends_with(suffix) {
                // If it stays it does no harm.
                let _ = fs::remove_file(&path);
            } else if let Some(name) = file.strip_suffix(SUFFIX).filter(|name| !name.is_empty()) {
                match read(&path) {
                    Ok(xml) => {
                        let autostart = fs::symlink_metadata(self.mark(name)).is_ok();
                        loaded.definitions.push(Stored { name: name.to_owned(), xml, autostart });
                    }
                    Err(fault) => loaded.faults.push((path, fault)),
                }
            }
        }
        loaded.definitions.sort_by(|a, b| a.name.cmp(&b.name));
        loaded.faults.sort();
        Ok(loaded)
    }

    /// Keeps a definition that has no earlier one, unless there is a file of its name: one that was left out, because
    /// it makes no sense as it is, may be mended by whoever edited it.
    pub(super) fn write_new(&self, name: &str, xml: &str) -> Reply<()> {
        let path = self.path(name);
        if fs::symlink_metadata(&path).is_ok() {
            let message = format!(
                "there is a file '{}' already that was not taken for a definition, as the daemon's log tells; mend or remove it",
                path.display()
            );
            return Err(Failure::new(Code::OperationFailed, message));
        }
        self.write(name, xml)
    }

    /// Keeps a definition, in the place of an earlier one of its name, whose autostart mark it takes over.
    pub(super) fn write(&self, name: &str, xml: &str) -> Reply<()> {
        let path = self.path(name);
        let written = || {
            if !fs::exists(&path)? {
                // The mark of one whose removal was cut short.
                remove(&self.mark(name))?;
            }
            disk::replace(&path, xml.as_bytes())
        };
        written().map_err(|error| disk::failed("cannot write", &path, &error))
    }

    /// Forgets a definition and its autostart mark; no error where there is none.
    pub(super) fn remove(&self, name: &str) -> Reply<()> {
        let path = self.path(name);
        let removed = || {
            remove(&path)?;
            disk::sync(&self.folder)
        };
        removed().map_err(|error| disk::failed("cannot remove", &path, &error))?;
        // Without its definition a mark means nothing, so that it may stay.
        let _ = remove(&self.mark(name));
        Ok(())
    }

    /// Marks a definition to start together with the daemon, or not.
    pub(super) fn set_autostart(&self, name: &str, autostart: bool) -> Reply<()> {
        let mark = self.mark(name);
        let marked = || {
            if !autostart {
                remove(&mark)?;
            } else if let Err(error) = symlink(self.path(name), &mark)
                && error.kind() != ErrorKind::AlreadyExists
            {
                return Err(error);
            }
            disk::sync(&self.folder.join(AUTOSTART))
        };
        marked().map_err(|error| disk::failed("cannot change the mark", &mark, &error))
    }
}

/// The XML of a file, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let content = disk::read_at_most(path, XML_MAX).map_err(|error| error.to_string())?;
    let content = content.ok_or("it is not a regular file")?;
    if content.len() > XML_MAX {
        return Err(format!("it has more than {XML_MAX} bytes"));
    }
    String::from_utf8(content)
        .map_err(|error| format!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

/// No error where there is nothing.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
