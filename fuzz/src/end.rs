//! One end of a connection as a driver would drive it, and a model of what has to hold for it, call by call.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use rpc_frame::{
    AcceptStatus, AcceptedReply, Answer, Connection, ConnectionConfig, ConnectionError, Context, Event, IncomingCall,
    Message, MessageBody, Outcome, OutgoingCall, Peer, Programs, RecordNotWritten, ReplyBody, Rules, Session,
    Undispatched, check,
};
use xdr_core::decode_prefix;

use crate::served::{Later, PROGRAM};
use crate::stream::{cut, fragment};

/// The most that the peer sends: what comes behind is not looked at.
pub const MOST: usize = 16 * 1024;

/// Caps so small that a fuzzer comes to them.
pub fn config() -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    config.max_record = 512;
    config.max_empty_fragments = 3;
    config.max_calls_in_flight = 3;
    config.max_own_calls_in_flight = 4;
    config.max_unsent = 1024;
    config
}

/// One end of a connection and its model.
///
/// The buffers of the model are as large as they will ever be, so that a target can tell what the engine allocates.
#[derive(Debug)]
pub struct End<P> {
    engine: Connection,
    config: ConnectionConfig,
    now: Duration,
    programs: P,
    rules: Rules,
    session: Arc<Session>,
    /// What the peer has sent so far, and how much of it has been read.
    arrived: Vec<u8>,
    read: usize,
    /// What was sent to the peer and is not yet a whole record.
    sent: Vec<u8>,
    /// The calls whose answer takes its time.
    held: Vec<(Context, IncomingCall)>,
    /// Xids of the peer's calls that got a reply, and of those that are to get none.
    replied: Vec<u32>,
    unanswered: Vec<u32>,
    /// Our calls: all that were ever made, and those that nothing is known of, with their deadlines.
    made: Vec<u32>,
    pending: Vec<(u32, Option<Duration>)>,
    /// Replies that were events.
    answers: usize,
    events: usize,
    kept_for_later: bool,
    /// Why the connection has ended.
    pub error: Option<ConnectionError>,
}

impl<P: Programs> End<P> {
    /// An end of a new connection.
    pub fn new(config: ConnectionConfig, programs: P) -> Self {
        Self {
            engine: Connection::new(config.clone()),
            now: Duration::ZERO,
            programs,
            rules: Rules::default(),
            session: Arc::new(Session::new(Peer::Unknown)),
            arrived: Vec::with_capacity(MOST),
            read: 0,
            sent: Vec::with_capacity(8 * 1024),
            held: Vec::with_capacity(config.max_calls_in_flight),
            replied: Vec::with_capacity(MOST / 12),
            unanswered: Vec::with_capacity(MOST / 12),
            made: Vec::with_capacity(4096),
            pending: Vec::with_capacity(config.max_own_calls_in_flight),
            answers: 0,
            events: 0,
            kept_for_later: false,
            error: None,
            config,
        }
    }

    // ---- what the peer and time do ----

    /// The peer sends this.
    pub fn arrive(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(MOST - self.arrived.len());
        self.arrived.extend_from_slice(&bytes[..len]);
        self.read();
    }

    /// The peer takes so many bytes of what there is for it.
    pub fn take(&mut self, len: usize) {
        let len = len.min(self.engine.output().len());
        self.sent.extend_from_slice(&self.engine.output()[..len]);
        self.engine.advance_output(self.now, len);
        self.look_at_sent();
        self.read();
    }

    /// Time passes.
    pub fn pass(&mut self, delay: Duration) {
        self.now += delay;
        match self.engine.handle_time(self.now) {
            Ok(()) => {
                let due = self.engine.next_timeout().is_some_and(|at| at <= self.now);
                assert!(!due, "a driver would call again at once, for ever");
            }
            Err(error) => {
                // Calls of ours that come to their deadlines just now end with the connection.
                self.error = Some(error);
                return;
            }
        }
        self.read();
    }

    /// Time passes until something is due.
    pub fn pass_until_due(&mut self) {
        let due = self.engine.next_timeout().unwrap_or(self.now);
        self.pass(due.saturating_sub(self.now));
    }

    // ---- what the users of this end do ----

    /// One of the held calls is answered.
    pub fn answer(&mut self, which: u8) {
        if !self.held.is_empty() {
            let (cx, call) = self.held.swap_remove(usize::from(which) % self.held.len());
            self.dispatch(&cx, &call);
            self.read();
        }
    }

