//! Calls that are looked at where they lie, and answered without being taken out of the input.

use core::time::Duration;

use bytes::Buf as _;
use xdr_core::Bytes;

use super::server::Outcome;
use super::{Connection, RecordNotWritten};
use crate::auth::{OpaqueAuth, OpaqueAuthRef};
use crate::message::{CALL, CallBody, CallBodyRef, RPC_VERSION};
use crate::record::MARK;

/// What is to become of a call that was looked at.
pub(crate) enum Glance<T> {
    /// An answer without results.
    Outcome(Outcome),
    /// Success with these results.
    Results(Bytes),
    /// Its arguments are needed, together with this.
    Keep(T),
}

/// What has become of it.
pub(crate) enum Glanced<T> {
    /// It has its reply: SYSTEM_ERR where the results cannot be sent.
    Answered(Result<(), (u32, RecordNotWritten)>),
    /// It is owed one.
    Kept { xid: u32, kept: T, args: Bytes },
}

impl Connection {
    /// Looks at the next call, if it lies whole and in one fragment in the input, is well-formed, and has neither a
    /// credential nor a verifier to speak of; none where it is for [`poll_event`](Self::poll_event) to say what comes next.
    ///
    /// `look` is given its xid, its header, and whether it has no arguments.
    #[inline]
    pub(crate) fn glance<T>(
        &mut self,
        now: Duration,
        look: impl FnOnce(u32, &CallBody, bool) -> Glance<T>,
    ) -> Option<Glanced<T>> {
        if !self.expired.is_empty() || self.server.has_deferred() || !self.has_room() {
            return None;
        }
        let len = self.records.whole_in(&self.input)?;
        let message = self.input.get(MARK..)?.get(..len)?;
        let ((xid, CALL, header), args) = xdr_core::decode_prefix::<(u32, u32, CallBodyRef<'_>)>(message).ok()? else {
            return None;
        };
        if header.rpcvers != RPC_VERSION || !header.credential.body.is_empty() || !header.verifier.body.is_empty() {
            return None;
        }
        let args = args.len();
        let bodiless = |auth: OpaqueAuthRef<'_>| OpaqueAuth { flavor: auth.flavor, body: Bytes::new() };
        let header = CallBody {
            rpcvers: header.rpcvers,
            program: header.program,
            version: header.version,
            procedure: header.procedure,
            credential: bodiless(header.credential),
            verifier: bodiless(header.verifier),
        };
        self.server.called();
        let glanced = match look(xid, &header, args == 0) {
            Glance::Keep(kept) => {
                let mut record = self.input.split_to(MARK.saturating_add(len));
                record.advance(record.len().saturating_sub(args));
                Glanced::Kept { xid, kept, args: record.freeze() }
            }
            Glance::Outcome(outcome) => {
                self.input.advance(MARK.saturating_add(len));
                self.reply(now, xid, outcome);
                Glanced::Answered(Ok(()))
            }
            Glance::Results(results) => {
                self.input.advance(MARK.saturating_add(len));
                Glanced::Answered(self.reply_with(now, xid, &results).map_err(|error| (xid, error)))
            }
        };
        self.record_since = if self.input.is_empty() { None } else { self.last_activity };
        Some(glanced)
    }
}
