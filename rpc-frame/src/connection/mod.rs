//! The engine: bytes and time in, bytes and events out. It serves both roles on one connection.

mod config; // what a connection may cost, and why it is closed
mod input; //  what has come
mod output; // what has to be sent
mod client; // our calls and the replies to them
mod plain; //  replies that are taken where they lie
mod server; // the peer's calls and our replies
#[cfg(feature = "tokio")]
mod glance; // calls that are answered where they lie

use alloc::collections::VecDeque;
use core::time::Duration;

use bytes::Buf as _;
use xdr_core::{Bytes, BytesMut, Encode};

pub use self::client::{ClientConnection, IncomingReply, OutgoingCall};
pub use self::config::{ConnectionConfig, ConnectionError};
#[cfg(feature = "tokio")]
pub(crate) use self::glance::{Glance, Glanced};
use self::input::Input;
use self::output::Output;
pub use self::output::RecordNotWritten;
pub(crate) use self::server::CallHeader;
pub use self::server::{IncomingCall, Malformed, Outcome, ServerConnection};
use crate::auth::OpaqueAuth;
use crate::message::{AcceptStatus, CALL, REPLY};
use crate::record::RecordReader;
use crate::reply::EncodeReply;

/// What a peer must take of our output, in bytes, for its time to begin anew: one that takes a byte now and then
/// holds all that waits behind it.
const PROGRESS: usize = 16 * 1024;

/// Most bytes of room that a connection keeps for input to come, and for output to come.
const KEPT_ROOM: usize = 64 * 1024;

/// A call's record mark, its header with the credential that most calls have, and what else does not count much.
const SENT_OVERHEAD: usize = 64;

/// Whether a oneway call may follow what waits to be sent. One that is alone may always.
pub(crate) const fn room_to_send(unsent: usize, args: usize, max_unsent: usize) -> bool {
    unsent == 0 || unsent.saturating_add(args).saturating_add(SENT_OVERHEAD) <= max_unsent
}

/// What the peer did, or what time did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer calls. It is owed a reply of the same xid.
    Call(IncomingCall),
    /// The peer replies to a call of ours.
    Reply(IncomingReply),
    /// A call of ours was not answered by its deadline. A reply that still comes is passed over.
    DeadlineExceeded {
        /// The call.
        xid: u32,
    },
}

/// One end of a connection, without the connection.
///
/// Put what the peer sent into [`input`](Self::input) and say so with [`handle_input`](Self::handle_input);
/// take events with [`poll_event`](Self::poll_event) until there are none; send
/// [`output`](Self::output) and say how much went with [`advance_output`](Self::advance_output); call
/// [`handle_time`](Self::handle_time) when [`next_timeout`](Self::next_timeout) has come. Times are
/// durations since an epoch of your own. After an error, drop the connection.
///
/// Take up what has come before you let time pass that is overdue: a reply that waited for you is in time.
/// Where handlers run in the thread that reads and writes, set
/// [`max_calls_in_flight`](ConnectionConfig::max_calls_in_flight) to 1 and
/// [`max_unsent`](ConnectionConfig::max_unsent) to 0, and call `handle_time` between a handler's end and its reply:
/// so the engine knows that nobody read meanwhile, and a record that is not whole is not held against the peer.
///
/// Who ends a TCP connection first says that no more is sent (a shutdown of the writing half), and reads on until the peer
/// has ended it as well, or has had the time to: a socket that is closed with something unread in it is reset, and what the
/// peer has not taken of the output is lost. The servers on tokio do so at a shutdown and where a stream has broken, clients
/// when their last clone is gone; whoever breaks a limit on time is cut off.
///
/// ```
/// use core::time::Duration;
/// use rpc_frame::{AcceptStatus, Connection, ConnectionConfig, Event, OpaqueAuth, OutgoingCall, Outcome, ReplyBody};
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let now = Duration::ZERO;
/// let mut client = Connection::new(ConnectionConfig::default());
/// let mut server = Connection::new(ConnectionConfig::default());
///
/// let call = OutgoingCall::new(0x2000_0042, 1, 0);
/// let xid = client.call(now, &call, &(), None)?;
/// server.receive(now, client.output());
/// let Some(Event::Call(call)) = server.poll_event()? else { panic!() };
/// assert_eq!(call.xid, xid);
/// server.reply(now, xid, Outcome::Accepted(AcceptStatus::ProgUnavail));
/// client.receive(now, server.output());
/// let Some(Event::Reply(reply)) = client.poll_event()? else { panic!() };
/// assert!(matches!(reply.body?, ReplyBody::Accepted(accepted) if accepted.status == AcceptStatus::ProgUnavail));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Connection {
    config: ConnectionConfig,
    records: RecordReader,
    input: Input,
    output: Output,
    client: ClientConnection,
    server: ServerConnection,
    expired: VecDeque<u32>,
    /// When the time was last told, if a call was in flight then.
    busy: Option<Duration>,
    /// Somebody means to use the connection again, however long nothing happens on it.
    held: bool,
    /// When the record that is not whole began.
    record_since: Option<Duration>,
    /// None before the connection was told the time.
    last_activity: Option<Duration>,
}

