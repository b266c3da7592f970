//! The half of a connection that calls: xids, deadlines, and replies that find their call.

use alloc::collections::VecDeque;
use core::time::Duration;

use hashbrown::HashMap;
use xdr_core::{Bytes, BytesMut, DecodeError, Encode, EncodeError};

use super::config::ConnectionError;
use super::output::{Output, RecordNotWritten};
use crate::auth::OpaqueAuth;
use crate::message::{CALL, RPC_VERSION, ReplyBody};

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
        let Self { program, version, procedure, credential, verifier } = *self;
        let header = (xid, CALL, RPC_VERSION, program, version, procedure, credential, verifier);
        xdr_core::encode_into(&header, out)?;
        xdr_core::encode_into(args, out)
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

/// The half of a connection that calls.
#[derive(Debug)]
pub struct ClientConnection {
    next_xid: u32,
    /// Calls made so far; saturates.
    issued: u32,
    pending: HashMap<u32, Option<Duration>>,
    nearest_deadline: Option<Duration>,
}

impl ClientConnection {
    pub(super) fn new(first_xid: u32) -> Self {
        Self { next_xid: first_xid, issued: 0, pending: HashMap::new(), nearest_deadline: None }
    }

    /// Calls that have not been answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    pub(super) const fn nearest_deadline(&self) -> Option<Duration> {
        self.nearest_deadline
    }

    pub(super) fn call<T: Encode + ?Sized>(
        &mut self,
        output: &mut Output,
        now: Duration,
        call: &OutgoingCall<'_>,
        args: &T,
        deadline: Option<Duration>,
    ) -> Result<u32, RecordNotWritten> {
        // After 2³² calls the numbers come again; one that is still in flight is passed over.
        while self.pending.contains_key(&self.next_xid) {
            self.next_xid = self.next_xid.wrapping_add(1);
        }
        let xid = self.next_xid;
        output.record(now, |out| call.encode(xid, args, out))?;
        self.next_xid = xid.wrapping_add(1);
        self.issued = self.issued.saturating_add(1);
        self.pending.insert(xid, deadline);
        self.nearest_deadline = [self.nearest_deadline, deadline].into_iter().flatten().min();
        Ok(xid)
    }

    pub(super) fn forget(&mut self, xid: u32) {
        self.pending.remove(&xid);
    }

    /// The reply, if somebody waits for it. One that comes late or twice is passed over; one to a call that
    /// was never made is an error.
    pub(super) fn handle_reply(&mut self, xid: u32, body: Bytes) -> Result<Option<IncomingReply>, ConnectionError> {
        if self.pending.remove(&xid).is_none() {
            let age = self.next_xid.wrapping_sub(xid);
            let was_made = age >= 1 && age <= self.issued;
            return if was_made { Ok(None) } else { Err(ConnectionError::UnexpectedReply { xid }) };
        }
        Ok(Some(IncomingReply::read(xid, &body)))
    }

    pub(super) fn expire(&mut self, now: Duration, expired: &mut VecDeque<u32>) {
        if self.nearest_deadline.is_none_or(|nearest| now < nearest) {
            return;
        }
        self.pending.retain(|xid, deadline| {
            let over = deadline.is_some_and(|deadline| now >= deadline);
            if over {
                expired.push_back(*xid);
            }
            !over
        });
        self.nearest_deadline = self.pending.values().flatten().min().copied();
    }
}
