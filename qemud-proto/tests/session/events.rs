//! The events of domains: what the daemon tells, to whom, and what it does with a client that does not keep up.

use std::sync::Arc;
use std::time::Duration;

use qemud_proto::daemon::{Daemon, GuestServer};
use qemud_proto::driver::test::TestDriver;
use qemud_proto::events::{
    DomainChange::{self, *},
    DomainEvent, EachEvent, GUEST_EVENTS, GuestEvents,
};
use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, Client, ServerConfig};
use rpc_frame::{Peer, Procedure, ProcedureTable, Session, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::wire::words;

type Told = (DomainChange, DomainEvent);

fn daemon(queue: usize) -> GuestServer {
    let driver = TestDriver::with_defaults().unwrap().with_event_queue(queue);
    Daemon::new(Arc::new(driver)).into_server(ServerConfig::default())
}

/// A client that has negotiated minor 1 and keeps the events that it is told.
async fn listener(server: &GuestServer) -> (Client, mpsc::UnboundedReceiver<Told>) {
    let (sender, events) = mpsc::unbounded_channel();
    let keep = EachEvent(move |change, event| {
        sender.send((change, event)).unwrap();
        std::future::ready(())
    });
    let client = Client::serving(server.connect_in_memory(), program::<GuestEvents, _>(keep));
    assert_eq!(client.call(&Negotiate { major: 1, minor: 1 }).await.unwrap().unwrap().minor, 1);
    (client, events)
}

async fn subscriber(server: &GuestServer) -> (Client, mpsc::UnboundedReceiver<Told>) {
    let (client, events) = listener(server).await;
    client.call(&DomainEvents { on: true }).await.unwrap().unwrap();
    (client, events)
}

/// The call was made and did what it should.
async fn done<P, T>(client: &Client, args: P) -> T
where
    P: Procedure<Args = P, Reply = Reply<T>>,
{
    client.call(&args).await.unwrap().unwrap()
}

const UUID: Uuid = Uuid([7; 16]);

fn xml(name: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{UUID}</uuid><memory>8</memory><os><type>hvm</type></os></domain>"
    )
}

fn told(change: DomainChange, name: &str, id: Option<i32>) -> Told {
    (change, DomainEvent { name: name.to_owned(), uuid: UUID, id, lost: 0 })
}

async fn silent(events: &mut mpsc::UnboundedReceiver<Told>) -> bool {
    timeout(Duration::from_secs(1), events.recv()).await.is_err()
}

#[tokio::test]
async fn each_change_is_told_once_and_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web").to_str().unwrap().to_owned();
    let server = daemon(256);
    let (client, mut events) = subscriber(&server).await;
    let mut expect = async |expected: &[Told]| {
        for expected in expected {
            assert_eq!(events.recv().await.as_ref(), Some(expected));
        }
    };
    done(&client, DomainDefine { xml: xml("web") }).await;
    expect(&[told(Defined, "web", None)]).await;
    let id = done(&client, DomainStart { uuid: UUID }).await;
    expect(&[told(Started, "web", Some(id))]).await;
    // What changes nothing is not told.
    done(&client, DomainResume { id }).await;
    done(&client, DomainSuspend { id }).await;
    done(&client, DomainSuspend { id }).await;
    expect(&[told(Suspended, "web", Some(id))]).await;
    done(&client, DomainResume { id }).await;
    done(&client, DomainResume { id }).await;
    expect(&[told(Resumed, "web", Some(id))]).await;
    done(&client, DomainDefine { xml: xml("web") }).await;
    expect(&[told(Defined, "web", Some(id))]).await;
    // Nor is what fails, or what only reads.
    assert!(client.call(&DomainUndefine { uuid: UUID }).await.unwrap().is_err());
    assert!(client.call(&DomainStart { uuid: UUID }).await.unwrap().is_err());
    assert!(client.call(&DomainSuspend { id: 99 }).await.unwrap().is_err());
    done(&client, DomainSetAutostart { uuid: UUID, autostart: true }).await;
    done(&client, DomainGetInfo { uuid: UUID }).await;
    done(&client, DomainSave { id, path: path.clone() }).await;
    expect(&[told(Stopped, "web", Some(id))]).await;
    let id = done(&client, DomainRestore { path: path.clone() }).await;
    expect(&[told(Started, "web", Some(id))]).await;
    done(&client, DomainSuspend { id }).await;
    done(&client, DomainSave { id, path: path.clone() }).await;
    expect(&[told(Suspended, "web", Some(id)), told(Stopped, "web", Some(id))]).await;
    let id = done(&client, DomainRestore { path }).await;
    expect(&[told(Started, "web", Some(id)), told(Suspended, "web", Some(id))]).await;
    done(&client, DomainDestroy { id }).await;
    expect(&[told(Stopped, "web", Some(id))]).await;
    done(&client, DomainUndefine { uuid: UUID }).await;
    expect(&[told(Undefined, "web", None)]).await;
    let created = done(&client, DomainCreate { xml: xml("short") }).await;
    done(&client, DomainDestroy { id: created.id }).await;
    expect(&[told(Started, "short", Some(created.id)), told(Stopped, "short", Some(created.id))]).await;
}

