//! How guests start: paused and noted first, so that whatever fails is seen, and whenever the daemon dies they are found.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use qapi::qmp::{balloon, cont, query_vnc};
use tokio::time::Instant;

use super::command_line::{Launch, Tap, command_line, machine_of};
use super::hypervisor::Hypervisor;
use super::log::Log;
use super::machine::{LAST_MOMENTS, Machine, spawn};
use super::monitor::{Monitor, Told};
use super::networks::attach;
use super::process::{Process, endure, marked};
use super::state::{Files, Guest, Phase};
use crate::driver::disk::blocking;
use crate::driver::domains::Reserved;
use crate::failure::{Code, Failure, Reply};
use crate::xml::DomainDefinition;
use crate::xml::interfaces::Link;

/// Where the guest's memory comes from.
pub(super) struct Incoming {
    pub(super) path: PathBuf,
    /// Read up to where the memory begins.
    pub(super) file: File,
    pub(super) paused: bool,
}

/// A start that has failed.
struct NotStarted {
    failure: Failure,
    /// What was started and does not end.
    left: Option<Process>,
}

impl From<Failure> for NotStarted {
    fn from(failure: Failure) -> Self {
        Self { failure, left: None }
    }
}

impl Hypervisor {
    /// Starts what was reserved; when that fails, nothing has changed, unless there is a process that does not end.
    pub(super) async fn launch(self: &Arc<Self>, mut reserved: Reserved, incoming: Option<Incoming>) -> Reply<i32> {
        let paused = incoming.as_ref().is_some_and(|incoming| incoming.paused);
        match self.run(&mut reserved, incoming).await {
            Ok((machine, told, vnc_port)) => {
                let id = reserved.id;
                let vnc_port = vnc_port.or(reserved.vnc_port);
                self.domains().begin(Reserved { vnc_port, ..reserved }, Arc::clone(&machine), paused);
                self.watch(machine, told);
                Ok(id)
            }
            Err(NotStarted { failure, left: None }) => {
                self.domains().give_up(&reserved);
                Err(failure)
            }
            Err(NotStarted { failure, left: Some(process) }) => {
                // It is seen, and keeps another from being started beside it.
                let (id, pid) = (reserved.id, process.id.pid);
                let files = self.state.files(id);
                let log = Log::of(&process, &files);
                let machine = Machine::new(id, &reserved.definition, process, log, files, self.limit);
                self.domains().begin(reserved, Arc::clone(&machine), true);
                self.watch(machine, None);
                let message = format!("{}; and its process {pid} does not end, though it was killed", failure.message);
                Err(Failure::new(failure.code, message))
            }
        }
    }

    async fn run(
        self: &Arc<Self>,
        reserved: &mut Reserved,
        incoming: Option<Incoming>,
    ) -> Result<(Arc<Machine>, Option<Told>, Option<u16>), NotStarted> {
        let emulator = self.emulators.for_domain(&reserved.definition).await?;
        // What it is saved as must be the same for a later QEMU, whose aliases and default are others.
        let machine = machine_of(&reserved.definition, &emulator)?;
        reserved.definition.pin_machine(&machine.name);
        let definition = &reserved.definition;
        let bridges = self.bridges(definition).await?;
        let files = self.state.files(reserved.id);
        let line = command_line(&Launch {
            definition,
            id: reserved.id,
            emulator: &emulator,
            monitor: &files.monitor,
            incoming: incoming.is_some(),
            bridges: &bridges,
        })?;
        let guest = Guest { id: reserved.id, xml: definition.stored_xml(), phase: Phase::Starting };
        let noted = (guest.clone(), files.clone());
        blocking(move || noted.0.write(&noted.1)).await?;
        let started = async {
            let (log, says) = Log::make(&files)?;
            let mut child = spawn(&line, &files, &guest.xml, says)?;
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
            let process = Process::open(pid.unwrap_or_default());
            // Whoever waits for the child learns how it ended.
            let status = tokio::spawn(async move { child.wait().await });
            let prepared = match process {
                Ok(process) => {
                    let machine =
                        Machine::new(guest.id, definition, process, Arc::clone(&log), files.clone(), self.limit);
                    let prepared = self.prepare(definition, &machine, &line.taps, incoming);
                    let prepared = tokio::select! {
                        biased;
                        prepared = prepared => prepared,
                        never = log.keep() => match never {},
                    };
                    prepared.map(|ready| (machine, ready))
                }
                Err(_) => Err(Failure::new(Code::OperationFailed, "it ended at once")),
            };
            match prepared {
                Ok((machine, (told, vnc_port))) => Ok((machine, told, vnc_port)),
                Err(failure) => {
                    // It may have ended by itself, which is then the reason.
                    let ended = status.is_finished() || !runs(&files);
                    if let Some(left) = kill_marked(&files).await.into_iter().next() {
                        return Err(NotStarted { failure, left: Some(left) });
                    }
                    let status = status.await;
                    let status = status.ok().and_then(Result::ok).map(|status| status.to_string()).unwrap_or_default();
                    Err(if ended { last_words(&definition.name, &log, &status) } else { failure }.into())
                }
            }
        };
        let started: Result<_, NotStarted> = started.await;
        if let Err(NotStarted { left: None, .. }) = started {
            files.remove();
        }
        started
    }

