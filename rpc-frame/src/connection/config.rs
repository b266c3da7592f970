//! What a connection may cost, and why it is closed.

use core::fmt;
use core::time::Duration;

use crate::record::RecordError;

/// What a connection may cost. All of it is finite unless you say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Longest record in bytes, in both directions: 1 MiB.
    pub max_record: usize,
    /// Most empty fragments of one record: 64.
    pub max_empty_fragments: usize,
    /// Most calls of the peer's that are answered at a time: 64. More wait in the peer's socket. On tokio 65,536 is the
    /// most.
    pub max_calls_in_flight: usize,
    /// Most calls of our own that wait for their replies: 16,384. A further one is not sent.
    pub max_own_calls_in_flight: usize,
    /// Most bytes of output that may wait before no further call is taken up, and no oneway call of our own queued:
    /// 1 MiB.
    pub max_unsent: usize,
    /// Longest time from a record's first byte to its last: 10 s.
    pub record_timeout: Duration,
    /// Longest time without a byte in either direction and without a call in flight: 5 min. It begins when the last
    /// call has ended, in whatever way.
    pub idle_timeout: Duration,
    /// Longest time that a peer may take to read 16 KiB of our output, or all of it: 30 s. On tokio also how long it may go
    /// on sending when this side ends the connection.
    pub write_timeout: Duration,
    /// The first xid of our own calls. Give a random one where xids should not be guessed.
    pub first_xid: u32,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            max_record: 1024 * 1024,
            max_empty_fragments: 64,
            max_calls_in_flight: 64,
            max_own_calls_in_flight: 16_384,
            max_unsent: 1024 * 1024,
            record_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(30),
            first_xid: 1,
        }
    }
}

/// Why a connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer's bytes are not records within the caps.
    Record(RecordError),
    /// A record is too short for an xid and a message type.
    TooShort {
        /// Its length in bytes.
        len: usize,
    },
    /// A message is neither a call nor a reply.
    UnknownMessageType(u32),
    /// A reply to a call that was never made.
    UnexpectedReply {
        /// Its xid.
        xid: u32,
    },
    /// The stream ended in the middle of a record.
    UnexpectedEof,
    /// A record was begun and not finished in time.
    RecordTimeout,
    /// Nothing happened for too long.
    Idle,
    /// The peer does not read what it is sent.
    WriteTimeout,
    /// The peer calls without end, and does not read what it is answered.
    Overloaded,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => write!(f, "broken framing: {error}"),
            Self::TooShort { len } => {
                write!(f, "message of {len} bytes is too short for an xid and a message type")
            }
            Self::UnknownMessageType(kind) => write!(f, "message type {kind} is neither call nor reply"),
            Self::UnexpectedReply { xid } => write!(f, "reply to a call that was never made, xid {xid}"),
            Self::UnexpectedEof => f.write_str("connection ended in the middle of a record"),
            Self::RecordTimeout => f.write_str("peer did not finish a record in time"),
            Self::Idle => f.write_str("connection was idle for too long"),
            Self::WriteTimeout => f.write_str("peer does not read what it is sent"),
            Self::Overloaded => f.write_str("peer calls without end and does not read what it is answered"),
        }
    }
}

impl core::error::Error for ConnectionError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Record(error) => Some(error),
            _ => None,
        }
    }
}

impl From<RecordError> for ConnectionError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}
