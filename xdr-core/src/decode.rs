//! Decoding: a reader that only splits slices, and the runs of fixed bytes that fields share.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::bound::Plain;
use crate::encode::padded;
use crate::fault::{DecodeCause, DecodeFault, DecodeReason};
use crate::limits::Limits;
use crate::schema::{Field, Schema};
use crate::wire::{Run, Runs, Wire, fields_of, max_wire_of, owns, wire_of};

/// A type that can be read from its XDR form, which is complete in itself.
///
/// Derive it with `#[derive(Xdr)]` (or `#[derive(Decode)]` for one direction). `'de` is the lifetime
/// of the input, for types that borrow from it.
///
/// # Writing it by hand
///
/// Give `WIRE`, `MAX_WIRE`, `decode` and `schema`: the defaults are for derived structs, and one that is missing is an
/// error of the compiler where the type is first used.
///
/// The bytes of the front are taken out of `run`. When `run` is shorter than `WIRE.head`, take
/// `WIRE.head + after` bytes from the reader first ([`Reader::word`] and [`Reader::array`] do):
/// `after` is what the fields behind this one want in the same run. A type with a tail leaves `run` empty.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no complete XDR form",
    label = "not `Decode`",
    note = "a type of your own needs `#[derive(Xdr)]`; one of another crate is converted with `#[xdr(with = module)]`",
    note = "what holds a string, opaque or array needs its maximum: `#[xdr(max = N)]`; elements of variable length `#[xdr(max = N, item(max = M))]`"
)]
pub trait Decode<'de>: Sized {
    /// The description of a derived struct, from which its constants follow.
    #[doc(hidden)]
    const DERIVED: Option<Schema> = None;
    /// An enum that keeps words without a name.
    #[doc(hidden)]
    const OPEN: bool = false;
    /// The runs behind each field, of the first 32.
    #[doc(hidden)]
    const RUNS: &'static Runs = &Runs::of(fields_of(&Self::DERIVED));
    /// The fixed front, and the fewest bytes.
    const WIRE: Wire = wire_of(fields_of(&Self::DERIVED));
    /// The most bytes that a value can take, or `None` where there is no such number.
    const MAX_WIRE: Option<usize> = max_wire_of(fields_of(&Self::DERIVED));
    /// The fewest bytes that a value can take.
    const MIN_WIRE: usize = Self::WIRE.min;
    /// The length of every value, where all have the same.
    const FIXED_WIRE: Option<usize> = match Self::WIRE {
        Wire { tail: false, head, .. } => Some(head),
        _ => None,
    };

    /// Whether it is read by calls, because it is copied to the heap.
    #[doc(hidden)]
    const OWNS: bool = owns(&Self::DERIVED);

    #[doc(hidden)]
    const FIELD: Field = Field {
        name: "",
        docs: "",
        schema: Self::schema,
        wire: Self::WIRE,
        max_wire: Self::MAX_WIRE,
        owns: Self::OWNS,
    };

    /// A field of a derived struct: `next` of the struct follows it in its run, and `after` more bytes.
    #[doc(hidden)]
    #[inline(always)]
    fn member(reader: &mut Reader<'de>, run: &mut &'de [u8], next: Run, after: usize) -> Result<Self, DecodeFault> {
        field::<Plain, Self>(reader, run, next.bytes(after))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the input is not the XDR form of a value, or costs more than the limits allow.
    #[inline]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        const { assert!(Self::DERIVED.is_some(), "an implementation by hand needs `decode`") }
        Self::decode_here::<false>(reader, run, after)
    }

    /// The type's description.
    fn schema() -> &'static Schema {
        const {
            match &Self::DERIVED {
                Some(schema) => schema,
                None => panic!("an implementation by hand needs `schema`"),
            }
        }
    }

    /// [`decode`](Self::decode), inlined where it is called, for the entry points: a struct that a function returns
    /// through memory is copied there, and the copy waits for the stores. With `LAST`, a struct looks whether it is at
    /// the end of the input before it is put together, which saves another copy; what calls it looks again.
    ///
    /// # Errors
    /// Those of `decode`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_here<const LAST: bool>(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
    ) -> Result<Self, DecodeFault> {
        Self::decode(reader, run, after)
    }

    /// Reads an array behind its count word; integers override it with a copy in bulk.
    ///
    /// # Errors
    /// When the count is beyond `max` or the limits, and those of the elements.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_items(reader: &mut Reader<'de>, count: u32, max: usize) -> Result<Vec<Self>, DecodeFault> {
        decode_each::<Plain, Self>(reader, count, max)
    }

    /// Reads an array, its count word included, and returns it with the `next` bytes behind it, if there are so many.
    ///
    /// # Errors
    /// Those of `decode_items`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_array(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        max: usize,
        next: usize,
    ) -> Result<(Vec<Self>, &'de [u8]), DecodeFault> {
        let count = reader.word(run, 0)?;
        let items = Self::decode_items(reader, count, max)?;
        Ok((items, reader.open(next)))
    }

    #[doc(hidden)]
    #[inline(always)]
    fn field(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        field::<Plain, Self>(reader, run, after)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn decode_whole(reader: &mut Reader<'de>) -> Result<Self, DecodeFault> {
        decode_whole::<Plain, Self>(reader)
    }
}

