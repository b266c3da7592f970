//! Layers around programs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use rpc_frame::tokio::{CallError, Server};
use rpc_frame::tower::{Dispatched, Dispatcher, Invocation, RawCall, layered};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, program};
use tokio::time::Instant;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, layer::layer_fn};
use tracing::{Instrument as _, Level};

use crate::desk::{DESK, Desk, Double, Hold, Panic, client, desk, hold, soon};
use crate::log::Log;

// ---- a second program ----

const LOBBY: u32 = 0x2000_0053;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = LOBBY, version = 1, proc = 1, reply = u32)]
struct Greet;

#[derive(ProcedureTable)]
#[rpc(program = LOBBY, version = 1, service = LobbyService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Lobby {
    Greet(Greet),
}

struct Porter;

impl LobbyService for Porter {
    async fn greet(&self, _: &Context, _: Greet) -> u32 {
        11
    }
}

// ---- layers of tower's ----

#[tokio::test(start_paused = true)]
async fn a_timeout_around_a_program_is_a_system_error_and_is_logged_with_its_cause() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    let (program, mut held) = desk();
    let server = Server::new(layered(program, TimeoutLayer::new(Duration::from_secs(5))));
    let client = client(&server);
    let begun = Instant::now();
    let call = hold(&client, 1);
    let lost = held.recv().await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::SystemErr), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(lost.answer.is_closed(), "the handler was dropped");
    let logged = log.lines_with("refused a call");
    assert!(logged.len() == 1 && logged[0].contains("Hold") && logged[0].contains("timed out"), "{logged:?}");
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8, "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_around_a_program_holds_for_all_connections_and_loses_no_call() {
    let (program, mut held) = desk();
    let server = Server::new(layered(program, ConcurrencyLimitLayer::new(3)));
    let clients = [client(&server), client(&server)];
    let calls: Vec<_> = (0..40).map(|ticket| hold(&clients[ticket as usize % 2], ticket)).collect();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(held.recv().await.unwrap());
    }
    for _ in 3..40 {
        assert!(soon(held.recv()).await.is_none(), "three at a time");
        let call = waiting.remove(0);
        call.answer.send(call.ticket + 100).unwrap();
        waiting.push(held.recv().await.unwrap());
    }
    // Those that are left are answered through the end of the server.
    let end = tokio::spawn(async move { server.shutdown(Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    assert!(!end.is_finished());
    for call in waiting {
        call.answer.send(call.ticket + 100).unwrap();
    }
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket + 100);
    }
    assert!(end.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_layer_gives_its_place_up_when_its_connection_ends() {
    let (program, mut held) = desk();
    let server = Server::new(layered(program, ConcurrencyLimitLayer::new(1)));
    let (first, second, third) = (client(&server), client(&server), client(&server));
    let running = hold(&first, 1);
    let call = held.recv().await.unwrap();
    let waiting = hold(&second, 2);
    assert!(soon(held.recv()).await.is_none());
    let behind = hold(&third, 3);
    assert!(soon(held.recv()).await.is_none());
    waiting.abort();
    drop(second);
    assert!(waiting.await.is_err());
    assert!(soon(held.recv()).await.is_none());
    call.answer.send(10).unwrap();
    assert_eq!(running.await.unwrap().unwrap(), 10);
    // The server may have answered the abandoned call, as its connection was only half gone; the one behind it runs.
    let mut call = held.recv().await.unwrap();
    while call.ticket != 3 {
        call.answer.send(0).unwrap();
        call = held.recv().await.unwrap();
    }
    call.answer.send(30).unwrap();
    assert_eq!(behind.await.unwrap().unwrap(), 30);
}

#[tokio::test(start_paused = true)]
async fn load_is_shed_where_a_layer_says_so() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    let (program, mut held) = desk();
    let layer = ServiceBuilder::new().load_shed().concurrency_limit(1);
    let server = Server::new(layered(program, layer));
    let client = client(&server);
    let running = hold(&client, 1);
    let call = held.recv().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(client.call(&Double { number: 1 }).await, Err(CallError::SystemErr)));
    }
    let logged = log.lines_with("refused a call");
    assert!(logged.len() == 3 && logged[0].contains("overloaded"), "{logged:?}");
    for _ in 3..50 {
        assert!(matches!(client.call(&Double { number: 1 }).await, Err(CallError::SystemErr)));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(log.lines_with("refused a call").len(), 10);
    let logged = log.lines_with("calls were refused");
    assert!(logged.len() == 1 && logged[0].ends_with("left_out=40"), "{logged:?}");
    call.answer.send(10).unwrap();
    assert_eq!(running.await.unwrap().unwrap(), 10);
    assert_eq!(client.call(&Double { number: 1 }).await.unwrap(), 2, "there is room again");
}

#[tokio::test]
async fn a_handler_that_panics_behind_a_layer_is_a_system_error_and_gives_its_place_back() {
    let (program, mut held) = desk();
    let layer = ServiceBuilder::new().concurrency_limit(1).timeout(Duration::from_secs(60));
    let server = Server::new(layered(program, layer));
    let client = client(&server);
    for ticket in 0..3 {
        let panicking = client.clone();
        let call = tokio::spawn(async move { panicking.call(&Panic { ticket }).await });
        held.recv().await.unwrap().answer.send(0).unwrap();
        assert!(matches!(call.await.unwrap(), Err(CallError::SystemErr)));
        assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    }
}

// ---- layers of one's own ----

/// A span a call, as a user may write it; the same for both sides.
#[derive(Clone)]
struct Traced<S>(S);

