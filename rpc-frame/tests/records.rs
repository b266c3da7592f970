//! Record marking (RFC 5531 §11) against streams that were not made to be kind.

mod wire;

use std::time::Duration;

use rpc_frame::xdr::{Bytes, BytesMut};
use rpc_frame::{
    Connection, ConnectionConfig, ConnectionError, Event, MAX_FRAGMENT, RecordError, RecordReader, write_record_mark,
};
use wire::{Call, fragment, record, words};

const START: Duration = Duration::ZERO;

fn reader() -> RecordReader {
    RecordReader::new(1024, 64)
}

/// All records of a stream that comes in the given pieces.
fn records_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Bytes>, RecordError> {
    let (mut reader, mut input, mut records) = (reader(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(record) = reader.next_record(&mut input)? {
            records.push(record);
        }
    }
    assert!(!reader.in_record(&input), "the stream ends between two records");
    Ok(records)
}

/// The first error of a connection that is sent this, with the limits that a user gets who sets none.
fn error_of(stream: &[u8]) -> Option<ConnectionError> {
    let mut connection = Connection::new(ConnectionConfig::default());
    connection.receive(START, stream);
    loop {
        match connection.poll_event() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

#[test]
fn a_record_may_come_in_any_number_of_fragments() {
    let body: Vec<u8> = (0..=255).collect();
    for pieces in 1..=body.len() {
        let mut chunks = body.chunks(body.len().div_ceil(pieces)).peekable();
        let mut stream = Vec::new();
        while let Some(chunk) = chunks.next() {
            stream.extend(if chunks.peek().is_some() { fragment(chunk) } else { record(chunk) });
        }
        assert_eq!(records_of([&stream[..]]).unwrap(), [&body[..]], "in {pieces} pieces");
    }
}

#[test]
fn an_empty_last_fragment_ends_a_record() {
    let stream = [fragment(b"ab"), record(b""), record(b"c")].concat();
    assert_eq!(records_of([&stream[..]]).unwrap(), ["ab", "c"]);
}

#[test]
fn a_record_may_be_empty() {
    assert_eq!(records_of([&record(b"")[..]]).unwrap(), [""]);
    let stream = [fragment(b""), record(b"")].concat();
    assert_eq!(records_of([&stream[..]]).unwrap(), [""]);
}

#[test]
fn empty_fragments_up_to_the_cap_are_passed_over_wherever_they_stand() {
    let empty = vec![fragment(b""); 32].concat();
    let stream = [&empty[..], &fragment(b"a"), &empty, &record(b"b")].concat();
    assert_eq!(records_of([&stream[..]]).unwrap(), ["ab"]);
}

#[test]
fn the_cap_on_empty_fragments_counts_anew_for_each_record() {
    let one = [vec![fragment(b""); 64].concat(), record(b"a")].concat();
    let stream = [&one[..], &one, &one].concat();
    assert_eq!(records_of([&stream[..]]).unwrap(), ["a", "a", "a"]);
}

#[test]
fn rejects_one_empty_fragment_more_than_the_cap() {
    let refused = Err(RecordError::EmptyFragments { max: 64 });
    let stream = vec![fragment(b""); 65].concat();
    assert_eq!(records_of([&stream[..]]), refused);
    let half = vec![fragment(b""); 33].concat();
    let stream = [&half[..], &fragment(b"a"), &half].concat();
    assert_eq!(records_of([&stream[..]]), refused, "the same record all the time");
    // A cap of none.
    let mut reader = RecordReader::new(1024, 0);
    assert_eq!(
        reader.next_record(&mut BytesMut::from(&fragment(b"")[..])),
        Err(RecordError::EmptyFragments { max: 0 })
    );
}

#[test]
fn a_record_of_exactly_the_cap_passes_in_one_fragment_or_in_many() {
    let body = [7; 1024];
    assert_eq!(records_of([&record(&body)[..]]).unwrap(), [&body[..]]);
    let stream = [fragment(&body[..1000]), fragment(b""), record(&body[1000..])].concat();
    assert_eq!(records_of([&stream[..]]).unwrap(), [&body[..]]);
}

#[test]
fn rejects_a_record_over_the_cap_at_its_mark_before_any_of_it_is_buffered() {
    for (mark, len) in [
        ([0x80, 0, 4, 1], 1025),
        ([0, 0, 4, 1], 1025),
        ([0xff, 0xff, 0xff, 0xff], MAX_FRAGMENT),
        ([0x7f, 0xff, 0xff, 0xff], MAX_FRAGMENT),
    ] {
        let (mut reader, mut input) = (reader(), BytesMut::from(&mark[..]));
        let room = input.capacity();
        let refused = Err(RecordError::TooLong { len, max: 1024 });
        assert_eq!(reader.next_record(&mut input), refused);
        assert_eq!(input.capacity(), room, "a mark asks for no memory");
        assert_eq!(reader.next_record(&mut input), refused, "the stream stays broken");
    }
}

#[test]
fn rejects_fragments_whose_sum_is_over_the_cap_at_the_mark_of_the_last() {
    let stream = [fragment(&[1; 600]), fragment(&[2; 424])].concat();
    for mark in [[0x80, 0, 0, 1], [0, 0, 0, 1], [0xff, 0xff, 0xff, 0xff]] {
        let (mut reader, mut input) = (reader(), BytesMut::from(&stream[..]));
        assert_eq!(reader.next_record(&mut input), Ok(None));
        assert_eq!(input.len(), 0);
        input.extend_from_slice(&mark);
        let refused = reader.next_record(&mut input).unwrap_err();
        assert!(matches!(refused, RecordError::TooLong { len: 1025.., max: 1024 }), "{refused}");
    }
}

#[test]
fn rejects_a_record_whose_last_fragment_never_comes_when_it_reaches_the_cap() {
    let (mut reader, mut input) = (reader(), BytesMut::new());
    for _ in 0..1024 {
        input.extend_from_slice(&fragment(b"a"));
        assert_eq!(reader.next_record(&mut input), Ok(None));
        assert!(reader.in_record(&input));
        assert!(input.is_empty(), "taken, so that nothing but the record itself is kept");
    }
    input.extend_from_slice(&fragment(b"a")[..4]);
    assert_eq!(reader.next_record(&mut input), Err(RecordError::TooLong { len: 1025, max: 1024 }));
}

#[test]
fn records_are_the_same_however_the_stream_is_split() {
    let stream = [
        record(b"one"),
        fragment(b"tw"),
        fragment(b""),
        fragment(b"o"),
        record(b""),
        record(b""),
        fragment(b"th"),
        record(b"ree"),
    ]
    .concat();
    let whole = ["one", "two", "", "three"];
    assert_eq!(records_of(stream.chunks(1)).unwrap(), whole);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(records_of(pieces).unwrap(), whole, "split at {first} and {second}");
        }
    }
}

#[test]
fn a_call_is_the_same_however_its_record_is_fragmented() {
    let call = Call::new(0x0102_0304, 9, 1, 3).args(words(&[5, 6]));
    let message = call.message();
    let mut connection = Connection::new(ConnectionConfig::default());
    connection.receive(START, &call.record());
    let whole = connection.poll_event().unwrap().unwrap();
    assert!(matches!(&whole, Event::Call(call) if call.xid == 0x0102_0304 && call.args == words(&[5, 6])));
    // Every pair of fragments, among them the xid apart from its call, and the xid itself torn.
    for cut in 0..=message.len() {
        let stream = [fragment(&message[..cut]), record(&message[cut..])].concat();
        let mut connection = Connection::new(ConnectionConfig::default());
        for (at, byte) in stream.iter().enumerate() {
            assert_eq!(connection.poll_event(), Ok(None), "before byte {at}");
            connection.receive(START, &[*byte]);
        }
        assert_eq!(connection.poll_event().unwrap().as_ref(), Some(&whole), "cut at {cut}");
        assert_eq!(connection.poll_event(), Ok(None));
        assert_eq!(connection.handle_eof(), Ok(()));
    }
    // And a fragment for every byte.
    let (last, front) = message.split_last().unwrap();
    let mut stream: Vec<u8> = front.iter().flat_map(|byte| fragment(&[*byte])).collect();
    stream.extend(record(&[*last]));
    connection.receive(START, &stream);
    assert_eq!(connection.poll_event().unwrap(), Some(whole));
}

#[test]
fn a_record_in_one_fragment_is_not_copied() {
    let mut input = BytesMut::from(&record(b"body")[..]);
    let place = input[4..].as_ptr();
    let body = reader().next_record(&mut input).unwrap().unwrap();
    assert_eq!((&body[..], body.as_ptr()), (&b"body"[..], place));
}

#[test]
fn rejects_other_protocols_where_a_record_mark_belongs_at_their_first_four_bytes() {
    let client_hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];
    for (stream, len) in [
        (&b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n"[..], 0x4745_5420),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0x5052_4920),
        (&client_hello, 0x1603_0102),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 0x5353_482d),
        (b"EHLO guest\r\n", 0x4548_4c4f),
    ] {
        let refused = Some(ConnectionError::Record(RecordError::TooLong { len, max: 1024 * 1024 }));
        assert_eq!(error_of(stream), refused);
        assert_eq!(error_of(&stream[..4]), refused, "nothing behind the mark is waited for");
        assert_eq!(error_of(&stream[..3]), None);
    }
}

