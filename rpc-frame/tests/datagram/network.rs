//! Both ends, a network that loses, doubles, delays and reorders what it carries, and handlers that take their time. Time is
//! a number: it jumps to whatever happens next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use rpc_frame::xdr::{self, Bytes};
use rpc_frame::{
    AcceptStatus, CallId, DatagramClient, DatagramClientConfig, DatagramServer, DatagramServerConfig, Event,
    OutgoingCall, ReplyBody,
};

use crate::{PROGRAM, address, there};

/// What becomes of a datagram: the delay of each copy that arrives, in ms, and whether it arrives where it came from.
type Fate = Vec<(u64, bool)>;

/// Copies that arrive where they should.
fn forth<const N: usize>(delays: [u64; N]) -> Fate {
    delays.map(|delay| (delay, false)).into()
}

/// A copy that comes back, as if the other side had sent it.
fn back(delay: u64) -> (u64, bool) {
    (delay, true)
}

fn fate() -> impl Strategy<Value = Fate> {
    let delay = || prop_oneof![4 => 0..50_u64, 2 => 0..3_000_u64, 1 => 0..40_000_u64];
    let copy = || (delay(), proptest::bool::weighted(0.1));
    prop_oneof![
        3 => Just(vec![]),
        4 => copy().prop_map(|once| vec![once]),
        2 => proptest::collection::vec(copy(), 2..5),
    ]
}

#[derive(Debug, Clone)]
struct Plan {
    /// When each call is made, by which client, and its deadline from then, in ms.
    calls: Vec<(u64, usize, Option<u64>)>,
    /// Fates of the datagrams, in the order in which they are sent, over and over.
    fates: Vec<Fate>,
    /// How long each handler takes, in ms.
    handlers: Vec<u64>,
    max_calls_in_flight: usize,
    first_xid: u32,
}

fn plan() -> impl Strategy<Value = Plan> {
    let call = (0..20_000_u64, 0..2_usize, proptest::option::of(1..60_000_u64));
    let handler = prop_oneof![3 => Just(0), 2 => 0..2_000_u64, 1 => 0..40_000_u64];
    (
        proptest::collection::vec(call, 1..24),
        proptest::collection::vec(fate(), 1..40),
        proptest::collection::vec(handler, 1..10),
        1..8_usize,
        prop_oneof![Just(1), Just(u32::MAX - 3)],
    )
        .prop_map(|(calls, fates, handlers, max_calls_in_flight, first_xid)| Plan {
            calls,
            fates,
            handlers,
            max_calls_in_flight,
            first_xid,
        })
}

#[derive(Debug)]
enum Happening {
    /// A call is made, known by its number in the plan.
    Make(u32),
    Arrive {
        from: SocketAddr,
        to: SocketAddr,
        datagram: Bytes,
    },
    HandlerEnds {
        id: CallId,
        number: u32,
    },
}

/// What became of a run.
#[derive(Debug, Default)]
struct Outcomes {
    /// How each call ended: its results, or nothing.
    ended: HashMap<u32, Vec<Option<u32>>>,
    /// How often the handler of each call was run.
    runs: HashMap<u32, usize>,
    lost: usize,
    reflected: usize,
}

struct World {
    now: Duration,
    agenda: BTreeMap<(Duration, usize), Happening>,
    happenings: usize,
    clients: Vec<(SocketAddr, DatagramClient, HashMap<u32, u32>)>,
    server: DatagramServer,
    fates: VecDeque<Fate>,
    plan: Plan,
    outcomes: Outcomes,
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    fn new(plan: &Plan) -> Self {
        let mut config = DatagramServerConfig::default();
        (config.max_calls_in_flight, config.keep_for) = (plan.max_calls_in_flight, Duration::from_secs(1000));
        let client = |text| {
            let mut config = DatagramClientConfig::default();
            config.first_xid = plan.first_xid;
            (address(text), DatagramClient::new(config), HashMap::new())
        };
        let mut world = Self {
            now: Duration::ZERO,
            agenda: BTreeMap::new(),
            happenings: 0,
            clients: vec![client("192.0.2.1:700"), client("192.0.2.1:701")],
            server: DatagramServer::new(config),
            fates: VecDeque::new(),
            plan: plan.clone(),
            outcomes: Outcomes::default(),
        };
        for (number, (at, ..)) in (0_u32..).zip(&plan.calls) {
            world.plan_for(millis(*at), Happening::Make(number));
        }
        world
    }

    fn plan_for(&mut self, at: Duration, what: Happening) {
        self.happenings += 1;
        self.agenda.insert((at, self.happenings), what);
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &Bytes) {
        if self.fates.is_empty() {
            self.fates.extend(self.plan.fates.iter().cloned());
        }
        let fate = self.fates.pop_front().unwrap();
        self.outcomes.lost += usize::from(fate.is_empty());
        self.outcomes.reflected += fate.iter().filter(|(_, reflected)| *reflected).count();
        for (delay, reflected) in fate {
            let (from, to) = if reflected { (to, from) } else { (from, to) };
            self.plan_for(self.now + millis(delay), Happening::Arrive { from, to, datagram: datagram.clone() });
        }
    }

