//! Record marking: messages in a byte stream (RFC 5531 §11).

use core::fmt;

use bytes::Buf as _;
use xdr_core::{Bytes, BytesMut};

/// The longest fragment that a mark can announce, in bytes.
pub const MAX_FRAGMENT: usize = 0x7fff_ffff;

const LAST_FRAGMENT: u32 = 0x8000_0000;

/// Bytes of a record mark.
pub(crate) const MARK: usize = 4;

/// The mark of a record that is sent in one fragment of `len` bytes.
///
/// # Examples
/// ```
/// assert_eq!(rpc_frame::write_record_mark(40), Some([0x80, 0, 0, 40]));
/// assert_eq!(rpc_frame::write_record_mark(1 << 31), None);
/// ```
#[must_use]
pub fn write_record_mark(len: usize) -> Option<[u8; 4]> {
    let len = u32::try_from(len).ok().filter(|len| *len < LAST_FRAGMENT)?;
    Some((len | LAST_FRAGMENT).to_be_bytes())
}

/// Why a byte stream is not a sequence of records. It cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The record is longer than the cap, all its fragments together.
    TooLong {
        /// Bytes that it has at least.
        len: usize,
        /// The cap.
        max: usize,
    },
    /// Too many fragments of a record are empty.
    EmptyFragments {
        /// The cap.
        max: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "record of at least {len} bytes is longer than its maximum {max}"),
            Self::EmptyFragments { max } => write!(f, "record has more than {max} empty fragments"),
        }
    }
}

impl core::error::Error for RecordError {}

/// Cuts records out of a byte stream.
///
/// A record's length counts as soon as it is announced, before any of it is buffered.
///
/// ```
/// use rpc_frame::RecordReader;
/// use rpc_frame::xdr::BytesMut;
///
/// let mut reader = RecordReader::new(1024, 64);
/// let mut input = BytesMut::from(&[0, 0, 0, 1, b'a', 0x80, 0, 0, 2, b'b', b'c'][..]);
/// let record = reader.next_record(&mut input).unwrap();
/// assert_eq!(record.unwrap(), "abc");
/// assert!(reader.next_record(&mut input).unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct RecordReader {
    max_record: usize,
    max_empty_fragments: usize,
    /// Fragments of the record that came before the present one.
    assembled: BytesMut,
    /// The present fragment's length, and whether it is the last.
    fragment: Option<(usize, bool)>,
    empty_fragments: usize,
    /// Whether a record has begun that is not whole.
    started: bool,
}

impl RecordReader {
    /// A reader of records of at most `max_record` bytes, with at most `max_empty_fragments` empty fragments each.
    #[must_use]
    pub fn new(max_record: usize, max_empty_fragments: usize) -> Self {
        Self {
            max_record,
            max_empty_fragments,
            assembled: BytesMut::new(),
            fragment: None,
            empty_fragments: 0,
            started: false,
        }
    }

    /// Whether the stream stands in the middle of a record, given what has not been taken of `input`.
    #[must_use]
    pub fn in_record(&self, input: &BytesMut) -> bool {
        self.started || !input.is_empty()
    }

    /// Whether the stream may end behind `input`: it holds whole records and nothing else.
    #[must_use]
    pub fn may_end_behind(&self, mut input: &[u8]) -> bool {
        let (mut fragment, mut started) = (self.fragment, self.started);
        loop {
            let (len, last) = match fragment.take() {
                Some(fragment) => fragment,
                None => match input.split_first_chunk::<MARK>() {
                    Some((mark, rest)) => {
                        input = rest;
                        length_and_last(u32::from_be_bytes(*mark))
                    }
                    None => return input.is_empty() && !started,
                },
            };
            let Some(rest) = input.get(len..) else { return false };
            input = rest;
            started = !last;
        }
    }

    /// The length of the next record, if it lies whole in `input`, in one fragment behind its mark, and within the caps.
    #[inline]
    pub(crate) fn whole_in(&self, input: &[u8]) -> Option<usize> {
        let (mark, rest) = input.split_first_chunk::<MARK>()?;
        let (len, last) = length_and_last(u32::from_be_bytes(*mark));
        let is_whole = last && !self.started && len <= self.max_record && len <= rest.len();
        is_whole.then_some(len)
    }

    /// Takes the next whole record off the front of `input`, if there is one.
    ///
    /// A record in one fragment is a slice of the buffer, not a copy.
    ///
    /// # Errors
    /// When the stream cannot be a sequence of records within the caps; it stays so.
    pub fn next_record(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, RecordError> {
        loop {
            let (len, last) = match self.fragment {
                Some(fragment) => fragment,
                None => match input.first_chunk::<MARK>() {
                    Some(mark) => {
                        let fragment = self.announced(u32::from_be_bytes(*mark))?;
                        input.advance(MARK);
                        self.started = true;
                        self.fragment = Some(fragment);
                        fragment
                    }
                    None => return Ok(None),
                },
            };
            if input.len() < len {
                return Ok(None);
            }
            let body = input.split_to(len);
            self.fragment = None;
            if !last {
                self.assembled.extend_from_slice(&body);
                continue;
            }
            self.started = false;
            self.empty_fragments = 0;
            if self.assembled.is_empty() {
                return Ok(Some(body.freeze()));
            }
            self.assembled.extend_from_slice(&body);
            return Ok(Some(core::mem::take(&mut self.assembled).freeze()));
        }
    }

    /// A mark's length and last-fragment bit, within the caps.
    fn announced(&mut self, mark: u32) -> Result<(usize, bool), RecordError> {
        let (len, last) = length_and_last(mark);
        let whole = self.assembled.len().saturating_add(len);
        if whole > self.max_record {
            return Err(RecordError::TooLong { len: whole, max: self.max_record });
        }
        if len == 0 && !last {
            self.empty_fragments = self.empty_fragments.saturating_add(1);
            if self.empty_fragments > self.max_empty_fragments {
                return Err(RecordError::EmptyFragments { max: self.max_empty_fragments });
            }
        }
        Ok((len, last))
    }
}

fn length_and_last(mark: u32) -> (usize, bool) {
    (usize::try_from(mark & !LAST_FRAGMENT).unwrap_or(usize::MAX), mark & LAST_FRAGMENT != 0)
}
