//! The domains of the test driver, of which nothing runs but a clock.

use std::time::{Duration, Instant};

use crate::driver::domains::Domains;
use crate::driver::saved::Saved;
use crate::failure::Reply;
use crate::identity::Uuid;
use crate::messages::{DomainInfo, RunState};
use crate::xml::DomainDefinition;

/// What an active domain is to the test driver.
pub(super) struct Clock {
    /// Processor time used before `running_since`.
    used: Duration,
    /// `None` while it is suspended.
    running_since: Option<Instant>,
}

impl Clock {
    /// One processor is taken to be busy all the time the domain runs.
    fn cpu_time(&self) -> Duration {
        let running = self.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.used.saturating_add(running)
    }
}

impl Domains<Clock> {
    /// Starts a domain; when it fails, nothing has changed.
    pub(super) fn launch(&mut self, definition: DomainDefinition, paused: bool) -> Reply<i32> {
        let reserved = self.reserve(definition)?;
        let id = reserved.id;
        let clock = Clock { used: Duration::ZERO, running_since: (!paused).then(Instant::now) };
        self.begin(reserved, clock, paused);
        Ok(id)
    }

    pub(super) fn start(&mut self, uuid: Uuid) -> Reply<i32> {
        let definition = self.may_start(uuid)?;
        self.launch(definition, false)
    }

    pub(super) fn suspend(&mut self, id: i32) -> Reply<()> {
        let clock = &mut self.active_mut(id)?.machine;
        clock.used = clock.cpu_time();
        clock.running_since = None;
        self.set_paused(id, true)
    }

    pub(super) fn resume(&mut self, id: i32) -> Reply<()> {
        self.active_mut(id)?.machine.running_since.get_or_insert_with(Instant::now);
        self.set_paused(id, false)
    }

    /// Whether an active domain runs or is suspended.
    pub(super) fn runstate(&self, id: i32) -> Reply<RunState> {
        Ok(if self.active_of(id)?.paused { RunState::Paused } else { RunState::Running })
    }

    /// What has to be written to save an active domain.
    pub(super) fn snapshot(&self, id: i32) -> Reply<Saved> {
        let active = self.active_of(id)?;
        Ok(Saved { xml: active.definition.stored_xml(), paused: active.paused })
    }

    pub(super) fn info(&self, uuid: Uuid) -> Reply<DomainInfo> {
        let (definition, active) = self.look(uuid)?;
        let (runstate, cpu_time) = match active {
            None => (RunState::Stopped, Duration::ZERO),
            Some(active) if active.paused => (RunState::Paused, active.machine.cpu_time()),
            Some(active) => (RunState::Running, active.machine.cpu_time()),
        };
        Ok(DomainInfo {
            cpu_time: u64::try_from(cpu_time.as_nanos()).unwrap_or(u64::MAX),
            runstate,
            memory: definition.current_memory,
            maxmem: definition.memory,
            nr_virt_cpu: u32::from(definition.vcpus),
        })
    }
}

#[cfg(test)]
mod tests;