    /// The peer is called, if it reads what it is sent: the engine leaves that to its user.
    pub fn call(&mut self, args: &[u8], deadline: Option<Duration>) {
        if !self.engine.has_room_to_send(args.len()) {
            return;
        }
        let deadline = deadline.map(|wait| self.now + wait);
        let args = Later { bytes: args.to_vec().into() };
        match self.engine.call(self.now, &OutgoingCall::new(PROGRAM, 1, 4), &args, deadline) {
            Ok(xid) => {
                self.made.push(xid);
                self.pending.push((xid, deadline));
            }
            Err(RecordNotWritten::TooManyCalls { max }) => assert_eq!(self.pending.len(), max),
            Err(error) => assert!(args.bytes.len() > 64, "{error}"),
        }
        self.read();
    }

    /// The peer is sent a oneway call, if there is room for it.
    pub fn send(&mut self) {
        if self.engine.has_room_to_send(4) {
            let sent = self.engine.send(self.now, &OutgoingCall::new(PROGRAM, 1, 5), &0_u32);
            self.made.extend(sent);
        }
    }

    /// One of our calls is of no interest any more.
    pub fn forget(&mut self, which: u8) {
        if !self.pending.is_empty() {
            let (xid, _) = self.pending.swap_remove(usize::from(which) % self.pending.len());
            self.engine.forget(xid);
        }
    }

    /// The connection is kept for later, or not.
    pub fn hold(&mut self, held: bool) {
        self.kept_for_later = held;
        self.engine.hold(held);
    }

    // ---- what follows from it ----

    /// Reads what has arrived, as long as the engine wants it, and no more at a time than there is room for.
    fn read(&mut self) {
        // What is there already goes first.
        if self.error.is_none() {
            self.take_events();
        }
        while self.error.is_none() && self.engine.wants_input() {
            let input = self.engine.input_with_room();
            let room = input.capacity() - input.len();
            assert!(room > 0, "a driver would read nothing, for ever");
            let len = room.min(self.arrived.len() - self.read);
            input.extend_from_slice(&self.arrived[self.read..self.read + len]);
            if len > 0 {
                self.engine.handle_input(self.now);
            }
            self.read += len;
            self.take_events();
            if len == 0 {
                break;
            }
        }
        let left = self.engine.input().len();
        // A record that was not whole, and the next read.
        let most = 4 + self.config.max_record + 4096;
        assert!(left <= most, "{left} bytes of input wait");
    }

    fn take_events(&mut self) {
        loop {
            match self.engine.poll_event() {
                Ok(None) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
                Ok(Some(Event::Call(call))) => self.serve(call),
                Ok(Some(Event::Reply(reply))) => {
                    self.end(reply.xid);
                    self.answers += 1;
                }
                Ok(Some(Event::DeadlineExceeded { xid })) => {
                    let deadline = self.end(xid);
                    assert!(deadline.is_some_and(|deadline| deadline <= self.now), "{deadline:?} at {:?}", self.now);
                }
                Ok(Some(event)) => panic!("{event:?}"),
            }
            // A record with an xid and a message type takes twelve bytes of the stream.
            self.events += 1;
            assert!(self.events <= self.read / 12 + self.made.len(), "events out of nothing");
            assert!(self.held.len() <= self.config.max_calls_in_flight);
        }
        assert_eq!(self.engine.server().in_flight(), self.held.len());
        assert_eq!(self.engine.client().in_flight(), self.pending.len());
    }

    /// A call of ours has ended, for the first time.
    fn end(&mut self, xid: u32) -> Option<Duration> {
        let place = self.pending.iter().position(|(pending, _)| *pending == xid);
        self.pending.swap_remove(place.expect("a call that has not ended")).1
    }

    fn serve(&mut self, call: IncomingCall) {
        match check(&self.programs, &self.rules, &self.session, &call) {
            Answer::Outcome(outcome) => self.engine.reply(self.now, call.xid, outcome),
            Answer::Results(results) => self.engine.reply_with(self.now, call.xid, &results).expect("NULL's results"),
            Answer::Dispatch(cx) if cx.procedure().name == "Later" => self.held.push((cx, call)),
            Answer::Dispatch(cx) => self.dispatch(&cx, &call),
            answer => panic!("{answer:?}"),
        }
    }

