//! A walk through the guest protocol: a daemon on a unix socket in a temporary folder, and a client that
//! negotiates, defines, starts, lists, saves, restores and destroys a guest.
//!
//! Each call is one line: its xid, its procedure, and the bytes that went out and came in. One call is shown
//! byte by byte. With `--capture FILE.pcap` the traffic is written for Wireshark as well.

mod capture; // the traffic as a capture file
mod tap; //     a stream that keeps what goes through it

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::failure::Reply;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, Client, ServerConfig};
use rpc_frame::xdr::{self, Encode};
use rpc_frame::{Message, Procedure};
use tokio::net::{UnixListener, UnixStream};

use crate::tap::{Tap, Traffic};

const GUEST_XML: &str = "<domain type='test'>
  <name>tour</name>
  <memory>65536</memory>
  <vcpu>1</vcpu>
  <os><type>hvm</type></os>
</domain>";

/// Walk through the guest protocol.
#[derive(Parser)]
struct Arguments {
    /// Write the traffic to a capture file, as TCP packets, for Wireshark
    #[arg(long, value_name = "FILE.pcap")]
    capture: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("guestd-sock");
    let server = Daemon::new(Arc::new(TestDriver::new())).into_server(ServerConfig::default());
    let listener = UnixListener::bind(&socket)?;
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    println!("a daemon listens on {}\n", socket.display());

    let (tap, traffic) = Tap::new(UnixStream::connect(&socket).await?);
    let tour = Tour { client: Client::new(tap), traffic: traffic.clone() };
    println!("{:<10}  {:<20}  {:>6}  {:>6}  result", "xid", "procedure", "out", "in");
    let saved = folder.path().join("tour.saved");
    let walked = walk(&tour, saved.to_str().context("the temporary folder's name is not UTF-8")?).await;
    drop(tour);
    server.shutdown(Duration::from_secs(1)).await;
    if let Some(file) = arguments.capture {
        capture::write(&file, &traffic.pieces()).with_context(|| format!("cannot write '{}'", file.display()))?;
        println!("\nthe traffic is in {}", file.display());
    }
    walked
}

async fn walk(tour: &Tour, saved: &str) -> anyhow::Result<()> {
    let negotiated = tour.call(&Negotiate { major: 1, minor: 1 }, |reply: &Negotiated| {
        format!("version {}.{}, {} procedures are active", reply.major, reply.minor, reply.active.len())
    });
    negotiated.await?;
    let domain =
        tour.call(&DomainDefine { xml: GUEST_XML.into() }, |domain| format!("'{}' is defined", domain.name)).await?;
    let uuid = domain.uuid;
    tour.call(&ListDefinedDomains, |domains| format!("inactive: {}", domains.names.join(", "))).await?;
    let id = tour.call(&DomainStart { uuid }, |id| format!("it runs, id {id}")).await?;
    tour.call(&ListDomains, |domains| format!("active: {:?}", domains.ids)).await?;
    tour.call(&DomainGetInfo { uuid }, |info| {
        format!("{:?}, {} KiB, {} CPU", info.runstate, info.memory, info.nr_virt_cpu)
    })
    .await?;
    tour.call(&DomainSave { id, path: saved.into() }, |()| "it is in a file, and stopped".into()).await?;
    let id = tour.call(&DomainRestore { path: saved.into() }, |id| format!("it runs again, id {id}")).await?;

    let missing = DomainLookupByName { name: "nobody".into() };
    match tour.call(&missing, |_| "found".into()).await {
        Ok(_) => bail!("the daemon has found a domain that is not there"),
        Err(error) if error.is::<qemud_proto::failure::Failure>() => {}
        Err(error) => return Err(error),
    }
    let call = tour.last_call::<DomainLookupByName>()?;

    tour.call(&DomainDestroy { id }, |()| "it is stopped".into()).await?;
    tour.call(&DomainUndefine { uuid }, |()| "it is forgotten".into()).await?;

    println!("\nthe call of DomainLookupByName, byte by byte:\n\n{call}");
    Ok(())
}

struct Tour {
    client: Client,
    traffic: Traffic,
}

impl Tour {
    /// Calls, and prints the call as one line.
    async fn call<P, T>(&self, args: &P, describe: impl FnOnce(&T) -> String) -> anyhow::Result<T>
    where
        P: Procedure<Args = P, Reply = Reply<T>>,
    {
        let before = self.traffic.totals();
        let reply: Result<Reply<T>, CallError> = self.client.call(args).await;
        let after = self.traffic.totals();
        let (xid, _) = xdr::decode_prefix::<u32>(&self.traffic.last_record_sent()?)?;
        let result = match &reply {
            Ok(Ok(value)) => describe(value),
            Ok(Err(failure)) => format!("refused: {failure}"),
            Err(error) => format!("failed: {error}"),
        };
        let (out, back) = (after.sent - before.sent, after.received - before.received);
        println!("{xid:#010x}  {:<20}  {out:>6}  {back:>6}  {result}", P::NAME);
        Ok(reply??)
    }

    /// The last call, as an annotated hex dump: the record mark, the message, the arguments.
    fn last_call<P: Procedure>(&self) -> anyhow::Result<String> {
        let record = self.traffic.last_record_sent()?;
        let (_, args) = xdr::decode_prefix::<Message>(&record)?;
        let header = record.len() - args.len();
        let mark = rpc_frame::write_record_mark(record.len()).context("the record is too long")?;
        let hex: Vec<String> = mark.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut lines =
            vec![format!("0000  {:<47}  record mark: last fragment, {} bytes", hex.join(" "), record.len())];
        for (schema, at, bytes) in
            [(<Message as Encode>::schema(), 0, &record[..header]), (<P::Args as Encode>::schema(), header, args)]
        {
            for mut annotation in xdr::annotate(schema, bytes) {
                annotation.offset += at + mark.len();
                lines.push(annotation.to_string());
            }
        }
        Ok(lines.join("\n"))
    }
}
