//! The peers' calls, and our replies.

use alloc::collections::VecDeque;
use core::hash::BuildHasher;
use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hashbrown::DefaultHashBuilder;
use xdr_core::{Bytes, BytesMut};

use super::cache::{CallId, Known, ReplyCache};
use super::config::DatagramServerConfig;
use super::{MAX_DATAGRAM, Transmit};
use crate::auth::OpaqueAuth;
use crate::connection::{IncomingCall, Malformed, Outcome, RecordNotWritten};
use crate::counters::CallCounters;
use crate::message::{AcceptStatus, AcceptedReply, CALL, REPLY, ReplyBody};
use crate::reply::{EncodeReply, ReplyEncoder};

/// The length of the reply RPC_MISMATCH.
const MISMATCH_BYTES: usize = 24;

/// A call that has to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramCall {
    /// What its reply is given back with.
    pub id: CallId,
    /// The call.
    pub call: IncomingCall,
}

/// The answering end of a socket for datagrams, without the socket.
///
/// Give it what comes with [`handle_datagram`](Self::handle_datagram), answer each call that this returns exactly once,
/// and send what [`poll_transmit`](Self::poll_transmit) gives. [`handle_time`](Self::handle_time) only frees memory.
/// Times are durations since an epoch of your own.
///
/// A call that comes again while it is in progress is dropped; one that was answered gets the same reply as before, as
/// long as that is kept. Nobody else's datagrams are answered: neither replies, which two servers could send each
/// other for ever, nor what is not the header of a call. (The answer RPC_MISMATCH, to another RPC version, is never
/// longer than what it answers.)
#[derive(Debug)]
pub struct DatagramServer<S = DefaultHashBuilder> {
    config: DatagramServerConfig,
    counters: CallCounters,
    cache: ReplyCache<S>,
    in_flight: usize,
    unsent: VecDeque<Transmit>,
    unsent_bytes: usize,
    /// Where replies are encoded, so that what is kept of them has no room to spare.
    scratch: BytesMut,
}

impl DatagramServer {
    /// A server without calls.
    #[must_use]
    pub fn new(config: DatagramServerConfig) -> Self {
        Self::with_hasher(config, DefaultHashBuilder::default())
    }
}

impl<S: BuildHasher> DatagramServer<S> {
    /// A server without calls. The hasher should be keyed, so that nobody can make two calls look the same.
    #[must_use]
    pub fn with_hasher(mut config: DatagramServerConfig, hasher: S) -> Self {
        config.max_datagram = config.max_datagram.min(MAX_DATAGRAM);
        Self {
            counters: CallCounters::default(),
            cache: ReplyCache::new(&config, hasher),
            in_flight: 0,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            scratch: BytesMut::new(),
            config,
        }
    }

    /// Takes a datagram. Returns the call to be answered, if it is a new one and there is room for it.
    pub fn handle_datagram(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) -> Option<DatagramCall> {
        self.handle_datagram_to(now, from, None, datagram)
    }

    /// [`handle_datagram`](Self::handle_datagram) for a socket with several addresses: it is answered from that which the
    /// datagram came `to`.
    pub fn handle_datagram_to(
        &mut self,
        now: Duration,
        from: SocketAddr,
        to: Option<IpAddr>,
        datagram: &[u8],
    ) -> Option<DatagramCall> {
        self.cache.expire(now);
        // Nothing can be sent to port 0.
        if datagram.len() > self.config.max_datagram || from.port() == 0 {
            return None;
        }
        let (xid, body) = xdr_core::decode_prefix::<u32>(datagram).ok()?;
        let Ok((CALL, message)) = xdr_core::decode_prefix::<u32>(body) else { return None };
        let id = self.cache.identify(unlabelled(from), to, xid, body);
        match self.cache.find(&id) {
            Some(Known::InProgress | Known::Answered(None)) => return None,
            Some(Known::Answered(Some(reply))) => {
                let reply = reply.clone();
                self.transmit(from, to, reply);
                return None;
            }
            None if self.in_flight >= self.config.max_calls_in_flight => return None,
            None => {}
        }
        let call = IncomingCall::read(xid, Bytes::copy_from_slice(message));
        match call.header {
            Ok(_) => {}
            Err(Malformed::RpcVersion(_)) if datagram.len() >= MISMATCH_BYTES => {}
            Err(_) => return None,
        }
        self.cache.begin(id);
        self.counters.called();
        self.in_flight = self.in_flight.saturating_add(1);
        Some(DatagramCall { id, call })
    }

    /// Says that the reply to a call needs no keeping, because answering it again changes nothing. To be called before
    /// the call is answered.
    ///
    /// Without this, calls that never reach a handler could push the replies of those that did out of the cache.
    pub fn forget(&mut self, id: &CallId) {
        self.cache.forget(id);
    }