impl Connection {
    /// An end of a new connection.
    #[must_use]
    pub fn new(config: ConnectionConfig) -> Self {
        Self {
            records: RecordReader::new(config.max_record, config.max_empty_fragments),
            input: Input::default(),
            output: Output::new(config.max_record),
            client: ClientConnection::new(&config),
            server: ServerConnection::new(&config),
            expired: VecDeque::new(),
            busy: None,
            held: false,
            record_since: None,
            last_activity: None,
            config,
        }
    }

    /// The buffer to append the peer's bytes to.
    pub fn input(&mut self) -> &mut BytesMut {
        self.input.bytes()
    }

    /// [`input`](Self::input) with room to append to. Where calls in flight hold what came before, two buffers take
    /// turns, so that in the long run nothing is allocated; but no room of more than 64 KiB is kept behind a record that
    /// needed it.
    pub fn input_with_room(&mut self) -> &mut BytesMut {
        self.input.with_room()
    }

    /// Says that bytes were appended to the input.
    pub fn handle_input(&mut self, now: Duration) {
        self.last_activity = Some(now);
        if self.record_since.is_none() && !self.input.is_empty() {
            self.record_since = Some(now);
        }
    }

    /// Appends bytes to the input: [`input`](Self::input) and [`handle_input`](Self::handle_input) in one.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.input.bytes().extend_from_slice(bytes);
        self.handle_input(now);
    }

    /// Says that the peer will send no more. Whole records that have come are still taken.
    ///
    /// # Errors
    /// When it stopped in the middle of a record.
    pub fn handle_eof(&self) -> Result<(), ConnectionError> {
        if self.records.may_end_behind(self.input.unread()) { Ok(()) } else { Err(ConnectionError::UnexpectedEof) }
    }

    /// Forgets what has come and was not taken up, because no more will be: the rest of a record that has
    /// begun is not waited for.
    pub fn discard_input(&mut self) {
        self.input.bytes().clear();
        self.records = RecordReader::new(self.config.max_record, self.config.max_empty_fragments);
        self.record_since = None;
    }

    /// Whether more input is of use now. Without room for calls it can wait with the peer, but for replies to calls of our
    /// own and where the peer may wait for us to read.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.has_room() || self.reads_on()
    }

    /// Whether to read on without room for calls: for replies, and so that two ends which both have much to send do not
    /// both wait until the other has taken it. Replies come to calls that nobody waits for any more as well.
    fn reads_on(&self) -> bool {
        let called_for = || self.output.calls > 0 || self.client.given_up() > 0;
        self.client.in_flight() > 0 || (self.output.bytes.len() > self.config.max_unsent && called_for())
    }

    /// Whether another call of the peer's can be taken up.
    pub(crate) fn has_room(&self) -> bool {
        self.server.has_room() && self.output.bytes.len() <= self.config.max_unsent
    }

    /// The next event, or none until there is more input or room for another call.
    ///
    /// # Errors
    /// When the connection has to be closed.
    pub fn poll_event(&mut self) -> Result<Option<Event>, ConnectionError> {
        if let Some(xid) = self.expired.pop_front() {
            return Ok(Some(Event::DeadlineExceeded { xid }));
        }
        loop {
            if self.input.is_empty() && !self.server.has_deferred() {
                return Ok(None);
            }
            let room = self.has_room();
            if room && let Some(call) = self.server.next_deferred() {
                return Ok(Some(Event::Call(call)));
            }
            // Without calls of our own, the peer's calls may wait in its socket. With them, its replies
            // must not wait behind its calls.
            if !room && !self.reads_on() {
                return Ok(None);
            }
            if let Some(reply) = self.plain_reply() {
                match reply? {
                    Some(reply) => return Ok(Some(Event::Reply(reply))),
                    None => continue,
                }
            }
            let Some(record) = self.records.next_record(self.input.bytes())? else {
                return Ok(None);
            };
            let more = self.records.in_record(self.input.bytes());
            self.record_since = if more { self.last_activity } else { None };
            if let Some(event) = self.message(record, room)? {
                return Ok(Some(event));
            }
        }
    }

    fn message(&mut self, mut record: Bytes, room: bool) -> Result<Option<Event>, ConnectionError> {
        let len = record.len();
        let Ok(((xid, kind), _)) = xdr_core::decode_prefix::<(u32, u32)>(&record) else {
            return Err(ConnectionError::TooShort { len });
        };
        record.advance(8);
        let body = record;
        match kind {
            CALL => {
                let call = IncomingCall::read(xid, body);
                match self.server.take_up(call, room) {
                    Ok(call) => Ok(call.map(Event::Call)),
                    Err(_) if self.output.bytes.len() > self.config.max_unsent => Err(ConnectionError::Overloaded),
                    Err(xid) => {
                        let now = self.last_activity.unwrap_or_default();
                        self.server.reply(&mut self.output, now, xid, Outcome::Accepted(AcceptStatus::SystemErr));
                        Ok(None)
                    }
                }
            }
            REPLY => {
                let reply = self.client.handle_reply(xid, || IncomingReply::read(xid, &body));
                reply.map(|reply| reply.map(Event::Reply))
            }
            kind => Err(ConnectionError::UnknownMessageType(kind)),
        }
    }

    /// Calls the peer and returns the call's xid. The reply comes as an event.
    ///
    /// # Errors
    /// When the arguments have no XDR form, or are too long for a record. Nothing is sent then, nor where their encoder
    /// panics.
    pub fn call<T: Encode + ?Sized>(
        &mut self,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: &T,
        deadline: Option<Duration>,
    ) -> Result<u32, RecordNotWritten> {
        let xid = self.client.call(&mut self.output, now, call, |out| xdr_core::encode_into(args, out), deadline)?;
        self.last_activity = Some(now);
        Ok(xid)
    }

    /// Calls a oneway procedure of the peer's and returns the call's xid, which nothing waits for: a reply that comes
    /// all the same, as where the peer does not have the procedure, is passed over.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn send<T: Encode + ?Sized>(
        &mut self,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: &T,
    ) -> Result<u32, RecordNotWritten> {
        let xid = self.client.send(&mut self.output, now, call, |out| xdr_core::encode_into(args, out))?;
        self.last_activity = Some(now);
        Ok(xid)
    }

    /// Whether a oneway call of ours with so many bytes of arguments should be sent now, or rather when the peer has
    /// taken some of the output.
    ///
    /// What is sent must not fill the output so far that the peer's calls are not taken up any more: two ends that
    /// both send and do not read would wait for each other.
    #[must_use]
    pub fn has_room_to_send(&self, args: usize) -> bool {
        room_to_send(self.output.bytes.len(), args, self.config.max_unsent)
    }

    /// Says whether the connection is kept for later: it is not idle then.
    pub const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// [`call`](Self::call), or [`send`](Self::send) without a deadline to wait for, with arguments that are encoded
    /// already.
    #[cfg(feature = "tokio")]
    pub(crate) fn call_encoded(
        &mut self,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: &[u8],
        awaited: Option<Option<Duration>>,
    ) -> Result<u32, RecordNotWritten> {
        let write = |out: &mut BytesMut| {
            out.extend_from_slice(args);
            Ok(())
        };
        let xid = match awaited {
            Some(deadline) => self.client.call(&mut self.output, now, call, write, deadline)?,
            None => self.client.send(&mut self.output, now, call, write)?,
        };
        self.last_activity = Some(now);
        Ok(xid)
    }

    /// A call of ours that was not answered by its deadline, apart from the other events.
    #[cfg(feature = "tokio")]
    pub(crate) fn poll_expired(&mut self) -> Option<u32> {
        self.expired.pop_front()
    }

    /// The deadline that a call of ours may have reached.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn overdue(&self, now: Duration) -> Option<Duration> {
        self.client.nearest_deadline().filter(|deadline| *deadline <= now)
    }

    /// Whether a call of ours that is in flight has been sent to its last byte.
    ///
    /// One of which the end is missing cannot have run, once the connection has ended and no more is sent.
    ///
    /// ```
    /// use core::time::Duration;
    /// use rpc_frame::{Connection, ConnectionConfig, OutgoingCall};
    ///
    /// let mut client = Connection::new(ConnectionConfig::default());
    /// let xid = client.call(Duration::ZERO, &OutgoingCall::new(0x2000_0042, 1, 0), &(), None).unwrap();
    /// client.advance_output(Duration::ZERO, client.output().len() - 1);
    /// assert!(!client.is_sent(xid));
    /// client.advance_output(Duration::ZERO, 1);
    /// assert!(client.is_sent(xid));
    /// ```
    #[must_use]
    pub fn is_sent(&self, xid: u32) -> bool {
        self.client.is_sent(&self.output, xid)
    }

    /// Gives up on a call of ours. A reply that still comes is passed over.
    pub fn forget(&mut self, xid: u32) {
        self.client.forget(xid);
    }

    /// Answers a call of the peer's without results.
    pub fn reply(&mut self, now: Duration, xid: u32, outcome: Outcome) {
        self.last_activity = Some(now);
        self.server.answered();
        self.server.reply(&mut self.output, now, xid, outcome);
    }

    /// Answers a call of the peer's with its results.
    ///
    /// # Errors
    /// When the results have no XDR form, or are too long for a record. The peer gets SYSTEM_ERR then; so it does where their
    /// encoder panics, and whoever catches that can go on with the connection.
    pub fn reply_with<R: EncodeReply + ?Sized>(
        &mut self,
        now: Duration,
        xid: u32,
        reply: &R,
    ) -> Result<(), RecordNotWritten> {
        self.last_activity = Some(now);
        self.server.answered();
        self.server.reply_with(&mut self.output, now, xid, None, reply)
    }

    /// Answers a call of the peer's with its results, and says something to the caller.
    ///
    /// # Errors
    /// As [`reply_with`](Self::reply_with); also when the verifier is longer than 400 bytes.
    pub fn reply_with_verifier<R: EncodeReply + ?Sized>(
        &mut self,
        now: Duration,
        xid: u32,
        verifier: &OpaqueAuth,
        reply: &R,
    ) -> Result<(), RecordNotWritten> {
        self.last_activity = Some(now);
        self.server.answered();
        let verifier = Some(verifier).filter(|verifier| !verifier.is_none());
        self.server.reply_with(&mut self.output, now, xid, verifier, reply)
    }

    /// Ends a call of the peer's without any reply.
    pub fn leave_unanswered(&mut self) {
        self.server.leave_unanswered();
    }

    /// What has to be sent.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output.bytes
    }

    /// Says that the first `len` bytes of the output have been sent.
    pub fn advance_output(&mut self, now: Duration, len: usize) {
        self.last_activity = Some(now);
        let len = len.min(self.output.bytes.len());
        self.output.sent = self.output.sent.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        if len == self.output.bytes.len() {
            // The room stays for the next replies.
            self.output.bytes.clear();
            self.output.give_back();
            self.output.waiting_since = None;
            self.output.taken = 0;
            self.output.calls = 0;
        } else {
            let _ = self.output.bytes.split_to(len);
            self.output.calls = self.output.calls.saturating_sub(len);
            self.output.taken = self.output.taken.saturating_add(len);
            if self.output.taken >= PROGRESS {
                self.output.waiting_since = Some(now);
                self.output.taken = 0;
            }
        }
    }

    /// When [`handle_time`](Self::handle_time) has to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let record = self.record_since.map(|since| since.saturating_add(self.config.record_timeout));
        let write = self.output.waiting_since.map(|since| since.saturating_add(self.config.write_timeout));
        // It is due at once that a connection is first told the time, and the time at which its last call has ended.
        let idle = self.is_idle().then(|| match (self.last_activity, self.busy) {
            (None, _) => Duration::ZERO,
            (Some(last), Some(busy)) if last <= busy => busy,
            (Some(last), _) => last.saturating_add(self.config.idle_timeout),
        });
        [record, write, idle, self.client.nearest_deadline()].into_iter().flatten().min()
    }

    /// Whether nothing is in flight, half read or unsent: nothing comes due but the end of an idle connection, which
    /// traffic only moves further away.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        self.is_idle()
            && self.record_since.is_none()
            && self.output.waiting_since.is_none()
            && self.busy.is_none()
            && self.expired.is_empty()
            && self.last_activity.is_some()
    }

    /// Whether [`poll_event`](Self::poll_event) has anything to look at.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn has_something(&self) -> bool {
        !self.input.is_empty() || self.server.has_deferred() || !self.expired.is_empty()
    }

    fn is_idle(&self) -> bool {
        !self.held && !self.is_busy()
    }

    fn is_busy(&self) -> bool {
        self.client.in_flight() > 0 || self.server.in_flight() > 0
    }

    /// Lets time pass. Calls that have reached their deadlines become events.
    ///
    /// # Errors
    /// When the peer has let a limit pass, and the connection has to be closed.
    pub fn handle_time(&mut self, now: Duration) -> Result<(), ConnectionError> {
        let passed = |since: Option<Duration>, limit| since.is_some_and(|since| now >= since.saturating_add(limit));
        self.last_activity.get_or_insert(now);
        // A record that waits because we do not read is not the peer's fault.
        let reading = self.wants_input();
        if reading && passed(self.record_since, self.config.record_timeout) {
            return Err(ConnectionError::RecordTimeout);
        }
        if !reading && self.record_since.is_some() {
            self.record_since = Some(now);
        }
        if passed(self.output.waiting_since, self.config.write_timeout) {
            return Err(ConnectionError::WriteTimeout);
        }
        // A call whose deadline passes now was in flight until now.
        if self.is_busy() {
            self.busy = Some(now);
        }
        self.client.expire(now, &mut self.expired);
        // The last call may have ended without a byte since: by its deadline, given up, or without a reply.
        let busy = if self.is_busy() { Some(now) } else { None };
        let before = core::mem::replace(&mut self.busy, busy);
        if busy.is_none() && before.is_some() && self.last_activity <= before {
            self.last_activity = Some(now);
        }
        if self.is_idle() && passed(self.last_activity, self.config.idle_timeout) {
            return Err(ConnectionError::Idle);
        }
        Ok(())
    }

    /// When something last came or went, if anything ever went: the peer may not have taken it yet.
    #[cfg(feature = "tokio")]
    pub(crate) fn in_use_until(&self) -> Option<Duration> {
        self.last_activity.filter(|_| self.output.sent > 0)
    }

    /// How long a peer may take to read what it is sent.
    #[cfg(feature = "tokio")]
    pub(crate) const fn write_timeout(&self) -> Duration {
        self.config.write_timeout
    }

    /// The half that calls.
    #[must_use]
    pub const fn client(&self) -> &ClientConnection {
        &self.client
    }

    /// The half that answers.
    #[must_use]
    pub const fn server(&self) -> &ServerConnection {
        &self.server
    }
}
