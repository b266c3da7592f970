//! What a server takes for a call, and what it answers.

use std::time::Duration;

use rpc_frame::xdr::Bytes;
use rpc_frame::{MAX_DATAGRAM, Malformed, Outcome, RecordNotWritten, RejectedReply, Transmit};

use crate::wire::{Call, auth, hex, words};
use crate::{PROGRAM, address, call, here, is_dropped, reply, server, server_with, taken};

#[test]
fn a_call_is_handed_out_and_its_reply_goes_back_without_a_record_mark() {
    let mut server = server();
    let new = taken(&mut server, Duration::ZERO, &call(7, &[0, 0, 0, 9]));
    assert_eq!((new.call.xid, &new.call.args[..], new.id.peer(), new.id.xid()), (7, &[0, 0, 0, 9][..], here(), 7));
    assert_eq!(new.call.header.unwrap().program, PROGRAM);
    server.reply_with(Duration::ZERO, &new.id, &Bytes::from_static(&[0, 0, 0, 10])).unwrap();
    let Transmit { to, datagram, .. } = server.poll_transmit().unwrap();
    assert_eq!(to, here());
    assert_eq!(hex(&datagram), "00000007 00000001 00000000 00000000 00000000 00000000 0000000a");
    assert_eq!((server.poll_transmit(), server.in_flight()), (None, 0));
}

#[test]
fn a_call_is_answered_from_the_address_that_it_came_to_and_is_the_same_at_another() {
    let mut server = server();
    let [first, other] = ["198.51.100.1", "198.51.100.2"].map(|to| Some(to.parse().unwrap()));
    let new = server.handle_datagram_to(Duration::ZERO, here(), first, &call(7, &[])).unwrap();
    assert_eq!(new.id.to(), first);
    assert!(server.handle_datagram_to(Duration::ZERO, here(), other, &call(7, &[])).is_none(), "it is in progress");
    server.reply_with(Duration::ZERO, &new.id, &Bytes::from_static(&[0, 0, 0, 9])).unwrap();
    let answer = server.poll_transmit().unwrap();
    assert_eq!((answer.to, answer.from), (here(), first));
    assert!(server.handle_datagram_to(Duration::ZERO, here(), other, &call(7, &[])).is_none(), "it is answered");
    let again = server.poll_transmit().unwrap();
    assert_eq!((again.to, again.from, again.datagram), (here(), other, answer.datagram));
    // A socket with one address needs none.
    assert!(server.handle_datagram(Duration::ZERO, here(), &call(7, &[])).is_none());
    assert_eq!(server.poll_transmit().unwrap().from, None);
}

#[test]
fn rejects_every_truncated_call_header_without_an_answer() {
    let mut server = server();
    let header = Call::new(7, PROGRAM, 1, 1).credential(auth(1, &[0; 20])).message();
    for len in 0..header.len() {
        assert!(is_dropped(&mut server, Duration::ZERO, &header[..len]), "{len} bytes");
    }
    assert!(!is_dropped(&mut server, Duration::ZERO, &header));
    assert_eq!(server.in_flight(), 1);
}

#[test]
fn rejects_replies_and_other_message_types_without_an_answer() {
    let mut server = server();
    assert!(is_dropped(&mut server, Duration::ZERO, &reply(7, &[])), "a reflected reply must not be answered");
    for kind in [2, 3, 0x0100_0000, u32::MAX] {
        let mut datagram = call(7, &[]);
        datagram[4..8].copy_from_slice(&kind.to_be_bytes());
        assert!(is_dropped(&mut server, Duration::ZERO, &datagram), "message type {kind}");
    }
    assert_eq!((server.in_flight(), server.kept()), (0, 0));
}

#[test]
fn rejects_a_call_from_port_0_which_cannot_be_answered() {
    let mut server = server();
    assert!(server.handle_datagram(Duration::ZERO, address("192.0.2.1:0"), &call(7, &[])).is_none());
}

#[test]
fn rejects_credentials_and_verifiers_that_are_too_long_without_an_answer() {
    let mut server = server();
    let longest = Call::new(7, PROGRAM, 1, 1).credential(auth(1, &[0; 400]));
    assert!(is_dropped(&mut server, Duration::ZERO, &longest.clone().credential(auth(1, &[0; 401])).message()));
    assert!(is_dropped(&mut server, Duration::ZERO, &longest.clone().verifier(auth(1, &[0; 401])).message()));
    assert!(!is_dropped(&mut server, Duration::ZERO, &longest.message()));
}

#[test]
fn another_rpc_version_is_answered_only_if_the_answer_is_not_longer() {
    let mut server = server();
    let other = words(&[7, 0, 3, PROGRAM, 1, 1]);
    assert!(is_dropped(&mut server, Duration::ZERO, &other[..20]));
    let new = taken(&mut server, Duration::ZERO, &other);
    assert_eq!(new.call.header, Err(Malformed::RpcVersion(3)));
    server.reply(Duration::ZERO, &new.id, Outcome::Denied(RejectedReply::RpcMismatch { low: 2, high: 2 }));
    assert_eq!(server.poll_transmit().unwrap().datagram.len(), other.len());
}

#[test]
fn a_call_of_the_longest_datagram_is_taken_and_one_byte_more_is_not() {
    for (configured, max) in [(usize::MAX, MAX_DATAGRAM), (MAX_DATAGRAM - 1, MAX_DATAGRAM - 1), (100, 100)] {
        let mut server = server_with(|config| config.max_datagram = configured);
        let longer = call(7, &vec![0; max + 1 - 40]);
        assert_eq!(longer.len(), max + 1);
        assert!(is_dropped(&mut server, Duration::ZERO, &longer), "rejects an oversized datagram");
        assert!(!is_dropped(&mut server, Duration::ZERO, &longer[..max]));
        assert!(!is_dropped(&mut server, Duration::ZERO, &longer[..max - 1]));
    }
}

#[test]
fn a_reply_of_the_longest_datagram_is_sent_and_one_byte_more_is_a_system_error() {
    for (results, is_sent) in [(MAX_DATAGRAM - 25, true), (MAX_DATAGRAM - 24, true), (MAX_DATAGRAM - 23, false)] {
        let mut server = server();
        let new = taken(&mut server, Duration::ZERO, &call(7, &[]));
        let written = server.reply_with(Duration::ZERO, &new.id, &Bytes::from(vec![0; results]));
        let datagram = server.poll_transmit().unwrap().datagram;
        if is_sent {
            assert_eq!((written, datagram.len()), (Ok(()), results + 24));
        } else {
            assert_eq!(written, Err(RecordNotWritten::TooLong { len: MAX_DATAGRAM + 1, max: MAX_DATAGRAM }));
            assert_eq!(hex(&datagram), "00000007 00000001 00000000 00000000 00000000 00000005");
        }
        assert_eq!((server.in_flight(), server.kept()), (0, 1));
    }
}

#[test]
fn calls_beyond_the_cap_are_dropped_and_taken_when_they_come_again() {
    let mut server = server_with(|config| config.max_calls_in_flight = 2);
    let first = taken(&mut server, Duration::ZERO, &call(1, &[]));
    taken(&mut server, Duration::ZERO, &call(2, &[]));
    assert!(is_dropped(&mut server, Duration::ZERO, &call(3, &[])));
    server.leave_unanswered(Duration::ZERO, &first.id);
    taken(&mut server, Duration::ZERO, &call(3, &[]));
}
