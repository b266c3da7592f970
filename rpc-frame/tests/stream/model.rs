//! What must be true of an end, apart from what its engine says: it looks at the bytes, and remembers what was asked for.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use rpc_frame::xdr::{self, Xdr};
use rpc_frame::{
    AcceptStatus, CallCounters, Connection, ConnectionConfig, ConnectionError, IncomingReply, RecordError, ReplyBody,
};

/// The arguments and the results of every call. They name the call.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub(crate) struct Load {
    pub(crate) caller: u32,
    pub(crate) number: u32,
    #[xdr(max = 4096)]
    pub(crate) bytes: Vec<u8>,
}

impl Load {
    pub(crate) fn new(caller: u32, number: u32, len: usize) -> Self {
        Self { caller, number, bytes: vec![number as u8; len] }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Replied(AcceptStatus),
    DeadlineExceeded,
    Forgotten,
    NotSent,
    Lost,
}

/// A call of the end's.
#[derive(Debug)]
struct Made {
    deadline: Option<Duration>,
    ended: Option<Ended>,
}

/// What a record is that waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Send,
    Reply,
}

/// Bytes of a mark, and of a reply without results.
const MARK: usize = 4;
const SHORT_REPLY: usize = MARK + 24;
/// The bytes that an end must be rid of for its time to begin anew.
const PROGRESS: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Model {
    /// Which end it is.
    pub(crate) index: u32,
    config: ConnectionConfig,
    made: BTreeMap<u32, Made>,
    numbers: HashMap<u32, u32>,
    /// How each call of the peer's was answered that was taken up.
    answered: BTreeMap<u32, Option<AcceptStatus>>,
    /// Calls that the engine refused for want of room.
    refused: u64,
    unanswered: u64,
    /// Calls that were taken up and have no answer yet.
    pub(crate) outstanding: usize,
    /// Of those, how many there were at the end.
    pub(crate) cut_off: usize,

    /// Records that are not wholly sent, and where each ends in the stream.
    unsent: VecDeque<(usize, Kind)>,
    written: usize,
    sent: usize,
    /// What was sent when, since nothing waited to be sent.
    progress: VecDeque<(Duration, usize)>,
    last_empty: Duration,

    /// What has come of a record that is not whole, and since when.
    partial: Vec<u8>,
    partial_since: Duration,
    /// When input was last not wanted.
    unwanted: Option<Duration>,
    replies: HashSet<u32>,
    last_byte: Duration,
    last_activity: Duration,
    /// When a call was last in flight, here or there.
    last_busy: Duration,
    busy: bool,
}

impl Model {
    pub(crate) fn new(index: u32, config: &ConnectionConfig) -> Self {
        Self {
            index,
            config: config.clone(),
            made: BTreeMap::new(),
            numbers: HashMap::new(),
            answered: BTreeMap::new(),
            refused: 0,
            unanswered: 0,
            outstanding: 0,
            cut_off: 0,
            unsent: VecDeque::new(),
            written: 0,
            sent: 0,
            progress: VecDeque::new(),
            last_empty: Duration::ZERO,
            partial: Vec::new(),
            partial_since: Duration::ZERO,
            unwanted: None,
            replies: HashSet::new(),
            last_byte: Duration::ZERO,
            last_activity: Duration::ZERO,
            last_busy: Duration::ZERO,
            busy: false,
        }
    }

    // ---- calls of the end's ----

    pub(crate) fn made(&mut self, number: u32, xid: u32, deadline: Option<Duration>) {
        assert_eq!(self.numbers.insert(xid, number), None, "an xid for each call");
        self.made.insert(number, Made { deadline, ended: None });
    }

    pub(crate) fn not_sent(&mut self, number: u32) {
        self.made.insert(number, Made { deadline: None, ended: Some(Ended::NotSent) });
    }

    fn end(&mut self, xid: u32, how: Ended) -> &Made {
        let number = self.numbers[&xid];
        let call = self.made.get_mut(&number).expect("a call that waits for its reply");
        assert_eq!(call.ended, None, "call {number} ends a second time: {how:?}");
        call.ended = Some(how);
        call
    }

    pub(crate) fn replied(&mut self, reply: &IncomingReply) {
        let body = reply.body.as_ref().expect("a reply that can be read");
        let ReplyBody::Accepted(accepted) = body else { panic!("{body:?}") };
        if accepted.status == AcceptStatus::Success {
            let results: Load = xdr::from_bytes(&reply.results).expect("results");
            let len = results.bytes.len();
            assert_eq!(results, Load::new(self.index, self.numbers[&reply.xid], len), "the call's own reply");
        }
        self.end(reply.xid, Ended::Replied(accepted.status));
    }

    pub(crate) fn deadline_exceeded(&mut self, now: Duration, xid: u32) {
        let call = self.end(xid, Ended::DeadlineExceeded);
        assert!(call.deadline.is_some_and(|deadline| deadline <= now), "too early: {call:?}");
    }

