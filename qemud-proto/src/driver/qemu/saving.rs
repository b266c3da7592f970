//! Saving and restoring: a guest's memory passes through a unix socket between QEMU and the daemon, which alone touches
//! the file. So a full disk is seen here, the guest can go on, and no process is left that writes.
//!
//! - `file`: the file of a saved guest
//! - `spared`: what no guest is saved over

mod file;
mod spared;

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use qapi::qmp::{MigrateSetParameters, migrate, migrate_incoming, migrate_set_parameters};
use tempfile::TempPath;
use tokio::net::UnixListener;
use tokio::time::{sleep, timeout};

use self::file::{Unfinished, partial};
use self::spared::Place;
use super::hypervisor::Hypervisor;
use super::machine::{LAST_MOMENT, Machine};
use super::monitor::{Monitor, query_migrate};
use super::starting::Incoming;
use super::state::Phase;
use crate::driver::disk::{self, blocking};
use crate::driver::saved::{self, Saved};
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{JobInfo, JobKind};
use crate::xml::DomainDefinition;

/// Bytes that are carried at a time.
const PIECE: usize = 1 << 20;
/// Waits between looks at a migration that is about to end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Saving or restoring that is under way.
#[derive(Debug)]
pub(super) struct Job {
    /// The domain's name.
    name: String,
    /// Where the file is, or will be.
    place: Place,
    began: Instant,
    /// Bytes of the file that is restored; none while a guest is saved, which QEMU knows.
    total: Option<u64>,
    done: AtomicU64,
}

impl Hypervisor {
    /// Writes a guest's memory to a file and ends it. When that fails, the guest goes on as before.
    pub(super) async fn save(self: &Arc<Self>, id: i32, path: PathBuf) -> Reply<()> {
        let (machine, definition) = self.machine(id, |active| active.definition.clone())?;
        let place = self.spare(&path).await?;
        let job = self.begin_job(definition.uuid, &definition.name, (&path, place), None)?;
        let saved = self.save_as_one(&machine, &definition, &path, &job).await;
        self.end_job(definition.uuid);
        saved
    }

    async fn save_as_one(
        &self,
        machine: &Machine,
        definition: &DomainDefinition,
        path: &Path,
        job: &Arc<Job>,
    ) -> Reply<()> {
        let _turn = machine.turn.lock().await;
        machine.finish().await?;
        let paused = !machine.runs().await?;
        let saved = Saved { xml: definition.stored_xml(), paused };
        let (process, partial, resume) = (machine.process.id, partial(path, machine.id), !paused);
        let saving = Phase::Saving { process, partial: partial.clone(), resume };
        machine.note(saving.clone()).await?;
        let mut noted = saving;
        let written = async {
            let (target, beside) = (path.to_owned(), partial.clone());
            let file = Arc::new(blocking(move || Unfinished::begin(&target, &beside, &saved)).await?);
            self.write_memory(machine, &file, path, job).await?;
            // Somebody may have named the file meanwhile.
            self.spare(path).await?;
            noted = Phase::Saved { process, partial, path: path.to_owned(), resume };
            machine.note(noted.clone()).await?;
            blocking(move || file.finish()).await
        };
        let ended = match written.await {
            Ok(()) => machine.end().await,
            Err(failure) => {
                // The guest goes on as it was before, now or when it answers.
                machine.set_unfinished(Some(noted));
                let Err(late) = machine.finish().await else { return Err(failure) };
                if timeout(LAST_MOMENT, machine.process.ended()).await.is_err() {
                    tracing::error!(domain = machine.name, failure = %late, "cannot go on yet after it was not saved");
                    machine.behind.notify_one();
                    return Err(failure);
                }
                let message = format!("domain '{}' has ended while it was being saved", machine.name);
                Err(Failure::new(Code::OperationFailed, message))
            }
        };
        if machine.has_ended().await {
            let files = machine.files.clone();
            // It was noted to be saved after its end was seen and all had been cleared away.
            let cleared = blocking(move || {
                files.remove();
                Ok(())
            });
            cleared.await?;
        }
        ended
    }

