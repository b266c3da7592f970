//! Words: integers, floating point, bool and void (RFC 4506 §4.1 to §4.7, §4.16).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::bound::Plain;
use crate::decode::{Decode, decode_array};
use crate::encode::{Encode, head_in};
use crate::fault::{DecodeCause, DecodeFault, EncodeFault};
use crate::reader::{Reader, next_of};
use crate::schema::{Schema, Shape};
use crate::tag::Labels;
use crate::wire::{Code, Run, Wire};
use crate::writer::{Writer, full, put_each, write_array, write_in, write_word};

macro_rules! number {
    ($($number:ty, $bytes:literal, $shape:ident, $name:literal, $labels:ident;)+) => {$(
        impl Encode for $number {
            const LABELS: Labels = Labels::$labels;
            const WIRE: Wire = Wire::fixed($bytes);
            const MAX_WIRE: Option<usize> = Some($bytes);
            const CODE: Code = Code::QUIET;
            #[inline(always)]
            fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
                write_array(self.to_be_bytes(), out)
            }
            #[inline(always)]
            fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
                write_in(&self.to_be_bytes(), run)
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin($name, Shape::$shape) }
            }
            #[inline(never)]
            fn encode_items(items: &[Self], writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
                let run = writer.take(size_of_val(items))?;
                let (groups, rest) = run.as_chunks_mut::<{ 16 * $bytes }>();
                let (item_groups, item_rest) = items.as_chunks::<16>();
                for (group, items) in groups.iter_mut().zip(item_groups) {
                    group.copy_from_slice(items.map(<$number>::to_be_bytes).as_flattened());
                }
                for (space, item) in rest.chunks_exact_mut($bytes).zip(item_rest) {
                    space.copy_from_slice(&item.to_be_bytes());
                }
                Ok(())
            }
            #[inline(never)]
            fn put_items<'a>(items: &[Self], writer: &mut Writer<'a>, max: usize, next: usize) -> &'a mut [u8] {
                put_each(items.len(), || size_of_val(items), writer, max, next, |writer| Self::encode_items(items, writer))
            }
        }

        impl<'de> Decode<'de> for $number {
            const LABELS: Labels = Labels::$labels;
            const WIRE: Wire = Wire::fixed($bytes);
            const MAX_WIRE: Option<usize> = Some($bytes);
            #[inline(always)]
            fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
                Ok(Self::from_be_bytes(reader.array::<$bytes>(run, after)?))
            }
            #[inline(always)]
            fn member(
                _: &mut Reader<'de>,
                run: &mut &'de [u8],
                _: &'static Run,
                _: usize,
            ) -> Result<Self, DecodeFault> {
                match next_of(run) {
                    Some(bytes) => Ok(Self::from_be_bytes(bytes)),
                    None => Err(DecodeFault::noted()),
                }
            }
            fn schema() -> &'static Schema {
                <Self as Encode>::schema()
            }
            #[inline(never)]
            fn decode_items(reader: &mut Reader<'de>, count: u32, max: usize) -> Result<Vec<Self>, DecodeFault> {
                decode_numbers(reader, count, max, <$number>::from_be_bytes)
            }
            #[inline(always)]
            fn decode_array(
                reader: &mut Reader<'de>,
                run: &'de [u8],
                max: usize,
                next: usize,
            ) -> Option<Box<[Self]>> {
                // As `owned!` in opaque.rs, and on the same terms: nothing in it panics.
                #[inline(never)]
                #[expect(improper_ctypes_definitions, reason = "called from Rust alone: so that it cannot unwind")]
                extern "C" fn here<'de>(
                    reader: &mut Reader<'de>,
                    max: usize,
                    next: usize,
                ) -> Option<Box<[$number]>> {
                    let count = reader.word(&mut &[][..], 0).ok()?;
                    let items = decode_numbers(reader, count, max, <$number>::from_be_bytes).ok()?;
                    reader.open(next).ok()?;
                    Some(items.into_boxed_slice())
                }
                if run.is_empty() { here(reader, max, next) } else { decode_array::<Plain, Self>(reader, run, max, next) }
            }
        }
    )+};
}

