//! Saving and restoring: a guest's memory passes through a unix socket between QEMU and the daemon, which alone touches
//! the file. So a full disk is seen here, the guest can go on, and no process is left that writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use qapi::qmp::{MigrateSetParameters, migrate, migrate_incoming, migrate_set_parameters};
use tempfile::{NamedTempFile, TempPath};
use tokio::net::UnixListener;
use tokio::time::{sleep, timeout};

use super::hypervisor::Hypervisor;
use super::machine::Machine;
use super::monitor::{Monitor, query_migrate};
use super::starting::Incoming;
use super::state::Phase;
use crate::driver::disk::{self, blocking};
use crate::driver::saved::{self, HEAD_MAX, Saved};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{JobInfo, JobKind};

const DRIVER: &str = "qemu";
/// Bytes that are carried at a time.
const PIECE: usize = 1 << 20;
/// Waits between looks at a migration that is about to end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// More than any disk takes, in bytes a second: QEMU would be careful with a network.
const BANDWIDTH: u64 = 1 << 40;

/// Saving or restoring that is under way.
#[derive(Debug)]
pub(super) struct Job {
    began: Instant,
    /// Bytes of the file that is restored; none while a guest is saved, which QEMU knows.
    total: Option<u64>,
    done: AtomicU64,
}

impl Hypervisor {
    /// Writes a guest's memory to a file and ends it. When that fails, the guest goes on as before.
    pub(super) async fn save(self: &Arc<Self>, id: i32, path: PathBuf) -> Reply<()> {
        let (machine, definition) = self.machine(id, |active| active.definition.clone())?;
        let images = definition.devices.disks.iter().filter_map(|disk| disk.source.clone()).collect();
        let place = path.clone();
        blocking(move || spare(images, &place)).await?;
        let job = self.begin_job(definition.uuid, &definition.name, None)?;
        let saved = async {
            let _turn = machine.turn.lock().await;
            machine.finish().await?;
            let paused = !machine.runs().await?;
            let saved = Saved { xml: definition.stored_xml(), paused };
            let (process, partial, resume) = (machine.process.id, partial(&path, id), !paused);
            let saving = Phase::Saving { process, partial: partial.clone(), resume };
            machine.note(saving.clone()).await?;
            let (target, beside) = (path.clone(), partial.clone());
            let written = async {
                let file = blocking(move || begin_file(&target, &beside, &saved)).await?;
                let (file, path) = self.write_memory(&machine, file, path, &job).await?;
                machine.note(Phase::Saved { process, partial, path: path.clone(), resume }).await?;
                blocking(move || finish_file(file, &path)).await
            };
            if let Err(failure) = written.await {
                // The guest goes on as it was before, now or when it answers.
                machine.set_unfinished(Some(saving));
                if let Err(failure) = machine.finish().await {
                    tracing::error!(domain = machine.name, %failure, "cannot go on yet after it was not saved");
                    machine.behind.notify_one();
                }
                return Err(failure);
            }
            machine.end().await
        };
        let saved = saved.await;
        self.end_job(definition.uuid);
        saved
    }

