//! Why something failed, in a word or two; the full error is made at the entry point.

use core::num::NonZeroU64;

const DETAIL_BITS: u32 = 56;
const DETAIL_MASK: u64 = (1 << DETAIL_BITS) - 1;
/// Of the detail of what was rejected: the check's name, and above it how many of that name are around.
const HASH_BITS: u32 = 32;
const HASH_MASK: u64 = (1 << HASH_BITS) - 1;

/// Decoding stopped. The [`Reader`](crate::Reader) keeps why, and [`DecodeError`](crate::DecodeError) tells it.
///
/// Without a size of its own it leaves a result as it is: an error beside a value in the same place would make the
/// compiler take the value apart where the two overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeFault(());

impl DecodeFault {
    /// The reader has noted the reason, or the input is too short or too long, which is what no reason means: it is found
    /// so often that the code to note it would be felt.
    #[doc(hidden)]
    #[must_use]
    #[inline(always)]
    pub const fn noted() -> Self {
        Self(())
    }
}

/// Why decoding stopped; [`DecodeError`](crate::DecodeError) tells the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecodeReason {
    pub(crate) cause: DecodeCause,
    /// Distance from the end of the input, in bytes.
    pub(crate) position: usize,
}

impl DecodeReason {
    #[inline(always)]
    pub(crate) const fn new(cause: DecodeCause, position: usize) -> Self {
        Self { cause, position }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeCause {
    Truncated,
    TooLong,
    CountBeyondInput,
    NonZeroPadding,
    InvalidBool,
    InvalidFlag,
    UnknownEnumValue,
    UnknownDiscriminant,
    OutOfRange,
    InvalidUtf8,
    Depth,
    Heap,
    /// The heap limit, by a fixed array of so many elements that take no bytes.
    HeapOfNothing {
        len: usize,
    },
    /// By the check whose name has this hash, of a value that begins where so many bytes of input are left, in so many
    /// values that checks of the same name have still to see.
    Rejected {
        by: u32,
        begin: usize,
        /// As small as it is for the place that it takes in the reader.
        around: u16,
    },
}

/// Why encoding stopped, in one word; [`EncodeError`](crate::EncodeError) tells the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeFault(NonZeroU64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodeCause {
    Full,
    TooLong,
    TagOfAnotherArm,
    Rejected,
}

impl EncodeFault {
    /// A fault and its length or value.
    #[inline(always)]
    pub(crate) const fn new(cause: EncodeCause, detail: usize) -> Self {
        // The cause is counted from one, so that the word is never zero.
        let word = ((cause as u64).saturating_add(1) << DETAIL_BITS) | (detail as u64 & DETAIL_MASK);
        match NonZeroU64::new(word) {
            Some(word) => Self(word),
            None => Self(NonZeroU64::MIN),
        }
    }

    pub(crate) fn cause(self) -> EncodeCause {
        match self.0.get() >> DETAIL_BITS {
            2 => EncodeCause::TooLong,
            3 => EncodeCause::TagOfAnotherArm,
            4 => EncodeCause::Rejected,
            _ => EncodeCause::Full,
        }
    }

    pub(crate) fn detail(self) -> usize {
        usize::try_from(self.0.get() & DETAIL_MASK).unwrap_or(usize::MAX)
    }

    /// A value that `by` does not accept.
    #[doc(hidden)]
    #[cold]
    pub fn rejected(by: &'static str) -> Self {
        Self::new(EncodeCause::Rejected, name_hash(by) as usize)
    }

    /// The same, seen from around a value that `checks` have accepted.
    #[doc(hidden)]
    #[cold]
    #[must_use]
    pub fn within(self, checks: &[&'static str]) -> Self {
        if self.cause() != EncodeCause::Rejected {
            return self;
        }
        let same = checks.iter().filter(|check| name_hash(check) == self.check()).count() as u64;
        let around = Self(self.0.saturating_add(same << HASH_BITS));
        // A count beyond its bits would be another cause.
        if around.cause() == EncodeCause::Rejected { around } else { self }
    }

    /// The hash of the name of the check that rejected the value.
    pub(crate) fn check(self) -> u32 {
        u32::try_from(self.0.get() & HASH_MASK).unwrap_or_default()
    }

    /// How many checks of that name had accepted a value around it.
    pub(crate) fn around(self) -> u32 {
        u32::try_from((self.0.get() & DETAIL_MASK) >> HASH_BITS).unwrap_or_default()
    }

    /// A value keeps a tag that belongs to another arm of its union.
    #[doc(hidden)]
    #[cold]
    pub fn tag_of_another_arm(tag: u32) -> Self {
        Self::new(EncodeCause::TagOfAnotherArm, tag as usize)
    }
}

/// A number that stands for a name in a fault's word (FNV-1a, cut to what fits).
pub(crate) fn name_hash(name: &str) -> u32 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}
