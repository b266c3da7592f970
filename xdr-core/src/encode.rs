//! Encoding: a value writes its fixed front into a run of bytes, then its variable tail.

mod visit;

pub use self::visit::{Seen, Visit};

use self::visit::{Calls, Front, Length, Rest};
use crate::bound::Plain;
use crate::fault::EncodeFault;
use crate::schema::{Field, Schema};
use crate::tag::Labels;
use crate::wire::{Code, Run, Runs, Wire, fields_of, max_wire_of, wire_of};
use crate::writer::{Writer, full, put_each};

/// A type whose XDR form is complete in itself.
///
/// Derive it with `#[derive(Xdr)]` (or `#[derive(Encode)]` for one direction). Types of variable
/// length such as `String` and `Vec<T>` do not implement it: a field of such a type needs
/// `#[xdr(max = N)]`, which makes it [`EncodeBounded`].
///
/// # Writing it by hand
///
/// Give `WIRE`, `MAX_WIRE`, `head` and `schema`: their defaults are for derived structs, and one that is missing is an
/// error of the compiler where the type is first used. With `WIRE.tail`, give `tail` and `tail_len` as well.
///
/// A value is `WIRE.head` bytes, written by [`head`](Self::head), followed by what
/// [`tail`](Self::tail) writes if `WIRE.tail` is set. Bounds are checked in `head`, before anything
/// of the value is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no complete XDR form",
    label = "not `Encode`",
    note = "a type of your own needs `#[derive(Xdr)]`; one of another crate is converted with `#[xdr(with = module)]`",
    note = "what holds a string, opaque or array needs its maximum: `#[xdr(max = N)]`; elements of variable length `#[xdr(max = N, item(max = M))]`"
)]
pub trait Encode {
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

    /// Whether a derived struct has `visit`.
    #[doc(hidden)]
    const VISITED: bool = true;

    /// Shows the fields of a derived struct to `visit` until it has seen enough.
    #[doc(hidden)]
    #[inline(always)]
    fn visit<V: Visit>(&self, _visit: &mut V) -> bool {
        false
    }

    /// What is known of the code of a value.
    #[doc(hidden)]
    const CODE: Code = Self::RUNS.whole().code;

    #[doc(hidden)]
    const FIELD: Field = Field {
        name: "",
        docs: "",
        schema: Self::schema,
        wire: Self::WIRE,
        max_wire: Self::MAX_WIRE,
        code: Self::CODE,
    };

    #[doc(hidden)]
    #[inline(always)]
    fn visit_of<V: Visit>(field: &Self, visit: &mut V, next: &'static Run) -> bool {
        visit.field::<Plain, Self>(field, next)
    }

    /// Writes the front into `out`, which is `WIRE.head` bytes long.
    ///
    /// # Errors
    /// When a bound is exceeded, or a union's tag belongs to another arm.
    #[inline]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        const { assert!(Self::DERIVED.is_some(), "an implementation by hand needs `head`") }
        let mut front = Front { run: out, fault: None };
        self.visit(&mut front);
        front.fault.map_or(Ok(()), Err)
    }

    /// Writes the front at the beginning of `run`, of which the rest is left.
    #[doc(hidden)]
    #[inline(always)]
    fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
        head_in::<Plain, Self>(self, run)
    }

    /// Writes what follows the front.
    ///
    /// # Errors
    /// When the space is full, or a bound inside is exceeded.
    #[inline]
    fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        if const { Self::DERIVED.is_none() } {
            return Ok(());
        }
        let mut rest = Rest { writer, run: None, fault: None };
        self.visit(&mut rest);
        rest.fault.map_or(Ok(()), Err)
    }

    /// Bytes that [`tail`](Self::tail) writes.
    #[inline]
    fn tail_len(&self) -> usize {
        if const { !Self::WIRE.tail || Self::DERIVED.is_none() } {
            return 0;
        }
        let mut length = Length(const { Self::RUNS.whole().heads.saturating_sub(Self::WIRE.head) });
        self.visit(&mut length);
        length.0
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

    /// Writes the elements of an array; integers override it with a copy in bulk.
    ///
    /// # Errors
    /// Those of the elements.
    #[doc(hidden)]
    #[inline]
    fn encode_items(items: &[Self], writer: &mut Writer<'_>) -> Result<(), EncodeFault>
    where
        Self: Sized,
    {
        encode_each::<Plain, Self>(items, writer)
    }

    /// Writes a whole value by few bytes of code, each field of variable length by a call, and returns the `next` bytes
    /// behind it. What fails is noted by the writer, which then returns nothing to write to, as one does that only counts
    /// how long the value is. For where calls cost little, beside an allocation.
    #[doc(hidden)]
    #[inline]
    fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
        if const { Self::DERIVED.is_none() || !Self::VISITED || !Self::WIRE.tail } {
            return put_whole::<Plain, Self>(self, writer, next);
        }
        let first = const { Self::RUNS.whole().first };
        self.visit(&mut Calls::new(writer, first));
        writer.open(next)
    }

    /// Writes an array as [`put`](Self::put) does, its count word included.
    #[doc(hidden)]
    #[inline(always)]
    fn put_items<'a>(items: &[Self], writer: &mut Writer<'a>, max: usize, next: usize) -> &'a mut [u8]
    where
        Self: Sized,
    {
        put_each(
            items.len(),
            || items_len::<Plain, Self>(items),
            writer,
            max,
            next,
            |writer| Self::encode_items(items, writer),
        )
    }

    // What derived code calls; here, and not in functions beside the trait, so that a missing
    // implementation is reported once and at the field.
    #[doc(hidden)]
    #[inline(always)]
    fn head_of(field: &Self, run: &mut &mut [u8]) -> Result<bool, EncodeFault> {
        head_of::<Plain, Self>(field, run)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn tail_of<'a>(
        field: &Self,
        writer: &mut Writer<'a>,
        run: &mut Option<&'a mut [u8]>,
        next: usize,
    ) -> Result<(), EncodeFault> {
        tail_of::<Plain, Self>(field, writer, run, next)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn len_of(value: &Self) -> usize {
        len_of::<Plain, Self>(value)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn encode_whole(value: &Self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        encode_whole::<Plain, Self>(value, writer)
    }
}

/// A type of variable length, or one that holds such types, under the bounds of shape `S`.
///
/// The derive uses it for fields with `max`, `item`, `list` or `unbounded`. The members mean what
/// they mean in [`Encode`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be encoded under these bounds",
    label = "the bounds of this field do not fit its type",
    note = "`max = N` is for strings, opaque (`Vec<u8>`, `Bytes`, `&[u8]`) and arrays of elements that are complete in themselves",
    note = "elements of variable length need theirs as well: `#[xdr(max = N, item(max = M))]`; in a fixed array `#[xdr(item(max = M))]`",
    note = "a type without bounds of its own (an integer, a derived type) takes neither `max` nor `item`; a type of your own needs `#[derive(Xdr)]`",
    note = "`list` is for `Vec<T>`; a map or a set is a `Vec<T>` as well, or is converted to one: `#[xdr(with = module, max = N)]`"
)]
pub trait EncodeBounded<S> {
    /// The fixed front, and the fewest bytes.
    const WIRE: Wire;
    /// The most bytes that a value can take, or `None` where there is no such number.
    const MAX_WIRE: Option<usize>;

