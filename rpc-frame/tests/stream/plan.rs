//! What may happen: calls, handlers, limits, and what the link does with bytes.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rpc_frame::ConnectionConfig;

/// What one end's program does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// A call with so many bytes and, from then on, so many ms to its deadline.
    Call { load: usize, deadline: Option<u64> },
    /// A oneway call with so many bytes, as soon as there is room.
    Send { load: usize },
    /// Gives up on one of the calls that it has made.
    Forget(usize),
    /// Sends no more, once what it has to send is sent.
    HalfClose,
    /// Breaks the connection: what is under way is lost.
    Cut,
}

/// What becomes of a call that is taken up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handler {
    /// After so many ms, results of so many bytes. More than a record holds become SYSTEM_ERR.
    Replies { after: u64, load: usize },
    /// After so many ms, GARBAGE_ARGS.
    Refuses { after: u64 },
    /// It never ends.
    Waits,
}

#[derive(Debug, Clone)]
pub(crate) struct EndPlan {
    /// When each is done, in ms.
    pub(crate) acts: Vec<(u64, Act)>,
    /// For the peer's calls in turn, over and over.
    pub(crate) handlers: Vec<Handler>,
    pub(crate) config: ConnectionConfig,
    /// Whether the program means to keep the connection.
    pub(crate) held: bool,
}

/// What one direction does with bytes.
#[derive(Debug, Clone)]
pub(crate) struct LinkPlan {
    /// Bytes that it holds.
    pub(crate) capacity: usize,
    /// For each write in turn, over and over: bytes that it takes at most, and after how many ms they arrive.
    pub(crate) writes: Vec<(usize, u64)>,
    /// For each read in turn, over and over: bytes that it gives at most.
    pub(crate) reads: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) ends: [EndPlan; 2],
    /// From the end of the same index to the other.
    pub(crate) links: [LinkPlan; 2],
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The shortest of the limits on time, in ms.
pub(crate) const LEAST_LIMIT: u64 = 20;

/// A few bytes or none, sometimes many, seldom more than some records hold.
fn load(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..40_usize, 2 => 40..most / 10, 1 => 0..most]
}

/// What a program does and when, in ms.
type Acts = BoxedStrategy<Vec<(u64, Act)>>;

fn call(load: impl Strategy<Value = usize>) -> impl Strategy<Value = Act> {
    let deadline = option::weighted(0.4, 1..60_000_u64);
    (load, deadline).prop_map(|(load, deadline)| Act::Call { load, deadline })
}

fn send() -> impl Strategy<Value = Act> {
    load(3_000).prop_map(|load| Act::Send { load })
}

/// Many things at a time fill what has a cap.
fn at() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 1 => 0..100_u64, 1 => 0..20_000_u64]
}

fn mixed() -> Acts {
    let forget = (0..24_usize).prop_map(Act::Forget);
    vec((at(), prop_oneof![12 => call(load(3_000)), 4 => send(), 3 => forget]), 0..24).boxed()
}

fn sends() -> Acts {
    vec((at(), send()), 0..24).boxed()
}

/// Calls that soon nobody waits for any more.
fn given_up() -> Acts {
    let calls = vec((0..200_u64, call(0..20_usize), 0..2_000_u64), 0..12);
    calls
        .prop_map(|calls| {
            let numbered = calls.into_iter().enumerate();
            numbered.flat_map(|(number, (at, call, after))| [(at, call), (at + after, Act::Forget(number))]).collect()
        })
        .boxed()
}

fn handlers(after: u64, waits: u32) -> impl Strategy<Value = Vec<Handler>> {
    let after = move || prop_oneof![4 => Just(0), 2 => 0..after / 20, 1 => 0..after];
    let handler = prop_oneof![
        8 => (after(), load(3_000)).prop_map(|(after, load)| Handler::Replies { after, load }),
        2 => after().prop_map(|after| Handler::Refuses { after }),
        waits => Just(Handler::Waits),
    ];
    vec(handler, 1..8)
}

