//! A client that only calls, one call after the other, and looks at its watch. It has a thread of its own, so that it waits
//! for the server and not for the other clients.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rpc_frame::tokio::Client;

use crate::program::Echo;

/// How long calls took, the shortest first.
pub(crate) struct Latency(Vec<Duration>);

impl Latency {
    fn quantile(&self, of_100: usize) -> Duration {
        self.0.get(self.0.len() * of_100 / 100).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.quantile(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(99)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, p99) = (self.median(), self.p99());
        write!(f, "{} calls, {median:.1?} in the median, {p99:.1?} at p99", self.0.len())
    }
}

pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Latency>,
}

/// Calls until it is stopped.
pub(crate) fn start(address: SocketAddr) -> Probe {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(calls(address, &stopped))
    });
    Probe { stop, thread }
}

impl Probe {
    pub(crate) fn stop(self) -> Latency {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the probe is answered")
    }
}

/// Calls for that long, when nobody else does.
pub(crate) fn alone(address: SocketAddr, time: Duration) -> Latency {
    let probe = start(address);
    std::thread::sleep(time);
    probe.stop()
}

async fn calls(address: SocketAddr, stop: &AtomicBool) -> Latency {
    let client = Client::connect_tcp(address).await.expect("the server listens");
    let call = Echo { bytes: vec![1; 64] };
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        assert_eq!(client.call(&call).await.expect("a well-behaved client is served"), call);
        latencies.push(begun.elapsed());
    }
    latencies.sort_unstable();
    Latency(latencies)
}
