//! Variable-length opaque data and strings (RFC 4506 §4.10, §4.11).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ascii::{AsAsciiStr, AsciiStr};
use bytes::Bytes;

use crate::bound::{Bound, Max};
use crate::decode::{DecodeBounded, opened, vector};
use crate::encode::EncodeBounded;
use crate::fault::{DecodeCause, DecodeFault, DecodeReason, EncodeFault};
use crate::reader::Reader;
use crate::schema::{Schema, Shape};
use crate::wire::{Code, Run, Wire, max_of_opaque};
use crate::writer::{Writer, length_word, padded, write_padded};

/// A `string` that need not be UTF-8, borrowed from the input: RFC 4506 §4.11 knows only bytes.
///
/// # Examples
/// ```
/// use xdr_core::{Xdr, XdrStr};
/// #[derive(Xdr)]
/// struct Name<'a> { #[xdr(max = 8)] name: XdrStr<'a> }
///
/// let Name { name } = xdr_core::from_slice(&[0, 0, 0, 1, 0xe9, 0, 0, 0]).unwrap();
/// assert_eq!(name.0, [0xe9]);
/// assert_eq!(name.to_string(), "\u{fffd}");
/// assert!(name.to_str().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XdrStr<'a>(pub &'a [u8]);

/// A `string` that need not be UTF-8.
///
/// # Examples
/// ```
/// use xdr_core::XdrString;
/// let name = XdrString::from("café");
/// assert_eq!(name.len(), 5);
/// assert_eq!(name.to_str(), Ok("café"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XdrString(pub Vec<u8>);

macro_rules! text_of_bytes {
    ($([$($generics:tt)*] $text:ty;)+) => {$(
        impl<$($generics)*> $text {
            /// The length in bytes.
            #[must_use]
            pub const fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether there are no bytes.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// The text, if it is UTF-8.
            ///
            /// # Errors
            /// When it is not.
            pub fn to_str(&self) -> Result<&str, core::str::Utf8Error> {
                core::str::from_utf8(self.as_ref())
            }
        }

        impl<$($generics)*> AsRef<[u8]> for $text {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        /// What is not UTF-8 is shown as U+FFFD.
        impl<$($generics)*> fmt::Display for $text {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&String::from_utf8_lossy(self.as_ref()), f)
            }
        }
    )+};
}

text_of_bytes! {
    ['a] XdrStr<'a>;
    [] XdrString;
}

impl<'a> From<&'a str> for XdrStr<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl From<&str> for XdrString {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for XdrString {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

/// Up to this maximum, a credential's, the code that writes a body is worth its bytes wherever it is used; beyond, it
/// is a function.
const SHORT: usize = 400;

macro_rules! opaque_like {
    ($type:ty, $bytes:ident, $name:literal, $shape:expr) => {
        impl<B: Bound> EncodeBounded<Max<B>> for $type {
            const WIRE: Wire = Wire::word_and_tail();
            const MAX_WIRE: Option<usize> = max_of_opaque(B::MAX);
            const CODE: Code = Code::QUIET;
            #[inline(always)]
            fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
                length_word(self.len(), B::MAX, out)
            }
            #[inline(always)]
            fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
                if B::MAX <= SHORT {
                    let space = writer.take(padded(self.len()))?;
                    return write_padded(self.$bytes(), space);
                }
                writer.opaque(self.$bytes())
            }
            #[inline(always)]
            fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
                writer.put_opaque(self.$bytes(), B::MAX, next)
            }
            #[inline(always)]
            fn tail_len(&self) -> usize {
                // No slice is so long that this wraps.
                self.len().wrapping_add(3) & !3
            }
            fn schema() -> &'static Schema {
                const { &Schema::builtin($name, $shape) }
            }
        }
    };
}

opaque_like!([u8], as_ref, "opaque", Shape::Opaque { max: B::MAX });
opaque_like!(Bytes, as_ref, "opaque", Shape::Opaque { max: B::MAX });
opaque_like!(str, as_bytes, "string", Shape::String { max: B::MAX, utf8: true });
opaque_like!(XdrStr<'_>, as_ref, "string", Shape::String { max: B::MAX, utf8: false });
opaque_like!(XdrString, as_ref, "string", Shape::String { max: B::MAX, utf8: false });

/// Decoding, which differs only in what is made of the body.
macro_rules! decode_opaque_like {
    ($([$($borrow:tt)*] $type:ty, $encoded:ty, |$reader:ident, $run:ident| $make:expr $(, $copied:ident)?;)+) => {$(
        impl<$($borrow)* B: Bound> DecodeBounded<'de, Max<B>> for $type {
            const WIRE: Wire = Wire::word_and_tail();
            const MAX_WIRE: Option<usize> = max_of_opaque(B::MAX);
            #[inline(always)]
            fn decode($reader: &mut Reader<'de>, $run: &mut &'de [u8], _after: usize) -> Result<Self, DecodeFault> {
                $make
            }
            $(const OWNS: bool = true;
            #[inline(always)]
            fn member(
                reader: &mut Reader<'de>,
                run: &mut &'de [u8],
                next: &'static Run,
                after: usize,
            ) -> Result<Self, DecodeFault> {
                $copied(reader, run, B::MAX, next.bytes(after))
            })?
            fn schema() -> &'static Schema {
                <$encoded as EncodeBounded<Max<B>>>::schema()
            }
        }
    )+};
}

