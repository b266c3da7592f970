//! An engine and the program around it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rpc_frame::xdr::{self, Bytes};
use rpc_frame::{
    AcceptStatus, Connection, ConnectionConfig, ConnectionError, Event, IncomingCall, Outcome, OutgoingCall,
};

use crate::link::{Link, Read};
use crate::model::{Kind, Load, Model};
use crate::plan::{Act, EndPlan, Handler, millis};

const PROGRAM: u32 = 0x2000_0046;
const ASK: u32 = 1;
const TELL: u32 = 2;

/// A call of the peer's whose handler runs.
struct Running {
    xid: u32,
    number: u32,
    handler: Handler,
}

pub(crate) struct End {
    pub(crate) engine: Connection,
    pub(crate) model: Model,
    plan: EndPlan,
    peer: ConnectionConfig,
    /// Calls that were made, oneway calls included.
    calls: u32,
    /// Bytes of oneway calls that wait for room.
    to_send: VecDeque<usize>,
    /// By the time of their end and the order of their begin.
    running: BTreeMap<(Duration, usize), Running>,
    taken_up: usize,
    reads: usize,
    /// The peer sends no more.
    eof: bool,
    /// This end makes no more calls.
    closing: bool,
    /// This end sends no more.
    finished: bool,
    pub(crate) gone: bool,
    pub(crate) died_of: Option<ConnectionError>,
}

impl End {
    pub(crate) fn new(index: u32, plan: &EndPlan, peer: &ConnectionConfig) -> Self {
        let mut engine = Connection::new(plan.config.clone());
        engine.hold(plan.held);
        Self {
            engine,
            model: Model::new(index, &plan.config),
            plan: plan.clone(),
            peer: peer.clone(),
            calls: 0,
            to_send: VecDeque::new(),
            running: BTreeMap::new(),
            taken_up: 0,
            reads: 0,
            eof: false,
            closing: false,
            finished: false,
            gone: false,
            died_of: None,
        }
    }

