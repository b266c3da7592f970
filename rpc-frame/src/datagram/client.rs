//! Our calls, sent again until they are answered or given up.

use alloc::collections::{BTreeSet, VecDeque};
use core::net::SocketAddr;
use core::time::Duration;

use hashbrown::HashMap;
use xdr_core::{Bytes, BytesMut, Encode};

use super::config::DatagramClientConfig;
use super::{MAX_DATAGRAM, Transmit};
use crate::connection::{Event, IncomingReply, OutgoingCall, RecordNotWritten};
use crate::message::REPLY;

/// The shortest wait: one of nothing would send all tries at once.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The calling end of a socket for datagrams, without the socket.
///
/// Give it what comes with [`handle_datagram`](Self::handle_datagram), send what
/// [`poll_transmit`](Self::poll_transmit) gives, take events with [`poll_event`](Self::poll_event), and call
/// [`handle_time`](Self::handle_time) when [`next_timeout`](Self::next_timeout) has come. Times are durations since an
/// epoch of your own. Each call ends with exactly one event, unless it is forgotten before.
///
/// What answers no call is passed over: replies that come late or twice or from another address than the one that was
/// called, calls, and whatever does not decode. So is a reply with a broken header, as if it had been lost; only results
/// that are not of the procedure's type are the caller's to find.
///
/// ```
/// use core::time::Duration;
/// use rpc_frame::{AcceptStatus, DatagramClient, DatagramClientConfig, DatagramServer, DatagramServerConfig};
/// use rpc_frame::{Event, OutgoingCall, Outcome, ReplyBody};
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let (here, there) = ("192.0.2.1:700".parse()?, "192.0.2.2:111".parse()?);
/// let mut client = DatagramClient::new(DatagramClientConfig::default());
/// let mut server = DatagramServer::new(DatagramServerConfig::default());
///
/// let xid = client.call(Duration::ZERO, there, &OutgoingCall::new(0x2000_0042, 1, 0), &(), None)?;
/// let lost = client.poll_transmit().unwrap();
/// client.handle_time(Duration::from_secs(1));
/// let again = client.poll_transmit().unwrap();
/// assert_eq!(lost, again);
///
/// let call = server.handle_datagram(Duration::ZERO, here, &again.datagram).unwrap();
/// server.reply(Duration::ZERO, &call.id, Outcome::Accepted(AcceptStatus::ProgUnavail));
/// client.handle_datagram(there, &server.poll_transmit().unwrap().datagram);
/// let Some(Event::Reply(reply)) = client.poll_event() else { panic!() };
/// assert_eq!(reply.xid, xid);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DatagramClient {
    config: DatagramClientConfig,
    next_xid: u32,
    pending: HashMap<u32, Pending>,
    /// When something becomes due, one entry a call.
    timers: BTreeSet<(Duration, u32)>,
    unsent: VecDeque<Unsent>,
    /// Bytes of oneway calls among them.
    unsent_bytes: usize,
    /// Calls in the queue that were given up, and have not been swept out.
    dead: usize,
    events: VecDeque<Event>,
}

/// What is to be sent.
#[derive(Debug)]
enum Unsent {
    /// A call in flight that is to be sent, or one that was given up.
    Call(u32),
    /// A call that nobody waits for.
    Oneway(Transmit),
}

#[derive(Debug)]
struct Pending {
    to: SocketAddr,
    datagram: Bytes,
    tries: u32,
    wait: Duration,
    deadline: Option<Duration>,
    timer: Duration,
    unsent: bool,
}

impl Pending {
    fn next_timer(&self, now: Duration) -> Duration {
        let again = now.saturating_add(self.wait);
        self.deadline.map_or(again, |deadline| again.min(deadline))
    }
}

impl DatagramClient {
    /// A client without calls.
    #[must_use]
    pub fn new(mut config: DatagramClientConfig) -> Self {
        config.max_datagram = config.max_datagram.min(MAX_DATAGRAM);
        config.max_wait = config.max_wait.max(SHORTEST_WAIT);
        config.first_wait = config.first_wait.clamp(SHORTEST_WAIT, config.max_wait);
        Self {
            next_xid: config.first_xid,
            pending: HashMap::new(),
            timers: BTreeSet::new(),
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            dead: 0,
            events: VecDeque::new(),
            config,
        }
    }

