//! Every shape against Python's xdrlib, an implementation that shares nothing with ours.
//!
//! `interop/shapes.py` says how it is spoken to. The shapes are told to it out of our own schemas.
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fastrand::Rng;
use serde_json::{Value, json};
use xdr_core::{Arm, Bytes, DecodeErrorKind, DecodeOwned, Encode, Field, Schema, Shape, from_slice, to_vec};
use xdr_tests::every_shape::{
    ByBool, ByInt, ByNumber, ByState, Code, Everything, KIND_NOTHING, Lengths, Links, NAME_MAX, Name, Nothing, Page,
    State, Tree, Words,
};
use xdr_tests::foreign_tool::{missing, require};

const SHAPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/shapes.py");

/// Printed by every failure, and changed by nobody: the values are the same in every run.
const SEED: u64 = 4506;

// ---- the foreign side ----

struct Xdrlib {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Xdrlib {
    fn start() -> Option<Self> {
        let python = require("python3")?;
        let checked = Command::new(&python).args([SHAPES, "--self-test"]).output().unwrap();
        if checked.status.code() == Some(77) {
            missing("this python3 has no xdrlib, which Python 3.13 removed");
            return None;
        }
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let mut process =
            Command::new(python).arg(SHAPES).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self { process, requests, answers })
    }

    fn ask(&mut self, request: &Value) -> Value {
        // One write, not one a token.
        self.requests.as_mut().unwrap().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in answer {answer:?} to {request}"))
    }

    fn pack(&mut self, shape: &Value, value: &Value) -> Value {
        self.ask(&json!({ "shape": shape, "value": value }))
    }

    fn unpack(&mut self, shape: &Value, wire: &[u8]) -> Value {
        self.ask(&json!({ "shape": shape, "hex": hex(wire) }))
    }
}

impl Drop for Xdrlib {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.process.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A schema in the words of `shapes.py`. Types that hold themselves are unrolled to this depth; what is
/// deeper is answered with the error `request`.
fn shape_of(schema: &Schema, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return json!("too deep") };
    let fields = |fields: &[Field]| match fields {
        [] => json!("void"),
        [Field { name: "", schema, .. }] => shape_of(schema(), depth),
        fields => {
            let fields: Vec<_> =
                fields.iter().map(|field| json!([field.name, shape_of((field.schema)(), depth)])).collect();
            json!({ "struct": fields })
        }
    };
    match schema.shape {
        Shape::Void => json!("void"),
        Shape::Char | Shape::Short | Shape::Int | Shape::Enum { other: true, .. } => json!("int"),
        Shape::UnsignedShort | Shape::UnsignedInt => json!("uint"),
        Shape::Hyper => json!("hyper"),
        Shape::UnsignedHyper => json!("uhyper"),
        Shape::Float => json!("float"),
        Shape::Double => json!("double"),
        Shape::Bool => json!("bool"),
        Shape::FixedOpaque(len) => json!({ "opaque_fixed": len }),
        Shape::Opaque { max } => json!({ "opaque": max }),
        Shape::String { max, .. } => json!({ "string": max }),
        Shape::FixedArray { len, item } => json!({ "fixed_array": [shape_of(item(), depth), len] }),
        Shape::Array { max, item } => json!({ "array": [shape_of(item(), depth), max] }),
        Shape::List { max, item } => json!({ "list": [shape_of(item(), depth), max] }),
        Shape::Optional(inner) => json!({ "optional": shape_of(inner(), depth) }),
        Shape::Struct { fields: &[] } => json!("void"),
        Shape::Struct { fields: of_struct } => {
            let fields: Vec<_> =
                of_struct.iter().map(|field| json!([field.name, shape_of((field.schema)(), depth)])).collect();
            json!({ "struct": fields })
        }
        Shape::Enum { values, .. } => {
            let values: Vec<_> = values.iter().map(|value| value.value).collect();
            json!({ "enum": values })
        }
        Shape::Union { switch, arms, default } => {
            let labelled = |arm: &Arm| json!([arm.labels, fields(arm.fields)]);
            let arms: Vec<_> = arms.iter().map(labelled).collect();
            let default = default.map(|arm| fields(arm.fields));
            json!({ "union": { "switch": shape_of(switch(), depth), "arms": arms, "default": default } })
        }
        Shape::Typedef(inner) => shape_of(inner(), depth),
        shape => panic!("no word for {shape:?}"),
    }
}

