//! Wire sizes as constants: where the fixed front of a value ends, and how short and long it can be.

use crate::schema::{Field, Schema, Shape};

/// The front of a type's wire form, known without a value.
///
/// A value is written as `head` bytes of fixed length and, where `tail` is set, something of
/// variable length after them. Neighbouring fields without a tail share one *run* of bytes, so that
/// a struct checks its space once a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Bytes of the fixed front: 4 for a string (its length) or an `Option` (its flag), 24 for six words.
    pub head: usize,
    /// Something of variable length follows the front.
    pub tail: bool,
    /// The fewest bytes that a value can take.
    pub min: usize,
}

impl Wire {
    /// A type that always takes `len` bytes.
    #[must_use]
    pub const fn fixed(len: usize) -> Self {
        Self { head: len, tail: false, min: len }
    }

    /// A type with one leading word (a length, a flag, a discriminant) that says what follows.
    #[must_use]
    pub const fn word_and_tail() -> Self {
        Self { head: 4, tail: true, min: 4 }
    }

    /// The fields of a struct, one after the other.
    #[must_use]
    pub const fn of_fields(mut fields: &[Self]) -> Self {
        let mut all = Self::fixed(0);
        while let [field, rest @ ..] = fields {
            if !all.tail {
                all.head = all.head.saturating_add(field.head);
            }
            all.tail |= field.tail;
            all.min = all.min.saturating_add(field.min);
            fields = rest;
        }
        all
    }

    /// `count` values of this type, one after the other.
    #[must_use]
    pub const fn times(self, count: usize) -> Self {
        match count {
            0 => Self::fixed(0),
            _ if self.tail => Self { head: self.head, tail: true, min: self.min.saturating_mul(count) },
            _ => Self::fixed(self.head.saturating_mul(count)),
        }
    }

    /// Bytes of the run that begins with this type, where `after` more bytes follow it in the run
    /// unless this type's tail ends the run.
    #[must_use]
    #[inline(always)]
    pub const fn run(self, after: usize) -> usize {
        if self.tail { self.head } else { self.head.saturating_add(after) }
    }
}

/// The sum of maximum lengths: `None` where one is unknown or the sum does not fit.
#[must_use]
pub const fn max_of_fields(mut fields: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0_usize;
    while let [field, rest @ ..] = fields {
        sum = match field {
            Some(max) => match sum.checked_add(*max) {
                Some(sum) => sum,
                None => return None,
            },
            None => return None,
        };
        fields = rest;
    }
    Some(sum)
}

/// The fields of a derived struct; none of what is none.
#[doc(hidden)]
#[must_use]
pub const fn fields_of(derived: &Option<Schema>) -> &'static [Field] {
    match derived {
        Some(Schema { shape: Shape::Struct { fields }, .. }) => fields,
        _ => &[],
    }
}

/// What is known of the code of a type's values. [`UNKNOWN`](Self::UNKNOWN) is never wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Decoding reads it by calls, because it is copied to the heap.
    pub(crate) owns: bool,
    /// Encoding runs no code of a user's. Nothing else of it panics.
    pub(crate) quiet: bool,
}

impl Code {
    /// Nothing is known: the code may be a user's.
    pub const UNKNOWN: Self = Self { owns: false, quiet: false };
    pub(crate) const QUIET: Self = Self { owns: false, quiet: true };

    pub(crate) const fn owning(self, owns: bool) -> Self {
        Self { owns, ..self }
    }

    /// With a conversion or check of the user's.
    #[doc(hidden)]
    #[must_use]
    pub const fn checked(self) -> Self {
        Self { quiet: false, ..self }
    }

    /// One after the other, or one of them.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(mut parts: &[Self]) -> Self {
        let mut all = Self::QUIET;
        while let [part, rest @ ..] = parts {
            all.quiet &= part.quiet;
            parts = rest;
        }
        all
    }
}

