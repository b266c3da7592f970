//! The entry points.

use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::bound::Plain;
use crate::decode::Decode;
use crate::encode::{Encode, encode_whole, len_of};
use crate::error::{DecodeError, EncodeError, EncodeErrorKind};
use crate::explain::{decode_error, encode_error};
use crate::fault::{EncodeCause, EncodeFault};
use crate::limits::Limits;
use crate::reader::Reader;
use crate::schema::Schema;
use crate::writer::Writer;

/// Encodes a value.
///
/// # Errors
/// When a bound is exceeded, or a union's tag belongs to another arm.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), xdr_core::EncodeError> {
/// assert_eq!(xdr_core::to_vec(&7_i32)?, [0, 0, 0, 7]);
/// # Ok(())
/// # }
/// ```
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    if const { T::CODE.quiet } { quiet::vec_of(&Value(value), T::schema()) } else { vec_of(&Value(value), T::schema()) }
}

/// One function for all types: beside the allocation, a call through the object costs nothing.
fn vec_of(value: &dyn Object, schema: &'static Schema) -> Result<Vec<u8>, EncodeError> {
    let announced = announced(value);
    if announced > MOST {
        return Err(beyond_memory(schema, announced));
    }
    let mut out = vec![0; announced];
    match encode(value, &mut out) {
        Ok(0) => Ok(out),
        other => Err(not_filled(value, schema, out.len(), other)),
    }
}

/// Encodes a value into a shared buffer.
///
/// # Errors
/// As [`to_vec`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), xdr_core::EncodeError> {
/// assert_eq!(xdr_core::to_bytes(&true)?.as_ref(), [0, 0, 0, 1]);
/// # Ok(())
/// # }
/// ```
pub fn to_bytes<T: Encode + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
    to_vec(value).map(Bytes::from)
}

/// Encodes a value behind what the buffer holds. After an error the buffer is as it was.
///
/// # Errors
/// As [`to_vec`].
///
/// # Examples
/// ```
/// use bytes::BytesMut;
/// # fn main() -> Result<(), xdr_core::EncodeError> {
/// let mut buffer = BytesMut::new();
/// xdr_core::encode_into(&1_u32, &mut buffer)?;
/// xdr_core::encode_into(&2_u32, &mut buffer)?;
/// assert_eq!(buffer.as_ref(), [0, 0, 0, 1, 0, 0, 0, 2]);
/// # Ok(())
/// # }
/// ```
pub fn encode_into<T: Encode + ?Sized>(value: &T, buffer: &mut BytesMut) -> Result<(), EncodeError> {
    // Nothing to write: the buffer need not be looked at.
    if const { T::WIRE.head == 0 && !T::WIRE.tail } {
        return encode_to_slice(value, &mut []).map(drop);
    }
    if const { T::CODE.quiet } {
        quiet::append(&Value(value), T::schema(), buffer)
    } else {
        append(&Value(value), T::schema(), buffer)
    }
}

fn append(value: &dyn Object, schema: &'static Schema, buffer: &mut BytesMut) -> Result<(), EncodeError> {
    let before = buffer.len();
    let announced = self::announced(value);
    let len = before.saturating_add(announced);
    if len > MOST {
        return Err(beyond_memory(schema, announced));
    }
    buffer.resize(len, 0);
    match encode(value, buffer.get_mut(before..).unwrap_or_default()) {
        Ok(0) => Ok(()),
        other => {
            buffer.truncate(before);
            Err(not_filled(value, schema, announced, other))
        }
    }
}

/// The same for values whose encoding does not panic ([`Code`](crate::Code)): what calls these needs no code to clean up behind
/// them. A panic would abort.
mod quiet {
    use super::{BytesMut, EncodeError, Object, Schema, Vec};

    #[expect(improper_ctypes_definitions, reason = "called from Rust alone: so that it cannot unwind")]
    pub(super) extern "C" fn vec_of(value: &dyn Object, schema: &'static Schema) -> Result<Vec<u8>, EncodeError> {
        super::vec_of(value, schema)
    }

    #[expect(improper_ctypes_definitions, reason = "called from Rust alone: so that it cannot unwind")]
    pub(super) extern "C" fn append(
        value: &dyn Object,
        schema: &'static Schema,
        buffer: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        super::append(value, schema, buffer)
    }
}

/// Encodes a value at the front of `space` and returns how many bytes it took. Nothing is allocated.
///
/// # Errors
/// [`EncodeErrorKind::NoSpace`] when the value is longer than `space`; else as [`to_vec`].
///
/// # Examples
/// ```
/// # fn main() -> Result<(), xdr_core::EncodeError> {
/// let mut space = [0xff; 8];
/// assert_eq!(xdr_core::encode_to_slice(&3_u32, &mut space)?, 4);
/// assert_eq!(space, [0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]);
/// assert!(xdr_core::encode_to_slice(&[1_u32; 3], &mut space).is_err());
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn encode_to_slice<T: Encode + ?Sized>(value: &T, space: &mut [u8]) -> Result<usize, EncodeError> {
    let len = space.len();
    // A copy of its own: where nothing is allocated, a call through the object would be felt.
    let mut writer = Writer::new(space);
    match encode_whole::<Plain, T>(value, &mut writer) {
        Ok(()) => Ok(len.saturating_sub(writer.remaining())),
        Err(fault) => Err(not_fitting(&Value(value), T::schema(), fault)),
    }
}