    async fn write_memory(&self, machine: &Machine, file: &Arc<Unfinished>, path: &Path, job: &Arc<Job>) -> Reply<()> {
        machine.halt().await?;
        let failed = |error: io::Error| Failure::new(Code::SystemError, format!("cannot save: {error}"));
        let _ = fs::remove_file(&machine.files.migration);
        let listener = UnixListener::bind(&machine.files.migration).map_err(failed)?;
        // Nobody else is to come, and nothing is to be left.
        let socket = TempPath::try_from_path(&machine.files.migration).map_err(failed)?;
        let monitor = machine.monitor()?;
        let parameters = MigrateSetParameters { max_bandwidth: Some(self.save_bandwidth), ..unchanged() };
        monitor.execute(migrate_set_parameters(parameters)).await?;
        let uri = Some(format!("unix:{}", machine.files.migration.display()));
        monitor.execute(migrate { uri, channels: None, detach: None, resume: None }).await?;
        let silent = || Failure::new(Code::OperationFailed, "QEMU does not send the domain's memory");
        let (stream, _) = timeout(self.limit, listener.accept()).await.map_err(|_| silent())?.map_err(failed)?;
        drop(socket);
        let stream = stream.into_std().map_err(failed)?;
        let (limit, counted, file, path) = (self.limit, Arc::clone(job), Arc::clone(file), path.to_owned());
        let written = blocking(move || {
            let carried = patient(&stream, limit).and_then(|()| carry(&stream, file.file(), &counted));
            let carried = carried.and_then(|()| file.file().sync_all());
            carried.map_err(|error| match error.kind() {
                // Of the socket, which waits for so long: a regular file does not say so.
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silent(),
                _ => disk::failed("cannot save to", &path, &error),
            })
        });
        written.await?;
        // Only what QEMU calls complete is.
        outcome(&monitor, self.limit).await?.map_err(|reason| {
            let message = format!("domain '{}' cannot be saved: {reason}", machine.name);
            Failure::new(Code::OperationFailed, message)
        })
    }

    /// A place where a guest can be saved to without harm to anything else.
    async fn spare(&self, path: &Path) -> Reply<Place> {
        let named = self.domains().definitions().flat_map(spared::named).collect::<Vec<_>>();
        let own = [self.store.folder().to_owned(), self.state.path().to_owned()];
        let path = path.to_owned();
        let spared = blocking(move || match spared::taken(&path, &named, &own) {
            None => Ok(Place::of(&path)),
            Some(reason) => {
                Err(Failure::new(Code::InvalidArg, format!("cannot save to '{}': {reason}", path.display())))
            }
        });
        // Some other guest's disk may lie where nobody answers.
        timeout(self.limit, spared).await.unwrap_or_else(|_| {
            let message = "cannot save: the files of other domains, which must not be overwritten, do not answer";
            Err(Failure::new(Code::OperationFailed, message))
        })
    }

    /// Starts a domain from a file that [`save`](Self::save) wrote.
    pub(super) async fn restore(self: &Arc<Self>, path: PathBuf) -> Reply<i32> {
        let place = path.clone();
        let (saved, file) = blocking(move || file::open(&place)).await?;
        let definition = super::parse(&saved.xml)
            .map_err(|failure| saved::refused(&path, &format!("is damaged: {}", failure.message)))?;
        let reserved = self.reserve(definition).await?;
        let incoming = Incoming { path: path.clone(), file, paused: saved.paused };
        // Whatever it is, it may be the file's fault.
        self.launch(reserved, Some(incoming)).await.map_err(|failure| {
            let message = format!("cannot restore from '{}': {}", path.display(), failure.message);
            Failure::new(failure.code, message)
        })
    }

    /// Gives a guest that waits for it the memory of a file.
    pub(super) async fn receive(&self, uuid: Uuid, machine: &Machine, incoming: Incoming) -> Reply<()> {
        let Incoming { path, mut file, .. } = incoming;
        let failed = |error: io::Error| Failure::new(Code::SystemError, error.to_string());
        let total = file.metadata().and_then(|file_is| Ok(file_is.len().saturating_sub(file.stream_position()?)));
        let total = total.map_err(failed)?;
        let target = path.clone();
        let place = blocking(move || Ok(Place::of(&target))).await?;
        let job = self.begin_job(uuid, &machine.name, (&path, place), Some(total))?;
        let received = async {
            let monitor = machine.monitor()?;
            let uri = Some(format!("unix:{}", machine.files.migration.display()));
            monitor.execute(migrate_incoming { uri, channels: None, exit_on_error: None }).await?;
            let (socket, limit) = (machine.files.migration.clone(), self.limit);
            let carried = blocking(move || {
                let stream = UnixStream::connect(socket).map_err(failed)?;
                // What QEMU thinks of what it got is what counts: where it wants no more, writing fails.
                Ok(patient(&stream, limit).and_then(|()| carry(&file, &stream, &job)).err())
            });
            let fault = carried.await?;
            let outcome = outcome(&monitor, self.limit).await?;
            outcome.map_err(|reason| {
                let fault = fault.map(|fault| format!(" ({fault})")).unwrap_or_default();
                Failure::new(Code::OperationFailed, format!("{reason}{fault}"))
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

    /// A domain does one such thing at a time, and nothing is written to what another reads or writes.
    fn begin_job(&self, uuid: Uuid, name: &str, (path, place): (&Path, Place), total: Option<u64>) -> Reply<Arc<Job>> {
        let mut jobs = self.jobs();
        if jobs.contains_key(&uuid) {
            return Err(busy(name));
        }
        if let Some(other) = jobs.values().find(|job| total.is_none() && job.place.is(&place)) {
            let does = if other.total.is_some() { "restored from it" } else { "saved to it" };
            let message = format!("cannot save to '{}': domain '{}' is being {does}", path.display(), other.name);
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        let job = Arc::new(Job { name: name.to_owned(), place, began: Instant::now(), total, done: AtomicU64::new(0) });
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
