//! From why something stopped to the whole error: the schema is walked over the same bytes.

use alloc::string::{String, ToString};
use core::ops::ControlFlow;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Lengthy};
use crate::fault::{DecodeCause, DecodeReason, EncodeCause, EncodeFault, name_hash};
use crate::limits::Limits;
use crate::schema::{Schema, Shape};
use crate::walk::{Leaf, Role, Walk};

/// The whole error of a decoding that stopped.
#[cold]
#[inline(never)]
pub(crate) fn decode_error(
    reason: Option<DecodeReason>,
    schema: &'static Schema,
    input: &[u8],
    limits: Option<&Limits>,
) -> DecodeError {
    let limits = limits.unwrap_or(&Limits::DEFAULT);
    let DecodeReason { cause, position } = reason.unwrap_or(DecodeReason::new(DecodeCause::Truncated, 0));
    let target = match cause {
        // A run is missed as a whole; the walk finds the field that really crosses the end.
        DecodeCause::Truncated => usize::MAX,
        _ => input.len().saturating_sub(position),
    };
    let found = match cause {
        // Values inside may have passed checks of theirs, and end at the same byte; those around it begin at the same.
        DecodeCause::Rejected { by, begin, around } => {
            Found::checked(schema, input, Role::CheckedEnd, Check { name: by, around: around.into() }, |leaf| {
                let ends = leaf.at.saturating_add(leaf.len) == target;
                ends && leaf.at == input.len().saturating_sub(begin)
            })
        }
        // An array of no bytes is no leaf of the walk.
        DecodeCause::HeapOfNothing { len } => Found::first(schema, input, |leaf| {
            let this = matches!(leaf.shape, Shape::FixedArray { len: of, .. } if of == len);
            leaf.role == Role::Items && this && leaf.at == target
        }),
        _ => Found::by_walk(schema, input, target),
    };
    let word = found.word(input);
    let kind = match cause {
        // No field crosses the end: the value is whole, and what is wrong comes behind it.
        DecodeCause::Truncated if found.missing == 0 && found.at < input.len() => {
            DecodeErrorKind::TrailingBytes { count: input.len().saturating_sub(found.at) }
        }
        DecodeCause::Truncated => DecodeErrorKind::UnexpectedEnd { missing: found.missing.max(1) },
        DecodeCause::TooLong => too_long(&found.shape, word as usize).map_or(
            DecodeErrorKind::UnexpectedEnd { missing: 1 },
            |(what, len, max)| DecodeErrorKind::TooLong { what, len, max },
        ),
        DecodeCause::CountBeyondInput => {
            DecodeErrorKind::CountBeyondInput { count: word as usize, remaining: position.saturating_sub(4) }
        }
        DecodeCause::NonZeroPadding => DecodeErrorKind::NonZeroPadding,
        DecodeCause::InvalidBool => DecodeErrorKind::InvalidBool(word),
        DecodeCause::InvalidFlag => DecodeErrorKind::InvalidOptionFlag(word),
        DecodeCause::UnknownEnumValue => DecodeErrorKind::UnknownEnumValue(word.cast_signed()),
        DecodeCause::UnknownDiscriminant => DecodeErrorKind::UnknownDiscriminant(word.cast_signed()),
        DecodeCause::OutOfRange => DecodeErrorKind::OutOfRange(word.cast_signed()),
        DecodeCause::InvalidUtf8 => DecodeErrorKind::InvalidUtf8,
        DecodeCause::Depth => DecodeErrorKind::DepthLimit { limit: limits.depth() },
        DecodeCause::Heap | DecodeCause::HeapOfNothing { .. } => DecodeErrorKind::HeapLimit { limit: limits.heap() },
        DecodeCause::Rejected { .. } => DecodeErrorKind::Rejected { by: found.checked_by() },
    };
    let offset = match cause {
        DecodeCause::Truncated | DecodeCause::Rejected { .. } => found.at,
        _ => target,
    };
    DecodeError { kind, offset, path: found.path }
}

