//! The engine, both roles at once, with time that the tests make.

mod wire;

use std::time::Duration;

use rpc_frame::xdr::{Bytes, to_vec};
use rpc_frame::{
    AcceptStatus, Connection, ConnectionConfig, ConnectionError, Event, IncomingReply, Outcome, OutgoingCall,
    RecordNotWritten, ReplyBody,
};
use wire::{Call, auth, fragment, hex, record, success, words};

const PROGRAM: u32 = 0x2000_0042;
const START: Duration = Duration::ZERO;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A connection whose limits are the defaults but for what the test changes.
fn connection(change: impl FnOnce(&mut ConnectionConfig)) -> Connection {
    let mut config = ConnectionConfig::default();
    change(&mut config);
    Connection::new(config)
}

fn default() -> Connection {
    connection(|_| {})
}

/// Calls procedure `number` with its number as the argument.
fn call(connection: &mut Connection, number: u32) -> u32 {
    connection.call(START, &OutgoingCall::new(PROGRAM, 1, number), &number, None).unwrap()
}

/// The peer's call of `number`, whose xid is its number as well.
fn peer_call(number: u32) -> Vec<u8> {
    Call::new(number, PROGRAM, 1, number).args(words(&[number])).record()
}

/// The peer's reply to a call of ours, with its xid as the result.
fn peer_reply(xid: u32) -> Vec<u8> {
    success(xid, &words(&[xid]))
}

/// The peer's calls and replies, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    Call(u32),
    Reply(u32),
    Deadline(u32),
}

fn next(connection: &mut Connection) -> Result<Option<Got>, ConnectionError> {
    Ok(connection.poll_event()?.map(|event| match event {
        Event::Call(call) => {
            assert!(call.header.is_ok_and(|header| header.procedure == call.xid));
            assert_eq!(call.args, words(&[call.xid]));
            Got::Call(call.xid)
        }
        Event::Reply(reply) => {
            assert!(successful(&reply));
            assert_eq!(reply.results, words(&[reply.xid]));
            Got::Reply(reply.xid)
        }
        Event::DeadlineExceeded { xid } => Got::Deadline(xid),
        event => panic!("{event:?}"),
    }))
}

fn successful(reply: &IncomingReply) -> bool {
    matches!(&reply.body, Ok(ReplyBody::Accepted(accepted)) if accepted.status == AcceptStatus::Success)
}

/// All events until there are none.
fn all(connection: &mut Connection) -> Vec<Got> {
    std::iter::from_fn(|| next(connection).unwrap()).collect()
}

/// Everything that one end has to say is heard by the other.
fn carry(from: &mut Connection, to: &mut Connection) {
    to.receive(START, from.output());
    from.advance_output(START, usize::MAX);
}

// ---- both roles at once ----

#[test]
fn calls_go_both_ways_and_equal_xids_are_kept_apart() {
    let (mut left, mut right) = (connection(|config| config.first_xid = 1), connection(|config| config.first_xid = 1));
    assert_eq!((call(&mut left, 1), call(&mut left, 2)), (1, 2));
    assert_eq!((call(&mut right, 1), call(&mut right, 2)), (1, 2));
    carry(&mut left, &mut right);
    carry(&mut right, &mut left);
    for end in [&mut left, &mut right] {
        assert_eq!(all(end), [Got::Call(1), Got::Call(2)]);
        assert_eq!((end.client().in_flight(), end.server().in_flight()), (2, 2));
    }
    // Each answers in an order of its own.
    for (end, order) in [(&mut left, [2, 1]), (&mut right, [1, 2])] {
        for xid in order {
            end.reply_with(START, xid, &Bytes::from(to_vec(&xid).unwrap())).unwrap();
        }
    }
    carry(&mut left, &mut right);
    carry(&mut right, &mut left);
    assert_eq!(all(&mut left), [Got::Reply(1), Got::Reply(2)]);
    assert_eq!(all(&mut right), [Got::Reply(2), Got::Reply(1)]);
    for end in [left, right] {
        assert_eq!((end.client().in_flight(), end.server().in_flight()), (0, 0));
    }
}

#[test]
fn a_call_that_we_make_is_these_bytes() {
    let mut connection = connection(|config| config.first_xid = 0x2a);
    let credential = rpc_frame::OpaqueAuth { flavor: rpc_frame::AuthFlavor(7), body: Bytes::from_static(b"abc") };
    let call = OutgoingCall::new(PROGRAM, 3, 4).with_credential(&credential);
    assert_eq!(connection.call(START, &call, &5, None), Ok(0x2a));
    assert_eq!(
        hex(connection.output()),
        "80000030 0000002a 00000000 00000002 20000042 00000003 00000004 00000007 00000003 61626300 \
         00000000 00000000 00000005"
    );
}

