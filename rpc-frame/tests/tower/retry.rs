//! Which calls are made again, and how often.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_frame::tokio::{CallError, Client, ClosedError, Server};
use rpc_frame::tower::{Invocation, RawCall, RetryIdempotent, Typed};
use rpc_frame::xdr::Bytes;
use rpc_frame::{AuthStat, ConnectionError, Program};
use tokio::time::{Instant, Sleep, sleep};
use tower::reconnect::Reconnect;
use tower::retry::backoff::Backoff;
use tower::retry::budget::Budget;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::desk::{Clerk, DESK, Desk, Double, Hold, Look, Note, Pin, Unpin, client, server, soon};

/// How often a call is attempted that fails every time.
async fn attempts<C, E>(policy: RetryIdempotent, call: C, error: impl Fn() -> E + Send + Sync) -> usize
where
    C: Invocation + Clone,
    RetryIdempotent: tower::retry::Policy<C, (), E>,
{
    let attempts = AtomicUsize::new(0);
    let failing = service_fn(|_: C| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let error = error();
        async move { Err::<(), E>(error) }
    });
    assert!(ServiceBuilder::new().retry(policy).service(failing).oneshot(call).await.is_err());
    attempts.load(Ordering::Relaxed)
}

/// Every error of a call: whether the procedure may have run, and whether it is of the transport.
fn errors() -> Vec<(CallError, bool, bool)> {
    let garbage = rpc_frame::xdr::from_slice::<u32>(&[]).unwrap_err();
    let closed = ClosedError::Protocol(ConnectionError::UnexpectedEof);
    let note = Note { text: "far too long".into() };
    let not_sent = rpc_frame::RecordNotWritten::Encode(rpc_frame::xdr::to_vec(&note).unwrap_err());
    vec![
        (CallError::NotConnected(ClosedError::ByPeer), false, true),
        (CallError::Closed(ClosedError::ByPeer), true, true),
        (CallError::Closed(closed), true, true),
        (CallError::DeadlineExceeded, true, true),
        (CallError::SystemErr, true, true),
        // The same call gets the same answer.
        (CallError::Reply(garbage), true, false),
        (CallError::NotSent(not_sent), false, false),
        (CallError::RpcMismatch { low: 3, high: 3 }, false, false),
        (CallError::AuthError(AuthStat::TooWeak), false, false),
        (CallError::ProgUnavail { program: 1 }, false, false),
        (CallError::ProgMismatch { low: 2, high: 2 }, false, false),
        (CallError::ProcUnavail { procedure: 1 }, false, false),
        (CallError::GarbageArgs, false, false),
    ]
}

#[tokio::test]
async fn a_call_is_repeated_when_nothing_ran_or_when_it_is_idempotent_and_no_more_often_than_allowed() {
    for (error, may_have_run, transport) in errors() {
        assert_eq!(error.may_have_run(), may_have_run, "{error}");
        for allowed in [0, 1, 2, 5] {
            let policy = RetryIdempotent::new(allowed);
            let most = allowed.max(1);
            let (hold, look) = (Hold { ticket: 1 }, Look { ticket: 1 });
            let note = || Note { text: "milk".into() };
            let raw = RawCall::new(DESK, 1, 1, vec![]);
            let fail = || error.clone();
            let boxed = || BoxError::from(error.clone());
            let wrapped = || BoxError::from(Wrapped(error.clone()));
            let policy = || policy.clone();
            let once = if transport && !may_have_run { most } else { 1 };
            for made in [
                attempts(policy(), hold.clone(), fail).await,
                attempts(policy(), hold.clone(), boxed).await,
                attempts(policy(), hold, wrapped).await,
                attempts(policy(), rpc_frame::tower::Request::<Pin>(note()), fail).await,
                attempts(policy(), raw.clone(), fail).await,
                attempts(policy(), raw.clone(), wrapped).await,
            ] {
                assert_eq!(made, once, "not idempotent, {error}, {allowed} allowed");
            }
            let repeated = if transport { most } else { 1 };
            for made in [
                attempts(policy(), look.clone(), fail).await,
                attempts(policy(), look.clone(), boxed).await,
                attempts(policy(), look, wrapped).await,
                attempts(policy(), rpc_frame::tower::Request::<Unpin>(note()), fail).await,
                attempts(policy(), raw.clone().idempotent(), fail).await,
                attempts(policy(), raw.idempotent(), wrapped).await,
            ] {
                assert_eq!(made, repeated, "idempotent, {error}, {allowed} allowed");
            }
        }
    }
}

