//! An engine on its socket: bytes both ways, and time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rpc_frame::{Connection, ConnectionConfig, ConnectionError};

/// Bytes of one read.
const BUFFER: usize = 16 * 1024;

/// A socket's timeout of zero would mean none at all.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a peer is quiet that has nothing more to say.
const QUIET: Duration = Duration::from_secs(2);

/// What a read has led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Came {
    /// There may be events: bytes have come, or time has passed in the engine.
    Something,
    /// Nothing has come in the time that was given.
    Nothing,
    /// The peer sends no more.
    End,
}

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
    /// When a byte last went, if any ever did.
    written: Option<Duration>,
    /// Longest time for the peer to take what is left at the end.
    patience: Duration,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, config: ConnectionConfig) -> io::Result<Self> {
        // Whole records are written, so nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        let (patience, engine) = (config.write_timeout, Connection::new(config));
        let (epoch, buffer) = (Instant::now(), vec![0; BUFFER]);
        Ok(Self { engine, stream, epoch, buffer, looked: false, written: None, patience })
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// How long nothing need be done; without an end where the engine waits for nothing.
    fn left(&self) -> Option<Duration> {
        self.engine.next_timeout().map(|due| due.saturating_sub(self.now()))
    }

    /// Reads once, and waits at most so long; or lets time pass where it is due.
    pub(crate) fn read(&mut self, longest: Option<Duration>) -> Result<Came, Ended> {
        let left = self.left();
        let overdue = left.is_some_and(|left| left.is_zero());
        // This thread may have been elsewhere for long. What has come meanwhile came in time, so it is read first; but
        // once, since a peer that sends a byte now and then must not stop the clock.
        if overdue && self.looked {
            self.looked = false;
            self.engine.handle_time(self.now())?;
            return Ok(Came::Something);
        }
        self.looked = overdue;
        let wait = [left, longest].into_iter().flatten().min();
        self.stream.set_read_timeout(wait.map(|wait| wait.max(SHORTEST)))?;
        let read = self.stream.read(&mut self.buffer);
        let now = self.now();
        match read {
            Ok(0) => return Ok(Came::End),
            Ok(len) => self.engine.receive(now, &self.buffer[..len]),
            Err(error) if is_nothing(&error) => return Ok(Came::Nothing),
            Err(error) => return Err(error.into()),
        }
        Ok(Came::Something)
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
                Ok(len) => {
                    self.engine.advance_output(now, len);
                    self.written = Some(now);
                }
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Ends the connection from this side, when all output is written.
    ///
    /// A socket that is closed with something unread in it, or to which more comes then, is reset, and what the peer has
    /// not taken is lost. So this says that no more is sent, and throws away what still comes, until the peer has ended as
    /// well, or has been quiet for a while, or has had the time to read.
    pub(crate) fn farewell(mut self) {
        // Where nothing was sent, nothing can be lost.
        let Some(mut used) = self.written else { return };
        // The peer may be gone already.
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let at_last = self.now().saturating_add(self.patience);
        loop {
            let left = used.saturating_add(QUIET).min(at_last).saturating_sub(self.now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left.max(SHORTEST))).is_err() {
                return;
            }
            match self.stream.read(&mut self.buffer) {
                Ok(1..) => used = self.now(),
                Err(error) if is_nothing(&error) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// Whether it is only a timeout of the socket, which has two names, or a signal.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