impl<C: Invocation, S: Service<C, Future: Send + 'static>> Service<C> for Traced<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: C) -> Self::Future {
        let span = tracing::info_span!("traced", procedure = call.procedure().name);
        let reply = span.in_scope(|| self.0.call(call));
        Box::pin(
            async move {
                let reply = reply.await;
                tracing::info!(ok = reply.is_ok(), "ended");
                reply
            }
            .instrument(span),
        )
    }
}

#[tokio::test]
async fn a_layer_for_tracing_sees_the_names_of_procedures_on_both_sides() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    let (program, mut held) = desk();
    let server = Server::new(layered(program, layer_fn(Traced)));
    let client = client(&server);
    let waiting = hold(&client, 1);
    let call = held.recv().await.unwrap();
    assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    call.answer.send(1).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(log.lines_with(r#"traced{procedure="Double"}: "#).len(), 1);
    assert_eq!(log.lines_with(r#"traced{procedure="Hold"}: "#).len(), 1);
    // And once more with the same layer around the client.
    Traced(client.clone()).oneshot(RawCall::of::<Double>(&Double { number: 4 }).unwrap()).await.unwrap();
    Traced(client).oneshot(Double { number: 4 }).await.unwrap();
    assert_eq!(log.lines_with(r#"traced{procedure="Double"}: "#).len(), 5);
}

/// Refuses every call, before or when it is made.
#[derive(Clone)]
struct Refusing<S> {
    inner: S,
    when_ready: bool,
}

impl<S: Service<Dispatched, Error: Into<BoxError>>> Service<Dispatched> for Refusing<S> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = std::future::Ready<Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        if self.when_ready {
            return Poll::Ready(Err("closed on Sundays".into()));
        }
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, _: Dispatched) -> Self::Future {
        std::future::ready(Err("closed on Mondays".into()))
    }
}

#[tokio::test]
async fn what_a_layer_refuses_when_it_is_asked_or_called_is_a_system_error() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    for (when_ready, reason) in [(true, "closed on Sundays"), (false, "closed on Mondays")] {
        let (program, _held) = desk();
        let layer = layer_fn(move |inner| Refusing { inner, when_ready });
        let client = client(&Server::new(layered(program, layer)));
        assert!(matches!(client.call(&Double { number: 1 }).await, Err(CallError::SystemErr)));
        assert_eq!(log.lines_with(reason).len(), 1);
        assert!(client.null(DESK, 1).await.is_ok(), "procedure 0 is answered by the server itself");
    }
}

/// Counts what it sees.
fn counting<P>(count: &Arc<AtomicUsize>) -> impl Layer<Dispatcher<P>, Service = Counting<Dispatcher<P>>> {
    let count = Arc::clone(count);
    layer_fn(move |inner| Counting { inner, count: Arc::clone(&count) })
}

#[derive(Clone)]
struct Counting<S> {
    inner: S,
    count: Arc<AtomicUsize>,
}

impl<S: Service<Dispatched>> Service<Dispatched> for Counting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Dispatched) -> S::Future {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.inner.call(call)
    }
}

#[tokio::test]
async fn a_layer_is_around_all_programs_or_around_one_of_them() {
    let (one, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (desk, _held) = desk();
    let programs = (layered(desk, counting(&one)), program::<Lobby, _>(Porter));
    let server = Server::new(layered(programs, counting(&all)));
    let client = client(&server);
    for _ in 0..3 {
        assert_eq!(client.call(&Double { number: 4 }).await.unwrap(), 8);
    }
    assert_eq!(client.call(&Greet).await.unwrap(), 11);
    assert_eq!((one.load(Ordering::Relaxed), all.load(Ordering::Relaxed)), (3, 4));
    // What the server answers by itself does not reach the layers.
    assert!(matches!(client.null(DESK, 2).await, Err(CallError::ProgMismatch { low: 1, high: 1 })));
    assert!(matches!(client.null(DESK + 7, 1).await, Err(CallError::ProgUnavail { .. })));
    let unknown = client.clone().oneshot(RawCall::new(DESK, 1, 99, vec![])).await;
    assert!(matches!(unknown, Err(CallError::ProcUnavail { procedure: 99 })));
    assert_eq!((one.load(Ordering::Relaxed), all.load(Ordering::Relaxed)), (3, 4));
    assert!(Desk::find(3).is_some());
}

#[tokio::test]
async fn garbage_arguments_stay_what_they_are_through_layers() {
    let (log, _logging) = Log::begin(Level::DEBUG);
    let (program, _held) = desk();
    let layer = ServiceBuilder::new().timeout(Duration::from_secs(5)).map_err(Inside).timeout(Duration::from_secs(6));
    let server = Server::new(layered(program, layer));
    let error = client(&server).oneshot(RawCall::new(DESK, 1, 3, vec![0; 3])).await.unwrap_err();
    assert!(matches!(error, CallError::GarbageArgs), "{error}");
    assert_eq!(log.lines_with("refused a call").len(), 0);
}

/// What a layer makes of an error.
#[derive(Debug, thiserror::Error)]
#[error("inside of the server")]
struct Inside(#[source] BoxError);

#[tokio::test(start_paused = true)]
async fn the_servers_own_cap_on_calls_in_flight_holds_in_front_of_a_layer() {
    let (program, mut held) = desk();
    let server = Server::new(layered(program, ConcurrencyLimitLayer::new(1000)));
    let client = client(&server);
    let calls: Vec<_> = (0..70).map(|ticket| tokio::spawn(client.clone().oneshot(Hold { ticket }))).collect();
    let mut waiting = Vec::new();
    while let Some(Some(call)) = soon(held.recv()).await {
        waiting.push(call);
    }
    assert_eq!(waiting.len(), 64);
    for call in waiting {
        call.answer.send(call.ticket).unwrap();
    }
    for _ in 64..70 {
        let call = held.recv().await.unwrap();
        call.answer.send(call.ticket).unwrap();
    }
    for (ticket, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), ticket);
    }
}
