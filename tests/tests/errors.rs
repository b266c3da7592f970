//! Errors name the field that is to blame, and not its neighbour.

use xdr_core::{
    Bytes, Decode, DecodeErrorKind, DecodeFault, Limits, Reader, Schema, Wire, Xdr, from_slice, from_slice_with, to_vec,
};

/// Each field but the last costs four bytes of heap for its content.
#[derive(Debug, Xdr)]
struct Costly {
    number: u32,
    #[xdr(max = 8)]
    text: String,
    #[xdr(max = 8)]
    opaque: Vec<u8>,
    #[xdr(max = 8)]
    shared: Bytes,
    #[xdr(max = 8)]
    boxed: Box<str>,
    #[xdr(max = 8)]
    words: Vec<u32>,
    last: u32,
}

#[track_caller]
fn stops_at<'de, T: Decode<'de> + std::fmt::Debug>(wire: &'de [u8], heap: usize, expected: &str) {
    let error = from_slice_with::<T>(wire, Limits::default().with_heap(heap)).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::HeapLimit { limit: heap });
    assert_eq!(format!("{} at {}", error.path, error.offset), expected, "{heap} bytes");
}

#[test]
fn the_heap_limit_is_told_of_the_field_that_asks_for_more() {
    let costly = Costly {
        number: 7,
        text: "abcd".into(),
        opaque: vec![1; 4],
        shared: Bytes::from_static(&[2; 4]),
        boxed: "efgh".into(),
        words: vec![9],
        last: 8,
    };
    let wire = to_vec(&costly).unwrap();
    let fields = ["text at 4", "opaque at 12", "shared at 20", "boxed at 28", "words at 36"];
    for (heap, field) in (3..).step_by(4).zip(fields) {
        stops_at::<Costly>(&wire, heap, &format!("Costly.{field}"));
    }
    assert!(from_slice_with::<Costly>(&wire, Limits::default().with_heap(20)).is_ok());
}

/// What is last has nothing behind it that could be taken for it.
#[derive(Debug, Xdr)]
struct Names {
    #[xdr(max = 4, item(max = 8))]
    names: Vec<String>,
}

#[test]
fn the_heap_limit_is_told_of_the_last_element() {
    let wire = to_vec(&Names { names: vec!["abcd".into(), "efgh".into()] }).unwrap();
    let elements = 2 * size_of::<String>();
    stops_at::<Names>(&wire, elements - 1, "Names.names at 0");
    stops_at::<Names>(&wire, elements + 3, "Names.names[0] at 4");
    stops_at::<Names>(&wire, elements + 7, "Names.names[1] at 12");
}

/// A list whose room is given back when it is whole.
#[derive(Debug, Xdr)]
struct Boxed {
    before: u32,
    #[xdr(list, max = 9)]
    nodes: Box<[u32]>,
    behind: u32,
}

#[test]
fn the_heap_limit_is_told_of_a_list_that_gives_its_room_back() {
    let wire = to_vec(&Boxed { before: 1, nodes: [2, 3, 4].into(), behind: 5 }).unwrap();
    let room = 4 * size_of::<u32>();
    stops_at::<Boxed>(&wire, room - 1, "Boxed.nodes at 4");
    stops_at::<Boxed>(&wire, room, "Boxed.nodes at 4");
    assert!(from_slice_with::<Boxed>(&wire, Limits::default().with_heap(room + 12)).is_ok());
}

/// Flags without values cost a unit each.
#[derive(Debug, Xdr)]
struct Flags {
    #[xdr(list, max = 9)]
    flags: Vec<()>,
}

#[test]
fn the_heap_limit_is_told_of_the_flag_in_a_list_that_holds_nothing_else() {
    let wire = to_vec(&Flags { flags: vec![(), (), ()] }).unwrap();
    stops_at::<Flags>(&wire, 0, "Flags.flags at 0");
    stops_at::<Flags>(&wire, 1, "Flags.flags at 4");
}

fn is_short(text: &str) -> bool {
    text.len() < 4
}

fn is_lower_case(name: &Name) -> bool {
    name.text.chars().all(char::is_lowercase)
}

fn is_ascii(pair: &Pair) -> bool {
    pair.second.text.is_ascii()
}

