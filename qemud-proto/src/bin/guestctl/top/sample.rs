//! One look at the domains, and what they have used since the last one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Instant;

use qemud_proto::failure::Code;
use qemud_proto::messages::*;
use rpc_frame::tokio::Client;
use serde_json::{Value, json};

use super::Order;
use crate::Error;
use crate::domains::{UNKNOWN, look, state_name, still_there};
use crate::output::Output;

/// Looks again and again.
pub(super) struct Sampler<'a> {
    client: &'a Client,
    /// Whether inactive domains are wanted as well.
    all: bool,
    /// None where the driver does not tell.
    host: Option<NodeInfo>,
    /// Of the active domains, by their ids, which are never used twice.
    before: HashMap<i32, Before>,
}

/// What was seen of a domain the last time.
struct Before {
    identity: Identity,
    /// None where it has not been asked for yet.
    used: Option<(Instant, u64)>,
}

/// What was seen.
pub(super) struct Sample {
    host: Option<NodeInfo>,
    domains: Vec<Seen>,
    inactive: u32,
}

/// A domain, as it was seen.
struct Seen {
    id: Option<i32>,
    name: String,
    /// None where it does not answer.
    info: Option<DomainInfo>,
    /// Of one processor, so that several can come to more than 100.
    cpu_percent: Option<f64>,
}

impl<'a> Sampler<'a> {
    pub(super) async fn new(client: &'a Client, all: bool) -> Result<Self, Error> {
        let host = match client.call(&GetNodeInfo).await? {
            Ok(host) => Some(host),
            Err(failure) if failure.code == Code::NoSupport => None,
            Err(failure) => return Err(failure.into()),
        };
        Ok(Self { client, all, host, before: HashMap::new() })
    }

    pub(super) async fn look(&mut self) -> Result<Sample, Error> {
        let client = self.client;
        let mut domains = Vec::new();
        let mut now = HashMap::new();
        for id in client.call(&ListDomains).await??.ids {
            let mut before = match self.before.remove(&id) {
                Some(before) => before,
                None => match still_there(client.call(&DomainLookupById { id }).await?)? {
                    Some(identity) => Before { identity, used: None },
                    None => continue,
                },
            };
            let uuid = before.identity.uuid;
            let Some(info) = look(client, uuid).await? else { continue };
            let info = info.ok();
            // It may have stopped since the list was made.
            if info.as_ref().is_some_and(|info| info.runstate == RunState::Stopped) {
                continue;
            }
            let used = info.as_ref().map(|info| (Instant::now(), info.cpu_time));
            let cpu_percent = before.used.zip(used).and_then(|(before, used)| percent(before, used));
            domains.push(Seen { id: Some(id), name: before.identity.name.clone(), info, cpu_percent });
            before.used = used.or(before.used);
            now.insert(id, before);
        }
        self.before = now;
        let mut inactive = 0;
        if self.all {
            for name in client.call(&ListDefinedDomains).await??.names {
                let Some(found) = still_there(client.call(&DomainLookupByName { name: name.clone() }).await?)? else {
                    continue;
                };
                let uuid = found.uuid;
                let Some(info) = still_there(client.call(&DomainGetInfo { uuid }).await?)? else { continue };
                if info.runstate == RunState::Stopped {
                    inactive += 1;
                    domains.push(Seen { id: None, name, info: Some(info), cpu_percent: None });
                }
            }
        } else {
            inactive = client.call(&NumDefinedDomains).await??;
        }
        Ok(Sample { host: self.host.clone(), domains, inactive })
    }
}

/// Processor time in ns between two looks, in percent of the time that has passed.
fn percent((begin, before): (Instant, u64), (end, now): (Instant, u64)) -> Option<f64> {
    let passed = end.duration_since(begin).as_nanos();
    // A domain that was restored may count anew.
    let used = now.checked_sub(before)?;
    (passed > 0).then(|| used as f64 * 100.0 / passed as f64)
}