/// A value's codec as an object: what is not worth its code in every type exists once.
trait Object {
    fn put(&self, writer: &mut Writer<'_>);
}

struct Value<'a, T: ?Sized>(&'a T);

impl<T: Encode + ?Sized> Object for Value<'_, T> {
    fn put(&self, writer: &mut Writer<'_>) {
        self.0.put(writer, 0);
    }
}

/// How many bytes a value takes.
fn announced(value: &dyn Object) -> usize {
    let mut writer = Writer::counting();
    value.put(&mut writer);
    writer.counted()
}

/// Writes the value and returns how much space is left.
fn encode(value: &dyn Object, space: &mut [u8]) -> Result<usize, EncodeFault> {
    let mut writer = Writer::new(space);
    value.put(&mut writer);
    match writer.fault() {
        None => Ok(writer.remaining()),
        Some(fault) => Err(fault),
    }
}

/// Most bytes that a buffer is asked to hold: of more than `isize::MAX` it would panic. Of 32 bits that is little enough for a
/// buffer that grows to twice its room to ask for.
const MOST: usize = match usize::BITS {
    64 => isize::MAX.cast_unsigned(),
    _ => isize::MAX.cast_unsigned() / 2,
};

/// Parts of a value may be shared, so that it is longer on the wire than memory is.
#[cold]
#[inline(never)]
fn beyond_memory(schema: &'static Schema, needed: usize) -> EncodeError {
    EncodeError { kind: EncodeErrorKind::NoSpace { needed }, path: schema.name.into() }
}

/// Why a value did not fill the space that it announced.
#[cold]
#[inline(never)]
fn not_filled(
    value: &dyn Object,
    schema: &'static Schema,
    announced: usize,
    outcome: Result<usize, EncodeFault>,
) -> EncodeError {
    let error = match outcome {
        Ok(_) => EncodeError { kind: EncodeErrorKind::WrongLength { announced }, path: schema.name.into() },
        Err(fault) => explain_encode(value, schema, announced, fault),
    };
    match error {
        EncodeError { kind: EncodeErrorKind::NoSpace { .. }, path } => {
            EncodeError { kind: EncodeErrorKind::WrongLength { announced }, path }
        }
        error => error,
    }
}

/// Why a value did not go into the caller's space.
#[cold]
#[inline(never)]
fn not_fitting(value: &dyn Object, schema: &'static Schema, fault: EncodeFault) -> EncodeError {
    match announced(value) {
        needed if needed > MOST => beyond_memory(schema, needed),
        needed => explain_encode(value, schema, needed, fault),
    }
}

/// Finds the field where encoding stopped: it is encoded over zeros and over ones, and the first byte
/// that differs is the first that was not written.
fn explain_encode(value: &dyn Object, schema: &'static Schema, needed: usize, fault: EncodeFault) -> EncodeError {
    if fault.cause() == EncodeCause::Full {
        return encode_error(fault, schema, &[], needed);
    }
    let mut zeros = vec![0; needed];
    let mut ones = vec![0xff; needed];
    // Both stop where the first attempt stopped.
    let _ = encode(value, &mut zeros);
    let _ = encode(value, &mut ones);
    let written = zeros.iter().zip(&ones).take_while(|(zero, one)| zero == one).count();
    encode_error(fault, schema, zeros.get(..written).unwrap_or_default(), needed)
}

/// How many bytes a value takes, without encoding it. Bounds are not checked.
///
/// # Examples
/// ```
/// assert_eq!(xdr_core::encoded_len(&Some(5_i64)), 12);
/// ```
#[must_use]
#[inline]
pub fn encoded_len<T: Encode + ?Sized>(value: &T) -> usize {
    len_of::<Plain, T>(value)
}

/// Decodes a value that takes all of the input, with [`Limits::DEFAULT`].
///
/// # Errors
/// When the input is not exactly the XDR form of a value.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), xdr_core::DecodeError> {
/// assert_eq!(xdr_core::from_slice::<(i32, bool)>(&[0, 0, 0, 7, 0, 0, 0, 1])?, (7, true));
/// assert!(xdr_core::from_slice::<bool>(&[0, 0, 0, 2]).is_err());
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn from_slice<'de, T: Decode<'de>>(input: &'de [u8]) -> Result<T, DecodeError> {
    whole(input, None, None)
}

