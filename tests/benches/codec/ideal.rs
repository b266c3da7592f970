//! By hand, in safe Rust: direct code for each shape, and `memcpy`.
//!
//! Bounds, padding, flags and UTF-8 are checked as ours checks them; there is no accounting and there are no errors,
//! only `None`.

use std::hint::black_box;

use rpc_frame::AuthSys;
use xdr_core::to_vec;

use crate::measure;
use crate::measure::{Group, Operation, Side};
use crate::ours::input;
use crate::shapes::{self, Attributes, Entry, EntryBorrowed, S1, S2, S2Borrowed, S3, S3Borrowed, S4};
use crate::shapes::{S5, S5Borrowed, S6, S6Borrowed, S7, S7Borrowed, S9, S9Borrowed};

pub(crate) const IDEAL: &str = "ideal";
pub(crate) const BORROWED: &str = "ideal: borrowed";
pub(crate) const MEMCPY: &str = "memcpy";

pub(crate) fn join(group: &mut Group) {
    match (group.operation, group.shape) {
        (Operation::Encode, "S1") => encoder(group, shapes::s1(), 24, write_s1),
        (Operation::Encode, "S2") => encoder(group, shapes::s2(), 52, write_s2),
        (Operation::Encode, "S3") => encoder(group, shapes::s3(), 40, write_s3),
        (Operation::Encode, "S4") => encoder(group, shapes::s4(100), 404, write_s4),
        (Operation::Encode, "S4L") => encoder(group, shapes::s4(10_000), 40_004, write_s4),
        (Operation::Encode, "S5") => encoder(group, shapes::s5(), 1604, write_s5),
        (Operation::Encode, "S6") => {
            encoder(group, shapes::s6(), (60 << 10) + 4, |value, out| write_opaque(value.text.as_bytes(), out));
            memcpy(group, 60 << 10);
        }
        (Operation::Encode, "S7") => {
            encoder(group, shapes::s7(), (1 << 20) + 4, |value, out| write_opaque(&value.data, out));
            memcpy(group, 1 << 20);
        }
        (Operation::Encode, "S8") => encoder(group, shapes::auth_sys(), 92, write_s8),
        (Operation::Encode, "S8R") => encoder(group, shapes::XID, 24, write_s8_reply),
        (Operation::Encode, _) => encoder(group, shapes::s9(), 16_384, write_s9),
        (Operation::Decode, "S1") => {
            decoder(group, IDEAL, input(&shapes::s1()), read_s1, |value| to_vec(value).unwrap())
        }
        (Operation::Decode, "S2") => {
            let input = input(&shapes::s2());
            decoder(group, IDEAL, input, |input| Some(own_s2(&read_s2(input)?)), |value| to_vec(value).unwrap());
            decoder(group, BORROWED, input, read_s2, |value| to_vec(value).unwrap());
        }
        (Operation::Decode, "S3") => {
            let input = input(&shapes::s3());
            decoder(group, IDEAL, input, |input| Some(own_s3(&read_s3(input)?)), |value| to_vec(value).unwrap());
            decoder(group, BORROWED, input, read_s3, |value| to_vec(value).unwrap());
        }
        (Operation::Decode, "S4") => s4_decoder(group, 100),
        (Operation::Decode, "S4L") => s4_decoder(group, 10_000),
        (Operation::Decode, "S5") => {
            let input = input(&shapes::s5());
            let owned = |input| Some(S5 { names: read_strings(input, str::to_owned)? });
            decoder(group, IDEAL, input, owned, |value| to_vec(value).unwrap());
            let borrowed = |input| Some(S5Borrowed { names: read_strings(input, |name| name)? });
            decoder(group, BORROWED, input, borrowed, |value| to_vec(value).unwrap());
        }
        (Operation::Decode, "S6") => {
            let input = input(&shapes::s6());
            let owned = |mut input| Some(S6 { text: read_str(&mut input, 65_536)?.to_owned() });
            decoder(group, IDEAL, input, owned, |value| to_vec(value).unwrap());
            let borrowed = |mut input| Some(S6Borrowed { text: read_str(&mut input, 65_536)? });
            decoder(group, BORROWED, input, borrowed, |value| to_vec(value).unwrap());
        }
        (Operation::Decode, "S7") => {
            let input = input(&shapes::s7());
            let owned = |mut input| Some(S7 { data: read_opaque(&mut input, 1 << 20)?.to_vec() });
            decoder(group, IDEAL, input, owned, |value| to_vec(value).unwrap());
            let borrowed = |mut input| Some(S7Borrowed { data: read_opaque(&mut input, 1 << 20)? });
            decoder(group, BORROWED, input, borrowed, |value| to_vec(value).unwrap());
        }
        (Operation::Decode, "S8") => s8_decoders(group),
        (Operation::Decode, "S8R") => {
            let read = |input: &'static [u8]| {
                let words: [u32; 6] = words(input.first_chunk::<24>()?);
                matches!(words, [_, 1, 0, 0, 0, 0]).then_some(words[0])
            };
            decoder(group, IDEAL, input(&shapes::s8_reply()), read, |xid| {
                let mut out = vec![0; 24];
                write_s8_reply(xid, &mut out).unwrap();
                out
            });
        }
        (Operation::Decode, _) => {
            let input = input(&shapes::s9());
            decoder(
                group,
                IDEAL,
                input,
                |input| Some(S9 { entries: read_entries(input, own_entry)? }),
                |value| to_vec(value).unwrap(),
            );
            let borrowed = |input| Some(S9Borrowed { entries: read_entries(input, |entry| entry)? });
            decoder(group, BORROWED, input, borrowed, |value| to_vec(value).unwrap());
        }
    }
}

