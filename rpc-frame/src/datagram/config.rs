//! What an engine for datagrams may cost.

use core::time::Duration;

use super::MAX_DATAGRAM;

/// How often a call is sent, and how long its message may be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramClientConfig {
    /// Longest message in bytes, in both directions: [`MAX_DATAGRAM`], which is also the most.
    pub max_datagram: usize,
    /// How long the reply to a call is waited for before it is sent again: 1 s. Doubled each time; at least 1 ms.
    pub first_wait: Duration,
    /// The longest of these times: 16 s.
    pub max_wait: Duration,
    /// How often a call is sent at most: 5 times. With the waits of 1, 2, 4, 8 and 16 s, that gives a call up after
    /// 31 s, if its deadline does not come before. A procedure that takes longer needs more.
    pub max_tries: u32,
    /// Most bytes of oneway calls that may wait to be sent before a further one should wait: 1 MiB.
    pub max_unsent: usize,
    /// The first xid. Give a random one: a server may still know the calls of whoever had the port before.
    pub first_xid: u32,
}

impl Default for DatagramClientConfig {
    fn default() -> Self {
        Self {
            max_datagram: MAX_DATAGRAM,
            first_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(16),
            max_tries: 5,
            max_unsent: 1024 * 1024,
            first_xid: 1,
        }
    }
}

/// What a server's socket for datagrams may cost. All of it is finite unless you say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramServerConfig {
    /// Longest message in bytes, in both directions: [`MAX_DATAGRAM`], which is also the most. A longer call is
    /// dropped; a longer reply becomes SYSTEM_ERR.
    pub max_datagram: usize,
    /// Most calls that are answered at a time, of all peers together: 64. Further ones are dropped, and their clients
    /// send them again. On tokio 65,536 is the most.
    pub max_calls_in_flight: usize,
    /// Most bytes of replies that may wait to be sent, if it is more than one: 8 MiB. Further ones are dropped; those that
    /// are kept are sent when their calls come again.
    pub max_unsent: usize,
    /// Most replies that are kept: 8,192. Where there are more, the oldest of the address that holds most goes, so that
    /// one peer, from all its ports together, cannot push out what is kept for others as long as they hold less.
    pub max_kept: usize,
    /// Most bytes of memory for them: 8 MiB. Where they take more, the oldest of the address whose replies take most
    /// goes; a reply that is longer is not kept.
    pub max_kept_bytes: usize,
    /// How long a reply is kept: 60 s. That is longer than clients send a call again.
    pub keep_for: Duration,
}

impl Default for DatagramServerConfig {
    fn default() -> Self {
        Self {
            max_datagram: MAX_DATAGRAM,
            max_calls_in_flight: 64,
            max_unsent: 8 * 1024 * 1024,
            max_kept: 8192,
            max_kept_bytes: 8 * 1024 * 1024,
            keep_for: Duration::from_secs(60),
        }
    }
}
