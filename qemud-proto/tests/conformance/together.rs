//! Several clients at a time, and what all of them are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use qemud_proto::driver::Subscription;
use qemud_proto::events::DomainChange::{self, *};
use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use tokio::task::JoinSet;

use crate::domains::{define, undefine};
use crate::saving::save;
use crate::subject::{Subject, code};

/// Clients at a time.
const CLIENTS: usize = 8;

/// How many succeeded, and the codes with which the others failed.
fn endings<T>(replies: Vec<Reply<T>>) -> (usize, BTreeSet<String>) {
    let failed: Vec<_> = replies.iter().filter_map(|reply| reply.as_ref().err()).collect();
    let succeeded = replies.len() - failed.len();
    (succeeded, failed.iter().map(|failure| code(failure.code)).collect())
}

pub(crate) async fn clients_at_a_time(subject: &Subject) {
    let driver = &subject.driver;
    let mut defining = JoinSet::new();
    let names: Vec<String> = (0..CLIENTS).map(|client| format!("conform-client{client}")).collect();
    for name in &names {
        let (driver, xml) = (Arc::clone(driver), subject.domain(name, Uuid::random()));
        defining.spawn(async move { driver.domain_define(DomainDefine { xml }).await });
    }
    let defined = defining.join_all().await;
    let listed = driver.list_defined_domains(ListDefinedDomains).await.unwrap().names;
    let all = names.iter().all(|name| listed.contains(name));
    subject.is("of clients that define a domain each, all succeed", all && defined.iter().all(Result::is_ok));
    for identity in defined {
        undefine(subject, identity.unwrap().uuid).await;
    }

    let mut defining = JoinSet::new();
    for _ in 0..CLIENTS {
        let (driver, xml) = (Arc::clone(driver), subject.domain("conform-one", Uuid::random()));
        defining.spawn(async move { driver.domain_define(DomainDefine { xml }).await });
    }
    let (succeeded, codes) = endings(defining.join_all().await);
    subject.is("of clients that define one name with uuids of their own, one succeeds", succeeded == 1);
    assert_eq!(codes.len(), 1, "{}: {codes:?}", subject.column);
    let uuid = driver.domain_lookup_by_name(DomainLookupByName { name: "conform-one".to_owned() }).await.unwrap().uuid;

    let mut starting = JoinSet::new();
    for _ in 0..CLIENTS {
        let driver = Arc::clone(driver);
        starting.spawn(async move { driver.domain_start(DomainStart { uuid }).await });
    }
    let (succeeded, codes) = endings(starting.join_all().await);
    subject.is("of clients that start one domain, one succeeds", succeeded == 1);
    subject.did("the others are told", codes.into_iter().collect::<Vec<_>>().join(", "));
    let id = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.unwrap().id;

    let mut destroying = JoinSet::new();
    for _ in 0..CLIENTS {
        let driver = Arc::clone(driver);
        destroying.spawn(async move { driver.domain_destroy(DomainDestroy { id }).await });
    }
    let (succeeded, codes) = endings(destroying.join_all().await);
    subject.is("of clients that destroy one domain, one succeeds", succeeded == 1);
    let not_active = codes.iter().all(|code| ["InvalidDomain", "OperationInvalid"].contains(&code.as_str()));
    subject.is("the others are told that it is not active", not_active && !codes.is_empty());
    undefine(subject, uuid).await;
}

/// The next change of this domain. Whoever waits in vain is ended by the test's own limit.
async fn next(events: &mut Subscription, uuid: Uuid) -> (DomainChange, Option<i32>) {
    loop {
        let (change, event) = events.next().await.expect("the driver goes on");
        assert_eq!(event.lost, 0);
        if event.uuid == uuid {
            return (change, event.id);
        }
    }
}

pub(crate) async fn events(subject: &Subject) {
    let driver = &subject.driver;
    let subscribed = driver.subscribe().await;
    subject.ended("subscribing to events", &subscribed);
    let (mut events, mut others) = (subscribed.unwrap(), driver.subscribe().await.unwrap());
    let uuid = define(subject, "conform-event").await;
    let id = driver.domain_start(DomainStart { uuid }).await.unwrap();
    driver.domain_resume(DomainResume { id }).await.unwrap();
    for _ in 0..2 {
        driver.domain_suspend(DomainSuspend { id }).await.unwrap();
    }
    driver.domain_resume(DomainResume { id }).await.unwrap();
    driver.domain_define(DomainDefine { xml: subject.domain("conform-event", uuid) }).await.unwrap();
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    undefine(subject, uuid).await;
    let expected = [
        (Defined, None),
        (Started, Some(id)),
        (Suspended, Some(id)),
        (Resumed, Some(id)),
        (Defined, Some(id)),
        (Stopped, Some(id)),
        (Undefined, None),
    ];
    let (mut told, mut told_others) = (Vec::new(), Vec::new());
    for _ in expected {
        told.push(next(&mut events, uuid).await);
        told_others.push(next(&mut others, uuid).await);
    }
    assert_eq!(told, expected, "{}", subject.column);
    subject.is("each subscriber is told each change once, in order, with the id", told == told_others);

    let id = driver.domain_create(DomainCreate { xml: subject.domain("conform-event", uuid) }).await.unwrap().id;
    driver.domain_suspend(DomainSuspend { id }).await.unwrap();
    if !save(subject, id, "event").await {
        return driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    }
    let again = driver.domain_restore(DomainRestore { path: subject.path("event") }).await.unwrap();
    driver.domain_destroy(DomainDestroy { id: again }).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| *last != (Stopped, Some(again))) {
        told.push(next(&mut events, uuid).await);
    }
    let expected = [
        (Started, Some(id)),
        (Suspended, Some(id)),
        (Stopped, Some(id)),
        (Started, Some(again)),
        (Suspended, Some(again)),
        (Stopped, Some(again)),
    ];
    // For whoever wants to know how it differs.
    if told != expected {
        eprintln!("{}: {told:?}", subject.column);
    }
    subject.is("a save stops, and a restore starts and may suspend", told == expected);
}
