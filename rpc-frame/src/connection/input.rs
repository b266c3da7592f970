//! What has come and was not taken up.

use bytes::Buf as _;
use xdr_core::BytesMut;

use super::KEPT_ROOM;

/// Bytes of a buffer.
const ROOM: usize = 4096;

/// Less room than this is not worth a read.
const LEAST_ROOM: usize = 512;

/// What has come and was not taken up.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: BytesMut,
    /// Bytes at the front that were taken up where they lie. They go all at once, before anything else is done here.
    passed: usize,
    /// The buffer before, which calls in flight still hold; it is used again when they let go.
    previous: BytesMut,
}

impl Input {
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.passed..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len() == self.passed
    }

    /// Passes over bytes at the front that were taken up where they lie.
    #[inline]
    pub(super) fn pass(&mut self, len: usize) {
        self.passed = self.passed.saturating_add(len).min(self.bytes.len());
    }

    /// What was not taken up, to take from and to append to.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        if self.passed == self.bytes.len() {
            // All of the room is there again.
            self.bytes.clear();
        } else if self.passed > 0 {
            self.bytes.advance(self.passed);
        }
        self.passed = 0;
        &mut self.bytes
    }

    /// The bytes, with room to append to.
    pub(super) fn with_room(&mut self) -> &mut BytesMut {
        self.bytes();
        let bytes = &mut self.bytes;
        let has_room = (bytes.is_empty() && bytes.try_reclaim(ROOM))
            || bytes.capacity().saturating_sub(bytes.len()) >= LEAST_ROOM
            || bytes.try_reclaim(ROOM);
        if bytes.is_empty() && bytes.capacity() > KEPT_ROOM {
            // A long record's; the next one need not be long.
            *bytes = BytesMut::with_capacity(ROOM);
        } else if !has_room {
            let mut next = core::mem::take(&mut self.previous);
            let wanted = bytes.len().saturating_mul(2).max(ROOM);
            next.clear();
            if !next.try_reclaim(wanted) {
                next = BytesMut::with_capacity(wanted);
            }
            next.extend_from_slice(bytes);
            self.previous = core::mem::replace(bytes, next);
            if self.previous.capacity() > ROOM {
                self.previous = BytesMut::new();
            }
        }
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends as a transport does: what there is room for, again and again.
    fn append(input: &mut Input, mut len: usize) {
        while len > 0 {
            let bytes = input.with_room();
            let part = len.min(bytes.capacity() - bytes.len());
            assert!(part > 0);
            bytes.resize(bytes.len() + part, 7);
            len -= part;
        }
    }

    #[test]
    fn the_room_of_a_long_record_is_given_back_when_it_is_taken_up() {
        let mut input = Input::default();
        append(&mut input, 4 * KEPT_ROOM);
        let record = input.bytes().split();
        assert!(input.with_room().capacity() <= KEPT_ROOM, "while the call is in flight");
        drop(record);
        assert!(input.with_room().capacity() <= KEPT_ROOM, "and when it is answered");
        append(&mut input, 4 * KEPT_ROOM);
        drop(input.bytes().split());
        assert!(input.with_room().capacity() <= KEPT_ROOM, "without another call in between");
        assert!(input.previous.capacity() <= ROOM);
    }

    #[test]
    fn the_room_of_a_short_record_is_kept() {
        let mut input = Input::default();
        append(&mut input, 8 * ROOM);
        let kept = input.bytes().as_ptr();
        drop(input.bytes().split());
        assert_eq!(input.with_room().as_ptr(), kept);
    }

    #[test]
    fn what_was_passed_over_is_gone_and_its_room_is_there_again() {
        let mut input = Input::default();
        append(&mut input, 100);
        let whole = input.bytes().capacity();
        input.pass(60);
        input.pass(30);
        assert_eq!((input.unread(), input.is_empty()), (&[7; 10][..], false));
        append(&mut input, 5);
        assert_eq!(input.unread(), [7; 15]);
        input.pass(15);
        assert!(input.is_empty() && input.unread().is_empty());
        assert!(input.bytes().is_empty());
        append(&mut input, 10);
        input.pass(10);
        assert_eq!(input.with_room().capacity(), whole);
    }
}
