//! Values within their bounds, made from a type's description, for fuzzing and property tests.

use alloc::vec::Vec;

use ::arbitrary::{Error, Result, Unstructured};

use crate::codec::from_slice;
use crate::decode::DecodeOwned;
use crate::schema::{Arm, Field, Schema, Shape, Type};

/// How deep generated values nest. Decoding with the default limits accepts as much.
const DEEPEST: usize = 24;

/// A value of any type that can be decoded, out of a fuzzer's bytes.
///
/// Strings, arrays, lists and unions keep to the bounds and labels of the type; nothing has to be derived.
///
/// # Errors
/// When the bytes make a value that the type's `validate` refuses, or one that nests without an end.
///
/// # Examples
/// ```
/// use xdr_core::Xdr;
/// #[derive(Debug, Xdr)]
/// struct Name { #[xdr(max = 3)] name: String, many: Option<u32> }
///
/// let mut source = arbitrary::Unstructured::new(&[7; 64]);
/// let name: Name = xdr_core::arbitrary(&mut source).unwrap();
/// assert!(name.name.len() <= 3);
/// ```
pub fn arbitrary<T: DecodeOwned>(source: &mut Unstructured<'_>) -> Result<T> {
    let wire = arbitrary_wire(T::schema(), source)?;
    from_slice(&wire).map_err(|_| Error::IncorrectFormat)
}

/// The XDR form of a value of a described type, out of a fuzzer's bytes.
///
/// # Errors
/// When values of the type nest without an end.
pub fn arbitrary_wire(schema: &Schema, source: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut wire = Vec::new();
    value(schema, source, &mut wire, DEEPEST)?;
    Ok(wire)
}

fn value(schema: &Schema, source: &mut Unstructured<'_>, wire: &mut Vec<u8>, deepest: usize) -> Result<()> {
    let Some(deeper) = deepest.checked_sub(1) else { return Err(Error::IncorrectFormat) };
    match schema.shape {
        Shape::Void => {}
        Shape::Char => word(wire, i32::from(source.arbitrary::<i8>()?).cast_unsigned()),
        Shape::Short => word(wire, i32::from(source.arbitrary::<i16>()?).cast_unsigned()),
        Shape::UnsignedChar => word(wire, source.arbitrary::<u8>()?.into()),
        Shape::UnsignedShort => word(wire, source.arbitrary::<u16>()?.into()),
        Shape::Int | Shape::UnsignedInt | Shape::Float => word(wire, source.arbitrary()?),
        Shape::Hyper | Shape::UnsignedHyper | Shape::Double => wire.extend(source.arbitrary::<[u8; 8]>()?),
        Shape::Quadruple => wire.extend(source.arbitrary::<[u8; 16]>()?),
        Shape::Bool => word(wire, source.arbitrary::<bool>()?.into()),
        Shape::FixedOpaque(len) => {
            for _ in 0..len {
                wire.push(source.arbitrary()?);
            }
            pad(wire, len);
        }
        Shape::Opaque { max } | Shape::String { max, utf8: false } => {
            let len = length(source, max)?;
            counted(wire, source.bytes(len.min(source.len()))?);
        }
        Shape::String { max, .. } => {
            let text: &str = source.arbitrary()?;
            counted(wire, text.get(..text.floor_char_boundary(max)).unwrap_or_default().as_bytes());
        }
        Shape::FixedArray { len, item } => items(item, len, source, wire, deeper)?,
        Shape::Array { max, item } => {
            let len = nested(source, max, deeper)?;
            word(wire, u32::try_from(len).unwrap_or(0));
            items(item, len, source, wire, deeper)?;
        }
        Shape::List { max, item } => {
            for _ in 0..nested(source, max, deeper)? {
                word(wire, 1);
                value(item(), source, wire, deeper)?;
            }
            word(wire, 0);
        }
        Shape::Optional(inner) => {
            let present = nested(source, 1, deeper)? == 1;
            word(wire, present.into());
            if present {
                value(inner(), source, wire, deeper)?;
            }
        }
        Shape::Struct { fields } => self::fields(fields, source, wire, deeper)?,
        Shape::Enum { values, other } => {
            let named = source.choose_index(values.len().max(1))?;
            let unnamed = other && source.ratio(1, 4)?;
            let number = match values.get(named) {
                Some(named) if !unnamed => named.value,
                _ => source.arbitrary()?,
            };
            word(wire, number.cast_unsigned());
        }
        Shape::Union { switch, arms, default } => union(switch, arms, default, source, wire, deeper)?,
        Shape::Typedef(inner) | Shape::Checked { inner, .. } => value(inner(), source, wire, deeper)?,
    }
    Ok(())
}