#[test]
fn a_call_that_is_too_long_or_has_no_form_is_not_sent() {
    let mut connection = connection(|config| config.max_record = 1000);
    let before = call(&mut connection, 1);
    let (output, call) = (connection.output().to_vec(), OutgoingCall::new(PROGRAM, 1, 1));
    let refused = connection.call(START, &call, &[0_u8; 964], None);
    assert_eq!(refused, Err(RecordNotWritten::TooLong { len: 1004, max: 1000 }));
    let long = rpc_frame::OpaqueAuth { body: Bytes::from_static(&[0; 401]), ..rpc_frame::OpaqueAuth::none() };
    let refused = connection.call(START, &call.with_credential(&long), &(), None);
    assert!(matches!(refused, Err(RecordNotWritten::Encode(_))), "{refused:?}");
    assert_eq!(connection.output(), output, "nothing of it is sent");
    assert_eq!(connection.client().in_flight(), 1);
    assert_eq!(connection.call(START, &call, &[0_u8; 960], None), Ok(before.wrapping_add(1)), "no xid is used up");
}

// ---- replies ----

#[test]
fn replies_come_in_any_order() {
    let mut connection = default();
    let xids: Vec<u32> = (0..5).map(|number| call(&mut connection, number)).collect();
    for at in [3, 0, 4, 1, 2] {
        connection.receive(START, &peer_reply(xids[at]));
        assert_eq!(all(&mut connection), [Got::Reply(xids[at])]);
    }
    assert_eq!(connection.client().in_flight(), 0);
}

#[test]
fn a_late_reply_and_a_second_reply_are_passed_over() {
    let mut connection = default();
    let first = call(&mut connection, 1);
    let second = connection.call(START, &OutgoingCall::new(PROGRAM, 1, 2), &2, Some(seconds(5))).unwrap();
    let third = call(&mut connection, 3);
    connection.forget(first);
    assert_eq!(connection.handle_time(seconds(5)), Ok(()));
    assert_eq!(all(&mut connection), [Got::Deadline(second)]);
    let stream = [first, second, third, third, second, first].map(peer_reply).concat();
    connection.receive(seconds(5), &stream);
    assert_eq!(all(&mut connection), [Got::Reply(third)]);
    // And the connection goes on.
    let fourth = call(&mut connection, 4);
    connection.receive(seconds(5), &peer_reply(fourth));
    assert_eq!(all(&mut connection), [Got::Reply(fourth)]);
}

#[test]
fn a_reply_to_a_call_that_was_never_made_closes() {
    // Before the first call, and around those that were made.
    for (calls, xids) in [(0, &[99, 100, 101, 0, u32::MAX][..]), (2, &[99, 102, 103, 0, u32::MAX, 100 ^ (1 << 31)])] {
        for xid in xids {
            let mut connection = connection(|config| config.first_xid = 100);
            for number in 0..calls {
                call(&mut connection, number);
            }
            connection.receive(START, &peer_reply(*xid));
            assert_eq!(connection.poll_event(), Err(ConnectionError::UnexpectedReply { xid: *xid }));
        }
    }
}

#[test]
fn xids_wrap_around() {
    let mut connection = connection(|config| config.first_xid = u32::MAX - 1);
    let xids: Vec<u32> = (0..4).map(|number| call(&mut connection, number)).collect();
    assert_eq!(xids, [u32::MAX - 1, u32::MAX, 0, 1]);
    let stream = [1, u32::MAX, 0, u32::MAX - 1, 0, u32::MAX].map(peer_reply).concat();
    connection.receive(START, &stream);
    assert_eq!(
        all(&mut connection),
        [1, u32::MAX, 0, u32::MAX - 1].map(Got::Reply),
        "the second replies to 0 and the last number are passed over"
    );
    connection.receive(START, &peer_reply(2));
    assert_eq!(connection.poll_event(), Err(ConnectionError::UnexpectedReply { xid: 2 }));
}

#[test]
fn a_reply_that_cannot_be_read_ends_its_call_and_not_the_connection() {
    for body in [
        words(&[1, 1, 2]),                 // reply_stat 2
        words(&[1, 1, 0, 0, 0, 6]),        // accept_stat 6
        words(&[1, 1, 1, 2]),              // reject_stat 2
        words(&[1, 1, 0, 0, 0, 2, 1]),     // PROG_MISMATCH without its high
        words(&[1, 1, 0, 0, 401, 0]),      // a verifier of 401 bytes
        words(&[1, 1, 0, 0, 0xffff_ffff]), // a verifier of all there is
        words(&[1, 1]),                    // nothing at all
    ] {
        let mut connection = default();
        assert_eq!(call(&mut connection, 1), 1);
        connection.receive(START, &record(&body));
        let Ok(Some(Event::Reply(reply))) = connection.poll_event() else { panic!("no event for {}", hex(&body)) };
        assert!(reply.body.is_err() && reply.xid == 1 && reply.results.is_empty());
        assert_eq!(connection.client().in_flight(), 0);
        let second = call(&mut connection, 2);
        connection.receive(START, &peer_reply(second));
        assert_eq!(all(&mut connection), [Got::Reply(second)]);
    }
}

