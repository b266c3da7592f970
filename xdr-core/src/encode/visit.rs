//! What is done with the fields of a struct: its front, its rest, both by calls, its length.

use core::marker::PhantomData;

use super::{Encode, EncodeBounded, head_of, tail_of};
use crate::fault::EncodeFault;
use crate::wire::{Run, Runs};
use crate::writer::Writer;

/// What is done with each field of a struct. What a struct's derive makes is one list of its fields, whatever
/// is to be done with them.
#[doc(hidden)]
pub trait Visit {
    /// A constant of each implementation's own.
    const KNOWN: () = ();

    /// `next` is the run behind the field. False where the fields behind it are not of interest.
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: &'static Run) -> bool;
}

/// A struct that is shown to a `V`. Named by both, its runs are found where both are known, once, and not once more for
/// the code that is the same for each `V`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Seen<V, T: ?Sized>(PhantomData<V>, PhantomData<T>);

impl<V: Visit, T: Encode + ?Sized> Seen<V, T> {
    /// Those of the struct.
    pub const RUNS: &'static Runs = {
        let () = V::KNOWN;
        T::RUNS
    };
}

/// Writes the front, which ends at the first field with a tail.
pub(super) struct Front<'a> {
    pub(super) run: &'a mut [u8],
    pub(super) fault: Option<EncodeFault>,
}

impl Visit for Front<'_> {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, _next: &'static Run) -> bool {
        match head_of::<S, T>(field, &mut self.run) {
            Ok(ended) => !ended,
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }
}

/// Writes what is behind the front.
pub(super) struct Rest<'w, 'a> {
    pub(super) writer: &'w mut Writer<'a>,
    pub(super) run: Option<&'a mut [u8]>,
    pub(super) fault: Option<EncodeFault>,
}

impl Visit for Rest<'_, '_> {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: &'static Run) -> bool {
        match tail_of::<S, T>(field, self.writer, &mut self.run, next.whole()) {
            Ok(()) => true,
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }
}

/// Writes all fields: those of fixed length in runs, and each other by a call.
pub(super) struct Calls<'w, 'a> {
    pub(super) writer: &'w mut Writer<'a>,
    pub(super) run: &'a mut [u8],
    /// Whether there is a run. Where none is, the call that has not opened it has noted why, or only counts.
    pub(super) opened: bool,
}

impl<'w, 'a> Calls<'w, 'a> {
    /// Begins with the struct's first run, of `len` bytes.
    #[inline(always)]
    pub(super) fn new(writer: &'w mut Writer<'a>, len: usize) -> Self {
        let run = writer.open(len);
        Self { opened: run.len() == len, run, writer }
    }
}

impl Visit for Calls<'_, '_> {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: &'static Run) -> bool {
        if const { T::WIRE.tail } {
            self.run = field.put(self.writer, next.fixed());
            self.opened = next.fixed() == 0 || self.run.len() == next.fixed();
        } else if self.opened
            && let Err(fault) = field.head_in(&mut self.run)
        {
            self.writer.stop(fault);
            self.opened = false;
        }
        true
    }
}

/// Adds the lengths of what follows the fields' fronts.
pub(super) struct Length(pub(super) usize);

impl Visit for Length {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, _next: &'static Run) -> bool {
        if const { T::WIRE.tail } {
            self.0 = self.0.saturating_add(field.tail_len());
        }
        true
    }
}
