//! Types that have no XDR form by themselves, each with what to write instead.
//!
//! Their implementations ask for what there is not. So they do not exist for the user; but the compiler, which could
//! else only list types that do encode, finds the condition that is not met, with its message and the types that meet
//! it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bound::{Each, List, Max, MaxOf, Plain, Unbounded};
use crate::decode::Decode;
use crate::encode::Encode;
use crate::integer::UChar;
use crate::opaque::{XdrStr, XdrString};

/// What the conditions are about. Were it the type itself, the compiler would show the notes of `Encode` instead.
#[derive(Debug)]
pub enum ThisField {}

// The lifetime is there because a condition without parameters that is never met is an error by itself.

/// A field's shape that bounds the length of a `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` needs a maximum length",
    label = "no `max` for `{T}`",
    note = "write `#[xdr(max = N)]` above the field, or `#[xdr(unbounded)]` where there is no maximum",
    note = "elements have theirs in `item`: `#[xdr(max = N, item(max = M))]`, and in an array of fixed length `#[xdr(item(max = M))]`",
    note = "inside a tuple or a generic type it needs a type of its own: `#[xdr(transparent)] struct Name(#[xdr(max = N)] String);`"
)]
pub trait MaximumFor<'never, T: ?Sized> {}
impl<T: ?Sized, B> MaximumFor<'_, T> for Max<B> {}
impl<T: ?Sized, B, I> MaximumFor<'_, T> for MaxOf<B, I> {}
impl<T: ?Sized, B, I> MaximumFor<'_, T> for List<B, I> {}
impl<T: ?Sized, I> MaximumFor<'_, T> for Each<I> {}
impl<T: ?Sized> MaximumFor<'_, T> for Unbounded {}

/// An integer that is the same everywhere, in the place of `T`.
#[diagnostic::on_unimplemented(
    message = "`{T}` is not the same size on every machine",
    label = "write the integer that the protocol has, such as `u32` or `u64`"
)]
pub trait FixedSizeFor<'never, T> {}

/// An integer that XDR has, in the place of `T`.
#[diagnostic::on_unimplemented(
    message = "XDR has no integer of 128 bits",
    label = "write `[u8; 16]`, or two fields of 64 bits",
    note = "`[u8; 16]` is `opaque[16]`: convert with `to_be_bytes` and `from_be_bytes`"
)]
pub trait XdrIntegerFor<'never, T> {}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl<T> FixedSizeFor<'_, T> for $type {}
        impl<T> XdrIntegerFor<'_, T> for $type {}
    )+};
}
integers!(i8, i16, i32, i64, u16, u32, u64);

/// What holds characters, in the place of `T`.
#[diagnostic::on_unimplemented(
    message = "XDR has no type for one `{T}`",
    label = "write `u32`, or `String` with `#[xdr(max = N)]`",
    note = "a C `char` is `i8`, an `unsigned char` is `UChar`"
)]
pub trait CharacterFor<'never, T> {}
impl<T> CharacterFor<'_, T> for u32 {}
impl<T> CharacterFor<'_, T> for i8 {}
impl<T> CharacterFor<'_, T> for UChar {}
impl<T> CharacterFor<'_, T> for String {}
impl<T> CharacterFor<'_, T> for XdrString {}

/// What holds bytes, in the place of `T`.
#[diagnostic::on_unimplemented(
    message = "XDR has no type for one byte, `{T}`",
    label = "write `UChar` for a C `unsigned char`, or `u32`",
    note = "bytes in a row are opaque: `[u8; N]`, or with `#[xdr(max = N)]` `Vec<u8>`, `Bytes` and `&[u8]`"
)]
pub trait ByteFor<'never, T> {}
impl<T> ByteFor<'_, T> for u32 {}
impl<T> ByteFor<'_, T> for UChar {}
impl<T, const N: usize> ByteFor<'_, T> for [u8; N] {}
impl<T> ByteFor<'_, T> for Vec<u8> {}
impl<T> ByteFor<'_, T> for Bytes {}

