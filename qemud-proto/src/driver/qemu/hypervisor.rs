//! The guests of the driver, and what is done to those that run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use qapi::qmp::{Event, ImageFormat, cont, query_balloon, screendump, system_powerdown};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::capabilities::Emulators;
use super::catching_up::{catch_up, conclude};
use super::machine::{LAST_MOMENT, Machine};
use super::monitor::Told;
use super::networks::QemuNetworks;
use super::process::marked;
use super::saving::{Job, busy};
use super::state::StateFolder;
use crate::driver::Picture;
use crate::driver::disk::{self, blocking};
use crate::driver::domains::{Active, Domains, Reserved};
use crate::driver::store::Store;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::{DomainInfo, NodeInfo, RunState};
use crate::xml::DomainDefinition;

/// Longest picture of a screen, in bytes: more than the largest screen has as PNG.
const PICTURE_MAX: usize = 32 << 20;
/// Waits between attempts to find a lost monitor again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Everything that the driver knows; tasks that outlast a call share it.
pub(super) struct Hypervisor {
    pub(super) domains: Mutex<Domains<Arc<Machine>>>,
    /// Held while definitions change, on disk and here, and while a start is reserved.
    pub(super) changes: tokio::sync::Mutex<()>,
    pub(super) store: Store,
    pub(super) state: StateFolder,
    pub(super) emulators: Emulators,
    pub(super) networks: QemuNetworks,
    /// How long a monitor may keep silent.
    pub(super) limit: Duration,
    /// Most bytes a second of a guest that is being saved.
    pub(super) save_bandwidth: u64,
    pub(super) jobs: Mutex<HashMap<Uuid, Arc<Job>>>,
    /// The watches over guests, which end with the driver; guests do not.
    pub(super) tasks: Mutex<JoinSet<()>>,
    /// Read once: it takes a look into many files, and does not change.
    pub(super) node: OnceLock<NodeInfo>,
    /// They keep other daemons away from the folders.
    pub(super) _locks: [File; 2],
}

impl Hypervisor {
    // Each change is made whole or not at all, so a lock that a panic left behind guards a sound state.
    pub(super) fn domains(&self) -> MutexGuard<'_, Domains<Arc<Machine>>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn jobs(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on beside the calls, until the driver ends.
    pub(super) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// The machine of an active domain, and what else is wanted of it.
    pub(super) fn machine<T>(
        &self,
        id: i32,
        want: impl FnOnce(&Active<Arc<Machine>>) -> T,
    ) -> Reply<(Arc<Machine>, T)> {
        let domains = self.domains();
        let active = domains.active_of(id)?;
        Ok((Arc::clone(&active.machine), want(active)))
    }

    /// The machine of a domain that is not being saved.
    fn idle(&self, id: i32) -> Reply<Arc<Machine>> {
        let (machine, uuid) = self.machine(id, |active| active.definition.uuid)?;
        match self.jobs().contains_key(&uuid) {
            true => Err(busy(&machine.name)),
            false => Ok(machine),
        }
    }

    /// Reserves what a definition needs to start.
    pub(super) async fn reserve(&self, definition: DomainDefinition) -> Reply<Reserved> {
        let _changes = self.changes.lock().await;
        self.domains().reserve(definition)
    }

    /// Looks after a guest until it ends, by itself or not.
    pub(super) fn watch(self: &Arc<Self>, machine: Arc<Machine>, told: Option<Told>) {
        let hypervisor = Arc::downgrade(self);
        self.beside(async move {
            tokio::select! {
                biased;
                () = machine.process.ended() => {}
                () = listen(&hypervisor, &machine, told) => {}
                never = machine.log.keep() => match never {},
            }
            machine.disconnected();
            let said = machine.log.last_words();
            tracing::info!(domain = machine.name, id = machine.id, said, "the guest has ended");
            let Some(hypervisor) = hypervisor.upgrade() else { return };
            let ended = Arc::clone(&machine);
            // It has no failure.
            let _ = blocking(move || {
                clear_away(&ended);
                Ok(())
            })
            .await;
            // It was active until now.
            let _ = hypervisor.domains().stop(machine.id);
            machine.is_over();
        });
    }

    /// What the guest did of its own accord, where nobody is just changing it.
    fn noticed(&self, machine: &Machine, paused: bool) {
        if let Ok(_turn) = machine.turn.try_lock() {
            // One that has stopped meanwhile has no state.
            let _ = self.domains().set_paused(machine.id, paused);
        }
    }

    pub(super) async fn suspend(&self, id: i32) -> Reply<()> {
        let machine = self.idle(id)?;
        let _turn = machine.turn.lock().await;
        machine.finish().await?;
        machine.halt().await?;
        self.domains().set_paused(id, true)
    }

    pub(super) async fn resume(&self, id: i32) -> Reply<()> {
        let machine = self.idle(id)?;
        let _turn = machine.turn.lock().await;
        machine.finish().await?;
        machine.monitor()?.execute(cont {}).await?;
        self.domains().set_paused(id, false)
    }

