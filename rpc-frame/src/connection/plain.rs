//! Replies as most are, which are taken where they lie.

use bytes::Buf as _;
use xdr_core::Bytes;

use super::{Connection, ConnectionError, IncomingReply};
use crate::auth::OpaqueAuth;
use crate::message::{AcceptStatus, AcceptedReply, REPLY, ReplyBody};
use crate::record::MARK;

/// The words of most replies behind the xid: accepted, an empty verifier, success. The results follow.
const PLAIN: [[u8; 4]; 5] = [REPLY.to_be_bytes(), [0; 4], [0; 4], [0; 4], [0; 4]];

impl IncomingReply {
    /// The results of a call that was accepted and succeeded, with nothing said to its caller.
    fn plain(xid: u32, results: Bytes) -> Self {
        let (verifier, status) = (OpaqueAuth::none(), AcceptStatus::Success);
        Self { xid, body: Ok(ReplyBody::Accepted(AcceptedReply { verifier, status })), results }
    }
}

impl Connection {
    /// Takes a reply as most are, if the next record is one and lies whole and in one fragment in the input: its header is
    /// looked at where it lies. None in it where nobody waits for it.
    pub(super) fn plain_reply(&mut self) -> Option<Result<Option<IncomingReply>, ConnectionError>> {
        let unread = self.input.unread();
        let len = self.records.whole_in(unread)?;
        let message = unread.get(MARK..)?.get(..len)?;
        let (xid, rest) = message.split_first_chunk::<4>()?;
        let results = rest.strip_prefix(PLAIN.as_flattened())?.len();
        let (xid, record) = (u32::from_be_bytes(*xid), MARK.saturating_add(len));
        let input = &mut self.input;
        let reply = self.client.handle_reply(xid, || {
            // Nothing of the input is shared for the sake of no results.
            if results == 0 {
                return IncomingReply::plain(xid, Bytes::new());
            }
            let bytes = input.bytes();
            bytes.advance(record.saturating_sub(results));
            IncomingReply::plain(xid, bytes.split_to(results).freeze())
        });
        if results == 0 || !matches!(reply, Ok(Some(_))) {
            self.input.pass(record);
        }
        self.record_since = if self.input.is_empty() { None } else { self.last_activity };
        Some(reply)
    }
}