#[test]
fn survives_denied_and_failed_replies_with_a_body_attached() {
    let mut connection = default();
    for status in 1..=5 {
        let xid = call(&mut connection, 1);
        connection.receive(START, &record(&words(&[xid, 1, 0, 0, 0, status, 8, 9, 10])));
        let Ok(Some(Event::Reply(reply))) = connection.poll_event() else { panic!("no reply") };
        assert!(!successful(&reply) && reply.body.is_ok());
    }
    let xid = call(&mut connection, 1);
    connection.receive(START, &record(&words(&[xid, 1, 1, 1, 5, 8, 9, 10])));
    let Ok(Some(Event::Reply(reply))) = connection.poll_event() else { panic!("no reply") };
    assert!(matches!(reply.body, Ok(ReplyBody::Denied(_))));
}

// ---- caps ----

#[test]
fn the_cap_on_calls_in_flight_leaves_the_others_in_the_input() {
    let mut connection = connection(|config| config.max_calls_in_flight = 2);
    let stream: Vec<u8> = (1..=5).flat_map(peer_call).collect();
    connection.receive(START, &stream);
    assert_eq!(all(&mut connection), [Got::Call(1), Got::Call(2)]);
    assert!(!connection.wants_input(), "more may wait with the peer");
    assert_eq!(connection.input().len(), stream.len() / 5 * 3);
    connection.reply(START, 2, Outcome::Accepted(AcceptStatus::SystemErr));
    assert!(connection.wants_input());
    assert_eq!(all(&mut connection), [Got::Call(3)]);
    connection.leave_unanswered();
    assert_eq!(all(&mut connection), [Got::Call(4)]);
    connection.reply_with(START, 1, &Bytes::new()).unwrap();
    assert_eq!(all(&mut connection), [Got::Call(5)]);
    assert_eq!(connection.server().in_flight(), 2);
}

#[test]
fn the_cap_on_calls_in_flight_never_stops_the_replies_to_our_own_calls() {
    let mut connection = connection(|config| config.max_calls_in_flight = 2);
    let own = [call(&mut connection, 1), call(&mut connection, 2)];
    let mut stream: Vec<u8> = (1..=5).flat_map(peer_call).collect();
    stream.extend(peer_reply(own[1]));
    stream.extend(peer_call(6));
    stream.extend(peer_reply(own[0]));
    connection.receive(START, &stream);
    assert!(connection.wants_input());
    assert_eq!(all(&mut connection), [Got::Call(1), Got::Call(2), Got::Reply(own[1]), Got::Reply(own[0])]);
    // The calls that stood before the replies come in their order when there is room.
    for xid in 3..=6 {
        assert_eq!(all(&mut connection), []);
        connection.leave_unanswered();
        assert_eq!(all(&mut connection), [Got::Call(xid)]);
    }
}

#[test]
fn output_that_the_peer_does_not_read_stops_its_calls_and_not_the_replies_to_ours() {
    let mut connection = connection(|config| config.max_unsent = 100);
    connection.receive(START, &[peer_call(1), peer_call(2), peer_call(3)].concat());
    assert_eq!(next(&mut connection), Ok(Some(Got::Call(1))));
    connection.reply_with(START, 1, &Bytes::from(vec![0; 100])).unwrap();
    assert_eq!(all(&mut connection), []);
    assert!(!connection.wants_input());
    let own = call(&mut connection, 9);
    assert!(connection.wants_input());
    connection.receive(START, &peer_reply(own));
    assert_eq!(all(&mut connection), [Got::Reply(own)]);
    connection.advance_output(START, usize::MAX);
    assert_eq!(all(&mut connection), [Got::Call(2), Got::Call(3)]);
}

#[test]
fn calls_that_are_put_aside_are_answered_system_err_once_there_are_too_many() {
    let mut connection = connection(|config| {
        config.max_calls_in_flight = 1;
        config.max_record = 4096;
    });
    call(&mut connection, 9);
    connection.advance_output(START, usize::MAX);
    connection.receive(START, &peer_call(1));
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    let mut aside = 0;
    while connection.output().is_empty() {
        aside += 1;
        assert!(aside < 4096, "no end");
        connection.receive(START, &peer_call(100 + aside));
        assert_eq!(all(&mut connection), []);
    }
    let refused = record(&words(&[100 + aside, 1, 0, 0, 0, 5]));
    assert_eq!(hex(connection.output()), hex(&refused));
    assert_eq!(connection.server().in_flight(), 1, "a call that is refused is not in flight");
    // Those that were put aside are not lost.
    for xid in 1..aside {
        connection.leave_unanswered();
        assert_eq!(all(&mut connection), [Got::Call(100 + xid)]);
    }
    connection.leave_unanswered();
    assert_eq!(all(&mut connection), []);
}