    fn dispatch(&mut self, cx: &Context, call: &IncomingCall) {
        let future = pin!(self.programs.dispatch(cx, &call.args));
        let Poll::Ready(result) = future.poll(&mut TaskContext::from_waker(Waker::noop())) else {
            panic!("no handler waits")
        };
        match result {
            _ if cx.procedure().oneway => {
                self.unanswered.push(call.xid);
                self.engine.leave_unanswered();
            }
            // What cannot be sent becomes SYSTEM_ERR.
            Ok(reply) => drop(self.engine.reply_with_verifier(self.now, call.xid, cx.verifier(), &reply)),
            Err(why @ Undispatched::GarbageArgs(_)) => {
                self.engine.reply(self.now, call.xid, Outcome::Accepted(why.status()));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// What is sent is records, each a call of ours or a reply, and nothing behind a reply without results.
    fn look_at_sent(&mut self) {
        let (records, end) = cut(&self.sent, self.config.max_record, 0);
        assert!(end.is_ok(), "{end:?}");
        for record in records {
            self.sent.drain(..4 + record.len());
            let (message, rest) = decode_prefix::<Message>(&record).expect("a message");
            let has_results = match message.body {
                MessageBody::Call(_) => {
                    assert!(self.made.contains(&message.xid));
                    true
                }
                MessageBody::Reply(reply) => {
                    self.replied.push(message.xid);
                    let status = AcceptStatus::Success;
                    matches!(reply, ReplyBody::Accepted(AcceptedReply { status: is, .. }) if is == status)
                }
            };
            assert!(rest.is_empty() || has_results, "{message:?} and {rest:?}", message = message.xid);
        }
    }

    // ---- the end ----

    /// The peer sends no more, but reads all, and all calls are answered: everything has to have come to its end.
    pub fn finish(mut self) {
        while self.error.is_none() {
            let before = (self.read, self.replied.len(), self.unanswered.len());
            while !self.held.is_empty() {
                self.answer(0);
            }
            self.take(usize::MAX);
            let after = (self.read, self.replied.len(), self.unanswered.len());
            if before == after && self.held.is_empty() {
                break;
            }
        }
        self.take(usize::MAX);
        assert!(self.sent.is_empty(), "half a record was sent");
        self.compare_with_stream();
        if self.error.is_some() {
            return;
        }
        // Nothing waits for ever, if its user does not want that.
        let waits = self.kept_for_later || self.pending.iter().any(|(_, deadline)| deadline.is_none());
        // The deadlines, that of a call that has ended, the time at which the last call has ended without a byte, and the
        // end of all patience.
        for _ in 0..self.pending.len() + 3 {
            if self.error.is_none() {
                self.pass_until_due();
            }
        }
        assert!(waits || self.error.is_some(), "the connection is there for ever");
        assert!(self.pending.iter().all(|(_, deadline)| deadline.is_none() || self.error.is_some()));
    }

    /// What came of the peer's stream is what is in it.
    fn compare_with_stream(&mut self) {
        let (records, end) = cut(&self.arrived[..self.read], self.config.max_record, self.config.max_empty_fragments);
        let word = |record: &Vec<u8>, at: usize| Some(u32::from_be_bytes(*record.get(at..)?.first_chunk()?));
        let xids = |kind| {
            let of_kind = records.iter().filter(move |record| word(record, 4) == Some(kind));
            of_kind.filter_map(|record| word(record, 0)).collect::<Vec<u32>>()
        };
        let (mut calls, replies) = (xids(0), xids(1));
        let mut ended = [&self.replied[..], &self.unanswered].concat();
        calls.sort_unstable();
        ended.sort_unstable();
        match self.error {
            None => {
                assert_eq!(self.read, self.arrived.len(), "not all was read");
                assert_eq!(ended, calls, "the calls that ended, and those that came");
                assert_eq!(self.engine.handle_eof().is_ok(), end.expect("no error"));
                assert_eq!(records.len(), calls.len() + replies.len(), "all are messages");
                assert!(replies.iter().all(|xid| self.made.contains(xid)), "a reply to a call that was never made");
                let passed_over = usize::try_from(self.engine.client().passed_over()).expect("few");
                assert_eq!(replies.len(), self.answers + passed_over);
                return;
            }
            Some(ConnectionError::Record(error)) => assert_eq!(end, Err(error)),
            Some(ConnectionError::TooShort { len }) => {
                assert!(len < 8 && records.iter().any(|record| record.len() == len))
            }
            Some(ConnectionError::UnknownMessageType(kind)) => assert!(kind > 1 && !xids(kind).is_empty()),
            Some(ConnectionError::UnexpectedReply { xid }) => {
                assert!(replies.contains(&xid) && !self.made.contains(&xid));
            }
            // Time, or more calls than there is room for.
            Some(_) => {}
        }
        // Each at most once.
        let mut calls = calls.into_iter();
        for xid in ended {
            assert!(calls.any(|call| call == xid), "a reply to {xid:#x}, which did not call, or not so often");
        }
    }
}

/// A record in one fragment, or with its first bytes apart.
pub fn record(message: &[u8], apart: usize) -> Vec<u8> {
    let (front, back) = message.split_at(apart.min(message.len()));
    if front.is_empty() { fragment(back, true) } else { [fragment(front, false), fragment(back, true)].concat() }
}
