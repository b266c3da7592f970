//! Any stream, in pieces of any lengths: the same records come out of it, or the same error, as by the letter of the
//! RFC; what is read can be written and comes back; no more is buffered than the cap allows.
//!
//! The first bytes are the caps and the lengths of the pieces, which repeat.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use rpc_frame::xdr::BytesMut;
use rpc_frame::{MAX_FRAGMENT, RecordError, RecordReader, write_record_mark};
use xdr_fuzz::script::Script;
use xdr_fuzz::stream::cut;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// A piece is at most so long.
const PIECE: usize = u8::MAX as usize;

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let max_record = match script.byte() {
        u8::MAX => MAX_FRAGMENT,
        cap => usize::from(cap) * 4,
    };
    let max_empty = usize::from(script.byte() % 8);
    let pieces = script.piece();
    let stream = script.0;

    let (records, end) = cut(stream, max_record, max_empty);
    read(stream, &[PIECE as u8], max_record, max_empty, &records, end);
    read(stream, &[1], max_record, max_empty, &records, end);
    read(stream, pieces, max_record, max_empty, &records, end);

    let mut written = Vec::new();
    for record in &records {
        written.extend(write_record_mark(record.len()).expect("shorter than the stream"));
        written.extend_from_slice(record);
    }
    read(&written, pieces, max_record, 0, &records, Ok(true));
});

/// Reads a stream in pieces, and compares what comes of it.
fn read(
    stream: &[u8],
    pieces: &[u8],
    max_record: usize,
    max_empty: usize,
    records: &[Vec<u8>],
    end: Result<bool, RecordError>,
) {
    let before = ALLOCATED.current_usage();
    let (mut reader, mut input) = (RecordReader::new(max_record, max_empty), BytesMut::new());
    let (mut expected, mut lens) = (records.iter(), pieces.iter().cycle());
    let mut rest = stream;
    while !rest.is_empty() {
        // No pieces, or an empty one: all that fits.
        let len = lens.next().map_or(PIECE, |len| usize::from(*len)).min(rest.len());
        let (piece, behind) = rest.split_at(if len == 0 { PIECE.min(rest.len()) } else { len });
        rest = behind;
        input.extend_from_slice(piece);
        loop {
            match reader.next_record(&mut input) {
                Ok(None) => break,
                Ok(Some(record)) => assert_eq!(Some(&record[..]), expected.next().map(|record| &record[..])),
                Err(error) => {
                    assert_eq!(Err(error), end);
                    assert_eq!(expected.next(), None, "the error comes before the records");
                    input.extend_from_slice(rest);
                    assert_eq!(reader.next_record(&mut input), Err(error), "the stream stays broken");
                    return;
                }
            }
        }
        // What waits is a record that is not whole, or its mark.
        assert!(input.len() < max_record.max(4), "{} bytes wait", input.len());
        // The record so far and the fragment that comes, each in a buffer that grows by doubling.
        let used = ALLOCATED.current_usage().saturating_sub(before);
        assert!(used <= 4 * (max_record.min(stream.len()) + PIECE) + 256, "{used} bytes for records of {max_record}");
    }
    assert_eq!(expected.next(), None);
    assert_eq!(Ok(!reader.in_record(&input)), end);
    assert_eq!(Ok(reader.may_end_behind(&input)), end);
}
