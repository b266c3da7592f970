//! Optional data, boxes, references and `Result` (RFC 4506 §4.15, §4.19).

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::array::flag;
use crate::bound::{Plain, Shape as BoundShape};
use crate::decode::{Decode, DecodeBounded, decode_whole, field, opened};
use crate::encode::{Encode, EncodeBounded, encode_whole, len_of};
use crate::fault::{DecodeFault, EncodeFault};
use crate::reader::{Reader, unit};
use crate::schema::{Arm, Schema, Shape};
use crate::wire::{Code, Run, Wire, max_of_arms, max_of_items};
use crate::writer::{Writer, put_flag, write_word};

macro_rules! option_encode {
    ($shape:ty) => {
        const WIRE: Wire = Wire::word_and_tail();
        const MAX_WIRE: Option<usize> = max_of_items(4, 1, <T as EncodeBounded<$shape>>::MAX_WIRE);
        const CODE: Code = <T as EncodeBounded<$shape>>::CODE;
        #[inline(always)]
        fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
            write_word(u32::from(self.is_some()), out)
        }
        #[inline(always)]
        fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
            match self {
                Some(value) => encode_whole::<$shape, T>(value, writer),
                None => Ok(()),
            }
        }
        #[inline(never)]
        fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
            put_flag(self.is_some(), writer);
            match self {
                Some(value) => value.put(writer, next),
                None => writer.open(next),
            }
        }
        #[inline(always)]
        fn tail_len(&self) -> usize {
            self.as_ref().map_or(0, len_of::<$shape, T>)
        }
        fn schema() -> &'static Schema {
            const { &Schema::builtin("optional", Shape::Optional(<T as EncodeBounded<$shape>>::schema)) }
        }
    };
}

impl<T: Encode> Encode for Option<T> {
    option_encode!(Plain);
}

impl<S: BoundShape, T: EncodeBounded<S>> EncodeBounded<S> for Option<T> {
    option_encode!(S);
}

macro_rules! option_decode {
    ($shape:ty) => {
        const WIRE: Wire = Wire::word_and_tail();
        const MAX_WIRE: Option<usize> = max_of_items(4, 1, <T as DecodeBounded<'de, $shape>>::MAX_WIRE);
        const OWNS: bool = <T as DecodeBounded<'de, $shape>>::OWNS;
        #[inline(always)]
        fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
            match flag(reader, run)? {
                true if <T as DecodeBounded<'de, $shape>>::WIRE.tail => Ok(Some(decode_whole::<$shape, T>(reader)?)),
                true => Ok(Some(<T as DecodeBounded<'de, $shape>>::decode_here(reader, &mut &[][..], 0, false)?)),
                false => Ok(None),
            }
        }
        #[inline(always)]
        fn member(
            reader: &mut Reader<'de>,
            run: &mut &'de [u8],
            next: &'static Run,
            after: usize,
        ) -> Result<Self, DecodeFault> {
            let behind = next.bytes(after);
            // What is small is worth a call beside fields that are calls.
            if next.of_owner() && size_of::<T>() <= size_of::<u64>() {
                opened(optional::<$shape, T>(reader, run, behind), reader, run, behind)
            } else {
                field::<$shape, Self>(reader, run, behind)
            }
        }
        fn schema() -> &'static Schema {
            const { &Schema::builtin("optional", Shape::Optional(<T as DecodeBounded<'de, $shape>>::schema)) }
        }
    };
}

/// The flag and what is behind it; the `next` bytes behind that are opened. None where it cannot be read.
#[inline(never)]
fn optional<'de, S, T: DecodeBounded<'de, S>>(
    reader: &mut Reader<'de>,
    run: &'de [u8],
    next: usize,
) -> Option<Option<T>> {
    let mut run = run;
    let value = match flag(reader, &mut run).ok()? {
        true => Some(decode_whole::<S, T>(reader).ok()?),
        false => None,
    };
    reader.open(next).ok()?;
    Some(value)
}

impl<'de, T: Decode<'de>> Decode<'de> for Option<T> {
    option_decode!(Plain);
}

impl<'de, S: BoundShape, T: DecodeBounded<'de, S>> DecodeBounded<'de, S> for Option<T> {
    option_decode!(S);
}

/// The members of a type that is written as what it points to.
macro_rules! pointee {
    ($trait:ty, $target:ty, $max:expr, $code:expr, |$self:ident| $value:expr) => {
        const WIRE: Wire = <$target as $trait>::WIRE;
        const MAX_WIRE: Option<usize> = $max;
        const CODE: Code = $code;
        #[inline(always)]
        fn head(&$self, out: &mut [u8]) -> Result<(), EncodeFault> {
            <$target as $trait>::head($value, out)
        }
        #[inline(always)]
        fn tail(&$self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
            <$target as $trait>::tail($value, writer)
        }
        #[inline(always)]
        fn put<'a>(&$self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
            <$target as $trait>::put($value, writer, next)
        }
        #[inline(always)]
        fn tail_len(&$self) -> usize {
            <$target as $trait>::tail_len($value)
        }
        fn schema() -> &'static Schema {
            <$target as $trait>::schema()
        }
    };
}

