use super::*;

fn picture(length: usize) -> Picture {
    Picture { mime: "image/png".to_owned(), bytes: (0..length).map(|at| (at % 251) as u8).collect() }
}

fn open(streams: &Streams, room: &Room, length: usize) -> Reply<Stream> {
    streams.open(streams.place()?, room, picture(length))
}

fn read(streams: &Streams, stream: u32, offset: u64) -> Reply<Bytes> {
    Ok(streams.read(StreamRead { stream, offset })?.bytes)
}

#[track_caller]
fn refused<T>(reply: Reply<T>, code: Code, says: &str) {
    let failure = reply.err().expect("it is refused");
    assert_eq!((failure.code, failure.message.as_str()), (code, says));
}

const FULL: &str = "the connection has 4 streams, which is the maximum; read one to its end";
const CROWDED: &str = "the daemon holds too many pictures; try again later";

#[test]
fn pieces_are_as_long_as_can_be_and_may_be_read_anywhere_and_again() {
    let (streams, room) = (Streams::default(), Room::default());
    let length = PIECE_MAX + 3;
    let Stream { stream, length: told, mime } = open(&streams, &room, length).unwrap();
    assert_eq!((told, mime.as_str()), (length as u64, "image/png"));
    let whole = picture(length).bytes;
    for _ in 0..2 {
        assert_eq!(read(&streams, stream, 0).unwrap(), whole[..PIECE_MAX]);
        assert_eq!(read(&streams, stream, 1).unwrap(), whole[1..][..PIECE_MAX]);
        assert_eq!(read(&streams, stream, PIECE_MAX as u64).unwrap(), whole[PIECE_MAX..]);
        assert_eq!(read(&streams, stream, length as u64 - 1).unwrap(), whole[length - 1..]);
    }
}

#[test]
fn a_read_from_the_end_on_is_empty_and_closes_the_stream() {
    let (streams, room) = (Streams::default(), Room::default());
    for behind in [5, 6, u64::MAX] {
        let stream = open(&streams, &room, 5).unwrap().stream;
        assert_eq!(read(&streams, stream, behind).unwrap(), Bytes::new());
        let says = format!("no open stream has the number {stream}");
        refused(read(&streams, stream, behind), Code::InvalidArg, &says);
        refused(read(&streams, stream, 0), Code::InvalidArg, &says);
    }
    let empty = open(&streams, &room, 0).unwrap();
    assert_eq!(empty.length, 0);
    assert_eq!(read(&streams, empty.stream, 0).unwrap(), Bytes::new());
}

#[test]
fn numbers_are_never_used_twice_and_end() {
    let (streams, room) = (Streams::default(), Room::default());
    for number in 1..10 {
        assert_eq!(open(&streams, &room, 1).unwrap().stream, number);
        read(&streams, number, 1).unwrap();
    }
    streams.open.lock().unwrap().last = u32::MAX;
    let says = "every number of a stream has been used once; none is left";
    refused(open(&streams, &room, 1), Code::OperationFailed, says);
}

#[test]
fn a_session_has_few_streams_and_those_that_are_being_made_count() {
    let (streams, room) = (Streams::default(), Room::default());
    let being_made = streams.place().unwrap();
    for _ in 0..3 {
        open(&streams, &room, 1).unwrap();
    }
    refused(streams.place(), Code::OperationFailed, FULL);
    drop(being_made);
    let stream = open(&streams, &room, 1).unwrap().stream;
    refused(streams.place(), Code::OperationFailed, FULL);
    read(&streams, stream, 1).unwrap();
    assert!(streams.place().is_ok());
}

#[test]
fn a_stream_and_all_of_them_together_have_a_most_of_bytes() {
    let room = Room(Arc::new(Semaphore::new(10)));
    let (one, other) = (Streams::default(), Streams::default());
    let six = open(&one, &room, 6).unwrap().stream;
    refused(open(&other, &room, 5), Code::OperationFailed, CROWDED);
    assert!(open(&other, &room, 4).is_ok());
    // What was read and what belonged to a session that has ended makes room.
    read(&one, six, 6).unwrap();
    assert!(open(&one, &room, 6).is_ok());
    refused(open(&other, &room, 1), Code::OperationFailed, CROWDED);
    drop(one);
    assert!(open(&other, &room, 6).is_ok());

    let room = Room::default();
    let streams = Streams::default();
    let most = STREAM_MAX as usize;
    assert!(open(&streams, &room, most).is_ok());
    let says = "the picture has 33554433 bytes, the maximum is 33554432";
    refused(open(&streams, &room, most + 1), Code::OperationFailed, says);
    // What was refused has left no trace.
    assert_eq!((streams.places.available_permits(), room.0.available_permits()), (3, ROOM - most));
}
