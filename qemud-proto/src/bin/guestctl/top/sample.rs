//! One look at the domains, and what they have used since the last one.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use qemud_proto::failure::{Code, Reply};
use qemud_proto::messages::*;
use rpc_frame::tokio::Client;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Order;
use crate::Error;
use crate::asking::{IN_FLIGHT, each};
use crate::domains::{UNKNOWN, look, state_name, still_there};
use crate::output::Output;

/// Looks again and again.
pub(super) struct Sampler<'a> {
    client: &'a Client,
    /// Whether inactive domains are wanted as well.
    all: bool,
    /// How long a look waits for domains to answer.
    patience: Duration,
    /// None where the driver does not tell.
    host: Option<NodeInfo>,
    /// The active domains, by their ids, which are never used twice.
    known: HashMap<i32, Known>,
    /// Questions about these domains, some of which an earlier look has asked: whoever does not answer is not asked again.
    asked: HashSet<i32>,
    answers: JoinSet<(i32, Answer)>,
    places: Arc<Semaphore>,
}

/// An active domain.
struct Known {
    identity: Identity,
    /// None where it has not answered yet.
    used: Option<(Instant, u64)>,
}

/// When a domain has answered, and what.
type Answer = (Instant, Result<Option<Reply<DomainInfo>>, Error>);

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
    pub(super) async fn new(client: &'a Client, all: bool, patience: Duration) -> Result<Self, Error> {
        let host = match client.call(&GetNodeInfo).await? {
            Ok(host) => Some(host),
            Err(failure) if failure.code == Code::NoSupport => None,
            Err(failure) => return Err(failure.into()),
        };
        let places = Arc::new(Semaphore::new(IN_FLIGHT));
        let (known, asked, answers) = (HashMap::new(), HashSet::new(), JoinSet::new());
        Ok(Self { client, all, patience, host, known, asked, answers, places })
    }

    pub(super) async fn look(&mut self) -> Result<Sample, Error> {
        let client = self.client;
        let ids = client.call(&ListDomains).await??.ids;
        self.know(&ids).await?;
        let mut answers = self.ask().await;
        let mut domains = Vec::new();
        for id in ids {
            let Some(known) = self.known.get_mut(&id) else { continue };
            let info = match answers.remove(&id) {
                // It has not answered yet.
                None => None,
                Some((at, info)) => {
                    let Some(info) = info? else { continue };
                    info.ok().map(|info| (at, info))
                }
            };
            // It may have stopped since the list was made.
            if info.as_ref().is_some_and(|(_, info)| info.runstate == RunState::Stopped) {
                continue;
            }
            let used = info.as_ref().map(|(at, info)| (*at, info.cpu_time));
            let cpu_percent = known.used.zip(used).and_then(|(before, used)| percent(before, used));
            known.used = used.or(known.used);
            let (name, info) = (known.identity.name.clone(), info.map(|(_, info)| info));
            domains.push(Seen { id: Some(id), name, info, cpu_percent });
        }
        let mut inactive = 0;
        if self.all {
            let names = client.call(&ListDefinedDomains).await??.names;
            for seen in each(names, async |name| inactive_domain(client, name).await).await {
                let Some(seen) = seen? else { continue };
                inactive += 1;
                domains.push(seen);
            }
        } else {
            inactive = client.call(&NumDefinedDomains).await??;
        }
        Ok(Sample { host: self.host.clone(), domains, inactive })
    }

    /// Learns who the active domains are.
    async fn know(&mut self, ids: &[i32]) -> Result<(), Error> {
        self.known.retain(|id, _| ids.contains(id));
        let new = ids.iter().copied().filter(|id| !self.known.contains_key(id));
        let client = self.client;
        let found = each(new, async |id| Ok::<_, Error>((id, client.call(&DomainLookupById { id }).await?))).await;
        for found in found {
            let (id, reply) = found?;
            // One that has ended meanwhile is unknown.
            if let Some(identity) = still_there(reply)? {
                self.known.insert(id, Known { identity, used: None });
            }
        }
        Ok(())
    }

    /// Asks those that are not being asked, and waits for their answers, but not for long. What others have answered
    /// meanwhile is there, too.
    async fn ask(&mut self) -> HashMap<i32, Answer> {
        let mut awaited = HashSet::new();
        for (id, known) in self.known.iter().filter(|(id, _)| !self.asked.contains(id)) {
            awaited.insert(*id);
            let (id, uuid, client, places) = (*id, known.identity.uuid, self.client.clone(), Arc::clone(&self.places));
            self.answers.spawn(async move {
                // Nobody closes it.
                let _place = places.acquire().await;
                let info = look(&client, uuid).await;
                (id, (Instant::now(), info))
            });
        }
        self.asked.extend(&awaited);
        let mut answers = HashMap::new();
        let until = Instant::now() + self.patience;
        loop {
            let answer = match self.answers.try_join_next() {
                None if awaited.is_empty() => break,
                None => timeout_at(until, self.answers.join_next()).await.ok().flatten(),
                there => there,
            };
            // Its only other failure would be a panic.
            let Some(Ok((id, answer))) = answer else { break };
            self.asked.remove(&id);
            awaited.remove(&id);
            answers.insert(id, answer);
        }
        answers
    }
}

