//! Three servers and a client that balances over them. The second server is stopped while calls are in flight, and
//! started again later; no call fails.
//!
//! ```sh
//! cargo run -p rpc-frame --features tower --example balance
//! ```

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_frame::tokio::Server;
use rpc_frame::tower::{Connector, RawCall, RetryIdempotent, Typed};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, Program, program};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::reconnect::Reconnect;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

// ---- the program ----

const SQUARES: u32 = 0x2000_0051;

/// Squares a number; says as well which server did.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = SQUARES, version = 1, proc = 1, reply = Squared, idempotent)]
struct Square {
    number: u32,
}

#[derive(Debug, Clone, Xdr)]
struct Squared {
    server: u32,
    square: u64,
}

#[derive(ProcedureTable)]
#[rpc(program = SQUARES, version = 1, service = SquaresService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Squares {
    Square(Square),
}

struct Worker {
    server: u32,
}

impl SquaresService for Worker {
    async fn square(&self, _: &Context, args: Square) -> Squared {
        // Work that takes a moment, so that there are calls in flight when the server is stopped.
        tokio::time::sleep(Duration::from_millis(2)).await;
        Squared { server: self.server, square: u64::from(args.number).pow(2) }
    }
}

// ---- a server that can be stopped ----

struct Running {
    server: Server<Program<Squares, Worker>>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Running {
    async fn start(number: u32, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = Server::new(program::<Squares, _>(Worker { server: number }));
        let accepting = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        Ok(Self { server, address, accepting })
    }

    /// Stops it the hard way: calls in flight get no reply.
    async fn stop(self) -> Result<SocketAddr, BoxError> {
        self.server.shutdown(Duration::ZERO).await;
        self.accepting.await?;
        Ok(self.address)
    }
}

// ---- the client ----

/// A client of all the servers, and how many attempts it has made.
fn balanced(
    addresses: [SocketAddr; 3],
) -> (impl Service<Square, Response = Squared, Error = BoxError, Future: Send> + Clone + Send, Arc<AtomicUsize>) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    // A server that is away is tried again and again; meanwhile it is not ready, and gets no calls.
    let connector = Connector::new().keep_trying(Duration::from_millis(20));
    let clients = addresses.into_iter().map(move |address| {
        let client = Reconnect::new(connector.clone(), address);
        // Of two servers, the one with fewer calls in flight is called.
        PendingRequests::new(client, CompleteOnResponse::default())
    });
    let balance = Balance::new(ServiceList::new::<RawCall>(clients));
    let client = ServiceBuilder::new()
        .layer_fn(Typed::new)
        .retry(RetryIdempotent::new(3))
        .map_request(move |call: RawCall| {
            counted.fetch_add(1, Ordering::Relaxed);
            call
        })
        .timeout(Duration::from_secs(2))
        // The balancer is one; the buffer gives each task a handle to it.
        .buffer(64)
        .service(balance);
    (client, attempts)
}

// ---- the scenario ----

/// Calls of one part of the scenario.
#[derive(Debug)]
pub(crate) struct Part {
    /// What it is about.
    pub(crate) what: &'static str,
    /// Calls that each server has answered.
    pub(crate) answered: [usize; 3],
    /// Calls without an answer.
    pub(crate) failed: usize,
}

/// What has happened.
#[derive(Debug)]
pub(crate) struct Report {
    /// One part after the other.
    pub(crate) parts: Vec<Part>,
    /// Calls that were made again.
    pub(crate) repeated: usize,
}

/// Tasks that call at the same time.
const TASKS: usize = 8;

/// Makes calls from several tasks until `enough`, which sees how many each server has answered.
async fn part<C>(what: &'static str, client: &C, enough: impl Fn([usize; 3]) -> bool + Clone + Send + 'static) -> Part
where
    C: Service<Square, Response = Squared, Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let answered: Arc<[AtomicUsize; 3]> = Arc::default();
    let count = |answered: &[AtomicUsize; 3]| answered.each_ref().map(|count| count.load(Ordering::Relaxed));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (client, answered, enough) = (client.clone(), Arc::clone(&answered), enough.clone());
        tasks.spawn(async move {
            let mut failed = 0;
            for number in 0.. {
                if enough(count(&answered)) {
                    break;
                }
                match client.clone().oneshot(Square { number }).await {
                    Ok(Squared { server, square }) if square == u64::from(number).pow(2) => {
                        if let Some(count) = answered.get(server as usize) {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok(wrong) => {
                        eprintln!("{number} squared is not {wrong:?}");
                        failed += 1;
                    }
                    Err(error) => {
                        eprintln!("call failed: {error}");
                        failed += 1;
                    }
                }
                // Servers that fail all calls must not keep this going for ever.
                if failed > 100 {
                    break;
                }
            }
            failed
        });
    }
    let failed = tasks.join_all().await.into_iter().sum();
    Part { what, answered: count(&answered), failed }
}

fn at_least(calls: usize) -> impl Fn([usize; 3]) -> bool + Clone + Send + 'static {
    move |answered| answered.into_iter().sum::<usize>() >= calls
}

/// Three servers, calls, no second server, and the second server again.
pub(crate) async fn scenario() -> Result<Report, BoxError> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Running::start(0, anywhere).await?;
    let second = Running::start(1, anywhere).await?;
    let third = Running::start(2, anywhere).await?;
    let (client, attempts) = balanced([first.address, second.address, third.address]);

    let mut parts = vec![part("three servers", &client, at_least(300)).await];
    // The second server goes away when a third of the calls has been made.
    let before = attempts.load(Ordering::Relaxed);
    let stop = async {
        while attempts.load(Ordering::Relaxed) < before + 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        second.stop().await
    };
    let (stopping, address) = tokio::join!(part("the second is stopped", &client, at_least(300)), stop);
    parts.push(stopping);
    parts.push(part("two servers", &client, at_least(300)).await);
    let second = Running::start(1, address?).await?;
    parts.push(part("the second is started again", &client, |[_, second, _]| second >= 100).await);

    for running in [first, second, third] {
        running.stop().await?;
    }
    let made: usize = parts.iter().map(|part| part.answered.iter().sum::<usize>() + part.failed).sum();
    Ok(Report { parts, repeated: attempts.load(Ordering::Relaxed).saturating_sub(made) })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let report = tokio::time::timeout(Duration::from_secs(30), scenario()).await??;
    println!("{:<28} {:>6} {:>6} {:>6} {:>7}", "calls answered by", "first", "second", "third", "failed");
    for Part { what, answered: [first, second, third], failed } in &report.parts {
        println!("{what:<28} {first:>6} {second:>6} {third:>6} {failed:>7}");
    }
    println!("{} calls were made again, on another server", report.repeated);
    let failed: usize = report.parts.iter().map(|part| part.failed).sum();
    if failed == 0 {
        println!("no call failed");
        Ok(())
    } else {
        Err(format!("{failed} calls failed").into())
    }
}
