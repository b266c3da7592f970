//! From why something stopped to the whole error: the schema is walked over the same bytes.

use alloc::string::{String, ToString};
use core::ops::ControlFlow;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Lengthy};
use crate::fault::{DecodeCause, DecodeReason, EncodeCause, EncodeFault, name_hash};
use crate::limits::Limits;
use crate::schema::{Schema, Shape};
use crate::walk::{Leaf, Place, Role, Visitor, Walk};

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
    let found = Found::by_walk(
        schema,
        input,
        match cause {
            // Values inside may have passed checks of theirs, and end at the same byte; those around it begin at the same.
            DecodeCause::Rejected { by, begin, around } => Wanted::Checked {
                check: Check { name: by, around: around.into() },
                role: Role::CheckedEnd,
                begin: input.len().saturating_sub(begin),
                end: target,
            },
            // An array of no bytes is no leaf of the walk.
            DecodeCause::HeapOfNothing { len } => Wanted::Items { len, at: target },
            _ => Wanted::At(target),
        },
    );
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
        DecodeCause::Truncated => found.at,
        DecodeCause::Rejected { begin, .. } => input.len().saturating_sub(begin),
        _ => target,
    };
    DecodeError { kind, offset, path: found.path }
}

/// The whole error of an encoding that stopped after it had written `written`.
#[cold]
pub(crate) fn encode_error(fault: EncodeFault, schema: &'static Schema, written: &[u8], needed: usize) -> EncodeError {
    let end = written.len();
    let found = Found::by_walk(
        schema,
        written,
        match fault.cause() {
            EncodeCause::Rejected => Wanted::Checked {
                check: Check { name: fault.check(), around: fault.around() },
                role: Role::CheckedBegin,
                begin: end,
                end,
            },
            _ => Wanted::At(end),
        },
    );
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

/// Which leaf is looked for.
enum Wanted {
    /// The one that holds this byte, or that crosses the end of the input.
    At(usize),
    /// A fixed array of so many elements that begins at this byte.
    Items { len: usize, at: usize },
    /// A value with this check, by the mark before it or behind it.
    Checked { check: Check, role: Role, begin: usize, end: usize },
}

/// A check by its name's hash, in so many values that checks of the same name look at as well.
struct Check {
    name: u32,
    around: u32,
}

/// The search for a leaf, in input that is well formed up to it.
struct Search {
    wanted: Wanted,
    /// Checks of the wanted one's name that are around.
    around: u32,
    found: Option<Found>,
}

impl Search {
    fn is_it(&mut self, leaf: &Leaf<'_>) -> bool {
        let leaf_end = leaf.at.saturating_add(leaf.len);
        match &self.wanted {
            Wanted::At(target) => !leaf.role.is_mark() && (*target < leaf_end || leaf.bytes.len() < leaf.len),
            Wanted::Items { len, at } => {
                let this = matches!(leaf.shape, Shape::FixedArray { len: of, .. } if of == *len);
                leaf.role == Role::Items && this && leaf.at == *at
            }
            Wanted::Checked { check, role, begin, end } => {
                if !matches!(leaf.shape, Shape::Checked { by, .. } if name_hash(by) == check.name) {
                    return false;
                }
                if leaf.role == Role::CheckedEnd {
                    self.around = self.around.saturating_sub(1);
                }
                let around = self.around;
                if leaf.role == Role::CheckedBegin {
                    self.around = self.around.saturating_add(1);
                }
                leaf.role == *role && around == check.around && leaf.at == *begin && leaf_end == *end
            }
        }
    }
}

impl Visitor for Search {
    fn leaf(&mut self, place: &Place, leaf: &Leaf<'_>) -> ControlFlow<()> {
        if !self.is_it(leaf) {
            return ControlFlow::Continue(());
        }
        // The path is made for the one leaf that is wanted: making it for each would cost more than the walk.
        let missing = leaf.len.saturating_sub(leaf.bytes.len());
        let mut path = String::new();
        place.write_path(&mut path);
        self.found = Some(Found { path, at: leaf.at, missing, shape: leaf.shape });
        ControlFlow::Break(())
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
    /// The first leaf that is wanted, or the end of the whole value.
    fn by_walk(schema: &'static Schema, input: &[u8], wanted: Wanted) -> Self {
        let mut search = Search { wanted, around: 0, found: None };
        let walked = Walk::over(schema, input, &mut search);
        search.found.unwrap_or_else(|| Self {
            path: schema.name.to_string(),
            at: walked.continue_value().unwrap_or_default(),
            missing: 0,
            shape: schema.shape,
        })
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
