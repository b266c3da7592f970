//! Calls a second and nanoseconds a call of the server, beside raw sockets and other servers, in one run.
//!
//! ```sh
//! taskset -c 0 cargo bench -p xdr-tests --bench rpc -- [--seconds N]   # both ends on one CPU
//! cargo bench -p xdr-tests --bench rpc -- [--seconds N]                # each end where it likes
//! ```
//!
//! With `--features peers` also beside servers of other crates: nfs3_server, which gets the same bytes, and tonic and tarpc,
//! whose own clients call them; what stands beside those is ours with both ends, our client calling our server. Ours and
//! tonic also go by TLS, with certificates on both sides.
//!
//! `--only SERVER` and `--scenario NAME`, each as often as you like, leave the others out.
//!
//! One client, a blocking socket that knows nothing of RPC, sends the same calls to every server and counts the bytes
//! that come back: what differs is the server. Each contender has its turn in every round, for 30 ms, and medians are
//! printed. The raw servers count bytes as well: for 44 bytes of a call they send the 28 of its reply.
//!
//! | scenario | what is sent |
//! |---|---|
//! | one at a time | a NULL call when the reply of the one before is there |
//! | 64 in flight | 64 NULL calls in one write, the next 64 when all replies are there |
//! | 64 that wait | as before, calls of a procedure whose handler waits once, waking itself |
//! | 8 connections | 8 clients, each with one call at a time |
//! | a connection a call | a connection, with TLS a handshake, one NULL call, and the end |
//!
//! At the end, how often a call allocates, and by how much the process grows for each of 5,000 TCP connections that have
//! made one call (as many as the limit of open files allows: two files a connection).
//!
//! libtirpc needs rpcgen, `cc` and libtirpc; without them it is left out, and SKIPPED is printed.

mod client; //  the calls, and who sends them
#[cfg(feature = "peers")]
mod peers; //   servers in Rust, most with clients of their own
#[cfg(feature = "peers")]
mod tls; //     ours and tonic's with certificates
mod servers; // ours, raw ones, libtirpc

use std::time::{Duration, Instant};

use client::{Caller, Scenario};
use servers::Server;

/// How long a contender has its turn in a round.
const TURN: Duration = Duration::from_millis(30);

fn main() {
    let seconds = seconds();
    let only = options("--only");
    println!("{} CPUs may be used", std::thread::available_parallelism().map_or(0, usize::from));
    let servers = servers::all();
    let scenarios = options("--scenario");
    for scenario in Scenario::ALL {
        if !scenarios.is_empty() && !scenarios.iter().any(|name| name == scenario.name()) {
            continue;
        }
        let mut contenders: Vec<_> = servers
            .iter()
            .filter(|server| server.takes(scenario))
            .filter(|server| only.is_empty() || only.iter().any(|name| name == server.name))
            .map(|server| (server, server.connect(scenario), Vec::new()))
            .collect();
        if contenders.is_empty() {
            continue;
        }
        let begun = Instant::now();
        while begun.elapsed() < seconds {
            for (_, client, samples) in &mut contenders {
                samples.push(turn(&mut **client));
            }
        }
        print(scenario, &contenders);
    }
    println!("\nallocations a call, after 1,000 calls: {}", servers::allocations_a_call());
    println!("memory an idle connection: {}", servers::memory_a_connection());
}

/// Nanoseconds a call.
fn turn(client: &mut dyn Caller) -> f64 {
    // What the contender before left in the caches is not this one's fault.
    client.round();
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < TURN {
        calls += client.round();
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

fn print(scenario: Scenario, contenders: &[(&Server, Box<dyn Caller>, Vec<f64>)]) {
    let median = |samples: &Vec<f64>| {
        let mut samples = samples.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let ours = contenders.iter().find(|(server, ..)| server.name == servers::OURS).or(contenders.first());
    let ours = ours.map_or(f64::NAN, |(.., samples)| median(samples));
    println!(
        "\n{:<28} {:>12} {:>12} {:>16} {:>8}",
        scenario.name(),
        "ns a call",
        "calls/s",
        "ours is faster",
        "rounds"
    );
    for (server, _, samples) in contenders {
        let own = median(samples);
        println!("  {:<26} {own:>12.0} {:>12.0} {:>15.2}x {:>8}", server.name, 1e9 / own, own / ours, samples.len());
    }
}

/// How long each scenario is measured.
fn seconds() -> Duration {
    let seconds = options("--seconds").pop().map_or(5, |seconds| seconds.parse().expect("`--seconds` takes a number"));
    Duration::from_secs(seconds)
}

/// The values of an option that may be repeated. Other arguments are cargo's.
fn options(name: &str) -> Vec<String> {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1].clone()).collect()
}
