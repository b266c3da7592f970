//! The file of a saved guest: written beside its place, and given its name when all of it is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::driver::disk;
use crate::driver::saved::{self, HEAD_MAX, Saved};
use crate::failure::{Code, Failure, Reply};

const DRIVER: &str = "qemu";

/// Where the file is until it is complete: beside the place where it will be, under a name that can be noted before.
pub(super) fn partial(path: &Path, id: i32) -> PathBuf {
    let ((prefix, suffix), daemon) = (disk::UNFINISHED, std::process::id());
    path.with_file_name(format!("{prefix}{daemon}-{id}{suffix}"))
}

/// A file that is not complete yet. What is noted of the guest tells what becomes of it: a daemon that ends just when the
/// guest is noted as saved must not take it away.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    /// Opened before anything is done: what cannot be opened cannot be made to last.
    folder: File,
}

impl Unfinished {
    /// The file with all but the memory.
    pub(super) fn begin(path: &Path, partial: &Path, saved: &Saved) -> Reply<Self> {
        let begun = || {
            let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
            disk::refuse_other_than_a_file(path)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial)?;
            file.write_all(saved::head(DRIVER, saved).as_bytes())?;
            Ok(Self { file, partial: partial.to_owned(), path: path.to_owned(), folder })
        };
        begun().map_err(|error| disk::failed("cannot save to", path, &error))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, so that it lasts. After an error there is no file of that name.
    pub(super) fn finish(&self) -> Reply<()> {
        self.finish_by(File::sync_all)
    }

    fn finish_by(&self, sync: impl FnOnce(&File) -> io::Result<()>) -> Reply<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Code::SystemError, format!("cannot save to '{}': {error}", self.path.display()))
        };
        let (partial, path) = (self.partial.as_path(), self.path.as_path());
        fs::rename(partial, path).map_err(|error| failed(&error))?;
        let Err(error) = sync(&self.folder) else { return Ok(()) };
        // The guest goes on: whoever restored it from here would have it run twice, on the same disks.
        match fs::rename(path, partial) {
            Ok(()) => Err(failed(&error)),
            Err(stays) => Err(failed(&format_args!(
                "{error}; the domain goes on, and the file is complete and cannot be removed ({stays}): nothing must be \
                 restored from it"
            ))),
        }
    }
}

/// A file and what it says, read up to where the memory begins.
pub(super) fn open(path: &Path) -> Reply<(Saved, File)> {
    let failed = |error: io::Error| disk::failed("cannot restore from", path, &error);
    // A pipe would keep its reader waiting.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(saved::refused(path, "is not a regular file"));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    (&mut file).take(HEAD_MAX as u64).read_to_end(&mut content).map_err(failed)?;
    let (saved, rest) = saved::understand(DRIVER, &content).map_err(|reason| saved::refused(path, &reason))?;
    if rest.is_empty() {
        return Err(saved::refused(path, "is cut short: there is no memory in it"));
    }
    let behind = content.len().saturating_sub(rest.len());
    file.seek(SeekFrom::Start(behind as u64)).map_err(failed)?;
    Ok((saved, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(folder: &Path) -> (PathBuf, Unfinished) {
        let path = folder.join("a.save");
        let saved = Saved { xml: "<domain/>".to_owned(), paused: false };
        let file = Unfinished::begin(&path, &partial(&path, 3), &saved).unwrap();
        (path, file)
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_complete_and_stays_as_it_is_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = begun(folder.path());
        let hidden = partial(&path, 3);
        drop(file);
        // Whoever reads what was noted of the guest removes it.
        assert_eq!(names(folder.path()), [hidden.file_name().unwrap().to_str().unwrap()]);
        fs::remove_file(hidden).unwrap();
        let (path, file) = begun(folder.path());
        file.finish().unwrap();
        drop(file);
        assert_eq!(names(folder.path()), ["a.save"]);
        assert!(fs::read_to_string(path).unwrap().ends_with("<domain/>"));
    }

    #[test]
    fn what_does_not_last_is_no_file_to_restore_from() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = begun(folder.path());
        let failure = file.finish_by(|_| Err(io::Error::other("the disk is ill"))).unwrap_err();
        assert_eq!(failure.message, format!("cannot save to '{}': the disk is ill", path.display()));
        // It is still there for a daemon that dies now: without it the guest would count as saved.
        assert_eq!(names(folder.path()), [partial(&path, 3).file_name().unwrap().to_str().unwrap()]);
    }

    #[test]
    fn a_complete_file_that_stays_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = begun(folder.path());
        let hidden = partial(&path, 3);
        let failure = file.finish_by(|_| {
            // A folder is in the way of the file that was there.
            fs::create_dir(&hidden)?;
            Err(io::Error::other("the disk is ill"))
        });
        let message = failure.unwrap_err().message;
        assert!(message.contains("the disk is ill; the domain goes on, and the file is complete"), "{message}");
        assert!(path.exists());
    }
}