// ---- random values, and what they are in JSON ----

/// How often a value may hold one of its own type.
const NESTING: usize = 3;

/// Enough for such values: `Everything`, array, `ByInt`, and an optional and a `Tree` for each level.
const SHAPE_DEPTH: usize = 5 + 2 * (NESTING + 1);

trait Sample: Sized {
    fn random(rng: &mut Rng, nesting: usize) -> Self;
    fn json(&self) -> Value;
}

macro_rules! integer_samples {
    ($($integer:ident)+) => {$(
        impl Sample for $integer {
            fn random(rng: &mut Rng, _: usize) -> Self {
                *rng.choice(&[0, 1, <$integer>::MIN, <$integer>::MAX, rng.clone().$integer(..)]).unwrap()
            }
            fn json(&self) -> Value {
                json!(self)
            }
        }
    )+};
}
integer_samples! { i8 i16 u16 i32 u32 i64 u64 }

/// Floating point travels as its bits, so that no NaN is lost.
macro_rules! float_samples {
    ($($float:ident $bits:ident $digits:literal;)+) => {$(
        impl Sample for $float {
            fn random(rng: &mut Rng, nesting: usize) -> Self {
                let special = [0.0, -0.0, 1.5, $float::MIN_POSITIVE / 2.0, $float::INFINITY, $float::NAN];
                *rng.choice(&special).filter(|_| rng.bool()).unwrap_or(&$float::from_bits($bits::random(rng, nesting)))
            }
            fn json(&self) -> Value {
                json!(format!("{:0digits$x}", self.to_bits(), digits = $digits))
            }
        }
    )+};
}
float_samples! { f32 u32 8; f64 u64 16; }

impl Sample for bool {
    fn random(rng: &mut Rng, _: usize) -> Self {
        rng.bool()
    }
    fn json(&self) -> Value {
        json!(self)
    }
}

impl Sample for () {
    fn random(_: &mut Rng, _: usize) -> Self {}
    fn json(&self) -> Value {
        Value::Null
    }
}

fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(0..=NAME_MAX)).map(|_| rng.u8(..)).collect()
}

macro_rules! opaque_samples {
    ($($opaque:ty, |$rng:ident| $random:expr;)+) => {$(
        impl Sample for $opaque {
            fn random($rng: &mut Rng, _: usize) -> Self {
                $random
            }
            fn json(&self) -> Value {
                json!(hex(self))
            }
        }
    )+};
}
opaque_samples! {
    [u8; 5], |rng| std::array::from_fn(|_| rng.u8(..));
    Vec<u8>, |rng| random_bytes(rng);
    Bytes, |rng| random_bytes(rng).into();
}

impl Sample for String {
    fn random(rng: &mut Rng, _: usize) -> Self {
        let longest = rng.usize(0..=NAME_MAX);
        let mut text = Self::new();
        loop {
            let letter =
                *rng.choice(&['a', '\0', '"', '\\', '\n', 'é', '\u{ffff}', '🦀', rng.clone().char(..)]).unwrap();
            if text.len() + letter.len_utf8() > longest {
                return text;
            }
            text.push(letter);
        }
    }
    fn json(&self) -> Value {
        json!(self)
    }
}