fn link(delay: impl Strategy<Value = u64>) -> impl Strategy<Value = LinkPlan> {
    let size = || prop_oneof![3 => Just(1_usize), 3 => 1..9_usize, 3 => 1..200_usize, 3 => Just(usize::MAX)];
    let capacity = prop_oneof![2 => 1..5_usize, 3 => 1..400_usize, 3 => Just(65_536)];
    (capacity, vec((size(), delay), 1..12), vec(size(), 1..12)).prop_map(|(capacity, writes, reads)| LinkPlan {
        capacity,
        writes,
        reads,
    })
}

/// Limits on calls and bytes that are small, or the defaults.
fn caps(max_record: impl Strategy<Value = usize>) -> impl Strategy<Value = ConnectionConfig> {
    let small = (
        max_record,
        1..4_usize,
        prop_oneof![2 => Just(16_384_usize), 1 => 0..6_usize],
        prop_oneof![Just(0), 1..100_usize, 1..4_000_usize],
    );
    (option::weighted(0.7, small), prop_oneof![Just(1), Just(u32::MAX - 3)]).prop_map(|(small, first_xid)| {
        let mut config = ConnectionConfig::default();
        config.first_xid = first_xid;
        if let Some(small) = small {
            (config.max_record, config.max_calls_in_flight, config.max_own_calls_in_flight, config.max_unsent) = small;
        }
        config
    })
}

/// Any two ends and any network between them.
pub(crate) fn any() -> impl Strategy<Value = Plan> {
    let time = || prop_oneof![1 => LEAST_LIMIT..400_u64, 1 => LEAST_LIMIT..40_000_u64];
    let times = option::weighted(0.5, (time(), time(), time()));
    let config = (caps(prop_oneof![64..400_usize, 64..4_000_usize]), times).prop_map(|(mut config, times)| {
        if let Some((record, idle, write)) = times {
            config.record_timeout = millis(record);
            config.idle_timeout = millis(idle);
            config.write_timeout = millis(write);
        }
        config
    });
    let cut = option::weighted(0.3, (0..30_000_u64, prop_oneof![Just(Act::HalfClose), Just(Act::Cut)]));
    let acts = (prop_oneof![3 => mixed(), 1 => sends(), 1 => given_up()], cut).prop_map(|(mut acts, cut)| {
        acts.extend(cut);
        acts
    });
    let end = (acts, handlers(40_000, 1), config, proptest::bool::weighted(0.2))
        .prop_map(|(acts, handlers, config, held)| EndPlan { acts, handlers, config, held })
        .boxed();
    // Mostly at once, sometimes late, seldom a stall.
    let delay = || prop_oneof![12 => Just(0), 4 => 0..50_u64, 2 => 0..3_000_u64, 1 => 0..60_000_u64];
    let ends = [end.clone(), end];
    (ends, [link(delay()), link(delay())]).prop_map(|(ends, links)| Plan { ends, links })
}

/// Two ends that do what they are there for, with a slow network between them and all the time in the world. The cap on
/// records leaves room to put aside all of these calls.
pub(crate) fn friendly() -> impl Strategy<Value = Plan> {
    prop_oneof![3 => friends(&mixed()), 1 => friends(&sends()), 2 => friends(&given_up())]
}

fn friends(acts: &Acts) -> impl Strategy<Value = Plan> + use<> {
    let config = caps(Just(128 * 1024)).prop_map(|mut config| {
        let for_ever = Duration::from_secs(365 * 24 * 3600);
        (config.record_timeout, config.idle_timeout, config.write_timeout) = (for_ever, for_ever, for_ever);
        config
    });
    let end = (acts.clone(), handlers(10_000, 0), config)
        .prop_map(|(acts, handlers, config)| EndPlan { acts, handlers, config, held: true })
        .boxed();
    let delay = || prop_oneof![6 => Just(0), 1 => 0..20_u64];
    let ends = [end.clone(), end];
    (ends, [link(delay()), link(delay())]).prop_map(|(ends, links)| Plan { ends, links })
}
