//! The engine at both ends of a byte stream, across any network: no socket, no task, and a clock that is told the time.

mod plan; //  what may happen: calls, handlers, limits, and what the link does with bytes
mod link; //  one direction of a stream
mod model; // what must be true of an end, apart from what its engine says
mod end; //   an engine and the program around it
mod world; // both ends, the links between them, and the clock

use std::collections::BTreeSet;

use plan::{Plan, any, friendly};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rpc_frame::ConnectionError;
use world::World;

fn cases(cases: u32) -> ProptestConfig {
    // The schedules are long; a failure is worth the time to make it short.
    ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::with_cases(cases) }
}

/// Whatever happens to the stream, each call ends once, with its own reply or an error, and what an end may cost holds:
/// see [`model`] for what is looked at on the way.
fn each_call_ends_once(plan: &Plan) {
    let world = World::run(plan);
    for end in &world.ends {
        end.model.assert_all_ended();
        assert_eq!(end.engine.client().in_flight(), 0);
        assert_eq!(end.engine.server().in_flight(), end.model.cut_off);
        let dropped = end.died_of == Some(ConnectionError::Overloaded);
        end.model.assert_counters(end.engine.server().counters(), dropped);
    }
}

/// Where the network and the handlers take their time but do their work, nobody waits in vain: no end gives up, and each
/// call that somebody still waits for is answered.
fn nobody_waits_in_vain(plan: &Plan) {
    let world = World::run(plan);
    for end in &world.ends {
        assert_eq!(end.died_of, None);
        end.model.assert_all_answered();
        assert_eq!(end.engine.output().len(), 0);
        assert_eq!((end.engine.client().in_flight(), end.engine.server().in_flight()), (0, 0));
        end.model.assert_counters(end.engine.server().counters(), false);
    }
}

proptest! {
    #![proptest_config(cases(384))]

    #[test]
    fn across_any_stream_each_call_ends_once_with_its_own_reply_or_an_error(plan in any()) {
        each_call_ends_once(&plan);
    }

    #[test]
    fn across_a_slow_stream_each_call_is_answered_and_no_end_waits_for_the_other_for_ever(plan in friendly()) {
        nobody_waits_in_vain(&plan);
    }
}

/// The schedules are worth nothing if they do not come to what they are to find.
#[test]
fn the_schedules_reach_every_end_of_a_call_and_of_a_connection() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let plan = any().new_tree(&mut runner).unwrap().current();
        for end in World::run(&plan).ends {
            seen.extend(end.model.seen());
            let name = |error| format!("{error:?}").chars().take_while(|char| char.is_alphabetic()).collect::<String>();
            seen.extend(end.died_of.map(name));
        }
    }
    let wanted = [
        "DeadlineExceeded",
        "Forgotten",
        "Idle",
        "Lost",
        "NotSent",
        "Overloaded",
        "Record",
        "RecordTimeout",
        "Replied(GarbageArgs)",
        "Replied(Success)",
        "Replied(SystemErr)",
        "UnexpectedEof",
        "WriteTimeout",
        "cut off",
        "refused for want of room",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
}