    /// Answers a call without results.
    pub fn reply(&mut self, now: Duration, id: &CallId, outcome: Outcome) {
        self.counters.refuse(outcome);
        self.scratch.clear();
        // A reply without results has no bound that it could exceed, and fits every datagram.
        let _ = xdr_core::encode_into(&(id.xid(), REPLY, outcome.body()), &mut self.scratch);
        self.finish(now, id);
    }

    /// Answers a call with its results.
    ///
    /// # Errors
    /// When the results have no XDR form, or are too long for a datagram. The peer gets SYSTEM_ERR then, and where their
    /// encoder panics.
    pub fn reply_with<R: EncodeReply + ?Sized>(
        &mut self,
        now: Duration,
        id: &CallId,
        reply: &R,
    ) -> Result<(), RecordNotWritten> {
        self.reply_with_verifier(now, id, &OpaqueAuth::none(), reply)
    }

    /// Answers a call with its results, and says something to the caller.
    ///
    /// # Errors
    /// As [`reply_with`](Self::reply_with); also when the verifier is longer than 400 bytes.
    pub fn reply_with_verifier<R: EncodeReply + ?Sized>(
        &mut self,
        now: Duration,
        id: &CallId,
        verifier: &OpaqueAuth,
        reply: &R,
    ) -> Result<(), RecordNotWritten> {
        let owed = Owed { server: self, now, id };
        let (scratch, max) = (&mut owed.server.scratch, owed.server.config.max_datagram);
        scratch.clear();
        let accepted = AcceptedReply { verifier: verifier.clone(), status: AcceptStatus::Success };
        let header = (id.xid(), REPLY, ReplyBody::Accepted(accepted));
        xdr_core::encode_into(&header, scratch)
            .and_then(|()| reply.encode_reply(&mut ReplyEncoder::new(scratch)))
            .map_err(RecordNotWritten::Encode)?;
        let len = scratch.len();
        if len > max {
            return Err(RecordNotWritten::TooLong { len, max });
        }
        mem::forget(owed);
        self.counters.succeed();
        self.finish(now, id);
        Ok(())
    }

    /// Ends a call without any reply. The same call again is dropped, as long as it is remembered.
    pub fn leave_unanswered(&mut self, now: Duration, id: &CallId) {
        self.counters.leave();
        self.in_flight = self.in_flight.saturating_sub(1);
        self.cache.answer(now, id, None);
    }

    /// Sends and keeps what has been encoded.
    fn finish(&mut self, now: Duration, id: &CallId) {
        let reply = Bytes::copy_from_slice(&self.scratch);
        if self.scratch.capacity() > MAX_DATAGRAM.saturating_mul(2) {
            self.scratch = BytesMut::new();
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.cache.answer(now, id, Some(&reply));
        self.transmit(id.peer(), id.to(), reply);
    }

    fn transmit(&mut self, to: SocketAddr, from: Option<IpAddr>, datagram: Bytes) {
        let bytes = self.unsent_bytes.saturating_add(cost(&datagram));
        if bytes <= self.config.max_unsent || self.unsent.is_empty() {
            self.unsent_bytes = bytes;
            self.unsent.push_back(Transmit { to, from, datagram });
        }
    }

    /// The next datagram to be sent. One that the socket does not take may be dropped, as if it had been lost.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.unsent.pop_front()?;
        self.unsent_bytes = self.unsent_bytes.saturating_sub(cost(&transmit.datagram));
        Some(transmit)
    }

    /// Whether something is to be sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// When [`handle_time`](Self::handle_time) frees memory.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.cache.next_expiry()
    }

    /// Lets time pass: replies that have been kept for long enough are dropped.
    pub fn handle_time(&mut self, now: Duration) {
        self.cache.expire(now);
    }

    /// Calls that have been handed out and not answered.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many calls came, and to what end. One that comes again and is known counts once; what was dropped does not.
    #[must_use]
    pub const fn counters(&self) -> CallCounters {
        self.counters
    }

    /// Replies that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.cache.kept()
    }
}

/// A call that is owed a reply. Dropped, it gets SYSTEM_ERR: also where the reply's encoder panics.
struct Owed<'a, H: BuildHasher> {
    server: &'a mut DatagramServer<H>,
    now: Duration,
    id: &'a CallId,
}

impl<H: BuildHasher> Drop for Owed<'_, H> {
    fn drop(&mut self) {
        self.server.reply(self.now, self.id, Outcome::Accepted(AcceptStatus::SystemErr));
    }
}

/// What a reply in the queue takes.
fn cost(datagram: &Bytes) -> usize {
    datagram.len().saturating_add(size_of::<Transmit>())
}

/// The address without IPv6's flow label, which may change from one datagram to the next.
const fn unlabelled(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(address) = &mut address {
        address.set_flowinfo(0);
    }
    address
}
