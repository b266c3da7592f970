//! Guests that an earlier daemon left behind: those that run are found again, and what it left half done is finished or
//! undone.

use std::fs;
use std::sync::Arc;

use qapi::qmp::cont;
use tokio::task::JoinSet;

use super::hypervisor::Hypervisor;
use super::machine::Machine;
use super::monitor::Told;
use super::parse;
use super::process::{Process, marked};
use super::starting::{kill_marked, reading, vnc_port};
use super::state::{Files, Guest, Phase};
use crate::driver::domains::Reserved;
use crate::failure::{Failure, Reply};

impl Hypervisor {
    /// Takes over what runs. Each guest is looked at by itself: what is wrong with one is in the log.
    pub(super) async fn take_over(self: &Arc<Self>) -> Reply<()> {
        // All at once, so that guests that do not answer take the time of one.
        let mut taken_over = JoinSet::new();
        for (id, guest) in self.state.load()? {
            // Its id is not given again, whatever became of it.
            let last = self.domains().last_id.max(id);
            self.domains().last_id = last;
            let files = self.state.files(id);
            match guest {
                Ok(guest) => {
                    let hypervisor = Arc::clone(self);
                    taken_over.spawn(async move { hypervisor.take_over_one(guest).await });
                }
                Err(reason) => not_known(&files, &reason),
            }
        }
        while let Some(done) = taken_over.join_next().await {
            if let Err(error) = done {
                tracing::error!(%error, "a guest could not be taken over");
            }
        }
        Ok(())
    }

    async fn take_over_one(self: &Arc<Self>, guest: Guest) {
        let (id, files) = (guest.id, self.state.files(guest.id));
        let definition = match parse(&guest.xml) {
            Ok(definition) => definition,
            Err(failure) => {
                not_known(&files, &failure.message);
                return;
            }
        };
        let name = definition.name.clone();
        let process = match &guest.phase {
            Phase::Starting => {
                tracing::warn!(domain = name, id, "its start was cut short, and is undone");
                kill_marked(&files).await;
                files.remove();
                return;
            }
            Phase::Ready { process }
            | Phase::Running { process }
            | Phase::Saving { process, .. }
            | Phase::Saved { process, .. } => Process::find(*process),
        };
        // Its file has its name already: it was saved, and only its end is missing.
        if let (Phase::Saved { partial, .. }, Some(process)) = (&guest.phase, &process)
            && !partial.exists()
        {
            tracing::info!(domain = name, id, "it was saved, and ends now");
            process.kill();
            process.ended().await;
            files.remove();
            return;
        }
        let Some(process) = process else {
            tracing::warn!(domain = name, id, said = files.last_words(), "it died while there was no daemon");
            let kept = match &guest.phase {
                // All of it is there, and there is nothing else left of it.
                Phase::Saved { partial, path, .. } if partial.exists() => fs::rename(partial, path),
                Phase::Saving { partial, .. } if partial.exists() => fs::remove_file(partial),
                _ => Ok(()),
            };
            if let Err(error) = kept {
                tracing::error!(domain = name, phase = ?guest.phase, %error, "cannot finish how it was saved");
            }
            files.remove();
            return;
        };
        let machine = Machine::new(&guest, &name, process, files, self.limit);
        let found = self.reconnect(&machine, &guest.phase).await;
        let (told, vnc_port, paused) = match found {
            Ok(found) => found,
            Err(failure) => {
                tracing::error!(domain = name, id, %failure, "it runs, and does not answer");
                (None, None, false)
            }
        };
        tracing::info!(domain = name, id, pid = machine.process.id.pid, "found running");
        self.domains().begin(Reserved { id, definition, vnc_port }, Arc::clone(&machine), paused);
        self.watch(machine, told);
    }

    /// Finishes or undoes what the guest was in the middle of; its port, and whether it is suspended.
    async fn reconnect(&self, machine: &Machine, phase: &Phase) -> Result<(Option<Told>, Option<u16>, bool), Failure> {
        let told = machine.connect().await?;
        let monitor = machine.monitor()?;
        let process = machine.process.id;
        let asked = async {
            match phase {
                Phase::Ready { .. } => {
                    monitor.execute(cont {}).await?;
                    machine.note(Phase::Running { process }).await?;
                }
                Phase::Saving { partial, resume, .. } | Phase::Saved { partial, resume, .. } => {
                    self.go_on(machine, !resume).await;
                    let _ = fs::remove_file(partial);
                }
                Phase::Starting | Phase::Running { .. } => {}
            }
            let paused = !self.runs(machine).await?;
            Ok((vnc_port(&monitor).await?, paused))
        };
        let (told, answers) = reading(told, asked).await;
        let (vnc_port, paused) = answers?;
        Ok((told, vnc_port, paused))
    }
}

/// Tells of a guest whose file makes no sense, and which of its processes still run: nobody else would.
fn not_known(files: &Files, reason: &str) {
    let file = files.guest.display();
    let pids: Vec<_> = marked(&files.guest).iter().map(|process| process.id.pid).collect();
    if pids.is_empty() {
        tracing::error!(%file, reason, "a guest that was left behind is not known, and does not run");
    } else {
        tracing::error!(%file, reason, ?pids, "a guest that was left behind is not known, and still runs");
    }
}
