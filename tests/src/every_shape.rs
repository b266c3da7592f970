//! Every shape that the derives offer, in one message.
//!
//! The types are public and documented, and every lint is denied: derived code must not set off any.
#![deny(
    warnings,
    unused,
    unsafe_code,
    missing_docs,
    nonstandard_style,
    let_underscore,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    keyword_idents,
    missing_copy_implementations,
    missing_debug_implementations,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
#![expect(
    clippy::blanket_clippy_restriction_lints,
    clippy::arbitrary_source_item_ordering,
    clippy::doc_paragraphs_missing_punctuation,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "about these types themselves, not about what is derived for them"
)]

extern crate alloc;

use alloc::borrow::Cow;

use xdr_core::{Bytes, Xdr};

/// A word or two of every kind.
#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
pub struct Words {
    /// `int`
    pub int: i32,
    /// `unsigned int`
    pub unsigned: u32,
    /// `hyper`
    pub hyper: i64,
    /// `unsigned hyper`
    pub unsigned_hyper: u64,
    /// `float`
    pub float: f32,
    /// `double`
    pub double: f64,
    /// `bool`
    pub flag: bool,
    /// `char`
    pub char: i8,
    /// `short`
    pub short: i16,
    /// `unsigned short`
    pub unsigned_short: u16,
    /// `void`
    pub void: (),
    /// Two members without a name.
    pub pair: (u32, i64),
}

/// Most bytes of a name.
pub const NAME_MAX: usize = 16;

/// Data with a length.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Lengths {
    /// `opaque[5]`
    pub fixed_opaque: [u8; 5],
    /// `opaque<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub opaque: Vec<u8>,
    /// `opaque<NAME_MAX>`, shared with the input.
    #[xdr(max = NAME_MAX)]
    pub shared: Bytes,
    /// `string<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub text: String,
    /// `string<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub boxed_text: Box<str>,
    /// `string<>`
    #[xdr(unbounded)]
    pub endless: String,
    /// `int<4>`
    #[xdr(max = 4)]
    pub ints: Vec<i32>,
    /// `hyper<4>`
    #[xdr(max = 4)]
    pub hypers: Box<[i64]>,
    /// `string<NAME_MAX> <4>`
    #[xdr(max = 4, item(max = NAME_MAX))]
    pub texts: Vec<String>,
    /// `int<3> <2>`
    #[xdr(max = 2, item(max = 3))]
    pub rows: Vec<Vec<i32>>,
    /// `unsigned int[3]`
    pub fixed: [u32; 3],
    /// `string<NAME_MAX> [2]`
    #[xdr(item(max = NAME_MAX))]
    pub fixed_texts: [String; 2],
    /// Not on the wire.
    #[xdr(skip)]
    pub cached: u64,
}

/// A view of [`Lengths`] that borrows what it can.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "Lengths")]
pub struct BorrowedLengths<'de> {
    /// `opaque[5]`
    pub fixed_opaque: [u8; 5],
    /// `opaque<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub opaque: &'de [u8],
    /// `opaque<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub shared: Cow<'de, [u8]>,
    /// `string<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub text: &'de str,
    /// `string<NAME_MAX>`
    #[xdr(max = NAME_MAX)]
    pub boxed_text: Cow<'de, str>,
    /// `string<>`
    #[xdr(unbounded)]
    pub endless: &'de str,
    /// `int<4>`
    #[xdr(max = 4)]
    pub ints: Vec<i32>,
    /// `hyper<4>`
    #[xdr(max = 4)]
    pub hypers: Vec<i64>,
    /// `string<NAME_MAX> <4>`
    #[xdr(max = 4, item(max = NAME_MAX))]
    pub texts: Vec<&'de str>,
    /// `int<3> <2>`
    #[xdr(max = 2, item(max = 3))]
    pub rows: Vec<Vec<i32>>,
    /// `unsigned int[3]`
    pub fixed: [u32; 3],
    /// `string<NAME_MAX> [2]`
    #[xdr(item(max = NAME_MAX))]
    pub fixed_texts: [&'de str; 2],
}

