//! The end of a connection that this side ends: what was sent arrives.
//!
//! A socket that is closed with something unread in it resets its connection, and so does one to which more comes when it
//! is closed; what the peer has not taken by then is lost. So this side says that it sends no more, and throws away what
//! still comes, until the peer ends the connection as well, or has been quiet for a while.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Alarm;
use crate::connection::Connection;

/// How long a peer is quiet that has nothing more to say.
const QUIET: Duration = Duration::from_secs(2);

/// Bytes that are thrown away at a time.
const PIECE: usize = 4096;

/// Reads that are made before others have their turn.
const READS_A_TURN: usize = 16;

/// How far the end of a connection has come.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// Since when all is written.
    since: Option<Duration>,
    /// When the peer last said something that was thrown away.
    heard: Duration,
    /// We have said that we send no more.
    said: bool,
    /// The peer sends no more, or cannot be heard any more.
    ended: bool,
}

impl Farewell {
    /// Throws away what comes, and returns its length. Also while there is something to be written: the peer may read
    /// only when it has sent all that it has begun to send.
    pub(super) fn drain<IO: AsyncRead + Unpin>(
        &mut self,
        cx: &mut TaskContext<'_>,
        io: &mut IO,
        now: Duration,
    ) -> usize {
        let (mut piece, mut drained) = ([0; PIECE], 0_usize);
        for _ in 0..READS_A_TURN {
            if self.ended {
                return drained;
            }
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Pending => return drained,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.heard = now;
                    drained = drained.saturating_add(buffer.filled().len());
                }
                Poll::Ready(_) => self.ended = true,
            }
        }
        cx.waker().wake_by_ref();
        drained
    }

    /// Says that no more is sent. Ready when the connection can be closed, at the latest when the peer has had the
    /// engine's `write_timeout`. To be called when all is written, and behind [`drain`](Self::drain).
    pub(super) fn poll<IO: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut TaskContext<'_>,
        io: &mut IO,
        engine: &Connection,
        alarm: &mut Alarm,
        mut now: Duration,
    ) -> Poll<()> {
        let since = *self.since.get_or_insert(now);
        if !self.said {
            match Pin::new(io).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => self.said = true,
                // The peer is gone already; there is nothing left to lose.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        // Where nothing was sent, nothing can be lost.
        let Some(used) = engine.in_use_until() else { return Poll::Ready(()) };
        if self.said && self.ended {
            return Poll::Ready(());
        }
        let patience = since.saturating_add(engine.write_timeout());
        let quiet = used.max(self.heard).saturating_add(QUIET);
        // TLS says it behind what the peer has yet to take.
        let until = if self.said { quiet.min(patience) } else { patience };
        while now < until {
            if alarm.poll_until(cx, now, until).is_pending() {
                return Poll::Pending;
            }
            now = alarm.now();
        }
        Poll::Ready(())
    }
}
