//! Slots for handlers: made once, used again for call after call.

use std::boxed::Box;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use std::vec::Vec;

use tracing::{Level, Span};

use super::is_heard;
use super::woken::Woken;
use crate::auth::OpaqueAuth;
use crate::context::Context;
use crate::procedure::ProcedureInfo;

/// A handler's slot. The box is made once; futures are set into it, and never move while they live.
struct Slot<F, K> {
    id: K,
    procedure: &'static ProcedureInfo,
    /// In a box, because hardly a call has one.
    verifier: Option<Box<OpaqueAuth>>,
    /// Whether there is a handler that has not ended. One that has stays until the next takes its place: it holds nothing.
    runs: bool,
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
    /// Handlers were polled since the task last rested.
    attends: bool,
    woken: Arc<Woken>,
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
    /// It has, and the call was answered, but the encoding or dropping of what it returned panicked.
    NotEncoded,
    /// It has not ended by its deadline.
    GivenUp,
}

/// What is logged while a handler runs belongs to its call.
#[cold]
fn call_span(cx: &Context) -> Span {
    tracing::debug_span!("call", xid = cx.xid(), procedure = cx.procedure().name, peer = %cx.peer(), caller = %cx.identity())
}

impl<F: Future, K: Copy> Slots<F, K> {
    /// Slots for as many handlers as `woken` is for. They are made as they are needed.
    pub(super) const fn new(woken: Arc<Woken>) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), earliest: None, attends: false, woken }
    }

    /// Whose task is woken when a handler is.
    pub(super) fn register(&self, task: &Waker) {
        self.woken.register(task);
    }

    /// Whether a handler was woken since it was last polled.
    #[inline]
    pub(super) fn any_woken(&self) -> bool {
        self.woken.any(Ordering::Acquire)
    }

    /// Has handlers wake the task from here on; whoever polls them calls this before it returns. If a handler was woken
    /// meanwhile, nobody has told the task, which is woken now.
    #[inline]
    pub(super) fn rest(&mut self, task: &Waker) {
        if std::mem::take(&mut self.attends) && self.woken.rest() {
            task.wake_by_ref();
        }
    }

    /// From here on to the next [`rest`](Self::rest), handlers that are woken do not wake the task.
    #[inline]
    fn attend(&mut self) {
        if !self.attends {
            self.attends = true;
            self.woken.attend();
        }
    }

    /// Starts a call's handler, which `make` makes, and polls it once. The call is given to `ended` if it ends at once.
    #[inline]
    pub(super) fn start(
        &mut self,
        now: Duration,
        id: K,
        context: Context,
        make: impl FnOnce(Context) -> F,
        ended: impl FnMut(Ended<'_, F::Output, K>),
    ) {
        let procedure = context.procedure();
        let deadline = context.time_limit().and_then(|limit| now.checked_add(limit));
        let index = self.free.pop().unwrap_or_else(|| self.make_slot(id, procedure));
        if let Some(slot) = self.slots.get_mut(index) {
            slot.id = id;
            slot.procedure = procedure;
            slot.deadline = deadline;
            if let Some(verifier) = context.said_to_caller() {
                slot.verifier = Some(Box::new(verifier.clone()));
            }
            if is_heard(Level::DEBUG) {
                slot.span = call_span(&context);
            }
            slot.runs = true;
            slot.handler.as_mut().set(Some(make(context)));
        }
        if self.poll(index, ended).is_pending()
            && let Some(deadline) = deadline
            && self.earliest.is_none_or(|earliest| deadline < earliest)
        {
            self.earliest = Some(deadline);
        }
    }

    /// Makes one more slot.
    #[cold]
    fn make_slot(&mut self, id: K, procedure: &'static ProcedureInfo) -> usize {
        let index = self.slots.len();
        let waker = self.woken.waker(index);
        let (verifier, runs, handler, span) = (None, false, Box::pin(None), Span::none());
        self.slots.push(Slot { id, procedure, verifier, runs, handler, span, deadline: None, waker });
        index
    }

    /// Polls the handlers that were woken, and gives those that ended to `ended`. True when there was one to poll.
    #[inline]
    pub(super) fn poll_woken(&mut self, ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        self.any_woken() && self.poll_each_woken(ended)
    }

    fn poll_each_woken(&mut self, mut ended: impl FnMut(Ended<'_, F::Output, K>)) -> bool {
        let mut any = false;
        self.attend();
        for word in 0..self.woken.words() {
            let mut bits = self.woken.take(word);
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
            match self.slots.get(index).filter(|slot| slot.runs).and_then(|slot| slot.deadline) {
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

    fn poll(&mut self, index: usize, mut ended: impl FnMut(Ended<'_, F::Output, K>)) -> Poll<()> {
        self.attend();
        let mut has_ended = false;
        // The output is used where it was returned: to move what was just written makes the processor wait.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.runs) else { return Poll::Ready(()) };
            let Some(handler) = slot.handler.as_mut().as_pin_mut() else { return Poll::Ready(()) };
            let mut context = TaskContext::from_waker(&slot.waker);
            let mut polled = match &slot.span {
                span if span.is_none() => handler.poll(&mut context),
                span => span.in_scope(|| handler.poll(&mut context)),
            };
            let Poll::Ready(output) = &mut polled else { return Poll::Pending };
            has_ended = true;
            self.end(index, Ok(output), &mut ended);
            Poll::Ready(())
        }));
        polled.unwrap_or_else(|_| {
            self.panicked(index, has_ended, ended);
            Poll::Ready(())
        })
    }

    /// Ends a call where its handler has panicked, or what is done with the output of one that has ended.
    #[cold]
    fn panicked(&mut self, index: usize, has_ended: bool, mut ended: impl FnMut(Ended<'_, F::Output, K>)) {
        if !has_ended {
            self.abandon(index, Unreturned::Panicked, ended);
        } else if let Some(Slot { id, procedure, .. }) = self.slots.get(index) {
            // The slot is free already.
            let (id, procedure) = (*id, *procedure);
            ended(Ended { id, procedure, verifier: None, output: Err(Unreturned::NotEncoded) });
        }
    }

    /// Drops a handler that has not ended by itself.
    fn abandon(&mut self, index: usize, why: Unreturned, ended: impl FnMut(Ended<'_, F::Output, K>)) {
        if let Some(slot) = self.slots.get_mut(index) {
            let (mut handler, span) = (slot.handler.as_mut(), &slot.span);
            let _ = catch_unwind(AssertUnwindSafe(move || span.in_scope(|| handler.set(None))));
            self.end(index, Err(why), ended);
        }
    }

    /// Makes a slot free whose handler has ended.
    #[inline(always)]
    fn end(
        &mut self,
        index: usize,
        output: Result<&mut F::Output, Unreturned>,
        mut ended: impl FnMut(Ended<'_, F::Output, K>),
    ) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.runs = false;
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