/// A type that can be decoded from input of any lifetime, because it borrows nothing.
pub trait DecodeOwned: for<'de> Decode<'de> {}
impl<T: for<'de> Decode<'de>> DecodeOwned for T {}

/// A type of variable length, or one that holds such types, under the bounds of shape `S`.
///
/// The derive uses it for fields with `max`, `item`, `list` or `unbounded`. The members mean what
/// they mean in [`Decode`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be decoded under these bounds",
    label = "the bounds of this field do not fit its type",
    note = "`max = N` is for strings, opaque (`Vec<u8>`, `Bytes`, `&[u8]`) and arrays of elements that are complete in themselves",
    note = "elements of variable length need theirs as well: `#[xdr(max = N, item(max = M))]`; in a fixed array `#[xdr(item(max = M))]`",
    note = "a type without bounds of its own (an integer, a derived type) takes neither `max` nor `item`; a type of your own needs `#[derive(Xdr)]`",
    note = "`list` is for `Vec<T>`; a map or a set is a `Vec<T>` as well, or is converted to one: `#[xdr(with = module, max = N)]`"
)]
pub trait DecodeBounded<'de, S>: Sized {
    /// The fixed front, and the fewest bytes.
    const WIRE: Wire;
    /// The most bytes that a value can take, or `None` where there is no such number.
    const MAX_WIRE: Option<usize>;

    /// Whether it is read by calls, because it is copied to the heap.
    #[doc(hidden)]
    const OWNS: bool = false;

    #[doc(hidden)]
    const FIELD: Field = Field {
        name: "",
        docs: "",
        schema: Self::schema,
        wire: Self::WIRE,
        max_wire: Self::MAX_WIRE,
        owns: Self::OWNS,
    };

    /// A field of a derived struct: `next` of the struct follows it in its run, and `after` more bytes.
    #[doc(hidden)]
    #[inline(always)]
    fn member(reader: &mut Reader<'de>, run: &mut &'de [u8], next: Run, after: usize) -> Result<Self, DecodeFault> {
        field::<S, Self>(reader, run, next.bytes(after))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the input is not the XDR form of a value, or costs more than the limits allow.
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault>;

    /// The type's description, bounds included.
    fn schema() -> &'static Schema;

    /// [`Decode::decode_here`].
    ///
    /// # Errors
    /// Those of `decode`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_here<const LAST: bool>(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
    ) -> Result<Self, DecodeFault> {
        Self::decode(reader, run, after)
    }

    /// Reads an array behind its count word.
    ///
    /// # Errors
    /// When the count is beyond `max` or the limits, and those of the elements.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_items(reader: &mut Reader<'de>, count: u32, max: usize) -> Result<Vec<Self>, DecodeFault> {
        decode_each::<S, Self>(reader, count, max)
    }

    /// Reads an array, its count word included, and returns it with the `next` bytes behind it, if there are so many.
    ///
    /// # Errors
    /// Those of `decode_items`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_array(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        max: usize,
        next: usize,
    ) -> Result<(Vec<Self>, &'de [u8]), DecodeFault> {
        let count = reader.word(run, 0)?;
        let items = Self::decode_items(reader, count, max)?;
        Ok((items, reader.open(next)))
    }

    #[doc(hidden)]
    #[inline(always)]
    fn field(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        field::<S, Self>(reader, run, after)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn decode_whole(reader: &mut Reader<'de>) -> Result<Self, DecodeFault> {
        decode_whole::<S, Self>(reader)
    }
}