    pub(super) async fn destroy(&self, id: i32) -> Reply<()> {
        let (machine, ()) = self.machine(id, |_| ())?;
        let _ending = machine.ending.lock().await;
        // Of several who destroy it one does; the others come too late.
        self.machine(id, |_| ())?;
        machine.end().await
    }

    /// Presses the button.
    pub(super) async fn shutdown(&self, id: i32) -> Reply<()> {
        let machine = self.idle(id)?;
        match machine.monitor()?.execute(system_powerdown {}).await {
            // Its guest was so quick that there was nobody left to answer.
            Err(_) if timeout(LAST_MOMENT, machine.process.ended()).await.is_ok() => Ok(()),
            pressed => pressed.map(|_| ()),
        }
    }

    pub(super) async fn info(&self, uuid: Uuid) -> Reply<DomainInfo> {
        let of = |definition: &DomainDefinition| DomainInfo {
            cpu_time: 0,
            runstate: RunState::Stopped,
            memory: definition.current_memory,
            maxmem: definition.memory,
            nr_virt_cpu: u32::from(definition.vcpus),
        };
        let (info, machine) = {
            let domains = self.domains();
            let (definition, active) = domains.look(uuid)?;
            (of(definition), active.map(|active| Arc::clone(&active.machine)))
        };
        let Some(machine) = machine else { return Ok(info) };
        match self.live_info(&machine, info).await {
            // It ended while it was asked.
            Err(_) if machine.has_ended().await => Ok(of(self.domains().look(uuid)?.0)),
            told => told,
        }
    }

    async fn live_info(&self, machine: &Machine, mut info: DomainInfo) -> Reply<DomainInfo> {
        let runs = machine.runs().await?;
        info.runstate = if runs { RunState::Running } else { RunState::Paused };
        if info.memory < info.maxmem {
            let actual = machine.monitor()?.execute(query_balloon {}).await?.actual;
            info.memory = u32::try_from(actual / 1024).unwrap_or(info.memory);
        }
        let used = machine.process.cpu_time().unwrap_or_default();
        info.cpu_time = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        Ok(info)
    }

    /// What is seen on the guest's screen.
    pub(super) async fn screenshot(&self, id: i32) -> Reply<Picture> {
        let machine = self.idle(id)?;
        if self.machine(id, |active| active.definition.devices.graphics.is_none())?.1 {
            let message = format!("domain '{}' has no display, so there is nothing to take a picture of", machine.name);
            return Err(Failure::new(Code::OperationInvalid, message));
        }
        let _turn = machine.turn.lock().await;
        let picture = machine.files.picture.clone();
        let filename = picture.to_string_lossy().into_owned();
        let dump = screendump { filename, format: Some(ImageFormat::png), device: None, head: None };
        machine.monitor()?.execute(dump).await?;
        let bytes = blocking(move || read_picture(&picture)).await?;
        Ok(Picture { mime: "image/png".to_owned(), bytes })
    }
}

/// Nothing is left of a guest that has ended.
fn clear_away(machine: &Machine) {
    // An emulator may have been started through another program, which alone was ended.
    let left = marked(&machine.files.guest).into_iter().filter(|marked| marked.has_argument(&machine.uuid.to_string()));
    for left in left {
        tracing::warn!(domain = machine.name, pid = left.process.id.pid, "killed: it outlived its guest");
        left.process.kill();
    }
    if let Some(phase) = machine.unfinished() {
        machine.set_unfinished(None);
        conclude(&machine.name, &phase);
    }
    machine.files.remove();
}

fn read_picture(path: &PathBuf) -> Reply<Vec<u8>> {
    let failed = |error| disk::failed("cannot read the picture", path, &error);
    let bytes = disk::read_at_most(path, PICTURE_MAX).map_err(failed)?.unwrap_or_default();
    fs::remove_file(path).map_err(failed)?;
    if bytes.is_empty() || bytes.len() > PICTURE_MAX {
        let message = format!("a picture of {} bytes is none, or too large", bytes.len());
        return Err(Failure::new(Code::OperationFailed, message));
    }
    Ok(bytes)
}

/// Looks after a guest's monitor, and finds it again when it is lost. It never ends.
async fn listen(hypervisor: &Weak<Hypervisor>, machine: &Machine, mut told: Option<Told>) {
    loop {
        // With the connection's end all commands fail that wait for an answer.
        if let Some(mut events) = told.take() {
            tokio::select! {
                () = notice(hypervisor, machine, &mut events) => {}
                () = catch_up(hypervisor, machine) => {}
            }
            machine.disconnected();
        }
        told = match machine.connect().await {
            Ok(told) => {
                machine.behind.notify_one();
                Some(told)
            }
            Err(failure) => {
                tracing::warn!(domain = machine.name, %failure, "a monitor is lost");
                sleep(RETRY).await;
                None
            }
        };
    }
}

/// Takes notice of what a guest tells, until its monitor is lost.
async fn notice(hypervisor: &Weak<Hypervisor>, machine: &Machine, events: &mut Told) {
    while let Some(event) = events.next().await {
        let paused = match event {
            Event::STOP { .. } => true,
            Event::RESUME { .. } => false,
            _ => continue,
        };
        if let Some(hypervisor) = hypervisor.upgrade() {
            hypervisor.noticed(machine, paused);
        }
    }
}