#[inline(always)]
fn decode_numbers<T, const N: usize>(
    reader: &mut Reader<'_>,
    count: u32,
    max: usize,
    number: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, DecodeFault> {
    let count = reader.count(count, max, N)?;
    let mut items = reader.allocate(count)?;
    let run = reader.take(count.saturating_mul(N))?;
    let (words, _) = run.as_chunks::<N>();
    items.extend(words.iter().copied().map(number));
    reader.leave();
    Ok(items)
}

number! {
    i32, 4, Int, "int", Closed;
    u32, 4, UnsignedInt, "unsigned int", Closed;
    i64, 8, Hyper, "hyper", None;
    u64, 8, UnsignedHyper, "unsigned hyper", None;
    f32, 4, Float, "float", None;
    f64, 8, Double, "double", None;
}

/// The small C integers: one word on the wire, as rpcgen's `xdr_char`, `xdr_short` and `xdr_u_short` send them.
macro_rules! small_integer {
    ($($integer:ty, $word:ty, $shape:ident, $name:literal;)+) => {$(
        impl Encode for $integer {
            const WIRE: Wire = Wire::fixed(4);
            const MAX_WIRE: Option<usize> = Some(4);
            const CODE: Code = Code::QUIET;
            #[inline(always)]
            fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
                write_array(<$word>::from(*self).to_be_bytes(), out)
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin($name, Shape::$shape) }
            }
        }

        impl<'de> Decode<'de> for $integer {
            const WIRE: Wire = Wire::fixed(4);
            const MAX_WIRE: Option<usize> = Some(4);
            #[inline(always)]
            fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
                let word = <$word>::from_be_bytes(reader.array::<4>(run, after)?);
                match Self::try_from(word) {
                    Ok(small) => Ok(small),
                    Err(_) => Err(reader.invalid(DecodeCause::OutOfRange, run)),
                }
            }
            fn schema() -> &'static Schema {
                <Self as Encode>::schema()
            }
        }
    )+};
}

small_integer! {
    i8, i32, Char, "char";
    i16, i32, Short, "short";
    u16, u32, UnsignedShort, "unsigned short";
    UChar, u32, UnsignedChar, "unsigned char";
}

/// A C `unsigned char` as rpcgen sends it: one word, 0 to 255.
///
/// `u8` itself is no XDR type: bytes are opaque.
///
/// # Examples
/// ```
/// use xdr_core::UChar;
/// assert_eq!(xdr_core::to_vec(&UChar(200)).unwrap(), [0, 0, 0, 200]);
/// assert!(xdr_core::from_slice::<UChar>(&[0, 0, 1, 0]).is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UChar(pub u8);

impl From<UChar> for u32 {
    fn from(small: UChar) -> Self {
        small.0.into()
    }
}

impl TryFrom<u32> for UChar {
    type Error = core::num::TryFromIntError;

    fn try_from(word: u32) -> Result<Self, Self::Error> {
        u8::try_from(word).map(Self)
    }
}

/// `quadruple` (RFC 4506 §4.8): IEEE 754 with 128 bits, as the bytes that are on the wire.
///
/// Rust has no stable type that computes with it.
///
/// # Examples
/// ```
/// use xdr_core::Quadruple;
/// let one = Quadruple([0x3f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/// assert_eq!(xdr_core::to_vec(&one).unwrap(), one.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Quadruple(pub [u8; 16]);

impl Encode for Quadruple {
    const WIRE: Wire = Wire::fixed(16);
    const MAX_WIRE: Option<usize> = Some(16);
    const CODE: Code = Code::QUIET;
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        write_array(self.0, out)
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("quadruple", Shape::Quadruple) }
    }
}

