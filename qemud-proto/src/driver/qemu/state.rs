//! The state folder: what runs, for a daemon that is started while guests run.
//!
//! A guest with the id 3 has the files `3.json`, `3.monitor`, `3.log` and, at times, `3.migration` and `3.png`. The first
//! is written before anything runs, and every process bears its path as a mark: whenever the daemon dies, either nothing
//! runs or what runs is found.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::process::ProcessId;
use crate::driver::disk;
use crate::failure::{Code, Failure, Reply};

/// Longest path of a unix socket on Linux, in bytes (`sun_path` without its NUL).
const SOCKET_PATH_MAX: usize = 107;
/// Longest file of a guest: its definition, each character escaped, and some more.
const GUEST_MAX: usize = 1 << 20;
/// How much of a guest's log is read, and how many lines of it are told.
const LOG_MAX: u64 = 4096;
const LOG_LINES: usize = 8;

/// What is known of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    pub(super) id: i32,
    /// The definition it was started with.
    pub(super) xml: String,
    pub(super) phase: Phase,
}

/// How far a guest is. It is written before what it tells of begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Phase {
    /// It is being made ready: a daemon that finds it ends it.
    Starting,
    /// All is ready, and it is about to go on for the first time.
    Ready { process: ProcessId },
    /// It runs or is suspended.
    Running { process: ProcessId },
    /// It is being saved to `partial`, and goes on when that fails, unless it was suspended.
    Saving { process: ProcessId, partial: PathBuf, resume: bool },
    /// All is saved: `partial` becomes `path`, and the guest ends.
    Saved { process: ProcessId, partial: PathBuf, path: PathBuf, resume: bool },
}

impl Phase {
    /// The process, once there is one.
    pub(super) fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Starting => None,
            Self::Ready { process }
            | Self::Running { process }
            | Self::Saving { process, .. }
            | Self::Saved { process, .. } => Some(*process),
        }
    }

    /// Has it be of another process, where there is one.
    pub(super) fn set_process(&mut self, other: ProcessId) {
        match self {
            Self::Starting => {}
            Self::Ready { process }
            | Self::Running { process }
            | Self::Saving { process, .. }
            | Self::Saved { process, .. } => *process = other,
        }
    }
}

/// The state folder of the driver.
#[derive(Debug, Clone)]
pub(super) struct StateFolder(PathBuf);

/// The files of one guest.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// What is known of it; also its mark.
    pub(super) guest: PathBuf,
    pub(super) monitor: PathBuf,
    pub(super) log: PathBuf,
    /// The socket that its state passes through.
    pub(super) migration: PathBuf,
    pub(super) picture: PathBuf,
}

impl StateFolder {
    /// Uses a folder, which is made where there is none, with mode 0700.
    pub(super) fn open(folder: &Path) -> Reply<Self> {
        let failed = |error| disk::failed("cannot make the folder", folder, &error);
        disk::make_private(folder).map_err(failed)?;
        let folder = Self(fs::canonicalize(folder).map_err(failed)?);
        let longest = folder.files(i32::MAX).migration;
        if longest.as_os_str().len() > SOCKET_PATH_MAX {
            let message = format!("the path of sockets in the folder '{}' is too long", folder.0.display());
            return Err(Failure::new(Code::SystemError, message));
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The id of the guest whose file this is.
    pub(super) fn id_of(&self, guest: &Path) -> Option<i32> {
        let id = guest.strip_prefix(&self.0).ok()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
        (self.files(id).guest == guest).then_some(id)
    }

    pub(super) fn files(&self, id: i32) -> Files {
        let file = |suffix: &str| self.0.join(format!("{id}.{suffix}"));
        Files {
            guest: file("json"),
            monitor: file("monitor"),
            log: file("log"),
            migration: file("migration"),
            picture: file("png"),
        }
    }

    /// Removes the files of other guests than these, which are left of a daemon that died while it removed them.
    pub(super) fn remove_others<'a>(&self, ids: impl Iterator<Item = &'a i32>) {
        let ids: BTreeSet<_> = ids.copied().collect();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.split_once('.')?.0.parse().ok());
            if let Some(id) = id.filter(|id| !ids.contains(id)) {
                self.files(id).remove();
            }
        }
    }

    /// The guests that a daemon left behind, in the order of their ids; of those whose files make no sense only the ids,
    /// and why.
    pub(super) fn load(&self) -> Reply<Vec<(i32, Result<Guest, String>)>> {
        let failed = |error: io::Error| disk::failed("cannot read the folder", &self.0, &error);
        let mut guests = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
            let (prefix, suffix) = disk::UNFINISHED;
            if file.starts_with(prefix) && file.ends_with(suffix) {
                let _ = fs::remove_file(&path);
            } else if let Some(id) = self.id_of(&path) {
                let guest = Guest::read(&path).and_then(|guest| match guest.id == id {
                    true => Ok(guest),
                    false => Err(format!("its id is {}", guest.id)),
                });
                guests.push((id, guest));
            }
        }
        guests.sort_by_key(|(id, _)| *id);
        Ok(guests)
    }
}

