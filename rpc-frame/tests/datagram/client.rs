//! Calls that are sent again, and what ends them.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_frame::xdr::Bytes;
use rpc_frame::{DatagramClient, DatagramClientConfig, Event, MAX_DATAGRAM, OutgoingCall, RecordNotWritten, Transmit};

use crate::wire::hex;
use crate::{PROGRAM, address, call, reply, seconds, there};

fn client() -> DatagramClient {
    DatagramClient::new(DatagramClientConfig::default())
}

/// Makes a call without arguments at the time 0.
fn make_call(client: &mut DatagramClient) -> u32 {
    client.call(Duration::ZERO, there(), &OutgoingCall::new(PROGRAM, 1, 1), &(), None).unwrap()
}

fn replied(client: &mut DatagramClient) -> Option<(u32, Bytes)> {
    match client.poll_event()? {
        Event::Reply(reply) => Some((reply.xid, reply.results)),
        event => panic!("{event:?}"),
    }
}

#[test]
fn a_call_is_one_datagram_without_a_record_mark() {
    let mut client = client();
    let xid = make_call(&mut client);
    let Transmit { to, datagram, .. } = client.poll_transmit().unwrap();
    assert_eq!((to, hex(&datagram)), (there(), hex(&call(xid, &[]))));
    assert_eq!(client.poll_transmit(), None);
    client.handle_datagram(there(), &reply(xid, &[0, 0, 0, 4]));
    assert_eq!(replied(&mut client), Some((xid, Bytes::from_static(&[0, 0, 0, 4]))));
    assert_eq!((client.in_flight(), client.next_timeout(), client.poll_event()), (0, None, None));
}

