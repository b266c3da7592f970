//! Arrays of fixed and variable length, and linked lists (RFC 4506 §4.12, §4.13, §4.19).

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use crate::bound::{Bound, Each, List, Max, MaxOf, Plain};
use crate::decode::{Decode, DecodeBounded, opened, vector};
use crate::encode::{Encode, EncodeBounded, encode_each, encode_whole, head_of, items_len, len_of};
use crate::fault::{DecodeCause, DecodeFault, EncodeFault};
use crate::reader::{Reader, unit};
use crate::schema::{Schema, Shape};
use crate::wire::{Code, Run, Wire, max_of_items};
use crate::writer::{Writer, length_word, write_word};

/// The members of an array of fixed length, for elements of shape `$item`.
macro_rules! fixed_array_encode {
    ($item:ty) => {
        const WIRE: Wire = <T as EncodeBounded<$item>>::WIRE.times(N);
        const MAX_WIRE: Option<usize> = max_of_items(0, N, <T as EncodeBounded<$item>>::MAX_WIRE);
        const CODE: Code = <T as EncodeBounded<$item>>::CODE;
        #[inline(always)]
        fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
            let mut out = out;
            for item in self {
                if head_of::<$item, T>(item, &mut out)? {
                    break;
                }
            }
            Ok(())
        }
        #[inline(always)]
        fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
            match self.split_first() {
                Some((first, rest)) => {
                    first.tail(writer)?;
                    encode_each::<$item, T>(rest, writer)
                }
                None => Ok(()),
            }
        }
        #[inline(always)]
        fn tail_len(&self) -> usize {
            if <T as EncodeBounded<$item>>::WIRE.tail {
                items_len::<$item, T>(self).saturating_sub(<T as EncodeBounded<$item>>::WIRE.head)
            } else {
                0
            }
        }
        fn schema() -> &'static Schema {
            const { &Schema::builtin("array", Shape::FixedArray { len: N, item: <T as EncodeBounded<$item>>::schema }) }
        }
    };
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fixed_array_encode!(Plain);
}

impl<I, T: EncodeBounded<I>, const N: usize> EncodeBounded<Each<I>> for [T; N] {
    fixed_array_encode!(I);
}

macro_rules! fixed_array_decode {
    ($item:ty) => {
        const WIRE: Wire = <T as DecodeBounded<'de, $item>>::WIRE.times(N);
        const MAX_WIRE: Option<usize> = max_of_items(0, N, <T as DecodeBounded<'de, $item>>::MAX_WIRE);
        const OWNS: bool = <T as DecodeBounded<'de, $item>>::OWNS;
        #[inline(always)]
        fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
            let item = <T as DecodeBounded<'de, $item>>::WIRE;
            let head = item.times(N).head;
            if const { N > 1 && <T as DecodeBounded<'de, $item>>::WIRE.min == 0 } {
                // No input says that there are so many: each costs its unit, and the first one what holds it has paid for.
                reader.charge_nothing(N, run)?;
            }
            if !item.tail && run.len() < head {
                *run = reader.take(head.saturating_add(after))?;
            }
            let mut items = ArrayVec::<T, N>::new();
            for _ in 0..N {
                // The capacity is N, so every push fits.
                let _ = items.try_push(T::decode(reader, run, 0)?);
            }
            items.into_inner().map_err(|_| reader.truncated())
        }
        fn schema() -> &'static Schema {
            const {
                &Schema::builtin("array", Shape::FixedArray { len: N, item: <T as DecodeBounded<'de, $item>>::schema })
            }
        }
    };
}

impl<'de, T: Decode<'de>, const N: usize> Decode<'de> for [T; N] {
    fixed_array_decode!(Plain);
}

impl<'de, I, T: DecodeBounded<'de, I>, const N: usize> DecodeBounded<'de, Each<I>> for [T; N] {
    fixed_array_decode!(I);
}

macro_rules! array_encode {
    ($item:ty) => {
        const WIRE: Wire = Wire::word_and_tail();
        const MAX_WIRE: Option<usize> = max_of_items(4, B::MAX, <T as EncodeBounded<$item>>::MAX_WIRE);
        const CODE: Code = <T as EncodeBounded<$item>>::CODE;
        #[inline(always)]
        fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
            length_word(self.len(), B::MAX, out)
        }
        #[inline(always)]
        fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
            <T as EncodeBounded<$item>>::encode_items(self, writer)
        }
        #[inline(always)]
        fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
            <T as EncodeBounded<$item>>::put_items(self, writer, B::MAX, next)
        }
        #[inline(always)]
        fn tail_len(&self) -> usize {
            items_len::<$item, T>(self)
        }
        fn schema() -> &'static Schema {
            const { &Schema::builtin("array", Shape::Array { max: B::MAX, item: <T as EncodeBounded<$item>>::schema }) }
        }
    };
}

impl<B: Bound, T: Encode> EncodeBounded<Max<B>> for [T] {
    array_encode!(Plain);
}

impl<B: Bound, I, T: EncodeBounded<I>> EncodeBounded<MaxOf<B, I>> for [T] {
    array_encode!(I);
}

