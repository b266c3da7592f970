//! Commands about the daemon and its machine.

use qemud_proto::messages::*;
use rpc_frame::ProcedureTable;
use rpc_frame::tokio::Client;
use serde_json::Value;

use crate::Error;
use crate::output::Output;

pub(crate) async fn ping(client: &Client, output: &Output) -> Result<(), Error> {
    client.null(Guest::PROGRAM, Guest::VERSION).await?;
    Ok(output.done("The daemon answers", &[("answers", true.into())])?)
}

pub(crate) async fn version(client: &Client, output: &Output) -> Result<(), Error> {
    let version = client.call(&GetVersion).await??;
    let text = format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000);
    Ok(output.facts(&[("Version", text.into()), ("Number", version.into())])?)
}

pub(crate) async fn node_info(client: &Client, output: &Output) -> Result<(), Error> {
    let node = client.call(&GetNodeInfo).await??;
    Ok(output.facts(&[
        ("CPU model", node.model.into()),
        ("CPU(s)", node.cpus.into()),
        ("CPU frequency MHz", node.mhz.into()),
        ("NUMA cell(s)", node.nodes.into()),
        ("CPU socket(s)", node.sockets.into()),
        ("Core(s) per socket", node.cores.into()),
        ("Thread(s) per core", node.threads.into()),
        ("Memory size KiB", node.memory.into()),
    ])?)
}

pub(crate) async fn capabilities(client: &Client, output: &Output) -> Result<(), Error> {
    let capabilities = client.call(&GetCapabilities).await??;
    Ok(output.document("xml", &capabilities.xml)?)
}

pub(crate) async fn procedures(client: &Client, output: &Output) -> Result<(), Error> {
    let offer = Negotiate { major: Guest::VERSION, minor: u32::MAX };
    let active = client.call(&offer).await??.active;
    let rows: Vec<Vec<Value>> = Guest::PROCEDURES
        .iter()
        .map(|procedure| {
            vec![
                procedure.number.into(),
                procedure.name.into(),
                format!("{}.{}", procedure.version, procedure.since).into(),
                active.contains(&procedure.number).into(),
            ]
        })
        .collect();
    Ok(output.table(&["Number", "Name", "Since", "Active"], &rows)?)
}