    /// Calls a server and returns the call's xid. The reply comes as an event.
    ///
    /// # Errors
    /// When the arguments have no XDR form, or the message is too long for a datagram. Nothing is sent then.
    pub fn call<T: Encode + ?Sized>(
        &mut self,
        now: Duration,
        to: SocketAddr,
        call: &OutgoingCall<'_>,
        args: &T,
        deadline: Option<Duration>,
    ) -> Result<u32, RecordNotWritten> {
        let (xid, datagram) = self.message(call, args)?;
        let mut pending =
            Pending { to, datagram, tries: 1, wait: self.config.first_wait, deadline, timer: now, unsent: true };
        pending.timer = pending.next_timer(now);
        self.timers.insert((pending.timer, xid));
        self.unsent.push_back(Unsent::Call(xid));
        self.pending.insert(xid, pending);
        Ok(xid)
    }

    /// Calls a oneway procedure and returns the call's xid, which nothing waits for. It is sent once: whether it arrives
    /// is not known. A reply that comes all the same is passed over.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn send<T: Encode + ?Sized>(
        &mut self,
        to: SocketAddr,
        call: &OutgoingCall<'_>,
        args: &T,
    ) -> Result<u32, RecordNotWritten> {
        let (xid, datagram) = self.message(call, args)?;
        self.unsent_bytes = self.unsent_bytes.saturating_add(datagram.len());
        self.unsent.push_back(Unsent::Oneway(Transmit { to, from: None, datagram }));
        Ok(xid)
    }

    /// Whether a oneway call should be sent now, or rather when some of those that wait have been sent. They may exceed
    /// [`max_unsent`](DatagramClientConfig::max_unsent) by one.
    #[must_use]
    pub const fn has_room_to_send(&self) -> bool {
        self.unsent_bytes < self.config.max_unsent || self.unsent_bytes == 0
    }

    /// A call's message, with the next xid.
    fn message<T: Encode + ?Sized>(
        &mut self,
        call: &OutgoingCall<'_>,
        args: &T,
    ) -> Result<(u32, Bytes), RecordNotWritten> {
        // After 2³² calls the numbers come again; one that is still in flight is passed over.
        while self.pending.contains_key(&self.next_xid) {
            self.next_xid = self.next_xid.wrapping_add(1);
        }
        let xid = self.next_xid;
        let mut message = BytesMut::new();
        call.encode(xid, args, &mut message).map_err(RecordNotWritten::Encode)?;
        if message.len() > self.config.max_datagram {
            return Err(RecordNotWritten::TooLong { len: message.len(), max: self.config.max_datagram });
        }
        self.next_xid = xid.wrapping_add(1);
        Ok((xid, message.freeze()))
    }

    /// Gives up on a call. A reply that still comes is passed over.
    pub fn forget(&mut self, xid: u32) {
        if let Some(call) = self.pending.remove(&xid) {
            self.timers.remove(&(call.timer, xid));
            if call.unsent {
                self.dead = self.dead.saturating_add(1);
                self.sweep();
            }
        }
    }

    /// Takes calls that were given up out of the queue when they are more than the rest, so that each costs the same however
    /// many there are.
    fn sweep(&mut self) {
        if self.dead > self.unsent.len() / 2 {
            let Self { unsent, pending, .. } = self;
            unsent.retain(|unsent| match unsent {
                Unsent::Oneway(_) => true,
                Unsent::Call(xid) => pending.get(xid).is_some_and(|call| call.unsent),
            });
            self.dead = 0;
        }
    }

    /// Takes a datagram. One that answers no call is passed over.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let Ok(((xid, REPLY), body)) = xdr_core::decode_prefix::<(u32, u32)>(datagram) else { return };
        let expected = self.pending.get(&xid).is_some_and(|call| is_same(call.to, from));
        if !expected || datagram.len() > self.config.max_datagram {
            return;
        }
        let reply = IncomingReply::read(xid, &Bytes::copy_from_slice(body));
        if reply.body.is_ok() {
            self.forget(xid);
            self.events.push_back(Event::Reply(reply));
        }
    }

    /// The next datagram to be sent. One that the socket does not take may be dropped, as if it had been lost.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(unsent) = self.unsent.pop_front() {
            match unsent {
                Unsent::Oneway(transmit) => {
                    self.unsent_bytes = self.unsent_bytes.saturating_sub(transmit.datagram.len());
                    return Some(transmit);
                }
                Unsent::Call(xid) => {
                    if let Some(call) = self.pending.get_mut(&xid).filter(|call| call.unsent) {
                        call.unsent = false;
                        return Some(Transmit { to: call.to, from: None, datagram: call.datagram.clone() });
                    }
                    self.dead = self.dead.saturating_sub(1);
                }
            }
        }
        None
    }

    /// The next event: a reply, or a call that was given up.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_time`](Self::handle_time) has to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Lets time pass: calls are sent again or given up.
    pub fn handle_time(&mut self, now: Duration) {
        while let Some((at, xid)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            let Some(call) = self.pending.get_mut(&xid) else { continue };
            if call.tries >= self.config.max_tries || call.deadline.is_some_and(|deadline| now >= deadline) {
                self.forget(xid);
                self.events.push_back(Event::DeadlineExceeded { xid });
                continue;
            }
            call.tries = call.tries.saturating_add(1);
            call.wait = call.wait.saturating_mul(2).min(self.config.max_wait);
            call.timer = call.next_timer(now);
            self.timers.insert((call.timer, xid));
            // One that has not been sent for so long counts as one that was lost.
            if !call.unsent {
                call.unsent = true;
                self.unsent.push_back(Unsent::Call(xid));
            }
        }
    }

    /// Calls that have not been answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }
}

