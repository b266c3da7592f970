//! The messages that the fuzz targets work on: every shape that the derives offer; and what the targets share.

pub mod agree; //  decoding in every way
pub mod script; // a fuzzer's bytes as steps
pub mod stream; // records, cut by other code than the crate's
pub mod served; // a server's programs
pub mod end; //    one end of a connection, and what has to hold for it

use std::borrow::Cow;

use arbitrary::{Arbitrary, Unstructured};
use xdr_core::{Bytes, Xdr};

/// Every shape, owned.
#[derive(Debug, Clone, Arbitrary, Xdr)]
pub struct Message {
    /// Words of all kinds in one run.
    pub words: (i8, i16, u16, i32, u32, i64, u64),
    /// Floating point and bool.
    pub others: (f32, f64, bool, ()),
    /// Data with a length.
    pub lengths: Lengths,
    /// A linked list of words.
    #[xdr(list, max = 20)]
    pub list: Vec<u32>,
    /// A linked list of texts.
    #[xdr(list, max = 8, item(max = 40))]
    pub texts_in_list: Vec<String>,
    /// A recursive type.
    pub tree: Option<Box<Tree>>,
    /// Unions of all kinds, `union<>`.
    #[xdr(unbounded)]
    pub unions: Vec<Union>,
    /// `Result` as a union.
    pub result: Result<State, Code>,
    /// A generic type.
    pub page: Page<Code, 10>,
    /// Words at the end.
    pub last: [u32; 3],
}

fn shared(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Bytes> {
    Vec::arbitrary(bytes).map(Bytes::from)
}

/// What [`Message`] is on the wire, borrowed where that is possible.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "Message")]
pub struct BorrowedMessage<'a> {
    /// As in [`Message`], like all fields.
    pub words: (i8, i16, u16, i32, u32, i64, u64),
    /// Floating point and bool.
    pub others: (f32, f64, bool, ()),
    /// Data with a length.
    pub lengths: BorrowedLengths<'a>,
    /// A linked list of words.
    #[xdr(list, max = 20)]
    pub list: Vec<u32>,
    /// A linked list of texts.
    #[xdr(list, max = 8, item(max = 40))]
    pub texts_in_list: Vec<&'a str>,
    /// A recursive type.
    pub tree: Option<Box<Tree>>,
    /// Unions of all kinds, `union<>`.
    #[xdr(unbounded)]
    pub unions: Vec<Union>,
    /// `Result` as a union.
    pub result: Result<State, Code>,
    /// A generic type.
    pub page: Page<Code, 10>,
    /// Words at the end.
    pub last: [u32; 3],
}

/// Data with a length, owned.
#[derive(Debug, Clone, Arbitrary, Xdr)]
pub struct Lengths {
    /// `opaque[5]`
    pub fixed_opaque: [u8; 5],
    /// `opaque<40>`
    #[xdr(max = 40)]
    pub opaque: Vec<u8>,
    /// `opaque<>`
    #[arbitrary(with = shared)]
    #[xdr(unbounded)]
    pub shared: Bytes,
    /// `string<40>`
    #[xdr(max = 40)]
    pub text: String,
    /// `string<>`
    #[xdr(unbounded)]
    pub boxed_text: Box<str>,
    /// `string<40> *`
    #[xdr(max = 40)]
    pub optional_text: Option<String>,
    /// `int<20>`
    #[xdr(max = 20)]
    pub ints: Vec<i32>,
    /// `hyper<>`
    #[xdr(unbounded)]
    pub hypers: Box<[i64]>,
    /// `string<40> <8>`
    #[xdr(max = 8, item(max = 40))]
    pub texts: Vec<String>,
    /// `unsigned short<> <8>`
    #[xdr(max = 8, item(unbounded))]
    pub rows: Vec<Vec<u16>>,
    /// `void<>`
    #[xdr(max = 1000)]
    pub voids: Vec<()>,
    /// `opaque<40> [2]`
    #[xdr(item(max = 40))]
    pub slots: [Vec<u8>; 2],
}