#[test]
fn calls_that_are_put_aside_count_with_their_credentials_and_verifiers() {
    let mut connection = connection(|config| {
        config.max_calls_in_flight = 0;
        config.max_record = 64 * 1024;
    });
    call(&mut connection, 9);
    connection.advance_output(START, usize::MAX);
    let longest = auth(0, &[7; 400]);
    let heavy = Call::new(1, PROGRAM, 1, 1).credential(longest.clone()).verifier(longest).record();
    let mut kept = 0;
    while connection.output().is_empty() && kept <= 256 * 1024 {
        connection.receive(START, &heavy);
        assert_eq!(connection.poll_event(), Ok(None));
        kept += heavy.len();
    }
    assert!(kept <= 65 * 1024, "{kept} bytes of calls are kept aside");
}

#[test]
fn a_peer_that_calls_and_does_not_read_cannot_make_the_output_grow_without_end() {
    let mut connection = connection(|config| {
        config.max_record = 4096;
        config.max_unsent = 4096;
        config.max_calls_in_flight = 1;
    });
    call(&mut connection, 9);
    connection.receive(START, &peer_call(1));
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    for xid in 2..10_000 {
        connection.receive(START, &peer_call(xid));
        match connection.poll_event() {
            Ok(None) => {}
            Ok(Some(event)) => panic!("{event:?}"),
            // Closing it is as good an end.
            Err(_) => return,
        }
    }
    assert!(connection.output().len() < 3 * 4096, "{} bytes wait for the peer", connection.output().len());
}

#[test]
fn a_reply_that_cannot_be_sent_is_system_err_and_leaves_the_rest_of_the_output_alone() {
    let mut connection = connection(|config| config.max_record = 100);
    connection.receive(START, &[peer_call(1), peer_call(2)].concat());
    assert_eq!(all(&mut connection), [Got::Call(1), Got::Call(2)]);
    connection.reply_with(START, 1, &Bytes::from_static(&[0, 0, 0, 1])).unwrap();
    let refused = connection.reply_with(START, 2, &Bytes::from_static(&[0; 77]));
    assert_eq!(refused, Err(RecordNotWritten::TooLong { len: 101, max: 100 }));
    let replies = [peer_reply(1), record(&words(&[2, 1, 0, 0, 0, 5]))].concat();
    assert_eq!(hex(connection.output()), hex(&replies));
    assert_eq!(connection.server().in_flight(), 0);
}

// ---- time ----

#[test]
fn a_call_that_reaches_its_deadline_is_an_event() {
    let mut connection = default();
    let procedure = OutgoingCall::new(PROGRAM, 1, 1);
    let slow = connection.call(START, &procedure, &1, Some(seconds(9))).unwrap();
    let never = connection.call(START, &procedure, &1, None).unwrap();
    let quick = connection.call(START, &procedure, &1, Some(seconds(3))).unwrap();
    connection.advance_output(START, usize::MAX);
    assert_eq!(connection.next_timeout(), Some(seconds(3)));
    assert_eq!(connection.handle_time(seconds(3) - Duration::from_nanos(1)), Ok(()));
    assert_eq!(all(&mut connection), []);
    assert_eq!(connection.handle_time(seconds(3)), Ok(()));
    assert_eq!(all(&mut connection), [Got::Deadline(quick)]);
    assert_eq!(connection.next_timeout(), Some(seconds(9)));
    assert_eq!(connection.handle_time(seconds(1_000_000)), Ok(()), "a call in flight keeps the connection");
    assert_eq!(all(&mut connection), [Got::Deadline(slow)]);
    assert_eq!(connection.client().in_flight(), 1);
    assert_eq!(connection.next_timeout(), None);
    connection.receive(seconds(1_000_000), &peer_reply(never));
    assert_eq!(all(&mut connection), [Got::Reply(never)]);
}

#[test]
fn a_call_that_is_answered_or_forgotten_has_no_deadline() {
    let mut connection = default();
    let procedure = OutgoingCall::new(PROGRAM, 1, 1);
    let answered = connection.call(START, &procedure, &1, Some(seconds(3))).unwrap();
    let forgotten = connection.call(START, &procedure, &1, Some(seconds(3))).unwrap();
    connection.advance_output(START, usize::MAX);
    connection.forget(forgotten);
    connection.receive(START, &peer_reply(answered));
    assert_eq!(all(&mut connection), [Got::Reply(answered)]);
    assert_eq!(connection.handle_time(seconds(3)), Ok(()));
    assert_eq!(all(&mut connection), []);
    assert_eq!(connection.next_timeout(), Some(seconds(300)), "nothing but idleness");
    connection.forget(forgotten);
    connection.forget(12345);
    assert_eq!(connection.client().in_flight(), 0);
}

