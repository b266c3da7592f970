//! Guests that an earlier daemon left behind: those that run are found again, and what it left half done is finished or
//! undone.
//!
//! Two things tell of a guest: its file in the state folder, and the environment of its process, which bears its mark and
//! its definition. Where the file is missing or makes no sense, the process is enough: no guest runs unseen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::catching_up::conclude;
use super::hypervisor::Hypervisor;
use super::log::Log;
use super::machine::{LAST_MOMENTS, Machine};
use super::parse;
use super::process::{Marked, Process, endure, marked_in};
use super::starting::kill_marked;
use super::state::{Files, Guest, Phase};
use crate::driver::disk::blocking;
use crate::driver::domains::Reserved;
use crate::failure::Reply;
use crate::xml::DomainDefinition;
use crate::xml::devices::Graphics;

/// How long the daemon's start waits for the next guest to answer. Those that take longer are listed, and heard of later.
const PATIENCE: Duration = Duration::from_secs(3);

/// A guest that was left behind.
struct Found {
    guest: Guest,
    definition: DomainDefinition,
    process: Process,
}

impl Hypervisor {
    /// Takes over what runs. Each guest is looked at by itself: what is wrong with one is in the log.
    pub(super) async fn take_over(self: &Arc<Self>) -> Reply<()> {
        let state = self.state.clone();
        let (loaded, mut processes) = blocking(move || Ok((state.load()?, marked_in(state.path())))).await?;
        let mut files: BTreeMap<i32, Result<Guest, String>> = loaded.into_iter().collect();
        for id in processes.keys().filter_map(|mark| self.state.id_of(mark)) {
            files.entry(id).or_insert_with(|| Err("there is no such file".to_owned()));
        }
        self.state.remove_others(files.keys());
        // Ids are not given again, whatever became of their guests.
        let last = files.keys().copied().max().unwrap_or_default();
        {
            let mut domains = self.domains();
            domains.last_id = domains.last_id.max(last);
        }
        // Each ends what it must by itself, so that those that do not end take the time of one.
        let mut looked_at = JoinSet::new();
        for (id, file) in files {
            let files = self.state.files(id);
            let marked = processes.remove(&files.guest).unwrap_or_default();
            looked_at.spawn(async move {
                match file.and_then(|guest| Ok((parse(&guest.xml).map_err(|failure| failure.message)?, guest))) {
                    Ok((definition, guest)) => known(guest, definition, files, marked).await,
                    Err(reason) => lost(id, &reason, &files, marked).await,
                }
            });
        }
        let mut found: Vec<_> = looked_at.join_all().await.into_iter().flatten().collect();
        found.sort_by_key(|found| found.guest.id);
        let machines: Vec<_> = found.into_iter().filter_map(|found| self.take_over_one(found)).collect();
        // All at once, and none keeps the others waiting.
        let mut heard = JoinSet::new();
        for machine in machines {
            heard.spawn(async move {
                let mut heard = machine.heard.subscribe();
                tokio::select! {
                    _ = heard.wait_for(|heard| *heard) => {}
                    () = machine.process.ended() => {}
                }
            });
        }
        while let Ok(Some(_)) = timeout(PATIENCE.min(self.limit), heard.join_next()).await {}
        Ok(())
    }

    /// Lists it, and begins to look after it.
    fn take_over_one(self: &Arc<Self>, found: Found) -> Option<Arc<Machine>> {
        let Found { guest, definition, process } = found;
        let (id, name, pid) = (guest.id, definition.name.clone(), process.id.pid);
        let mut domains = self.domains();
        if let Err(failure) = domains.may_begin(&definition) {
            let file = self.state.files(id).guest;
            tracing::error!(file = %file.display(), pid, %failure, "a guest runs that cannot be listed");
            return None;
        }
        tracing::info!(domain = name, id, pid, "found running");
        let files = self.state.files(id);
        let log = Log::of(&process, &files);
        let machine = Machine::new(id, &definition, process, log, files, self.limit);
        let paused = matches!(guest.phase, Phase::Saving { .. } | Phase::Saved { .. });
        machine.set_unfinished(Some(guest.phase).filter(|phase| !matches!(phase, Phase::Running { .. })));
        let vnc_port = match definition.devices.graphics {
            Some(Graphics::Vnc { port, .. }) => port,
            _ => None,
        };
        domains.begin(Reserved { id, definition, vnc_port }, Arc::clone(&machine), paused);
        drop(domains);
        self.watch(Arc::clone(&machine), None);
        Some(machine)
    }
}