/// The times at which a call is sent, and that at which it is given up.
fn times(client: &mut DatagramClient, deadline: Option<Duration>) -> (Vec<u64>, u64) {
    let call = OutgoingCall::new(PROGRAM, 1, 1);
    let xid = client.call(Duration::ZERO, there(), &call, &(), deadline).unwrap();
    let mut datagrams = Vec::from_iter(client.poll_transmit());
    let mut sent = vec![0];
    loop {
        let now = client.next_timeout().expect("the call is in flight");
        client.handle_time(now - Duration::from_nanos(1));
        assert_eq!((client.poll_transmit(), client.poll_event()), (None, None), "nothing is early");
        client.handle_time(now);
        match (client.poll_transmit(), client.poll_event()) {
            (Some(again), None) => {
                sent.push(now.as_secs());
                datagrams.push(again);
            }
            (None, Some(event)) => {
                assert_eq!((event, client.next_timeout()), (Event::DeadlineExceeded { xid }, None));
                assert!(datagrams.windows(2).all(|pair| pair[0] == pair[1]), "the same xid and bytes");
                return (sent, now.as_secs());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_call_is_sent_again_at_doubled_intervals_until_its_tries_are_spent() {
    assert_eq!(times(&mut client(), None), (vec![0, 1, 3, 7, 15], 31));
    assert_eq!(times(&mut client(), Some(seconds(100))), (vec![0, 1, 3, 7, 15], 31));
}

#[test]
fn a_call_is_sent_again_until_its_deadline() {
    assert_eq!(times(&mut client(), Some(seconds(5))), (vec![0, 1, 3], 5));
    assert_eq!(times(&mut client(), Some(seconds(3))), (vec![0, 1], 3));
    let mut config = DatagramClientConfig::default();
    config.max_tries = u32::MAX;
    assert_eq!(times(&mut DatagramClient::new(config), Some(seconds(40))), (vec![0, 1, 3, 7, 15, 31], 40));
}

#[test]
fn the_interval_does_not_grow_over_its_maximum() {
    let mut config = DatagramClientConfig::default();
    (config.max_wait, config.max_tries) = (seconds(3), 6);
    assert_eq!(times(&mut DatagramClient::new(config), None), (vec![0, 1, 3, 6, 9, 12], 15));
}

#[test]
fn intervals_of_nothing_do_not_send_all_tries_at_once() {
    let mut config = DatagramClientConfig::default();
    (config.first_wait, config.max_wait, config.max_tries) = (Duration::ZERO, Duration::ZERO, u32::MAX);
    let mut client = DatagramClient::new(config);
    make_call(&mut client);
    client.handle_time(seconds(1));
    assert!(client.poll_transmit().is_some() && client.poll_transmit().is_none());
    assert_eq!(client.next_timeout(), Some(seconds(1) + Duration::from_millis(1)));
}

#[test]
fn a_reply_of_another_address_is_passed_over() {
    let mut client = client();
    let xid = make_call(&mut client);
    for from in ["192.0.2.3:111", "192.0.2.2:112", "[2001:db8::1]:111"] {
        client.handle_datagram(address(from), &reply(xid, &[]));
        assert_eq!((client.poll_event(), client.in_flight()), (None, 1), "{from}");
    }
    client.handle_datagram(address("[::ffff:192.0.2.2]:111"), &reply(xid, &[]));
    assert!(replied(&mut client).is_some(), "the same address as an IPv6 socket has it");
}

#[test]
fn a_reply_of_another_link_is_passed_over() {
    let mut client = client();
    let on = |link| SocketAddr::V6(std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 111, 0, link));
    let xid = client.call(Duration::ZERO, on(2), &OutgoingCall::new(PROGRAM, 1, 1), &(), None).unwrap();
    client.handle_datagram(on(3), &reply(xid, &[]));
    assert_eq!(client.poll_event(), None);
    client.handle_datagram(on(2), &reply(xid, &[]));
    assert!(replied(&mut client).is_some());
}

#[test]
fn replies_that_are_late_or_come_twice_are_passed_over() {
    let mut client = client();
    let (first, second) = (make_call(&mut client), make_call(&mut client));
    client.handle_datagram(there(), &reply(first, &[]));
    client.handle_datagram(there(), &reply(first, &[]));
    assert!(replied(&mut client).is_some());
    assert_eq!((client.poll_event(), client.in_flight()), (None, 1));
    client.forget(second);
    client.handle_datagram(there(), &reply(second, &[]));
    client.handle_datagram(there(), &reply(second + 1000, &[]));
    assert_eq!((client.poll_event(), client.in_flight(), client.next_timeout()), (None, 0, None));
}

#[test]
fn rejects_our_own_call_when_it_is_reflected() {
    let mut client = client();
    let xid = make_call(&mut client);
    let reflected = client.poll_transmit().unwrap().datagram;
    let mut alike = reply(xid, &[]);
    alike[4..8].copy_from_slice(&[0; 4]);
    for call in [&reflected[..], &alike] {
        client.handle_datagram(there(), call);
        assert_eq!((client.poll_event(), client.poll_transmit(), client.in_flight()), (None, None, 1));
    }
}

#[test]
fn rejects_truncated_reply_headers_and_goes_on_waiting() {
    let mut client = client();
    let xid = make_call(&mut client);
    let whole = reply(xid, &[]);
    for len in 0..whole.len() {
        client.handle_datagram(there(), &whole[..len]);
        assert_eq!((client.poll_event(), client.in_flight()), (None, 1), "{len} bytes");
    }
    client.handle_datagram(there(), &whole);
    assert!(replied(&mut client).is_some());
}

#[test]
fn rejects_an_oversized_reply_and_goes_on_waiting() {
    let mut config = DatagramClientConfig::default();
    config.max_datagram = 100;
    let mut client = DatagramClient::new(config);
    let xid = make_call(&mut client);
    client.handle_datagram(there(), &reply(xid, &[0; 80]));
    assert_eq!((client.poll_event(), client.in_flight()), (None, 1));
    client.handle_datagram(there(), &reply(xid, &[0; 76]));
    assert!(replied(&mut client).is_some());
}

#[test]
fn a_call_of_the_longest_datagram_is_sent_and_one_byte_more_is_not() {
    let mut client = client();
    let header = OutgoingCall::new(PROGRAM, 1, 1);
    // Opaque of fixed length takes no word for it.
    let fits = client.call(Duration::ZERO, there(), &header, &[0_u8; MAX_DATAGRAM / 4 * 4 - 40], None);
    assert!(fits.is_ok());
    let longer = client.call(Duration::ZERO, there(), &header, &[0_u8; MAX_DATAGRAM / 4 * 4 - 36], None);
    assert_eq!(longer, Err(RecordNotWritten::TooLong { len: MAX_DATAGRAM + 1, max: MAX_DATAGRAM }));
    assert_eq!(client.poll_transmit().unwrap().datagram.len(), MAX_DATAGRAM - 3);
    assert_eq!((client.poll_transmit(), client.in_flight()), (None, 1));
}

#[test]
fn a_call_that_was_forgotten_is_not_sent() {
    let mut client = client();
    let (first, second) = (make_call(&mut client), make_call(&mut client));
    client.forget(first);
    assert_eq!(client.poll_transmit().unwrap().datagram[..4], second.to_be_bytes());
    client.forget(second);
    client.handle_time(seconds(1000));
    assert_eq!((client.poll_transmit(), client.poll_event()), (None, None));
}

#[test]
fn xids_begin_where_they_are_told_to_and_go_on_behind_the_last() {
    let mut config = DatagramClientConfig::default();
    config.first_xid = u32::MAX;
    let mut client = DatagramClient::new(config);
    assert_eq!((make_call(&mut client), make_call(&mut client)), (u32::MAX, 0));
}

#[test]
fn a_oneway_call_is_sent_once_in_its_turn_and_waited_for_by_nobody() {
    let mut client = DatagramClient::new(DatagramClientConfig::default());
    let of = OutgoingCall::new(PROGRAM, 1, 1);
    let first = client.call(Duration::ZERO, there(), &of, &(), None).unwrap();
    let oneway = client.send(there(), &of, &7_u32).unwrap();
    let last = client.call(Duration::ZERO, there(), &of, &(), None).unwrap();
    assert_eq!(client.in_flight(), 2);
    for (xid, len) in [(first, 40), (oneway, 44), (last, 40)] {
        let Transmit { to, datagram, .. } = client.poll_transmit().unwrap();
        assert_eq!((to, &datagram[..4], datagram.len()), (there(), &xid.to_be_bytes()[..], len));
    }
    client.handle_datagram(there(), &crate::reply(oneway, &[]));
    assert_eq!((client.poll_transmit(), client.poll_event()), (None, None));
    client.forget(first);
    client.forget(oneway);
    client.handle_time(seconds(1));
    assert_eq!(&client.poll_transmit().unwrap().datagram[..4], last.to_be_bytes());
    assert_eq!((client.poll_transmit(), client.in_flight()), (None, 1));
}

#[test]
fn oneway_calls_leave_no_room_for_others_until_they_are_sent() {
    let mut config = DatagramClientConfig::default();
    config.max_unsent = 80;
    let mut client = DatagramClient::new(config);
    let of = OutgoingCall::new(PROGRAM, 1, 1);
    for room in [true, true, false] {
        assert_eq!(client.has_room_to_send(), room);
        client.send(there(), &of, &()).unwrap();
    }
    assert!(client.poll_transmit().is_some() && !client.has_room_to_send());
    assert!(client.poll_transmit().is_some() && client.has_room_to_send());
}