#[test]
fn a_record_has_to_be_whole_ten_seconds_after_its_first_byte_however_many_more_come() {
    let mut connection = default();
    for (second, byte) in peer_call(1).iter().enumerate().take(10) {
        let now = seconds(100 + u64::try_from(second).unwrap());
        connection.receive(now, &[*byte]);
        assert_eq!(connection.poll_event(), Ok(None));
        assert_eq!(connection.handle_time(now), Ok(()));
        assert_eq!(connection.next_timeout(), Some(seconds(110)));
    }
    assert_eq!(connection.handle_time(seconds(110)), Err(ConnectionError::RecordTimeout));
}

#[test]
fn every_record_has_its_own_ten_seconds() {
    let mut connection = default();
    let (one, two) = (peer_call(1), peer_call(2));
    connection.receive(seconds(1), &one[..9]);
    assert_eq!(all(&mut connection), []);
    // The end of the first record and the beginning of the second come together.
    connection.receive(seconds(10), &[&one[9..], &two[..1]].concat());
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.handle_time(seconds(19)), Ok(()));
    connection.receive(seconds(19), &two[1..]);
    assert_eq!(all(&mut connection), [Got::Call(2)]);
    assert_eq!(connection.handle_time(seconds(1000)), Ok(()), "no record has begun");
}

#[test]
fn an_unfinished_record_of_empty_fragments_times_out() {
    let mut connection = default();
    connection.receive(START, &fragment(b""));
    assert_eq!(all(&mut connection), []);
    assert_eq!(connection.handle_time(seconds(10)), Err(ConnectionError::RecordTimeout));
}

#[test]
fn input_without_a_byte_begins_no_record() {
    let (mut left, mut right) = (default(), default());
    // As a caller does who carries whatever there is.
    carry(&mut left, &mut right);
    assert_eq!(right.poll_event(), Ok(None));
    assert_eq!(right.handle_time(seconds(11)), Ok(()));
}

#[test]
fn a_record_that_waits_because_there_is_no_room_for_calls_does_not_time_out() {
    let mut connection = connection(|config| config.max_calls_in_flight = 1);
    let second = peer_call(2);
    connection.receive(START, &[&peer_call(1)[..], &second[..20]].concat());
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    for second in (5..60).step_by(5) {
        assert_eq!(connection.handle_time(seconds(second)), Ok(()));
    }
    connection.reply(seconds(60), 1, Outcome::Accepted(AcceptStatus::SystemErr));
    connection.advance_output(seconds(60), usize::MAX);
    assert_eq!(connection.handle_time(seconds(64)), Ok(()));
    connection.receive(seconds(64), &second[20..]);
    assert_eq!(all(&mut connection), [Got::Call(2)]);
}

#[test]
fn a_record_that_is_read_for_the_sake_of_replies_times_out_without_room_for_calls_as_well() {
    let mut connection = connection(|config| config.max_calls_in_flight = 1);
    let own = call(&mut connection, 9);
    connection.advance_output(START, usize::MAX);
    connection.receive(START, &[&peer_call(1)[..], &peer_reply(own)[..8]].concat());
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.handle_time(seconds(9)), Ok(()));
    assert_eq!(connection.handle_time(seconds(10)), Err(ConnectionError::RecordTimeout));
}

#[test]
fn a_connection_is_idle_five_minutes_after_its_last_byte_in_either_direction() {
    let mut connection = default();
    connection.receive(seconds(100), &peer_call(1));
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.next_timeout(), None, "not with a call in flight");
    assert_eq!(connection.handle_time(seconds(1_000)), Ok(()));
    connection.reply_with(seconds(1_001), 1, &Bytes::new()).unwrap();
    connection.advance_output(seconds(1_002), usize::MAX);
    assert_eq!(connection.next_timeout(), Some(seconds(1_302)));
    assert_eq!(connection.handle_time(seconds(1_301)), Ok(()));
    assert_eq!(connection.handle_time(seconds(1_302)), Err(ConnectionError::Idle));
}

#[test]
fn a_connection_is_idle_five_minutes_after_a_call_that_ends_without_a_byte() {
    let mut connection = default();
    connection.receive(START, &peer_call(1));
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.handle_time(START), Ok(()));
    connection.leave_unanswered();
    assert_eq!(connection.next_timeout(), Some(START), "the engine is to be told when that was, at once");
    assert_eq!(connection.handle_time(seconds(1_000)), Ok(()), "the handler has taken its time");
    assert_eq!(connection.next_timeout(), Some(seconds(1_300)));
    assert_eq!(connection.handle_time(seconds(1_299)), Ok(()));

    let call = OutgoingCall::new(PROGRAM, 1, 1);
    let xid = connection.call(seconds(1_299), &call, &1, Some(seconds(2_000))).unwrap();
    connection.advance_output(seconds(1_299), usize::MAX);
    assert_eq!(connection.handle_time(seconds(1_299)), Ok(()));
    assert_eq!(connection.handle_time(seconds(2_000)), Ok(()));
    assert_eq!(connection.poll_event(), Ok(Some(Event::DeadlineExceeded { xid })), "not the connection's end");
    assert_eq!(connection.next_timeout(), Some(seconds(2_300)));
    assert_eq!(connection.handle_time(seconds(2_300)), Err(ConnectionError::Idle));
}

