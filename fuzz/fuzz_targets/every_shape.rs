//! Any bytes, decoded as each of the shapes of the tests: what is accepted is canonical, what is refused says where.
//!
//! The first two bytes choose the shape.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use xdr_core::{Bytes, DecodeError, DecodeErrorKind, Limits, annotate};
use xdr_fuzz::agree::same_error;
use xdr_tests::shape_table::{Shape, shapes};

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(shapes);

fuzz_target!(|input: &[u8]| {
    let Some((choice, wire)) = input.split_first_chunk() else { return };
    let shape = &SHAPES[usize::from(u16::from_be_bytes(*choice)) % SHAPES.len()];
    let owned = (shape.again)(wire);
    match &owned {
        Ok(again) => {
            assert_eq!(again.wire, wire, "{} is not canonical", shape.name);
            assert_eq!(again.encoded_len, wire.len(), "{}'s length is wrong", shape.name);
            let sizes = shape.min..=shape.max.unwrap_or(usize::MAX);
            assert!(sizes.contains(&wire.len()), "{} has {} bytes, not {sizes:?}", shape.name, wire.len());
            let may_have_nan = shape.name.contains("f32") || shape.name.contains("f64");
            assert!(again.equal || may_have_nan, "{} decodes to another value", shape.name);
        }
        Err(error) => refused(shape, error, wire),
    }
    let owned = owned.map(|again| again.wire);
    let shared = Bytes::copy_from_slice(wire);
    assert_eq!((shape.shared)(&shared, Limits::DEFAULT), owned, "{} out of shared bytes", shape.name);
    if let Some(borrowed) = shape.borrowed {
        match (borrowed(wire, Limits::DEFAULT), &owned) {
            (Err(borrowed), Err(owned)) => {
                assert!(same_error(&borrowed, owned), "{}: {borrowed:?}, {owned:?}", shape.name)
            }
            (borrowed, owned) => assert_eq!(&borrowed, owned, "{} borrowed", shape.name),
        }
    }
    lenient(shape, &shared, &owned);
    annotated(shape, wire, owned.as_ref().err());
});

/// An error lies within the input and begins with the type that was asked for.
fn refused(shape: &Shape, error: &DecodeError, wire: &[u8]) {
    assert!(error.offset <= wire.len(), "{error}");
    let inside = error.path.strip_prefix((shape.schema)().name);
    assert!(inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['.', '['])), "{error}");
    let DecodeErrorKind::UnexpectedEnd { missing } = error.kind else { return };
    assert!(missing > 0, "{error}");
}

/// Lenient padding accepts padding, and nothing else.
fn lenient(shape: &Shape, wire: &Bytes, strict: &Result<Vec<u8>, DecodeError>) {
    let result = (shape.shared)(wire, Limits::DEFAULT.with_lenient_padding(true));
    match strict {
        Err(DecodeError { kind: DecodeErrorKind::NonZeroPadding, .. }) => match result {
            Ok(again) => assert_eq!(again.len(), wire.len(), "{} reads padding as something else", shape.name),
            Err(error) => assert_ne!(error.kind, DecodeErrorKind::NonZeroPadding, "{error}"),
        },
        strict => assert_eq!(&result, strict, "{} is lenient about more than padding", shape.name),
    }
}

/// The annotations lie side by side from the first byte on; they cover all of what is accepted, and name the
/// field of an error.
fn annotated(shape: &Shape, wire: &[u8], error: Option<&DecodeError>) {
    let annotations = annotate((shape.schema)(), wire);
    let mut end = 0;
    for annotation in &annotations {
        assert_eq!(annotation.offset, end, "{annotation}");
        end += annotation.bytes.len();
        assert_eq!(wire.get(annotation.offset..end), Some(&annotation.bytes[..]), "{annotation}");
        assert!(!annotation.to_string().is_empty());
    }
    match error {
        None => assert_eq!(end, wire.len(), "the annotations of {} end early", shape.name),
        Some(DecodeError { kind: DecodeErrorKind::TrailingBytes { count }, .. }) => {
            assert_eq!(end, wire.len() - count, "the annotations of {} go beyond the value", shape.name);
        }
        Some(error) => {
            let named = annotations.iter().any(|annotation| annotation.path == error.path);
            assert!(named, "{error}, but no byte of {} has that name", shape.name);
        }
    }
}
