//! How many connections one peer may have.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ::tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Listener, LogLimit, Stream};
use crate::session::Peer;

/// A cap on the connections of one peer, over several listeners: of one certificate, of one user of this machine, of one
/// IPv4 address, or of one IPv6 network of 64 bits, which is the least that anybody is given.
///
/// ```
/// # async fn serve<P: rpc_frame::Programs>(server: rpc_frame::tokio::Server<P>) -> std::io::Result<()> {
/// use rpc_frame::tokio::PeerLimit;
/// let limit = PeerLimit::new(16);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:2049").await?;
/// server.serve(limit.listener(listener)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PeerLimit {
    most: usize,
    /// The places of all peers together, where it is those that are counted.
    of_all: Option<Arc<Semaphore>>,
    open: Arc<Mutex<HashMap<Key, usize>>>,
    /// Refusals in the log.
    refusals: LogLimit,
}

/// Who is counted as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    #[cfg(feature = "tls")]
    Subject(Arc<str>),
    Uid(u32),
    Address(IpAddr),
}

impl Key {
    /// None where nothing is known that tells peers apart.
    fn of(peer: &Peer) -> Option<Self> {
        match peer {
            #[cfg(feature = "tls")]
            Peer::Tls { subject: Some(subject), .. } => Some(Self::Subject(Arc::clone(subject))),
            #[cfg(feature = "tls")]
            Peer::Tls { over, .. } => Self::of(over),
            Peer::Unix { uid, .. } => Some(Self::Uid(*uid)),
            peer => peer.address().map(|address| Self::Address(network(address.ip().to_canonical()))),
        }
    }
}

/// An IPv4 address, or the first 64 bits of one of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

impl PeerLimit {
    /// At most so many connections of each peer at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let refusals = LogLimit::new("connections were refused: their peers had too many");
        Self { most, of_all: None, open: Arc::default(), refusals }
    }

    /// At most so many connections of all peers together at a time, so that what these listeners accept leaves room for the
    /// others of a server. Further connections wait, as those beyond the server's own cap do.
    #[must_use]
    pub fn of_all(most: usize) -> Self {
        Self { of_all: Some(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))), ..Self::new(usize::MAX) }
    }

    /// A listener that closes a connection at once if its peer has as many as it may have, and says so in the log, as
    /// often as [`LogLimit`] allows.
    /// Under a limit [`of_all`](Self::of_all) the connection waits.
    #[must_use]
    pub fn listener<L: Listener>(&self, listener: L) -> LimitedListener<L> {
        LimitedListener { listener, limit: self.clone(), accepted: None }
    }

    /// A place for a connection of this peer; none where it has as many as it may have.
    pub(crate) fn place(&self, peer: &Peer) -> Option<Place> {
        self.place_below(self.most, peer)
    }

    /// A place of so many for all peers together, of which these are taken; none where the peer has as many as are left.
    #[cfg(feature = "tls")]
    pub(crate) fn place_beside(&self, taken: usize, peer: &Peer) -> Option<Place> {
        let left = self.most.saturating_sub(taken);
        if left == 0 { None } else { self.place_below(left, peer) }
    }

    fn place_below(&self, most: usize, peer: &Peer) -> Option<Place> {
        let key = if self.of_all.is_some() { None } else { Key::of(peer) };
        if let Some(key) = &key {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let others = open.get(key).copied().unwrap_or_default();
            if others >= most {
                return None;
            }
            open.insert(key.clone(), others.saturating_add(1));
        }
        Some(Place { key, limit: self.clone() })
    }
}

/// One of the places of a peer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    key: Option<Key>,
    limit: PeerLimit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(key) = &self.key else { return };
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(key);
            }
        }
    }
}

/// A listener under a [`PeerLimit`].
#[derive(Debug)]
pub struct LimitedListener<L: Listener> {
    listener: L,
    limit: PeerLimit,
    /// What waits for a place, also where whoever waited for it has done so in vain.
    accepted: Option<(L::Io, Peer)>,
}

