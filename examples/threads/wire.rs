//! An engine on its socket: bytes both ways, and time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rpc_frame::{Connection, ConnectionConfig, ConnectionError};

/// Bytes of one read.
const BUFFER: usize = 16 * 1024;

/// A socket's timeout of zero would mean none at all.
const SHORTEST: Duration = Duration::from_millis(1);

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The peer has ended it.
    #[error("peer has ended the connection")]
    ByPeer,
    /// The engine says so.
    #[error(transparent)]
    Protocol(#[from] ConnectionError),
    /// The socket is broken.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An engine and its socket.
pub(crate) struct Wire {
    pub(crate) engine: Connection,
    stream: TcpStream,
    /// What the engine counts time from.
    epoch: Instant,
    buffer: Vec<u8>,
    /// The socket was looked at since time was found to be due.
    looked: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, config: ConnectionConfig) -> io::Result<Self> {
        // Whole records are written, so nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        let engine = Connection::new(config);
        Ok(Self { engine, stream, epoch: Instant::now(), buffer: vec![0; BUFFER], looked: false })
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// How long nothing need be done; without an end where the engine waits for nothing.
    fn left(&self) -> Option<Duration> {
        self.engine.next_timeout().map(|due| due.saturating_sub(self.now()))
    }

    /// Reads once, or lets time pass where it is due. Then there may be events. False at the end of the stream.
    pub(crate) fn read(&mut self) -> Result<bool, Ended> {
        let left = self.left();
        let overdue = left.is_some_and(|left| left.is_zero());
        // This thread may have been elsewhere for long. What has come meanwhile came in time, so it is read first; but
        // once, since a peer that sends a byte now and then must not stop the clock.
        if overdue && self.looked {
            self.looked = false;
            self.engine.handle_time(self.now())?;
            return Ok(true);
        }
        self.looked = overdue;
        self.stream.set_read_timeout(left.map(|left| left.max(SHORTEST)))?;
        let read = self.stream.read(&mut self.buffer);
        let now = self.now();
        match read {
            Ok(0) => return Ok(false),
            Ok(len) => self.engine.receive(now, &self.buffer[..len]),
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Writes all output. A peer that does not take it ends this when the engine has waited long enough.
    pub(crate) fn write(&mut self) -> Result<(), Ended> {
        while !self.engine.output().is_empty() {
            let left = self.left();
            if left.is_some_and(|left| left.is_zero()) {
                self.engine.handle_time(self.now())?;
                continue;
            }
            self.stream.set_write_timeout(left.map(|left| left.max(SHORTEST)))?;
            let written = self.stream.write(self.engine.output());
            let now = self.now();
            match written {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(len) => self.engine.advance_output(now, len),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether it is only a timeout of the socket, which has two names, or a signal.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