    /// When a handler ends.
    pub(crate) fn next_answer(&self) -> Option<Duration> {
        self.running.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn act(&mut self, now: Duration, act: Act) {
        if self.gone || self.closing {
            return;
        }
        match act {
            Act::Call { load, deadline } => {
                self.calls += 1;
                let args = Load::new(self.model.index, self.calls, load);
                let deadline = deadline.map(|after| now + millis(after));
                let lost = self.eof;
                match self.engine.call(now, &OutgoingCall::new(PROGRAM, 1, ASK), &args, deadline) {
                    Ok(xid) => self.model.made(self.calls, xid, deadline),
                    Err(_) => self.model.not_sent(self.calls),
                }
                self.model.wrote(now, Kind::Call, self.engine.output().len());
                if lost {
                    self.give_up_calls();
                }
            }
            Act::Send { load } => self.to_send.push_back(load),
            Act::Forget(which) => {
                let xids = self.model.xids();
                if let Some(xid) = xids.get(which % xids.len().max(1)) {
                    self.engine.forget(*xid);
                    self.model.forgotten(*xid);
                }
            }
            Act::HalfClose => self.closing = true,
            Act::Cut => unreachable!("the world cuts the links"),
        }
    }

    /// Does what can be done now. True when that was anything.
    pub(crate) fn turn(&mut self, now: Duration, to: &mut Link, from: &mut Link) -> bool {
        let mut moved = false;
        while !self.gone && self.step(now, to, from) {
            moved = true;
        }
        moved
    }

    fn step(&mut self, now: Duration, to: &mut Link, from: &mut Link) -> bool {
        let mut moved = self.end_handlers(now) | self.send_what_waits(now);
        match self.take_events(now) {
            Ok(any) => moved |= any,
            Err(error) => {
                self.die(now, error);
                return true;
            }
        }
        moved | self.write(now, to) | self.read(now, from)
    }

    fn end_handlers(&mut self, now: Duration) -> bool {
        let mut moved = false;
        while let Some(entry) = self.running.first_entry().filter(|entry| entry.key().0 <= now) {
            let Running { xid, number, handler } = entry.remove();
            moved = true;
            if self.finished {
                self.engine.leave_unanswered();
                self.model.left_unanswered();
                continue;
            }
            let status = match handler {
                Handler::Replies { load, .. } => {
                    let caller = 1 - self.model.index;
                    let results: Bytes = xdr::to_bytes(&Load::new(caller, number, load)).unwrap();
                    match self.engine.reply_with(now, xid, &results) {
                        Ok(()) => AcceptStatus::Success,
                        Err(_) => AcceptStatus::SystemErr,
                    }
                }
                _ => {
                    self.engine.reply(now, xid, Outcome::Accepted(AcceptStatus::GarbageArgs));
                    AcceptStatus::GarbageArgs
                }
            };
            self.model.wrote(now, Kind::Reply, self.engine.output().len());
            self.model.answered(number, status);
        }
        moved
    }

    fn send_what_waits(&mut self, now: Duration) -> bool {
        let mut moved = false;
        while let Some(load) = self.to_send.front().copied() {
            if !self.engine.has_room_to_send(load + 12) {
                break;
            }
            self.to_send.pop_front();
            moved = true;
            self.calls += 1;
            let args = Load::new(self.model.index, self.calls, load);
            // What is too long for a record is not sent.
            let _ = self.engine.send(now, &OutgoingCall::new(PROGRAM, 1, TELL), &args);
            self.model.wrote(now, Kind::Send, self.engine.output().len());
        }
        moved
    }

    fn take_events(&mut self, now: Duration) -> Result<bool, ConnectionError> {
        let mut moved = false;
        loop {
            let event = self.engine.poll_event();
            self.model.refused(now, self.engine.output().len());
            match event? {
                Some(Event::Call(call)) => self.take_up(now, &call),
                Some(Event::Reply(reply)) => self.model.replied(&reply),
                Some(Event::DeadlineExceeded { xid }) => self.model.deadline_exceeded(now, xid),
                Some(event) => panic!("{event:?}"),
                None => break,
            }
            moved = true;
        }
        if self.eof {
            self.engine.handle_eof()?;
            self.give_up_calls();
        }
        Ok(moved)
    }

    fn take_up(&mut self, now: Duration, call: &IncomingCall) {
        let args: Load = xdr::from_bytes(&call.args).unwrap();
        let len = args.bytes.len();
        assert_eq!(args, Load::new(1 - self.model.index, args.number, len));
        self.model.taken_up(args.number);
        let oneway = call.header.as_ref().unwrap().procedure == TELL;
        if oneway || self.finished {
            self.engine.leave_unanswered();
            self.model.left_unanswered();
            return;
        }
        let handler = self.plan.handlers[self.taken_up % self.plan.handlers.len()];
        self.taken_up += 1;
        let (Handler::Replies { after, .. } | Handler::Refuses { after }) = handler else { return };
        let running = Running { xid: call.xid, number: args.number, handler };
        self.running.insert((now + millis(after), self.taken_up), running);
    }

    fn write(&mut self, now: Duration, to: &mut Link) -> bool {
        let mut moved = false;
        if self.finished {
            // Answers that the engine gives by itself, to whoever calls all the same.
            let len = self.engine.output().len();
            if len > 0 {
                self.engine.advance_output(now, len);
                self.model.sent(now, len);
            }
            return false;
        }
        while !self.engine.output().is_empty() {
            if to.reader_gone {
                self.leave();
                return true;
            }
            let len = to.write(now, self.engine.output());
            if len == 0 {
                return moved;
            }
            self.engine.advance_output(now, len);
            self.model.sent(now, len);
            moved = true;
        }
        if self.closing && self.to_send.is_empty() {
            self.finished = true;
            to.finish();
            moved = true;
        }
        moved
    }

    fn read(&mut self, now: Duration, from: &mut Link) -> bool {
        if self.eof || !self.engine.wants_input() {
            return false;
        }
        match from.read(now) {
            Read::NothingYet => return false,
            Read::End => self.eof = true,
            Read::Bytes(bytes) => {
                self.reads += 1;
                if self.reads.is_multiple_of(2) {
                    self.engine.receive(now, &bytes);
                } else {
                    self.engine.input_with_room().extend_from_slice(&bytes);
                    self.engine.handle_input(now);
                }
                self.model.received(now, &bytes);
            }
        }
        true
    }

    /// Lets time pass, after what has come was taken up.
    pub(crate) fn pass_time(&mut self, now: Duration) {
        if self.gone {
            return;
        }
        if let Err(error) = self.engine.handle_time(now) {
            self.die(now, error);
        }
    }

    pub(crate) fn assert_settled(&mut self, now: Duration) {
        if !self.gone {
            self.model.assert_settled(now, &mut self.engine, self.plan.held);
        }
    }

    fn die(&mut self, now: Duration, why: ConnectionError) {
        self.model.assert_deserved(now, why, self.plan.held, &self.peer);
        self.died_of = Some(why);
        self.leave();
    }

    /// The connection is over for this end.
    pub(crate) fn leave(&mut self) {
        self.give_up_calls();
        self.model.cut_off = self.model.outstanding;
        self.gone = true;
    }

    /// No reply will come any more.
    fn give_up_calls(&mut self) {
        for xid in self.model.xids() {
            self.engine.forget(xid);
        }
        self.model.lost();
    }
}