fn encoder<T: 'static>(
    group: &mut Group,
    value: T,
    len: usize,
    write: impl Fn(&T, &mut [u8]) -> Option<usize> + 'static,
) {
    group.slice_encoder(Side::Ideal, IDEAL, len, move |space| write(black_box(&value), space).unwrap());
}

fn decoder<T: 'static>(
    group: &mut Group,
    name: &str,
    input: &'static [u8],
    read: impl Fn(&'static [u8]) -> Option<T> + Copy + 'static,
    encode: impl Fn(&T) -> Vec<u8> + 'static,
) {
    measure::decoder!(group, Side::Ideal, name, read(black_box(input)).unwrap(), encode);
}

fn memcpy(group: &mut Group, len: usize) {
    let body = vec![b'm'; len];
    group.slice_encoder(Side::Memcpy, MEMCPY, len, move |space| {
        space.copy_from_slice(black_box(&body));
        space.len()
    });
}

fn write_s1(value: &S1, out: &mut [u8]) -> Option<usize> {
    let out: &mut [u8; 24] = out.first_chunk_mut()?;
    out[..4].copy_from_slice(&value.a.to_be_bytes());
    out[4..8].copy_from_slice(&value.b.to_be_bytes());
    out[8..16].copy_from_slice(&value.c.to_be_bytes());
    out[16..20].copy_from_slice(&value.d.to_be_bytes());
    out[20..].copy_from_slice(&value.e.to_be_bytes());
    Some(24)
}

fn read_s1(input: &[u8]) -> Option<S1> {
    let input: &[u8; 24] = input.try_into().ok()?;
    let [a, b, high, low, d, e] = words(input);
    Some(S1 { a, b, c: u64::from(high) << 32 | u64::from(low), d, e })
}

/// All words of an array.
fn words<const BYTES: usize, const WORDS: usize>(input: &[u8; BYTES]) -> [u32; WORDS] {
    const { assert!(BYTES == 4 * WORDS) }
    std::array::from_fn(|index| u32::from_be_bytes(std::array::from_fn(|byte| input[4 * index + byte])))
}

fn write_s2(value: &S2, out: &mut [u8]) -> Option<usize> {
    let used = write_string(&value.name, 32, out)?;
    let fixed: &mut [u8; 28] = out[used..].first_chunk_mut()?;
    let words = [value.a, value.b, value.c, value.d, value.e, value.f, value.g];
    fixed.copy_from_slice(words.map(u32::to_be_bytes).as_flattened());
    Some(used + 28)
}

fn read_s2(mut input: &[u8]) -> Option<S2Borrowed<'_>> {
    let name = read_str(&mut input, 32)?;
    let [a, b, c, d, e, f, g] = words::<28, 7>(input.try_into().ok()?);
    Some(S2Borrowed { name, a, b, c, d, e, f, g })
}

fn own_s2(value: &S2Borrowed<'_>) -> S2 {
    let &S2Borrowed { name, a, b, c, d, e, f, g } = value;
    S2 { name: name.to_owned(), a, b, c, d, e, f, g }
}

