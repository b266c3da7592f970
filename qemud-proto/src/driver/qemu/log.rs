//! What a guest's process says, in a log of bounded length.
//!
//! It says it into a pipe, which the daemon empties into the file `ID.log` of the state folder. A guest may make QEMU
//! complain without end, so neither may grow: when the file is full its older half goes, and what the pipe has no room for
//! is lost. The process has both ends of the pipe, so that it never writes to one without a reader. Once it has started it
//! does not wait for room either. So it goes on while there is no daemon, and the next one finds the pipe again, in the
//! process.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::sleep;

use super::process::Process;
use super::state::Files;
use crate::driver::disk::{self, blocking};
use crate::failure::Reply;

/// Most bytes of a log.
const LOG_MAX: u64 = 128 << 10;
/// How many of them stay when it is full.
const KEPT: u64 = LOG_MAX / 2;
/// Most bytes that are taken at a time: as much as a pipe holds.
const TAKEN_MAX: usize = 64 << 10;
/// Between two looks into the pipe: who says more than a pipe holds meanwhile is not listened to all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// The log of one guest.
#[derive(Debug)]
pub(super) struct Log {
    /// None where the process's cannot be read.
    pipe: Option<pipe::Receiver>,
    /// What the process writes to, as long as it waits for room there.
    theirs: Mutex<Option<OwnedFd>>,
    files: Files,
    /// Held by whoever takes from the pipe.
    turn: Mutex<()>,
}

impl Log {
    /// An empty log, and what the process writes to.
    pub(super) fn make(files: &Files) -> Reply<(Arc<Self>, OwnedFd)> {
        let made = || {
            // A new file each time: its mode is that of the first.
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&files.log)?;
            let (reader, writer) = io::pipe()?;
            // For reading as well, so that there is a reader as long as there is the process.
            let theirs =
                File::options().read(true).write(true).open(format!("/proc/self/fd/{}", writer.as_raw_fd()))?;
            let kept = OwnedFd::from(theirs.try_clone()?);
            Ok((Self::reading(Some(pipe::Receiver::from_owned_fd(reader.into())?), Some(kept), files), theirs.into()))
        };
        made().map_err(|error| disk::failed("cannot make", &files.log, &error))
    }

    /// The log of a process that runs already.
    pub(super) fn of(process: &Process, files: &Files) -> Arc<Self> {
        let theirs = format!("/proc/{}/fd/2", process.id.pid);
        let opened = pipe::OpenOptions::new().read_write(true).open_receiver(theirs);
        // If it is still there, it is not another one of its number.
        Self::reading(opened.ok().filter(|_| !process.has_ended()), None, files)
    }

    fn reading(pipe: Option<pipe::Receiver>, theirs: Option<OwnedFd>, files: &Files) -> Arc<Self> {
        Arc::new(Self { pipe, theirs: Mutex::new(theirs), files: files.clone(), turn: Mutex::default() })
    }

    /// Has the process wait for room no more. It did while it started, and would have been ended with the daemon, so that
    /// nothing is lost of why a start fails.
    pub(super) fn let_go(&self) {
        let theirs = self.theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = theirs.map(pipe::Sender::from_owned_fd) {
            tracing::error!(log = %self.files.log.display(), %error, "a guest waits when nobody listens to it");
        }
    }

    /// Keeps what is said; this never ends.
    pub(super) async fn keep(self: &Arc<Self>) -> Infallible {
        while let Some(pipe) = &self.pipe
            && pipe.readable().await.is_ok()
        {
            let log = Arc::clone(self);
            // It has no failure.
            let _ = blocking(move || {
                log.take();
                Ok(())
            })
            .await;
            sleep(PAUSE).await;
        }
        std::future::pending().await
    }

    /// The last lines that were said, as one.
    pub(super) fn last_words(&self) -> String {
        self.take();
        self.files.last_words()
    }

    /// Takes what is in the pipe. This waits for the disk.
    fn take(&self) {
        let Some(pipe) = &self.pipe else { return };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = vec![0; TAKEN_MAX];
        let mut length = 0;
        while let Some(room) = said.get_mut(length..).filter(|room| !room.is_empty()) {
            match pipe.try_read(room) {
                Ok(more @ 1..) => length += more,
                // There is nothing more now.
                _ => break,
            }
        }
        said.truncate(length);
        if let Err(error) = append(&self.files.log, &said)
            // The guest is gone.
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(log = %self.files.log.display(), %error, "what a guest said is lost");
        }
    }
}

/// Writes to the end of a log, whose beginning goes where it becomes too long.
fn append(log: &Path, said: &[u8]) -> io::Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    let mut file = File::options().read(true).append(true).open(log)?;
    let length = file.metadata()?.len();
    if length.saturating_add(said.len() as u64) > LOG_MAX {
        let mut kept = Vec::new();
        file.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
        (&mut file).take(KEPT).read_to_end(&mut kept)?;
        file.set_len(0)?;
        file.write_all(&kept)?;
    }
    file.write_all(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_end_and_stays_within_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("1.log");
        assert!(append(&log, b"x").is_err(), "one that was removed is not made again");
        File::create(&log).unwrap();
        let mut longest = 0;
        for number in 0..1000 {
            append(&log, format!("{number:0>999}\n").as_bytes()).unwrap();
            longest = longest.max(log.metadata().unwrap().len());
        }
        assert!((LOG_MAX - 1000..=LOG_MAX).contains(&longest), "{longest}");
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.len() as u64 >= KEPT && text.ends_with("0999\n"), "{}", text.len());
        append(&log, &[b'y'; TAKEN_MAX]).unwrap();
        assert!(log.metadata().unwrap().len() <= LOG_MAX);
    }
}