/// What a layer makes of an error.
#[derive(Debug, thiserror::Error)]
#[error("in a layer")]
struct Wrapped(#[source] CallError);

#[tokio::test]
async fn behind_an_error_of_another_layer_a_call_may_have_run() {
    let elapsed = || BoxError::from(Elapsed::new());
    assert_eq!(attempts(RetryIdempotent::new(3), Hold { ticket: 1 }, elapsed).await, 1);
    assert_eq!(attempts(RetryIdempotent::new(3), Look { ticket: 1 }, elapsed).await, 3);
}

#[tokio::test]
async fn a_repeated_call_that_succeeds_has_its_reply() {
    let left = AtomicUsize::new(2);
    let shaky = service_fn(|call: Look| {
        let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        async move { if fails { Err(CallError::SystemErr) } else { Ok(call.ticket) } }
    });
    let reply = ServiceBuilder::new().retry(RetryIdempotent::new(3)).service(shaky).oneshot(Look { ticket: 7 }).await;
    assert_eq!(reply.unwrap(), 7);
    assert_eq!(left.load(Ordering::Relaxed), 0);
}

/// A second before each further attempt.
#[derive(Clone)]
struct Second;

impl Backoff for Second {
    type Future = Sleep;

    fn next_backoff(&mut self) -> Sleep {
        sleep(Duration::from_secs(1))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backoff_is_waited_for_before_each_further_attempt() {
    let begun = Instant::now();
    let failing = service_fn(async |_: Look| Err::<Infallible, _>(CallError::SystemErr));
    let policy = RetryIdempotent::new(4).with_backoff(Second);
    assert!(ServiceBuilder::new().retry(policy).service(failing).oneshot(Look { ticket: 1 }).await.is_err());
    assert_eq!(begun.elapsed().as_secs(), 3);
}

/// So many further attempts in all.
struct Purse(AtomicUsize);

impl Budget for Purse {
    fn deposit(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn withdraw(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

#[tokio::test]
async fn a_budget_is_shared_by_calls_and_filled_by_those_that_succeed() {
    let purse = Arc::new(Purse(AtomicUsize::new(3)));
    let policy = RetryIdempotent::new(3).with_budget(purse.clone());
    for expected in [3, 2, 1, 1] {
        assert_eq!(attempts(policy.clone(), Look { ticket: 1 }, || CallError::SystemErr).await, expected);
    }
    let fine = service_fn(async |_: Look| Ok::<_, CallError>(()));
    ServiceBuilder::new().retry(policy.clone()).service(fine).oneshot(Look { ticket: 1 }).await.unwrap();
    assert_eq!(purse.0.load(Ordering::Relaxed), 1);
    // What may not be repeated costs nothing.
    assert_eq!(attempts(policy, Hold { ticket: 1 }, || CallError::SystemErr).await, 1);
    assert_eq!(purse.0.load(Ordering::Relaxed), 1);
}

// ---- with servers ----

type Desks = Arc<Mutex<Server<Program<Desk, Clerk>>>>;

/// A client that connects to whichever server is there, again and again, and repeats what it may.
fn persistent(
    server: &Desks,
) -> Typed<impl Service<RawCall, Response = Bytes, Error = BoxError, Future: Send> + Clone + use<>> {
    let server = Arc::clone(server);
    let connect = service_fn(move |()| std::future::ready(Ok::<Client, CallError>(client(&server.lock().unwrap()))));
    let reconnect = Reconnect::new(connect, ());
    Typed::new(ServiceBuilder::new().retry(RetryIdempotent::new(5)).buffer(8).service(reconnect))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_idempotent_is_never_run_twice_when_the_connection_is_lost() {
    let (first, mut held) = server();
    let current = Arc::new(Mutex::new(first.clone()));
    let client = persistent(&current);
    let call = tokio::spawn(client.clone().oneshot(Hold { ticket: 1 }));
    let lost = held.recv().await.expect("it runs");
    let (second, mut held) = server();
    *current.lock().unwrap() = second;
    assert!(!first.shutdown(Duration::ZERO).await, "it is cut off");
    let error = call.await.unwrap().unwrap_err();
    let error = error.downcast_ref::<CallError>().expect("the call's own error");
    assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{error}");
    assert!(lost.answer.is_closed());
    assert!(soon(held.recv()).await.is_none(), "it does not run again");
    // The next call finds the second server.
    assert_eq!(client.oneshot(Double { number: 4 }).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_runs_again_on_the_next_connection_when_one_is_lost() {
    let (mut server_now, mut held) = server();
    let current = Arc::new(Mutex::new(server_now.clone()));
    let call = tokio::spawn(persistent(&current).oneshot(Look { ticket: 1 }));
    let mut lost = Vec::new();
    for _ in 0..4 {
        lost.push(soon(held.recv()).await.expect("it runs").unwrap());
        let (next, next_held) = server();
        *current.lock().unwrap() = next.clone();
        assert!(!server_now.shutdown(Duration::ZERO).await, "it is cut off");
        (server_now, held) = (next, next_held);
    }
    soon(held.recv()).await.expect("it runs once more").unwrap().answer.send(9).unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 9);
}
