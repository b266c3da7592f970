//! Calls that are looked at where they lie, and answered without being taken out of the input.

use core::time::Duration;

use bytes::Buf as _;
use xdr_core::Bytes;

use super::server::{CallHeader, Outcome};
use super::{Connection, RecordNotWritten};
use crate::auth::OpaqueAuth;
use crate::message::{CALL, CallBodyRef, RPC_VERSION};
use crate::record::MARK;

/// The credential and the verifier of a call that has none.
static NOBODY: OpaqueAuth = OpaqueAuth::none();

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
    /// credential nor a verifier; none where it is for [`poll_event`](Self::poll_event) to say what comes next.
    #[inline]
    pub(crate) fn glance<T>(
        &mut self,
        now: Duration,
        look: impl FnOnce(&CallHeader<'_>) -> Glance<T>,
    ) -> Option<Glanced<T>> {
        if !self.expired.is_empty() || self.server.has_deferred() || !self.has_room() {
            return None;
        }
        let len = self.records.whole_in(&self.input.bytes)?;
        let message = self.input.bytes.get(MARK..)?.get(..len)?;
        let ((xid, CALL, header), args) = xdr_core::decode_prefix::<(u32, u32, CallBodyRef<'_>)>(message).ok()? else {
            return None;
        };
        if header.rpcvers != RPC_VERSION || !header.credential.is_none() || !header.verifier.is_none() {
            return None;
        }
        let args = args.len();
        let header = CallHeader {
            xid,
            program: header.program,
            version: header.version,
            procedure: header.procedure,
            credential: &NOBODY,
            verifier: &NOBODY,
            is_without_args: args == 0,
        };
        self.server.called();
        let glanced = match look(&header) {
            // Nothing of the input is shared for the sake of no arguments.
            Glance::Keep(kept) if args == 0 => {
                self.input.bytes.advance(MARK.saturating_add(len));
                Glanced::Kept { xid, kept, args: Bytes::new() }
            }
            Glance::Keep(kept) => {
                let mut record = self.input.bytes.split_to(MARK.saturating_add(len));
                record.advance(record.len().saturating_sub(args));
                Glanced::Kept { xid, kept, args: record.freeze() }
            }
            Glance::Outcome(outcome) => {
                self.input.bytes.advance(MARK.saturating_add(len));
                self.reply(now, xid, outcome);
                Glanced::Answered(Ok(()))
            }
            Glance::Results(results) => {
                self.input.bytes.advance(MARK.saturating_add(len));
                Glanced::Answered(self.reply_with(now, xid, &results).map_err(|error| (xid, error)))
            }
        };
        self.record_since = if self.input.bytes.is_empty() { None } else { self.last_activity };
        Some(glanced)
    }
}
