//! The one word that is kept when something fails; the full error is made at the entry point.

use core::num::NonZeroU64;

const DETAIL_BITS: u32 = 56;
const DETAIL_MASK: u64 = (1 << DETAIL_BITS) - 1;

macro_rules! fault_word {
    ($(#[$doc:meta])* $visibility:vis $fault:ident, $cause:ident, $detail:literal { $first:ident, $($variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility struct $fault(NonZeroU64);

        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $cause { $first, $($variant,)* }

        impl $fault {
            #[doc = concat!("A fault and its ", $detail, ".")]
            #[inline(always)]
            pub(crate) const fn new(cause: $cause, detail: usize) -> Self {
                // The cause is counted from one, so that the word is never zero.
                let word = ((cause as u64).saturating_add(1) << DETAIL_BITS) | (detail as u64 & DETAIL_MASK);
                match NonZeroU64::new(word) {
                    Some(word) => Self(word),
                    None => Self(NonZeroU64::MIN),
                }
            }

            pub(crate) fn cause(self) -> $cause {
                const ALL: &[$cause] = &[$cause::$first, $($cause::$variant,)*];
                let index = usize::try_from((self.0.get() >> DETAIL_BITS).saturating_sub(1)).unwrap_or(0);
                ALL.get(index).copied().unwrap_or($cause::$first)
            }

            pub(crate) fn detail(self) -> usize {
                usize::try_from(self.0.get() & DETAIL_MASK).unwrap_or(usize::MAX)
            }
        }
    };
}

/// Decoding stopped. The [`Reader`](crate::Reader) keeps why, and [`DecodeError`](crate::DecodeError) tells it.
///
/// Without a size of its own it leaves a result as it is: an error beside a value in the same place would make the
/// compiler take the value apart where the two overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeFault(());

impl DecodeFault {
    /// Only a reader that has noted the reason says so.
    #[inline(always)]
    pub(crate) const fn noted() -> Self {
        Self(())
    }
}

fault_word! {
    /// Why decoding stopped, in one word; [`DecodeError`](crate::DecodeError) tells the whole.
    pub(crate) DecodeReason, DecodeCause, "distance from the end of the input, in bytes" {
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
        Rejected,
        Trailing,
    }
}

fault_word! {
    /// Why encoding stopped, in one word; [`EncodeError`](crate::EncodeError) tells the whole.
    pub EncodeFault, EncodeCause, "length or value" {
        Full,
        TooLong,
        TagOfAnotherArm,
        Rejected,
    }
}

impl EncodeFault {
    /// A value that `by` does not accept.
    #[doc(hidden)]
    #[cold]
    pub fn rejected(by: &'static str) -> Self {
        Self::new(EncodeCause::Rejected, name_hash(by))
    }

    /// A value keeps a tag that belongs to another arm of its union.
    #[doc(hidden)]
    #[cold]
    pub fn tag_of_another_arm(tag: u32) -> Self {
        Self::new(EncodeCause::TagOfAnotherArm, tag as usize)
    }
}

/// A number that stands for a name in a fault's word (FNV-1a, cut to what fits).
pub(crate) fn name_hash(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}