    /// What is known of the code of a value.
    #[doc(hidden)]
    const CODE: Code = Code::UNKNOWN;

    #[doc(hidden)]
    const FIELD: Field = Field {
        name: "",
        docs: "",
        schema: Self::schema,
        wire: Self::WIRE,
        max_wire: Self::MAX_WIRE,
        code: Self::CODE,
    };

    #[doc(hidden)]
    #[inline(always)]
    fn visit_of<V: Visit>(field: &Self, visit: &mut V, next: &'static Run) -> bool {
        visit.field::<S, Self>(field, next)
    }

    /// Writes the front into `out`, which is `WIRE.head` bytes long.
    ///
    /// # Errors
    /// When a bound is exceeded.
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault>;

    /// Writes the front at the beginning of `run`, of which the rest is left.
    #[doc(hidden)]
    #[inline(always)]
    fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
        head_in::<S, Self>(self, run)
    }

    /// Writes what follows the front.
    ///
    /// # Errors
    /// When the space is full, or a bound inside is exceeded.
    #[inline(always)]
    fn tail(&self, _writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        Ok(())
    }

    /// Bytes that [`tail`](Self::tail) writes.
    #[inline(always)]
    fn tail_len(&self) -> usize {
        0
    }

    /// The type's description, bounds included.
    fn schema() -> &'static Schema;

    /// Writes the elements of an array.
    ///
    /// # Errors
    /// Those of the elements.
    #[doc(hidden)]
    #[inline]
    fn encode_items(items: &[Self], writer: &mut Writer<'_>) -> Result<(), EncodeFault>
    where
        Self: Sized,
    {
        encode_each::<S, Self>(items, writer)
    }

    /// [`Encode::put`].
    #[doc(hidden)]
    #[inline(always)]
    fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
        put_whole::<S, Self>(self, writer, next)
    }

    /// [`Encode::put_items`].
    #[doc(hidden)]
    #[inline(always)]
    fn put_items<'a>(items: &[Self], writer: &mut Writer<'a>, max: usize, next: usize) -> &'a mut [u8]
    where
        Self: Sized,
    {
        put_each(
            items.len(),
            || items_len::<S, Self>(items),
            writer,
            max,
            next,
            |writer| Self::encode_items(items, writer),
        )
    }

    #[doc(hidden)]
    #[inline(always)]
    fn head_of(field: &Self, run: &mut &mut [u8]) -> Result<bool, EncodeFault> {
        head_of::<S, Self>(field, run)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn tail_of<'a>(
        field: &Self,
        writer: &mut Writer<'a>,
        run: &mut Option<&'a mut [u8]>,
        next: usize,
    ) -> Result<(), EncodeFault> {
        tail_of::<S, Self>(field, writer, run, next)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn len_of(value: &Self) -> usize {
        len_of::<S, Self>(value)
    }

    #[doc(hidden)]
    #[inline(always)]
    fn encode_whole(value: &Self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        encode_whole::<S, Self>(value, writer)
    }
}