    async fn write_memory(
        &self,
        machine: &Machine,
        mut file: NamedTempFile,
        path: PathBuf,
        job: &Arc<Job>,
    ) -> Reply<(NamedTempFile, PathBuf)> {
        machine.halt().await?;
        let failed = |error: io::Error| Failure::new(Code::SystemError, format!("cannot save: {error}"));
        let _ = fs::remove_file(&machine.files.migration);
        let listener = UnixListener::bind(&machine.files.migration).map_err(failed)?;
        let monitor = machine.monitor()?;
        let parameters = MigrateSetParameters { max_bandwidth: Some(BANDWIDTH), ..unchanged() };
        monitor.execute(migrate_set_parameters(parameters)).await?;
        let uri = Some(format!("unix:{}", machine.files.migration.display()));
        monitor.execute(migrate { uri, channels: None, detach: None, resume: None }).await?;
        let silent = |_| Failure::new(Code::OperationFailed, "QEMU does not send the domain's memory");
        let (stream, _) = timeout(self.limit, listener.accept()).await.map_err(silent)?.map_err(failed)?;
        let stream = stream.into_std().map_err(failed)?;
        let (limit, counted) = (self.limit, Arc::clone(job));
        let file = blocking(move || {
            let carried = patient(&stream, limit).and_then(|()| carry(&stream, file.as_file_mut(), &counted));
            let carried = carried.and_then(|()| file.as_file().sync_all());
            carried.map_err(|error| disk::failed("cannot save to", &path, &error))?;
            Ok((file, path))
        });
        let (file, path) = file.await?;
        // Only what QEMU calls complete is.
        outcome(&monitor, self.limit).await?.map_err(|reason| {
            let message = format!("domain '{}' cannot be saved: {reason}", machine.name);
            Failure::new(Code::OperationFailed, message)
        })?;
        Ok((file, path))
    }

    /// Starts a domain from a file that [`save`](Self::save) wrote.
    pub(super) async fn restore(self: &Arc<Self>, path: PathBuf) -> Reply<i32> {
        let place = path.clone();
        let (saved, file) = blocking(move || open_file(&place)).await?;
        let definition = super::parse(&saved.xml)
            .map_err(|failure| saved::refused(&path, &format!("is damaged: {}", failure.message)))?;
        let reserved = self.reserve(definition).await?;
        self.launch(reserved, Some(Incoming { path, file, paused: saved.paused })).await
    }

    /// Gives a guest that waits for it the memory of a file.
    pub(super) async fn receive(&self, uuid: Uuid, machine: &Machine, incoming: Incoming) -> Reply<()> {
        let Incoming { path, mut file, .. } = incoming;
        let failed = |error: io::Error| disk::failed("cannot restore from", &path, &error);
        let total = file.metadata().and_then(|file_is| Ok(file_is.len().saturating_sub(file.stream_position()?)));
        let job = self.begin_job(uuid, &machine.name, Some(total.map_err(failed)?))?;
        let received = async {
            let monitor = machine.monitor()?;
            let uri = Some(format!("unix:{}", machine.files.migration.display()));
            monitor.execute(migrate_incoming { uri, channels: None, exit_on_error: None }).await?;
            let (socket, limit) = (machine.files.migration.clone(), self.limit);
            let carried = blocking(move || {
                let stream = UnixStream::connect(socket).map_err(|error| disk::failed("cannot use", &path, &error))?;
                // What QEMU thinks of what it got is what counts: where it wants no more, writing fails.
                Ok(patient(&stream, limit).and_then(|()| carry(&file, &stream, &job)).err())
            });
            let fault = carried.await?;
            let outcome = outcome(&monitor, self.limit).await?;
            outcome.map_err(|reason| {
                let fault = fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
                Failure::new(Code::OperationFailed, format!("cannot restore: {reason}{fault}"))
            })
        };
        let received = received.await;
        self.end_job(uuid);
        received
    }

