//! Reading: the input that is left, the runs that are opened in it, and what decoding may still cost.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::fault::{DecodeCause, DecodeFault, DecodeReason, name_hash};
use crate::limits::Limits;
use crate::wire::Runs;
use crate::writer::padded;

/// The input that is left, and what decoding it may still cost.
#[derive(Debug)]
pub struct Reader<'de> {
    rest: &'de [u8],
    /// The run that the last call has opened behind what it read.
    opened: &'de [u8],
    /// All of the input, for who explains what is wrong with it.
    input: &'de [u8],
    /// The buffer that `rest` is a part of, where `Bytes` can be cut out of it.
    buffer: Option<&'de Bytes>,
    heap: usize,
    depth: u32,
    lenient_padding: bool,
    /// Why decoding stopped.
    reason: Option<DecodeReason>,
}

impl<'de> Reader<'de> {
    #[inline(always)]
    pub(crate) const fn new(input: &'de [u8], buffer: Option<&'de Bytes>, limits: &Limits) -> Self {
        Self {
            rest: input,
            opened: &[],
            input,
            buffer,
            heap: limits.heap(),
            depth: limits.depth(),
            lenient_padding: limits.lenient_padding(),
            reason: None,
        }
    }

    /// [`new`](Self::new) as a function, for who calls others with the reader, which is in memory then.
    #[inline(never)]
    pub(crate) fn in_memory(input: &'de [u8], buffer: Option<&'de Bytes>, limits: Option<&Limits>) -> Self {
        Self::new(input, buffer, limits.unwrap_or(&Limits::DEFAULT))
    }

    /// [`in_memory`](Self::in_memory) of nothing but the input.
    #[inline(never)]
    pub(crate) fn of_slice(input: &'de [u8]) -> Self {
        Self::new(input, None, &Limits::DEFAULT)
    }

    /// Notes why decoding stops.
    #[inline(always)]
    pub(crate) const fn stop(&mut self, reason: DecodeReason) -> DecodeFault {
        self.reason = Some(reason);
        DecodeFault::noted()
    }

    #[inline(always)]
    pub(crate) const fn stop_at(&mut self, cause: DecodeCause, position: usize) -> DecodeFault {
        self.stop(DecodeReason::new(cause, position))
    }

    /// The input ends too early: what is meant where no reason is noted.
    #[inline(always)]
    pub(crate) const fn truncated(&self) -> DecodeFault {
        DecodeFault::noted()
    }

    /// The word before the open run's rest is not one of its type's.
    #[inline(always)]
    pub(crate) const fn invalid(&mut self, cause: DecodeCause, run: &[u8]) -> DecodeFault {
        // Both are of one input, so that the sum is a length as well.
        self.stop_at(cause, self.rest.len().wrapping_add(run.len()).wrapping_add(4))
    }

