//! The command `event`: what happens to domains, a line each, as it happens.

use std::time::Duration;

use qemud_proto::client::connect_serving;
use qemud_proto::events::{DomainChange, DomainEvent, EachEvent, GuestEvents};
use qemud_proto::failure::{Code, Failure};
use qemud_proto::messages::{DomainEvents, Guest, Negotiate};
use qemud_proto::uri::ConnectUri;
use rpc_frame::tokio::Client;
use rpc_frame::{Procedure, ProcedureTable, program};
use serde_json::json;
use tokio::sync::mpsc;

use crate::Error;
use crate::output::Output;

/// Events that wait to be printed. When there are as many, the daemon's queue has to hold the others.
const QUEUE: usize = 64;

/// Prints events until there were `count`, or for so many seconds, or until it is interrupted.
pub(crate) async fn event(
    uri: &ConnectUri,
    output: &Output,
    count: Option<u64>,
    timeout: Option<u64>,
) -> Result<(), Error> {
    let (sender, mut events) = mpsc::channel(QUEUE);
    let pass_on = EachEvent(move |change: DomainChange, event: DomainEvent| {
        let sender = sender.clone();
        // Where nobody listens any more, the program is about to end.
        async move { drop(sender.send((change, event)).await) }
    });
    let client = connect_serving(uri, program::<GuestEvents, _>(pass_on)).await?;
    let deadline = async {
        match timeout {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(deadline, interrupted);
    subscribe(&client).await?;
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        tokio::select! {
            // Events without end do not keep the program from its own, and what has come is printed before the end of
            // the connection is told.
            biased;
            interrupted = &mut interrupted => return Ok(interrupted?),
            () = &mut deadline => return Ok(()),
            Some((change, event)) = events.recv() => {
                print(output, change, &event)?;
                printed += 1;
            }
            why = client.closed() => return Err(Error::Closed(why)),
        }
    }
    Ok(())
}

async fn subscribe(client: &Client) -> Result<(), Error> {
    let negotiated = client.call(&Negotiate { major: Guest::VERSION, minor: DomainEvents::INFO.since }).await??;
    if !negotiated.active.contains(&DomainEvents::NUMBER) {
        return Err(Failure::new(Code::NoSupport, "the daemon does not send events").into());
    }
    Ok(client.call(&DomainEvents { on: true }).await??)
}

fn print(output: &Output, change: DomainChange, event: &DomainEvent) -> Result<(), Error> {
    let DomainEvent { name, uuid, id, lost } = event;
    let mut sentence = format!("event '{}' for domain '{name}'", change.name());
    if let Some(id) = id {
        sentence += &format!(", id {id}");
    }
    match lost {
        0 => {}
        1 => sentence += ", after 1 event that was lost",
        lost => sentence += &format!(", after {lost} events that were lost"),
    }
    let facts = [
        ("event", json!(change.name())),
        ("name", json!(name)),
        ("uuid", json!(uuid.to_string())),
        ("id", json!(id)),
        ("lost", json!(lost)),
    ];
    Ok(output.done(&sentence, &facts)?)
}