#[test]
fn a_connection_begins_when_it_is_first_told_the_time() {
    // One clock for all connections of a process that has run for long.
    let mut connection = default();
    assert_eq!(connection.handle_time(seconds(1_000)), Ok(()), "it has not been idle for a moment");
    assert_eq!(connection.next_timeout(), Some(seconds(1_300)));
    assert_eq!(connection.handle_time(seconds(1_299)), Ok(()));
    assert_eq!(connection.handle_time(seconds(1_300)), Err(ConnectionError::Idle));
}

#[test]
fn a_peer_may_leave_output_unread_for_thirty_seconds_but_not_longer() {
    let mut connection = Connection::new(ConnectionConfig::default());
    let call = OutgoingCall::new(1, 1, 1);
    connection.call(Duration::ZERO, &call, &[0_u32; 16 * 1024], None).unwrap();
    assert_eq!(connection.next_timeout(), Some(seconds(30)));
    assert_eq!(connection.handle_time(seconds(29)), Ok(()));
    // A byte now and then is not reading, 16 KiB are.
    connection.advance_output(seconds(29), 1);
    assert_eq!(connection.next_timeout(), Some(seconds(30)));
    connection.advance_output(seconds(29), 16 * 1024);
    assert_eq!(connection.handle_time(seconds(58)), Ok(()));
    connection.advance_output(seconds(58), 1);
    // More output does not give more time.
    connection.call(seconds(58), &OutgoingCall::new(PROGRAM, 1, 2), &2, None).unwrap();
    assert_eq!(connection.handle_time(seconds(59)), Err(ConnectionError::WriteTimeout));
    connection.advance_output(seconds(59), usize::MAX);
    assert_eq!(connection.handle_time(seconds(10_000)), Ok(()), "nothing is left to be read");
}

#[test]
fn times_may_be_as_far_off_as_they_like() {
    let mut connection = connection(|config| {
        config.record_timeout = Duration::MAX;
        config.idle_timeout = Duration::MAX;
        config.write_timeout = Duration::MAX;
    });
    let forever = Some(Duration::MAX);
    connection.call(seconds(1), &OutgoingCall::new(PROGRAM, 1, 1), &1, forever).unwrap();
    connection.receive(seconds(1), &peer_call(1)[..5]);
    assert_eq!(connection.poll_event(), Ok(None));
    assert_eq!(connection.next_timeout(), forever);
    assert_eq!(connection.handle_time(seconds(u64::MAX)), Ok(()));
}

// ---- the end ----

#[test]
fn an_end_between_records_is_no_error_and_an_end_within_one_is() {
    let mut connection = default();
    assert_eq!(connection.handle_eof(), Ok(()));
    let stream = peer_call(1);
    connection.receive(START, &stream[..stream.len() - 1]);
    assert_eq!(all(&mut connection), []);
    assert_eq!(connection.handle_eof(), Err(ConnectionError::UnexpectedEof));
    connection.receive(START, &stream[stream.len() - 1..]);
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.handle_eof(), Ok(()));
    connection.receive(START, &[0x80]);
    assert_eq!(connection.handle_eof(), Err(ConnectionError::UnexpectedEof), "a byte of a mark");
}

#[test]
fn an_end_behind_whole_records_that_wait_for_room_is_no_error() {
    let mut connection = connection(|config| config.max_calls_in_flight = 1);
    let fragmented = peer_call(3);
    let stream = [&peer_call(1)[..], &peer_call(2), &fragment(&fragmented[4..9]), &record(&fragmented[9..])].concat();
    connection.receive(START, &stream);
    assert_eq!(connection.handle_eof(), Ok(()), "before anything is taken");
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    assert_eq!(connection.handle_eof(), Ok(()));
    connection.receive(START, &[0x80]);
    assert_eq!(connection.handle_eof(), Err(ConnectionError::UnexpectedEof));
}

// ---- splits ----