/// What holds several values, in the place of `C`.
#[diagnostic::on_unimplemented(
    message = "XDR has arrays and lists, and no `{C}`",
    label = "write `Vec<T>` with `#[xdr(max = N)]`",
    note = "an entry of a map is a struct of its key and its value",
    note = "to keep the type: `#[xdr(with = module, max = N)]`, a module with `type Wire = Vec<T>`, `fn to_wire` and `fn from_wire`"
)]
pub trait ArrayFor<'never, C> {}
impl<C, T> ArrayFor<'_, C> for Vec<T> {}
impl<C, T> ArrayFor<'_, C> for Box<[T]> {}
impl<C, T> ArrayFor<'_, C> for &[T] {}
impl<C, T: Clone> ArrayFor<'_, C> for Cow<'_, [T]> {}
impl<C, T, const N: usize> ArrayFor<'_, C> for [T; N] {}

/// What has members, in the place of the tuple `T`.
#[diagnostic::on_unimplemented(
    message = "tuples of more than eight members have no XDR form",
    label = "write a struct of its own, with `#[derive(Xdr)]`",
    note = "a struct is the same on the wire, and its fields have names in errors"
)]
pub trait StructFor<'never, T> {}

macro_rules! refused_to_encode {
    ($field:ident: $wanted:ident; $([$($generics:tt)*] $type:ty),+ $(,)?) => {$(
        #[doc(hidden)]
        impl<'never, $($generics)*> Encode for $type where $field: $wanted<'never, Self> {}
    )+};
}

macro_rules! refused_to_decode {
    ($field:ident: $wanted:ident; $([$($generics:tt)*] $type:ty),+ $(,)?) => {$(
        #[doc(hidden)]
        impl<'never, 'de, $($generics)*> Decode<'de> for $type where $field: $wanted<'never, Self> {}
    )+};
}

macro_rules! refused {
    ($($all:tt)*) => {
        refused_to_encode!($($all)*);
        refused_to_decode!($($all)*);
    };
}

refused!(ThisField: FixedSizeFor; [] usize, [] isize);
refused!(ThisField: XdrIntegerFor; [] u128, [] i128);
refused!(ThisField: CharacterFor; [] char);
refused!(ThisField: ByteFor; [] u8);
refused!(Plain: MaximumFor; [] String, [T] Vec<T>, [] Bytes, [] XdrString, ['a] XdrStr<'a>);
refused!(Plain: MaximumFor; ['a] Cow<'a, str>, ['a, T: Clone] Cow<'a, [T]>);
// References and boxes encode as what they hold.
refused_to_encode!(Plain: MaximumFor; [] str, [T] [T]);
// The same condition as when encoding, so that it is reported once.
#[doc(hidden)]
impl<'never, 'a, 'de> Decode<'de> for &'a str where Plain: MaximumFor<'never, str> {}
#[doc(hidden)]
impl<'never, 'a, 'de, T> Decode<'de> for &'a [T] where Plain: MaximumFor<'never, [T]> {}
// Not refused by name under bounds as well: `EncodeBounded` has so few implementations that the compiler would list them
// as types that fit.
refused!(ThisField: ArrayFor; [K, V] BTreeMap<K, V>, [T] BTreeSet<T>, [T] VecDeque<T>);
refused!(
    ThisField: StructFor;
    [A, B, C, D, E, F, G, H, I] (A, B, C, D, E, F, G, H, I),
    [A, B, C, D, E, F, G, H, I, J] (A, B, C, D, E, F, G, H, I, J),
    [A, B, C, D, E, F, G, H, I, J, K] (A, B, C, D, E, F, G, H, I, J, K),
    [A, B, C, D, E, F, G, H, I, J, K, L] (A, B, C, D, E, F, G, H, I, J, K, L),
);
#[cfg(feature = "std")]
refused!(ThisField: ArrayFor; [K, V, H] std::collections::HashMap<K, V, H>, [T, H] std::collections::HashSet<T, H>);
