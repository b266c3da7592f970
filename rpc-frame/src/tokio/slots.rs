//! Slots for handlers: made once, used again for call after call.

use std::boxed::Box;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;
use std::vec::Vec;

use atomic_waker::AtomicWaker;
use tracing::{Level, Span};

use super::is_heard;
use crate::auth::OpaqueAuth;
use crate::context::Context;
use crate::procedure::ProcedureInfo;

/// Most handlers of one connection or socket at a time. There is a bit for each, whether it is ever used or not.
pub(super) const MOST_HANDLERS: usize = 1 << 16;

/// A handler's slot. The box is made once; futures are set into it, and never move while they live.
struct Slot<F, K> {
    id: K,
    procedure: &'static ProcedureInfo,
    /// In a box, because hardly a call has one.
    verifier: Option<Box<OpaqueAuth>>,
    handler: Pin<Box<Option<F>>>,
    /// What is logged while the handler runs belongs to its call.
    span: Span,
    /// When it is given up.
    deadline: Option<Duration>,
    waker: Waker,
}

/// The slots of one connection or socket, with what tells its calls apart: the xid, where one peer calls.
pub(super) struct Slots<F, K = u32> {
    slots: Vec<Slot<F, K>>,
    free: Vec<usize>,
    /// No handler that waits is to be given up before.
    earliest: Option<Duration>,
    woken: Arc<Woken>,
}

/// Which slots were woken since they were last polled.
pub(super) struct Woken {
    task: AtomicWaker,
    bits: Box<[AtomicU64]>,
    /// What tells the connection to end has something to say.
    end: AtomicBool,
}

struct SlotWaker {
    index: usize,
    woken: Arc<Woken>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(bits) = self.woken.bits.get(self.index >> 6) else { return };
        // Who was first among handlers that were woken has woken the task, or is about to.
        if bits.fetch_or(1 << (self.index & 63), Ordering::AcqRel) == 0 {
            self.woken.task.wake();
        }
    }
}

struct EndWaker(Arc<Woken>);

impl Wake for EndWaker {
    fn wake(self: Arc<Self>) {
        self.0.end.store(true, Ordering::Release);
        self.0.task.wake();
    }
}

/// A call that has ended.
pub(super) struct Ended<'a, T, K = u32> {
    pub(super) id: K,
    pub(super) procedure: &'static ProcedureInfo,
    /// What the reply says to the caller.
    pub(super) verifier: Option<Box<OpaqueAuth>>,
    /// What the handler returned, where it lies: it may be long.
    pub(super) output: Result<&'a mut T, Unreturned>,
}

/// Why a handler has returned nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreturned {
    Panicked,
    /// It has not ended by its deadline.
    GivenUp,
}

impl Woken {
    /// For at most `most` handlers at a time.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let bits = (0..most.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { task: AtomicWaker::new(), bits, end: AtomicBool::new(true) })
    }

    /// For what tells the connection to end, so that it is only looked at when it says something.
    pub(super) fn end_waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(EndWaker(Arc::clone(self))))
    }

    /// Whether the end is to be looked at: the first time, and when its waker was used.
    pub(super) fn take_end(&self) -> bool {
        self.end.load(Ordering::Relaxed) && self.end.swap(false, Ordering::AcqRel)
    }

    /// Wakes the connection's task, for another reason than a handler.
    pub(super) fn wake(&self) {
        self.task.wake();
    }
}

/// What is logged while a handler runs belongs to its call.
#[inline]
fn call_span(cx: &Context) -> Span {
    if !is_heard(Level::DEBUG) {
        return Span::none();
    }
    tracing::debug_span!("call", xid = cx.xid(), procedure = cx.procedure().name, peer = %cx.peer(), caller = %cx.identity())
}