/// Decodes a value that takes all of the input, within `limits`.
///
/// # Errors
/// When the input is not exactly the XDR form of a value, or decoding costs more than `limits` allow.
///
/// # Examples
/// ```
/// use xdr_core::{Limits, from_slice_with};
/// let two_deep = [0, 0, 0, 9];
/// let limits = Limits::default().with_depth(1);
/// assert!(from_slice_with::<Box<Box<i32>>>(&two_deep, limits).is_err());
/// assert!(from_slice_with::<Box<i32>>(&two_deep, limits).is_ok());
/// ```
#[inline]
pub fn from_slice_with<'de, T: Decode<'de>>(input: &'de [u8], limits: Limits) -> Result<T, DecodeError> {
    whole(input, None, Some(&limits))
}

/// Decodes a value that takes all of a shared buffer: `Bytes` fields are slices of it, not copies.
///
/// # Errors
/// As [`from_slice`].
///
/// # Examples
/// ```
/// use xdr_core::{Bytes, Xdr};
/// #[derive(Xdr)]
/// struct Blob { #[xdr(max = 8)] blob: Bytes }
///
/// # fn main() -> Result<(), xdr_core::DecodeError> {
/// let input = Bytes::from_static(&[0, 0, 0, 2, 7, 8, 0, 0]);
/// let Blob { blob } = xdr_core::from_bytes(&input)?;
/// assert_eq!(blob.as_ptr(), input[4..].as_ptr());
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn from_bytes<'de, T: Decode<'de>>(input: &'de Bytes) -> Result<T, DecodeError> {
    whole(input, Some(input), None)
}

/// [`from_bytes`] within `limits`.
///
/// # Errors
/// As [`from_slice_with`].
#[inline]
pub fn from_bytes_with<'de, T: Decode<'de>>(input: &'de Bytes, limits: Limits) -> Result<T, DecodeError> {
    whole(input, Some(input), Some(&limits))
}

/// Decodes a value at the front of the input and returns it with what is left.
///
/// # Errors
/// When the input does not begin with the XDR form of a value.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), xdr_core::DecodeError> {
/// let (value, rest) = xdr_core::decode_prefix::<u32>(&[0, 0, 0, 1, 9, 9])?;
/// assert_eq!((value, rest), (1, &[9, 9][..]));
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn decode_prefix<'de, T: Decode<'de>>(input: &'de [u8]) -> Result<(T, &'de [u8]), DecodeError> {
    decode_prefix_with(input, Limits::DEFAULT)
}

/// [`decode_prefix`] within `limits`.
///
/// # Errors
/// As [`from_slice_with`].
#[inline]
pub fn decode_prefix_with<'de, T: Decode<'de>>(
    input: &'de [u8],
    limits: Limits,
) -> Result<(T, &'de [u8]), DecodeError> {
    let mut reader = Reader::new(input, None, &limits);
    match T::decode_here(&mut reader, &mut &[][..], 0, false) {
        Ok(value) => Ok((value, reader.rest())),
        Err(_) => Err(decode_error(reader.reason(), T::schema(), input, Some(&limits))),
    }
}

/// Without `limits`, the default ones: nothing is passed on where all that is called is a function.
#[inline(always)]
fn whole<'de, T: Decode<'de>>(
    input: &'de [u8],
    buffer: Option<&'de Bytes>,
    limits: Option<&Limits>,
) -> Result<T, DecodeError> {
    // One comparison instead of two, for the beginning and the end of the run.
    if const { T::FIXED_WIRE.is_some() } && T::FIXED_WIRE != Some(input.len()) {
        return Err(of_other_length::<T>(input, buffer, limits));
    }
    let mut reader = match (buffer, limits) {
        _ if const { !T::OWNS } => Reader::new(input, buffer, limits.unwrap_or(&Limits::DEFAULT)),
        (None, None) => Reader::of_slice(input),
        _ => Reader::in_memory(input, buffer, limits),
    };
    // What is not a derived struct has not looked whether it is at the end.
    if let Ok(value) = T::decode_here(&mut reader, &mut &[][..], 0, true)
        && reader.is_over()
    {
        return Ok(value);
    }
    if const { T::OWNS } {
        // The reader is in memory already.
        match limits {
            None => Err(error_of(&reader, T::schema())),
            Some(limits) => Err(error_within(&reader, T::schema(), limits)),
        }
    } else {
        Err(decode_error(reader.reason(), T::schema(), input, limits))
    }
}

#[cold]
#[inline(never)]
fn error_of(reader: &Reader<'_>, schema: &'static Schema) -> DecodeError {
    error_within(reader, schema, &Limits::DEFAULT)
}

#[cold]
#[inline(never)]
fn error_within(reader: &Reader<'_>, schema: &'static Schema, limits: &Limits) -> DecodeError {
    decode_error(reader.reason(), schema, reader.input(), Some(limits))
}

/// What is wrong with input that is too short or too long; what is wrong in its beginning comes first.
#[cold]
#[inline(never)]
fn of_other_length<'de, T: Decode<'de>>(
    input: &'de [u8],
    buffer: Option<&'de Bytes>,
    limits: Option<&Limits>,
) -> DecodeError {
    let mut reader = Reader::in_memory(input, buffer, limits);
    let _ = T::decode_here(&mut reader, &mut &[][..], 0, false);
    decode_error(reader.reason(), T::schema(), input, limits)
}