impl Sample {
    /// How many there are, and what they use together, in a line.
    pub(super) fn summary(&self) -> String {
        let is = |seen: &Seen, state| seen.info.as_ref().is_some_and(|info| info.runstate == state);
        let of = |state| self.domains.iter().filter(|seen| is(seen, state)).count();
        let (running, paused) = (of(RunState::Running), of(RunState::Paused));
        let mut summary = format!("{running} running, {paused} paused, {} shut off", self.inactive);
        let silent = self.domains.iter().filter(|seen| seen.info.is_none()).count();
        if silent > 0 {
            summary += &format!(", {silent} {UNKNOWN}");
        }
        let active = || self.domains.iter().filter(|seen| seen.id.is_some());
        let cpu: f64 = active().filter_map(|seen| seen.cpu_percent).sum();
        let memory: u64 = active().map(|seen| u64::from(seen.memory())).sum();
        summary += &format!("; CPU {cpu:.1} %, memory {} MiB", memory / 1024);
        if let Some(host) = &self.host {
            summary += &format!("; host {} CPUs, {} MiB", host.cpus, host.memory / 1024);
        }
        summary
    }

    pub(super) fn table(&self, output: &Output, order: Order) -> String {
        let mut domains: Vec<_> = self.domains.iter().collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        match order {
            Order::Name => {}
            Order::Id => domains.sort_by_key(|seen| (seen.id.is_none(), seen.id)),
            Order::Memory => domains.sort_by_key(|seen| (seen.id.is_none(), Reverse(seen.memory()))),
            Order::Cpu => domains.sort_by(|a, b| {
                let cpu = |seen: &Seen| seen.cpu_percent.unwrap_or(-1.0);
                (a.id.is_none().cmp(&b.id.is_none())).then(cpu(b).total_cmp(&cpu(a)))
            }),
        }
        let rows: Vec<_> = domains.into_iter().map(|seen| seen.row(output)).collect();
        output.rows(&["Id", "Name", "State", "CPU %", "CPUs", "Memory KiB", "Max memory KiB"], &rows)
    }
}

impl Seen {
    fn memory(&self) -> u32 {
        self.info.as_ref().map_or(0, |info| info.memory)
    }

    fn row(&self, output: &Output) -> Vec<Value> {
        let cpu = self.cpu_percent.map(|percent| match output.json {
            true => json!((percent * 10.0).round() / 10.0),
            false => json!(format!("{percent:.1}")),
        });
        let info = self.info.as_ref();
        vec![
            self.id.into(),
            self.name.clone().into(),
            info.map_or(UNKNOWN, |info| state_name(info.runstate)).into(),
            cpu.into(),
            info.map(|info| info.nr_virt_cpu).into(),
            info.map(|info| info.memory).into(),
            info.map(|info| info.maxmem).into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(id: Option<i32>, name: &str, cpu_percent: Option<f64>, memory: u32) -> Seen {
        let runstate = if id.is_some() { RunState::Running } else { RunState::Stopped };
        let info = Some(DomainInfo { cpu_time: 0, runstate, memory, maxmem: memory, nr_virt_cpu: 1 });
        Seen { id, name: name.to_owned(), info, cpu_percent }
    }

    #[test]
    fn processor_time_is_a_share_of_the_time_that_has_passed() {
        let begin = Instant::now();
        let end = begin + Duration::from_millis(500);
        assert_eq!(percent((begin, 1_000), (end, 125_001_000)), Some(25.0));
        assert_eq!(percent((begin, 0), (end, 1_000_000_000)), Some(200.0));
        assert_eq!(percent((begin, 2), (end, 1)), None);
        assert_eq!(percent((begin, 0), (begin, 1)), None);
    }

    #[test]
    fn each_order_has_its_first_and_inactive_domains_come_last() {
        let domains = vec![
            seen(None, "a", None, 9),
            seen(Some(3), "b", Some(7.0), 1),
            seen(Some(1), "c", None, 8),
            seen(Some(2), "d", Some(50.0), 2),
        ];
        let sample = Sample { host: None, domains, inactive: 1 };
        for (order, names) in [
            (Order::Cpu, ["d", "b", "c", "a"]),
            (Order::Memory, ["c", "d", "b", "a"]),
            (Order::Name, ["a", "b", "c", "d"]),
            (Order::Id, ["c", "d", "b", "a"]),
        ] {
            let table: Value = serde_json::from_str(&sample.table(&Output::new(true), order)).unwrap();
            let sorted: Vec<_> = table.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
            assert_eq!(sorted, names, "{order:?}");
        }
        assert_eq!(sample.summary(), "3 running, 0 paused, 1 shut off; CPU 57.0 %, memory 0 MiB");
    }
}
