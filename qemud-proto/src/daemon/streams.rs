//! The streams of a session: what is too long for one reply, kept until the client has read it.
//!
//! Three limits: a session has few streams, each has a most of bytes, and so have those of all sessions together. A
//! stream's place is taken before the driver makes what goes into it, so that calls in flight count as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rpc_frame::xdr::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::driver::Picture;
use crate::failure::{Code, Failure, Reply};
use crate::messages::{PIECE_MAX, Stream, StreamPiece, StreamRead};

/// Most streams that a session has at a time.
const STREAMS_MAX: usize = 4;
/// Longest stream, in bytes.
const STREAM_MAX: u32 = 32 << 20;
/// Most bytes that the streams of all sessions hold.
const ROOM: usize = 128 << 20;

/// How many bytes the streams of all sessions may hold yet.
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

/// A place for a stream that is yet to be made; it is free again when this is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// The streams of a session. They end with it.
pub(super) struct Streams {
    places: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Numbers are never used twice, so that a late read does not meet another stream.
    last: u32,
    by_number: BTreeMap<u32, Held>,
}

struct Held {
    bytes: Bytes,
    _place: Place,
    _room: OwnedSemaphorePermit,
}

impl Default for Streams {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS_MAX)), open: Mutex::default() }
    }
}

impl Streams {
    /// A place for one more stream.
    pub(super) fn place(&self) -> Reply<Place> {
        let full = |_| {
            let message =
                format!("the connection has {STREAMS_MAX} streams, which is the maximum; read one to its end");
            Failure::new(Code::OperationFailed, message)
        };
        Arc::clone(&self.places).try_acquire_owned().map_err(full)
    }

    /// Keeps a picture until it was read.
    pub(super) fn open(&self, place: Place, room: &Room, picture: Picture) -> Reply<Stream> {
        let Picture { mime, bytes } = picture;
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= STREAM_MAX).ok_or_else(|| {
            let message = format!("the picture has {} bytes, the maximum is {STREAM_MAX}", bytes.len());
            Failure::new(Code::OperationFailed, message)
        })?;
        let full = |_| Failure::new(Code::OperationFailed, "the daemon holds too many pictures; try again later");
        let room = Arc::clone(&room.0).try_acquire_many_owned(length).map_err(full)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = || Failure::new(Code::OperationFailed, "every number of a stream has been used once; none is left");
        let stream = open.last.checked_add(1).ok_or_else(spent)?;
        open.last = stream;
        open.by_number.insert(stream, Held { bytes: bytes.into(), _place: place, _room: room });
        Ok(Stream { stream, length: length.into(), mime })
    }

    /// Reads a piece; from the end on it is empty, and the stream is closed.
    pub(super) fn read(&self, args: StreamRead) -> Reply<StreamPiece> {
        let StreamRead { stream, offset } = args;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Failure::new(Code::InvalidArg, format!("no open stream has the number {stream}"));
        let bytes = &open.by_number.get(&stream).ok_or_else(unknown)?.bytes;
        let left = usize::try_from(offset).ok().filter(|offset| *offset < bytes.len());
        let Some(begin) = left else {
            open.by_number.remove(&stream);
            return Ok(StreamPiece { bytes: Bytes::new() });
        };
        let end = bytes.len().min(begin.saturating_add(PIECE_MAX));
        Ok(StreamPiece { bytes: bytes.slice(begin..end) })
    }
}

#[cfg(test)]
mod tests;
