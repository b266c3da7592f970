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

/// The front of a struct.
#[doc(hidden)]
#[must_use]
pub(crate) const fn wire_of(mut fields: &[Field]) -> Wire {
    let mut all = Wire::fixed(0);
    while let [field, rest @ ..] = fields {
        all = Wire::of_fields(&[all, field.wire]);
        fields = rest;
    }
    all
}

/// The maximum length of a struct.
#[doc(hidden)]
#[must_use]
pub(crate) const fn max_wire_of(mut fields: &[Field]) -> Option<usize> {
    let mut sum = Some(0);
    while let [field, rest @ ..] = fields {
        sum = max_of_fields(&[sum, field.max_wire]);
        fields = rest;
    }
    sum
}

/// The fields of a derived struct.
#[doc(hidden)]
#[must_use]
#[expect(clippy::panic, reason = "evaluated by the compiler, for who wrote an implementation by hand")]
pub const fn fields_of(derived: &Option<Schema>) -> &'static [Field] {
    match derived {
        Some(Schema { shape: Shape::Struct { fields }, .. }) => fields,
        _ => panic!("an implementation by hand needs `WIRE` and `MAX_WIRE`"),
    }
}

/// Bytes of the run that begins behind a field of a struct.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Up to the next field with a tail, whose front is in the run.
    pub whole: usize,
    /// Up to the next field with a tail, which writes its front itself.
    pub fixed: usize,
    /// As `fixed` where this next field is read by calls, and else as `whole`.
    pub owned: usize,
    /// One of the struct's fields is read by calls.
    pub of_owner: bool,
    /// One of the struct's fields has a tail.
    pub of_tail: bool,
}

impl Run {
    /// The run that begins with `field`, where `self` is the run behind the field.
    const fn before(self, field: &Field) -> Self {
        let Wire { head, tail, .. } = field.wire;
        match (tail, field.owns) {
            (true, true) => Self { whole: head, fixed: 0, owned: 0, ..self },
            (true, false) => Self { whole: head, fixed: 0, owned: head, ..self },
            (false, _) => Self {
                whole: self.whole.saturating_add(head),
                fixed: self.fixed.saturating_add(head),
                owned: self.owned.saturating_add(head),
                ..self
            },
        }
    }

    /// What decoding takes at once, where `after` bytes follow a struct without a tail in the same run.
    #[inline(always)]
    pub(crate) const fn bytes(self, after: usize) -> usize {
        if self.of_tail { self.owned } else { self.owned.saturating_add(after) }
    }
}

/// The runs behind each field of a struct, of the first `N`.
#[doc(hidden)]
#[must_use]
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which reports what is out of bounds")]
pub const fn runs<const N: usize>(fields: &[Field]) -> [Run; N] {
    let mut run = Run { whole: 0, fixed: 0, owned: 0, of_owner: false, of_tail: false };
    let mut index = fields.len();
    while let Some(before) = index.checked_sub(1) {
        run.of_owner |= fields[before].owns;
        run.of_tail |= fields[before].wire.tail;
        index = before;
    }
    let mut runs = [run; N];
    index = fields.len();
    while let Some(before) = index.checked_sub(1) {
        if before < N {
            runs[before] = run;
        }
        run = run.before(&fields[before]);
        index = before;
    }
    runs
}

macro_rules! first_runs {
    ($($index:literal)+) => {
        /// The runs behind a struct's first fields. Not an array, because for each index the compiler would have to look
        /// whether it is within bounds, in each struct that is derived.
        #[doc(hidden)]
        #[derive(Debug, Clone, Copy)]
        pub struct Runs($(pub first_runs!(@run $index),)+);

        impl Runs {
            /// How many there are.
            const COUNT: usize = [$($index),+].len();

            pub(crate) const fn of(fields: &[Field]) -> Self {
                let runs: [Run; Self::COUNT] = runs(fields);
                Self($(runs[$index],)+)
            }
        }
    };
    (@run $index:literal) => { Run };
}

first_runs! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
    16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
}

/// Whether one of a derived struct's fields is read by calls, because it is copied to the heap.
pub(crate) const fn owns(derived: &Option<Schema>) -> bool {
    let Some(Schema { shape: Shape::Struct { fields }, .. }) = derived else { return false };
    let mut fields: &[Field] = fields;
    while let [field, rest @ ..] = fields {
        if field.owns {
            return true;
        }
        fields = rest;
    }
    false
}

/// Bytes before a derived struct's first field with a tail.
pub(crate) const fn first_run(derived: &Option<Schema>) -> usize {
    let Some(Schema { shape: Shape::Struct { fields }, .. }) = derived else { return 0 };
    let mut fields: &[Field] = fields;
    let mut len = 0_usize;
    while let [Field { wire: Wire { tail: false, head, .. }, .. }, rest @ ..] = fields {
        len = len.saturating_add(*head);
        fields = rest;
    }
    len
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