impl<L: Listener> Listener for LimitedListener<L> {
    type Io = LimitedStream<L::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Peer)> {
        loop {
            if self.accepted.is_none() {
                self.accepted = Some(self.listener.accept().await?);
            }
            // It takes its place when it is here: a listener that waits must not keep one from the others.
            let one_of_all = match &self.limit.of_all {
                // It is never closed.
                Some(places) => Arc::clone(places).acquire_owned().await.ok(),
                None => None,
            };
            let Some((io, peer)) = self.accepted.take() else { continue };
            match self.limit.place(&peer) {
                Some(place) => return Ok((LimitedStream { io, _place: place, _one_of_all: one_of_all }, peer)),
                None => self.limit.refusals.line(|left_out| {
                    let most = self.limit.most;
                    tracing::warn!(%peer, most, left_out, "refused a connection: the peer has too many");
                }),
            }
        }
    }

    fn offers_tls(&self) -> bool {
        self.listener.offers_tls()
    }
}

/// A connection that is counted as long as it is open.
#[derive(Debug)]
pub struct LimitedStream<IO> {
    io: IO,
    _place: Place,
    _one_of_all: Option<OwnedSemaphorePermit>,
}

impl<IO: Stream> AsyncRead for LimitedStream<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: Stream> AsyncWrite for LimitedStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_peer_has_as_many_places_as_it_may_have_and_gets_them_back() {
        let limit = PeerLimit::new(2);
        let unix = |uid| Peer::Unix { uid, gid: 0, pid: None };
        let first = limit.place(&unix(7)).unwrap();
        let _second = limit.place(&Peer::Unix { uid: 7, gid: 9, pid: Some(1) }).unwrap();
        assert!(limit.place(&unix(7)).is_none());
        let _other = limit.place(&unix(8)).unwrap();
        drop(first);
        assert!(limit.place(&unix(7)).is_some());
        assert_eq!(limit.open.lock().unwrap().len(), 2);
    }

    #[test]
    fn nothing_is_kept_of_peers_that_have_no_connection() {
        let limit = PeerLimit::new(0);
        assert!((0..9).all(|uid| limit.place(&Peer::Unix { uid, gid: 0, pid: None }).is_none()));
        assert!(limit.open.lock().unwrap().is_empty());
    }

    #[test]
    fn ports_do_not_tell_peers_apart_and_those_that_cannot_be_told_apart_are_not_counted() {
        let limit = PeerLimit::new(1);
        let tcp = |text: &str| Peer::Tcp(text.parse().unwrap());
        let _first = limit.place(&tcp("192.0.2.1:1")).unwrap();
        assert!(limit.place(&tcp("192.0.2.1:2")).is_none());
        assert!(limit.place(&tcp("[::ffff:192.0.2.1]:2")).is_none());
        assert!(limit.place(&tcp("192.0.2.2:1")).is_some());
        let _first = limit.place(&tcp("[2001:db8:0:1::1]:1")).unwrap();
        assert!(limit.place(&tcp("[2001:db8:0:1:ffff::2]:1")).is_none());
        assert!(limit.place(&tcp("[2001:db8:0:2::1]:1")).is_some());
        let unknown: Vec<_> = (0..3).map(|_| limit.place(&Peer::Unknown)).collect();
        assert!(unknown.iter().all(Option::is_some));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_certificate_counts_wherever_it_is_presented() {
        let limit = PeerLimit::new(1);
        let tls = |address: &str, subject: Option<&str>| {
            Peer::Tcp(address.parse().unwrap()).over_tls(subject.map(Into::into))
        };
        let _first = limit.place(&tls("192.0.2.1:1", Some("CN=a"))).unwrap();
        assert!(limit.place(&tls("192.0.2.2:1", Some("CN=a"))).is_none());
        let _second = limit.place(&tls("192.0.2.1:1", Some("CN=b"))).unwrap();
        let _third = limit.place(&tls("192.0.2.1:1", None)).unwrap();
        assert!(limit.place(&Peer::Tcp("192.0.2.1:9".parse().unwrap())).is_none());
    }
}