fn union(
    switch: Type,
    arms: &'static [Arm],
    default: Option<&'static Arm>,
    source: &mut Unstructured<'_>,
    wire: &mut Vec<u8>,
    deeper: usize,
) -> Result<()> {
    let chosen = source.choose_index(arms.len().saturating_add(usize::from(default.is_some())).max(1))?;
    if let Some(arm) = arms.get(chosen) {
        let label = source.choose(arm.labels)?;
        // A label is an `int` or an `unsigned int`: its low word is what is on the wire.
        word(wire, u32::try_from(*label & i64::from(u32::MAX)).unwrap_or(0));
        return fields(arm.fields, source, wire, deeper);
    }
    let Some(arm) = default else { return Err(Error::IncorrectFormat) };
    let start = wire.len();
    value(switch(), source, wire, deeper)?;
    let tag = wire.get(start..).and_then(|word| word.first_chunk::<4>()).map_or(0, |word| u32::from_be_bytes(*word));
    // The discriminant may have hit one of the labels.
    fields(crate::walk::selected(arms, tag).unwrap_or(arm).fields, source, wire, deeper)
}

fn fields(fields: &[Field], source: &mut Unstructured<'_>, wire: &mut Vec<u8>, deepest: usize) -> Result<()> {
    fields.iter().try_for_each(|field| value((field.schema)(), source, wire, deepest))
}

fn items(item: Type, len: usize, source: &mut Unstructured<'_>, wire: &mut Vec<u8>, deepest: usize) -> Result<()> {
    (0..len).try_for_each(|_| value(item(), source, wire, deepest))
}

/// A length within the maximum and within what the source can fill.
fn length(source: &mut Unstructured<'_>, max: usize) -> Result<usize> {
    let most = max.min(source.len());
    source.int_in_range(0..=most)
}

/// The length of what may nest further: nothing where it is deep already.
fn nested(source: &mut Unstructured<'_>, max: usize, deeper: usize) -> Result<usize> {
    if deeper < 4 || source.is_empty() { Ok(0) } else { length(source, max) }
}

fn word(wire: &mut Vec<u8>, word: u32) {
    wire.extend(word.to_be_bytes());
}

fn counted(wire: &mut Vec<u8>, body: &[u8]) {
    word(wire, u32::try_from(body.len()).unwrap_or(0));
    wire.extend(body);
    pad(wire, body.len());
}

fn pad(wire: &mut Vec<u8>, len: usize) {
    wire.extend(core::iter::repeat_n(0, len.wrapping_neg() & 3));
}

/// A proptest strategy for values of any type that can be decoded, within their bounds.
///
/// # Examples
/// ```
/// use proptest::prelude::*;
/// use xdr_core::Xdr;
/// #[derive(Debug, Clone, PartialEq, Xdr)]
/// struct Name { #[xdr(max = 3)] name: String, many: Option<u32> }
///
/// proptest!(|(name in xdr_core::proptest::<Name>())| {
///     let wire = xdr_core::to_vec(&name).unwrap();
///     prop_assert_eq!(xdr_core::from_slice::<Name>(&wire).unwrap(), name);
/// });
/// ```
#[cfg(feature = "proptest")]
pub fn proptest<T: DecodeOwned + core::fmt::Debug>() -> impl ::proptest::strategy::Strategy<Value = T> {
    use ::proptest::prelude::{Strategy, any};

    ::proptest::collection::vec(any::<u8>(), 0..512)
        .prop_filter_map("the type refuses the value", |bytes| arbitrary(&mut Unstructured::new(&bytes)).ok())
}