/// A guest whose file tells what it is.
async fn known(mut guest: Guest, definition: DomainDefinition, files: Files, mut marked: Vec<Marked>) -> Option<Found> {
    let (id, name) = (guest.id, &definition.name);
    let Some(noted) = guest.phase.process() else {
        tracing::warn!(domain = name, id, "its start was cut short, and is undone");
        return ended(guest, definition, &files, None).await;
    };
    let process = if let Some(at) = marked.iter().position(|marked| marked.process.id == noted) {
        marked.swap_remove(at).process
    } else if let Some(other) = Process::find(noted) {
        if other.tells_its_mark() {
            let (file, pid) = (files.guest.display(), other.id.pid);
            tracing::error!(%file, pid, "a process runs as a guest that does not bear its mark; it is left alone");
            return None;
        }
        other
    } else if let Some(at) = marked.iter().position(|marked| is_guest(marked, &definition)) {
        let other = marked.swap_remove(at).process;
        tracing::warn!(
            domain = name,
            id,
            pid = other.id.pid,
            "the process that was noted has ended, and another goes on"
        );
        guest.phase.set_process(other.id);
        note(&guest, name, &files).await;
        other
    } else {
        tracing::warn!(domain = name, id, said = files.last_words(), "it died while there was no daemon");
        conclude(name, &guest.phase);
        files.remove();
        return None;
    };
    // Its file has its name already: it was saved, and only its end is missing.
    if let Phase::Saved { partial, .. } = &guest.phase
        && !partial.exists()
    {
        tracing::info!(domain = name, id, "it was saved, and ends now");
        return ended(guest, definition, &files, Some(process)).await;
    }
    Some(Found { guest, definition, process })
}

/// Ends a guest, which goes on to be listed where it does not end. Its process may be one that does not tell its mark.
async fn ended(guest: Guest, definition: DomainDefinition, files: &Files, process: Option<Process>) -> Option<Found> {
    process.iter().for_each(Process::kill);
    let mut left = kill_marked(files).await;
    left.extend(endure(process.into_iter().collect(), LAST_MOMENTS).await);
    match left.into_iter().next() {
        None => {
            files.remove();
            None
        }
        Some(process) => {
            let (domain, pid) = (&definition.name, process.id.pid);
            tracing::error!(domain, id = guest.id, pid, "it does not end, though it was killed");
            Some(Found { guest: Guest { phase: Phase::Running { process: process.id }, ..guest }, definition, process })
        }
    }
}

/// A guest whose file does not tell what it is: its process does, as long as it runs.
async fn lost(id: i32, reason: &str, files: &Files, marked: Vec<Marked>) -> Option<Found> {
    let file = files.guest.display();
    let pids: Vec<_> = marked.iter().map(|marked| marked.process.id.pid).collect();
    let found = marked.into_iter().find_map(|marked| {
        let definition = parse(marked.xml.as_deref()?).ok()?;
        marked.has_argument(&definition.uuid.to_string()).then_some((marked.process, definition))
    });
    let Some((process, definition)) = found else {
        if pids.is_empty() {
            tracing::error!(%file, reason, "a guest that was left behind is not known, and does not run");
        } else {
            tracing::error!(%file, reason, ?pids, "a guest that was left behind is not known, and still runs");
        }
        return None;
    };
    tracing::warn!(%file, reason, ?pids, domain = definition.name, "a guest is known by its process alone");
    let guest = Guest { id, xml: definition.stored_xml(), phase: Phase::Running { process: process.id } };
    note(&guest, &definition.name, files).await;
    Some(Found { guest, definition, process })
}

async fn note(guest: &Guest, name: &str, files: &Files) {
    let (noted, beside) = (guest.clone(), files.clone());
    if let Err(failure) = blocking(move || noted.write(&beside)).await {
        tracing::error!(domain = name, id = guest.id, %failure, "what is known of it cannot be noted");
    }
}

/// Whether this process is the guest itself, and not only something that it has started.
fn is_guest(marked: &Marked, definition: &DomainDefinition) -> bool {
    marked.xml.is_some() && marked.has_argument(&definition.uuid.to_string())
}
