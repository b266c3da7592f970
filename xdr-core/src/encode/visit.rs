//! What is done with the fields of a struct: its front, its rest, both by calls, its length.

use super::{EncodeBounded, head_of, len_of, tail_of};
use crate::fault::EncodeFault;
use crate::wire::Run;
use crate::writer::Writer;

/// What is done with each field of a struct. What a struct's derive makes is one list of its fields, whatever
/// is to be done with them.
#[doc(hidden)]
pub trait Visit {
    /// `next` is the run behind the field. False where the fields behind it are not of interest.
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: Run) -> bool;
}

/// Writes the front, which ends at the first field with a tail.
pub(super) struct Front<'a> {
    pub(super) run: &'a mut [u8],
    pub(super) fault: Option<EncodeFault>,
}

impl Visit for Front<'_> {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, _next: Run) -> bool {
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
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: Run) -> bool {
        match tail_of::<S, T>(field, self.writer, &mut self.run, next.whole) {
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
}

impl Visit for Calls<'_, '_> {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, next: Run) -> bool {
        if T::WIRE.tail {
            self.run = field.put(self.writer, next.fixed);
            // Where nothing is to be written before the next call, it is the next call that finds no space.
            next.fixed == 0 || self.run.len() == next.fixed
        } else {
            match head_of::<S, T>(field, &mut self.run) {
                Ok(_) => true,
                Err(fault) => {
                    self.writer.stop(fault);
                    false
                }
            }
        }
    }
}

/// Adds the lengths up.
pub(super) struct Length(pub(super) usize);

impl Visit for Length {
    #[inline(always)]
    fn field<S, T: EncodeBounded<S> + ?Sized>(&mut self, field: &T, _next: Run) -> bool {
        self.0 = self.0.saturating_add(len_of::<S, T>(field));
        true
    }
}