/// Whether two addresses are one: IPv4 may be written as IPv6, and flow labels are no part of an address.
fn is_same(called: SocketAddr, from: SocketAddr) -> bool {
    let same_scope = match (called, from) {
        (SocketAddr::V6(called), SocketAddr::V6(from)) => {
            called.scope_id() == 0 || called.scope_id() == from.scope_id()
        }
        _ => true,
    };
    called.port() == from.port() && called.ip().to_canonical() == from.ip().to_canonical() && same_scope
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const CALLS: u32 = 4_000;

    fn server() -> SocketAddr {
        ([192, 0, 2, 1], 111).into()
    }

    /// Calls that nothing has been sent of.
    fn calling(calls: u32) -> DatagramClient {
        let mut client = DatagramClient::new(DatagramClientConfig::default());
        for _ in 0..calls {
            client.call(Duration::ZERO, server(), &OutgoingCall::new(9, 1, 1), &7_u32, None).unwrap();
        }
        client
    }

    #[test]
    fn the_more_calls_wait_the_less_often_are_those_looked_at_that_are_given_up() {
        for order in [|at| at, |at| CALLS - 1 - at, |at| (at * 1_999) % CALLS] {
            let mut client = calling(CALLS);
            let first = client.config.first_xid;
            let mut looked_at = 0;
            for at in 0..CALLS {
                let before = client.unsent.len();
                client.forget(first.wrapping_add(order(at)));
                if client.unsent.len() < before {
                    looked_at += before;
                }
                assert!(client.unsent.len() <= 2 * (CALLS - 1 - at) as usize, "as many as are given up");
            }
            assert!(looked_at <= 4 * CALLS as usize, "{looked_at}");
            assert_eq!((client.unsent.len(), client.timers.len(), client.dead), (0, 0, 0));
        }
    }

    #[test]
    fn what_is_given_up_is_not_sent_nor_is_another_call_of_its_xid_sent_twice() {
        let mut client = calling(5);
        let first = client.config.first_xid;
        client.forget(first);
        // After 2³² calls.
        client.next_xid = first;
        client.call(Duration::ZERO, server(), &OutgoingCall::new(9, 1, 1), &8_u32, None).unwrap();
        let xid = |sent: &Transmit| u32::from_be_bytes(*sent.datagram.first_chunk().unwrap());
        let sent: Vec<_> = core::iter::from_fn(|| client.poll_transmit()).map(|sent| xid(&sent)).collect();
        assert_eq!(sent, [0, 1, 2, 3, 4].map(|more| first.wrapping_add(more)));
        assert_eq!(client.dead, 0);
    }
}
