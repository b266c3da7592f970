//! Several clients, and many calls at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::Driver;
use qemud_proto::failure::Reply;
use qemud_proto::messages::*;
use rpc_frame::tokio::{CallError, CallOptions, Client, ServerConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{daemon, domain};

#[tokio::test]
async fn what_one_client_creates_the_other_sees() {
    let server = daemon().into_server(ServerConfig::default());
    let (one, other) = (Client::new(server.connect_in_memory()), Client::new(server.connect_in_memory()));
    let created = one.call(&DomainCreate { xml: domain("shared") }).await.unwrap().unwrap();
    let found = other.call(&DomainLookupByName { name: "shared".to_owned() }).await.unwrap();
    assert_eq!(found, Ok(DomainOfName { id: created.id, uuid: created.uuid }));
    assert_eq!(other.call(&ListDomains).await.unwrap(), Ok(DomainIds { ids: vec![1, 2] }));
    assert_eq!(other.call(&DomainDestroy { id: created.id }).await.unwrap(), Ok(()));
    assert_eq!(one.call(&NumDomains).await.unwrap(), Ok(1));
    // The guests are the daemon's: they outlive the clients.
    drop((one, other));
    assert_eq!(Client::new(server.connect_in_memory()).call(&NumDomains).await.unwrap(), Ok(1));
}

#[tokio::test]
async fn negotiation_is_each_clients_own() {
    let server = daemon().into_server(ServerConfig::default());
    let (one, other) = (Client::new(server.connect_in_memory()), Client::new(server.connect_in_memory()));
    one.call(&Negotiate { major: 2, minor: 0 }).await.unwrap().unwrap_err();
    let negotiated = other.call(&Negotiate { major: 1, minor: 0 }).await.unwrap().unwrap();
    assert_eq!((negotiated.minor, negotiated.active.len()), (0, 39));
}

#[tokio::test]
async fn two_thousand_calls_in_flight_each_get_their_own_reply() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    let mut calls = JoinSet::new();
    for number in 0..2000 {
        let client = client.clone();
        calls.spawn(async move {
            let name = format!("nobody-{number}");
            (number, client.call(&DomainLookupByName { name }).await.unwrap().unwrap_err().message)
        });
    }
    let mut answered = vec![false; 2000];
    while let Some(call) = calls.join_next().await {
        let (number, message) = call.unwrap();
        assert_eq!(message, format!("no domain with name 'nobody-{number}'"));
        assert!(!std::mem::replace(&mut answered[number], true));
    }
    assert!(answered.into_iter().all(|answered| answered));
    assert_eq!(client.call(&NumDomains).await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_thousand_creations_in_flight_make_a_thousand_domains() {
    let client = Client::new(daemon().into_server(ServerConfig::default()).connect_in_memory());
    let mut calls = JoinSet::new();
    for number in 0..1000 {
        let client = client.clone();
        calls.spawn(async move {
            let created = client.call(&DomainCreate { xml: domain(&format!("d{number}")) }).await.unwrap().unwrap();
            assert_eq!(created.name, format!("d{number}"));
            created.id
        });
    }
    let mut ids = calls.join_all().await;
    ids.sort_unstable();
    assert_eq!(ids, (2..=1001).collect::<Vec<_>>());
    let listed = client.call(&ListDomains).await.unwrap().unwrap();
    assert_eq!(listed.ids, (1..=1001).collect::<Vec<_>>());
}

/// A driver that counts the domains only when it is allowed to.
struct Slow {
    begun: AtomicUsize,
    allowed: Semaphore,
}

#[async_trait]
impl Driver for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn num_domains(&self, _: NumDomains) -> Reply<i32> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.allowed.acquire().await.unwrap().forget();
        Ok(7)
    }

    async fn num_networks(&self, _: NumNetworks) -> Reply<u32> {
        Ok(8)
    }
}

fn slow() -> (Arc<Slow>, Client) {
    let driver = Arc::new(Slow { begun: AtomicUsize::new(0), allowed: Semaphore::new(0) });
    let server = Daemon::new(driver.clone()).into_server(ServerConfig::default());
    (driver, Client::new(server.connect_in_memory()))
}

#[tokio::test]
async fn a_call_that_takes_long_does_not_hold_up_the_calls_behind_it() {
    let (driver, client) = slow();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(&NumDomains).await }
    });
    while driver.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.call(&NumNetworks).await.unwrap(), Ok(8));
    assert!(!waiting.is_finished());
    driver.allowed.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap(), Ok(7));
}

#[tokio::test]
async fn calls_beyond_the_cap_wait_and_are_answered_in_the_end() {
    let (driver, client) = slow();
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        calls.spawn(async move { client.call(&NumDomains).await.unwrap().unwrap() });
    }
    // One at a time is let go; never have more than the cap of 64 been begun beyond those.
    for gone in 0..200 {
        while driver.begun.load(Ordering::SeqCst) <= gone {
            tokio::task::yield_now().await;
        }
        assert!(driver.begun.load(Ordering::SeqCst) <= gone + 64);
        driver.allowed.add_permits(1);
        assert_eq!(calls.join_next().await.unwrap().unwrap(), 7);
    }
    assert_eq!(driver.begun.load(Ordering::SeqCst), 200);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_call_disturbs_nobody() {
    let driver = Arc::new(Slow { begun: AtomicUsize::new(0), allowed: Semaphore::new(0) });
    let server = Daemon::new(driver.clone()).into_server(ServerConfig::default());
    let leaving = Client::new(server.connect_in_memory());
    let call = tokio::spawn({
        let leaving = leaving.clone();
        async move { leaving.call(&NumDomains).await }
    });
    while driver.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    call.abort();
    drop(leaving);
    driver.allowed.add_permits(1);
    let staying = Client::new(server.connect_in_memory());
    assert_eq!(staying.call(&NumNetworks).await.unwrap(), Ok(8));
    driver.allowed.add_permits(1);
    assert_eq!(staying.call(&NumDomains).await.unwrap(), Ok(7));
}

/// A driver whose machine does not react.
struct Hung;

#[async_trait]
impl Driver for Hung {
    fn name(&self) -> &'static str {
        "hung"
    }

    async fn domain_destroy(&self, _: DomainDestroy) -> Reply<()> {
        std::future::pending().await
    }

    async fn domain_save(&self, _: DomainSave) -> Reply<()> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_and_one_that_saves_memory_only_after_an_hour() {
    let server = Daemon::new(Arc::new(Hung)).into_server(ServerConfig::default());
    let client = Client::new(server.connect_in_memory()).with_options(CallOptions::default().with_timeout(None));
    let begun = Instant::now();
    let destroyed = client.call(&DomainDestroy { id: 1 }).await;
    assert!(matches!(destroyed, Err(CallError::SystemErr)), "{destroyed:?}");
    assert_eq!(begun.elapsed().as_secs(), 600);
    let saved = client.call(&DomainSave { id: 1, path: "/tmp/test".to_owned() }).await;
    assert!(matches!(saved, Err(CallError::SystemErr)), "{saved:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(600) + MEMORY_LIMIT);
}
