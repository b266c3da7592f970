//! Several servers: fewest calls in flight, and those that are gone.

use std::time::Duration;

use rpc_frame::tokio::Client;
use rpc_frame::tower::{RawCall, Typed};
use tokio::time::timeout;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::desk::{Double, Hold, client, server};
use crate::example::scenario;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_when_one_of_three_servers_is_stopped_and_it_is_taken_back_when_it_returns() {
    let report = timeout(Duration::from_secs(60), scenario()).await.expect("it ends").unwrap();
    for part in &report.parts {
        assert_eq!(part.failed, 0, "{report:?}");
    }
    let [before, stopping, without, again] = &report.parts[..] else { panic!("{report:?}") };
    assert!(before.answered.iter().all(|answered| *answered > 50), "all three are called: {report:?}");
    assert!(stopping.answered[1] > 0 && stopping.answered[1] < stopping.answered[0], "{report:?}");
    assert_eq!(without.answered[1], 0, "{report:?}");
    assert!(without.answered[0] > 50 && without.answered[2] > 50, "the others take over: {report:?}");
    assert!(again.answered[1] >= 100, "it is called again: {report:?}");
}

fn balance(
    clients: impl IntoIterator<Item = Client, IntoIter: Unpin>,
) -> Balance<ServiceList<impl Iterator<Item = PendingRequests<Client>> + Unpin>, RawCall> {
    let clients = clients.into_iter().map(|client| PendingRequests::new(client, CompleteOnResponse::default()));
    Balance::new(ServiceList::new::<RawCall>(clients))
}

#[tokio::test]
async fn a_balancer_lets_go_of_a_client_whose_server_is_gone_and_no_call_meets_it() {
    let (first, _held_by_first) = server();
    let (second, _held_by_second) = server();
    let (doomed, kept) = (client(&first), client(&second));
    let mut balance = balance([doomed.clone(), kept]);
    for number in 0..20 {
        let reply = balance.ready().await.unwrap().call(RawCall::of::<Double>(&Double { number }).unwrap());
        assert_eq!(reply.await.unwrap(), (number * 2).to_be_bytes().to_vec());
    }
    assert_eq!(balance.len(), 2);
    first.shutdown(Duration::from_secs(5)).await;
    while doomed.close_reason().is_none() {
        tokio::task::yield_now().await;
    }
    // Doubling is not idempotent, and nothing here repeats calls.
    for number in 0..20 {
        let reply = balance.ready().await.unwrap().call(RawCall::of::<Double>(&Double { number }).unwrap());
        assert_eq!(reply.await.unwrap(), (number * 2).to_be_bytes().to_vec());
    }
    assert_eq!(balance.len(), 1);
}

#[tokio::test]
async fn the_server_with_fewer_calls_in_flight_is_called() {
    let (first, mut held_by_first) = server();
    let (second, mut held_by_second) = server();
    let client =
        ServiceBuilder::new().layer_fn(Typed::new).buffer(16).service(balance([client(&first), client(&second)]));
    let calls: Vec<_> = (0..10).map(|ticket| tokio::spawn(client.clone().oneshot(Hold { ticket }))).collect();
    for _ in 0..5 {
        let (one, other) = tokio::join!(held_by_first.recv(), held_by_second.recv());
        for call in [one, other] {
            let call = call.unwrap();
            call.answer.send(call.ticket).unwrap();
        }
    }
    for (ticket, call) in (0..10).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket);
    }
}