    /// Gives up on the call, whether it has ended or not.
    pub(crate) fn forgotten(&mut self, xid: u32) {
        let call = self.numbers.get(&xid).and_then(|number| self.made.get_mut(number)).expect("a call");
        call.ended.get_or_insert(Ended::Forgotten);
    }

    /// The xids of its calls, in the order in which they were made.
    pub(crate) fn xids(&self) -> Vec<u32> {
        let mut xids: Vec<_> = self.numbers.iter().map(|(xid, number)| (*number, *xid)).collect();
        xids.sort_unstable();
        xids.into_iter().map(|(_, xid)| xid).collect()
    }

    /// No call will end any more.
    pub(crate) fn lost(&mut self) {
        for call in self.made.values_mut() {
            call.ended.get_or_insert(Ended::Lost);
        }
    }

    fn pending(&self) -> usize {
        self.made.values().filter(|call| call.ended.is_none()).count()
    }

    // ---- calls of the peer's ----

    pub(crate) fn taken_up(&mut self, number: u32) {
        let latest = self.answered.last_key_value().map(|(number, _)| *number);
        assert!(latest < Some(number), "call {number} after {latest:?}");
        self.answered.insert(number, None);
        self.outstanding += 1;
    }

    pub(crate) fn answered(&mut self, number: u32, status: AcceptStatus) {
        let before = self.answered.insert(number, Some(status));
        assert_eq!(before, Some(None), "call {number} was taken up and not answered");
        self.outstanding -= 1;
    }

    pub(crate) fn left_unanswered(&mut self) {
        self.unanswered += 1;
        self.outstanding -= 1;
    }

    // ---- bytes ----

    /// The output has grown, or not.
    pub(crate) fn wrote(&mut self, now: Duration, kind: Kind, output: usize) {
        let (before, written) = (self.written, self.sent + output);
        if written > before {
            if before == self.sent {
                self.last_empty = now;
            }
            self.written = written;
            self.unsent.push_back((written, kind));
            self.last_activity = now;
        }
    }

    /// A call of the peer's that the engine has answered by itself.
    pub(crate) fn refused(&mut self, now: Duration, output: usize) {
        let grown = self.sent + output - self.written;
        assert_eq!(grown % SHORT_REPLY, 0);
        self.refused += (grown / SHORT_REPLY) as u64;
        for reply in 1..=grown / SHORT_REPLY {
            self.wrote(now, Kind::Reply, output - grown + reply * SHORT_REPLY);
        }
    }

    pub(crate) fn sent(&mut self, now: Duration, len: usize) {
        self.sent += len;
        self.unsent.retain(|(end, _)| *end > self.sent);
        (self.last_byte, self.last_activity) = (now, now);
        self.progress.push_back((now, len));
        if self.sent == self.written {
            self.last_empty = now;
            self.progress.clear();
        }
    }

    pub(crate) fn received(&mut self, now: Duration, bytes: &[u8]) {
        (self.last_byte, self.last_activity) = (now, now);
        if self.partial.is_empty() {
            self.partial_since = now;
        }
        self.partial.extend_from_slice(bytes);
        while let Some((mark, rest)) = self.partial.split_first_chunk::<MARK>() {
            let mark = u32::from_be_bytes(*mark);
            assert_ne!(mark & 0x8000_0000, 0, "one fragment");
            let Some((record, rest)) = rest.split_at_checked((mark & 0x7fff_ffff) as usize) else { break };
            let (xid, kind) = (record[..4].try_into().unwrap(), &record[4..8]);
            if kind == [0, 0, 0, 1] {
                assert!(self.replies.insert(u32::from_be_bytes(xid)), "a call is answered twice");
            }
            self.partial = rest.to_vec();
            self.partial_since = now;
        }
    }

    fn waits_to_be_sent(&self, kind: Kind) -> usize {
        let mut begin = self.sent;
        let mut sum = 0;
        for (end, of) in &self.unsent {
            sum += if *of == kind { end - begin } else { 0 };
            begin = *end;
        }
        sum
    }

    // ---- what must hold ----

