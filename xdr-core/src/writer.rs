//! Writing: the space that is left, and the words and bytes that go into it.

use crate::fault::{EncodeCause, EncodeFault};

/// The space that is left to write into. It only ever splits slices.
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
    /// What was noted for who does not look at each call's outcome.
    fault: Option<EncodeFault>,
    /// What has been asked for so far, where nothing is written but only counted.
    counted: Option<usize>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(rest: &'a mut [u8]) -> Self {
        Self { rest, fault: None, counted: None }
    }

    /// The next `len` bytes, to be filled.
    ///
    /// # Errors
    /// When less space is left.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> Result<&'a mut [u8], EncodeFault> {
        match core::mem::take(&mut self.rest).split_at_mut_checked(len) {
            Some((run, rest)) => {
                self.rest = rest;
                Ok(run)
            }
            None => Err(full()),
        }
    }

    /// Without space: what calls ask of it is counted.
    pub(crate) const fn counting() -> Self {
        Self { rest: &mut [], fault: None, counted: Some(0) }
    }

    /// What calls have asked for.
    pub(crate) const fn counted(&self) -> usize {
        match self.counted {
            Some(counted) => counted,
            None => 0,
        }
    }

    /// Whether `len` bytes are counted and not written.
    #[inline(always)]
    pub(crate) fn counts(&mut self, len: impl FnOnce() -> usize) -> bool {
        match &mut self.counted {
            Some(counted) => {
                *counted = counted.saturating_add(len());
                true
            }
            None => false,
        }
    }

    /// The next `len` bytes, to be filled; no bytes where less space is left.
    #[inline(always)]
    pub(crate) fn open(&mut self, len: usize) -> &'a mut [u8] {
        // The usual case by itself costs no call.
        if len == 0 { &mut [] } else { self.open_some(len) }
    }

    #[inline(never)]
    fn open_some(&mut self, len: usize) -> &'a mut [u8] {
        if self.counts(|| len) {
            return &mut [];
        }
        self.take(len).unwrap_or_else(|fault| self.stop(fault))
    }

    /// Notes the first fault, and leaves no space to write to.
    #[cold]
    pub(crate) fn stop(&mut self, fault: EncodeFault) -> &'a mut [u8] {
        self.fault.get_or_insert(fault);
        self.rest = &mut [];
        &mut []
    }

    /// What was noted.
    pub(crate) const fn fault(&self) -> Option<EncodeFault> {
        self.fault
    }

    /// An opaque, its length word included, and the `next` bytes behind it.
    #[inline(never)]
    pub(crate) fn put_opaque(&mut self, body: &[u8], max: usize, next: usize) -> &'a mut [u8] {
        let len = padded(body.len());
        put_each(body.len(), || len, self, max, next, |writer| write_padded(body, writer.take(len)?))
    }

    /// An opaque's body and its padding.
    #[inline(always)]
    pub(crate) fn opaque(&mut self, body: &[u8]) -> Result<(), EncodeFault> {
        match put_padded(core::mem::take(&mut self.rest), body) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(full()),
        }
    }

    /// Bytes of space left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }
}

#[cold]
pub(crate) const fn full() -> EncodeFault {
    EncodeFault::new(EncodeCause::Full, 0)
}

/// The length word of `len` bytes or elements, if they are within `max`.
#[inline(always)]
pub(crate) fn length_word(len: usize, max: usize, out: &mut [u8]) -> Result<(), EncodeFault> {
    match u32::try_from(len) {
        Ok(word) if len <= max => write_word(word, out),
        _ => Err(too_long(len)),
    }
}

#[cold]
const fn too_long(len: usize) -> EncodeFault {
    EncodeFault::new(EncodeCause::TooLong, len)
}

/// One word, big-endian, into a run of at least four bytes.
#[inline(always)]
pub(crate) fn write_word(word: u32, out: &mut [u8]) -> Result<(), EncodeFault> {
    write_array(word.to_be_bytes(), out)
}

/// [`write_array`] at the beginning of a run, of which the rest is left.
#[inline(always)]
pub(crate) fn write_in<const N: usize>(bytes: &[u8; N], run: &mut &mut [u8]) -> Result<(), EncodeFault> {
    match core::mem::take(run).split_first_chunk_mut::<N>() {
        Some((space, rest)) => {
            *space = *bytes;
            *run = rest;
            Ok(())
        }
        None => Err(full()),
    }
}

#[inline(always)]
pub(crate) fn write_array<const N: usize>(bytes: [u8; N], out: &mut [u8]) -> Result<(), EncodeFault> {
    match out.first_chunk_mut::<N>() {
        Some(space) => {
            *space = bytes;
            Ok(())
        }
        None => Err(full()),
    }
}

/// The body of an opaque at the front of `space`; what is left behind its padding. A function, because its code is
/// long; of scalars, so that the writer stays in registers.
#[inline(never)]
fn put_padded<'a>(space: &'a mut [u8], body: &[u8]) -> Option<&'a mut [u8]> {
    let (run, rest) = space.split_at_mut_checked(padded(body.len()))?;
    write_padded(body, run).ok()?;
    Some(rest)
}

/// `bytes` and their zero padding to a multiple of four; `space` is exactly that long.
#[inline(always)]
pub(crate) fn write_padded(bytes: &[u8], space: &mut [u8]) -> Result<(), EncodeFault> {
    // The last word first: what the body does not cover of it is padding.
    if let Some(last) = space.last_chunk_mut::<4>() {
        *last = [0; 4];
    }
    match space.get_mut(..bytes.len()) {
        Some(body) => {
            copy(bytes, body);
            Ok(())
        }
        None => Err(full()),
    }
}

/// `copy_from_slice`; what is short goes as two words that may overlap, without a call.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    let done = match from.len() {
        4..=7 => copy_ends::<4>(from, to),
        8..=16 => copy_ends::<8>(from, to),
        17..=32 => copy_ends::<16>(from, to),
        33..=64 => copy_ends::<32>(from, to),
        _ => None,
    };
    if done.is_none() {
        to.copy_from_slice(from);
    }
}

#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) -> Option<()> {
    let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
    *to.first_chunk_mut::<N>()? = first;
    *to.last_chunk_mut::<N>()? = last;
    Some(())
}

/// Bytes of an opaque of `len` bytes with its padding. Saturates: no slice is that long.
#[inline(always)]
pub(crate) const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

/// An optional-data flag.
#[inline(always)]
pub(crate) fn put_flag(flag: bool, writer: &mut Writer<'_>) {
    if writer.counts(|| 4) {
        return;
    }
    if let Err(fault) = writer.take(4).and_then(|word| write_word(u32::from(flag), word)) {
        writer.stop(fault);
    }
}

/// The length word of `count` elements and what `body` writes, `len` bytes, as [`Encode::put`] does it.
#[inline(always)]
pub(crate) fn put_each<'a>(
    count: usize,
    len: impl FnOnce() -> usize,
    writer: &mut Writer<'a>,
    max: usize,
    next: usize,
    body: impl FnOnce(&mut Writer<'a>) -> Result<(), EncodeFault>,
) -> &'a mut [u8] {
    if writer.counts(|| len().saturating_add(4).saturating_add(next)) {
        return &mut [];
    }
    let written = writer.take(4).and_then(|word| length_word(count, max, word)).and_then(|()| body(writer));
    match written.and_then(|()| writer.take(next)) {
        Ok(run) => run,
        Err(fault) => writer.stop(fault),
    }
}