/// What all fields of a derived struct are together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    pub(crate) wire: Wire,
    pub(crate) max_wire: Option<usize>,
    /// The fronts of all fields.
    pub(crate) heads: usize,
    /// Bytes before the first field with a tail.
    pub(crate) first: usize,
    /// Of all fields.
    pub(crate) code: Code,
}

/// A sum that stays at the greatest number. Each derived struct computes some dozens of these, and for the compiler that
/// evaluates them a call of `saturating_add` takes longer than all the rest.
macro_rules! sum {
    ($left:expr, $right:expr) => {
        if $right > usize::MAX - $left { usize::MAX } else { $left + $right }
    };
}

impl Whole {
    #[expect(clippy::arithmetic_side_effects, reason = "`sum!` looks before it adds")]
    const fn of(mut fields: &[Field]) -> Self {
        let mut all = Self {
            wire: Wire::fixed(0),
            max_wire: Some(0),
            heads: 0,
            first: 0,
            code: if fields.is_empty() { Code::UNKNOWN } else { Code::QUIET },
        };
        while let [field, rest @ ..] = fields {
            let Wire { head, tail, min } = field.wire;
            if !all.wire.tail {
                all.wire.head = sum!(all.wire.head, head);
                if !tail {
                    all.first = all.wire.head;
                }
            }
            all.wire.tail |= tail;
            all.heads = sum!(all.heads, head);
            all.wire.min = sum!(all.wire.min, min);
            all.max_wire = match (all.max_wire, field.max_wire) {
                (Some(sum), Some(max)) if max <= usize::MAX - sum => Some(sum + max),
                _ => None,
            };
            all.code.owns |= field.code.owns;
            all.code.quiet &= field.code.quiet;
            fields = rest;
        }
        all
    }
}

/// The front of a derived struct.
#[expect(clippy::panic, reason = "evaluated by the compiler, for who wrote an implementation by hand")]
pub(crate) const fn wire_of(derived: &Option<Schema>, runs: &Runs) -> Wire {
    match derived {
        Some(_) => runs.whole().wire,
        None => panic!("an implementation by hand needs `WIRE` and `MAX_WIRE`"),
    }
}

/// The maximum length of a derived struct.
#[expect(clippy::panic, reason = "evaluated by the compiler, for who wrote an implementation by hand")]
pub(crate) const fn max_wire_of(derived: &Option<Schema>, runs: &Runs) -> Option<usize> {
    match derived {
        Some(_) => runs.whole().max_wire,
        None => panic!("an implementation by hand needs `WIRE` and `MAX_WIRE`"),
    }
}

/// Bytes of the run that begins behind a field of a struct.
///
/// Numbers in an array: the compiler checks each constant that it has evaluated, and an array of numbers at once.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Run([usize; 4]);

impl Run {
    /// Up to the next field with a tail, whose front is in the run.
    #[inline(always)]
    pub(crate) const fn whole(&self) -> usize {
        self.0[0]
    }

    /// Up to the next field with a tail, which writes its front itself.
    #[inline(always)]
    pub(crate) const fn fixed(&self) -> usize {
        self.0[1]
    }

    /// Whether one of the struct's fields is read by calls.
    #[inline(always)]
    pub(crate) const fn of_owner(&self) -> bool {
        self.0[3] & OF_OWNER != 0
    }

    /// What decoding of the struct itself takes at once: as `fixed` where the next field with a tail is read by calls, and
    /// else as `whole`.
    #[inline(always)]
    pub(crate) const fn owned(&self) -> usize {
        self.0[2]
    }

    /// What decoding takes at once, where `after` bytes follow a struct without a tail in the same run.
    #[inline(always)]
    pub(crate) const fn bytes(&self, after: usize) -> usize {
        if self.0[3] & OF_TAIL != 0 { self.owned() } else { self.owned().saturating_add(after) }
    }
}

/// One of the struct's fields is read by calls.
const OF_OWNER: usize = 1;
/// One of the struct's fields has a tail.
const OF_TAIL: usize = 2;

