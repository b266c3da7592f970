//! Commands about domains.

use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, CallOptions, Client};
use serde_json::Value;

use crate::arguments::{Domain, Which};
use crate::asking::each;
use crate::output::Output;
use crate::progress::{self, Followed};
use crate::waiting::Wait;
use crate::{Error, read_xml};

/// A domain that was found by one of its keys.
pub(crate) struct Found {
    /// None while it is inactive.
    pub(crate) id: Option<i32>,
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
}

/// Looks a domain up as virsh does: a number is an id first, then a UUID, then a name.
pub(crate) async fn find(client: &Client, key: &Domain) -> Result<Found, Error> {
    let key = key.domain.as_str();
    if let Ok(id) = key.parse() {
        match client.call(&DomainLookupById { id }).await? {
            Ok(Identity { uuid, name }) => return Ok(Found { id: Some(id), uuid, name }),
            Err(failure) if failure.code == Code::NoDomain => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    if let Ok(uuid) = key.parse() {
        match client.call(&DomainLookupByUuid { uuid }).await? {
            Ok(DomainOfUuid { id, name }) => return Ok(Found { id: active(id), uuid, name }),
            Err(failure) if failure.code == Code::NoDomain => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    let DomainOfName { id, uuid } = client.call(&DomainLookupByName { name: key.to_owned() }).await??;
    Ok(Found { id: active(id), uuid, name: key.to_owned() })
}

fn active(id: i32) -> Option<i32> {
    (id >= 0).then_some(id)
}

impl Found {
    /// The id that calls about active domains need.
    pub(crate) fn active_id(&self) -> Result<i32, Error> {
        let inactive = || Failure::new(Code::OperationInvalid, format!("domain '{}' is not active", self.name));
        Ok(self.id.ok_or_else(inactive)?)
    }

    fn facts(&self) -> [(&'static str, Value); 3] {
        [("Id", self.id.into()), ("Name", self.name.clone().into()), ("UUID", self.uuid.to_string().into())]
    }
}

pub(crate) const fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Stopped => "shut off",
    }
}

/// The state of one whose driver fails to tell it: it fails alone.
pub(crate) const UNKNOWN: &str = "unknown";

/// What is known of a domain that may be gone by now; within, why nothing is where it does not answer.
pub(crate) async fn look(client: &Client, uuid: Uuid) -> Result<Option<Reply<DomainInfo>>, Error> {
    match client.call(&DomainGetInfo { uuid }).await {
        Ok(Err(failure)) if failure.code == Code::OperationFailed => Ok(Some(Err(failure))),
        // The daemon is more patient with it than we are.
        Err(error @ CallError::DeadlineExceeded) => {
            let message = format!("the domain with the uuid {uuid} does not answer: {error}");
            Ok(Some(Err(Failure::new(Code::OperationFailed, message))))
        }
        reply => Ok(still_there(reply?)?.map(Ok)),
    }
}

/// A reply about a domain that may be gone by now.
pub(crate) fn still_there<T>(reply: Reply<T>) -> Result<Option<T>, Error> {
    match reply {
        Ok(value) => Ok(Some(value)),
        Err(failure) if matches!(failure.code, Code::NoDomain | Code::InvalidDomain) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

pub(crate) async fn list(client: &Client, output: &Output, which: &Which) -> Result<(), Error> {
    if which.count {
        let mut facts: Vec<(&str, Value)> = Vec::new();
        if which.wants_active() {
            facts.push(("Active", client.call(&NumDomains).await??.into()));
        }
        if which.wants_inactive() {
            facts.push(("Inactive", client.call(&NumDefinedDomains).await??.into()));
        }
        return Ok(output.facts(&facts)?);
    }
    if which.name || which.uuid {
        let identities = identities(client, which).await?.into_iter();
        let words = identities.map(|found| if which.name { found.name } else { found.uuid.to_string() });
        return Ok(output.words(&words.collect::<Vec<_>>())?);
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    if which.wants_active() {
        rows.extend(active_rows(client).await?);
    }
    if which.wants_inactive() {
        for name in client.call(&ListDefinedDomains).await??.names {
            rows.push(vec![Value::Null, name.into(), state_name(RunState::Stopped).into()]);
        }
    }
    Ok(output.table(&["Id", "Name", "State"], &rows)?)
}

/// The same domains as the table has.
async fn identities(client: &Client, which: &Which) -> Result<Vec<Identity>, Error> {
    let mut found = Vec::new();
    if which.wants_active() {
        let ids = client.call(&ListDomains).await??.ids;
        found.extend(each(ids, async |id| still_there(client.call(&DomainLookupById { id }).await?)).await);
    }
    if which.wants_inactive() {
        let of_name = async |name: String| {
            let reply = client.call(&DomainLookupByName { name: name.clone() }).await?;
            Ok(still_there(reply)?.map(|DomainOfName { uuid, .. }| Identity { uuid, name }))
        };
        found.extend(each(client.call(&ListDefinedDomains).await??.names, of_name).await);
    }
    // Some may have gone since the lists were made.
    found.into_iter().filter_map(Result::transpose).collect()
}

async fn active_rows(client: &Client) -> Result<Vec<Vec<Value>>, Error> {
    let ids = client.call(&ListDomains).await??.ids;
    let rows = each(ids, async |id| active_row(client, id).await).await;
    rows.into_iter().filter_map(Result::transpose).collect()
}

/// The line of an active domain; none where it has ended since the list was made.
async fn active_row(client: &Client, id: i32) -> Result<Option<Vec<Value>>, Error> {
    let Some(Identity { uuid, name }) = still_there(client.call(&DomainLookupById { id }).await?)? else {
        return Ok(None);
    };
    let Some(info) = look(client, uuid).await? else { return Ok(None) };
    let state = info.map(|info| state_name(info.runstate)).unwrap_or_else(|failure| {
        tracing::warn!("{failure}");
        UNKNOWN
    });
    Ok(Some(vec![id.into(), name.into(), state.into()]))
}

pub(crate) async fn create(client: &Client, output: &Output, file: &str) -> Result<(), Error> {
    let xml = read_xml(file).await?;
    let DomainCreated { id, uuid, name } = client.call(&DomainCreate { xml }).await??;
    let found = Found { id: Some(id), uuid, name };
    Ok(output.done(&format!("Domain '{}' created, id {id}", found.name), &found.facts())?)
}

pub(crate) async fn define(client: &Client, output: &Output, file: &str) -> Result<(), Error> {
    let xml = read_xml(file).await?;
    let Identity { uuid, name } = client.call(&DomainDefine { xml }).await??;
    let facts = [("UUID", uuid.to_string().into()), ("Name", name.clone().into())];
    Ok(output.done(&format!("Domain '{name}' defined"), &facts)?)
}

pub(crate) async fn undefine(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    client.call(&DomainUndefine { uuid: found.uuid }).await??;
    Ok(output.done(&format!("Domain '{}' undefined", found.name), &found.facts())?)
}

pub(crate) async fn start(client: &Client, output: &Output, domain: &Domain, wait: &Wait) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let id = client.call(&DomainStart { uuid: found.uuid }).await??;
    wait.until_running(client, &found).await?;
    let found = Found { id: Some(id), ..found };
    Ok(output.done(&format!("Domain '{}' started, id {id}", found.name), &found.facts())?)
}

pub(crate) async fn suspend(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    client.call(&DomainSuspend { id: found.active_id()? }).await??;
    Ok(output.done(&format!("Domain '{}' suspended", found.name), &found.facts())?)
}

pub(crate) async fn resume(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    client.call(&DomainResume { id: found.active_id()? }).await??;
    Ok(output.done(&format!("Domain '{}' resumed", found.name), &found.facts())?)
}

pub(crate) async fn shutdown(client: &Client, output: &Output, domain: &Domain, wait: &Wait) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let id = found.active_id()?;
    client.call(&DomainShutdown { id }).await??;
    if !wait.is_wanted() {
        return Ok(output.done(&format!("Domain '{}' is being shut down", found.name), &found.facts())?);
    }
    wait.until_shut_off(client, &found, id).await?;
    let found = Found { id: None, ..found };
    Ok(output.done(&format!("Domain '{}' is shut off", found.name), &found.facts())?)
}

pub(crate) async fn destroy(client: &Client, output: &Output, domain: &Domain, wait: &Wait) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let id = found.active_id()?;
    client.call(&DomainDestroy { id }).await??;
    wait.until_shut_off(client, &found, id).await?;
    let found = Found { id: None, ..found };
    Ok(output.done(&format!("Domain '{}' destroyed", found.name), &found.facts())?)
}

/// The same connection for calls that carry a domain's memory: the daemon says how long they may take.
fn patient(client: &Client) -> Client {
    client.clone().with_options(CallOptions::default().with_timeout(None))
}

pub(crate) async fn save(
    client: &Client,
    output: &Output,
    domain: &Domain,
    file: &str,
    wait: &Wait,
) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let id = found.active_id()?;
    let (patient, save) = (patient(client), DomainSave { id, path: file.to_owned() });
    progress::shown(client, "Saving", Followed::Known(found.uuid), patient.call(&save)).await??;
    wait.until_shut_off(client, &found, id).await?;
    let found = Found { id: None, ..found };
    Ok(output.done(&format!("Domain '{}' saved to {file}", found.name), &found.facts())?)
}

pub(crate) async fn restore(client: &Client, output: &Output, file: &str) -> Result<(), Error> {
    let (patient, restore) = (patient(client), DomainRestore { path: file.to_owned() });
    let id = progress::shown(client, "Restoring", Followed::New, patient.call(&restore)).await??;
    Ok(output.done(&format!("Domain restored from {file}, id {id}"), &[("Id", id.into())])?)
}

pub(crate) async fn info(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let info = client.call(&DomainGetInfo { uuid: found.uuid }).await??;
    let autostart = client.call(&DomainGetAutostart { uuid: found.uuid }).await??;
    let mut facts = found.facts().to_vec();
    facts.extend([
        ("State", state_name(info.runstate).into()),
        ("CPU(s)", info.nr_virt_cpu.into()),
        ("CPU time ns", info.cpu_time.into()),
        ("Max memory KiB", info.maxmem.into()),
        ("Used memory KiB", info.memory.into()),
        ("Autostart", autostart.into()),
    ]);
    Ok(output.facts(&facts)?)
}

pub(crate) async fn state(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let info = client.call(&DomainGetInfo { uuid: found.uuid }).await??;
    Ok(output.value("State", state_name(info.runstate).into())?)
}

pub(crate) async fn id(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    Ok(output.value("Id", found.id.into())?)
}

pub(crate) async fn uuid(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    Ok(output.value("UUID", found.uuid.to_string().into())?)
}

pub(crate) async fn name(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    Ok(output.value("Name", found.name.into())?)
}

pub(crate) async fn dump_xml(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let description = client.call(&DomainDumpXml { uuid: found.uuid }).await??;
    Ok(output.document("xml", &description.xml)?)
}

pub(crate) async fn job_info(client: &Client, output: &Output, domain: &Domain) -> Result<(), Error> {
    let found = find(client, domain).await?;
    let job = client.call(&DomainGetJobInfo { uuid: found.uuid }).await??;
    let kind = match job.kind {
        JobKind::None => "none",
        JobKind::Bounded => "bounded",
        JobKind::Unbounded => "unbounded",
        JobKind::Completed => "completed",
        JobKind::Failed => "failed",
        JobKind::Cancelled => "cancelled",
    };
    Ok(output.facts(&[
        ("Job type", kind.into()),
        ("Time elapsed ms", job.elapsed.into()),
        ("Data total bytes", job.data_total.into()),
        ("Data processed bytes", job.data_processed.into()),
        ("Data remaining bytes", job.data_remaining.into()),
    ])?)
}

pub(crate) async fn autostart(client: &Client, output: &Output, domain: &Domain, autostart: bool) -> Result<(), Error> {
    let found = find(client, domain).await?;
    client.call(&DomainSetAutostart { uuid: found.uuid, autostart }).await??;
    let how = if autostart { "now starts" } else { "no longer starts" };
    let facts = [("Name", found.name.clone().into()), ("Autostart", autostart.into())];
    Ok(output.done(&format!("Domain '{}' {how} together with the daemon", found.name), &facts)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use qemud_proto::daemon::Daemon;
    use qemud_proto::driver::Driver;
    use rpc_frame::tokio::ServerConfig;
    use tokio::time::sleep;

    use super::*;

    /// A driver that needs half an hour.
    struct Slow;

    #[async_trait]
    impl Driver for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        async fn domain_lookup_by_name(&self, _: DomainLookupByName) -> Reply<DomainOfName> {
            Ok(DomainOfName { id: 1, uuid: Uuid([1; 16]) })
        }

        async fn domain_save(&self, _: DomainSave) -> Reply<()> {
            sleep(Duration::from_secs(1800)).await;
            Ok(())
        }

        async fn domain_restore(&self, _: DomainRestore) -> Reply<i32> {
            sleep(Duration::from_secs(1800)).await;
            Ok(1)
        }

        async fn domain_suspend(&self, _: DomainSuspend) -> Reply<()> {
            sleep(Duration::from_secs(100)).await;
            Ok(())
        }
    }

    /// A driver of 60 domains, two of which do not answer: one says so after 10 s, and one never.
    struct SomeSilent;

    #[async_trait]
    impl Driver for SomeSilent {
        fn name(&self) -> &'static str {
            "silent"
        }

        async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
            Ok(DomainIds { ids: (1..=60).collect() })
        }

        async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
            let uuid = Uuid([args.id.try_into().unwrap(); 16]);
            Ok(Identity { uuid, name: format!("guest{}", args.id) })
        }

        async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
            match args.uuid.0[0] {
                1 => sleep(Duration::from_secs(10)).await,
                59 => sleep(Duration::MAX).await,
                _ => sleep(Duration::from_secs(1)).await,
            }
            Err(Failure::new(Code::OperationFailed, "it does not answer"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn domains_that_do_not_answer_are_listed_and_take_the_time_of_one() {
        let server = Daemon::new(Arc::new(SomeSilent)).into_server(ServerConfig::default());
        let client = Client::new(server.connect_in_memory());
        let begin = tokio::time::Instant::now();
        let rows = active_rows(&client).await.unwrap();
        let row = |id: i32| -> Vec<Value> { vec![id.into(), format!("guest{id}").into(), UNKNOWN.into()] };
        assert!(rows.into_iter().eq((1..=60).map(row)));
        // Behind one of the first 32 that take a second, it takes the minute that we wait for any reply.
        assert_eq!(begin.elapsed(), Duration::from_secs(61));
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_or_restore_may_take_as_long_as_the_daemon_allows() {
        let server = Daemon::new(Arc::new(Slow)).into_server(ServerConfig::default());
        let client = Client::new(server.connect_in_memory());
        let (output, domain) = (Output::new(true), Domain { domain: "slow".to_owned() });
        save(&client, &output, &domain, "/x", &Wait::default()).await.unwrap();
        restore(&client, &output, "/x").await.unwrap();
        // As against everything else.
        let suspended = suspend(&client, &output, &domain).await;
        assert!(matches!(suspended, Err(Error::Call(CallError::DeadlineExceeded))), "{suspended:?}");
    }
}