    /// What a domain is busy with.
    pub(super) async fn job_info(&self, uuid: Uuid) -> Reply<JobInfo> {
        let machine = self.domains().look(uuid)?.1.map(|active| Arc::clone(&active.machine));
        let Some(job) = self.jobs().get(&uuid).map(Arc::clone) else {
            return Ok(JobInfo {
                kind: JobKind::None,
                elapsed: 0,
                data_total: 0,
                data_processed: 0,
                data_remaining: 0,
            });
        };
        let elapsed = u64::try_from(job.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let done = job.done.load(Ordering::Relaxed);
        let (total, remaining) = match (job.total, machine) {
            (Some(total), _) => (total, total.saturating_sub(done)),
            (None, Some(machine)) => {
                let ram = machine.monitor()?.execute(query_migrate {}).await?.ram;
                (ram.total, ram.remaining)
            }
            (None, None) => (0, 0),
        };
        let (data_total, data_processed, data_remaining) = (total, done, remaining);
        Ok(JobInfo { kind: JobKind::Unbounded, elapsed, data_total, data_processed, data_remaining })
    }

    /// A domain does one such thing at a time.
    fn begin_job(&self, uuid: Uuid, name: &str, total: Option<u64>) -> Reply<Arc<Job>> {
        let mut jobs = self.jobs();
        if jobs.contains_key(&uuid) {
            return Err(busy(name));
        }
        let job = Arc::new(Job { began: Instant::now(), total, done: AtomicU64::new(0) });
        jobs.insert(uuid, Arc::clone(&job));
        Ok(job)
    }

    fn end_job(&self, uuid: Uuid) {
        self.jobs().remove(&uuid);
    }
}

/// A domain that is saved does nothing else.
pub(super) fn busy(name: &str) -> Failure {
    Failure::new(Code::OperationInvalid, format!("domain '{name}' is being saved"))
}

/// Parameters that stay what they are.
fn unchanged() -> MigrateSetParameters {
    serde_json::from_str("{}").unwrap_or_else(|_| unreachable!("every parameter may be left out"))
}

/// How a migration that is about to end ends: at the second level with QEMU's reason.
pub(super) async fn outcome(monitor: &Monitor, limit: Duration) -> Reply<Result<(), String>> {
    let ended = async {
        loop {
            if let Some(outcome) = monitor.execute(query_migrate {}).await?.outcome() {
                return Ok(outcome);
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    let endless = |_| Err(Failure::new(Code::OperationFailed, "the migration does not end"));
    timeout(limit, ended).await.unwrap_or_else(endless)
}

/// Where the file is until it is complete: beside the place where it will be, under a name that can be noted before.
fn partial(path: &Path, id: i32) -> PathBuf {
    let ((prefix, suffix), daemon) = (disk::UNFINISHED, std::process::id());
    path.with_file_name(format!("{prefix}{daemon}-{id}{suffix}"))
}

/// A guest is not saved over its own disk, which it would never get back.
fn spare(images: Vec<String>, path: &Path) -> Reply<()> {
    let Ok(there) = fs::canonicalize(path) else { return Ok(()) };
    if images.iter().any(|image| fs::canonicalize(image).is_ok_and(|image| image == there)) {
        let message = format!("cannot save to '{}': it is a disk of the domain", path.display());
        return Err(Failure::new(Code::InvalidArg, message));
    }
    Ok(())
}

/// The file with all but the memory. It goes away when it is dropped.
fn begin_file(path: &Path, partial: &Path, saved: &Saved) -> Reply<NamedTempFile> {
    let begun = || {
        // What is renamed over is gone: a device or a pipe must not be.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something that is no regular file"));
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial)?;
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(partial)?);
        file.write_all(saved::head(DRIVER, saved).as_bytes())?;
        Ok(file)
    };
    begun().map_err(|error| disk::failed("cannot save to", path, &error))
}

/// Gives the file its name. When that fails it stays until the guest goes on: where it is gone, the guest is saved.
fn finish_file(file: NamedTempFile, path: &Path) -> Reply<()> {
    let finished = || {
        let (_, partial) = file.keep()?;
        fs::rename(partial, path)?;
        disk::sync(path.parent().unwrap_or(Path::new("/")))
    };
    finished().map_err(|error: io::Error| disk::failed("cannot save to", path, &error))
}

/// A file and what it says, read up to where the memory begins.
fn open_file(path: &Path) -> Reply<(Saved, File)> {
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

/// Has whoever waits for a socket wait, but no longer than this.
fn patient(socket: &UnixStream, limit: Duration) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))
}

/// Carries all there is.
fn carry(mut from: impl Read, mut to: impl Write, job: &Job) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return to.flush(),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(piece.get(..length).unwrap_or_default())?;
        job.done.fetch_add(length as u64, Ordering::Relaxed);
    }
}
