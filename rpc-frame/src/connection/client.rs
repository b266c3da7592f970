//! The half of a connection that calls: xids, deadlines, and replies that find their call.

use alloc::collections::VecDeque;
use core::time::Duration;

use hashbrown::HashMap;
use xdr_core::{Bytes, BytesMut, DecodeError, Encode, EncodeError};

use super::config::{ConnectionConfig, ConnectionError};
use super::output::{Output, RecordNotWritten};
use crate::auth::OpaqueAuth;
use crate::message::{CALL, RPC_VERSION, ReplyBody};
use crate::record::MARK;

/// A call to be made: all of its header but the xid.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OutgoingCall<'a> {
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number.
    pub procedure: u32,
    /// Who calls.
    pub credential: &'a OpaqueAuth,
    /// What proves it.
    pub verifier: &'a OpaqueAuth,
}

static NOBODY: OpaqueAuth = OpaqueAuth::none();

impl<'a> OutgoingCall<'a> {
    /// A call with AUTH_NONE.
    #[must_use]
    pub fn new(program: u32, version: u32, procedure: u32) -> OutgoingCall<'static> {
        OutgoingCall { program, version, procedure, credential: &NOBODY, verifier: &NOBODY }
    }

    /// Sets who calls.
    #[must_use]
    pub const fn with_credential(self, credential: &'a OpaqueAuth) -> Self {
        Self { credential, ..self }
    }

    /// Appends the whole message.
    pub(crate) fn encode<T: Encode + ?Sized>(&self, xid: u32, args: &T, out: &mut BytesMut) -> Result<(), EncodeError> {
        let [_, words @ ..] = self.front(xid);
        out.extend_from_slice(words.as_flattened());
        self.encode_caller(out)?;
        xdr_core::encode_into(args, out)
    }

    /// Room for the record mark, and the words up to the credential.
    #[inline]
    fn front(&self, xid: u32) -> [[u8; 4]; 7] {
        [0, xid, CALL, RPC_VERSION, self.program, self.version, self.procedure].map(u32::to_be_bytes)
    }

    /// Appends credential and verifier.
    #[inline]
    fn encode_caller(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        if self.credential.is_none() && self.verifier.is_none() {
            // Most calls have neither.
            out.extend_from_slice(&[0; 16]);
            return Ok(());
        }
        xdr_core::encode_into(&(self.credential, self.verifier), out)
    }
}

/// A reply to a call of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncomingReply {
    /// The call.
    pub xid: u32,
    /// How it went, or why the reply cannot be read.
    pub body: Result<ReplyBody, DecodeError>,
    /// What follows: the results of a successful call.
    pub results: Bytes,
}

impl IncomingReply {
    /// Reads what follows the message type.
    pub(crate) fn read(xid: u32, body: &Bytes) -> Self {
        let (read, results) = match xdr_core::decode_prefix::<ReplyBody>(body) {
            Ok((reply, rest)) => (Ok(reply), body.slice_ref(rest)),
            Err(error) => (Err(error), Bytes::new()),
        };
        Self { xid, body: read, results }
    }
}

/// A call in flight.
#[derive(Debug)]
struct Pending {
    deadline: Option<Duration>,
    /// Where its record ends in all that was ever written.
    end: u64,
}

/// The half of a connection that calls.
#[derive(Debug)]
pub struct ClientConnection {
    next_xid: u32,
    /// Calls made so far; saturates.
    issued: u32,
    pending: HashMap<u32, Pending>,
    max_in_flight: usize,
    nearest_deadline: Option<Duration>,
    passed_over: u64,
    /// Calls that nobody waits for any more and whose replies may still come.
    given_up: usize,
}

impl ClientConnection {
    pub(super) fn new(config: &ConnectionConfig) -> Self {
        Self {
            next_xid: config.first_xid,
            issued: 0,
            pending: HashMap::new(),
            max_in_flight: config.max_own_calls_in_flight,
            nearest_deadline: None,
            passed_over: 0,
            given_up: 0,
        }
    }

    /// Calls that have not been answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Replies that nobody waited for: they came late, twice, or to a oneway call.
    #[must_use]
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    pub(super) const fn given_up(&self) -> usize {
        self.given_up
    }

    pub(super) const fn nearest_deadline(&self) -> Option<Duration> {
        self.nearest_deadline
    }

    pub(super) fn call(
        &mut self,
        output: &mut Output,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
        deadline: Option<Duration>,
    ) -> Result<u32, RecordNotWritten> {
        if self.pending.len() >= self.max_in_flight {
            return Err(RecordNotWritten::TooManyCalls { max: self.max_in_flight });
        }
        let xid = self.send(output, now, call, args)?;
        self.pending.insert(xid, Pending { deadline, end: output.end() });
        self.nearest_deadline = [self.nearest_deadline, deadline].into_iter().flatten().min();
        Ok(xid)
    }

    /// Writes a call whose reply nobody will wait for.
    pub(super) fn send(
        &mut self,
        output: &mut Output,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<u32, RecordNotWritten> {
        // After 2³² calls the numbers come again; one that is still in flight is passed over.
        while self.pending.contains_key(&self.next_xid) {
            self.next_xid = self.next_xid.wrapping_add(1);
        }
        let xid = self.next_xid;
        let front = call.front(xid);
        let front = front.as_flattened().first_chunk::<{ 7 * MARK }>().unwrap_or(&[0; 7 * MARK]);
        output.record(now, front, |out| {
            call.encode_caller(out)?;
            args(out)
        })?;
        self.next_xid = xid.wrapping_add(1);
        self.issued = self.issued.saturating_add(1);
        output.calls = output.bytes.len();
        Ok(xid)
    }

    pub(super) fn is_sent(&self, output: &Output, xid: u32) -> bool {
        self.pending.get(&xid).is_some_and(|call| call.end <= output.sent)
    }

    pub(super) fn forget(&mut self, xid: u32) {
        if self.pending.remove(&xid).is_some() {
            self.given_up = self.given_up.saturating_add(1);
        }
    }

    /// The reply, if somebody waits for it. One that comes late, twice or to a oneway call is passed over; one to a
    /// call that was never made is an error.
    pub(super) fn handle_reply(
        &mut self,
        xid: u32,
        reply: impl FnOnce() -> IncomingReply,
    ) -> Result<Option<IncomingReply>, ConnectionError> {
        if self.pending.remove(&xid).is_none() {
            let age = self.next_xid.wrapping_sub(xid);
            let was_made = age >= 1 && age <= self.issued;
            if !was_made {
                return Err(ConnectionError::UnexpectedReply { xid });
            }
            self.passed_over = self.passed_over.saturating_add(1);
            self.given_up = self.given_up.saturating_sub(1);
            return Ok(None);
        }
        Ok(Some(reply()))
    }

    pub(super) fn expire(&mut self, now: Duration, expired: &mut VecDeque<u32>) {
        if self.nearest_deadline.is_none_or(|nearest| now < nearest) {
            return;
        }
        let before = self.pending.len();
        self.pending.retain(|xid, call| {
            let over = call.deadline.is_some_and(|deadline| now >= deadline);
            if over {
                expired.push_back(*xid);
            }
            !over
        });
        self.given_up = self.given_up.saturating_add(before.saturating_sub(self.pending.len()));
        self.nearest_deadline = self.pending.values().filter_map(|call| call.deadline).min();
    }
}