/// A text that passes its own check, in a name that has another.
#[derive(Debug, Xdr)]
#[xdr(validate = is_lower_case)]
struct Name {
    #[xdr(max = 8, with = text, validate = is_short)]
    text: String,
}

/// Names that pass theirs, in a pair that has a third.
#[derive(Debug, Xdr)]
#[xdr(validate = is_ascii)]
struct Pair {
    first: u32,
    second: Name,
}

/// A text is not empty.
mod text {
    pub(crate) type Wire = String;

    #[expect(clippy::ptr_arg, reason = "it is called with what the field holds")]
    pub(crate) fn to_wire(text: &String) -> String {
        text.clone()
    }

    pub(crate) fn from_wire(wire: String) -> Option<String> {
        Some(wire).filter(|text| !text.is_empty())
    }
}

#[test]
fn a_value_is_rejected_by_the_check_that_it_fails_and_not_by_one_inside_that_it_passes() {
    let refused = |text: &str, expected: &str| {
        let mut wire = [&[0, 0, 0, 7, 0, 0, 0][..], &[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        wire.resize(wire.len().next_multiple_of(4), 0);
        assert_eq!(xdr_core::from_slice::<Pair>(&wire).unwrap_err().to_string(), expected, "{text}");
        let pair = Pair { first: 7, second: Name { text: text.into() } };
        // `from_wire` has no part in encoding.
        if !text.is_empty() {
            let encode = to_vec(&pair).unwrap_err().to_string();
            assert_eq!(Some(encode.as_str()), expected.split(", at").next(), "{text}");
        }
    };
    refused("", "Pair.second.text: value is rejected by text, at byte 4");
    refused("long", "Pair.second.text: value is rejected by is_short, at byte 4");
    refused("UP", "Pair.second: value is rejected by is_lower_case, at byte 4");
    refused("é", "Pair: value is rejected by is_ascii, at byte 0");
}

/// A chain of which each link has the same check, and all end at the same byte.
#[derive(Debug, Xdr)]
#[xdr(validate = Self::is_even)]
struct Link {
    value: u32,
    next: Option<Box<Self>>,
}

impl Link {
    const fn is_even(&self) -> bool {
        self.value.is_multiple_of(2)
    }
}

/// A chain behind a word, with a check of the same name.
#[derive(Debug, Xdr)]
#[xdr(validate = Self::is_even)]
struct Chain {
    length: u32,
    first: Link,
}

impl Chain {
    const fn is_even(&self) -> bool {
        self.length.is_multiple_of(2)
    }
}

#[test]
fn of_checks_of_one_name_the_one_that_fails_is_told() {
    let refused = |words: [u32; 7], expected: &str| {
        let wire: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        assert_eq!(xdr_core::from_slice::<Chain>(&wire).unwrap_err().to_string(), expected);
    };
    refused([9, 2, 1, 4, 1, 6, 0], "Chain: value is rejected by Self::is_even, at byte 0");
    refused([2, 9, 1, 4, 1, 6, 0], "Chain.first: value is rejected by Self::is_even, at byte 4");
    refused([2, 4, 1, 9, 1, 6, 0], "Chain.first.next: value is rejected by Self::is_even, at byte 12");
    refused([2, 4, 1, 6, 1, 9, 0], "Chain.first.next.next: value is rejected by Self::is_even, at byte 20");
}

fn is_even<T: Number>(value: &T) -> bool {
    value.number().is_multiple_of(2)
}

trait Number {
    fn number(&self) -> u32;
}

impl Number for u32 {
    fn number(&self) -> u32 {
        *self
    }
}

/// Values in values that begin and end where these do, each with the same check.
#[derive(Debug, Xdr)]
#[xdr(validate = is_even)]
struct Core {
    #[xdr(validate = is_even)]
    core: u32,
    #[xdr(skip)]
    number: u32,
}

#[derive(Debug, Xdr)]
#[xdr(validate = is_even)]
struct Shell {
    #[xdr(validate = is_even)]
    shell: Core,
    #[xdr(skip)]
    number: u32,
}

/// What is not checked lies between as well, and a tail before.
#[derive(Debug, Xdr)]
#[xdr(validate = is_even)]
struct Husk {
    #[xdr(max = 4)]
    text: String,
    husk: (Shell, ()),
    #[xdr(skip)]
    number: u32,
}

macro_rules! numbers {
    ($($type:ident)+) => {$(
        impl Number for $type {
            fn number(&self) -> u32 {
                self.number
            }
        }
    )+};
}

numbers! { Core Shell Husk }

#[test]
fn of_checks_of_one_name_around_one_byte_encoding_tells_the_one_that_fails() {
    // Each check sees another number: those of the husk, the shell's own, the shell's field, the core's own, its field.
    let refused = |husk, shell, core, value, expected: &str| {
        let core = Core { core: value, number: core };
        let value = Husk { text: "abc".into(), husk: (Shell { shell: core, number: shell }, ()), number: husk };
        assert_eq!(to_vec(&value).unwrap_err().to_string(), format!("{expected}: value is rejected by is_even"));
    };
    refused(1, 1, 1, 1, "Husk");
    refused(0, 1, 1, 1, "Husk.husk.0");
    refused(0, 0, 1, 1, "Husk.husk.0.shell");
    refused(0, 0, 0, 1, "Husk.husk.0.shell.core");
}

/// What decoding puts in makes the check of this one fail, and of nothing around it or in it.
#[derive(Debug)]
struct One(u32);

impl Default for One {
    fn default() -> Self {
        Self(1)
    }
}

#[derive(Debug, Xdr)]
#[xdr(validate = is_even)]
struct Odd<T> {
    odd: T,
    #[xdr(skip)]
    one: One,
}

impl<T> Number for Odd<T> {
    fn number(&self) -> u32 {
        self.one.0
    }
}

#[derive(Debug, Xdr)]
#[xdr(transparent)]
struct Even<T: Number>(#[xdr(validate = is_even)] T);

impl<T: Number> Number for Even<T> {
    fn number(&self) -> u32 {
        0
    }
}

#[derive(Debug, Xdr)]
enum Chosen<T: Number> {
    #[xdr(case = 0)]
    This(#[xdr(validate = is_even)] T),
}

#[test]
fn of_checks_of_one_name_around_one_value_decoding_tells_the_one_that_fails() {
    #[track_caller]
    fn refused<T: xdr_core::DecodeOwned + std::fmt::Debug>(wire: &[u32], expected: &str) {
        let wire: Vec<u8> = wire.iter().flat_map(|word| word.to_be_bytes()).collect();
        let error = xdr_core::from_slice::<T>(&wire).unwrap_err().to_string();
        assert_eq!(error, format!("{expected}, at byte {}", if wire.len() > 4 { 4 } else { 0 }));
    }
    refused::<Odd<Even<Even<u32>>>>(&[0], "Odd: value is rejected by is_even");
    refused::<Odd<Core>>(&[2], "Odd: value is rejected by is_even");
    refused::<(Odd<Odd<u32>>,)>(&[2], "tuple.0.odd: value is rejected by is_even");
    refused::<Odd<(Odd<Even<u32>>,)>>(&[2], "Odd.odd.0: value is rejected by is_even");
    refused::<Odd<Odd<Core>>>(&[1], "Odd.odd.odd.core: value is rejected by is_even");
    refused::<Chosen<Odd<Even<u32>>>>(&[0, 2], "Chosen.This: value is rejected by is_even");
}

/// A codec by hand that leaves the reading to a type with a check, and does not describe it.
#[derive(Debug)]
struct Delegated;

#[derive(Debug, Xdr)]
#[xdr(validate = never)]
struct Refused(u32);

const fn never(_: &Refused) -> bool {
    false
}

impl<'de> Decode<'de> for Delegated {
    const WIRE: Wire = Wire::fixed(4);
    const MAX_WIRE: Option<usize> = Some(4);

    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        <Refused as Decode>::decode(reader, run, after).map(|_| Self)
    }

    fn schema() -> &'static Schema {
        <u32 as Decode>::schema()
    }
}

#[derive(Debug, Xdr)]
struct Before(u64);

#[test]
fn a_check_that_is_not_described_is_told_of_where_its_value_begins() {
    let error = from_slice::<(Before, Delegated)>(&[0; 12]).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::Rejected { .. }), "{error}");
    assert_eq!(error.offset, 8);
}
