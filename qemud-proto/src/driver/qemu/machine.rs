//! A guest: its process, its monitor, and the watch over its end.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qapi::qmp::{query_status, quit, stop};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::command_line::CommandLine;
use super::log::Log;
use super::monitor::{ConnectError, Monitor, Told};
use super::process::{DEFINITION, MARK, Process};
use super::state::{Files, Guest, Phase};
use crate::driver::disk::blocking;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::xml::DomainDefinition;

/// The program that makes a session, of util-linux and busybox: a guest must not end with the daemon's terminal.
const SETSID: &str = "setsid";
/// Waits between looks for a socket that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long a guest may take to end by itself, and then a killed process.
pub(super) const LAST_MOMENTS: Duration = Duration::from_secs(5);
/// How long one may take that says nothing any more.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(3);

/// A guest that runs, or has ended since.
pub(super) struct Machine {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) uuid: Uuid,
    /// The definition it was started with.
    pub(super) xml: String,
    pub(super) process: Process,
    pub(super) files: Files,
    /// What it says.
    pub(super) log: Arc<Log>,
    /// None while the guest's monitor is lost.
    monitor: Mutex<Option<Monitor>>,
    /// What was begun and is to be finished or undone before anything else, as soon as the guest answers.
    unfinished: Mutex<Option<Phase>>,
    /// Wakes the one who catches up with the guest.
    pub(super) behind: Notify,
    /// Whether it was heard of how the guest is.
    pub(super) heard: watch::Sender<bool>,
    /// Held by whoever changes what the guest does, one at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Held by whoever destroys the guest: the next one finds that it is no longer active.
    pub(super) ending: tokio::sync::Mutex<()>,
    /// How long the monitor may keep silent.
    pub(super) limit: Duration,
    /// Whether all has been cleared away after its end.
    over: watch::Sender<bool>,
}

impl Machine {
    /// A guest whose process is known, without its monitor.
    pub(super) fn new(
        id: i32,
        definition: &DomainDefinition,
        process: Process,
        log: Arc<Log>,
        files: Files,
        limit: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            name: definition.name.clone(),
            uuid: definition.uuid,
            xml: definition.stored_xml(),
            process,
            files,
            log,
            monitor: Mutex::default(),
            unfinished: Mutex::default(),
            behind: Notify::new(),
            heard: watch::Sender::new(false),
            turn: tokio::sync::Mutex::default(),
            ending: tokio::sync::Mutex::default(),
            limit,
            over: watch::Sender::new(false),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<Monitor>> {
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What commands are given to.
    pub(super) fn monitor(&self) -> Reply<Monitor> {
        let message = || {
            let (name, pid) = (&self.name, self.process.id.pid);
            format!("domain '{name}' does not answer: there is no way to its monitor (pid {pid})")
        };
        self.slot().clone().ok_or_else(|| Failure::new(Code::OperationFailed, message()))
    }

    /// Connects to the monitor as soon as there is one. The guest's end ends the wait.
    pub(super) async fn connect(&self) -> Reply<Told> {
        let connecting = async {
            loop {
                match Monitor::connect(&self.files.monitor, &self.name, self.limit).await {
                    Ok((monitor, told)) => {
                        *self.slot() = Some(monitor);
                        return Ok(told);
                    }
                    Err(ConnectError::Failed(failure)) => return Err(failure),
                    Err(ConnectError::NotYet) => sleep(LOOK_AGAIN).await,
                }
            }
        };
        let connecting = async {
            timeout(self.limit, connecting).await.unwrap_or_else(|_| {
                let (name, limit) = (&self.name, self.limit.as_secs_f32());
                let message = format!("domain '{name}' does not answer: it had no monitor for {limit} s");
                Err(Failure::new(Code::OperationFailed, message))
            })
        };
        tokio::select! {
            biased;
            told = connecting => told,
            () = self.process.ended() => {
                Err(Failure::new(Code::OperationFailed, format!("domain '{}' has ended", self.name)))
            }
        }
    }

    /// The monitor is lost.
    pub(super) fn disconnected(&self) {
        *self.slot() = None;
    }

    /// What is to be finished or undone.
    pub(super) fn unfinished(&self) -> Option<Phase> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_unfinished(&self, phase: Option<Phase>) {
        *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Notes how far the guest is.
    pub(super) async fn note(&self, phase: Phase) -> Reply<()> {
        let (guest, files) = (Guest { id: self.id, xml: self.xml.clone(), phase }, self.files.clone());
        blocking(move || guest.write(&files)).await
    }

    /// All has been cleared away.
    pub(super) fn is_over(&self) {
        self.over.send_replace(true);
    }

    /// Waits until all has been cleared away of a guest that has ended; false where it has not ended.
    pub(super) async fn has_ended(&self) -> bool {
        if !self.process.has_ended() {
            return false;
        }
        let mut over = self.over.subscribe();
        timeout(LAST_MOMENTS, over.wait_for(|over| *over)).await.is_ok()
    }

    /// Ends the guest: it is asked to, so that it writes what it holds for its disks, and killed when it does not listen.
    /// Returns when all has been cleared away.
    pub(super) async fn end(&self) -> Reply<()> {
        let asked = async {
            let asked = match self.monitor() {
                Ok(monitor) => monitor.execute(quit {}).await.is_ok(),
                Err(_) => false,
            };
            if !asked {
                // QEMU takes this for the same. One that is just ending, with its monitor already gone, does not mind.
                self.process.terminate();
            }
            self.process.ended().await;
        };
        if timeout(LAST_MOMENTS, asked).await.is_err() {
            tracing::warn!(domain = self.name, "killed: it did not end by itself");
            self.process.kill();
        }
        let mut over = self.over.subscribe();
        match timeout(LAST_MOMENTS, over.wait_for(|over| *over)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let (name, pid) = (&self.name, self.process.id.pid);
                let message = format!("domain '{name}' does not end, though it was killed (pid {pid})");
                Err(Failure::new(Code::OperationFailed, message))
            }
        }
    }

    /// Whether the processors run.
    pub(super) async fn runs(&self) -> Reply<bool> {
        Ok(self.monitor()?.execute(query_status {}).await?.running)
    }

    /// Halts the processors.
    pub(super) async fn halt(&self) -> Reply<()> {
        self.monitor()?.execute(stop {}).await.map(|_| ())
    }
}

/// Starts a process that outlives the daemon, and says what it says there.
pub(super) fn spawn(line: &CommandLine, files: &Files, xml: &str, says: OwnedFd) -> Reply<Child> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot run {SETSID} with '{}': {error}", line.program.display());
        Failure::new(Code::OperationFailed, message)
    };
    let mut command = Command::new(SETSID);
    command.arg(&line.program).args(&line.arguments).env(MARK, &files.guest).env(DEFINITION, xml);
    command.envs(line.environment.iter().map(|(name, value)| (name, value)));
    // systemd's word is the daemon's; the guest's folder is not the daemon's to keep.
    command.env_remove("NOTIFY_SOCKET").current_dir("/");
    let output = says.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(output).stderr(says).spawn().map_err(failed)
}
