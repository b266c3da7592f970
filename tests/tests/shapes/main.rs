//! Every shape of the derive, byte for byte.
use std::borrow::Cow;

use xdr_core::{Bytes, DecodeErrorKind, EncodeErrorKind, Lengthy, Limits, Xdr};

mod structs; //  fields in order
mod choices; //  enums and unions
mod many; //     lists, recursive, borrowed and generic types
mod words; //    small integers, bytes and their padding
mod refusals; // what is too long, and what a function refuses

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[track_caller]
fn both_ways<T>(value: &T, wire: &[u8])
where
    T: xdr_core::Encode + for<'de> xdr_core::Decode<'de> + PartialEq + std::fmt::Debug,
{
    assert_eq!(xdr_core::to_vec(value).unwrap(), wire);
    assert_eq!(xdr_core::encoded_len(value), wire.len());
    // Written in place, which is other code than `to_vec`'s.
    let mut space = vec![0xff; wire.len()];
    assert_eq!(xdr_core::encode_to_slice(value, &mut space), Ok(wire.len()));
    assert_eq!(space, wire);
    assert_eq!(&xdr_core::from_slice::<T>(wire).unwrap(), value);
    for end in 0..wire.len() {
        assert!(xdr_core::from_slice::<T>(&wire[..end]).is_err(), "a prefix of {end} bytes is accepted");
    }
    let mut longer = wire.to_vec();
    longer.push(0);
    let error = xdr_core::from_slice::<T>(&longer).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { count: 1 });
}

// Types of several stories.

const NAME_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Named {
    before: u32,
    #[xdr(max = NAME_MAX)]
    name: String,
    uuid: [u8; 16],
    after: bool,
    #[xdr(max = 2, item(max = NAME_MAX * 2))]
    names: Vec<String>,
    #[xdr(item(max = 4))]
    slots: [Vec<u8>; 2],
    #[xdr(max = 5)]
    blob: Bytes,
    #[xdr(max = 3)]
    ids: Vec<i32>,
    #[xdr(skip)]
    cached: u32,
    #[xdr(max = 4)]
    description: Option<String>,
    last: (i64, Option<Box<u32>>),
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Tuple(u32, #[xdr(max = 4)] String);

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Entry {
    id: u64,
    #[xdr(max = 3)]
    name: String,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Listing {
    #[xdr(list, max = 3)]
    entries: Vec<Entry>,
    #[xdr(list, max = 3)]
    words: Vec<u32>,
    #[xdr(list, max = 2, item(max = 4))]
    texts: Vec<String>,
    eof: bool,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Tree {
    value: u32,
    left: Option<Box<Tree>>,
    #[xdr(max = 4, recursive)]
    children: Vec<Tree>,
}

const KIND_NONE: u32 = 9;

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = u32)]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
    #[xdr(case = [2, 6])]
    Flag {
        #[xdr(tag)]
        tag: u32,
        bits: u32,
        #[xdr(max = 4)]
        name: String,
    },
    #[xdr(case = KIND_NONE)]
    None,
    #[xdr(default)]
    Other {
        #[xdr(tag)]
        tag: u32,
    },
}

fn is_ordered(range: &Range) -> bool {
    range.low <= range.high
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(validate = is_ordered)]
struct Range {
    low: u32,
    high: u32,
}

#[test]
fn wire_sizes_are_constants() {
    use xdr_core::Encode;
    const TUPLE: Option<usize> = <Tuple as Encode>::MAX_WIRE;
    const BUFFER: [u8; <Range as Encode>::MIN_WIRE] = [0; 8];
    assert_eq!(TUPLE, Some(4 + 4 + 4));
    assert_eq!(BUFFER.len(), 8);
    assert_eq!(<Range as Encode>::FIXED_WIRE, Some(8));
    assert_eq!(<Tuple as Encode>::FIXED_WIRE, None);
    assert_eq!(<Tuple as Encode>::MIN_WIRE, 8);
    assert_eq!(<Tree as Encode>::MAX_WIRE, None);
    assert_eq!(<Listing as Encode>::MIN_WIRE, 16);
    assert_eq!(<Value as Encode>::MAX_WIRE, Some(4 + 4 + 8));
}
