//! Calls that come again, and the replies that are kept for them.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_frame::xdr::Bytes;
use rpc_frame::{AcceptStatus, DatagramServer, Outcome};

use crate::{address, call, here, is_dropped, seconds, server, server_with, taken};

#[test]
fn a_call_that_comes_again_in_progress_is_dropped_and_answered_once() {
    let mut server = server();
    let new = taken(&mut server, Duration::ZERO, &call(7, &[]));
    assert!(is_dropped(&mut server, seconds(1), &call(7, &[])));
    assert!(is_dropped(&mut server, seconds(1000), &call(7, &[])), "time does not end a call in progress");
    server.reply(seconds(1000), &new.id, Outcome::Accepted(AcceptStatus::ProcUnavail));
    assert!(server.poll_transmit().is_some() && server.poll_transmit().is_none());
}

#[test]
fn a_call_that_was_answered_gets_the_same_reply_again() {
    let mut server = server();
    let new = taken(&mut server, Duration::ZERO, &call(7, &[]));
    server.reply_with(Duration::ZERO, &new.id, &Bytes::from_static(b"kept")).unwrap();
    let first = server.poll_transmit().unwrap();
    assert!(server.handle_datagram(seconds(1), here(), &call(7, &[])).is_none());
    assert_eq!(server.poll_transmit(), Some(first));
}

#[test]
fn another_peer_port_xid_or_body_is_another_call() {
    let mut server = server();
    taken(&mut server, Duration::ZERO, &call(7, &[0, 0, 0, 1]));
    assert!(server.handle_datagram(Duration::ZERO, address("192.0.2.9:700"), &call(7, &[0, 0, 0, 1])).is_some());
    assert!(server.handle_datagram(Duration::ZERO, address("192.0.2.1:701"), &call(7, &[0, 0, 0, 1])).is_some());
    assert!(server.handle_datagram(Duration::ZERO, here(), &call(8, &[0, 0, 0, 1])).is_some());
    assert!(server.handle_datagram(Duration::ZERO, here(), &call(7, &[0, 0, 0, 2])).is_some(), "a reused xid");
    assert!(server.handle_datagram(Duration::ZERO, here(), &call(7, &[0, 0, 0, 1])).is_none());
    assert_eq!(server.in_flight(), 5);
}

#[test]
fn a_flow_label_does_not_make_another_peer() {
    let mut server = server();
    let labelled = |label| SocketAddr::V6(std::net::SocketAddrV6::new("2001:db8::1".parse().unwrap(), 700, label, 0));
    assert!(server.handle_datagram(Duration::ZERO, labelled(1), &call(7, &[])).is_some());
    assert!(server.handle_datagram(Duration::ZERO, labelled(2), &call(7, &[])).is_none());
}

/// Answers a call with a reply of that many bytes.
fn answer(server: &mut DatagramServer, now: Duration, xid: u32, len: usize) {
    let new = taken(server, now, &call(xid, &[]));
    server.reply_with(now, &new.id, &Bytes::from(vec![0; len])).unwrap();
    server.poll_transmit().unwrap();
}

/// Whether the reply to a call is still there. If not, the call is in progress now.
fn is_kept(server: &mut DatagramServer, now: Duration, xid: u32) -> bool {
    let new = server.handle_datagram(now, here(), &call(xid, &[]));
    assert_eq!(server.poll_transmit().is_some(), new.is_none());
    new.is_none()
}

#[test]
fn the_oldest_replies_make_room_where_there_are_too_many() {
    let mut server = server_with(|config| config.max_kept = 3);
    for xid in 1..=4 {
        answer(&mut server, Duration::ZERO, xid, 4);
    }
    assert_eq!(server.kept(), 3);
    assert!(!is_kept(&mut server, Duration::ZERO, 1));
    assert!((2..=4).all(|xid| is_kept(&mut server, Duration::ZERO, xid)));
}

#[test]
fn the_oldest_replies_make_room_where_they_are_too_long() {
    let mut server = server_with(|config| config.max_kept_bytes = 25_000);
    for xid in 1..=3 {
        answer(&mut server, Duration::ZERO, xid, 10_000);
    }
    assert_eq!(server.kept(), 2);
    assert!(is_kept(&mut server, Duration::ZERO, 2) && is_kept(&mut server, Duration::ZERO, 3));
    answer(&mut server, Duration::ZERO, 4, 30_000);
    assert_eq!(server.kept(), 2, "one that is longer than all room is not kept, and pushes nothing out");
    assert!(!is_kept(&mut server, Duration::ZERO, 4) && is_kept(&mut server, Duration::ZERO, 3));
}

#[test]
fn replies_are_kept_for_their_time_and_no_longer() {
    let mut server = server();
    answer(&mut server, seconds(5), 1, 4);
    assert_eq!(server.next_timeout(), Some(seconds(65)));
    assert!(is_kept(&mut server, seconds(64), 1));
    assert!(!is_kept(&mut server, seconds(65), 1));
    answer(&mut server, seconds(65), 2, 4);
    server.handle_time(seconds(125));
    assert_eq!((server.kept(), server.next_timeout()), (0, None));
}

#[test]
fn a_call_that_needs_no_keeping_is_new_when_it_comes_again() {
    let mut server = server();
    let new = taken(&mut server, Duration::ZERO, &call(7, &[]));
    server.forget(&new.id);
    server.reply(Duration::ZERO, &new.id, Outcome::Accepted(AcceptStatus::ProgUnavail));
    assert!(server.poll_transmit().is_some());
    assert_eq!((server.in_flight(), server.kept()), (0, 0));
    taken(&mut server, Duration::ZERO, &call(7, &[]));
}

