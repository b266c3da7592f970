//! Guests that were not heard of for a while: they ran on when there was no daemon, or they hung. What was left half done is
//! finished or undone as soon as they answer, before anything else; then it is learned how they are.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Weak;

use qapi::qmp::{cont, migrate_cancel};
use tokio::time::sleep;

use super::hypervisor::{Hypervisor, RETRY};
use super::machine::Machine;
use super::monitor::query_migrate;
use super::saving::outcome;
use super::starting::vnc_port;
use super::state::Phase;
use crate::failure::{Code, Failure, Reply};

/// Catches up with a guest whenever that is behind. It never ends.
pub(super) async fn catch_up(hypervisor: &Weak<Hypervisor>, machine: &Machine) {
    loop {
        machine.behind.notified().await;
        while let Err(failure) = learn(hypervisor, machine).await {
            tracing::warn!(domain = machine.name, id = machine.id, %failure, "it runs, and does not answer");
            sleep(RETRY).await;
        }
    }
}

async fn learn(hypervisor: &Weak<Hypervisor>, machine: &Machine) -> Reply<()> {
    let _turn = machine.turn.lock().await;
    machine.finish().await?;
    let monitor = machine.monitor()?;
    let (paused, vnc_port) = (!machine.runs().await?, vnc_port(&monitor).await?);
    if let Some(hypervisor) = hypervisor.upgrade() {
        let mut domains = hypervisor.domains();
        domains.set_vnc_port(machine.id, vnc_port)?;
        domains.set_paused(machine.id, paused)?;
    }
    machine.heard.send_replace(true);
    Ok(())
}

impl Machine {
    /// Finishes or undoes what was left half done, if anything was. The caller has the turn.
    pub(super) async fn finish(&self) -> Reply<()> {
        let Some(phase) = self.unfinished() else { return Ok(()) };
        if self.process.has_ended() {
            self.set_unfinished(None);
            conclude(&self.name, &phase);
            return Err(Failure::new(Code::OperationFailed, format!("domain '{}' has ended", self.name)));
        }
        match &phase {
            Phase::Starting | Phase::Running { .. } => {}
            Phase::Ready { .. } => drop(self.monitor()?.execute(cont {}).await?),
            Phase::Saving { partial, resume, .. } | Phase::Saved { partial, resume, .. } => {
                if let Phase::Saved { process, .. } = phase {
                    // Only of a guest that answers: this is tried again and again.
                    self.runs().await?;
                    // Noted as saved it would be ended by a daemon that finds no file, and the file of one that ends would get
                    // its name although the guest has gone on.
                    let undone = Phase::Saving { process, partial: partial.clone(), resume: *resume };
                    self.note(undone.clone()).await?;
                    self.set_unfinished(Some(undone));
                }
                self.go_on(*resume).await?;
                // Before it is noted that there is nothing to undo.
                remove_partial(&self.name, partial);
            }
        }
        let running = Phase::Running { process: self.process.id };
        tracing::info!(domain = self.name, id = self.id, ?phase, "finished or undid what was begun");
        let noted = self.note(running.clone()).await;
        if let Err(failure) = &noted {
            // What it was in the middle of must not be done twice; noting it is tried again.
            tracing::error!(domain = self.name, id = self.id, %failure, "cannot note that nothing is left to be done");
        }
        self.set_unfinished(noted.is_err().then_some(running));
        Ok(())
    }

    /// After a save that was not finished the guest is as it was before.
    async fn go_on(&self, resume: bool) -> Reply<()> {
        let monitor = self.monitor()?;
        if monitor.execute(query_migrate {}).await?.is_under_way() {
            monitor.execute(migrate_cancel {}).await?;
            // How it ends is all the same.
            let _ = outcome(&monitor, self.limit).await?;
        }
        if resume {
            monitor.execute(cont {}).await?;
        }
        Ok(())
    }
}

/// What is left of a guest that ended in the middle of a save: all of it, or nothing.
pub(super) fn conclude(name: &str, phase: &Phase) {
    match phase {
        Phase::Saved { partial, path, .. } => {
            if let Err(error) = fs::rename(partial, path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let (partial, path) = (partial.display(), path.display());
                tracing::error!(domain = name, %partial, %path, %error, "it was saved, but the file cannot get its name");
            }
        }
        Phase::Saving { partial, .. } => remove_partial(name, partial),
        Phase::Starting | Phase::Ready { .. } | Phase::Running { .. } => {}
    }
}

fn remove_partial(name: &str, partial: &Path) {
    if let Err(error) = fs::remove_file(partial)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::error!(domain = name, file = %partial.display(), %error, "half a saved domain cannot be removed");
    }
}