#[test]
fn events_and_output_are_the_same_however_the_bytes_are_split() {
    let fragmented = peer_call(4);
    let stream = [
        &peer_call(1)[..],
        &peer_reply(101),
        &peer_call(2),
        &peer_call(3), // put aside
        &fragment(&fragmented[4..9]),
        &fragment(b""),
        &record(&fragmented[9..]),
        &peer_reply(100),
        &peer_reply(101), // the second time
        &peer_reply(102),
        &peer_call(5),    // left in the input
        &success(7, &[]), // never made
    ]
    .concat();
    let run = |pieces: &[&[u8]]| {
        let mut connection = connection(|config| {
            config.max_calls_in_flight = 2;
            config.first_xid = 100;
        });
        for number in 0..3 {
            call(&mut connection, number);
        }
        let mut events = Vec::new();
        for piece in pieces {
            connection.receive(START, piece);
            events.extend(all(&mut connection));
        }
        // Answers that make room, one after the other.
        for _ in 0..10 {
            connection.leave_unanswered();
            match next(&mut connection) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => {}
                Err(error) => return (events, connection.output().to_vec(), Some(error)),
            }
        }
        (events, connection.output().to_vec(), None)
    };
    let whole = run(&[&stream]);
    assert_eq!(
        whole.0,
        [
            Got::Call(1),
            Got::Reply(101),
            Got::Call(2),
            Got::Reply(100),
            Got::Reply(102),
            Got::Call(3),
            Got::Call(4),
            Got::Call(5)
        ]
    );
    assert_eq!(whole.2, Some(ConnectionError::UnexpectedReply { xid: 7 }));
    assert_eq!(run(&stream.chunks(1).collect::<Vec<_>>()), whole);
    for cut in 0..=stream.len() {
        assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "split at {cut}");
    }
    for size in 2..64 {
        assert_eq!(run(&stream.chunks(size).collect::<Vec<_>>()), whole, "pieces of {size}");
    }
}

// ---- oneway calls, and our own calls at their cap ----

#[test]
fn a_oneway_call_is_a_call_that_nothing_waits_for() {
    let mut connection = connection(|config| config.first_xid = 0x2a);
    assert_eq!(connection.send(START, &OutgoingCall::new(PROGRAM, 3, 4), &5), Ok(0x2a));
    let expected =
        "8000002c 0000002a 00000000 00000002 20000042 00000003 00000004 00000000 00000000 00000000 00000000 00000005";
    assert_eq!(hex(connection.output()), expected);
    assert_eq!(connection.client().in_flight(), 0);
    // Calls and oneway calls count on together.
    assert_eq!((call(&mut connection, 1), connection.client().in_flight()), (0x2b, 1));
    assert_eq!(connection.send(START, &OutgoingCall::new(PROGRAM, 3, 4), &5), Ok(0x2c));
}

#[test]
fn a_reply_to_a_oneway_call_is_passed_over_and_counted_and_one_to_no_call_is_an_error() {
    let mut connection = connection(|config| config.first_xid = 100);
    for xid in [100, 101] {
        assert_eq!(connection.send(START, &OutgoingCall::new(PROGRAM, 1, 1), &()), Ok(xid));
    }
    let awaited = call(&mut connection, 102);
    let unavailable = |xid| record(&words(&[xid, 1, 0, 0, 0, 3]));
    connection.receive(START, &[unavailable(101), unavailable(100), unavailable(100), peer_reply(awaited)].concat());
    assert_eq!(all(&mut connection), [Got::Reply(awaited)]);
    assert_eq!(connection.client().passed_over(), 3);
    connection.receive(START, &unavailable(awaited + 1));
    assert_eq!(next(&mut connection), Err(ConnectionError::UnexpectedReply { xid: awaited + 1 }));
}

#[test]
fn oneway_calls_and_calls_of_one_xid_go_both_ways() {
    let (mut left, mut right) = (default(), default());
    for end in [&mut left, &mut right] {
        assert_eq!(end.send(START, &OutgoingCall::new(PROGRAM, 1, 1), &1), Ok(1));
        assert_eq!(call(end, 2), 2);
    }
    carry(&mut left, &mut right);
    carry(&mut right, &mut left);
    for end in [&mut left, &mut right] {
        assert_eq!(all(end), [Got::Call(1), Got::Call(2)]);
        end.leave_unanswered();
        end.reply_with(START, 2, &Bytes::from(to_vec(&2).unwrap())).unwrap();
    }
    carry(&mut left, &mut right);
    carry(&mut right, &mut left);
    for end in [&mut left, &mut right] {
        assert_eq!(all(end), [Got::Reply(2)]);
        assert_eq!((end.client().in_flight(), end.server().in_flight()), (0, 0));
    }
}

#[test]
fn a_call_over_the_cap_on_our_own_is_not_sent_and_a_oneway_call_is() {
    let mut connection = connection(|config| config.max_own_calls_in_flight = 2);
    assert_eq!((call(&mut connection, 1), call(&mut connection, 2)), (1, 2));
    let sent = connection.output().len();
    let refused = connection.call(START, &OutgoingCall::new(PROGRAM, 1, 3), &3, None);
    assert_eq!(refused, Err(RecordNotWritten::TooManyCalls { max: 2 }));
    assert_eq!(connection.output().len(), sent);
    assert_eq!(connection.send(START, &OutgoingCall::new(PROGRAM, 1, 3), &3), Ok(3));
    connection.receive(START, &peer_reply(1));
    assert_eq!(all(&mut connection), [Got::Reply(1)]);
    assert_eq!(call(&mut connection, 4), 4);
    connection.forget(2);
    assert_eq!(call(&mut connection, 5), 5);
}