impl<T: Encode + ?Sized> Encode for &T {
    pointee!(Encode, T, T::MAX_WIRE, T::CODE.owning(false), |self| self);
}

impl<S: BoundShape, T: EncodeBounded<S> + ?Sized> EncodeBounded<S> for &T {
    pointee!(EncodeBounded<S>, T, T::MAX_WIRE, T::CODE.owning(false), |self| self);
}

// A box is where types recurse: nothing is asked of what is in it, or it would never end.
impl<T: Encode + ?Sized> Encode for Box<T> {
    pointee!(Encode, T, None, Code::UNKNOWN.owning(true), |self| self);
}

impl<S: BoundShape, T: EncodeBounded<S> + ?Sized> EncodeBounded<S> for Box<T> {
    pointee!(EncodeBounded<S>, T, None, Code::UNKNOWN.owning(true), |self| self);
}

impl<S: BoundShape, T> EncodeBounded<S> for Vec<T>
where
    [T]: EncodeBounded<S>,
{
    pointee!(
        EncodeBounded<S>,
        [T],
        <[T] as EncodeBounded<S>>::MAX_WIRE,
        <[T] as EncodeBounded<S>>::CODE.owning(true),
        |self| self
    );
}

impl<S: BoundShape> EncodeBounded<S> for String
where
    str: EncodeBounded<S>,
{
    pointee!(
        EncodeBounded<S>,
        str,
        <str as EncodeBounded<S>>::MAX_WIRE,
        <str as EncodeBounded<S>>::CODE.owning(true),
        |self| self
    );
}

// How an owned form of a user's gives its borrowed one is code of the user's.
impl<S: BoundShape, T: EncodeBounded<S> + ToOwned + ?Sized> EncodeBounded<S> for Cow<'_, T> {
    pointee!(EncodeBounded<S>, T, T::MAX_WIRE, Code::UNKNOWN, |self| self);
}

macro_rules! box_decode {
    ($shape:ty) => {
        const WIRE: Wire = <T as DecodeBounded<'de, $shape>>::WIRE;
        const MAX_WIRE: Option<usize> = None;
        const OWNS: bool = true;
        #[inline]
        fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
            let position = reader.remaining().saturating_add(run.len());
            reader.enter(position)?;
            reader.charge(unit::<T>(), position)?;
            let value = Box::new(T::decode(reader, run, after)?);
            reader.leave();
            Ok(value)
        }
        fn schema() -> &'static Schema {
            <T as DecodeBounded<'de, $shape>>::schema()
        }
    };
}

impl<'de, T: Decode<'de>> Decode<'de> for Box<T> {
    box_decode!(Plain);
}

