//! Read-only channels: exactly the procedures that the table marks as read-only are allowed.

use std::time::Duration;

use qemud_proto::daemon::{Daemon, GuestServer};
use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, Client, ServerConfig};
use rpc_frame::{Peer, Procedure, ProcedureTable, Session, xdr};

use tracing::Level;

use crate::every_call::call_each;
use crate::log::Log;
use crate::wire::{GARBAGE_ARGS, PROC_UNAVAIL, Raw, SUCCESS, words};
use crate::{daemon, guests};

/// Connections through memory are read-only.
fn read_only(daemon: Daemon) -> GuestServer {
    daemon.into_server_with(ServerConfig::default(), |peer| {
        let read_only = peer == Peer::InMemory;
        Session::new(peer).with_read_only(read_only)
    })
}

fn denied(name: &str) -> Failure {
    Failure { code: Code::OperationDenied, message: format!("{name} is not allowed on a read-only channel") }
}

#[tokio::test]
async fn each_procedure_is_allowed_exactly_if_the_table_says_so() {
    let server = read_only(daemon());
    let client = Client::new(server.connect_in_memory());
    let domain = client.call(&DomainLookupByName { name: "test".to_owned() }).await.unwrap().unwrap();
    let before = guests(&client).await;
    let endings = call_each(&client, domain.uuid).await;
    assert_eq!(endings.len(), Guest::PROCEDURES.len());
    for ((name, ending), line) in endings.into_iter().zip(Guest::PROCEDURES) {
        assert_eq!(name, line.name);
        // A typed reply was decoded, so the refusal has the form that the procedure's reply has.
        let failure = ending.unwrap_or_else(|error| panic!("{name}: {error}"));
        match line.read_only {
            true => assert_ne!(failure.map(|failure| failure.code), Some(Code::OperationDenied), "{name}"),
            false => assert_eq!(failure, Some(denied(name))),
        }
    }
    assert_eq!(guests(&client).await, before);
}

#[tokio::test]
async fn a_refusal_has_the_number_that_the_protocol_gives_it() {
    let mut raw = Raw::connect(&read_only(daemon()));
    let (status, results) = raw.outcome(DomainDestroy::INFO.number, &1_i32.to_be_bytes()).await;
    assert_eq!((status, &results[..8]), (SUCCESS, &[0, 0, 0, 1, 0, 0, 0, 29][..]));
}

#[tokio::test(start_paused = true)]
async fn refusals_without_end_do_not_fill_the_log() {
    let (log, _logging) = Log::begin(Level::INFO);
    let client = Client::new(read_only(daemon()).connect_in_memory());
    for _ in 0..300 {
        assert_eq!(client.call(&DomainDestroy { id: 1 }).await.unwrap(), Err(denied("DomainDestroy")));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lines = log.lines_with("refused: read-only");
    assert!(lines.len() == 12 && lines[0].contains("DomainDestroy"), "{lines:?}");
    let left_out = |line: &String| line.split("left_out=").nth(1).map_or(0, |count| count.parse::<usize>().unwrap());
    let summary = log.lines_with("calls were refused on read-only channels");
    assert!(summary.iter().all(|line| line.contains("INFO")), "{summary:?}");
    assert_eq!(lines.len() + lines.iter().chain(&summary).map(left_out).sum::<usize>(), 300);
}

#[tokio::test]
async fn whether_a_procedure_is_allowed_is_decided_before_its_arguments_are_looked_at() {
    let mut raw = Raw::connect(&read_only(daemon()));
    assert_eq!(raw.outcome(Negotiate::NUMBER, &words(&[1, 1])).await.0, SUCCESS);
    let garbage = [0xff; 7];
    for line in Guest::PROCEDURES {
        let (status, results) = raw.outcome(line.number, &garbage).await;
        match line.read_only {
            true => assert_eq!(status, GARBAGE_ARGS, "{}", line.name),
            false => {
                assert_eq!(status, SUCCESS, "{}", line.name);
                assert_eq!(xdr::from_slice::<Reply<()>>(&results), Ok(Err(denied(line.name))));
            }
        }
    }
}

#[tokio::test]
async fn a_procedure_that_is_switched_off_is_unknown_and_not_denied() {
    for line in Guest::PROCEDURES {
        let mut raw = Raw::connect(&read_only(daemon().switch_off(line.name).unwrap()));
        assert_eq!(raw.outcome(line.number, &[]).await, (PROC_UNAVAIL, vec![]), "{}", line.name);
    }
}

#[tokio::test]
async fn other_connections_of_the_same_server_are_not_read_only() {
    let server = read_only(daemon());
    let (near, far) = tokio::io::duplex(4096);
    server.serve_connection(far, Peer::Unknown).unwrap();
    let (reader, writer) = (Client::new(server.connect_in_memory()), Client::new(near));
    assert_eq!(reader.call(&DomainDestroy { id: 1 }).await.unwrap(), Err(denied("DomainDestroy")));
    assert_eq!(reader.call(&NumDomains).await.unwrap(), Ok(1));
    assert_eq!(writer.call(&DomainDestroy { id: 1 }).await.unwrap(), Ok(()));
    assert_eq!(reader.call(&NumDomains).await.unwrap(), Ok(0));
}

#[tokio::test]
async fn negotiation_is_allowed_and_does_not_lift_the_restriction() {
    let client = Client::new(read_only(daemon()).connect_in_memory());
    let negotiated = client.call(&Negotiate { major: 1, minor: 9 }).await.unwrap().unwrap();
    // The list tells what the daemon has, not what this channel may do.
    assert_eq!(negotiated.active.len(), 45);
    assert_eq!(client.call(&DomainSuspend { id: 1 }).await.unwrap(), Err(denied("DomainSuspend")));
    let null: Result<(), CallError> = client.null(GUEST, 1).await;
    assert!(null.is_ok(), "{null:?}");
}
