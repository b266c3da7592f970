//! A stream that keeps what goes through it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use rpc_frame::RecordReader;
use rpc_frame::xdr::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Which way a piece went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Sent,
    Received,
}

/// Bytes that have gone each way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

/// What has gone through a tap. Its clones see the same.
#[derive(Clone, Default)]
pub(crate) struct Traffic {
    pieces: Arc<Mutex<Vec<(Direction, Bytes)>>>,
}

impl Traffic {
    fn lock(&self) -> MutexGuard<'_, Vec<(Direction, Bytes)>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, direction: Direction, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.lock().push((direction, Bytes::copy_from_slice(bytes)));
        }
    }

    pub(crate) fn pieces(&self) -> Vec<(Direction, Bytes)> {
        self.lock().clone()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (direction, bytes) in self.lock().iter() {
            match direction {
                Direction::Sent => totals.sent += bytes.len(),
                Direction::Received => totals.received += bytes.len(),
            }
        }
        totals
    }

    /// The last whole record that was sent, without its mark.
    pub(crate) fn last_record_sent(&self) -> anyhow::Result<Bytes> {
        let mut stream = BytesMut::new();
        for (direction, bytes) in self.lock().iter() {
            if *direction == Direction::Sent {
                stream.extend_from_slice(bytes);
            }
        }
        let mut reader = RecordReader::new(1024 * 1024, 64);
        let mut last = None;
        while let Some(record) = reader.next_record(&mut stream)? {
            last = Some(record);
        }
        last.context("nothing was sent")
    }
}

/// A stream that keeps what goes through it.
pub(crate) struct Tap {
    stream: UnixStream,
    traffic: Traffic,
}

impl Tap {
    pub(crate) fn new(stream: UnixStream) -> (Self, Traffic) {
        let traffic = Traffic::default();
        (Self { stream, traffic: traffic.clone() }, traffic)
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.traffic.add(Direction::Received, &buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = &written {
            self.traffic.add(Direction::Sent, &bytes[..*len]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
