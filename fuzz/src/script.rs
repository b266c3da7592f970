//! A fuzzer's bytes as steps: numbers, delays, and pieces of a stream with their lengths in front.

use std::time::Duration;

/// What is left of a fuzzer's bytes. A step that they do not suffice for gets what there is.
#[derive(Debug)]
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    /// The next byte, or the end.
    pub fn next_byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// The next byte, or 0.
    pub fn byte(&mut self) -> u8 {
        self.next_byte().unwrap_or(0)
    }

    /// A length of one byte, and so many bytes.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        self.0 = rest;
        piece
    }

    /// From nothing to eleven minutes, the short ones close to each other.
    pub fn delay(&mut self) -> Duration {
        Duration::from_millis(10 * u64::from(self.byte()).pow(2))
    }
}
