//! Every shape of the derive, byte for byte.
use std::borrow::Cow;

use xdr_core::{Bytes, DecodeErrorKind, EncodeErrorKind, Lengthy, Limits, Xdr};

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

#[test]
fn a_struct_is_its_fields_in_order() {
    let value = Named {
        before: 1,
        name: "abcde".into(),
        uuid: [9; 16],
        after: true,
        names: vec!["x".into(), String::new()],
        slots: [vec![1, 2, 3, 4], vec![]],
        blob: Bytes::from_static(&[7]),
        ids: vec![-1, 2],
        cached: 0,
        description: None,
        last: (-2, Some(Box::new(3))),
    };
    let mut wire = bytes(&[1, 5]);
    wire.extend(b"abcde\0\0\0");
    wire.extend([9; 16]);
    wire.extend(bytes(&[1, 2, 1]));
    wire.extend(b"x\0\0\0");
    wire.extend(bytes(&[0, 4, 0x0102_0304, 0, 1]));
    wire.extend([7, 0, 0, 0]);
    wire.extend(bytes(&[2, u32::MAX, 2, 0, u32::MAX, u32::MAX - 1, 1, 3]));
    both_ways(&value, &wire);
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Tuple(u32, #[xdr(max = 4)] String);

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(transparent)]
struct Path(#[xdr(max = 4)] String, #[xdr(skip)] u8);

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Nested {
    tuple: Tuple,
    unit: Unit,
    path: Path,
    fixed: [u32; 2],
    fixed_tails: [Tuple; 2],
    result: Result<u32, Tuple>,
    pair: (u32, Path, u32),
}

#[test]
fn structs_nest_without_a_trace() {
    let tuple = |n, s: &str| Tuple(n, s.into());
    let value = Nested {
        tuple: tuple(1, "a"),
        unit: Unit,
        path: Path("bc".into(), 0),
        fixed: [2, 3],
        fixed_tails: [tuple(4, ""), tuple(5, "d")],
        result: Err(tuple(6, "")),
        pair: (7, Path(String::new(), 0), 8),
    };
    let mut wire = bytes(&[1, 1]);
    wire.extend(b"a\0\0\0");
    wire.extend(bytes(&[2]));
    wire.extend(b"bc\0\0");
    wire.extend(bytes(&[2, 3, 4, 0, 5, 1]));
    wire.extend(b"d\0\0\0");
    wire.extend(bytes(&[1, 6, 0, 7, 0, 8]));
    both_ways(&value, &wire);
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
enum RunState {
    Running = 1,
    Paused,
    Stopped = -3,
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
#[repr(i32)]
enum Code {
    NoDomain = 42,
    NoNetwork,
    #[xdr(other)]
    Other(i32),
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

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = RunState)]
enum ByState {
    #[xdr(case = RunState::Running)]
    Running { pid: u32 },
    #[xdr(case = [RunState::Paused, RunState::Stopped])]
    Idle(#[xdr(tag)] RunState),
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = bool)]
enum Maybe {
    #[xdr(case = true)]
    Yes(u32),
    #[xdr(case = false)]
    No,
}

#[test]
fn an_enum_is_its_value_and_an_unknown_value_is_an_error() {
    both_ways(&RunState::Paused, &bytes(&[2]));
    both_ways(&RunState::Stopped, &bytes(&[(-3_i32) as u32]));
    let error = xdr_core::from_slice::<RunState>(&bytes(&[4])).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::UnknownEnumValue(4));
    both_ways(&Code::NoNetwork, &bytes(&[43]));
    both_ways(&Code::Other(-7), &bytes(&[(-7_i32) as u32]));
    let error = xdr_core::to_vec(&Code::Other(43)).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TagOfAnotherArm(43));
}

#[test]
fn a_union_is_its_discriminant_and_the_arm() {
    both_ways(&Value::Int(-1), &bytes(&[1, u32::MAX]));
    both_ways(&Value::Flag { tag: 6, bits: 5, name: String::new() }, &bytes(&[6, 5, 0]));
    both_ways(&Value::None, &bytes(&[9]));
    both_ways(&Value::Other { tag: u32::MAX }, &bytes(&[u32::MAX]));
    both_ways(&ByState::Running { pid: 3 }, &bytes(&[1, 3]));
    both_ways(&ByState::Idle(RunState::Paused), &bytes(&[2]));
    both_ways(&Maybe::Yes(1), &bytes(&[1, 1]));
    both_ways(&Maybe::No, &bytes(&[0]));
    let error = xdr_core::to_vec(&Value::Flag { tag: 1, bits: 0, name: String::new() }).unwrap_err();
    assert_eq!(error.to_string(), "Value: tag 1 belongs to another arm");
    let error = xdr_core::to_vec(&Value::Other { tag: 2 }).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TagOfAnotherArm(2));
    let error = xdr_core::from_slice::<Maybe>(&bytes(&[2])).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::InvalidBool(2));
    let error = xdr_core::from_slice::<ByState>(&bytes(&[7])).unwrap_err();
    assert_eq!(error.to_string(), "ByState: enum has no value 7, at byte 0");
}

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