impl<'de, T: Decode<'de>> DecodeBounded<'de, Plain> for T {
    const WIRE: Wire = T::WIRE;
    const MAX_WIRE: Option<usize> = T::MAX_WIRE;
    const OWNS: bool = T::OWNS;
    #[inline(always)]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        <T as Decode<'de>>::decode(reader, run, after)
    }
    #[inline(always)]
    fn decode_here<const LAST: bool>(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
    ) -> Result<Self, DecodeFault> {
        <T as Decode<'de>>::decode_here::<LAST>(reader, run, after)
    }
    fn schema() -> &'static Schema {
        <T as Decode<'de>>::schema()
    }
    #[inline(always)]
    fn member(reader: &mut Reader<'de>, run: &mut &'de [u8], next: Run, after: usize) -> Result<Self, DecodeFault> {
        <T as Decode<'de>>::member(reader, run, next, after)
    }
    #[inline(always)]
    fn decode_array(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        max: usize,
        next: usize,
    ) -> Result<(Vec<Self>, &'de [u8]), DecodeFault> {
        <T as Decode<'de>>::decode_array(reader, run, max, next)
    }
    #[inline(always)]
    fn decode_items(reader: &mut Reader<'de>, count: u32, max: usize) -> Result<Vec<Self>, DecodeFault> {
        <T as Decode<'de>>::decode_items(reader, count, max)
    }
}

/// The input that is left, and what decoding it may still cost.
#[derive(Debug)]
pub struct Reader<'de> {
    rest: &'de [u8],
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
            input,
            buffer,
            heap: limits.heap(),
            depth: limits.depth(),
            lenient_padding: limits.lenient_padding(),
            reason: None,
        }
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

    /// A value that is not accepted, which ends where the open run's rest begins.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn rejected(&mut self, run: &[u8]) -> DecodeFault {
        self.stop_at(DecodeCause::Rejected, self.rest.len().wrapping_add(run.len()))
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

    /// The next `len` bytes, or none where the input ends before.
    #[inline(always)]
    pub(crate) fn open(&mut self, len: usize) -> &'de [u8] {
        self.take(len).unwrap_or_default()
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

    /// # Errors
    /// When there is more input.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn end(&mut self) -> Result<(), DecodeFault> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(self.stop_at(DecodeCause::Trailing, more)),
        }
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
                self.charge(body.len(), self.rest.len())?;
                Ok(Bytes::copy_from_slice(body))
            }
        }
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

/// The next field of a struct.
#[inline(always)]
pub(crate) fn field<'de, S, T: DecodeBounded<'de, S>>(
    reader: &mut Reader<'de>,
    run: &mut &'de [u8],
    after: usize,
) -> Result<T, DecodeFault> {
    let field = T::decode(reader, run, after)?;
    if T::WIRE.tail {
        // Already so; said again, it becomes a constant for the next field.
        *run = &[];
    }
    Ok(field)
}

/// A field that was read by a call, which has opened the run of `next` bytes behind it as well.
#[inline(always)]
pub(crate) fn opened<'de, T>(
    (field, behind): (T, &'de [u8]),
    run: &mut &'de [u8],
    next: usize,
) -> Result<T, DecodeFault> {
    match next {
        0 => *run = &[],
        _ if behind.len() == next => *run = behind,
        // The input ends too early, which needs no note.
        _ => return Err(DecodeFault::noted()),
    }
    Ok(field)
}

/// A whole value where no run is open.
#[inline(always)]
pub(crate) fn decode_whole<'de, S, T: DecodeBounded<'de, S>>(reader: &mut Reader<'de>) -> Result<T, DecodeFault> {
    T::decode(reader, &mut &[][..], 0)
}

/// An array behind its count word, element by element; those of fixed length share one run.
#[inline(never)]
pub(crate) fn decode_each<'de, S, T: DecodeBounded<'de, S>>(
    reader: &mut Reader<'de>,
    count: u32,
    max: usize,
) -> Result<Vec<T>, DecodeFault> {
    let count = reader.count(count, max, T::WIRE.min)?;
    let mut items = reader.allocate::<T>(count)?;
    if T::WIRE.tail {
        for _ in 0..count {
            items.push(T::decode_here::<false>(reader, &mut &[][..], 0)?);
        }
    } else {
        let mut run = reader.take(count.saturating_mul(T::WIRE.head))?;
        for _ in 0..count {
            items.push(T::decode_here::<false>(reader, &mut run, 0)?);
        }
    }
    reader.leave();
    Ok(items)
}
