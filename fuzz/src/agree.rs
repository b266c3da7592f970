//! Owned, borrowed and shared decoding of the same bytes.

use xdr_core::{
    Bytes, Decode, DecodeError, DecodeErrorKind, DecodeOwned, Encode, Limits, decode_prefix, encoded_len, from_bytes,
    from_slice, from_slice_with, to_vec,
};

/// Decodes as `T` in every way, and as `B`, which is its borrowed form.
pub fn decode<'de, T: Encode + DecodeOwned, B: Encode + Decode<'de>>(input: &'de [u8]) {
    let buffer = Bytes::copy_from_slice(input);
    let owned = from_slice::<T>(input);
    check(&owned, input);
    same(&owned, &from_bytes::<T>(&buffer), input);
    same(&owned, &from_slice::<B>(input), input);
    match decode_prefix::<T>(input) {
        Ok((value, rest)) => {
            let (taken, left) = input.split_at(encoded_len(&value));
            assert_eq!((to_vec(&value).as_deref(), rest), (Ok(taken), left));
            // All of it, or trailing bytes were the only mistake.
            assert_eq!(owned.is_ok(), rest.is_empty());
        }
        Err(error) => assert_eq!(Some(error), owned.as_ref().err().cloned()),
    }
    lenient(&owned, input);
}

/// What is accepted is encoded to the same bytes; what is refused says where and why.
fn check<T: Encode>(result: &Result<T, DecodeError>, input: &[u8]) {
    match result {
        Ok(value) => {
            assert_eq!(encoded_len(value), input.len());
            assert_eq!(to_vec(value).as_deref(), Ok(input));
        }
        Err(error) => {
            assert!(error.offset <= input.len(), "{error}");
            assert!(error.path.starts_with(T::schema().name), "{error}");
        }
    }
}

fn same<T, B: Encode>(owned: &Result<T, DecodeError>, other: &Result<B, DecodeError>, input: &[u8]) {
    check(other, input);
    match (owned, other) {
        (Ok(_), Ok(_)) => {}
        (Err(owned), Err(other)) => assert!(same_error(owned, other), "owned {owned:?}, other {other:?}"),
        (owned, other) => panic!("owned {:?}, other {:?}", owned.as_ref().err(), other.as_ref().err()),
    }
}

/// Whether two errors of the same bytes agree. Of bytes that end too early and break a rule as well, what is copied may tell
/// the one and what is borrowed the other: they come to them in different order.
pub fn same_error(one: &DecodeError, other: &DecodeError) -> bool {
    let ends = |error: &DecodeError| matches!(error.kind, DecodeErrorKind::UnexpectedEnd { .. });
    one == other || ends(one) != ends(other)
}

/// Lenient padding accepts padding, and nothing else.
fn lenient<T: Encode + DecodeOwned>(owned: &Result<T, DecodeError>, input: &[u8]) {
    let result = from_slice_with::<T>(input, Limits::default().with_lenient_padding(true));
    match (owned, result) {
        (Err(DecodeError { kind: DecodeErrorKind::NonZeroPadding, .. }), Ok(value)) => {
            assert_eq!(encoded_len(&value), input.len());
        }
        (Err(DecodeError { kind: DecodeErrorKind::NonZeroPadding, .. }), Err(error)) => {
            assert_ne!(error.kind, DecodeErrorKind::NonZeroPadding);
        }
        (Ok(_), result) => check(&result, input),
        (Err(strict), result) => assert_eq!(Some(strict), result.err().as_ref()),
    }
}