decode_opaque_like! {
    ['de: 'a, 'a,] &'a [u8], [u8], |reader, run| reader.opaque_of(run, B::MAX);
    ['de,] Vec<u8>, [u8], |reader, run| owned(reader, run, B::MAX, 0), owned;
    ['de: 'a, 'a,] Cow<'a, [u8]>, [u8], |reader, run| Ok(Cow::Borrowed(reader.opaque_of(run, B::MAX)?));
    ['de,] Bytes, [u8], |reader, run| { let body = reader.opaque_of(run, B::MAX)?; reader.share(body) };
    ['de: 'a, 'a,] &'a str, str, |reader, run| { let body = reader.opaque_of(run, B::MAX)?; utf8(reader, body) };
    ['de,] String, str, |reader, run| owned_text(reader, run, B::MAX, 0), owned_text;
    ['de: 'a, 'a,] XdrStr<'a>, XdrStr<'_>, |reader, run| Ok(XdrStr(reader.opaque_of(run, B::MAX)?));
    ['de,] XdrString, XdrString, |reader, run| Ok(XdrString(owned(reader, run, B::MAX, 0)?)), owned_string;
    ['de: 'a, 'a,] Cow<'a, str>, str, |reader, run| { let body = reader.opaque_of(run, B::MAX)?; Ok(Cow::Borrowed(utf8(reader, body)?)) };
}

/// Copies of the body: functions, because beside an allocation their call costs nothing. They open the run of `next` bytes
/// behind the body as well. What they return are two words, which registers hold.
///
/// `extern "C"`, so that callers need no code to clean up behind them, and a panic inside would abort. There is none, and no
/// code of a user's may be called here: slices are split with checks, sizes saturate, and an allocation that fails aborts
/// anyway.
macro_rules! owned {
    ($owned:ident, $here:ident, $behind:ident, $copied:ident, $type:ty, $slice:ty, $whole:ident) => {
        #[inline(always)]
        fn $owned<'de>(
            reader: &mut Reader<'de>,
            run: &mut &'de [u8],
            max: usize,
            next: usize,
        ) -> Result<$type, DecodeFault> {
            let body = if run.is_empty() { $here(reader, max, next) } else { $behind(run, reader, max, next) };
            opened(body, reader, run, next).map($whole)
        }

        #[inline(never)]
        #[expect(improper_ctypes_definitions, reason = "called from Rust alone: so that it cannot unwind")]
        extern "C" fn $here<'de>(reader: &mut Reader<'de>, max: usize, next: usize) -> Option<Box<$slice>> {
            $copied(reader, &mut &[][..], max, next).ok()
        }

        #[inline(never)]
        #[expect(improper_ctypes_definitions, reason = "called from Rust alone: so that it cannot unwind")]
        extern "C" fn $behind<'de>(
            run: &'de [u8],
            reader: &mut Reader<'de>,
            max: usize,
            next: usize,
        ) -> Option<Box<$slice>> {
            let mut run = run;
            $copied(reader, &mut run, max, next).ok()
        }
    };
}

owned!(owned, copied_here, copied_behind, copied, Vec<u8>, [u8], vector);
owned!(owned_text, copied_text_here, copied_text_behind, copied_text, String, str, text);

#[inline(always)]
fn copied<'de>(
    reader: &mut Reader<'de>,
    run: &mut &'de [u8],
    max: usize,
    next: usize,
) -> Result<Box<[u8]>, DecodeFault> {
    let body = reader.opaque_of(run, max)?;
    reader.charge_body(body)?;
    reader.open(next)?;
    Ok(body.into())
}

#[inline(always)]
fn copied_text<'de>(
    reader: &mut Reader<'de>,
    run: &mut &'de [u8],
    max: usize,
    next: usize,
) -> Result<Box<str>, DecodeFault> {
    let body = reader.opaque_of(run, max)?;
    // Compiled here, by its type parameter: a call would return its result through memory.
    let text = match body.slice_ascii(..) {
        Ok(text) => text.as_str(),
        Err(_) => not_ascii(body, reader.remaining()).map_err(|reason| reader.stop(reason))?,
    };
    reader.charge_body(body)?;
    reader.open(next)?;
    Ok(text.into())
}

/// [`vector`] of a string.
#[inline(always)]
fn text(body: Box<str>) -> String {
    let text = body.into_string();
    let _ = text.len();
    text
}

#[inline(always)]
fn owned_string<'de>(
    reader: &mut Reader<'de>,
    run: &mut &'de [u8],
    max: usize,
    next: usize,
) -> Result<XdrString, DecodeFault> {
    owned(reader, run, max, next).map(XdrString)
}

#[inline(always)]
fn utf8<'de>(reader: &mut Reader<'de>, body: &'de [u8]) -> Result<&'de str, DecodeFault> {
    match AsciiStr::from_ascii(body) {
        Ok(text) => Ok(text.as_str()),
        Err(_) => not_ascii(body, reader.remaining()).map_err(|reason| reader.stop(reason)),
    }
}

/// The whole check, out of the way of what most strings are.
#[cold]
fn not_ascii(body: &[u8], remaining: usize) -> Result<&str, DecodeReason> {
    match core::str::from_utf8(body) {
        Ok(text) => Ok(text),
        Err(error) => Err(invalid_utf8(body.len(), error.valid_up_to(), remaining)),
    }
}

#[cold]
const fn invalid_utf8(len: usize, valid: usize, remaining: usize) -> DecodeReason {
    let position = padded(len).saturating_sub(valid).saturating_add(remaining);
    DecodeReason::new(DecodeCause::InvalidUtf8, position)
}