/// The runs behind each field of a struct, of the first `N`.
#[doc(hidden)]
#[must_use]
pub const fn runs<const N: usize>(fields: &[Field]) -> [Run; N] {
    runs_in(fields, &Whole::of(fields)).1
}

/// The run that a struct begins with, and the runs behind each field.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which reports what is out of bounds")]
#[expect(clippy::arithmetic_side_effects, reason = "`sum!` looks before it adds")]
const fn runs_in<const N: usize>(mut fields: &[Field], all: &Whole) -> (Run, [Run; N]) {
    let kind = if all.code.owns { OF_OWNER } else { 0 } | if all.wire.tail { OF_TAIL } else { 0 };
    let (mut whole, mut fixed, mut owned) = (0, 0, 0);
    let mut runs = [Run([0, 0, 0, kind]); N];
    while let [rest @ .., field] = fields {
        if rest.len() < N {
            runs[rest.len()] = Run([whole, fixed, owned, kind]);
        }
        // The run that begins with this field.
        let Wire { head, tail, .. } = field.wire;
        if tail {
            whole = head;
            fixed = 0;
            owned = if field.code.owns { 0 } else { head };
        } else {
            whole = sum!(whole, head);
            fixed = sum!(fixed, head);
            owned = sum!(owned, head);
        }
        fields = rest;
    }
    (Run([whole, fixed, owned, kind]), runs)
}

macro_rules! first_runs {
    (@run $index:tt) => { Run };
    ($($index:tt)+) => {
        /// The runs behind a struct's first fields, and what is true of all. Not an array, because for each index the
        /// compiler would have to look whether it is within bounds, in each struct that is derived.
        #[doc(hidden)]
        #[derive(Debug, Clone, Copy)]
        pub struct Runs($(pub first_runs!(@run $index),)+ Whole, Run);

        impl Runs {
            /// How many there are.
            const COUNT: usize = [$($index),+].len();

            pub(crate) const fn of(fields: &[Field]) -> Self {
                let whole = Whole::of(fields);
                let (first, runs): (_, [Run; Self::COUNT]) = runs_in(fields, &whole);
                Self($(runs[$index],)+ whole, first)
            }
        }
    };
}

first_runs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

impl Runs {
    pub(crate) const fn whole(&self) -> Whole {
        self.16
    }

    pub const fn code(&self) -> Code {
        self.16.code
    }

    /// The run that the struct begins with.
    #[inline(always)]
    pub(crate) const fn first(&self) -> &Run {
        &self.17
    }
}

/// The maximum length of a union: its discriminant and the longest of its arms.
#[must_use]
pub const fn max_of_arms(mut arms: &[Option<usize>]) -> Option<usize> {
    let mut longest = 0_usize;
    while let [arm, rest @ ..] = arms {
        match arm {
            Some(max) if *max > longest => longest = *max,
            Some(_) => {}
            None => return None,
        }
        arms = rest;
    }
    longest.checked_add(4)
}

/// The maximum length of `count` values, `word` bytes before them included.
pub(crate) const fn max_of_items(word: usize, count: usize, item: Option<usize>) -> Option<usize> {
    match item {
        Some(item) => match count.checked_mul(item) {
            Some(items) => items.checked_add(word),
            None => None,
        },
        None => None,
    }
}

/// `max` bytes, their padding and the length word.
pub(crate) const fn max_of_opaque(max: usize) -> Option<usize> {
    match max.checked_next_multiple_of(4) {
        Some(padded) => padded.checked_add(4),
        None => None,
    }
}

/// Whether the label at `index` is among those before it.
#[doc(hidden)]
#[must_use]
pub const fn repeats(labels: &[i64], index: usize) -> bool {
    let Some((mut before, [label, ..])) = labels.split_at_checked(index) else { return false };
    while let [first, rest @ ..] = before {
        if *first == *label {
            return true;
        }
        before = rest;
    }
    false
}