impl<F: Future, K: Copy> Slots<F, K> {
    /// Slots for as many handlers as `woken` is for. They are made as they are needed.
    pub(super) const fn new(woken: Arc<Woken>) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), earliest: None, woken }
    }

    /// Whose task is woken when a handler is.
    pub(super) fn register(&self, task: &Waker) {
        self.woken.task.register(task);
    }

    /// Starts a call's handler, which `make` makes, and polls it once. The call is given to `ended` if it ends at once.
    #[inline]
    pub(super) fn start(
        &mut self,
        now: Duration,
        id: K,
        context: Context,
        make: impl FnOnce(Context) -> F,
        ended: impl FnOnce(Ended<'_, F::Output, K>),
    ) {
        let (procedure, verifier) = (context.procedure(), context.said_to_caller());
        let deadline = context.time_limit().and_then(|limit| now.checked_add(limit));
        let span = call_span(&context);
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            let waker = Waker::from(Arc::new(SlotWaker { index, woken: Arc::clone(&self.woken) }));
            let (verifier, handler, span) = (None, Box::pin(None), Span::none());
            self.slots.push(Slot { id, procedure, verifier, handler, span, deadline, waker });
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.id = id;
            slot.procedure = procedure;
            slot.verifier = verifier;
            slot.deadline = deadline;
            slot.span = span;
            slot.handler.as_mut().set(Some(make(context)));
        }
        if self.poll(index, ended).is_pending() {
            self.earliest = [self.earliest, deadline].into_iter().flatten().min();
        }
    }

    /// Polls the handlers that were woken, and gives those that ended to `ended`. True when there was one to poll.
    #[inline]
    pub(super) fn poll_woken(&mut self, ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        self.woken.bits.iter().any(|woken| woken.load(Ordering::Acquire) != 0) && self.poll_each_woken(ended)
    }

    fn poll_each_woken(&mut self, mut ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        let mut any = false;
        for word in 0..self.woken.bits.len() {
            let Some(woken) = self.woken.bits.get(word) else { break };
            // Who sets a bit from now on wakes the task, which is registered: it looks again.
            let mut bits = if woken.load(Ordering::Acquire) == 0 { 0 } else { woken.swap(0, Ordering::AcqRel) };
            while bits != 0 {
                any = true;
                let bit = bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
                let index = word.saturating_mul(64).saturating_add(bit as usize);
                let _ = self.poll(index, &mut ended);
            }
        }
        any
    }

    /// When [`give_up`](Self::give_up) is to be called. There may be nothing to give up by then.
    pub(super) const fn next_deadline(&self) -> Option<Duration> {
        self.earliest
    }

    /// Drops the handlers whose deadlines have come, and gives their calls to `ended`. True when there was one.
    #[inline]
    pub(super) fn give_up(&mut self, now: Duration, ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        self.earliest.is_some_and(|earliest| earliest <= now) && self.give_up_overdue(now, ended)
    }

    fn give_up_overdue(&mut self, now: Duration, mut ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        self.earliest = None;
        let mut any = false;
        for index in 0..self.slots.len() {
            match self.slots.get(index).filter(|slot| slot.handler.is_some()).and_then(|slot| slot.deadline) {
                Some(deadline) if deadline <= now => {
                    any = true;
                    self.abandon(index, Unreturned::GivenUp, &mut ended);
                }
                Some(deadline) => self.earliest = Some(self.earliest.map_or(deadline, |before| before.min(deadline))),
                None => {}
            }
        }
        any
    }

    fn poll(&mut self, index: usize, ended: impl FnOnce(Ended<'_, F::Output, K>)) -> Poll<()> {
        let Some(slot) = self.slots.get_mut(index) else { return Poll::Ready(()) };
        let (mut handler, span) = (slot.handler.as_mut(), &slot.span);
        let mut context = TaskContext::from_waker(&slot.waker);
        let mut output = None;
        let mut poll = || {
            if let Some(Poll::Ready(ready)) = handler.as_mut().as_pin_mut().map(|handler| handler.poll(&mut context)) {
                output = Some(ready);
                handler.set(None);
            }
        };
        let polled = catch_unwind(AssertUnwindSafe(|| if span.is_none() { poll() } else { span.in_scope(&mut poll) }));
        match (&mut output, polled) {
            // What the future still held may have panicked as well when it was dropped.
            (Some(output), _) => self.end(index, Ok(output), ended),
            (None, Ok(())) => return Poll::Pending,
            (None, Err(_)) => self.abandon(index, Unreturned::Panicked, ended),
        }
        Poll::Ready(())
    }

    /// Drops a handler that has not ended by itself.
    fn abandon(&mut self, index: usize, why: Unreturned, ended: impl FnOnce(Ended<'_, F::Output, K>)) {
        if let Some(slot) = self.slots.get_mut(index) {
            let (mut handler, span) = (slot.handler.as_mut(), &slot.span);
            let _ = catch_unwind(AssertUnwindSafe(move || span.in_scope(|| handler.set(None))));
            self.end(index, Err(why), ended);
        }
    }

    /// Makes a slot free whose handler is gone.
    fn end(
        &mut self,
        index: usize,
        output: Result<&mut F::Output, Unreturned>,
        ended: impl FnOnce(Ended<'_, F::Output, K>),
    ) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if !slot.span.is_none() {
            slot.span = Span::none();
        }
        let (id, procedure, verifier) = (slot.id, slot.procedure, slot.verifier.take());
        self.free.push(index);
        if self.free.len() == self.slots.len() {
            self.earliest = None;
        }
        ended(Ended { id, procedure, verifier, output });
    }
}