impl Sample for Box<str> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        String::random(rng, nesting).into()
    }
    fn json(&self) -> Value {
        json!(self)
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        let most = if nesting == 0 { 0 } else { 2 };
        (0..rng.usize(0..=most)).map(|_| T::random(rng, nesting - 1)).collect()
    }
    fn json(&self) -> Value {
        self.iter().map(T::json).collect()
    }
}

impl<T: Sample> Sample for Box<[T]> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        Vec::random(rng, nesting).into()
    }
    fn json(&self) -> Value {
        self.iter().map(T::json).collect()
    }
}

impl<T: Sample, const N: usize> Sample for [T; N] {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        std::array::from_fn(|_| T::random(rng, nesting))
    }
    fn json(&self) -> Value {
        self.iter().map(T::json).collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        (nesting > 0 && rng.bool()).then(|| T::random(rng, nesting - 1))
    }
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, |value| json!([value.json()]))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        Self::new(T::random(rng, nesting))
    }
    fn json(&self) -> Value {
        T::json(self)
    }
}

impl<T: Sample, E: Sample> Sample for Result<T, E> {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        if rng.bool() { Ok(T::random(rng, nesting)) } else { Err(E::random(rng, nesting)) }
    }
    fn json(&self) -> Value {
        match self {
            Ok(value) => arm(0, value.json()),
            Err(error) => arm(1, error.json()),
        }
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        (A::random(rng, nesting), B::random(rng, nesting))
    }
    fn json(&self) -> Value {
        json!({ "0": self.0.json(), "1": self.1.json() })
    }
}

fn arm(tag: impl Into<Value>, value: Value) -> Value {
    json!({ "tag": tag.into(), "value": value })
}

macro_rules! struct_samples {
    ($([$($generics:tt)*] $type:ty { $($field:ident),* } $({ $skipped:ident })?;)+) => {$(
        impl<$($generics)*> Sample for $type {
            fn random(rng: &mut Rng, nesting: usize) -> Self {
                Self { $($field: Sample::random(rng, nesting),)* $($skipped: Default::default(),)? }
            }
            fn json(&self) -> Value {
                json!({ $(stringify!($field): self.$field.json()),* })
            }
        }
    )+};
}
struct_samples! {
    [] Words { int, unsigned, hyper, unsigned_hyper, float, double, flag, char, short, unsigned_short, void, pair };
    [] Lengths {
        fixed_opaque, opaque, shared, text, boxed_text, endless, ints, hypers, texts, rows, fixed, fixed_texts
    } { cached };
    [] Links { optional, optional_text, boxed, tree, list, texts, result };
    [] Tree { value, left, children };
    [T: Sample, const N: usize] Page<T, N> { items, more };
    [] Everything { words, lengths, links, nothing, state, code, by_number, by_int, by_state, by_bool, page };
}

impl Sample for Name {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        Self(String::random(rng, nesting))
    }
    fn json(&self) -> Value {
        self.0.json()
    }
}

impl Sample for Nothing {
    fn random(_: &mut Rng, _: usize) -> Self {
        Self
    }
    fn json(&self) -> Value {
        Value::Null
    }
}

impl Sample for State {
    fn random(rng: &mut Rng, _: usize) -> Self {
        *rng.choice(&[Self::Running, Self::Paused, Self::Stopped]).unwrap()
    }
    fn json(&self) -> Value {
        json!(match self {
            Self::Running => 1,
            Self::Paused => 2,
            Self::Stopped => -3,
        })
    }
}

impl Sample for Code {
    fn random(rng: &mut Rng, _: usize) -> Self {
        match rng.i32(..) {
            value @ (42 | 43) => Self::Other(value ^ i32::MIN),
            value => *rng.choice(&[Self::NoDomain, Self::NoNetwork, Self::Other(value)]).unwrap(),
        }
    }
    fn json(&self) -> Value {
        json!(match self {
            Self::NoDomain => 42,
            Self::NoNetwork => 43,
            Self::Other(value) => *value,
        })
    }
}

