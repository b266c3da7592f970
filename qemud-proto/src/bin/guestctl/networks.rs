//! Commands about networks.

use qemud_proto::failure::{Code, Reply};
use qemud_proto::messages::*;
use rpc_frame::tokio::Client;
use serde_json::Value;

use crate::arguments::{Network, Which};
use crate::asking::each;
use crate::output::Output;
use crate::{Error, read_xml};

/// Looks a network up by UUID, then by name.
async fn find(client: &Client, key: &Network) -> Result<Identity, Error> {
    let key = key.network.as_str();
    if let Ok(uuid) = key.parse() {
        match client.call(&NetworkLookupByUuid { uuid }).await? {
            Ok(NetworkOfUuid { name }) => return Ok(Identity { uuid, name }),
            Err(failure) if failure.code == Code::NoNetwork => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    let uuid = client.call(&NetworkLookupByName { name: key.to_owned() }).await??;
    Ok(Identity { uuid, name: key.to_owned() })
}

fn facts(network: &Identity) -> [(&'static str, Value); 2] {
    [("Name", network.name.clone().into()), ("UUID", network.uuid.to_string().into())]
}

/// A reply about a network that may be gone by now.
fn still_there<T>(reply: Reply<T>) -> Result<Option<T>, Error> {
    match reply {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.code == Code::NoNetwork => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

pub(crate) async fn list(client: &Client, output: &Output, which: &Which) -> Result<(), Error> {
    if which.count {
        let mut facts: Vec<(&str, Value)> = Vec::new();
        if which.wants_active() {
            facts.push(("Active", client.call(&NumNetworks).await??.into()));
        }
        if which.wants_inactive() {
            facts.push(("Inactive", client.call(&NumDefinedNetworks).await??.into()));
        }
        return Ok(output.facts(&facts)?);
    }
    let mut names = Vec::new();
    if which.wants_active() {
        let active = client.call(&ListNetworks).await??.names;
        names.extend(active.into_iter().map(|name| (name, "active")));
    }
    if which.wants_inactive() {
        let inactive = client.call(&ListDefinedNetworks).await??.names;
        names.extend(inactive.into_iter().map(|name| (name, "inactive")));
    }
    if which.name {
        return Ok(output.words(&names.into_iter().map(|(name, _)| name).collect::<Vec<_>>())?);
    }
    if which.uuid {
        let uuid = async |(name, _)| still_there(client.call(&NetworkLookupByName { name }).await?);
        let found = each(names, uuid).await.into_iter().filter_map(Result::transpose);
        let words = found.map(|uuid| Ok(uuid?.to_string())).collect::<Result<Vec<_>, Error>>()?;
        return Ok(output.words(&words)?);
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for row in each(names, async |(name, state)| row(client, name, state).await).await {
        rows.extend(row?);
    }
    Ok(output.table(&["Name", "State", "Autostart"], &rows)?)
}

/// The line of a network; none where it has gone since the list was made.
async fn row(client: &Client, name: String, state: &str) -> Result<Option<Vec<Value>>, Error> {
    let lookup = NetworkLookupByName { name: name.clone() };
    let Some(uuid) = still_there(client.call(&lookup).await?)? else { return Ok(None) };
    let autostart = still_there(client.call(&NetworkGetAutostart { uuid }).await?)?;
    Ok(autostart.map(|autostart| vec![name.into(), state.into(), autostart.into()]))
}

pub(crate) async fn create(client: &Client, output: &Output, file: &str) -> Result<(), Error> {
    let xml = read_xml(file).await?;
    let network = client.call(&NetworkCreate { xml }).await??;
    Ok(output.done(&format!("Network '{}' created", network.name), &facts(&network))?)
}

pub(crate) async fn define(client: &Client, output: &Output, file: &str) -> Result<(), Error> {
    let xml = read_xml(file).await?;
    let network = client.call(&NetworkDefine { xml }).await??;
    Ok(output.done(&format!("Network '{}' defined", network.name), &facts(&network))?)
}

pub(crate) async fn undefine(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    client.call(&NetworkUndefine { uuid: network.uuid }).await??;
    Ok(output.done(&format!("Network '{}' undefined", network.name), &facts(&network))?)
}

pub(crate) async fn start(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    client.call(&NetworkStart { uuid: network.uuid }).await??;
    Ok(output.done(&format!("Network '{}' started", network.name), &facts(&network))?)
}

pub(crate) async fn destroy(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    client.call(&NetworkDestroy { uuid: network.uuid }).await??;
    Ok(output.done(&format!("Network '{}' destroyed", network.name), &facts(&network))?)
}

pub(crate) async fn info(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    let active = client.call(&ListNetworks).await??.names.contains(&network.name);
    let bridge = client.call(&NetworkGetBridgeName { uuid: network.uuid }).await??;
    let autostart = client.call(&NetworkGetAutostart { uuid: network.uuid }).await??;
    let mut all = facts(&network).to_vec();
    all.extend([("Active", active.into()), ("Autostart", autostart.into()), ("Bridge", bridge.name.into())]);
    Ok(output.facts(&all)?)
}

pub(crate) async fn uuid(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    Ok(output.value("UUID", network.uuid.to_string().into())?)
}

pub(crate) async fn name(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    Ok(output.value("Name", network.name.into())?)
}

pub(crate) async fn dump_xml(client: &Client, output: &Output, network: &Network) -> Result<(), Error> {
    let network = find(client, network).await?;
    let description = client.call(&NetworkDumpXml { uuid: network.uuid }).await??;
    Ok(output.document("xml", &description.xml)?)
}

pub(crate) async fn autostart(
    client: &Client,
    output: &Output,
    network: &Network,
    autostart: bool,
) -> Result<(), Error> {
    let network = find(client, network).await?;
    client.call(&NetworkSetAutostart { uuid: network.uuid, autostart }).await??;
    let how = if autostart { "now starts" } else { "no longer starts" };
    let facts = [("Name", network.name.clone().into()), ("Autostart", autostart.into())];
    Ok(output.done(&format!("Network '{}' {how} together with the daemon", network.name), &facts)?)
}