impl<T: Encode + ?Sized> EncodeBounded<Plain> for T {
    const WIRE: Wire = T::WIRE;
    const MAX_WIRE: Option<usize> = T::MAX_WIRE;
    const CODE: Code = T::CODE;
    #[inline(always)]
    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        T::head(self, out)
    }
    #[inline(always)]
    fn head_in(&self, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
        T::head_in(self, run)
    }
    #[inline(always)]
    fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        T::tail(self, writer)
    }
    #[inline(always)]
    fn tail_len(&self) -> usize {
        T::tail_len(self)
    }
    fn schema() -> &'static Schema {
        T::schema()
    }
    #[inline(always)]
    fn put<'a>(&self, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
        T::put(self, writer, next)
    }
    #[inline(always)]
    fn put_items<'a>(items: &[Self], writer: &mut Writer<'a>, max: usize, next: usize) -> &'a mut [u8]
    where
        Self: Sized,
    {
        T::put_items(items, writer, max, next)
    }
    #[inline(always)]
    fn encode_items(items: &[Self], writer: &mut Writer<'_>) -> Result<(), EncodeFault>
    where
        Self: Sized,
    {
        T::encode_items(items, writer)
    }
}

/// The next field of a struct's first run. True where this field's tail ends the run.
#[inline(always)]
pub(crate) fn head_of<S, T: EncodeBounded<S> + ?Sized>(field: &T, run: &mut &mut [u8]) -> Result<bool, EncodeFault> {
    match field.head_in(run) {
        Ok(()) => Ok(T::WIRE.tail),
        Err(fault) => Err(fault),
    }
}

/// The front of a value that is written into a run of its own length.
#[inline(always)]
pub(crate) fn head_in<S, T: EncodeBounded<S> + ?Sized>(field: &T, run: &mut &mut [u8]) -> Result<(), EncodeFault> {
    match core::mem::take(run).split_at_mut_checked(T::WIRE.head) {
        Some((head, rest)) => {
            *run = rest;
            field.head(head)
        }
        None => Err(full()),
    }
}

/// The next field after a struct's front: its head, unless [`head_of`] wrote it, and its tail.
///
/// `run` is `None` as long as the struct's own front lasts; `next` is the length of the run that
/// follows this field's tail. All of it folds into constants.
#[inline(always)]
pub(crate) fn tail_of<'a, S, T: EncodeBounded<S> + ?Sized>(
    field: &T,
    writer: &mut Writer<'a>,
    run: &mut Option<&'a mut [u8]>,
    next: usize,
) -> Result<(), EncodeFault> {
    if let Some(run) = run {
        head_of::<S, T>(field, run)?;
    }
    if const { T::WIRE.tail } {
        field.tail(writer)?;
        *run = Some(writer.take(next)?);
    }
    Ok(())
}

/// Bytes of a whole value.
#[inline(always)]
pub(crate) fn len_of<S, T: EncodeBounded<S> + ?Sized>(value: &T) -> usize {
    T::WIRE.head.saturating_add(value.tail_len())
}

/// A whole value where no run is open.
#[inline(always)]
pub(crate) fn encode_whole<S, T: EncodeBounded<S> + ?Sized>(
    value: &T,
    writer: &mut Writer<'_>,
) -> Result<(), EncodeFault> {
    value.head(writer.take(T::WIRE.head)?)?;
    if const { T::WIRE.tail } { value.tail(writer) } else { Ok(()) }
}

/// [`encode_whole`] as [`Encode::put`] does it.
#[inline(always)]
fn put_whole<'a, S, T: EncodeBounded<S> + ?Sized>(value: &T, writer: &mut Writer<'a>, next: usize) -> &'a mut [u8] {
    if writer.counts(|| len_of::<S, T>(value).saturating_add(next)) {
        return &mut [];
    }
    match encode_whole::<S, T>(value, writer) {
        Ok(()) => writer.open(next),
        Err(fault) => writer.stop(fault),
    }
}

/// Elements one by one; those of fixed length share one run.
#[inline(always)]
pub(crate) fn encode_each<S, T: EncodeBounded<S>>(items: &[T], writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
    if T::WIRE.tail {
        return items.iter().try_for_each(|item| encode_whole::<S, T>(item, writer));
    }
    match T::WIRE.head {
        0 => items.iter().try_for_each(|item| item.head(&mut [])),
        head => {
            let run = writer.take(items.len().saturating_mul(head))?;
            let mut fronts = run.chunks_exact_mut(head);
            items.iter().try_for_each(|item| match fronts.next() {
                Some(front) => item.head(front),
                None => Err(full()),
            })
        }
    }
}

/// Bytes of all elements.
#[inline(always)]
pub(crate) fn items_len<S, T: EncodeBounded<S>>(items: &[T]) -> usize {
    if T::WIRE.tail {
        items.iter().fold(0, |sum, item| sum.saturating_add(len_of::<S, T>(item)))
    } else {
        items.len().saturating_mul(T::WIRE.head)
    }
}