impl Sample for ByNumber {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        match rng.u8(0..4) {
            0 => Self::Int(i32::random(rng, nesting)),
            1 => Self::Flag {
                tag: *rng.choice(&[2, u32::MAX]).unwrap(),
                bits: u32::random(rng, nesting),
                name: String::random(rng, nesting),
            },
            2 => Self::Nothing,
            _ => Self::Other(rng.u32(10..u32::MAX), u64::random(rng, nesting)),
        }
    }
    fn json(&self) -> Value {
        match self {
            Self::Int(value) => arm(1, value.json()),
            Self::Flag { tag, bits, name } => arm(*tag, json!({ "bits": bits, "name": name })),
            Self::Nothing => arm(KIND_NOTHING, Value::Null),
            Self::Other(tag, value) => arm(*tag, value.json()),
        }
    }
}

impl Sample for ByInt {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        if rng.bool() { Self::Below(Tree::random(rng, nesting)) } else { Self::Above(Vec::random(rng, nesting)) }
    }
    fn json(&self) -> Value {
        match self {
            Self::Below(tree) => arm(-1, tree.json()),
            Self::Above(items) => arm(1, items.json()),
        }
    }
}

impl Sample for ByState {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        match State::random(rng, nesting) {
            State::Running => Self::Running { pid: u32::random(rng, nesting) },
            state => Self::Idle(state),
        }
    }
    fn json(&self) -> Value {
        match self {
            Self::Running { pid } => arm(1, json!({ "pid": pid })),
            Self::Idle(state) => arm(state.json(), Value::Null),
        }
    }
}

impl Sample for ByBool {
    fn random(rng: &mut Rng, nesting: usize) -> Self {
        if rng.bool() { Self::Yes(Name::random(rng, nesting)) } else { Self::No }
    }
    fn json(&self) -> Value {
        match self {
            Self::Yes(name) => arm(true, name.json()),
            Self::No => arm(false, Value::Null),
        }
    }
}

// ---- the comparison ----

/// The same value is the same bytes on both sides, and comes back out of them on both.
fn agree<T: Sample + Encode + DecodeOwned + Debug>(xdrlib: &mut Xdrlib, rng: &mut Rng, count: usize) {
    let shape = shape_of(<T as Encode>::schema(), SHAPE_DEPTH);
    for round in 0..count {
        let value = T::random(rng, NESTING);
        let place = || format!("seed {SEED}, {} number {round}: {value:?}", <T as Encode>::schema().name);
        let wire = to_vec(&value).unwrap_or_else(|error| panic!("{error}, {}", place()));
        assert_eq!(xdrlib.pack(&shape, &value.json()), json!({ "hex": hex(&wire) }), "packed, {}", place());
        assert_eq!(xdrlib.unpack(&shape, &wire), json!({ "value": value.json() }), "unpacked, {}", place());
        let back = from_slice::<T>(&wire).unwrap_or_else(|error| panic!("{error}, {}", place()));
        assert_eq!(back.json(), value.json(), "decoded, {}", place());
        assert_eq!(to_vec(&back).unwrap(), wire, "encoded again, {}", place());
    }
}

#[test]
fn python_packs_and_unpacks_every_shape_as_we_do() {
    let Some(mut xdrlib) = Xdrlib::start() else { return };
    let rng = &mut Rng::with_seed(SEED);
    agree::<Words>(&mut xdrlib, rng, 300);
    agree::<Lengths>(&mut xdrlib, rng, 500);
    agree::<Links>(&mut xdrlib, rng, 500);
    agree::<Tree>(&mut xdrlib, rng, 200);
    agree::<State>(&mut xdrlib, rng, 20);
    agree::<Code>(&mut xdrlib, rng, 20);
    agree::<ByNumber>(&mut xdrlib, rng, 300);
    agree::<ByInt>(&mut xdrlib, rng, 200);
    agree::<ByState>(&mut xdrlib, rng, 50);
    agree::<ByBool>(&mut xdrlib, rng, 50);
    agree::<Page<ByNumber, 3>>(&mut xdrlib, rng, 200);
    agree::<Result<Option<Words>, Page<Name, 2>>>(&mut xdrlib, rng, 200);
    agree::<Everything>(&mut xdrlib, rng, 500);
}