fn write_s3(value: &S3, out: &mut [u8]) -> Option<usize> {
    let (fixed, rest) = out.split_first_chunk_mut::<20>()?;
    fixed[..4].copy_from_slice(&value.id.to_be_bytes());
    fixed[4..].copy_from_slice(&value.uuid);
    Some(20 + write_string(&value.name, 50, rest)?)
}

fn read_s3(mut input: &[u8]) -> Option<S3Borrowed<'_>> {
    let fixed = take::<20>(&mut input)?;
    let id = i32::from_be_bytes(*fixed.first_chunk()?);
    let uuid = *fixed.last_chunk()?;
    let name = read_str(&mut input, 50)?;
    input.is_empty().then_some(S3Borrowed { id, uuid, name })
}

fn own_s3(value: &S3Borrowed<'_>) -> S3 {
    S3 { id: value.id, uuid: value.uuid, name: value.name.to_owned() }
}

fn write_s4(value: &S4, out: &mut [u8]) -> Option<usize> {
    let (count, rest) = out.split_first_chunk_mut::<4>()?;
    *count = u32::try_from(value.values.len()).ok().filter(|len| *len <= 16_384)?.to_be_bytes();
    let (space, _) = rest.split_at_mut_checked(4 * value.values.len())?;
    for (space, item) in space.as_chunks_mut::<4>().0.iter_mut().zip(&value.values) {
        *space = item.to_be_bytes();
    }
    Some(4 + space.len())
}

fn s4_decoder(group: &mut Group, len: u32) {
    let read = |mut input: &'static [u8]| {
        let count = usize::try_from(word(&mut input)?).ok().filter(|count| *count <= 16_384)?;
        let (items, []) = input.split_at_checked(4 * count)? else { return None };
        Some(S4 { values: items.as_chunks::<4>().0.iter().map(|item| i32::from_be_bytes(*item)).collect() })
    };
    decoder(group, IDEAL, input(&shapes::s4(len)), read, |value| to_vec(value).unwrap());
}

fn write_s5(value: &S5, out: &mut [u8]) -> Option<usize> {
    let (count, rest) = out.split_first_chunk_mut::<4>()?;
    *count = u32::try_from(value.names.len()).ok().filter(|len| *len <= 128)?.to_be_bytes();
    let mut used = 0;
    for name in &value.names {
        used += write_string(name, 32, rest.get_mut(used..)?)?;
    }
    Some(4 + used)
}

fn read_strings<T>(mut input: &'static [u8], own: impl Fn(&'static str) -> T) -> Option<Vec<T>> {
    let count = usize::try_from(word(&mut input)?).ok().filter(|count| *count <= 128)?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(own(read_str(&mut input, 32)?));
    }
    input.is_empty().then_some(names)
}

fn write_s8(sys: &AuthSys, out: &mut [u8]) -> Option<usize> {
    let (front, rest) = out.split_first_chunk_mut::<36>()?;
    let header = [
        shapes::XID,
        0,
        2,
        shapes::PROGRAM,
        shapes::VERSION,
        shapes::PROCEDURE,
        shapes::AUTH_SYS,
        shapes::CREDENTIAL_LEN,
        sys.stamp,
    ];
    front.copy_from_slice(header.map(u32::to_be_bytes).as_flattened());
    let used = write_string(&sys.machine_name, 255, rest)?;
    let (ids, rest) = rest.get_mut(used..)?.split_first_chunk_mut::<12>()?;
    let count = u32::try_from(sys.gids.len()).ok().filter(|count| *count <= 16)?;
    ids.copy_from_slice([sys.uid, sys.gid, count].map(u32::to_be_bytes).as_flattened());
    let (gids, rest) = rest.split_at_mut_checked(4 * sys.gids.len())?;
    for (space, gid) in gids.as_chunks_mut::<4>().0.iter_mut().zip(&sys.gids) {
        *space = gid.to_be_bytes();
    }
    *rest.first_chunk_mut::<8>()? = [0; 8];
    Some(36 + used + 12 + gids.len() + 8)
}

