//! Decoding: values take their fixed fronts out of runs of bytes, which fields share, and the rest from the reader.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::bound::Plain;
use crate::fault::DecodeFault;
use crate::reader::Reader;
use crate::schema::{Field, Schema};
use crate::tag::Labels;
use crate::wire::{Code, Run, Runs, Wire, fields_of, max_wire_of, wire_of};

/// A type that can be read from its XDR form, which is complete in itself.
///
/// Derive it with `#[derive(Xdr)]` (or `#[derive(Decode)]` for one direction). `'de` is the lifetime
/// of the input, for types that borrow from it.
///
/// # Writing it by hand
///
/// Give `WIRE`, `MAX_WIRE`, `decode` and `schema`: the defaults are for derived structs, and one that is missing is an
/// error of the compiler where the type is first used. `schema` describes exactly the bytes that `decode` reads: by it is
/// found whether the input is too short or too long, and in which field.
///
/// The bytes of the front are taken out of `run`. When `run` is shorter than `WIRE.head`, take
/// `WIRE.head + after` bytes from the reader first ([`Reader::word`] and [`Reader::array`] do):
/// `after` is what the fields behind this one want in the same run. A type with a tail leaves `run` empty.
///
/// Return each error that reading gives you: the reader has noted why, and what it noted is told of whatever ends the
/// decoding later.
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
    /// Whether a union can switch on it.
    #[doc(hidden)]
    const LABELS: Labels = Labels::None;
    /// The runs behind each field, of the first 16.
    #[doc(hidden)]
    const RUNS: &'static Runs = &Runs::of(fields_of(&Self::DERIVED));
    /// The fixed front, and the fewest bytes.
    const WIRE: Wire = wire_of(&Self::DERIVED, Self::RUNS);
    /// The most bytes that a value can take, or `None` where there is no such number.
    const MAX_WIRE: Option<usize> = max_wire_of(&Self::DERIVED, Self::RUNS);
    /// The fewest bytes that a value can take.
    const MIN_WIRE: usize = Self::WIRE.min;
    /// The length of every value, where all have the same.
    const FIXED_WIRE: Option<usize> = match Self::WIRE {
        Wire { tail: false, head, .. } => Some(head),
        _ => None,
    };

    /// Whether it is read by calls, because it is copied to the heap.
    #[doc(hidden)]
    const OWNS: bool = Self::RUNS.whole().code.owns;

    #[doc(hidden)]
    const FIELD: Field = Field {
        name: "",
        docs: "",
        schema: Self::schema,
        wire: Self::WIRE,
        max_wire: Self::MAX_WIRE,
        code: Code::UNKNOWN.owning(Self::OWNS),
    };

    /// A field of a derived struct: `next` of the struct follows it in its run, and `after` more bytes.
    #[doc(hidden)]
    #[inline(always)]
    fn member(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        next: &'static Run,
        after: usize,
    ) -> Result<Self, DecodeFault> {
        field::<Plain, Self>(reader, run, next.bytes(after))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// When the input is not the XDR form of a value, or costs more than the limits allow.
    #[inline]
    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        const { assert!(Self::DERIVED.is_some(), "an implementation by hand needs `decode`") }
        Self::decode_here(reader, run, after, false)
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
    /// through memory is copied there, and the copy waits for the stores. With `last`, a struct looks whether it is at
    /// the end of the input before it is put together, which saves another copy; what calls it looks again.
    ///
    /// # Errors
    /// Those of `decode`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_here(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
        _last: bool,
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

    /// Reads an array, its count word included, and opens the run of `next` bytes behind it. None where it cannot, for the
    /// reasons of `decode_items`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_array(reader: &mut Reader<'de>, run: &'de [u8], max: usize, next: usize) -> Option<Box<[Self]>> {
        decode_array::<Plain, Self>(reader, run, max, next)
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
        code: Code::UNKNOWN.owning(Self::OWNS),
    };

    /// A field of a derived struct: `next` of the struct follows it in its run, and `after` more bytes.
    #[doc(hidden)]
    #[inline(always)]
    fn member(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        next: &'static Run,
        after: usize,
    ) -> Result<Self, DecodeFault> {
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
    fn decode_here(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
        _last: bool,
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

    /// Reads an array, its count word included, and opens the run of `next` bytes behind it. None where it cannot, for the
    /// reasons of `decode_items`.
    #[doc(hidden)]
    #[inline(always)]
    fn decode_array(reader: &mut Reader<'de>, run: &'de [u8], max: usize, next: usize) -> Option<Box<[Self]>> {
        decode_array::<S, Self>(reader, run, max, next)
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
    fn decode_here(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        after: usize,
        last: bool,
    ) -> Result<Self, DecodeFault> {
        <T as Decode<'de>>::decode_here(reader, run, after, last)
    }
    fn schema() -> &'static Schema {
        <T as Decode<'de>>::schema()
    }
    #[inline(always)]
    fn member(
        reader: &mut Reader<'de>,
        run: &mut &'de [u8],
        next: &'static Run,
        after: usize,
    ) -> Result<Self, DecodeFault> {
        <T as Decode<'de>>::member(reader, run, next, after)
    }
    #[inline(always)]
    fn decode_array(reader: &mut Reader<'de>, run: &'de [u8], max: usize, next: usize) -> Option<Box<[Self]>> {
        <T as Decode<'de>>::decode_array(reader, run, max, next)
    }
    #[inline(always)]
    fn decode_items(reader: &mut Reader<'de>, count: u32, max: usize) -> Result<Vec<Self>, DecodeFault> {
        <T as Decode<'de>>::decode_items(reader, count, max)
    }
}

/// The next field of a struct, and the run of `after` bytes behind it where its tail has ended the last.
#[inline(always)]
pub(crate) fn field<'de, S, T: DecodeBounded<'de, S>>(
    reader: &mut Reader<'de>,
    run: &mut &'de [u8],
    after: usize,
) -> Result<T, DecodeFault> {
    // Behind a tail no field shares its run.
    let shared = if const { T::WIRE.tail } { 0 } else { after };
    // What a function returns through memory is copied there, which only beside an allocation is not felt.
    let field =
        if const { T::OWNS } { T::decode(reader, run, shared)? } else { T::decode_here(reader, run, shared, false)? };
    if const { T::WIRE.tail } {
        *run = reader.take(after)?;
    }
    Ok(field)
}

/// A field that was read by a call, which has opened the run of `next` bytes behind it as well.
#[inline(always)]
pub(crate) fn opened<'de, T>(
    read: Option<T>,
    reader: &Reader<'de>,
    run: &mut &'de [u8],
    next: usize,
) -> Result<T, DecodeFault> {
    match read {
        // So many bytes are there already. The compiler knows it only where it sees them counted.
        Some(field) if next == 0 || reader.opened().len() == next => {
            *run = if next == 0 { &[] } else { reader.opened() };
            Ok(field)
        }
        _ => Err(DecodeFault::noted()),
    }
}

