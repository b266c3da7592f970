//! A server under load for as long as you like, with clients that behave and clients that do not.
//!
//! The server runs in a process of its own, so that its memory and its file limit are its own. What is checked does not
//! depend on the machine's speed: each call ends, memory stays where it is after the warm-up, handlers that wait cost no
//! time, and the counters add up in the end. What a well-behaved client feels of the others is measured and told.
//!
//! `cargo test` runs the short form; `CONTRIBUTING.md` says how to run the long one.

mod program; // what is called
mod server; //  the server's process, and what it tells of itself
mod watched; // that process in the hands of this one
mod callers; // clients, each kind by itself
mod probe; //   a client that only calls, one call after the other, and looks at its watch

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::sync::watch;
use tokio::task::JoinSet;

use callers::{Crowd, Tally};
use probe::Latency;
use watched::{Sample, Watched};

/// How long and how much.
#[derive(Parser)]
struct Options {
    /// For how long the load lasts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How many connections are open at a time.
    #[arg(long, default_value_t = 300)]
    connections: usize,
    /// Be the server's process.
    #[arg(long, hide = true)]
    serve: bool,
    /// What cargo gives to every test: the names of tests, and options of the usual harness.
    #[arg(hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    harness: Vec<String>,
}

/// The server's memory may be larger by so much than in the first third of the time: by a tenth, and by so many KiB.
const GROWTH_KIB: u64 = 8 * 1024;

/// A well-behaved client may wait longer than alone by so much. It is no goal: it only tells a client that is served late
/// from one that is starved, on any machine.
const MOST_TIMES_SLOWER: f64 = 2_000.0;

/// How long a call may take that has a handler of 1.5 s, when nothing else goes on any more.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let options = Options::parse();
    if options.serve {
        return server::run(options.connections);
    }
    let named: Vec<_> = options.harness.iter().filter(|word| !word.starts_with('-')).collect();
    let listed = options.harness.iter().any(|word| word == "--list");
    if listed || !(named.is_empty() || named.iter().any(|word| "load".contains(word.as_str()))) {
        println!("0 tests: this one is called load");
        return;
    }
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("the limit on open files can be raised");
    assert!(limit > options.connections as u64 + 100, "only {limit} files may be open: raise the hard limit");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(load(&options));
}

async fn load(options: &Options) {
    let mut server = Watched::start(options.connections);
    let time = Duration::from_secs(options.seconds);

    let alone = probe::alone(server.address, (time / 8).max(Duration::from_secs(1)));
    println!("alone:   {alone}");

    let tally = Arc::new(Tally::default());
    let (stop, stopped) = watch::channel(false);
    let mut crowd = Crowd::new(options.connections);
    println!("load:    {crowd:?} for {} s", options.seconds);
    let (mut callers, mut waiting) = (JoinSet::new(), JoinSet::new());
    crowd.come(server.address, &tally, &stopped, &mut callers, &mut waiting);

    let probe = probe::start(server.address);
    let samples = watch_for(&mut server, time).await;
    let beside = probe.stop();
    println!("beside:  {beside}");

    stop.send_replace(true);
    all_end(&mut callers, "a call is stuck").await;
    handlers_that_wait_cost_nothing(&mut server).await;
    drop(stop);
    all_end(&mut waiting, "a call that waits is stuck").await;
    println!("calls:   {tally}");

    memory_is_flat(&samples);
    assert_eq!(tally.complaints(), Vec::<String>::new());
    let most = samples.iter().map(|sample| sample.open).max().unwrap_or(0);
    println!("open:    {most} at a time");
    assert!(most >= options.connections as u64 * 9 / 10, "not all were open at a time");
    counters_add_up(server, &tally, options.connections as u64);
    is_served_beside(&alone, &beside);
}

/// What the server tells of itself in the meantime.
async fn watch_for(server: &mut Watched, time: Duration) -> Vec<Sample> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < time {
        tokio::time::sleep((time / 60).max(Duration::from_millis(100))).await;
        samples.push(server.sample());
    }
    samples
}

async fn all_end(callers: &mut JoinSet<()>, stuck: &str) {
    let ended = async {
        while let Some(caller) = callers.join_next().await {
            caller.expect("a caller does not panic");
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{stuck}"));
}

/// Nothing is left but connections whose handlers wait for ever.
async fn handlers_that_wait_cost_nothing(server: &mut Watched) {
    let (before, begun) = (server.sample(), Instant::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (after, elapsed) = (server.sample(), begun.elapsed());
    println!(
        "waiting: {} handlers, {} ms of the processor in {} ms",
        after.in_flight,
        after.cpu_ms - before.cpu_ms,
        elapsed.as_millis()
    );
    assert!(after.in_flight > 0, "there are such handlers");
    assert!(u128::from(after.cpu_ms - before.cpu_ms) < elapsed.as_millis() / 2, "they spin");
}

fn memory_is_flat(samples: &[Sample]) {
    let (warm_up, rest) = samples.split_at(samples.len() / 3);
    let peak = |samples: &[Sample]| samples.iter().map(|sample| sample.rss_kib).max().unwrap_or(0);
    let (first, later) = (peak(warm_up), peak(rest));
    println!("memory:  {first} KiB at most in the first third of the time, {later} KiB later");
    assert!(later <= first + first / 10 + GROWTH_KIB, "the server's memory grows");
}

fn counters_add_up(server: Watched, tally: &Tally, connections: u64) {
    let end = server.shut_down();
    println!("server:  {end:?}");
    assert_eq!((end.open, end.in_flight), (0, 0), "nothing is left");
    assert_eq!(end.calls, end.succeeded + end.system_err + end.unanswered, "each call came to one of its ends");
    assert!(end.opened >= connections);
    // The replies to calls that were given up count with the server alone.
    assert!(end.succeeded >= tally.succeeded() && end.system_err >= tally.system_errors());
    assert!(end.unanswered >= tally.never_answered(), "handlers that wait for ever");
    assert!(tally.succeeded() > 0 && tally.system_errors() > 0 && tally.never_answered() > 0 && tally.cut_off() > 0);
}

fn is_served_beside(alone: &Latency, beside: &Latency) {
    let times = |quantile: fn(&Latency) -> Duration| quantile(beside).as_secs_f64() / quantile(alone).as_secs_f64();
    let (median, p99) = (times(Latency::median), times(Latency::p99));
    println!("beside the load a call takes {median:.1} times as long in the median, {p99:.1} times at p99");
    assert!(median < MOST_TIMES_SLOWER, "a well-behaved client starves");
}