#[tokio::test(start_paused = true)]
async fn events_come_only_to_those_who_asked_and_end_when_they_ask() {
    let server = daemon(256);
    let (quiet, mut nothing) = listener(&server).await;
    let (one, mut told_one) = subscriber(&server).await;
    let (other, mut told_other) = subscriber(&server).await;
    // Twice is as once.
    done(&one, DomainEvents { on: true }).await;
    done(&quiet, DomainDefine { xml: xml("web") }).await;
    assert_eq!(told_one.recv().await, Some(told(Defined, "web", None)));
    assert_eq!(told_other.recv().await, Some(told(Defined, "web", None)));
    done(&one, DomainEvents { on: false }).await;
    done(&one, DomainEvents { on: false }).await;
    done(&one, DomainUndefine { uuid: UUID }).await;
    assert_eq!(told_other.recv().await, Some(told(Undefined, "web", None)));
    assert!(silent(&mut told_one).await && silent(&mut told_other).await && silent(&mut nothing).await);
    // And they may begin anew, with what happens from then on.
    done(&one, DomainEvents { on: true }).await;
    done(&one, DomainDefine { xml: xml("web") }).await;
    assert_eq!(told_one.recv().await, Some(told(Defined, "web", None)));
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_session() {
    let driver = Arc::new(TestDriver::with_defaults().unwrap());
    let server = Daemon::new(Arc::<TestDriver>::clone(&driver)).into_server(ServerConfig::default());
    let (client, mut events) = subscriber(&server).await;
    assert_eq!(server.connections(), 1);
    drop(client);
    // Nothing is left that would send, so nothing is left that would listen.
    assert_eq!(timeout(Duration::from_secs(1), events.recv()).await, Ok(None));
    while server.connections() > 0 {
        tokio::task::yield_now().await;
    }
    let (client, mut events) = subscriber(&server).await;
    done(&client, DomainDefine { xml: xml("web") }).await;
    assert_eq!(events.recv().await, Some(told(Defined, "web", None)));
    drop((server, client));
    while Arc::strong_count(&driver) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_not_lost_because_nothing_happens_for_an_hour() {
    let server = daemon(256);
    let (client, mut events) = subscriber(&server).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    done(&client, DomainDefine { xml: xml("web") }).await;
    assert_eq!(events.recv().await, Some(told(Defined, "web", None)));
}

#[tokio::test]
async fn a_read_only_channel_may_listen() {
    let driver = Arc::new(TestDriver::with_defaults().unwrap());
    let server = Daemon::new(driver).into_server_with(ServerConfig::default(), |peer| {
        let read_only = peer == Peer::InMemory;
        Session::new(peer).with_read_only(read_only)
    });
    let (_client, mut events) = subscriber(&server).await;
    let (near, far) = tokio::io::duplex(4096);
    server.serve_connection(far, Peer::Unknown).unwrap();
    done(&Client::new(near), DomainDefine { xml: xml("web") }).await;
    assert_eq!(events.recv().await, Some(told(Defined, "web", None)));
}

#[tokio::test]
async fn a_guest_that_powers_off_is_told_as_stopped_before_the_reply() {
    let server = daemon(256);
    let (client, mut events) = subscriber(&server).await;
    done(&client, DomainShutdown { id: 1 }).await;
    let (change, event) = events.try_recv().unwrap();
    assert_eq!((change, event.name.as_str(), event.id), (Stopped, "test", Some(1)));
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn without_minor_1_there_are_no_events_to_ask_for() {
    let server = daemon(256);
    let client = Client::new(server.connect_in_memory());
    for negotiated in [false, true] {
        if negotiated {
            done(&client, Negotiate { major: 1, minor: 0 }).await;
        }
        let error = client.call(&DomainEvents { on: true }).await.unwrap_err();
        assert!(matches!(error, CallError::ProcUnavail { procedure: 41 }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_serve_the_events_keeps_its_connection() {
    let server = daemon(256);
    let client = Client::new(server.connect_in_memory());
    done(&client, Negotiate { major: 1, minor: 1 }).await;
    done(&client, DomainEvents { on: true }).await;
    for _ in 0..100 {
        done(&client, DomainSuspend { id: 1 }).await;
        done(&client, DomainResume { id: 1 }).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(done(&client, NumDomains).await, 1);
}

#[test]
fn the_events_are_a_program_of_their_own_whose_procedures_have_no_reply() {
    assert_eq!((GuestEvents::PROGRAM, GuestEvents::VERSION), (0x2000_1A65, 1));
    let lines: Vec<_> = GuestEvents::PROCEDURES.iter().map(|line| (line.number, line.name, line.oneway)).collect();
    let names =
        ["DomainStarted", "DomainSuspended", "DomainResumed", "DomainStopped", "DomainDefined", "DomainUndefined"];
    assert_eq!(lines, (1..).zip(names).map(|(number, name)| (number, name, true)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_event_is_these_bytes() {
    let server = daemon(256);
    let mut raw = server.connect_in_memory();
    let call = |xid, procedure, args: &[u32]| {
        let record = [&words(&[xid, 0, 2, GUEST, 1, procedure, 0, 0, 0, 0]), &words(args)[..]].concat();
        [words(&[u32::try_from(record.len()).unwrap() | 0x8000_0000]), record].concat()
    };
    raw.write_all(&call(1, 39, &[1, 1])).await.unwrap();
    raw.write_all(&call(2, 41, &[1])).await.unwrap();
    raw.write_all(&call(3, 9, &[1])).await.unwrap();
    let mut records = Vec::new();
    for _ in 0..4 {
        let mark = raw.read_u32().await.unwrap();
        let mut record = vec![0; usize::try_from(mark & 0x7fff_ffff).unwrap()];
        raw.read_exact(&mut record).await.unwrap();
        records.push(record);
    }
    let event = records.iter().find(|record| record[4..8] == [0; 4]).expect("a call of the daemon's");
    // RPC 2, program, version 1, DomainSuspended, nobody; "test", its UUID, an id which is 1, nothing lost.
    let head = words(&[0, 2, GUEST_EVENTS, 1, 2, 0, 0, 0, 0]);
    let uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f".parse::<Uuid>().unwrap();
    let body = [&words(&[4]), &b"test"[..], &uuid.0, &words(&[1, 1, 0])].concat();
    assert_eq!(event[4..], [head, body].concat());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_neither_delays_the_others_nor_fills_the_memory_and_learns_what_it_lost() {
    const CHANGES: u32 = 5000;
    let mut config = ServerConfig::default();
    config.connection.max_unsent = 4096;
    let driver = TestDriver::with_defaults().unwrap().with_event_queue(8);
    let server = Daemon::new(Arc::new(driver)).into_server(config);
    let (near, mut slow) = tokio::io::duplex(1024);
    server.serve_connection(near, Peer::Unknown).unwrap();
    let call = |xid, procedure, args: &[u32]| {
        let record = [&words(&[xid, 0, 2, GUEST, 1, procedure, 0, 0, 0, 0]), &words(args)[..]].concat();
        [words(&[u32::try_from(record.len()).unwrap() | 0x8000_0000]), record].concat()
    };
    slow.write_all(&[call(1, 39, &[1, 1]), call(2, 41, &[1])].concat()).await.unwrap();
    // Its replies, and no more.
    for _ in 0..2 {
        let mark = slow.read_u32().await.unwrap();
        slow.read_exact(&mut vec![0; usize::try_from(mark & 0x7fff_ffff).unwrap()]).await.unwrap();
    }
    let (client, mut events) = subscriber(&server).await;
    let mut lost_by_the_other = 0;
    for number in 0..CHANGES {
        match number % 2 {
            0 => done(&client, DomainSuspend { id: 1 }).await,
            _ => done(&client, DomainResume { id: 1 }).await,
        }
        lost_by_the_other += events.recv().await.unwrap().1.lost;
    }
    assert_eq!(lost_by_the_other, 0, "who reads loses nothing");
    let (mut received, mut lost, mut last) = (0, 0, 0);
    while let Ok(mark) = timeout(Duration::from_secs(1), slow.read_u32()).await {
        let mut record = vec![0; usize::try_from(mark.unwrap() & 0x7fff_ffff).unwrap()];
        slow.read_exact(&mut record).await.unwrap();
        let procedure = u32::from_be_bytes(record[20..24].try_into().unwrap());
        let gap = u32::from_be_bytes(record[record.len() - 4..].try_into().unwrap());
        received += 1;
        lost += gap;
        // The oldest are gone, and not those in between: every change is where the count says that it is.
        assert_eq!(procedure, 2 + (received + lost - 1) % 2, "event {received}, {lost} lost");
        last = procedure;
    }
    assert_eq!((received + lost, last), (CHANGES, 3), "{received} received, {lost} lost");
    // The queue; what waited unsent, in the mailbox and in the stream, at 100 bytes an event; and the one in hand.
    assert!((8..8 + (2 * 4096 + 1024) / 90 + 2).contains(&received), "{received} events were kept");
}