/// Optional data, boxes and lists.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Links {
    /// `int *`
    pub optional: Option<i32>,
    /// `string<NAME_MAX> *`
    #[xdr(max = NAME_MAX)]
    pub optional_text: Option<String>,
    /// `hyper`
    pub boxed: Box<i64>,
    /// `tree *`
    pub tree: Option<Box<Tree>>,
    /// A linked list of ints.
    #[xdr(list, max = 4)]
    pub list: Vec<i32>,
    /// A linked list of texts.
    #[xdr(list, max = 4, item(max = NAME_MAX))]
    pub texts: Vec<String>,
    /// `union switch (int) { case 0: unsigned int; case 1: name; }`
    pub result: Result<u32, Name>,
}

/// A type that holds itself.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Tree {
    /// Its value.
    pub value: u32,
    /// Another one.
    pub left: Option<Box<Self>>,
    /// More of them.
    #[xdr(max = 4, recursive)]
    pub children: Vec<Self>,
}

/// The same on the wire as its text.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent)]
pub struct Name(
    /// The text.
    #[xdr(max = NAME_MAX)]
    pub String,
);

/// Nothing on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub struct Nothing;

/// Values with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
pub enum State {
    /// One.
    Running = 1,
    /// Two.
    Paused,
    /// Less than nothing.
    Stopped = -3,
}

/// Values with a name, and any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
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

/// A label.
pub const KIND_NOTHING: u32 = 9;

/// A union that switches on an `unsigned int`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(switch = u32)]
pub enum ByNumber {
    /// One label.
    #[xdr(case = 1)]
    Int(i32),
    /// Two labels.
    #[xdr(case = [2, 0xffff_ffff])]
    Flag {
        /// Which of them.
        #[xdr(tag)]
        tag: u32,
        /// A word.
        bits: u32,
        /// A text.
        #[xdr(max = NAME_MAX)]
        name: String,
    },
    /// Void.
    #[xdr(case = KIND_NOTHING)]
    Nothing,
    /// Every other label.
    #[xdr(default)]
    Other(
        /// Which one.
        #[xdr(tag)]
        u32,
        /// Two words.
        u64,
    ),
}

/// A union that switches on an `int`, without a default.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub enum ByInt {
    /// A negative label.
    #[xdr(case = -1)]
    Below(Tree),
    /// A positive one.
    #[xdr(case = 1)]
    Above(#[xdr(max = 4)] Vec<u32>),
}

/// A union that switches on an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(switch = State)]
pub enum ByState {
    /// One label.
    #[xdr(case = State::Running)]
    Running {
        /// A word.
        pid: u32,
    },
    /// The others.
    #[xdr(default)]
    Idle(#[xdr(tag)] State),
}

/// A union that switches on a `bool`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(switch = bool)]
pub enum ByBool {
    /// True.
    #[xdr(case = true)]
    Yes(Name),
    /// False.
    #[xdr(case = false)]
    No,
}

/// A generic type with a maximum of its own.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub struct Page<T, const N: usize> {
    /// Elements.
    #[xdr(max = N)]
    pub items: Vec<T>,
    /// Whether there are more.
    pub more: bool,
}

/// A message with all of these.
#[derive(Debug, Clone, PartialEq, Xdr)]
pub struct Everything {
    /// Words.
    pub words: Words,
    /// Lengths.
    pub lengths: Lengths,
    /// Links.
    pub links: Links,
    /// Nothing.
    pub nothing: Nothing,
    /// An enum.
    pub state: State,
    /// An open enum.
    pub code: Code,
    /// Unions in an array.
    #[xdr(max = 8)]
    pub by_number: Vec<ByNumber>,
    /// Unions in a fixed array.
    pub by_int: [ByInt; 2],
    /// A union.
    pub by_state: ByState,
    /// A union in an optional.
    pub by_bool: Option<ByBool>,
    /// A generic type.
    pub page: Page<Name, 3>,
}
