//! From the one word that travelled to the whole error: the schema is walked over the same bytes.

use alloc::format;
use alloc::string::{String, ToString};
use core::ops::ControlFlow;

use crate::encode::padded;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Lengthy};
use crate::fault::{DecodeCause, DecodeFault, EncodeCause, EncodeFault};
use crate::limits::Limits;
use crate::schema::{Arm, Field, Schema, Shape};

/// The whole error of a decoding that stopped.
#[cold]
pub(crate) fn decode_error(fault: DecodeFault, schema: &Schema, input: &[u8], limits: Limits) -> DecodeError {
    let cause = fault.cause();
    let target = match cause {
        // A run is missed as a whole; the walk finds the field that really crosses the end.
        DecodeCause::Truncated => usize::MAX,
        _ => input.len().saturating_sub(fault.detail()),
    };
    let found = match cause {
        DecodeCause::Trailing => Found::at_root(schema, target),
        _ => Walk { input, at: 0, target }.find(schema),
    };
    let word = found.word(input);
    let kind = match cause {
        DecodeCause::Truncated => DecodeErrorKind::UnexpectedEnd { missing: found.missing.max(1) },
        DecodeCause::TooLong => too_long(&found.shape, word as usize).map_or(
            DecodeErrorKind::UnexpectedEnd { missing: 1 },
            |(what, len, max)| DecodeErrorKind::TooLong { what, len, max },
        ),
        DecodeCause::CountBeyondInput => {
            DecodeErrorKind::CountBeyondInput { count: word as usize, remaining: fault.detail().saturating_sub(4) }
        }
        DecodeCause::NonZeroPadding => DecodeErrorKind::NonZeroPadding,
        DecodeCause::InvalidBool => DecodeErrorKind::InvalidBool(word),
        DecodeCause::InvalidFlag => DecodeErrorKind::InvalidOptionFlag(word),
        DecodeCause::UnknownEnumValue => DecodeErrorKind::UnknownEnumValue(word.cast_signed()),
        DecodeCause::UnknownDiscriminant => DecodeErrorKind::UnknownDiscriminant(word.cast_signed()),
        DecodeCause::OutOfRange => DecodeErrorKind::OutOfRange(word.cast_signed()),
        DecodeCause::InvalidUtf8 => DecodeErrorKind::InvalidUtf8,
        DecodeCause::Depth => DecodeErrorKind::DepthLimit { limit: limits.depth() },
        DecodeCause::Heap => DecodeErrorKind::HeapLimit { limit: limits.heap() },
        DecodeCause::Trailing => DecodeErrorKind::TrailingBytes { count: fault.detail() },
    };
    let offset = match cause {
        DecodeCause::Truncated => found.at,
        _ => target,
    };
    DecodeError { kind, offset, path: found.path }
}

/// The whole error of an encoding that stopped after it had written `written`.
#[cold]
pub(crate) fn encode_error(fault: EncodeFault, schema: &Schema, written: &[u8], needed: usize) -> EncodeError {
    let found = Walk { input: written, at: 0, target: written.len() }.find(schema);
    let kind = match fault.cause() {
        EncodeCause::Full => EncodeErrorKind::NoSpace { needed },
        EncodeCause::TagOfAnotherArm => {
            EncodeErrorKind::TagOfAnotherArm(u32::try_from(fault.detail()).unwrap_or(u32::MAX).cast_signed())
        }
        EncodeCause::TooLong => match too_long(&found.shape, fault.detail()) {
            Some((what, _, max)) => EncodeErrorKind::TooLong { what, len: fault.detail(), max },
            None => EncodeErrorKind::NoSpace { needed },
        },
    };
    let path = match kind {
        EncodeErrorKind::NoSpace { .. } => schema.name.to_string(),
        _ => found.path,
    };
    EncodeError { kind, path }
}

fn too_long(shape: &Shape, word: usize) -> Option<(Lengthy, usize, usize)> {
    // More than a word can say is too long for the wire, whatever the bound.
    let wire = |max: usize| max.min(u32::MAX as usize);
    match *shape {
        Shape::String { max } => Some((Lengthy::String, word, wire(max))),
        Shape::Opaque { max } => Some((Lengthy::Opaque, word, wire(max))),
        Shape::Array { max, .. } => Some((Lengthy::Array, word, wire(max))),
        // A list does not announce its length: one node too many is all that is known.
        Shape::List { max, .. } => Some((Lengthy::List, wire(max).saturating_add(1), wire(max))),
        _ => None,
    }
}

