//! The half of a connection that answers: calls in flight, and replies without and with results.

use alloc::collections::VecDeque;
use core::mem;
use core::time::Duration;

use bytes::Buf as _;
use xdr_core::Bytes;

use super::config::ConnectionConfig;
use super::output::{Output, RecordNotWritten};
use crate::auth::{OpaqueAuth, OpaqueAuthRef};
use crate::counters::CallCounters;
use crate::message::{
    AcceptStatus, AcceptedReply, CallBody, CallBodyRef, REPLY, RPC_VERSION, RejectedReply, ReplyBody,
};
use crate::record::MARK;
use crate::reply::{EncodeReply, ReplyEncoder};

/// What precedes the results of a successful reply with an empty verifier, with room for the record mark: seven words.
#[inline]
fn success(xid: u32) -> [u8; 7 * 4] {
    let mut front = [0; 7 * 4];
    if let ([_, place, kind, ..], _) = front.as_chunks_mut() {
        *place = xid.to_be_bytes();
        *kind = REPLY.to_be_bytes();
    }
    front
}

/// A call of the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncomingCall {
    /// The transaction; its reply carries the same.
    pub xid: u32,
    /// What is called and by whom, or what is wrong with that.
    pub header: Result<CallBody, Malformed>,
    /// The arguments.
    pub args: Bytes,
}

/// What a call is for, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct CallHeader {
    pub(crate) xid: u32,
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) procedure: u32,
    pub(crate) is_without_args: bool,
}

/// The first thing that is wrong with a call's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It ends before program, version and procedure do.
    Header,
    /// It is of another version of RPC.
    RpcVersion(u32),
    /// Its credential does not decode or is longer than 400 bytes.
    Credential,
    /// Its verifier does not decode or is longer than 400 bytes.
    Verifier,
}

impl IncomingCall {
    /// Reads what follows the message type.
    pub(crate) fn read(xid: u32, mut body: Bytes) -> Self {
        // A header of another RPC version may look otherwise behind its version.
        let read = xdr_core::decode_prefix::<CallBodyRef<'_>>(&body);
        let (header, args) = match read {
            Ok((header, args)) if header.rpcvers == RPC_VERSION => (
                CallBody {
                    rpcvers: header.rpcvers,
                    program: header.program,
                    version: header.version,
                    procedure: header.procedure,
                    credential: header.credential.owned_in(&body),
                    verifier: header.verifier.owned_in(&body),
                },
                args.len(),
            ),
            _ => return Self { xid, header: Err(malformed(&body)), args: Bytes::new() },
        };
        body.advance(body.len().saturating_sub(args));
        Self { xid, header: Ok(header), args: body }
    }

    /// The call apart from the buffer that it came in, which may hold much more.
    fn copied(mut self) -> Self {
        if let Ok(header) = &mut self.header {
            header.credential.body = Bytes::copy_from_slice(&header.credential.body);
            header.verifier.body = Bytes::copy_from_slice(&header.verifier.body);
        }
        self.args = Bytes::copy_from_slice(&self.args);
        self
    }
}

/// The first thing that is wrong with a header which does not decode.
#[cold]
fn malformed(body: &[u8]) -> Malformed {
    let Ok((rpcvers, rest)) = xdr_core::decode_prefix::<u32>(body) else { return Malformed::Header };
    if rpcvers != RPC_VERSION {
        return Malformed::RpcVersion(rpcvers);
    }
    let Ok((_, rest)) = xdr_core::decode_prefix::<(u32, u32, u32)>(rest) else { return Malformed::Header };
    match xdr_core::decode_prefix::<OpaqueAuthRef<'_>>(rest) {
        Ok(_) => Malformed::Verifier,
        Err(_) => Malformed::Credential,
    }
}

/// An answer without results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call was looked at.
    Accepted(AcceptStatus),
    /// The call was not looked at.
    Denied(RejectedReply),
}

impl Outcome {
    pub(crate) const fn body(self) -> ReplyBody {
        match self {
            Self::Accepted(status) => ReplyBody::Accepted(AcceptedReply { verifier: OpaqueAuth::none(), status }),
            Self::Denied(rejected) => ReplyBody::Denied(rejected),
        }
    }
}