    /// An enum's value that none of its names has: the word before the open run's rest.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn unknown_enum_value(&mut self, run: &[u8]) -> DecodeFault {
        self.invalid(DecodeCause::UnknownEnumValue, run)
    }

    /// A union's discriminant that none of its arms has: the word before the open run's rest.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn unknown_discriminant(&mut self, run: &[u8]) -> DecodeFault {
        self.invalid(DecodeCause::UnknownDiscriminant, run)
    }

    /// Bytes of input left, the open run's rest included.
    #[doc(hidden)]
    #[must_use]
    #[inline(always)]
    pub const fn place(&self, run: &[u8]) -> usize {
        self.rest.len().wrapping_add(run.len())
    }

    /// A value from this place on that `by` does not accept, which ends where the open run's rest begins.
    #[doc(hidden)]
    #[cold]
    pub fn rejected(&mut self, begin: usize, run: &[u8], by: &'static str) -> DecodeFault {
        self.stop_at(DecodeCause::Rejected { by: name_hash(by), begin, around: 0 }, self.place(run))
    }

    /// A fault inside a value that `checks` would have seen.
    #[doc(hidden)]
    #[cold]
    pub fn within(&mut self, fault: DecodeFault, checks: &[&'static str]) -> DecodeFault {
        if let Some(DecodeReason { cause: DecodeCause::Rejected { by, around, .. }, .. }) = &mut self.reason {
            let same = checks.iter().filter(|check| name_hash(check) == *by).count();
            *around = around.saturating_add(u16::try_from(same).unwrap_or(u16::MAX));
        }
        fault
    }

    /// Why decoding stopped, where it is not that the input ends too early.
    #[inline(always)]
    pub(crate) const fn reason(&self) -> Option<DecodeReason> {
        self.reason
    }

    /// Bytes of input left, an open run not included.
    #[must_use]
    #[inline(always)]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) const fn input(&self) -> &'de [u8] {
        self.input
    }

    pub(crate) const fn rest(&self) -> &'de [u8] {
        self.rest
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// When the input ends before.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Result<&'de [u8], DecodeFault> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.truncated()),
        }
    }

    /// Opens the run of the next `len` bytes, from a function that returns something else.
    ///
    /// # Errors
    /// When the input ends before.
    #[inline(always)]
    pub(crate) fn open(&mut self, len: usize) -> Result<(), DecodeFault> {
        self.opened = self.take(len)?;
        Ok(())
    }

    /// The run that the last call has opened.
    #[inline(always)]
    pub(crate) const fn opened(&self) -> &'de [u8] {
        self.opened
    }

    /// The next `N` bytes of the run, which is opened with `after` further bytes where none is.
    ///
    /// # Errors
    /// When the input ends before.
    #[inline(always)]
    pub fn array<const N: usize>(&mut self, run: &mut &'de [u8], after: usize) -> Result<[u8; N], DecodeFault> {
        if run.len() < N {
            *run = self.take(N.saturating_add(after))?;
        }
        match run.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                *run = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated()),
        }
    }

    /// Opens the run that a derived struct begins with, where none is open. False where the input ends before.
    #[doc(hidden)]
    #[inline(always)]
    pub fn begin(&mut self, run: &mut &'de [u8], runs: &Runs, after: usize) -> bool {
        if run.len() < runs.first().owned() {
            match self.take(runs.first().bytes(after)) {
                Ok(first) => *run = first,
                Err(_) => return false,
            }
        }
        true
    }

    /// The next word of the run.
    ///
    /// # Errors
    /// When the input ends before.
    #[inline(always)]
    pub fn word(&mut self, run: &mut &'de [u8], after: usize) -> Result<u32, DecodeFault> {
        Ok(u32::from_be_bytes(self.array::<4>(run, after)?))
    }

    /// A length word, and so many bytes and their padding.
    #[inline(always)]
    pub(crate) fn opaque_of(&mut self, run: &mut &'de [u8], max: usize) -> Result<&'de [u8], DecodeFault> {
        let len = self.word(run, 0)?;
        self.opaque(len, max)
    }

    /// `len` bytes and their padding. The length word has just been read.
    #[inline(always)]
    pub(crate) fn opaque(&mut self, len: u32, max: usize) -> Result<&'de [u8], DecodeFault> {
        if let Some(body) = usize::try_from(len).ok().filter(|len| *len <= max)
            && let Some((padded, rest)) = self.rest.split_at_checked(padded(body))
            && let Some(body) = padded.get(..body)
            && (ends_in_zeros(padded, len.wrapping_neg() & 3) || self.lenient_padding)
        {
            self.rest = rest;
            return Ok(body);
        }
        let reason = why_not_opaque(self.rest, len, max);
        Err(self.stop(reason))
    }

    /// `N` bytes and their padding, out of the run.
    #[inline(always)]
    pub(crate) fn fixed_opaque<const N: usize>(
        &mut self,
        run: &mut &'de [u8],
        after: usize,
    ) -> Result<[u8; N], DecodeFault> {
        let len = const { padded(N) };
        if run.len() < len {
            *run = self.take(len.saturating_add(after))?;
        }
        let Some((body, behind)) = run.split_first_chunk::<N>() else {
            return Err(self.truncated());
        };
        let Some((padding, behind)) = behind.split_at_checked(len.saturating_sub(N)) else {
            return Err(self.truncated());
        };
        if padding.iter().all(|byte| *byte == 0) || self.lenient_padding {
            *run = behind;
            Ok(*body)
        } else {
            let left = self.rest.len().saturating_add(behind.len());
            Err(self.stop(non_zero_padding(padding, left)))
        }
    }

    /// The element count of an array, which is one level deeper.
    #[inline(always)]
    pub(crate) fn count(&mut self, count: u32, max: usize, min_wire: usize) -> Result<usize, DecodeFault> {
        let at_word = self.rest.len().saturating_add(4);
        let fits = match self.rest.len().checked_div(min_wire) {
            Some(most) => count as usize <= most,
            None => true,
        };
        if count as usize > max {
            Err(self.stop_at(DecodeCause::TooLong, at_word))
        } else if !fits {
            Err(self.stop_at(DecodeCause::CountBeyondInput, at_word))
        } else {
            self.enter(at_word)?;
            Ok(count as usize)
        }
    }

    /// Whether no input is left. Where some is left behind a value, it needs no note: that nothing is missing tells it.
    #[doc(hidden)]
    #[must_use]
    #[inline(always)]
    pub const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// One level of nesting deeper.
    ///
    /// # Errors
    /// At the depth limit.
    #[inline(always)]
    pub(crate) fn enter(&mut self, position: usize) -> Result<(), DecodeFault> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(self.stop_at(DecodeCause::Depth, position)),
        }
    }

    #[inline(always)]
    pub(crate) const fn leave(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    /// Charges the heap budget.
    ///
    /// # Errors
    /// When the budget does not allow it.
    #[inline(always)]
    pub(crate) fn charge(&mut self, bytes: usize, position: usize) -> Result<(), DecodeFault> {
        match self.heap.checked_sub(bytes) {
            Some(heap) => {
                self.heap = heap;
                Ok(())
            }
            None => Err(self.stop_at(DecodeCause::Heap, position)),
        }
    }

    /// Charges the elements of a fixed array that take no bytes, but for the first.
    ///
    /// # Errors
    /// When the budget does not allow it.
    #[inline(never)]
    pub(crate) fn charge_nothing(&mut self, len: usize, run: &[u8]) -> Result<(), DecodeFault> {
        match self.heap.checked_sub(len.saturating_sub(1)) {
            Some(heap) => {
                self.heap = heap;
                Ok(())
            }
            None => Err(self.stop_at(DecodeCause::HeapOfNothing { len }, self.place(run))),
        }
    }

    /// Charges a copy of `body`, an opaque's or string's that has just been read.
    #[inline(always)]
    pub(crate) fn charge_body(&mut self, body: &[u8]) -> Result<(), DecodeFault> {
        // What costs too much is the whole, which begins with its length word.
        let position = self.rest.len().saturating_add(padded(body.len())).saturating_add(4);
        self.charge(body.len(), position)
    }

    pub(crate) const fn refund(&mut self, bytes: usize) {
        self.heap = self.heap.saturating_add(bytes);
    }

    /// An empty vector with room for `count` elements, charged before it is allocated.
    #[inline(always)]
    pub(crate) fn allocate<T>(&mut self, count: usize) -> Result<Vec<T>, DecodeFault> {
        let position = self.rest.len().saturating_add(4);
        self.charge(count.saturating_mul(unit::<T>()), position)?;
        let mut items = Vec::new();
        match items.try_reserve_exact(count) {
            Ok(()) => Ok(items),
            Err(_) => Err(self.stop_at(DecodeCause::Heap, position)),
        }
    }

    /// `body`, which this reader has returned, as `Bytes`: a slice of the buffer where there is one.
    #[inline(always)]
    pub(crate) fn share(&mut self, body: &'de [u8]) -> Result<Bytes, DecodeFault> {
        match self.buffer {
            Some(buffer) => Ok(buffer.slice_ref(body)),
            None => {
                self.charge_body(body)?;
                Ok(Bytes::copy_from_slice(body))
            }
        }
    }
}