/// A domain that was inactive when the list was made; none where it is no more.
async fn inactive_domain(client: &Client, name: String) -> Result<Option<Seen>, Error> {
    let Some(found) = still_there(client.call(&DomainLookupByName { name: name.clone() }).await?)? else {
        return Ok(None);
    };
    let info = still_there(client.call(&DomainGetInfo { uuid: found.uuid }).await?)?;
    let stopped = info.filter(|info| info.runstate == RunState::Stopped);
    Ok(stopped.map(|info| Seen { id: None, name, info: Some(info), cpu_percent: None }))
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
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;
    use qemud_proto::daemon::Daemon;
    use qemud_proto::driver::Driver;
    use qemud_proto::failure::Failure;
    use qemud_proto::identity::Uuid;
    use rpc_frame::tokio::ServerConfig;
    use tokio::time::sleep;

    use super::*;

    /// A driver of 50 domains. Those whose id is a multiple of ten say after 10 s that they do not answer.
    #[derive(Default)]
    struct SomeSilent(AtomicUsize);

    const SILENT: Duration = Duration::from_secs(10);

    #[async_trait]
    impl Driver for SomeSilent {
        fn name(&self) -> &'static str {
            "silent"
        }

        async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
            Ok(DomainIds { ids: (1..=50).collect() })
        }

        async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
            Ok(0)
        }

        async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
            let uuid = Uuid([args.id.try_into().unwrap(); 16]);
            Ok(Identity { uuid, name: format!("guest{}", args.id) })
        }

        async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
            if args.uuid.0[0].is_multiple_of(10) {
                self.0.fetch_add(1, SeqCst);
                sleep(SILENT).await;
                return Err(Failure::new(Code::OperationFailed, "it does not answer"));
            }
            let runstate = RunState::Running;
            Ok(DomainInfo { cpu_time: 0, runstate, memory: 1, maxmem: 1, nr_virt_cpu: 1 })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_is_shown_as_such_and_neither_waited_for_nor_asked_again_meanwhile() {
        let driver = Arc::new(SomeSilent::default());
        let server = Daemon::new(Arc::clone(&driver) as Arc<dyn Driver>).into_server(ServerConfig::default());
        let client = Client::new(server.connect_in_memory());
        let patience = Duration::from_secs(2);
        let mut sampler = Sampler::new(&client, false, patience).await.unwrap();
        for (took, questions) in [(patience, 5), (Duration::ZERO, 5), (Duration::ZERO, 5)] {
            let begin = Instant::now();
            let sample = sampler.look().await.unwrap();
            assert_eq!((begin.elapsed(), driver.0.load(SeqCst)), (took, questions));
            assert!(
                sample.summary().starts_with("45 running, 0 paused, 0 shut off, 5 unknown"),
                "{}",
                sample.summary()
            );
            let silent: Vec<_> = sample.domains.iter().filter(|seen| seen.info.is_none()).collect();
            assert!(silent.iter().map(|seen| seen.id.unwrap()).eq([10, 20, 30, 40, 50]));
            assert_eq!(silent[0].name, "guest10");
        }
        // It has said so by now, so it is asked again.
        sleep(SILENT).await;
        sampler.look().await.unwrap();
        assert_eq!(driver.0.load(SeqCst), 5);
        sampler.look().await.unwrap();
        assert_eq!(driver.0.load(SeqCst), 10);
    }

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