/// The half of a connection that answers.
#[derive(Debug)]
pub struct ServerConnection {
    counters: CallCounters,
    in_flight: usize,
    max_in_flight: usize,
    /// Calls that were read on the way to a reply and wait for room.
    deferred: VecDeque<IncomingCall>,
    deferred_bytes: usize,
    max_deferred_bytes: usize,
}

impl ServerConnection {
    pub(super) fn new(config: &ConnectionConfig) -> Self {
        Self {
            counters: CallCounters::default(),
            in_flight: 0,
            max_in_flight: config.max_calls_in_flight,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            max_deferred_bytes: config.max_record,
        }
    }

    /// Calls that have been handed out and not answered.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many calls came, and to what end.
    #[must_use]
    pub const fn counters(&self) -> CallCounters {
        self.counters
    }

    pub(super) const fn has_room(&self) -> bool {
        self.in_flight < self.max_in_flight
    }

    /// Takes up a call, or puts it aside where there is no room. The xid comes back where there is no room aside either.
    pub(super) fn take_up(&mut self, call: IncomingCall, room: bool) -> Result<Option<IncomingCall>, u32> {
        if room {
            self.called();
            return Ok(Some(call));
        }
        let cost = cost(&call);
        if self.deferred_bytes.saturating_add(cost) > self.max_deferred_bytes {
            self.counters.called();
            return Err(call.xid);
        }
        self.deferred_bytes = self.deferred_bytes.saturating_add(cost);
        self.deferred.push_back(call.copied());
        Ok(None)
    }

    pub(super) fn next_deferred(&mut self) -> Option<IncomingCall> {
        let call = self.deferred.pop_front()?;
        self.deferred_bytes = self.deferred_bytes.saturating_sub(cost(&call));
        self.called();
        Some(call)
    }

    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Counts a call that is taken up.
    pub(super) const fn called(&mut self) {
        self.counters.called();
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub(super) const fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) const fn leave_unanswered(&mut self) {
        self.counters.leave();
        self.answered();
    }

    pub(super) fn reply(&mut self, output: &mut Output, now: Duration, xid: u32, outcome: Outcome) {
        // A reply without results has no bound that it could exceed, and fits every record.
        if outcome == Outcome::Accepted(AcceptStatus::Success) {
            self.counters.succeed();
            let _ = output.record(now, &success(xid), |_| Ok(()));
            return;
        }
        self.counters.refuse(outcome);
        let body = outcome.body();
        let _ = output.record(now, &[0; MARK], |out| xdr_core::encode_into(&(xid, REPLY, body), out));
    }

    pub(super) fn reply_with<R: EncodeReply + ?Sized>(
        &mut self,
        output: &mut Output,
        now: Duration,
        xid: u32,
        verifier: Option<&OpaqueAuth>,
        reply: &R,
    ) -> Result<(), RecordNotWritten> {
        let owed = Owed { server: self, output, now, xid };
        let written = match verifier {
            None => owed.output.record(now, &success(xid), |out| reply.encode_reply(&mut ReplyEncoder::new(out))),
            Some(verifier) => owed.output.record(now, &[0; MARK], |out| {
                let status = AcceptStatus::Success;
                let body = ReplyBody::Accepted(AcceptedReply { verifier: verifier.clone(), status });
                xdr_core::encode_into(&(xid, REPLY, body), out)?;
                reply.encode_reply(&mut ReplyEncoder::new(out))
            }),
        };
        if written.is_ok() {
            owed.server.counters.succeed();
            mem::forget(owed);
        }
        written
    }
}

/// A call that is owed a reply. Dropped, it gets SYSTEM_ERR: also where the reply's encoder panics.
struct Owed<'a> {
    server: &'a mut ServerConnection,
    output: &'a mut Output,
    now: Duration,
    xid: u32,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.server.reply(self.output, self.now, self.xid, Outcome::Accepted(AcceptStatus::SystemErr));
    }
}

fn cost(call: &IncomingCall) -> usize {
    let header = call
        .header
        .as_ref()
        .map_or(0, |header| header.credential.body.len().saturating_add(header.verifier.body.len()));
    call.args.len().saturating_add(header).saturating_add(size_of::<IncomingCall>())
}
