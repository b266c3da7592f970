//! Variable-length opaque data and strings (RFC 4506 §4.10, §4.11).

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bound::{Bound, Max};
use crate::decode::{DecodeBounded, Reader};
use crate::encode::{EncodeBounded, Writer, length_word, padded, write_padded};
use crate::fault::{DecodeCause, DecodeFault, EncodeFault};
use crate::schema::{Schema, Shape};
use crate::wire::{Wire, max_of_opaque};

macro_rules! opaque_like {
    ($type:ty, $bytes:ident, $name:literal, $shape:expr) => {
        impl<B: Bound> EncodeBounded<Max<B>> for $type {
            const WIRE: Wire = Wire::word_and_tail();
            const MAX_WIRE: Option<usize> = max_of_opaque(B::MAX);
            #[inline(always)]
            fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
                length_word(self.len(), B::MAX, out)
            }
            #[inline(always)]
            fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
                let space = writer.take(padded(self.len()))?;
                write_padded(self.$bytes(), space)
            }
            #[inline(always)]
            fn tail_len(&self) -> usize {
                padded(self.len())
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin($name, $shape) }
            }
        }
    };
}

opaque_like!([u8], as_ref, "opaque", Shape::Opaque { max: B::MAX });
opaque_like!(Bytes, as_ref, "opaque", Shape::Opaque { max: B::MAX });
opaque_like!(str, as_bytes, "string", Shape::String { max: B::MAX });

/// Decoding, which differs only in what is made of the body.
macro_rules! decode_opaque_like {
    ($([$($borrow:tt)*] $type:ty, $encoded:ty, |$reader:ident, $body:ident| $make:expr;)+) => {$(
        impl<$($borrow)* B: Bound> DecodeBounded<'de, Max<B>> for $type {
            const WIRE: Wire = Wire::word_and_tail();
            const MAX_WIRE: Option<usize> = max_of_opaque(B::MAX);
            #[inline(always)]
            fn decode($reader: &mut Reader<'de>, run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
                let len = $reader.word(run, 0)?;
                let $body = $reader.opaque(len, B::MAX)?;
                $make
            }
            fn schema() -> &'static Schema {
                <$encoded as EncodeBounded<Max<B>>>::schema()
            }
        }
    )+};
}

decode_opaque_like! {
    ['de: 'a, 'a,] &'a [u8], [u8], |reader, body| Ok(body);
    ['de,] Vec<u8>, [u8], |reader, body| { reader.charge(body.len(), reader.remaining())?; Ok(body.to_vec()) };
    ['de: 'a, 'a,] Cow<'a, [u8]>, [u8], |reader, body| Ok(Cow::Borrowed(body));
    ['de,] Bytes, [u8], |reader, body| reader.share(body);
    ['de: 'a, 'a,] &'a str, str, |reader, body| utf8(reader, body);
    ['de,] String, str, |reader, body| {
        let text = utf8(reader, body)?;
        reader.charge(text.len(), reader.remaining())?;
        Ok(text.to_owned())
    };
    ['de: 'a, 'a,] Cow<'a, str>, str, |reader, body| Ok(Cow::Borrowed(utf8(reader, body)?));
}

#[inline(always)]
fn utf8<'de>(reader: &Reader<'de>, body: &'de [u8]) -> Result<&'de str, DecodeFault> {
    match core::str::from_utf8(body) {
        Ok(text) => Ok(text),
        Err(error) => Err(invalid_utf8(body.len(), error.valid_up_to(), reader.remaining())),
    }
}

#[cold]
const fn invalid_utf8(len: usize, valid: usize, remaining: usize) -> DecodeFault {
    let position = padded(len).saturating_sub(valid).saturating_add(remaining);
    DecodeFault::new(DecodeCause::InvalidUtf8, position)
}