impl Guest {
    fn read(path: &Path) -> Result<Self, String> {
        let content = disk::read_at_most(path, GUEST_MAX).map_err(|error| error.to_string())?;
        let content = content.ok_or("it is not a regular file")?;
        serde_json::from_slice(&content).map_err(|error| error.to_string())
    }

    /// Notes it. This waits for the disk.
    pub(super) fn write(&self, files: &Files) -> Reply<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        let written = text.and_then(|text| disk::replace(&files.guest, &text));
        written.map_err(|error| disk::failed("cannot write", &files.guest, &error))
    }
}

impl Files {
    /// Forgets the guest, of which nothing runs any more.
    pub(super) fn remove(&self) {
        let Self { guest, monitor, log, migration, picture } = self;
        // What is known of it goes last: until then somebody would look for the rest.
        for path in [monitor, log, migration, picture, guest] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(file = %path.display(), %error, "cannot remove a file");
            }
        }
    }

    /// The last lines that the guest's process said, as one.
    pub(super) fn last_words(&self) -> String {
        let read = || {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX)))?;
            let mut bytes = Vec::new();
            file.take(LOG_MAX).read_to_end(&mut bytes)?;
            io::Result::Ok(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("; ")
    }
}

/// Keeps other daemons out of a folder as long as the file is open, and no longer: the kernel takes the lock away from the
/// dead.
pub(super) fn lock(folder: &Path) -> Reply<File> {
    let path = folder.join("lock");
    let failed = |error: io::Error| disk::failed("cannot lock", &path, &error);
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).read(true).write(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    // A child that a daemon was about to make when it was killed has the lock until it runs its own program: a moment.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => {
                let pid = std::process::id().to_string();
                file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(failed)?;
                return Ok(file);
            }
            Err(fs::TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(25)),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    let mut pid = String::new();
    let _ = (&mut file).take(16).read_to_string(&mut pid);
    let message = format!("another daemon has locked '{}', its pid is {}", path.display(), pid.trim());
    Err(Failure::new(Code::OperationFailed, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> (tempfile::TempDir, StateFolder) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("qemu")).unwrap();
        (folder, state)
    }

    #[test]
    fn what_is_known_of_guests_is_read_again_and_a_bad_file_hides_no_other() {
        let (_folder, state) = scene();
        let process = ProcessId { pid: 7, started: 9 };
        for id in [12, 3] {
            let guest = Guest { id, xml: "<domain>\n".to_owned(), phase: Phase::Ready { process } };
            guest.write(&state.files(id)).unwrap();
        }
        fs::write(state.files(5).guest, "{").unwrap();
        fs::copy(state.files(3).guest, state.files(4).guest).unwrap();
        let loaded = state.load().unwrap();
        assert_eq!(loaded.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 4, 5, 12]);
        assert_eq!(loaded[1].1.as_ref().unwrap_err(), "its id is 3");
        assert!(loaded[2].1.as_ref().unwrap_err().contains("EOF"));
        assert_eq!(loaded[3].1.as_ref().unwrap().phase, Phase::Ready { process });
        state.files(12).remove();
        assert_eq!(state.load().unwrap().len(), 3);
    }

    #[test]
    fn the_last_words_are_few() {
        let (_folder, state) = scene();
        let files = state.files(1);
        assert_eq!(files.last_words(), "");
        let text: String = (0..10_000).map(|number| format!("line {number}\n\n")).collect();
        fs::write(&files.log, text).unwrap();
        let last = files.last_words();
        assert!(last.starts_with("line 9992; ") && last.ends_with("; line 9999"), "{last}");
        fs::write(&files.log, "x".repeat(10_000)).unwrap();
        assert_eq!(files.last_words().len(), 4096);
    }

    #[test]
    fn a_folder_is_locked_by_one_and_the_message_tells_whom() {
        let (folder, _) = scene();
        let first = lock(folder.path()).unwrap();
        let failure = lock(folder.path()).unwrap_err();
        let path = folder.path().join("lock");
        let message = format!("another daemon has locked '{}', its pid is {}", path.display(), std::process::id());
        assert_eq!(failure, Failure::new(Code::OperationFailed, message));
        drop(first);
        lock(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_whose_sockets_would_have_names_too_long_is_refused() {
        let (folder, _) = scene();
        let failure = StateFolder::open(&folder.path().join("x".repeat(100))).unwrap_err();
        assert!(failure.message.contains("is too long"), "{failure}");
    }
}
