//! An RPC program beside an HTTP service: one process, one state, two listeners, one end.
//!
//! ```sh
//! cargo run --example beside_http
//! curl http://127.0.0.1:PORT/counter
//! ```
//!
//! `/health` says `ok`; `/counter` is the counter as JSON. The RPC program adds to it. Both are handed listeners that are
//! bound already, so that they could as well come from a service manager. On Ctrl-C both stop accepting, answer what
//! they have taken up, and the process ends.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use rpc_frame::tokio::{Client, Server};
use rpc_frame::{Context, ProcedureTable, program};
use tokio::net::TcpListener;
use tokio::sync::watch;
use xdr_core::Xdr;

const COUNTER: u32 = 0x2000_0050;

/// Adds to the counter, and answers what it is now.
#[derive(Debug, Clone, Copy, Xdr)]
#[rpc(program = COUNTER, version = 1, proc = 1, reply = u64)]
struct Add {
    by: u64,
}

#[derive(ProcedureTable)]
#[rpc(program = COUNTER, version = 1, service = CountService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Count {
    Add(Add),
}

/// What both services share.
#[derive(Debug, Default)]
struct Counter {
    value: AtomicU64,
    calls: AtomicU64,
}

impl CountService for Counter {
    async fn add(&self, _: &Context, Add { by }: Add) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.value.fetch_add(by, Ordering::Relaxed).wrapping_add(by)
    }
}

async fn view(State(counter): State<Arc<Counter>>) -> Json<serde_json::Value> {
    let (value, calls) = (counter.value.load(Ordering::Relaxed), counter.calls.load(Ordering::Relaxed));
    Json(serde_json::json!({ "value": value, "calls": calls }))
}

/// Serves both until `end`. True when every call in flight was answered.
async fn serve(rpc: TcpListener, http: TcpListener, end: impl Future<Output = ()>) -> anyhow::Result<bool> {
    let counter = Arc::new(Counter::default());
    let server = Server::new(program::<Count, Counter>(Arc::clone(&counter)));
    let router = Router::new().route("/health", get(async || "ok")).route("/counter", get(view)).with_state(counter);

    let ending = watch::Sender::new(false);
    let mut ended = ending.subscribe();
    let http = axum::serve(http, router).with_graceful_shutdown(async move {
        // An error says that nobody can tell any more, which is an end as well.
        let _ = ended.wait_for(|ended| *ended).await;
    });
    let http = tokio::spawn(http.into_future());
    let accepting = server.clone();
    let rpc = tokio::spawn(async move { accepting.serve(rpc).await });

    end.await;
    ending.send_replace(true);
    // The RPC server has a grace of its own; axum waits as long as a client holds its connection, so it gets one here.
    let grace = Duration::from_secs(5);
    let (answered, http) = tokio::join!(server.shutdown(grace), tokio::time::timeout(grace, http));
    rpc.await?;
    if let Ok(http) = http {
        http??;
    }
    Ok(answered)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rpc = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = rpc.local_addr()?;
    println!("rpc {address}\nhttp http://{}/counter", http.local_addr()?);
    // So that there is something to see.
    let first = async {
        let client = Client::connect_tcp(address).await?;
        anyhow::Ok(client.call(&Add { by: 42 }).await?)
    };
    let end = async {
        match first.await {
            Ok(value) => println!("the counter is {value}; Ctrl-C ends"),
            Err(error) => println!("the counter cannot be called: {error}"),
        }
        if let Err(error) = tokio::signal::ctrl_c().await {
            println!("no Ctrl-C can come: {error}");
        }
    };
    let answered = serve(rpc, http, end).await?;
    println!("{}", if answered { "all calls are answered" } else { "some calls were cut off" });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{response}");
        body.to_owned()
    }

    #[tokio::test]
    async fn http_shows_what_rpc_has_counted_and_both_end_together() {
        let rpc = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (rpc_address, http_address) = (rpc.local_addr().unwrap(), http.local_addr().unwrap());
        let (end, ended) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(rpc, http, async {
            let _ = ended.await;
        }));
        let talk = async {
            let client = Client::connect_tcp(rpc_address).await.unwrap();
            assert_eq!(ask(http_address, "/health").await, "ok");
            assert_eq!(client.call(&Add { by: 40 }).await.unwrap(), 40);
            assert_eq!(client.call(&Add { by: 2 }).await.unwrap(), 42);
            let counter: serde_json::Value = serde_json::from_str(&ask(http_address, "/counter").await).unwrap();
            assert_eq!(counter, serde_json::json!({ "value": 42, "calls": 2 }));
            end.send(()).unwrap();
            assert!(serving.await.unwrap().unwrap(), "nothing was cut off");
            assert!(client.call(&Add { by: 1 }).await.is_err());
            assert!(TcpStream::connect(rpc_address).await.is_err() && TcpStream::connect(http_address).await.is_err());
        };
        tokio::time::timeout(Duration::from_secs(30), talk).await.expect("it ends");
    }
}