/// What [`Lengths`] is on the wire, borrowed.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "Lengths")]
pub struct BorrowedLengths<'a> {
    /// `opaque[5]`
    pub fixed_opaque: [u8; 5],
    /// `opaque<40>`
    #[xdr(max = 40)]
    pub opaque: &'a [u8],
    /// `opaque<>`
    #[xdr(unbounded)]
    pub shared: Cow<'a, [u8]>,
    /// `string<40>`
    #[xdr(max = 40)]
    pub text: &'a str,
    /// `string<>`
    #[xdr(unbounded)]
    pub boxed_text: Cow<'a, str>,
    /// `string<40> *`
    #[xdr(max = 40)]
    pub optional_text: Option<&'a str>,
    /// `int<20>`
    #[xdr(max = 20)]
    pub ints: Vec<i32>,
    /// `hyper<>`
    #[xdr(unbounded)]
    pub hypers: Vec<i64>,
    /// `string<40> <8>`
    #[xdr(max = 8, item(max = 40))]
    pub texts: Vec<&'a str>,
    /// `unsigned short<> <8>`
    #[xdr(max = 8, item(unbounded))]
    pub rows: Vec<Vec<u16>>,
    /// `void<>`
    #[xdr(max = 1000)]
    pub voids: Vec<()>,
    /// `opaque<40> [2]`
    #[xdr(item(max = 40))]
    pub slots: [&'a [u8]; 2],
}

/// A type that holds itself.
#[derive(Debug, Clone, Arbitrary, Xdr)]
pub struct Tree {
    /// A word.
    pub value: u32,
    /// Another one.
    pub left: Option<Box<Tree>>,
    /// More of them.
    #[xdr(max = 4, recursive)]
    pub children: Vec<Tree>,
}

/// Values with a name.
#[derive(Debug, Clone, Copy, Arbitrary, Xdr)]
pub enum State {
    /// One.
    Running = 1,
    /// Two.
    Paused,
    /// Less than nothing.
    Stopped = -3,
}

/// Values with a name, and any other.
#[derive(Debug, Clone, Copy, Arbitrary, Xdr)]
#[repr(i32)]
pub enum Code {
    /// 42
    NoDomain = 42,
    /// 43
    NoNetwork,
    /// A value without a name.
    #[xdr(other)]
    Other(i32),
}

/// A union that switches on an `unsigned int`, and holds others.
#[derive(Debug, Clone, Arbitrary, Xdr)]
#[xdr(switch = u32)]
pub enum Union {
    /// Void.
    #[xdr(case = 0)]
    Nothing,
    /// Two labels, and fields in runs.
    #[xdr(case = [1, 0xffff_ffff])]
    Fields {
        /// Which label.
        #[xdr(tag)]
        tag: u32,
        /// A word.
        first: u32,
        /// A text.
        #[xdr(max = 40)]
        name: String,
        /// Not on the wire.
        #[arbitrary(default)]
        #[xdr(skip)]
        cached: u32,
    },
    /// A union that switches on an enum.
    #[xdr(case = 2)]
    ByState(ByState),
    /// A union that switches on a bool.
    #[xdr(case = 3)]
    ByBool(ByBool),
    /// A union that switches on an int.
    #[xdr(case = 4)]
    ByInt(ByInt),
    /// Every other label.
    #[xdr(default)]
    Other(
        /// Which one.
        #[xdr(tag)]
        u32,
        /// Its content.
        #[xdr(max = 40)]
        Vec<u8>,
    ),
}

/// A union that switches on an enum.
#[derive(Debug, Clone, Arbitrary, Xdr)]
#[xdr(switch = State)]
pub enum ByState {
    /// One label.
    #[xdr(case = State::Running)]
    Running(u32),
    /// The others.
    #[xdr(default)]
    Idle(#[xdr(tag)] State),
}

/// A union that switches on a `bool`.
#[derive(Debug, Clone, Arbitrary, Xdr)]
#[xdr(switch = bool)]
pub enum ByBool {
    /// True.
    #[xdr(case = true)]
    Yes(Name),
    /// False.
    #[xdr(case = false)]
    No,
}

/// A union that switches on an `int`.
#[derive(Debug, Clone, Arbitrary, Xdr)]
pub enum ByInt {
    /// Below zero.
    #[xdr(case = -1)]
    Below(Box<u64>),
    /// Above it.
    #[xdr(case = 1)]
    Above(Option<u32>, Option<Name>),
}

/// The same on the wire as its text.
#[derive(Debug, Clone, Arbitrary, Xdr)]
#[xdr(transparent)]
pub struct Name(#[xdr(max = 40)] pub String);

/// A generic type with a maximum of its own.
#[derive(Debug, Clone, Arbitrary, Xdr)]
pub struct Page<T, const N: usize> {
    /// Elements.
    #[xdr(max = N)]
    pub items: Vec<T>,
    /// More elements.
    #[xdr(list, max = N * 2)]
    pub list: Vec<T>,
}
