//! Calls that are looked at where they lie, and answered without being taken out of the input.

use core::time::Duration;

use bytes::Buf as _;
use xdr_core::Bytes;

use super::server::{CallHeader, Outcome};
use super::{Connection, RecordNotWritten};
use crate::auth::OpaqueAuthRef;
use crate::caller::{Caller, KnownCaller};
use crate::message::{CALL, RPC_VERSION};
use crate::record::MARK;

/// Bytes of a call up to its credential: xid, message type, RPC version, program, version and procedure.
const WORDS: usize = 6 * 4;

/// What is to become of a call that was looked at.
pub(crate) enum Glance {
    /// An answer without results.
    Outcome(Outcome),
    /// Success with these results.
    Results(Bytes),
    /// Its arguments are needed.
    Keep,
}

/// What has become of it.
pub(crate) enum Glanced {
    /// It has its reply: SYSTEM_ERR where the results cannot be sent.
    Answered(Result<(), (u32, RecordNotWritten)>),
    /// It is owed one.
    Kept { xid: u32, args: Bytes },
}

impl Connection {
    /// Looks at the next call, if it lies whole and in one fragment in the input, is well-formed, and comes from the caller
    /// that is known, or from one who has neither a credential nor a verifier: `look` gets no caller then. None where it is
    /// for [`poll_event`](Self::poll_event) to say what comes next.
    #[inline]
    pub(crate) fn glance(
        &mut self,
        now: Duration,
        known: &KnownCaller,
        look: impl FnOnce(CallHeader, Option<&Caller>) -> Glance,
    ) -> Option<Glanced> {
        if !self.expired.is_empty() || self.server.has_deferred() || !self.has_room() {
            return None;
        }
        let unread = self.input.unread();
        let len = self.records.whole_in(unread)?;
        let message = unread.get(MARK..)?.get(..len)?;
        let (words, rest) = message.split_first_chunk::<WORDS>()?;
        let (words, _) = words.as_chunks::<4>();
        let &[xid, kind, rpcvers, program, version, procedure] = words else { return None };
        if u32::from_be_bytes(kind) != CALL || u32::from_be_bytes(rpcvers) != RPC_VERSION {
            return None;
        }
        let (caller, args) = match known.recognize(rest) {
            Some((caller, args)) => (Some(caller), args.len()),
            None => {
                let ((credential, verifier), args) =
                    xdr_core::decode_prefix::<(OpaqueAuthRef<'_>, OpaqueAuthRef<'_>)>(rest).ok()?;
                if !credential.is_none() || !verifier.is_none() {
                    return None;
                }
                (None, args.len())
            }
        };
        let [xid, program, version, procedure] = [xid, program, version, procedure].map(u32::from_be_bytes);
        self.server.called();
        let record = MARK.saturating_add(len);
        let glanced = match look(CallHeader { xid, program, version, procedure, is_without_args: args == 0 }, caller) {
            // Nothing of the input is shared for the sake of no arguments.
            Glance::Keep if args == 0 => {
                self.input.pass(record);
                Glanced::Kept { xid, args: Bytes::new() }
            }
            Glance::Keep => {
                let mut record = self.input.bytes().split_to(record);
                record.advance(record.len().saturating_sub(args));
                Glanced::Kept { xid, args: record.freeze() }
            }
            Glance::Outcome(outcome) => {
                self.input.pass(record);
                self.reply(now, xid, outcome);
                Glanced::Answered(Ok(()))
            }
            Glance::Results(results) => {
                self.input.pass(record);
                Glanced::Answered(self.reply_with(now, xid, &results).map_err(|error| (xid, error)))
            }
        };
        self.record_since = if self.input.is_empty() { None } else { self.last_activity };
        Some(glanced)
    }
}