#[test]
fn what_is_sent_while_there_is_room_leaves_room_for_the_peers_calls() {
    let mut connection = connection(|config| config.max_unsent = 1000);
    assert!(connection.has_room_to_send(5000), "what is alone may always go");
    while connection.has_room_to_send(4) {
        connection.send(START, &OutgoingCall::new(PROGRAM, 1, 1), &1).unwrap();
    }
    assert!((900..=1000).contains(&connection.output().len()), "{}", connection.output().len());
    connection.receive(START, &peer_call(1));
    assert_eq!(all(&mut connection), [Got::Call(1)]);
    connection.advance_output(START, 200);
    assert!(connection.has_room_to_send(4) && !connection.has_room_to_send(200));
}

/// Otherwise two such ends would wait for each other.
#[test]
fn an_end_with_more_to_send_than_may_wait_reads_on_as_long_as_what_it_has_called_for_may_come() {
    let narrow = |config: &mut ConnectionConfig| config.max_unsent = 40;
    let mut telling = connection(narrow);
    telling.send(START, &OutgoingCall::new(PROGRAM, 1, 1), &1).unwrap();
    telling.receive(START, &peer_call(1));
    assert!(telling.wants_input(), "a oneway call alone is more than may wait");
    assert_eq!(all(&mut telling), [], "but the call that has come waits for room");
    telling.advance_output(START, usize::MAX);
    assert_eq!(all(&mut telling), [Got::Call(1)]);

    let mut asking = connection(narrow);
    let deadline = asking.call(START, &OutgoingCall::new(PROGRAM, 1, 1), &1, Some(seconds(1))).unwrap();
    let dropped = call(&mut asking, 2);
    asking.advance_output(START, usize::MAX);
    asking.forget(dropped);
    asking.handle_time(seconds(1)).unwrap();
    assert_eq!(asking.poll_event(), Ok(Some(Event::DeadlineExceeded { xid: deadline })));
    asking.receive(seconds(1), &[peer_call(1), peer_call(2), peer_call(3)].concat());
    assert_eq!(all(&mut asking), [Got::Call(1), Got::Call(2), Got::Call(3)]);
    for xid in 1..=2 {
        asking.reply_with(seconds(1), xid, &Bytes::new()).unwrap();
    }
    assert!(asking.output().len() > 40);
    for xid in [dropped, deadline] {
        assert!(asking.wants_input(), "the reply of call {xid} may still come");
        asking.receive(seconds(1), &peer_reply(xid));
        assert_eq!(all(&mut asking), [], "and is passed over");
    }
    assert!(!asking.wants_input(), "now the peer may wait");
}

#[test]
fn a_connection_that_is_held_is_not_idle() {
    let mut connection = default();
    connection.handle_time(START).unwrap();
    connection.hold(true);
    assert_eq!(connection.next_timeout(), None);
    assert_eq!(connection.handle_time(seconds(3600)), Ok(()));
    connection.hold(false);
    assert_eq!(connection.handle_time(seconds(3601)), Err(ConnectionError::Idle));
}

#[test]
fn a_deadline_that_passes_together_with_the_idle_limit_is_told_and_idleness_begins_behind_it() {
    let mut connection = connection(|config| config.idle_timeout = seconds(10));
    let xid = connection.call(START, &OutgoingCall::new(PROGRAM, 1, 1), &(), Some(seconds(10))).unwrap();
    connection.advance_output(START, connection.output().len());
    assert_eq!(connection.handle_time(seconds(10)), Ok(()));
    assert_eq!(next(&mut connection), Ok(Some(Got::Deadline(xid))));
    assert_eq!(connection.next_timeout(), Some(seconds(20)));
    assert_eq!(connection.handle_time(seconds(19)), Ok(()));
    assert_eq!(connection.handle_time(seconds(20)), Err(ConnectionError::Idle));
}

#[test]
fn a_connection_is_not_idle_at_once_when_a_long_call_is_given_up() {
    let mut connection = connection(|config| config.idle_timeout = seconds(10));
    let xid = call(&mut connection, 1);
    connection.advance_output(START, connection.output().len());
    assert_eq!(connection.handle_time(seconds(1000)), Ok(()));
    connection.forget(xid);
    // It is due at once that the engine is told when that was.
    assert_eq!(connection.next_timeout(), Some(seconds(1000)));
    assert_eq!(connection.handle_time(seconds(1000)), Ok(()));
    assert_eq!(connection.next_timeout(), Some(seconds(1010)));
    assert_eq!(connection.handle_time(seconds(1009)), Ok(()));
    assert_eq!(connection.handle_time(seconds(1010)), Err(ConnectionError::Idle));
}
