//! TCP connections whose peer has gone without a word: its machine, or the network to it.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use ::tokio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};

/// How long a peer, or the network to it, may say nothing at all to a TCP connection of ours: 40 s.
///
/// That is long enough for a network that comes back at once and for a peer that has not read for
/// [`write_timeout`](crate::ConnectionConfig::write_timeout), and short enough for a call with its usual time of 60 s to
/// be made again.
pub const SILENCE: Duration = Duration::from_secs(40);

/// Probes to a peer that has said nothing for half of the time, at equal distances.
const PROBES: u32 = 4;

/// Probes come at whole seconds, and the system takes no more than these.
const SECONDS: RangeInclusive<u64> = 1..=32_767;

/// The first probe, and the answer to it, need their time.
#[cfg(any(target_os = "android", target_os = "linux"))]
const LEAST: Duration = Duration::from_secs(4);

/// Ends a TCP connection of ours whose peer's machine has acknowledged nothing for this long: [`SILENCE`], mostly. Whole
/// seconds count, from 4 to 32,767. Where nothing is under way it may be some seconds less, as probes come at whole
/// seconds, too.
///
/// Without this, one that a call was sent on is given up after some 15 minutes on Linux, and one that rests never. It is
/// the system that asks the other system, so a server that works on a call for hours is not taken for one that is gone.
///
/// - TCP_USER_TIMEOUT is what notices it while something is under way. There is such a thing on Linux and Android; elsewhere
///   only a connection on which nothing is under way is ended early, by keepalive.
/// - A peer that leaves so much unread for so long that its machine takes no more counts as silent there, even though that
///   machine says so. A server of ours does that while all its places for calls are taken and calls beyond them fill the
///   socket; see also [`write_timeout`](crate::ConnectionConfig::write_timeout).
///
/// [`Client::connect_tcp`](super::Client::connect_tcp) does so, and with it
/// [`ReconnectingClient::tcp`](super::ReconnectingClient::tcp); a stream of your own asks for it:
///
/// ```no_run
/// use rpc_frame::tokio::{Client, ReconnectingClient, SILENCE, notice_silence};
///
/// let client = ReconnectingClient::new(|| async {
///     let stream = tokio::net::TcpStream::connect("guests.example:16509").await?;
///     notice_silence(&stream, SILENCE)?;
///     Ok(Client::new(stream))
/// });
/// ```
///
/// # Errors
/// When the system does not take the setting.
pub fn notice_silence(stream: &TcpStream, after: Duration) -> io::Result<()> {
    keep_alive(stream, after)?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    SockRef::from(stream).set_tcp_user_timeout(Some(whole_seconds(after, 1).max(LEAST)))?;
    Ok(())
}

/// Ends a TCP connection on which nothing is under way to a peer whose machine has said nothing for so long.
///
/// It is all that a server needs, which would keep a connection for its own calls without end: what it has under way has its
/// limits otherwise, and a peer may leave unread what its `write_timeout` allows.
pub(super) fn keep_alive(stream: &TcpStream, after: Duration) -> io::Result<()> {
    let probes = TcpKeepalive::new().with_time(whole_seconds(after, 2));
    // The others have these for all connections at once.
    #[cfg(any(
        target_vendor = "apple",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "fuchsia",
        target_os = "illumos",
        target_os = "linux",
        target_os = "netbsd"
    ))]
    let probes = probes.with_interval(whole_seconds(after, PROBES.saturating_mul(2))).with_retries(PROBES);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

fn whole_seconds(time: Duration, parts: u32) -> Duration {
    let seconds = time.as_secs().checked_div(u64::from(parts)).unwrap_or_default();
    Duration::from_secs(seconds.clamp(*SECONDS.start(), *SECONDS.end()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ::tokio::net::TcpListener;

    use super::*;
    use crate::session::Peer;
    use crate::tokio::Listener;
    use crate::tokio::client::open_tcp;

    /// Seconds before the first probe, between two, their number; and the time that is left for what is under way.
    fn settings(stream: &TcpStream) -> (bool, u64, u64, u32, Option<Duration>) {
        let socket = SockRef::from(stream);
        let [first, next] =
            [socket.tcp_keepalive_time(), socket.tcp_keepalive_interval()].map(|time| time.unwrap().as_secs());
        let (on, probes) = (socket.keepalive().unwrap(), socket.tcp_keepalive_retries().unwrap());
        (on, first, next, probes, socket.tcp_user_timeout().unwrap())
    }

    async fn both_ends() -> (TcpStream, TcpStream) {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = open_tcp(listener.local_addr().unwrap()).await.unwrap();
        let (far, peer) = Listener::accept(&mut listener).await.unwrap();
        assert!(matches!(peer, Peer::Tcp(_)));
        (near, far)
    }

    #[::tokio::test]
    async fn both_ends_of_a_tcp_connection_miss_a_silent_peer() {
        let (near, far) = both_ends().await;
        assert_eq!(settings(&near), (true, 20, 5, 4, Some(SILENCE)));
        assert_eq!(settings(&far), (true, 20, 5, 4, None), "its peer may read as slowly as `write_timeout` says");
        assert!(near.nodelay().unwrap() && far.nodelay().unwrap());
    }

    #[::tokio::test]
    async fn times_that_the_system_does_not_know_are_the_nearest_that_it_does() {
        let (near, _far) = both_ends().await;
        let day = Duration::from_secs(24 * 60 * 60);
        for (after, told) in [
            (Duration::ZERO, (true, 1, 1, 4, Some(LEAST))),
            (Duration::from_millis(9999), (true, 4, 1, 4, Some(Duration::from_secs(9)))),
            (day, (true, 32_767, 10_800, 4, Some(Duration::from_secs(32_767)))),
            (Duration::MAX, (true, 32_767, 32_767, 4, Some(Duration::from_secs(32_767)))),
        ] {
            notice_silence(&near, after).unwrap();
            assert_eq!(settings(&near), told, "{after:?}");
        }
    }
}
