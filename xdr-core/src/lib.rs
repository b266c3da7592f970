//! XDR (RFC 4506) from Rust types.
//!
//! ```
//! use xdr_core::Xdr;
//!
//! #[derive(Debug, PartialEq, Xdr)]
//! struct Domain {
//!     #[xdr(max = 256)]
//!     name: String,                    // string<256>
//!     uuid: [u8; 16],                  // opaque[16]
//!     #[xdr(max = 64, item(max = 50))]
//!     disks: Vec<String>,              // string<50> disks<64>
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let domain = Domain { name: "web".into(), uuid: [7; 16], disks: vec!["vda".into()] };
//! let bytes = xdr_core::to_vec(&domain)?;
//! assert_eq!(bytes.len(), 8 + 16 + 4 + 8);
//! assert_eq!(xdr_core::from_slice::<Domain>(&bytes)?, domain);
//! # Ok(())
//! # }
//! ```
//!
//! - A field of variable length without a maximum does not compile.
//! - Decoding is strict and never costs more than its [`Limits`]; no input makes it panic.
//! - Errors name the field, the limit and the byte.
//! - `no_std` with `alloc`; the feature `std` (on by default) adds conversions into `std::io::Error`.
//! - The features `arbitrary` and `proptest` make values within their bounds, from the same attributes.
//!
//! # How the types map
//!
//! | Rust | XDR |
//! |---|---|
//! | `i32 u32 i64 u64 f32 f64 bool ()` | `int`, `unsigned int`, `hyper`, `unsigned hyper`, `float`, `double`, `bool`, `void` |
//! | `i8 i16 u16`, `UChar` | one word, checked, as rpcgen sends `char`, `short`, `unsigned short`, `unsigned char` |
//! | `Quadruple` | `quadruple`, as bytes |
//! | `[u8; N]`; `Vec<u8>`, `&[u8]`, `Bytes`, `Cow<[u8]>` with `max` | `opaque[N]`; `opaque<max>` |
//! | `String`, `&str`, `Box<str>`, `Cow<str>` with `max` | `string<max>`, UTF-8 |
//! | `XdrString`, `XdrStr` with `max` | `string<max>`, any bytes |
//! | `&[[u8; 4]]` with `max` | `unsigned int<max>`, as the words lie in the input |
//! | `[T; N]`; `Vec<T>` with `max` | `T[N]`; `T<max>` |
//! | `Vec<T>` with `list, max` | a linked list of optional data |
//! | `Option<T>` | `T *` |
//! | `Result<T, E>` | `union switch (int) { case 0: T; case 1: E; }` |
//! | derived structs, enums, unions | `struct`, `enum`, `union` |
//!
//! # From a `.x` file
//!
//! | in the file | here |
//! |---|---|
//! | `const MAX = 64;` | `const MAX: usize = 64;` |
//! | `typedef string name<MAX>;` | `#[xdr(transparent)] struct Name(#[xdr(max = MAX)] String);`, or a `type` whose fields each have the maximum |
//! | `string text<>;`, `opaque data<>;`, `T all<>;` | `#[xdr(unbounded)]`; the [`Limits`] hold all the same |
//! | `unsigned`, `long`, `unsigned long`, `netobj` | `u32`, `i32`, `u32`, `opaque<1024>` |
//! | `enum kind { A = 1, FIRST = 1 };` | one variant, and `const FIRST: Self = Self::A`, which is a label like the variant |
//! | `union u switch (bool more) { case TRUE: T t; case FALSE: void; };` | `Option<T>` |
//! | `default: void;` | `#[xdr(default)] Other(#[xdr(tag)] Kind)`, which keeps the discriminant. A value that the enum does not have is refused all the same; to take it, switch on `i32`, with numbers as labels |
//! | `struct node { int item; node *next; };` | the struct without its last member, and for `node *` a `Vec<Node>` with `list`. As `Option<Box<Node>>` a list nests: 64 nodes are the most by default, and each takes stack |
//! | a struct, or an arm of a union, that holds itself | `Box<T>` |
//! | `program`, `version` | the tables of procedures of `rpc-frame`, one a version |
//!
//! ```
//! use xdr_core::Xdr;
//!
//! // enum stat { OK = 0, GONE = 2 };
//! #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
//! enum Stat {
//!     Ok = 0,
//!     Gone = 2,
//! }
//!
//! // struct entry { string name<255>; entry *next; };
//! #[derive(Debug, PartialEq, Xdr)]
//! struct Entry {
//!     #[xdr(max = 255)]
//!     name: String,
//! }
//!
//! // union listing switch (stat status) { case OK: entry *entries; default: void; };
//! #[derive(Debug, PartialEq, Xdr)]
//! #[xdr(switch = Stat)]
//! enum Listing {
//!     #[xdr(case = Stat::Ok)]
//!     Entries(#[xdr(list, max = 1000)] Vec<Entry>),
//!     #[xdr(default)]
//!     Failure(#[xdr(tag)] Stat),
//! }
//!
//! # fn main() -> Result<(), xdr_core::DecodeError> {
//! let one = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, b'v', b'd', b'a', 0, 0, 0, 0, 0];
//! assert_eq!(xdr_core::from_slice::<Listing>(&one)?, Listing::Entries(vec![Entry { name: "vda".into() }]));
//! assert_eq!(xdr_core::from_slice::<Listing>(&[0, 0, 0, 2])?, Listing::Failure(Stat::Gone));
//! assert!(xdr_core::from_slice::<Listing>(&[0, 0, 0, 9]).is_err());
//! # Ok(())
//! # }
//! ```