/// The next `N` bytes of an open run.
#[inline(always)]
pub(crate) fn next_of<const N: usize>(run: &mut &[u8]) -> Option<[u8; N]> {
    match run.split_first_chunk::<N>() {
        Some((bytes, rest)) => {
            *run = rest;
            Some(*bytes)
        }
        None => None,
    }
}

/// What one element costs of the heap budget.
#[inline(always)]
pub(crate) const fn unit<T>() -> usize {
    match size_of::<T>() {
        0 => 1,
        size => size,
    }
}

/// Whether the last `padding` bytes, at most three, are zero: a look at the last word.
#[inline(always)]
fn ends_in_zeros(padded: &[u8], padding: u32) -> bool {
    let body_of_word = u32::MAX.wrapping_shl(padding.wrapping_mul(8));
    padded.last_chunk::<4>().is_none_or(|word| u32::from_be_bytes(*word) & !body_of_word == 0)
}

/// Body, padding and the rest.
fn split_padded(input: &[u8], len: usize) -> Option<(&[u8], &[u8], &[u8])> {
    let padding = len.wrapping_neg() & 3;
    let (body, rest) = input.split_at_checked(len)?;
    let (padding, rest) = rest.split_at_checked(padding)?;
    Some((body, padding, rest))
}

#[cold]
fn why_not_opaque(rest: &[u8], len: u32, max: usize) -> DecodeReason {
    let body = usize::try_from(len).ok().filter(|len| *len <= max);
    match body.map(|len| split_padded(rest, len)) {
        None => DecodeReason::new(DecodeCause::TooLong, rest.len().saturating_add(4)),
        Some(None) => DecodeReason::new(DecodeCause::Truncated, rest.len()),
        Some(Some((_, padding, behind))) => non_zero_padding(padding, behind.len()),
    }
}

/// The fault of the first byte in `padding` that is not zero; `behind` bytes follow the padding.
#[cold]
fn non_zero_padding(padding: &[u8], behind: usize) -> DecodeReason {
    let zeros = padding.iter().take_while(|byte| **byte == 0).count();
    let left = padding.len().saturating_sub(zeros).saturating_add(behind);
    DecodeReason::new(DecodeCause::NonZeroPadding, left)
}