impl<'de, S: BoundShape, T: DecodeBounded<'de, S>> DecodeBounded<'de, S> for Box<T> {
    box_decode!(S);
}

/// A boxed slice or string is what the vector or the `String` is.
macro_rules! boxed_slice {
    ($([$($generics:tt)*] $slice:ty, $owned:ty, |$reader:ident, $value:ident, $position:ident| $boxed:expr;)+) => {$(
        impl<'de, S: BoundShape, $($generics)*> DecodeBounded<'de, S> for Box<$slice>
        where
            $owned: DecodeBounded<'de, S>,
        {
            const WIRE: Wire = <$owned as DecodeBounded<'de, S>>::WIRE;
            const MAX_WIRE: Option<usize> = None;
            #[inline(always)]
            fn decode($reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
                let $position = $reader.remaining().saturating_add(run.len());
                let $value = <$owned>::decode($reader, run, after)?;
                $boxed
            }
            fn schema() -> &'static Schema {
                <$owned as DecodeBounded<'de, S>>::schema()
            }
        }
    )+};
}

boxed_slice! {
    [] str, String, |_reader, text, _position| Ok(text.into_boxed_str());
    [T] [T], Vec<T>, |reader, items, position| {
        if size_of::<T>() > 0 && items.capacity() > items.len() {
            // A list's room is given back by moving it: for a moment both are there.
            reader.charge(items.len().saturating_mul(unit::<T>()), position)?;
        }
        Ok(items.into_boxed_slice())
    };
}

/// `union switch (int) { case 0: T; case 1: E; }`, so that handlers can use `?`.
impl<T: Encode, E: Encode> Encode for Result<T, E> {
    const WIRE: Wire = Wire::word_and_tail();
    const MAX_WIRE: Option<usize> = max_of_arms(&[T::MAX_WIRE, E::MAX_WIRE]);
    const CODE: Code = Code::of(&[T::CODE, E::CODE]);
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        write_word(u32::from(self.is_err()), out)
    }
    #[inline]
    fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        match self {
            Ok(value) => encode_whole::<Plain, T>(value, writer),
            Err(error) => encode_whole::<Plain, E>(error, writer),
        }
    }
    #[inline]
    fn tail_len(&self) -> usize {
        match self {
            Ok(value) => len_of::<Plain, T>(value),
            Err(error) => len_of::<Plain, E>(error),
        }
    }
    fn schema() -> &'static Schema {
        const {
            &Schema {
                name: "Result",
                docs: "",
                arguments: &[T::schema, E::schema],
                shape: Shape::Union {
                    switch: <i32 as Encode>::schema,
                    arms: &[
                        Arm { name: "Ok", docs: "", labels: &[0], fields: &[T::FIELD] },
                        Arm { name: "Err", docs: "", labels: &[1], fields: &[E::FIELD] },
                    ],
                    default: None,
                },
            }
        }
    }
}

impl<'de, T: Decode<'de>, E: Decode<'de>> Decode<'de> for Result<T, E> {
    const WIRE: Wire = Wire::word_and_tail();
    const MAX_WIRE: Option<usize> = max_of_arms(&[T::MAX_WIRE, E::MAX_WIRE]);
    #[inline]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
        match reader.word(run, 0)? {
            0 => Ok(Ok(decode_whole::<Plain, T>(reader)?)),
            1 => Ok(Err(decode_whole::<Plain, E>(reader)?)),
            _ => Err(reader.unknown_discriminant(run)),
        }
    }
    fn schema() -> &'static Schema {
        const {
            &Schema {
                name: "Result",
                docs: "",
                arguments: &[T::schema, E::schema],
                shape: Shape::Union {
                    switch: <i32 as Encode>::schema,
                    arms: &[
                        Arm { name: "Ok", docs: "", labels: &[0], fields: &[T::FIELD] },
                        Arm { name: "Err", docs: "", labels: &[1], fields: &[E::FIELD] },
                    ],
                    default: None,
                },
            }
        }
    }
}
