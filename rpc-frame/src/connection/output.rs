//! What has to be sent, record by record.

use core::time::Duration;
use core::{fmt, mem};

use xdr_core::{BytesMut, EncodeError};

use super::KEPT_ROOM;
use crate::record::{MARK, write_record_mark};

/// What has to be sent, record by record.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) bytes: BytesMut,
    max_record: usize,
    /// Since when the peer has not taken enough of it.
    pub(super) waiting_since: Option<Duration>,
    /// Bytes that it has taken since then.
    pub(super) taken: usize,
    /// Bytes that it has ever taken.
    pub(super) sent: u64,
    /// Bytes up to the end of the last call of our own.
    pub(super) calls: usize,
}

impl Output {
    pub(super) fn new(max_record: usize) -> Self {
        Self { bytes: BytesMut::new(), max_record, waiting_since: None, taken: 0, sent: 0, calls: 0 }
    }

    /// The end of what has been written, among all that was ever written.
    pub(super) fn end(&self) -> u64 {
        self.sent.saturating_add(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }

    /// Lets go of the room of a long reply, once nothing waits in it.
    pub(super) fn give_back(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_ROOM {
            self.bytes = BytesMut::new();
        }
    }

    /// Writes one record that begins with `front`, whose first four bytes become the mark. After an error, and where `write`
    /// panics, the output is as it was.
    #[inline]
    pub(super) fn record<const FRONT: usize>(
        &mut self,
        now: Duration,
        front: &[u8; FRONT],
        write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), RecordNotWritten> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(front);
        let unfinished = Unfinished { output: self, start };
        let Self { bytes, max_record, waiting_since, .. } = &mut *unfinished.output;
        let max = *max_record;
        write(bytes).map_err(RecordNotWritten::Encode)?;
        let len = bytes.len().saturating_sub(start).saturating_sub(MARK);
        let mark = write_record_mark(len).filter(|_| len <= max);
        let space = bytes.get_mut(start..).and_then(|record| record.first_chunk_mut::<MARK>());
        let (Some(mark), Some(space)) = (mark, space) else { return Err(RecordNotWritten::TooLong { len, max }) };
        *space = mark;
        waiting_since.get_or_insert(now);
        mem::forget(unfinished);
        Ok(())
    }
}

/// A record that is being written. Dropped, it was not to be.
struct Unfinished<'a> {
    output: &'a mut Output,
    /// Where it begins.
    start: usize,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.output.bytes.truncate(self.start);
        self.output.give_back();
    }
}

/// Why a message was not sent, on a connection or in a datagram. The caller is to blame, and nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordNotWritten {
    /// A value has no XDR form.
    Encode(EncodeError),
    /// The message would be longer than [`ConnectionConfig::max_record`](crate::ConnectionConfig::max_record), or than a
    /// datagram.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The cap.
        max: usize,
    },
    /// As many calls of our own as may be in flight wait for their replies:
    /// [`ConnectionConfig::max_own_calls_in_flight`](crate::ConnectionConfig::max_own_calls_in_flight).
    TooManyCalls {
        /// The cap.
        max: usize,
    },
}

impl fmt::Display for RecordNotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => write!(f, "{error}"),
            Self::TooLong { len, max } => write!(f, "message of {len} bytes is longer than its maximum {max}"),
            Self::TooManyCalls { max } => write!(f, "{max} calls are in flight, which is the maximum"),
        }
    }
}

impl core::error::Error for RecordNotWritten {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_long_reply_is_given_back_whether_it_is_sent_or_refused() {
        let long = |out: &mut BytesMut| {
            out.resize(out.len() + 4 * KEPT_ROOM, 7);
            Ok(())
        };
        let mut output = Output::new(KEPT_ROOM);
        assert!(output.record(Duration::ZERO, &[0; MARK], long).is_err());
        assert!(output.bytes.capacity() <= KEPT_ROOM);

        let mut output = Output::new(8 * KEPT_ROOM);
        output.record(Duration::ZERO, &[0; MARK], long).unwrap();
        assert!(output.bytes.capacity() > KEPT_ROOM);
        output.bytes.clear();
        output.give_back();
        assert!(output.bytes.capacity() <= KEPT_ROOM);

        output.record(Duration::ZERO, &[0; MARK], |_| Ok(())).unwrap();
        let kept = output.bytes.capacity();
        output.bytes.clear();
        output.give_back();
        assert_eq!(output.bytes.capacity(), kept, "what is short is kept");
    }
}