/// The whole error of an encoding that stopped after it had written `written`.
#[cold]
pub(crate) fn encode_error(fault: EncodeFault, schema: &'static Schema, written: &[u8], needed: usize) -> EncodeError {
    let found = match fault.cause() {
        EncodeCause::Rejected => {
            let check = Check { name: fault.check(), around: fault.around() };
            Found::checked(schema, written, Role::CheckedBegin, check, |leaf| leaf.at == written.len())
        }
        _ => Found::by_walk(schema, written, written.len()),
    };
    let kind = match fault.cause() {
        EncodeCause::Full => EncodeErrorKind::NoSpace { needed },
        EncodeCause::TagOfAnotherArm => {
            EncodeErrorKind::TagOfAnotherArm(u32::try_from(fault.detail()).unwrap_or(u32::MAX).cast_signed())
        }
        EncodeCause::Rejected => EncodeErrorKind::Rejected { by: found.checked_by() },
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
        Shape::String { max, .. } => Some((Lengthy::String, word, wire(max))),
        Shape::Opaque { max } => Some((Lengthy::Opaque, word, wire(max))),
        Shape::Array { max, .. } => Some((Lengthy::Array, word, wire(max))),
        // A list does not announce its length: one node too many is all that is known.
        Shape::List { max, .. } => Some((Lengthy::List, wire(max).saturating_add(1), wire(max))),
        _ => None,
    }
}

/// A check by its name's hash, in so many values that checks of the same name look at as well.
#[derive(Clone, Copy)]
struct Check {
    name: u32,
    around: u32,
}

/// Where the walk stopped.
struct Found {
    path: String,
    at: usize,
    missing: usize,
    shape: Shape,
}

impl Found {
    fn at_root(schema: &'static Schema, at: usize) -> Self {
        Self { path: schema.name.to_string(), at, missing: 0, shape: schema.shape }
    }

    /// Walks over input that is well formed up to `target`, and stops at the leaf that holds it or that crosses
    /// the end of the input.
    fn by_walk(schema: &'static Schema, input: &[u8], target: usize) -> Self {
        let mut last = 0;
        let mut found = None;
        // The path is made for the one leaf that is wanted: making it for each would cost more than the walk.
        let walked = Walk::over(schema, input, &mut |walk, leaf| {
            if leaf.role.is_mark() {
                return ControlFlow::Continue(());
            }
            let end = leaf.at.saturating_add(leaf.len);
            last = end;
            if target >= end && leaf.bytes.len() == leaf.len {
                return ControlFlow::Continue(());
            }
            let missing = leaf.len.saturating_sub(leaf.bytes.len());
            found = Some(Self { path: walk.path(), at: leaf.at, missing, shape: leaf.shape });
            ControlFlow::Break(())
        });
        let end = match walked {
            ControlFlow::Continue(end) => end,
            ControlFlow::Break(_) => last,
        };
        found.unwrap_or_else(|| Self::at_root(schema, end))
    }

    /// The first value with this check that `is_it`.
    fn checked(
        schema: &'static Schema,
        input: &[u8],
        role: Role,
        check: Check,
        is_it: impl Fn(&Leaf<'_>) -> bool,
    ) -> Self {
        let mut around = 0_u32;
        Self::first(schema, input, |leaf| {
            if !matches!(leaf.shape, Shape::Checked { by, .. } if name_hash(by) == check.name) {
                return false;
            }
            if leaf.role == Role::CheckedEnd {
                around = around.saturating_sub(1);
            }
            let found = leaf.role == role && around == check.around && is_it(leaf);
            if leaf.role == Role::CheckedBegin {
                around = around.saturating_add(1);
            }
            found
        })
    }

    /// The first leaf that `is_it`.
    fn first(schema: &'static Schema, input: &[u8], mut is_it: impl FnMut(&Leaf<'_>) -> bool) -> Self {
        let mut found = None;
        let _ = Walk::over(schema, input, &mut |place, leaf| {
            if !is_it(leaf) {
                return ControlFlow::Continue(());
            }
            found = Some(Self { path: place.path(), at: leaf.at, missing: 0, shape: leaf.shape });
            ControlFlow::Break(())
        });
        found.unwrap_or_else(|| Self::at_root(schema, 0))
    }

    /// What decides on the checked value.
    const fn checked_by(&self) -> &'static str {
        match self.shape {
            Shape::Checked { by, .. } => by,
            _ => "its type",
        }
    }

    /// The word on which the walk stopped.
    fn word(&self, input: &[u8]) -> u32 {
        let word = input.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        word.map_or(0, |word| u32::from_be_bytes(*word))
    }
}