#[test]
fn a_list_is_a_chain_of_optional_data() {
    let value = Listing {
        entries: vec![Entry { id: 1, name: "a".into() }, Entry { id: 2, name: String::new() }],
        words: vec![7, 8],
        texts: vec!["x".into()],
        eof: true,
    };
    let mut wire = bytes(&[1, 0, 1, 1]);
    wire.extend(b"a\0\0\0");
    wire.extend(bytes(&[1, 0, 2, 0, 0, 1, 7, 1, 8, 0, 1, 1]));
    wire.extend(b"x\0\0\0");
    wire.extend(bytes(&[0, 1]));
    both_ways(&value, &wire);

    let long = Listing { words: vec![1; 4], ..value };
    let error = xdr_core::to_vec(&long).unwrap_err();
    assert_eq!(error.to_string(), "Listing.words: list of 4 nodes is longer than its maximum 3");
    let error = xdr_core::from_slice::<Listing>(&bytes(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0])).unwrap_err();
    assert_eq!(error.path, "Listing.words");
    assert_eq!(error.kind, DecodeErrorKind::TooLong { what: Lengthy::List, len: 4, max: 3 });
}

#[derive(Debug, PartialEq, Xdr)]
struct Borrowed<'a> {
    #[xdr(max = 8)]
    name: &'a str,
    #[xdr(max = 8)]
    blob: &'a [u8],
    #[xdr(max = 8)]
    text: Cow<'a, str>,
    #[xdr(max = 2, item(max = 8))]
    names: Vec<&'a str>,
    #[xdr(max = 2)]
    words: &'a [[u8; 4]],
}

#[test]
fn borrowed_fields_point_into_the_input() {
    let words = [[0, 0, 0, 7], [0, 0, 1, 0]];
    let value = Borrowed { name: "ab", blob: &[1], text: "c".into(), names: vec!["d"], words: &words };
    let wire = xdr_core::to_vec(&value).unwrap();
    let back: Borrowed<'_> = xdr_core::from_slice(&wire).unwrap();
    assert_eq!(back, value);
    assert!(matches!(back.text, Cow::Borrowed(_)));
    assert_eq!(back.name.as_ptr(), wire[4..].as_ptr());
    assert_eq!(wire[wire.len() - 12..], bytes(&[2, 7, 256]));
    assert_eq!(back.words.as_ptr().cast(), wire[wire.len() - 8..].as_ptr());

    let (mut three, mut cut) = (wire.clone(), wire.clone());
    let count = wire.len() - 12;
    three[count + 3] = 3;
    three.extend([0; 4]);
    let error = xdr_core::from_slice::<Borrowed<'_>>(&three).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TooLong { what: Lengthy::Array, len: 3, max: 2 });
    assert_eq!((error.offset, error.path.as_str()), (count, "Borrowed.words"));
    cut.truncate(wire.len() - 4);
    let error = xdr_core::from_slice::<Borrowed<'_>>(&cut).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::CountBeyondInput { count: 2, remaining: 4 });
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Page<T, const N: usize> {
    #[xdr(max = N)]
    items: Vec<T>,
    #[xdr(max = N + 1)]
    more: Vec<T>,
    one: T,
}

#[test]
fn generic_types_take_their_bounds_from_constants() {
    let value = Page::<u32, 1> { items: vec![1], more: vec![2, 3], one: 4 };
    both_ways(&value, &bytes(&[1, 1, 2, 2, 3, 4]));
    let error = xdr_core::to_vec(&Page::<u32, 1> { items: vec![1, 2], more: vec![], one: 4 }).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TooLong { what: Lengthy::Array, len: 2, max: 1 });
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Tree {
    value: u32,
    left: Option<Box<Tree>>,
    #[xdr(max = 4, recursive)]
    children: Vec<Tree>,
}

#[test]
fn recursive_types_end_at_the_depth_limit() {
    let leaf = Tree { value: 1, left: None, children: vec![] };
    let value = Tree { value: 2, left: Some(Box::new(leaf.clone())), children: vec![leaf] };
    both_ways(&value, &bytes(&[2, 1, 1, 0, 0, 1, 1, 0, 0]));
    let wire = xdr_core::to_vec(&value).unwrap();
    let tight = |depth| xdr_core::from_slice_with::<Tree>(&wire, Limits::default().with_depth(depth));
    // A box or an array is one level, and the array inside it another.
    assert!(tight(2).is_ok());
    let error = tight(1).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::DepthLimit { limit: 1 });
    assert_eq!(error.path, "Tree.left.children");
}

