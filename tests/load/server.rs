//! The server's process, and what it tells of itself: its address first, then a line for each line that it is sent.

use std::io::{BufRead, Write};
use std::time::Duration;

use rpc_frame::tokio::{Server, ServerConfig};
use rpc_frame::{Context, Program, program};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::program::{Echo, Fill, Filled, Load, LoadService, Panic, Rest, Wait};

/// Patience with a record that is not whole and with a peer that does not read: short, so that it ends many times.
const PATIENCE: Duration = Duration::from_secs(2);

/// Handlers that never end are cut off after this.
const GRACE: Duration = Duration::from_secs(2);

struct Worker;

impl LoadService for Worker {
    async fn echo(&self, _: &Context, args: Echo) -> Echo {
        args
    }

    async fn rest(&self, _: &Context, args: Rest) -> u32 {
        tokio::time::sleep(Duration::from_millis(args.millis.into())).await;
        args.number
    }

    async fn wait(&self, _: &Context, _: Wait) {
        std::future::pending().await
    }

    async fn panic(&self, _: &Context, _: Panic) {
        panic!("as the load wants it")
    }

    async fn fill(&self, _: &Context, args: Fill) -> Filled {
        Filled { bytes: vec![7; args.count as usize] }
    }
}

pub(crate) fn run(connections: usize) {
    // One line a panic would be most of what is seen.
    std::panic::set_hook(Box::new(|_| {}));
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit on open files can be raised");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    let mut config = ServerConfig::default();
    // Those who were left, and the probe, beside those who are there.
    config.max_connections = 2 * connections + 100;
    (config.connection.record_timeout, config.connection.write_timeout) = (PATIENCE, PATIENCE);
    let server = Server::builder(program::<Load, _>(Worker)).config(config).build();

    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
    tell(&json!({ "address": listener.local_addr().expect("it is bound").to_string() }));
    let serving = server.clone();
    runtime.spawn(async move { serving.serve(listener).await });

    for line in std::io::stdin().lock().lines() {
        match line.expect("lines").as_str() {
            "sample" => tell(&sample(&server)),
            "shut down" => {
                runtime.block_on(async {
                    server.shutdown(GRACE).await;
                    while server.connections() > 0 {
                        tokio::task::yield_now().await;
                    }
                });
                tell(&sample(&server));
                return;
            }
            other => panic!("what is {other:?}?"),
        }
    }
}

fn tell(what: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).expect("somebody listens");
}

/// Resident memory in KiB and processor time in ms.
#[cfg(target_os = "linux")]
fn rss_and_cpu() -> (u64, u64) {
    let this = procfs::process::Process::myself().and_then(|this| this.stat()).expect("/proc/self/stat");
    let cpu = (this.utime + this.stime) * 1000 / procfs::ticks_per_second();
    (this.rss * procfs::page_size() / 1024, cpu)
}

#[cfg(not(target_os = "linux"))]
fn rss_and_cpu() -> (u64, u64) {
    eprintln!("SKIPPED: memory and processor time are looked at on Linux only");
    (0, 0)
}

fn sample(server: &Server<Program<Load, Worker>>) -> Value {
    let (rss_kib, cpu_ms) = rss_and_cpu();
    let counters = server.counters();
    json!({
        "rss_kib": rss_kib,
        "cpu_ms": cpu_ms,
        "open": counters.open,
        "opened": counters.opened,
        "in_flight": counters.calls.in_flight(),
        "calls": counters.calls.calls,
        "succeeded": counters.calls.succeeded,
        "system_err": counters.calls.system_err,
        "unanswered": counters.calls.unanswered,
    })
}
