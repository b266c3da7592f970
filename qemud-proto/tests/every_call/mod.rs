//! Each procedure once, as a client with typed messages calls it.

use qemud_proto::failure::{Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::Procedure;
use rpc_frame::tokio::{CallError, Client};

/// How a call ended: with a result, with a failure of the protocol's, or with none of both.
pub(crate) type Ending = Result<Option<Failure>, CallError>;

/// A domain that nobody has defined.
const DOMAIN: &str = "<domain type='test'><name>every</name><memory>8</memory><os><type>hvm</type></os></domain>";
/// A network that nobody has defined.
const NETWORK: &str = "<network><name>every</name></network>";

/// Calls each procedure once, in the order of their numbers, and tells how it ended. The first domain and
/// the network and domain of `uuid` are what they act upon.
pub(crate) async fn call_each(client: &Client, uuid: Uuid) -> Vec<(&'static str, Ending)> {
    let (domain, network) = (|| DOMAIN.to_owned(), || NETWORK.to_owned());
    let (name, path) = (|| "every".to_owned(), || "/nowhere/every".to_owned());
    let (id, autostart) = (1, true);
    vec![
        ending(client, GetVersion).await,
        ending(client, GetNodeInfo).await,
        ending(client, ListDomains).await,
        ending(client, NumDomains).await,
        ending(client, DomainCreate { xml: domain() }).await,
        ending(client, DomainLookupById { id }).await,
        ending(client, DomainLookupByUuid { uuid }).await,
        ending(client, DomainLookupByName { name: name() }).await,
        ending(client, DomainSuspend { id }).await,
        ending(client, DomainResume { id }).await,
        ending(client, DomainDestroy { id }).await,
        ending(client, DomainGetInfo { uuid }).await,
        ending(client, DomainSave { id, path: path() }).await,
        ending(client, DomainRestore { path: path() }).await,
        ending(client, DomainDumpXml { uuid }).await,
        ending(client, ListDefinedDomains).await,
        ending(client, NumDefinedDomains).await,
        ending(client, DomainStart { uuid }).await,
        ending(client, DomainDefine { xml: domain() }).await,
        ending(client, DomainUndefine { uuid }).await,
        ending(client, NumNetworks).await,
        ending(client, ListNetworks).await,
        ending(client, NumDefinedNetworks).await,
        ending(client, ListDefinedNetworks).await,
        ending(client, NetworkLookupByUuid { uuid }).await,
        ending(client, NetworkLookupByName { name: name() }).await,
        ending(client, NetworkCreate { xml: network() }).await,
        ending(client, NetworkDefine { xml: network() }).await,
        ending(client, NetworkUndefine { uuid }).await,
        ending(client, NetworkStart { uuid }).await,
        ending(client, NetworkDestroy { uuid }).await,
        ending(client, NetworkDumpXml { uuid }).await,
        ending(client, NetworkGetBridgeName { uuid }).await,
        ending(client, DomainGetAutostart { uuid }).await,
        ending(client, DomainSetAutostart { uuid, autostart }).await,
        ending(client, NetworkGetAutostart { uuid }).await,
        ending(client, NetworkSetAutostart { uuid, autostart }).await,
        ending(client, GetCapabilities).await,
        ending(client, Negotiate { major: 1, minor: 1 }).await,
        ending(client, Open { uri: String::new(), flags: 0 }).await,
        ending(client, DomainEvents { on: true }).await,
        ending(client, DomainShutdown { id }).await,
        ending(client, DomainScreenshot { id }).await,
        ending(client, StreamRead { stream: 1, offset: 0 }).await,
        ending(client, DomainGetJobInfo { uuid }).await,
    ]
}

async fn ending<P, T>(client: &Client, args: P) -> (&'static str, Ending)
where
    P: Procedure<Args = P, Reply = Reply<T>>,
{
    (P::NAME, client.call(&args).await.map(Result::err))
}