#[test]
fn other_protocols_wait_in_vain_within_the_record_timeout_where_the_cap_lets_their_marks_pass() {
    let mut config = ConnectionConfig::default();
    config.max_record = MAX_FRAGMENT;
    let mut connection = Connection::new(config);
    connection.receive(START, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(connection.poll_event(), Ok(None));
    assert!(connection.input().capacity() < 1024, "a mark asks for no memory");
    assert_eq!(connection.handle_time(Duration::from_millis(9_999)), Ok(()));
    assert_eq!(connection.handle_time(Duration::from_secs(10)), Err(ConnectionError::RecordTimeout));
}

#[test]
fn rejects_records_too_short_for_an_xid_and_a_message_type() {
    for len in 0..8 {
        let body = vec![0; len];
        assert_eq!(error_of(&record(&body)), Some(ConnectionError::TooShort { len }));
        let (front, back) = body.split_at(len / 2);
        let stream = [fragment(front), fragment(b""), record(back)].concat();
        assert_eq!(error_of(&stream), Some(ConnectionError::TooShort { len }));
    }
    // Eight zero bytes are a call, if not one that can be answered well.
    assert_eq!(error_of(&record(&[0; 8])), None);
}

#[test]
fn the_end_of_a_stream_within_a_record_is_noticed_at_every_byte() {
    let stream = [fragment(b"01234"), fragment(b""), record(b"567")].concat();
    for cut in 0..stream.len() {
        let mut connection = Connection::new(ConnectionConfig::default());
        connection.receive(START, &stream[..cut]);
        assert_eq!(connection.poll_event(), Ok(None));
        let end = if cut == 0 { Ok(()) } else { Err(ConnectionError::UnexpectedEof) };
        assert_eq!(connection.handle_eof(), end, "after {cut} bytes");
    }
}

#[test]
fn a_mark_is_written_for_every_length_that_it_can_hold_and_for_no_other() {
    assert_eq!(write_record_mark(0), Some([0x80, 0, 0, 0]));
    assert_eq!(write_record_mark(0x0102_0304), Some([0x81, 2, 3, 4]));
    assert_eq!(write_record_mark(MAX_FRAGMENT), Some([0xff; 4]));
    assert_eq!(write_record_mark(MAX_FRAGMENT + 1), None);
    assert_eq!(write_record_mark(usize::MAX), None);
}