/// A vector from the call that has filled it.
///
/// Its length is asked for because it is also the capacity, and the standard library tells the compiler with a vector's
/// length what it does not tell with a box's: that there are greater numbers. One of those is what an error looks like in
/// a result, and has not to be looked for.
#[inline(always)]
pub(crate) fn vector<T>(items: Box<[T]>) -> Vec<T> {
    let items = items.into_vec();
    let _ = items.len();
    items
}

/// A whole value where no run is open.
#[inline(always)]
pub(crate) fn decode_whole<'de, S, T: DecodeBounded<'de, S>>(reader: &mut Reader<'de>) -> Result<T, DecodeFault> {
    T::decode(reader, &mut &[][..], 0)
}

/// [`Decode::decode_array`], as two words, which registers hold.
#[inline(never)]
pub(crate) fn decode_array<'de, S, T: DecodeBounded<'de, S>>(
    reader: &mut Reader<'de>,
    run: &'de [u8],
    max: usize,
    next: usize,
) -> Option<Box<[T]>> {
    let mut run = run;
    let count = reader.word(&mut run, 0).ok()?;
    let items = T::decode_items(reader, count, max).ok()?;
    reader.open(next).ok()?;
    Some(items.into_boxed_slice())
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
            items.push(T::decode_here(reader, &mut &[][..], 0, false)?);
        }
    } else {
        let mut run = reader.take(count.saturating_mul(T::WIRE.head))?;
        for _ in 0..count {
            items.push(T::decode_here(reader, &mut run, 0, false)?);
        }
    }
    reader.leave();
    Ok(items)
}