#[test]
fn errors_name_the_field_the_limit_and_the_byte() {
    let long = Named {
        before: 1,
        name: "much too long".into(),
        uuid: [0; 16],
        after: true,
        names: vec![],
        slots: Default::default(),
        blob: Bytes::new(),
        ids: vec![],
        cached: 0,
        description: None,
        last: (0, None),
    };
    let error = xdr_core::to_vec(&long).unwrap_err();
    assert_eq!(error.to_string(), "Named.name: string of 13 bytes is longer than its maximum 8");
    let deep = Named { name: "ok".into(), names: vec!["a".into(), "0123456789abcdefg".into()], ..long.clone() };
    let error = xdr_core::to_vec(&deep).unwrap_err();
    assert_eq!(error.to_string(), "Named.names[1]: string of 17 bytes is longer than its maximum 16");
    let slot = Named { name: "ok".into(), slots: [vec![0; 4], vec![0; 5]], ..long.clone() };
    let error = xdr_core::to_vec(&slot).unwrap_err();
    assert_eq!(error.to_string(), "Named.slots[1]: opaque of 5 bytes is longer than its maximum 4");

    let good = Named { name: "ok".into(), last: (0, Some(Box::new(5))), ..long };
    let wire = xdr_core::to_vec(&good).unwrap();
    let changed = |offset: usize, byte: u8| {
        let mut wire = wire.clone();
        wire[offset] = byte;
        xdr_core::from_slice::<Named>(&wire).unwrap_err().to_string()
    };
    assert_eq!(changed(7, 9), "Named.name: string of 9 bytes is longer than its maximum 8, at byte 4");
    assert_eq!(changed(8, 0xff), "Named.name: string is not UTF-8, at byte 8");
    assert_eq!(changed(11, 1), "Named.name: padding is not zero, at byte 11");
    assert_eq!(changed(31, 2), "Named.after: bool is 2, neither 0 nor 1, at byte 28");
    assert_eq!(changed(35, 3), "Named.names: array of 3 elements is longer than its maximum 2, at byte 32");
    assert_eq!(
        changed(wire.len() - 5, 2),
        format!("Named.last.1: optional-data flag is 2, neither 0 nor 1, at byte {}", wire.len() - 8)
    );
    let error = xdr_core::from_slice::<Named>(&wire[..10]).unwrap_err();
    assert_eq!(error.to_string(), "Named.name: input ends, at least 2 bytes are missing, at byte 8");
}

#[test]
fn what_is_too_long_is_the_same_error_however_it_is_encoded() {
    let good = Named {
        before: 1,
        name: "é".into(),
        uuid: [7; 16],
        after: true,
        names: vec!["x".repeat(16), String::new()],
        slots: [vec![1, 2, 3], vec![]],
        blob: Bytes::from_static(&[4]),
        ids: vec![5],
        cached: 0,
        description: Some("ab".into()),
        last: (-2, Some(Box::new(3))),
    };
    let broken: [fn(&mut Named); 8] = [
        |named| named.name = "x".repeat(9),
        |named| named.names.push(String::new()),
        |named| named.names[1] = "x".repeat(17),
        |named| named.slots[1] = vec![0; 5],
        |named| named.blob = Bytes::from_static(&[0; 6]),
        |named| named.ids = vec![0; 4],
        |named| (named.blob, named.ids) = (Bytes::from_static(&[0; 6]), vec![0; 4]),
        |named| named.description = Some("x".repeat(5)),
    ];
    for (number, breaks) in broken.into_iter().enumerate() {
        let mut named = good.clone();
        breaks(&mut named);
        let error = xdr_core::to_vec(&named).unwrap_err();
        assert!(matches!(error.kind, EncodeErrorKind::TooLong { .. }), "{number}: {error}");
        let mut space = vec![0; xdr_core::encoded_len(&named)];
        assert_eq!(xdr_core::encode_to_slice(&named, &mut space), Err(error), "{number}");
    }
}