#[test]
fn a_call_without_a_reply_is_remembered_as_well() {
    let mut server = server();
    let new = taken(&mut server, Duration::ZERO, &call(7, &[]));
    server.leave_unanswered(Duration::ZERO, &new.id);
    assert_eq!((server.in_flight(), server.poll_transmit()), (0, None));
    assert!(is_dropped(&mut server, seconds(1), &call(7, &[])));
}

#[test]
fn replies_that_nobody_sends_are_bounded_and_not_lost() {
    let mut server = server_with(|config| config.max_unsent = 25_000);
    for xid in 1..=3 {
        let new = taken(&mut server, Duration::ZERO, &call(xid, &[]));
        server.reply_with(Duration::ZERO, &new.id, &Bytes::from(vec![0; 10_000])).unwrap();
    }
    assert!(server.poll_transmit().is_some() && server.poll_transmit().is_some());
    assert_eq!(server.poll_transmit(), None);
    assert!(is_kept(&mut server, seconds(1), 3));
}

#[test]
fn survives_a_flood_of_calls_with_bounded_memory() {
    let mut server = server_with(|config| config.max_kept_bytes = 100_000);
    for xid in 1..=20_000 {
        answer(&mut server, Duration::ZERO, xid, 100);
    }
    assert!(server.kept() < 700, "{}", server.kept());
    assert!(server.kept() > 100, "{}", server.kept());
}

/// Answers a call of somebody's with a reply of that many bytes.
fn answer_to(server: &mut DatagramServer, from: SocketAddr, xid: u32, len: usize) {
    let new = server.handle_datagram(Duration::ZERO, from, &call(xid, &[])).expect("the call is new");
    server.reply_with(Duration::ZERO, &new.id, &Bytes::from(vec![0; len])).unwrap();
    server.poll_transmit().unwrap();
}

#[test]
fn survives_a_flood_of_one_peer_with_what_is_kept_for_the_others() {
    let flooder = |xid: u32| SocketAddr::from(([192, 0, 2, 66], u16::try_from(xid % 60_000 + 1).unwrap()));
    // Too many replies, and too long ones; and a few long ones against many short ones.
    for (max_kept, max_bytes, ours, theirs) in
        [(100, usize::MAX, 4, 4), (usize::MAX, 100_000, 4, 1000), (100, usize::MAX, 9000, 4)]
    {
        let mut server = server_with(|config| {
            config.max_kept = max_kept;
            config.max_kept_bytes = max_bytes;
        });
        for xid in 1..=20 {
            answer(&mut server, Duration::ZERO, xid, ours);
        }
        for xid in 1..=10_000 {
            answer_to(&mut server, flooder(xid), xid, theirs);
        }
        assert!((1..=20).all(|xid| is_kept(&mut server, Duration::ZERO, xid)));
        assert!(server.handle_datagram(Duration::ZERO, flooder(10_000), &call(10_000, &[])).is_none(), "the latest");
        assert!(server.handle_datagram(Duration::ZERO, flooder(1), &call(1, &[])).is_some(), "the first");
    }
}

#[test]
fn what_is_kept_is_shared_alike_by_those_who_want_more() {
    let mut server = server_with(|config| config.max_kept = 90);
    let peers = ["192.0.2.1:700", "192.0.2.2:700", "[2001:db8::1]:700"].map(address);
    for xid in 1..=1000 {
        for peer in peers {
            answer_to(&mut server, peer, xid, 4);
        }
    }
    for peer in peers {
        let is_kept = |xid: &u32| server.handle_datagram(Duration::ZERO, peer, &call(*xid, &[])).is_none();
        assert_eq!((1..=1000).rev().take_while(is_kept).count(), 30, "{peer}");
    }
    server.handle_time(seconds(60));
    assert_eq!((server.kept(), server.next_timeout()), (0, None));
}

#[test]
fn the_latest_reply_stays_whoever_it_is_for_and_however_long_it_is() {
    // Whose address sorts where, and who holds how many bytes, is nothing to the one who was answered just now.
    let peers = ["192.0.2.1:700", "192.0.2.2:700", "192.0.2.3:700", "[fe80::1]:700"].map(address);
    for latest in 0..peers.len() {
        for length in [4, 8_000] {
            let mut server = server_with(|config| {
                config.max_kept = 3;
                config.max_kept_bytes = 10_000;
            });
            for (peer, earlier) in peers.iter().enumerate().filter(|(peer, _)| *peer != latest) {
                answer_to(&mut server, *earlier, peer as u32, 1_000);
            }
            answer_to(&mut server, peers[latest], 9, length);
            assert!(
                server.handle_datagram(Duration::ZERO, peers[latest], &call(9, &[])).is_none(),
                "{latest}, {length}"
            );
        }
    }
}

#[test]
fn a_reply_that_is_longer_than_all_room_pushes_out_nobodys() {
    let mut server = server_with(|config| config.max_kept_bytes = 25_000);
    for xid in 1..=3 {
        answer(&mut server, Duration::ZERO, xid, 1000);
    }
    answer_to(&mut server, address("192.0.2.66:700"), 1, 30_000);
    assert_eq!(server.kept(), 3);
}