fn s8_decoders(group: &mut Group) {
    let bytes = input(&shapes::s8());
    let owned = |input| Some(read_s8(input)?.own());
    decoder(group, IDEAL, bytes, owned, |sys| to_vec(&shapes::s8_flat(sys)).unwrap());
    decoder(group, BORROWED, bytes, read_s8, |header| to_vec(&shapes::s8_flat(&header.own())).unwrap());
}

/// What varies in a call header, borrowed; the groups stay as they came.
struct CallHeader<'de> {
    /// xid, program, version and procedure.
    numbers: [u32; 4],
    stamp: u32,
    machine_name: &'de str,
    uid: u32,
    gid: u32,
    gids: &'de [[u8; 4]],
}

impl CallHeader<'_> {
    fn own(&self) -> AuthSys {
        black_box(self.numbers);
        AuthSys {
            stamp: self.stamp,
            machine_name: self.machine_name.to_owned(),
            uid: self.uid,
            gid: self.gid,
            gids: self.gids.iter().map(|gid| u32::from_be_bytes(*gid)).collect(),
        }
    }
}

fn read_s8(mut input: &[u8]) -> Option<CallHeader<'_>> {
    let [xid, 0, 2, program, version, procedure, shapes::AUTH_SYS, credential_len, stamp] =
        words::<36, 9>(take(&mut input)?)
    else {
        return None;
    };
    let behind = input.len();
    let machine_name = read_str(&mut input, 255)?;
    let [uid, gid, count] = words::<12, 3>(take(&mut input)?);
    let (gids, rest) = input.split_at_checked(4 * usize::try_from(count).ok().filter(|count| *count <= 16)?)?;
    let read = 4 + behind - rest.len();
    let is_whole = usize::try_from(credential_len) == Ok(read) && rest == [0; 8];
    let gids = gids.as_chunks::<4>().0;
    is_whole.then_some(CallHeader { numbers: [xid, program, version, procedure], stamp, machine_name, uid, gid, gids })
}

fn write_s8_reply(xid: &u32, out: &mut [u8]) -> Option<usize> {
    out.first_chunk_mut::<24>()?.copy_from_slice([*xid, 1, 0, 0, 0, 0].map(u32::to_be_bytes).as_flattened());
    Some(24)
}

fn write_s9(value: &S9, out: &mut [u8]) -> Option<usize> {
    if value.entries.len() > 10_000 {
        return None;
    }
    let mut rest = &mut *out;
    for entry in &value.entries {
        let (front, behind) = rest.split_first_chunk_mut::<12>()?;
        front[..4].copy_from_slice(&1_u32.to_be_bytes());
        front[4..].copy_from_slice(&entry.fileid.to_be_bytes());
        let used = write_string(&entry.name, 255, behind)?;
        let (cookie, behind) = behind.get_mut(used..)?.split_first_chunk_mut::<8>()?;
        *cookie = entry.cookie.to_be_bytes();
        let (flag, mut behind) = behind.split_first_chunk_mut::<4>()?;
        *flag = u32::from(entry.attributes.is_some()).to_be_bytes();
        if let Some(attributes) = &entry.attributes {
            let (space, after) = behind.split_first_chunk_mut::<84>()?;
            write_attributes(attributes, space);
            behind = after;
        }
        let (flag, mut behind) = behind.split_first_chunk_mut::<4>()?;
        *flag = u32::from(entry.handle.is_some()).to_be_bytes();
        if let Some(handle) = entry.handle.as_ref() {
            let used = write_opaque(Some(handle).filter(|handle| handle.len() <= 64)?, behind)?;
            behind = behind.get_mut(used..)?;
        }
        rest = behind;
    }
    let (end, rest) = rest.split_first_chunk_mut::<4>()?;
    *end = [0; 4];
    let left = rest.len();
    Some(out.len() - left)
}

fn write_attributes(value: &Attributes, out: &mut [u8; 84]) {
    let (front, out) = out.split_at_mut(20);
    let words = [value.kind, value.mode, value.links, value.uid, value.gid];
    front.copy_from_slice(words.map(u32::to_be_bytes).as_flattened());
    let (sizes, out) = out.split_at_mut(16);
    sizes.copy_from_slice([value.size, value.used].map(u64::to_be_bytes).as_flattened());
    let (device, out) = out.split_at_mut(8);
    device.copy_from_slice([value.major, value.minor].map(u32::to_be_bytes).as_flattened());
    let (ids, times) = out.split_at_mut(16);
    ids.copy_from_slice([value.fsid, value.fileid].map(u64::to_be_bytes).as_flattened());
    let words = [
        value.accessed,
        value.accessed_nanos,
        value.modified,
        value.modified_nanos,
        value.changed,
        value.changed_nanos,
    ];
    times.copy_from_slice(words.map(u32::to_be_bytes).as_flattened());
}