    /// Until nothing more happens.
    fn run(mut self) -> Outcomes {
        loop {
            let timers = self.clients.iter().filter_map(|(_, client, _)| client.next_timeout());
            let Some(next) = timers.chain(self.agenda.keys().next().map(|(at, _)| *at)).min() else { break };
            self.now = self.now.max(next);
            if let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let what = entry.remove();
                self.happen(what);
            }
            self.settle();
        }
        assert_eq!(self.server.in_flight(), 0);
        assert!(self.clients.iter().all(|(_, client, _)| client.in_flight() == 0));
        self.outcomes
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Make(number) => {
                let (_, client, deadline) = self.plan.calls[number as usize];
                let (_, client, xids) = &mut self.clients[client];
                let call = OutgoingCall::new(PROGRAM, 1, 1);
                let deadline = deadline.map(|deadline| self.now + millis(deadline));
                let xid = client.call(self.now, there(), &call, &number, deadline).unwrap();
                assert_eq!(xids.insert(xid, number), None, "an xid for each call");
            }
            Happening::Arrive { from, to, datagram } if to == there() => {
                if let Some(new) = self.server.handle_datagram(self.now, from, &datagram) {
                    let number = xdr::from_slice(&new.call.args).unwrap();
                    *self.outcomes.runs.entry(number).or_default() += 1;
                    let takes = self.plan.handlers[number as usize % self.plan.handlers.len()];
                    self.plan_for(self.now + millis(takes), Happening::HandlerEnds { id: new.id, number });
                }
            }
            Happening::Arrive { from, to, datagram } => {
                let (_, client, _) = self.clients.iter_mut().find(|(here, ..)| *here == to).unwrap();
                client.handle_datagram(from, &datagram);
            }
            Happening::HandlerEnds { id, number } => {
                let results = xdr::to_bytes(&(number + 1000)).unwrap();
                self.server.reply_with(self.now, &id, &results).unwrap();
            }
        }
    }

    fn settle(&mut self) {
        let mut sent = Vec::new();
        for (here, client, xids) in &mut self.clients {
            client.handle_time(self.now);
            sent.extend(std::iter::from_fn(|| client.poll_transmit()).map(|datagram| (*here, datagram)));
            while let Some(event) = client.poll_event() {
                let (xid, results) = match event {
                    Event::Reply(reply) => {
                        let body = reply.body.unwrap();
                        let ReplyBody::Accepted(accepted) = body else { panic!("{body:?}") };
                        assert_eq!(accepted.status, AcceptStatus::Success);
                        (reply.xid, Some(xdr::from_bytes(&reply.results).unwrap()))
                    }
                    Event::DeadlineExceeded { xid } => (xid, None),
                    event => panic!("{event:?}"),
                };
                self.outcomes.ended.entry(xids[&xid]).or_default().push(results);
            }
        }
        sent.extend(std::iter::from_fn(|| self.server.poll_transmit()).map(|datagram| (there(), datagram)));
        for (from, transmit) in sent {
            self.send(from, transmit.to, &transmit.datagram);
        }
    }
}

/// Each call ends once, with its own results or an error; its handler runs at most once, and did if there are results.
fn check(plan: &Plan) -> Outcomes {
    let outcomes = World::new(plan).run();
    for number in 0..u32::try_from(plan.calls.len()).unwrap() {
        let ended = outcomes.ended.get(&number).map_or(&[][..], Vec::as_slice);
        assert_eq!(ended.len(), 1, "call {number} ended as {ended:?}");
        let runs = outcomes.runs.get(&number).copied().unwrap_or(0);
        assert!(runs <= 1, "the handler of call {number} ran {runs} times");
        if let Some(results) = ended[0] {
            assert_eq!((results, runs), (number + 1000, 1), "call {number}");
        }
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn across_any_network_each_call_ends_once_with_its_own_reply_and_runs_once(plan in plan()) {
        check(&plan);
    }
}

/// Calls without deadlines, at the same time, and handlers without delay.
fn simple(fates: Vec<Fate>) -> Plan {
    let calls = (0..8).map(|number| (0, number % 2, None)).collect();
    Plan { calls, fates, handlers: vec![0], max_calls_in_flight: 64, first_xid: 1 }
}

#[test]
fn a_network_that_loses_every_third_datagram_or_so_still_gets_every_call_answered() {
    let outcomes =
        check(&simple(vec![vec![], forth([10]), forth([10]), vec![], forth([10]), forth([10]), forth([10])]));
    assert!(outcomes.ended.values().all(|ended| ended[0].is_some()), "{outcomes:?}");
    assert!(outcomes.lost > 0);
}

#[test]
fn a_network_that_doubles_and_reorders_every_datagram_changes_nothing() {
    let outcomes = check(&simple(vec![forth([500, 0, 900]), forth([10, 800]), forth([0, 0, 0])]));
    assert!(outcomes.ended.values().all(|ended| ended[0].is_some()), "{outcomes:?}");
}

#[test]
fn a_network_that_reflects_every_datagram_as_well_changes_nothing() {
    let outcomes = check(&simple(vec![vec![back(0), (10, false)], vec![(10, false), back(20), back(700)]]));
    assert!(outcomes.ended.values().all(|ended| ended[0].is_some()), "{outcomes:?}");
    assert!(outcomes.reflected > 16, "calls and replies");
}

#[test]
fn across_a_network_that_only_reflects_every_call_ends_with_an_error() {
    let outcomes = check(&simple(vec![vec![back(10)]]));
    assert!(outcomes.ended.values().all(|ended| ended[0].is_none()), "{outcomes:?}");
    assert_eq!(outcomes.runs.len(), 0);
}

#[test]
fn across_a_dead_network_every_call_ends_with_an_error() {
    let outcomes = check(&simple(vec![vec![]]));
    assert!(outcomes.ended.values().all(|ended| ended[0].is_none()), "{outcomes:?}");
    assert_eq!(outcomes.runs.len(), 0);
}