impl<'de> Decode<'de> for Quadruple {
    const WIRE: Wire = Wire::fixed(16);
    const MAX_WIRE: Option<usize> = Some(16);
    #[inline(always)]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        Ok(Self(reader.array::<16>(run, after)?))
    }
    fn schema() -> &'static Schema {
        <Self as Encode>::schema()
    }
}

impl Encode for bool {
    const LABELS: Labels = Labels::Closed;
    const WIRE: Wire = Wire::fixed(4);
    const MAX_WIRE: Option<usize> = Some(4);
    const CODE: Code = Code::QUIET;
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        write_word(u32::from(*self), out)
    }
    #[inline(always)]
    fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
        write_in(&u32::from(*self).to_be_bytes(), run)
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("bool", Shape::Bool) }
    }
}

impl<'de> Decode<'de> for bool {
    const LABELS: Labels = Labels::Closed;
    const WIRE: Wire = Wire::fixed(4);
    const MAX_WIRE: Option<usize> = Some(4);
    #[inline(always)]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        match reader.word(run, after)? {
            word @ 0..=1 => Ok(word == 1),
            _ => Err(reader.invalid(DecodeCause::InvalidBool, run)),
        }
    }
    #[inline(always)]
    fn member(reader: &mut Reader<'de>, run: &mut &'de [u8], _: &'static Run, _: usize) -> Result<Self, DecodeFault> {
        match next_of(run).map(u32::from_be_bytes) {
            Some(word @ 0..=1) => Ok(word == 1),
            Some(_) => Err(reader.invalid(DecodeCause::InvalidBool, run)),
            None => Err(DecodeFault::noted()),
        }
    }
    fn schema() -> &'static Schema {
        <Self as Encode>::schema()
    }
}

impl Encode for () {
    const WIRE: Wire = Wire::fixed(0);
    const MAX_WIRE: Option<usize> = Some(0);
    const CODE: Code = Code::QUIET;
    #[inline(always)]
    fn head(&self, _out: &mut [u8]) -> Result<(), EncodeFault> {
        Ok(())
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("void", Shape::Void) }
    }
}

impl<'de> Decode<'de> for () {
    const WIRE: Wire = Wire::fixed(0);
    const MAX_WIRE: Option<usize> = Some(0);
    #[inline(always)]
    fn decode(_: &mut Reader<'de>, _: &mut &'de [u8], _: usize) -> Result<Self, DecodeFault> {
        Ok(())
    }
    fn schema() -> &'static Schema {
        <Self as Encode>::schema()
    }
}

impl<const N: usize> Encode for [u8; N] {
    const WIRE: Wire = Wire::fixed(crate::writer::padded(N));
    const MAX_WIRE: Option<usize> = Some(crate::writer::padded(N));
    const CODE: Code = Code::QUIET;
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        match out.split_at_mut_checked(const { crate::writer::padded(N) }) {
            Some((space, _)) => crate::writer::write_padded(self, space),
            None => Err(full()),
        }
    }
    #[inline(always)]
    fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
        if const { N.is_multiple_of(4) } { write_in(self, run) } else { head_in::<Plain, Self>(self, run) }
    }
    fn schema() -> &'static Schema {
        const { &Schema::builtin("opaque", Shape::FixedOpaque(N)) }
    }
}

impl<'de, const N: usize> Decode<'de> for [u8; N] {
    const WIRE: Wire = Wire::fixed(crate::writer::padded(N));
    const MAX_WIRE: Option<usize> = Some(crate::writer::padded(N));
    #[inline(always)]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        reader.fixed_opaque::<N>(run, after)
    }
    #[inline(always)]
    fn member(reader: &mut Reader<'de>, run: &mut &'de [u8], _: &'static Run, _: usize) -> Result<Self, DecodeFault> {
        if const { !N.is_multiple_of(4) } {
            return reader.fixed_opaque::<N>(run, 0);
        }
        match next_of(run) {
            Some(bytes) => Ok(bytes),
            None => Err(DecodeFault::noted()),
        }
    }
    fn schema() -> &'static Schema {
        <Self as Encode>::schema()
    }
}