/// What `shapes.py` calls our error; none where it may well come to another conclusion.
fn kind_in_python(kind: DecodeErrorKind) -> Option<&'static str> {
    match kind {
        DecodeErrorKind::TooLong { .. } => Some("bound"),
        DecodeErrorKind::NonZeroPadding => Some("padding"),
        DecodeErrorKind::InvalidBool(_) => Some("bool"),
        DecodeErrorKind::InvalidOptionFlag(_) => Some("optional"),
        DecodeErrorKind::UnknownEnumValue(_) => Some("enum"),
        DecodeErrorKind::UnknownDiscriminant(_) => Some("union"),
        DecodeErrorKind::InvalidUtf8 => Some("utf8"),
        DecodeErrorKind::TrailingBytes { .. } => Some("trailing"),
        // We see the end of the input before we look at the words before it.
        _ => None,
    }
}

/// Bytes that were changed are refused by both sides, for the same reason, or are the same value to both.
fn disagree_alike<T: Sample + Encode + DecodeOwned + Debug>(xdrlib: &mut Xdrlib, rng: &mut Rng, count: usize) -> usize {
    let shape = shape_of(<T as Encode>::schema(), SHAPE_DEPTH);
    let mut refused = 0;
    for round in 0..count {
        let mut wire = to_vec(&T::random(rng, NESTING)).unwrap();
        match rng.u8(0..6) {
            0 => wire.truncate(rng.usize(0..=wire.len())),
            1 => wire.extend((0..rng.usize(1..=4)).map(|_| 0)),
            _ if wire.is_empty() => {}
            _ => {
                let index = rng.usize(0..wire.len());
                wire[index] = *rng.choice(&[0, 1, 2, 0xff, wire[index] ^ 1, rng.clone().u8(..)]).unwrap();
            }
        }
        let theirs = xdrlib.unpack(&shape, &wire);
        let place =
            || format!("seed {SEED}, {} number {round}: {}, theirs {theirs}", <T as Encode>::schema().name, hex(&wire));
        match from_slice::<T>(&wire) {
            // A change can make a value that is deeper than the shape.
            _ if theirs["error"] == "request" => {}
            Ok(value) => assert_eq!(theirs, json!({ "value": value.json() }), "{}", place()),
            // They know no integers that are smaller than a word.
            Err(error) if matches!(error.kind, DecodeErrorKind::OutOfRange(_)) => {}
            Err(error) => {
                refused += 1;
                let kind = theirs["error"].as_str().unwrap_or_else(|| panic!("we refuse: {error}, {}", place()));
                assert_eq!(kind_in_python(error.kind).unwrap_or(kind), kind, "we refuse: {error}, {}", place());
            }
        }
    }
    refused
}

#[test]
fn python_refuses_changed_bytes_as_we_do() {
    let Some(mut xdrlib) = Xdrlib::start() else { return };
    let rng = &mut Rng::with_seed(SEED);
    let refused = disagree_alike::<Words>(&mut xdrlib, rng, 200)
        + disagree_alike::<Lengths>(&mut xdrlib, rng, 1000)
        + disagree_alike::<Links>(&mut xdrlib, rng, 1000)
        + disagree_alike::<ByNumber>(&mut xdrlib, rng, 300)
        + disagree_alike::<ByInt>(&mut xdrlib, rng, 300)
        + disagree_alike::<ByState>(&mut xdrlib, rng, 100)
        + disagree_alike::<Everything>(&mut xdrlib, rng, 300);
    assert!(refused > 500, "only {refused} were refused");
}