    /// After everything that can be done now was done.
    pub(crate) fn assert_settled(&mut self, now: Duration, engine: &mut Connection, held: bool) {
        let config = self.config.clone();
        assert!(engine.next_timeout().is_none_or(|next| next > now), "what is overdue stays so: time spins");
        let overdue = |call: &Made| call.ended.is_none() && call.deadline.is_some_and(|deadline| deadline <= now);
        assert!(!self.made.values().any(overdue), "a call outlives its deadline: {:?}", self.made);
        assert_eq!(engine.client().in_flight(), self.pending());
        assert!(self.pending() <= config.max_own_calls_in_flight);
        assert_eq!(engine.server().in_flight(), self.outstanding);
        assert!(self.outstanding <= config.max_calls_in_flight);

        // Replies to what was taken up while there was room, and what was sent while there was room.
        let a_record = config.max_record + MARK;
        assert!(
            self.waits_to_be_sent(Kind::Reply)
                <= config.max_unsent + SHORT_REPLY + config.max_calls_in_flight * a_record
        );
        assert!(self.waits_to_be_sent(Kind::Send) <= config.max_unsent.max(a_record));
        // What is read at a time, a record that is not whole, and one that may wait for room.
        assert!(engine.input().len() <= 2 * (a_record + 4096), "{} bytes of input", engine.input().len());
        assert!(engine.input().capacity() <= 4 * (a_record + 4096), "room for {}", engine.input().capacity());

        let passed = |since: Duration, limit: Duration| now >= since.saturating_add(limit);
        let sent: usize = self.progress.iter().map(|(_, len)| len).sum();
        let stalled = self.sent < self.written && sent < PROGRESS && passed(self.last_empty, config.write_timeout);
        assert!(!stalled, "a peer that does not read is not given up");
        if !engine.wants_input() {
            self.unwanted = Some(now);
        }
        let since = self.unwanted.map_or(self.partial_since, |unwanted| unwanted.max(self.partial_since));
        let late = !self.partial.is_empty() && engine.wants_input() && passed(since, config.record_timeout);
        assert!(!late, "a record that was not finished in time is still waited for");
        let busy = self.pending() > 0 || self.outstanding > 0;
        if std::mem::replace(&mut self.busy, busy) || busy {
            self.last_busy = now;
        }
        let since = self.last_activity.max(self.last_busy);
        assert!(held || !passed(since, config.idle_timeout), "an idle connection is kept");
    }

    /// The connection is given up, and for a reason.
    pub(crate) fn assert_deserved(&self, now: Duration, why: ConnectionError, held: bool, peer: &ConnectionConfig) {
        let config = &self.config;
        let passed = |since: Duration, limit: Duration| now >= since.saturating_add(limit);
        let deserved = match why {
            ConnectionError::Record(RecordError::TooLong { .. }) => peer.max_record > config.max_record,
            ConnectionError::UnexpectedEof => !self.partial.is_empty(),
            ConnectionError::RecordTimeout => {
                !self.partial.is_empty() && passed(self.partial_since, config.record_timeout)
            }
            ConnectionError::WriteTimeout => {
                let recent = |(at, _): &&(Duration, usize)| !passed(*at, config.write_timeout);
                let sent: usize = self.progress.iter().filter(recent).map(|(_, len)| len).sum();
                self.sent < self.written && sent < PROGRESS && passed(self.last_empty, config.write_timeout)
            }
            ConnectionError::Idle => {
                let in_use = held || self.pending() > 0 || self.outstanding > 0;
                !in_use && passed(self.last_byte.max(self.last_busy), config.idle_timeout)
            }
            ConnectionError::Overloaded => self.written - self.sent > config.max_unsent,
            _ => false,
        };
        assert!(deserved, "{why}: {self:?}");
    }

    /// What has happened to its calls and to those of the peer's.
    pub(crate) fn seen(&self) -> impl Iterator<Item = String> {
        let ended = self.made.values().filter_map(|call| call.ended).map(|ended| format!("{ended:?}"));
        let refused = (self.refused > 0).then(|| "refused for want of room".into());
        let cut_off = (self.cut_off > 0).then(|| "cut off".into());
        ended.chain(refused).chain(cut_off)
    }

    pub(crate) fn assert_all_ended(&self) {
        assert_eq!(self.pending(), 0, "{:?}", self.made);
    }

    /// Each call has its reply, if nobody gave it up.
    pub(crate) fn assert_all_answered(&self) {
        for (number, call) in &self.made {
            assert!(!matches!(call.ended, None | Some(Ended::Lost)), "call {number}: {call:?}");
        }
    }

    /// What this end's calls came to is what the peer has made of them.
    pub(crate) fn assert_agrees_with(&self, peer: &Self) {
        for (number, call) in &self.made {
            if let Some(Ended::Replied(status)) = call.ended {
                let refused = Some(AcceptStatus::SystemErr);
                assert_eq!(Some(status), peer.answered.get(number).copied().unwrap_or(refused), "call {number}");
            }
        }
    }

    /// `dropped` is a call that ended the connection, where there was one.
    pub(crate) fn assert_counters(&self, counters: CallCounters, dropped: bool) {
        let dropped = u64::from(dropped);
        let answered = |with| self.answered.values().filter(|status| **status == Some(with)).count() as u64;
        assert_eq!(counters.calls, self.answered.len() as u64 + self.refused + dropped);
        assert_eq!(counters.succeeded, answered(AcceptStatus::Success));
        assert_eq!(counters.garbage_args, answered(AcceptStatus::GarbageArgs));
        assert_eq!(counters.system_err, answered(AcceptStatus::SystemErr) + self.refused);
        assert_eq!(counters.unanswered, self.unanswered);
        assert_eq!(counters.in_flight(), self.cut_off as u64 + dropped);
    }
}