fn read_attributes(input: &[u8; 84]) -> Attributes {
    let w: [u32; 21] = words(input);
    let long = |index: usize| u64::from(w[index]) << 32 | u64::from(w[index + 1]);
    Attributes {
        kind: w[0],
        mode: w[1],
        links: w[2],
        uid: w[3],
        gid: w[4],
        size: long(5),
        used: long(7),
        major: w[9],
        minor: w[10],
        fsid: long(11),
        fileid: long(13),
        accessed: w[15],
        accessed_nanos: w[16],
        modified: w[17],
        modified_nanos: w[18],
        changed: w[19],
        changed_nanos: w[20],
    }
}

fn read_entries<T>(mut input: &'static [u8], own: impl Fn(EntryBorrowed<'static>) -> T) -> Option<Vec<T>> {
    let mut entries = Vec::new();
    while flag(&mut input)? {
        if entries.len() >= 10_000 {
            return None;
        }
        let fileid = u64::from_be_bytes(*take(&mut input)?);
        let name = read_str(&mut input, 255)?;
        let cookie = u64::from_be_bytes(*take(&mut input)?);
        let attributes = match flag(&mut input)? {
            true => Some(read_attributes(take(&mut input)?)),
            false => None,
        };
        let handle = match flag(&mut input)? {
            true => Some(read_opaque(&mut input, 64)?),
            false => None,
        };
        entries.push(own(EntryBorrowed { fileid, name, cookie, attributes, handle }));
    }
    input.is_empty().then_some(entries)
}

fn own_entry(entry: EntryBorrowed<'_>) -> Entry {
    let EntryBorrowed { fileid, name, cookie, attributes, handle } = entry;
    Entry { fileid, name: name.to_owned(), cookie, attributes, handle: handle.map(<[u8]>::to_vec) }
}

fn write_string(value: &str, max: usize, out: &mut [u8]) -> Option<usize> {
    if value.len() > max { None } else { write_opaque(value.as_bytes(), out) }
}

/// Length, body and padding; how many bytes they took.
#[inline]
fn write_opaque(body: &[u8], out: &mut [u8]) -> Option<usize> {
    let (len, rest) = out.split_first_chunk_mut::<4>()?;
    *len = u32::try_from(body.len()).ok()?.to_be_bytes();
    let (space, _) = rest.split_at_mut_checked(body.len().next_multiple_of(4))?;
    // The last word first: what the body does not cover of it is padding.
    if let Some(last) = space.last_chunk_mut::<4>() {
        *last = [0; 4];
    }
    copy(body, &mut space[..body.len()]);
    Some(4 + space.len())
}

/// Short copies as two words that overlap.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    fn ends<const N: usize>(from: &[u8], to: &mut [u8]) -> Option<()> {
        let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
        *to.first_chunk_mut::<N>()? = first;
        *to.last_chunk_mut::<N>()? = last;
        Some(())
    }
    let done = match from.len() {
        8..=16 => ends::<8>(from, to),
        17..=32 => ends::<16>(from, to),
        _ => None,
    };
    if done.is_none() {
        to.copy_from_slice(from);
    }
}

#[inline]
fn take<'de, const N: usize>(input: &mut &'de [u8]) -> Option<&'de [u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(taken)
}

#[inline]
fn word(input: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*take(input)?))
}

#[inline]
fn flag(input: &mut &[u8]) -> Option<bool> {
    match word(input)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[inline]
fn read_opaque<'de>(input: &mut &'de [u8], max: usize) -> Option<&'de [u8]> {
    let len = usize::try_from(word(input)?).ok().filter(|len| *len <= max)?;
    let (body, rest) = input.split_at_checked(len)?;
    let (padding, rest) = rest.split_at_checked(len.wrapping_neg() & 3)?;
    *input = rest;
    padding.iter().all(|byte| *byte == 0).then_some(body)
}

#[inline]
fn read_str<'de>(input: &mut &'de [u8], max: usize) -> Option<&'de str> {
    str::from_utf8(read_opaque(input, max)?).ok()
}