#![no_std]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
// The derives name this crate `::xdr_core`, in its own examples and tests as well.
extern crate self as xdr_core;

mod bound; //    maximum lengths as types
mod wire; //     wire sizes as constants
mod schema; //   descriptions of types
mod limits; //   what decoding may cost
mod fault; //    the word that travels when something fails
mod writer; //   the space that is left
mod encode; //   Encode, EncodeBounded
mod reader; //   the input that is left
mod decode; //   Decode, DecodeBounded
mod integer; //  words, and opaque of fixed length
mod opaque; //   opaque and strings of variable length
mod array; //    arrays and lists
mod optional; // Option, Box, references, Result
mod tuple; //    tuples
mod tag; //      what unions switch on and keep
mod refuse; //   what to write instead of types without an XDR form
mod walk; //     along the schema over encoded bytes
mod error; //    the error that the user sees
mod explain; //  from the word to the error
mod annotate; // what each byte means
mod export; //   a .x file for rpcgen
#[cfg(feature = "arbitrary")]
mod generate; // values within their bounds
mod codec; //    to_vec, from_slice and their family

pub use bytes::{Bytes, BytesMut};
pub use xdr_derive::{Decode, Encode, Xdr};

pub use annotate::{Annotation, annotate, annotate_with};
pub use bound::{Bound, Each, Len, List, Max, MaxOf, Plain, Shape as BoundShape, Unbounded};
pub use codec::{
    decode_prefix, decode_prefix_with, encode_into, encode_to_slice, encoded_len, from_bytes, from_bytes_with,
    from_slice, from_slice_with, to_bytes, to_vec,
};
pub use decode::{Decode, DecodeBounded, DecodeOwned};
pub use encode::{Encode, EncodeBounded};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Lengthy};
pub use export::{ExportError, export_x, x_name};
pub use fault::{DecodeFault, EncodeFault};
#[cfg(feature = "proptest")]
pub use generate::proptest;
#[cfg(feature = "arbitrary")]
pub use generate::{arbitrary, arbitrary_wire};
pub use integer::{Quadruple, UChar};
pub use limits::Limits;
pub use opaque::{XdrStr, XdrString};
pub use reader::Reader;
pub use schema::{Arm, EnumValue, Field, Schema, Shape, Type};
pub use wire::{Code, Wire, max_of_arms, max_of_fields};
pub use writer::Writer;

/// What derived code calls, and nobody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::encode::{Seen, Visit};
    pub use crate::tag::{Is, Known, Labels, OtherWord, Tag};
    pub use crate::wire::{Run, fields_of, repeats, runs};
    pub use core::assert;
    pub use core::default::Default;
    pub use core::marker::PhantomData;
    pub use core::option::Option::{self, None, Some};
    pub use core::primitive::{bool, i32, i64, i128, u8, u32, usize};
    pub use core::result::Result::{self, Err, Ok};
}
