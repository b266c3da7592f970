//! Records by the letter of RFC 5531 §11, slowly, so that the crate is not compared with itself.

use rpc_frame::RecordError;

/// The whole records at the front of a stream, and whether it ends between two of them, or what is wrong behind.
pub fn cut(mut stream: &[u8], max_record: usize, max_empty: usize) -> (Vec<Vec<u8>>, Result<bool, RecordError>) {
    let mut records = Vec::new();
    loop {
        let (mut record, mut empty, mut begun) = (Vec::new(), 0, false);
        loop {
            let Some((mark, rest)) = stream.split_first_chunk() else {
                return (records, Ok(stream.is_empty() && !begun));
            };
            let mark = u32::from_be_bytes(*mark);
            let (len, last) = ((mark & 0x7fff_ffff) as usize, mark >> 31 == 1);
            let whole = record.len() + len;
            if whole > max_record {
                return (records, Err(RecordError::TooLong { len: whole, max: max_record }));
            }
            empty += usize::from(len == 0 && !last);
            if empty > max_empty {
                return (records, Err(RecordError::EmptyFragments { max: max_empty }));
            }
            let Some((fragment, rest)) = rest.split_at_checked(len) else { return (records, Ok(false)) };
            record.extend_from_slice(fragment);
            (stream, begun) = (rest, true);
            if last {
                break;
            }
        }
        records.push(record);
    }
}

/// A fragment with its mark.
pub fn fragment(body: &[u8], last: bool) -> Vec<u8> {
    let mark = u32::try_from(body.len()).unwrap_or(u32::MAX >> 1) | u32::from(last) << 31;
    [&mark.to_be_bytes(), body].concat()
}

/// A stream of big-endian words.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A call with a credential of this flavor and body and no verifier.
pub fn call([xid, program, version, procedure]: [u32; 4], flavor: u32, credential: &[u8], args: &[u8]) -> Vec<u8> {
    let mut call = words(&[xid, 0, 2, program, version, procedure, flavor]);
    call.extend(u32::try_from(credential.len()).unwrap_or(u32::MAX).to_be_bytes());
    call.extend_from_slice(credential);
    call.resize(call.len().next_multiple_of(4), 0);
    call.extend([0; 8]);
    call.extend_from_slice(args);
    call
}