macro_rules! array_decode {
    ($item:ty) => {
        const WIRE: Wire = Wire::word_and_tail();
        const MAX_WIRE: Option<usize> = max_of_items(4, B::MAX, <T as DecodeBounded<'de, $item>>::MAX_WIRE);
        const OWNS: bool = true;
        #[inline(always)]
        fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
            let count = reader.word(run, 0)?;
            <T as DecodeBounded<'de, $item>>::decode_items(reader, count, B::MAX)
        }
        #[inline(always)]
        fn member(
            reader: &mut Reader<'de>,
            run: &mut &'de [u8],
            next: &'static Run,
            after: usize,
        ) -> Result<Self, DecodeFault> {
            let next = next.bytes(after);
            let array = <T as DecodeBounded<'de, $item>>::decode_array(reader, run, B::MAX, next);
            opened(array, reader, run, next).map(vector)
        }
        fn schema() -> &'static Schema {
            const {
                &Schema::builtin("array", Shape::Array { max: B::MAX, item: <T as DecodeBounded<'de, $item>>::schema })
            }
        }
    };
}

impl<'de, B: Bound, T: Decode<'de>> DecodeBounded<'de, Max<B>> for Vec<T> {
    array_decode!(Plain);
}

impl<'de, B: Bound, I, T: DecodeBounded<'de, I>> DecodeBounded<'de, MaxOf<B, I>> for Vec<T> {
    array_decode!(I);
}

/// The elements as they lie in the input. They have no padding between them, so `N` is a multiple of four.
impl<'de: 'a, 'a, B: Bound, const N: usize> DecodeBounded<'de, Max<B>> for &'a [[u8; N]] {
    const WIRE: Wire = Wire::word_and_tail();
    const MAX_WIRE: Option<usize> = max_of_items(4, B::MAX, Some(N));
    #[inline(always)]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
        const { assert!(N > 0 && N.is_multiple_of(4), "borrowed elements are opaque of a multiple of four bytes") }
        let count = reader.word(run, 0)?;
        let count = reader.count(count, B::MAX, N)?;
        let (items, _) = reader.take(count.saturating_mul(N))?.as_chunks();
        reader.leave();
        Ok(items)
    }
    fn schema() -> &'static Schema {
        <[[u8; N]] as EncodeBounded<Max<B>>>::schema()
    }
}

/// Each node is the flag 1 and an element, the end is the flag 0.
impl<B: Bound, I, T: EncodeBounded<I>> EncodeBounded<List<B, I>> for [T] {
    const WIRE: Wire = Wire::word_and_tail();
    const MAX_WIRE: Option<usize> = match T::MAX_WIRE {
        Some(item) => max_of_items(4, B::MAX, item.checked_add(4)),
        None => None,
    };
    const CODE: Code = T::CODE;
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        length_word(self.len(), B::MAX, out)?;
        write_word(u32::from(!self.is_empty()), out)
    }
    #[inline]
    fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        let mut left = self.len();
        for item in self {
            left = left.saturating_sub(1);
            if T::WIRE.tail {
                encode_whole::<I, T>(item, writer)?;
                write_word(u32::from(left > 0), writer.take(4)?)?;
            } else {
                let mut run = writer.take(T::WIRE.head.saturating_add(4))?;
                head_of::<I, T>(item, &mut run)?;
                write_word(u32::from(left > 0), run)?;
            }
        }
        Ok(())
    }
    #[inline]
    fn tail_len(&self) -> usize {
        self.iter().fold(0, |sum, item| sum.saturating_add(len_of::<I, T>(item)).saturating_add(4))
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("list", Shape::List { max: B::MAX, item: T::schema }) }
    }
}

impl<'de, B: Bound, I, T: DecodeBounded<'de, I>> DecodeBounded<'de, List<B, I>> for Vec<T> {
    const WIRE: Wire = Wire::word_and_tail();
    const MAX_WIRE: Option<usize> = match T::MAX_WIRE {
        Some(item) => max_of_items(4, B::MAX, item.checked_add(4)),
        None => None,
    };
    const OWNS: bool = true;
    #[inline]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
        let mut items = Self::new();
        let mut more = flag(reader, run)?;
        reader.enter(reader.remaining().saturating_add(4))?;
        while more {
            if items.len() >= B::MAX {
                return Err(reader.invalid(DecodeCause::TooLong, &[]));
            }
            if size_of::<T>() == 0 {
                // Without size there is no room to pay for, and the nodes themselves cost their unit.
                reader.charge(unit::<T>(), reader.remaining().saturating_add(4))?;
            } else if items.len() == items.capacity() {
                grow(reader, &mut items)?;
            }
            items.push(T::decode_here(reader, &mut &[][..], 0, false)?);
            more = flag(reader, &mut &[][..])?;
        }
        reader.leave();
        Ok(items)
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("list", Shape::List { max: B::MAX, item: T::schema }) }
    }
}

/// An optional-data flag.
#[inline(always)]
pub(crate) fn flag<'de>(reader: &mut Reader<'de>, run: &mut &'de [u8]) -> Result<bool, DecodeFault> {
    match reader.word(run, 0)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(reader.invalid(DecodeCause::InvalidFlag, run)),
    }
}

/// Doubles a list's room. While it grows, old and new room exist side by side, and both are charged.
fn grow<T>(reader: &mut Reader<'_>, items: &mut Vec<T>) -> Result<(), DecodeFault> {
    let position = reader.remaining().saturating_add(4);
    let old = items.capacity();
    let room = old.saturating_mul(2).max(4);
    reader.charge(room.saturating_mul(unit::<T>()), position)?;
    match items.try_reserve_exact(room.saturating_sub(items.len())) {
        Ok(()) => {
            reader.refund(old.saturating_mul(unit::<T>()));
            Ok(())
        }
        Err(_) => Err(reader.stop_at(DecodeCause::Heap, position)),
    }
}
