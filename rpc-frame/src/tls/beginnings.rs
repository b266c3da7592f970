//! Connections of which nothing is known yet, and how many of them one address may have.

use std::collections::VecDeque;
use std::io;

use ::tokio::task::JoinSet;
use tracing::Level;

use super::TlsError;
use crate::session::Peer;
use crate::tokio::{Listener, LogLimit, PeerLimit, Place};

/// Most beginnings at a time, unless you say otherwise.
pub(super) const BEGINNINGS: usize = 64;

/// What a connection is when it has begun.
pub(super) type Begun<T> = Result<(T, Peer), TlsError>;

/// The beginnings of a listener's connections, which go on side by side. One address has at most as many of the places as
/// are left to all others: one alone half of them, and each that comes then finds one, up to the last. Its further
/// connections wait, in a room of twice as many places that is shared likewise, and what comes then is closed.
#[derive(Debug)]
pub(super) struct Beginnings<IO, T> {
    most: usize,
    shares: PeerLimit,
    /// Each with who it is, as far as is known before.
    begun: JoinSet<(Peer, Begun<T>)>,
    room: PeerLimit,
    /// The first at the front, each with its place in the room.
    waiting: VecDeque<(IO, Peer, Place)>,
    /// What the log has of those that failed, of those that panicked, and of those that were sent away.
    failures: LogLimit,
    panics: LogLimit,
    refusals: LogLimit,
}