    /// From the process to a guest that goes on.
    async fn prepare(
        self: &Arc<Self>,
        definition: &DomainDefinition,
        machine: &Machine,
        taps: &[Tap],
        incoming: Option<Incoming>,
    ) -> Reply<(Option<Told>, Option<u16>)> {
        let told = machine.connect().await?;
        let monitor = machine.monitor()?;
        for tap in taps {
            attach(&tap.name, &tap.bridge).await?;
        }
        // Events are read later: they are few until the guest goes on.
        let process = machine.process.id;
        let ready = async {
            let paused = incoming.as_ref().is_some_and(|incoming| incoming.paused);
            if let Some(incoming) = incoming {
                self.receive(definition.uuid, machine, incoming).await?;
            } else if definition.current_memory < definition.memory {
                let value = i64::from(definition.current_memory).saturating_mul(1024);
                monitor.execute(balloon { value }).await?;
            }
            let vnc_port = vnc_port(&monitor).await?;
            machine.log.let_go();
            if !paused {
                machine.note(Phase::Ready { process }).await?;
                monitor.execute(cont {}).await?;
            }
            machine.note(Phase::Running { process }).await?;
            Ok(vnc_port)
        };
        let (told, vnc_port) = reading(told, ready).await;
        Ok((told, vnc_port?))
    }

    /// The bridges of the networks that a definition names.
    async fn bridges(&self, definition: &DomainDefinition) -> Reply<BTreeMap<String, String>> {
        let mut bridges = BTreeMap::new();
        for interface in &definition.devices.interfaces {
            if let Link::Network { network } = &interface.link {
                bridges.insert(network.clone(), self.networks.bridge_of(network).await?);
            }
        }
        Ok(bridges)
    }
}

/// Reads events away while something else is done: answers come behind them. They end with the connection.
pub(super) async fn reading<T>(mut told: Told, work: impl Future<Output = T>) -> (Option<Told>, T) {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return (Some(told), done),
            event = told.next() => if event.is_none() {
                // With this all commands fail that wait for an answer.
                drop(told);
                return (None, work.await);
            }
        }
    }
}

/// The port that the guest's VNC server listens at.
pub(super) async fn vnc_port(monitor: &Monitor) -> Reply<Option<u16>> {
    let info = monitor.execute(query_vnc {}).await?;
    Ok(info.service.filter(|_| info.enabled).and_then(|port| port.parse().ok()))
}

fn runs(files: &Files) -> bool {
    !marked(&files.guest).is_empty()
}

/// Ends all that runs for a guest; those are left that do not end, though they were killed.
pub(super) async fn kill_marked(files: &Files) -> Vec<Process> {
    let until = Instant::now() + LAST_MOMENTS;
    loop {
        let processes: Vec<_> = marked(&files.guest).into_iter().map(|marked| marked.process).collect();
        processes.iter().for_each(Process::kill);
        let limit = until.saturating_duration_since(Instant::now());
        let none = processes.is_empty();
        let left = endure(processes, limit).await;
        // One may have started another meanwhile.
        if none || !left.is_empty() || limit.is_zero() {
            return left;
        }
    }
}

/// Why a process has ended: what it said.
fn last_words(name: &str, log: &Log, status: &str) -> Failure {
    let words = log.last_words();
    let said = if words.is_empty() { "it said nothing".to_owned() } else { words };
    Failure::new(Code::OperationFailed, format!("QEMU of domain '{name}' ended ({status}): {said}"))
}
