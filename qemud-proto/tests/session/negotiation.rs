//! Versions, and procedures that are switched off.

use qemud_proto::daemon::UnknownProcedure;
use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, Client, ServerConfig};
use rpc_frame::{ProcedureTable, Session};

use crate::daemon;
use crate::every_call::call_each;
use crate::wire::{PROC_UNAVAIL, Raw, words};

/// A number that no procedure has.
const UNKNOWN: u32 = 4711;

async fn negotiate(client: &Client, major: u32, minor: u32) -> Negotiated {
    client.call(&Negotiate { major, minor }).await.unwrap().unwrap()
}

fn all(minor: u32) -> Negotiated {
    let since_1: &[u32] = if minor > 0 { &[40, 41, 42, 43, 44, 45] } else { &[] };
    Negotiated { major: 1, minor, active: (1..=39).chain(since_1.iter().copied()).collect() }
}

#[tokio::test]
async fn a_session_that_never_negotiates_has_all_39_procedures() {
    let server = daemon().into_server(ServerConfig::default());
    let client = Client::new(server.connect_in_memory());
    let error = client.call(&DomainEvents { on: true }).await.unwrap_err();
    assert!(matches!(error, CallError::ProcUnavail { procedure: 41 }), "{error}");
    // Behind the first 39 are those that need what the last of these negotiates.
    let endings = call_each(&client, Uuid([0; 16])).await;
    assert_eq!(endings.len(), 45);
    for (name, ending) in endings {
        assert!(ending.is_ok(), "{name}: {ending:?}");
    }
    let mut raw = Raw::connect(&server);
    for number in [40, 41, 45, 46, UNKNOWN, u32::MAX] {
        assert_eq!(raw.outcome(number, &[]).await, (PROC_UNAVAIL, vec![]), "procedure {number}");
    }
}

#[tokio::test]
async fn the_minor_version_is_the_smaller_of_both_sides() {
    for minor in [0, 1, 7, u32::MAX] {
        let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
        assert_eq!(negotiate(&client, 1, minor).await, all(minor.min(1)), "offered {minor}");
    }
}

#[tokio::test]
async fn a_later_negotiation_only_lowers_the_minor_version() {
    // As if the first negotiation had settled a version that is higher than any of today's.
    let server = daemon().into_server_with(ServerConfig::default(), |peer| {
        let session = Session::new(peer);
        assert_eq!(session.negotiate_minor(7), 7);
        session
    });
    let client = Client::new(server.connect_in_memory());
    for (minor, settled) in [(9, 1), (1, 1), (0, 0), (7, 0), (u32::MAX, 0)] {
        assert_eq!(negotiate(&client, 1, minor).await.minor, settled, "offered {minor}");
    }
}

#[tokio::test]
async fn another_major_version_names_the_range_and_changes_nothing() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    for settled in [false, true] {
        for major in [0, 2, u32::MAX] {
            let failure = client.call(&Negotiate { major, minor: 0 }).await.unwrap().unwrap_err();
            assert_eq!(failure.code, Code::NoSupport);
            let message = format!("protocol major version {major} is not supported, only 1 to 1");
            assert_eq!(failure.message, message);
            assert_eq!(client.call(&NumDomains).await.unwrap(), Ok(1), "settled before: {settled}");
        }
        assert_eq!(negotiate(&client, 1, 0).await, all(0));
    }
}

#[tokio::test]
async fn another_version_of_the_program_is_a_mismatch_that_names_the_range() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    for version in [0, 2] {
        let error = client.null(GUEST, version).await.unwrap_err();
        assert!(matches!(error, CallError::ProgMismatch { low: 1, high: 1 }), "{error}");
    }
    // The program of the events is the client's to serve.
    let error = client.null(GUEST + 1, 1).await.unwrap_err();
    assert!(matches!(error, CallError::ProgUnavail { program: 0x2000_1A65 }), "{error}");
    client.null(GUEST, 1).await.unwrap();
}

#[tokio::test]
async fn a_procedure_that_is_switched_off_cannot_be_told_from_an_unknown_one() {
    for line in Guest::PROCEDURES {
        let server = daemon().switch_off(line.name).unwrap().into_server(ServerConfig::default());
        let mut raw = Raw::connect(&server);
        for args in [&[][..], &words(&[1]), &[0xff; 64]] {
            let unknown = raw.call(UNKNOWN, args).await;
            assert_eq!(raw.call(line.number, args).await, unknown, "{}", line.name);
        }
        assert_eq!(raw.outcome(line.number, &[]).await, (PROC_UNAVAIL, vec![]), "{}", line.name);
    }
}

#[tokio::test]
async fn a_procedure_that_is_switched_off_is_not_listed_as_active_and_the_others_work() {
    for line in Guest::PROCEDURES {
        let server = daemon().switch_off(line.name).unwrap().into_server(ServerConfig::default());
        let client = Client::new(server.connect_in_memory());
        for (name, ending) in call_each(&client, Uuid([0; 16])).await {
            match ending {
                // Nobody has negotiated what these need.
                Err(CallError::ProcUnavail { procedure: 40..=45 }) if line.name == "Negotiate" => {}
                Err(CallError::ProcUnavail { procedure }) => assert_eq!((name, procedure), (line.name, line.number)),
                ending => assert!(ending.is_ok() && name != line.name, "{} is off, {name}: {ending:?}", line.name),
            }
        }
        if line.name != "Negotiate" {
            let mut expected = all(1);
            expected.active.retain(|number| *number != line.number);
            assert_eq!(negotiate(&client, 1, 1).await, expected);
        }
    }
}

#[tokio::test]
async fn several_procedures_are_switched_off_whatever_the_case_of_their_names() {
    let daemon = daemon().switch_off("domaincreate").and_then(|daemon| daemon.switch_off("DOMAINDESTROY")).unwrap();
    let client = Client::new(daemon.into_server(ServerConfig::default()).connect_in_memory());
    let active = negotiate(&client, 1, 0).await.active;
    assert_eq!(active, (1..=39).filter(|number| ![5, 11].contains(number)).collect::<Vec<_>>());
    let error = client.call(&DomainDestroy { id: 1 }).await.unwrap_err();
    assert!(matches!(error, CallError::ProcUnavail { procedure: 11 }), "{error}");
    assert_eq!(client.call(&NumDomains).await.unwrap(), Ok(1));
}

#[test]
fn a_name_that_no_procedure_has_cannot_be_switched_off() {
    for name in ["", "Null", "DomainCreated", "Domain Create", "5"] {
        let error = daemon().switch_off(name).unwrap_err();
        assert_eq!(error, UnknownProcedure(name.to_owned()));
        assert_eq!(error.to_string(), format!("no procedure is named '{name}'"));
    }
}