impl<IO: Send + 'static, T: Send + 'static> Beginnings<IO, T> {
    /// This many at a time, at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let (shares, room) = (PeerLimit::new(most), PeerLimit::new(most.saturating_mul(2)));
        let failures = LogLimit::new("connections were refused: they did not begin as they have to");
        let panics = LogLimit::new("handshakes were cut off").with_level(Level::ERROR);
        let refusals = LogLimit::new("connections were refused: too many handshakes of their peers were not done");
        Self { most, shares, begun: JoinSet::new(), room, waiting: VecDeque::new(), failures, panics, refusals }
    }

    /// The next connection that has begun as `begin` has it. What is wrong with others is logged, as far as [`LogLimit`]
    /// allows.
    pub(super) async fn next<L, F>(&mut self, listener: &mut L, begin: impl Fn(IO, Peer) -> F) -> io::Result<(T, Peer)>
    where
        L: Listener<Io = IO>,
        F: Future<Output = Begun<T>> + Send + 'static,
    {
        loop {
            ::tokio::select! {
                Some(done) = self.begun.join_next() => {
                    if let Some((io, peer, place)) = self.next_waiting() {
                        self.spawn(begin(io, peer.clone()), peer, place);
                    }
                    match done {
                        Ok((_, Ok(begun))) => return Ok(begun),
                        Ok((peer, Err(error))) => self.failures.line(|left_out| {
                            tracing::warn!(%peer, %error, left_out, "refused a connection");
                        }),
                        Err(error) => self.panics.line(|left_out| {
                            tracing::error!(%error, left_out, "a handshake was cut off");
                        }),
                    }
                },
                accepted = listener.accept(), if self.begun.len() < self.most => {
                    let (io, peer) = accepted?;
                    if let Some(place) = self.shares.place_beside(self.begun.len(), &peer) {
                        self.spawn(begin(io, peer.clone()), peer, place);
                    } else if let Some(place) = self.room.place_beside(self.waiting.len(), &peer) {
                        self.waiting.push_back((io, peer, place));
                    } else {
                        self.refusals.line(|left_out| {
                            let why = "too many of the peer's handshakes are not done";
                            tracing::warn!(%peer, left_out, "refused a connection: {why}");
                        });
                    }
                }
            }
        }
    }

    fn spawn(&mut self, beginning: impl Future<Output = Begun<T>> + Send + 'static, peer: Peer, place: Place) {
        self.begun.spawn(async move {
            let _place = place;
            (peer, beginning.await)
        });
    }

    /// The first that waits and need not any more.
    fn next_waiting(&mut self) -> Option<(IO, Peer, Place)> {
        let mut waiting = self.waiting.iter().enumerate();
        let taken = self.begun.len();
        let (at, place) = waiting.find_map(|(at, (_, peer, _))| Some((at, self.shares.place_beside(taken, peer)?)))?;
        let (io, peer, _) = self.waiting.remove(at)?;
        Some((io, peer, place))
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::time::Duration;
    use std::vec::Vec;

    use ::tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use ::tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;
    use crate::log::Log;

    struct Arriving(UnboundedReceiver<(DuplexStream, Peer)>);

    impl Listener for Arriving {
        type Io = DuplexStream;

        async fn accept(&mut self) -> io::Result<(DuplexStream, Peer)> {
            match self.0.recv().await {
                Some(arrived) => Ok(arrived),
                None => std::future::pending().await,
            }
        }
    }

    /// A listener whose connections begin with one byte; 0 makes it panic.
    struct Door {
        arriving: UnboundedSender<(DuplexStream, Peer)>,
        taken_up: UnboundedReceiver<Peer>,
        begun: UnboundedReceiver<Peer>,
    }

    fn peer(host: u8) -> Peer {
        Peer::Tcp(([192, 0, 2, host], 1).into())
    }

    impl Door {
        fn open(most: usize) -> Self {
            let (arriving, arrived) = unbounded_channel();
            let (taken, taken_up) = unbounded_channel();
            let (done, begun) = unbounded_channel();
            ::tokio::spawn(async move {
                let (mut listener, mut beginnings) = (Arriving(arrived), Beginnings::new(most));
                loop {
                    let begin = |mut io: DuplexStream, peer: Peer| {
                        taken.send(peer.clone()).unwrap();
                        async move {
                            let byte = io.read_u8().await.map_err(TlsError::Io)?;
                            assert_ne!(byte, 0, "as the test wants it");
                            Ok((byte, peer))
                        }
                    };
                    let (_, peer) = beginnings.next(&mut listener, begin).await.unwrap();
                    done.send(peer).unwrap();
                }
            });
            Self { arriving, taken_up, begun }
        }

        /// So many connections that say nothing, and how many of them are taken up.
        async fn silent(&mut self, host: u8, connections: usize) -> (Vec<DuplexStream>, usize) {
            let knock = |_| {
                let (near, far) = duplex(8);
                self.arriving.send((far, peer(host))).unwrap();
                near
            };
            let connections = (0..connections).map(knock).collect();
            settled().await;
            let mut taken_up = 0;
            while let Ok(taken) = self.taken_up.try_recv() {
                taken_up += usize::from(taken == peer(host));
            }
            (connections, taken_up)
        }

        /// Whether a client that is quick begins now.
        async fn lets_in(&mut self, host: u8) -> bool {
            let (mut connection, _) = self.silent(host, 1).await;
            // It may be closed already.
            let _ = connection[0].write_u8(1).await;
            settled().await;
            let begun = self.begun.try_recv();
            if let Ok(begun) = &begun {
                assert_eq!(*begun, peer(host));
            }
            begun.is_ok()
        }
    }

    /// When nobody has anything to do, the clock goes on.
    async fn settled() {
        ::tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn closed(connections: &mut [DuplexStream]) -> usize {
        let mut closed = 0;
        for connection in connections {
            closed += usize::from(::tokio::time::timeout(Duration::from_millis(1), connection.read_u8()).await.is_ok());
        }
        closed
    }

    #[::tokio::test(start_paused = true)]
    async fn an_address_has_no_more_places_than_it_leaves_to_all_others() {
        let mut door = Door::open(64);
        let mut slow = Vec::new();
        for (host, share) in [(1, 32), (2, 16), (3, 8), (4, 4), (5, 2), (6, 1)] {
            let (silent, taken_up) = door.silent(host, 40).await;
            slow.push(silent);
            assert_eq!(taken_up, share, "host {host}");
            assert!(!door.lets_in(host).await, "host {host}");
            assert!(door.lets_in(host + 1).await, "host {}", host + 1);
        }
        // The last place. It is another's when somebody gives up, who has waited for a shorter time.
        let (last, _) = door.silent(7, 1).await;
        assert!(!door.lets_in(8).await);
        drop(last);
        settled().await;
        assert_eq!(door.begun.try_recv(), Ok(peer(8)));
    }

    #[::tokio::test(start_paused = true)]
    async fn a_crowd_is_sent_away_and_leaves_others_the_room_to_wait() {
        let mut door = Door::open(64);
        let (mut crowd, taken_up) = door.silent(1, 200).await;
        assert_eq!((taken_up, closed(&mut crowd).await), (32, 200 - 32 - 64));
        let (mut others, taken_up) = door.silent(2, 16 + 32 + 7).await;
        assert_eq!((taken_up, closed(&mut others).await), (16, 7));
    }

    #[::tokio::test(start_paused = true)]
    async fn a_crowd_and_beginnings_that_fail_do_not_fill_the_log() {
        let (log, _logging) = Log::begin(Level::WARN);
        let mut door = Door::open(64);
        // The 32 places and the room are taken; 104 are sent away, and the others fail.
        drop(door.silent(1, 200).await);
        ::tokio::time::sleep(Duration::from_secs(3)).await;
        for (line, summary, count) in [
            ("refused a connection: too many", "handshakes of their peers", 94),
            ("refused a connection peer", "did not begin", 86),
        ] {
            let (lines, summary) = (log.lines_with(line), log.lines_with(summary));
            assert!(lines.len() == 10 && !lines[9].contains("left_out"), "{lines:?}");
            assert!(summary.len() == 1 && summary[0].ends_with(&format!("left_out={count}")), "{summary:?}");
        }
        assert_eq!(log.lines_with("").len(), 22);
    }

    #[::tokio::test(start_paused = true)]
    async fn beginnings_that_fail_do_not_hide_one_that_panics() {
        let (log, _logging) = Log::begin(Level::WARN);
        let mut door = Door::open(64);
        drop(door.silent(1, 20).await);
        settled().await;
        let (mut connections, _) = door.silent(2, 1).await;
        connections[0].write_u8(0).await.unwrap();
        settled().await;
        let lines = log.lines_with("a handshake was cut off");
        assert!(lines.len() == 1 && lines[0].contains("ERROR") && !lines[0].contains("left_out"), "{lines:?}");
    }

    #[::tokio::test(start_paused = true)]
    async fn one_place_is_shared_by_one_after_the_other() {
        // None would serve nobody.
        for most in [0, 1] {
            let mut door = Door::open(most);
            let (slow, taken_up) = door.silent(1, 3).await;
            assert_eq!(taken_up, 1);
            assert!(!door.lets_in(2).await);
            // Where all places are taken, nobody is asked who it is, and nobody is sent away.
            let (mut others, _) = door.silent(3, 4).await;
            assert_eq!(closed(&mut others).await, 0);
            drop(slow);
            settled().await;
            assert_eq!(door.begun.try_recv(), Ok(peer(2)));
        }
    }
}