#[test]
fn an_encode_that_fails_leaves_the_buffer_as_long_as_it_was() {
    let mut buffer = xdr_core::BytesMut::from(&b"kept"[..]);
    xdr_core::encode_into(&Tuple(1, "too long".into()), &mut buffer).unwrap_err();
    assert_eq!(&buffer[..], b"kept");
}

#[test]
fn small_integers_are_checked_words() {
    both_ways(&-1_i8, &bytes(&[u32::MAX]));
    both_ways(&u16::MAX, &bytes(&[65535]));
    both_ways(&i16::MIN, &bytes(&[(-32768_i32) as u32]));
    assert_eq!(xdr_core::from_slice::<i8>(&bytes(&[128])).unwrap_err().kind, DecodeErrorKind::OutOfRange(128));
}

/// Whole seconds on the wire, a duration in Rust.
mod seconds {
    use std::time::Duration;

    pub(crate) type Wire = u32;

    pub(crate) fn to_wire(duration: &Duration) -> u32 {
        u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
    }

    pub(crate) fn from_wire(wire: u32) -> Option<Duration> {
        (wire != u32::MAX).then(|| Duration::from_secs(wire.into()))
    }
}

fn is_even(number: &u32) -> bool {
    number.is_multiple_of(2)
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

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Checked {
    #[xdr(max = 4)]
    name: String,
    #[xdr(with = seconds)]
    timeout: std::time::Duration,
    #[xdr(validate = is_even)]
    count: u32,
    range: Range,
    #[xdr(max = 2)]
    ranges: Vec<Range>,
}

#[test]
fn what_a_function_refuses_is_neither_encoded_nor_decoded() {
    let value = Checked {
        name: "a".into(),
        timeout: std::time::Duration::from_secs(7),
        count: 8,
        range: Range { low: 1, high: 2 },
        ranges: vec![Range { low: 3, high: 3 }, Range { low: 4, high: 5 }],
    };
    let wire = [&bytes(&[1])[..], b"a\0\0\0", &bytes(&[7, 8, 1, 2, 2, 3, 3, 4, 5])].concat();
    both_ways(&value, &wire);

    let refused = |offset: usize, byte: u8| {
        let mut wire = wire.clone();
        wire[offset] = byte;
        xdr_core::from_slice::<Checked>(&wire).unwrap_err().to_string()
    };
    assert_eq!(refused(15, 9), "Checked.count: value is rejected by is_even, at byte 12");
    assert_eq!(refused(19, 9), "Checked.range: value is rejected by is_ordered, at byte 16");
    assert_eq!(refused(39, 9), "Checked.ranges[1]: value is rejected by is_ordered, at byte 36");
    let mut never = wire.clone();
    never[8..12].fill(0xff);
    let error = xdr_core::from_slice::<Checked>(&never).unwrap_err();
    assert_eq!(error.to_string(), "Checked.timeout: value is rejected by seconds, at byte 8");

    let refused = |value: &Checked| {
        let error = xdr_core::to_vec(value).unwrap_err();
        let mut space = vec![0; xdr_core::encoded_len(value)];
        assert_eq!(xdr_core::encode_to_slice(value, &mut space).unwrap_err(), error);
        error.to_string()
    };
    assert_eq!(refused(&Checked { count: 9, ..value.clone() }), "Checked.count: value is rejected by is_even");
    let range = Range { low: 9, high: 2 };
    assert_eq!(
        refused(&Checked { range: range.clone(), ..value.clone() }),
        "Checked.range: value is rejected by is_ordered"
    );
    let ranges = vec![Range { low: 1, high: 1 }, range];
    assert_eq!(refused(&Checked { ranges, ..value }), "Checked.ranges[1]: value is rejected by is_ordered");
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(bound(T: xdr_core::EncodeBounded<xdr_core::Max<xdr_core::Len<4>>> + for<'a> xdr_core::DecodeBounded<'a, xdr_core::Max<xdr_core::Len<4>>>))]
struct Bounded<T> {
    #[xdr(max = 4)]
    value: T,
}

#[test]
fn the_conditions_of_a_generic_type_can_be_given() {
    both_ways(&Bounded { value: "abc".to_owned() }, &[&bytes(&[3])[..], b"abc\0"].concat());
    both_ways(&Bounded { value: vec![1_u32] }, &bytes(&[1, 1]));
}

#[test]
fn text_that_is_not_utf8_has_types_of_its_own() {
    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Names<'a> {
        #[xdr(max = 4)]
        borrowed: xdr_core::XdrStr<'a>,
        #[xdr(max = 4)]
        owned: xdr_core::XdrString,
        #[xdr(max = 2, item(max = 4))]
        many: Vec<xdr_core::XdrString>,
    }
    let value = Names {
        borrowed: xdr_core::XdrStr(&[0xff]),
        owned: xdr_core::XdrString(vec![0xfe, 0]),
        many: vec!["ab".into()],
    };
    let wire = xdr_core::to_vec(&value).unwrap();
    assert_eq!(wire, [&bytes(&[1, 0xff00_0000, 2, 0xfe00_0000, 1, 2])[..], b"ab\0\0"].concat());
    assert_eq!(xdr_core::from_slice::<Names<'_>>(&wire).unwrap(), value);
}

#[test]
fn quadruple_and_unsigned_char_are_what_c_sends() {
    both_ways(&xdr_core::UChar(255), &bytes(&[255]));
    assert_eq!(
        xdr_core::from_slice::<xdr_core::UChar>(&bytes(&[256])).unwrap_err().kind,
        DecodeErrorKind::OutOfRange(256)
    );
    both_ways(&xdr_core::Quadruple([7; 16]), &[7; 16]);
}

#[test]
fn padding_may_be_anything_where_the_limits_say_so() {
    let limits = Limits::default().with_lenient_padding(true);
    let wire = [&bytes(&[7, 1])[..], b"a\x01\x02\x03"].concat();
    assert!(xdr_core::from_slice::<Tuple>(&wire).is_err());
    assert_eq!(xdr_core::from_slice_with::<Tuple>(&wire, limits).unwrap(), Tuple(7, "a".into()));
    assert_eq!(xdr_core::from_slice_with::<[u8; 1]>(&[1, 9, 9, 9], limits).unwrap(), [1]);
}

macro_rules! wide {
    ($name:ident: $($field:ident)+) => {
        #[derive(Debug, Clone, PartialEq, Xdr)]
        struct $name {
            first: u32,
            #[xdr(max = 4)]
            name: String,
            $($field: u32,)+
            #[xdr(max = 4)]
            text: Option<String>,
            behind: u32,
            #[xdr(max = 2)]
            ids: Vec<i32>,
            last: u64,
        }

        impl $name {
            fn example() -> (Self, Vec<u8>) {
                let (name, text, ids) = ("abc".into(), Some("x".into()), vec![3]);
                let value = Self { first: 1, name, $($field: stringify!($field).len() as u32,)+ text, behind: 2, ids, last: 4 };
                let between = bytes(&[$(stringify!($field).len() as u32),+]);
                (value, [&bytes(&[1, 3])[..], b"abc\0", &between, &bytes(&[1, 1]), b"x\0\0\0", &bytes(&[2, 1, 3, 0, 4])].concat())
            }
        }
    };
}

// Names of several lengths, so that no two neighbours have the same value.
wide! { Fields16: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 }
wide! { Fields17: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 a12 }
wide! { Fields40: a2 a003 a4 a005 a6 a007 a8 a009 a10 a0011 a12 a0013 a14 a0015 a16 a0017 a18 a0019 a20 a0021 a22 a0023 a24
a0025 a26 a0027 a28 a0029 a30 a0031 a32 a0033 a34 a0035 }

/// The runs of the first 16 are found in another way than those of the rest.
#[test]
fn structs_of_16_fields_and_of_more_are_their_fields_in_order() {
    let (value, wire) = Fields16::example();
    both_ways(&value, &wire);
    let (value, wire) = Fields17::example();
    both_ways(&value, &wire);
    let (value, wire) = Fields40::example();
    both_ways(&value, &wire);
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