/// Where the walk stopped.
struct Found {
    path: String,
    at: usize,
    missing: usize,
    shape: Shape,
}

impl Found {
    fn at_root(schema: &Schema, at: usize) -> Self {
        Self { path: schema.name.to_string(), at, missing: 0, shape: schema.shape }
    }

    /// The word on which the walk stopped.
    fn word(&self, input: &[u8]) -> u32 {
        let word = input.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        word.map_or(0, |word| u32::from_be_bytes(*word))
    }
}

/// A walk over bytes that are well formed up to `target`.
struct Walk<'a> {
    input: &'a [u8],
    at: usize,
    target: usize,
}

/// Stops with what has been found; the names are added from the inside out.
type Step<T = ()> = ControlFlow<(Found, Names), T>;

/// The path's parts, innermost first.
type Names = alloc::vec::Vec<String>;

impl Walk<'_> {
    fn find(mut self, schema: &Schema) -> Found {
        match self.value(schema) {
            ControlFlow::Break((mut found, names)) => {
                found.path = schema.name.to_string();
                for name in names.iter().rev() {
                    found.path.push_str(name);
                }
                found
            }
            ControlFlow::Continue(()) => Found::at_root(schema, self.at),
        }
    }

    /// `len` bytes of a leaf of this shape.
    fn bytes(&mut self, len: usize, shape: Shape) -> Step<&[u8]> {
        let end = self.at.saturating_add(len);
        let inside = len > 0 && self.target < end;
        match self.input.get(self.at..end) {
            Some(bytes) if !inside => {
                self.at = end;
                ControlFlow::Continue(bytes)
            }
            _ => {
                let missing = end.saturating_sub(self.input.len());
                let found = Found { path: String::new(), at: self.at, missing, shape };
                ControlFlow::Break((found, Names::new()))
            }
        }
    }

    fn word(&mut self, shape: Shape) -> Step<u32> {
        let bytes = self.bytes(4, shape)?;
        ControlFlow::Continue(bytes.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word)))
    }

    fn skip(&mut self, len: usize, shape: Shape) -> Step {
        self.bytes(len, shape).map_continue(|_| ())
    }

    fn value(&mut self, schema: &Schema) -> Step {
        let shape = schema.shape;
        match shape {
            Shape::Void => ControlFlow::Continue(()),
            Shape::Hyper | Shape::UnsignedHyper | Shape::Double => self.skip(8, shape),
            Shape::FixedOpaque(len) => self.skip(padded(len), shape),
            Shape::Opaque { .. } | Shape::String { .. } => {
                let len = self.word(shape)?;
                self.skip(padded(len as usize), shape)
            }
            Shape::FixedArray { len, item } => (0..len).try_for_each(|index| self.item(item(), index)),
            Shape::Array { item, .. } => {
                let len = self.word(shape)?;
                (0..len as usize).try_for_each(|index| self.item(item(), index))
            }
            Shape::List { item, .. } => {
                let mut index = 0_usize;
                while self.word(shape)? == 1 {
                    self.item(item(), index)?;
                    index = index.saturating_add(1);
                }
                ControlFlow::Continue(())
            }
            Shape::Optional(inner) => match self.word(shape)? {
                1 => self.value(inner()),
                _ => ControlFlow::Continue(()),
            },
            Shape::Struct { fields } => self.fields(fields),
            Shape::Union { arms, default, .. } => {
                let word = self.word(shape)?;
                let selected = |arm: &&Arm| {
                    arm.labels.iter().any(|label| *label == i64::from(word) || *label == i64::from(word.cast_signed()))
                };
                match arms.iter().find(selected).or(default) {
                    Some(arm) => named(self.fields(arm.fields), || format!(".{}", arm.name)),
                    None => ControlFlow::Continue(()),
                }
            }
            Shape::Typedef(inner) => self.value(inner()),
            _ => self.skip(4, shape),
        }
    }

    fn item(&mut self, schema: &Schema, index: usize) -> Step {
        named(self.value(schema), || format!("[{index}]"))
    }

    fn fields(&mut self, fields: &[Field]) -> Step {
        fields.iter().try_for_each(|field| {
            named(self.value((field.schema)()), || match field.name {
                "" => String::new(),
                name => format!(".{name}"),
            })
        })
    }
}

/// Adds a part of the path to what has been found.
fn named(step: Step, name: impl FnOnce() -> String) -> Step {
    step.map_break(|(found, mut names)| {
        names.push(name());
        (found, names)
    })
}
