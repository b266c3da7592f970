//! Which handlers of a connection or socket were woken, and the task that is woken for them.
//!
//! A handler that is woken where the task polls it, by itself or by another, costs neither a locked instruction nor a way
//! through the scheduler.

use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use atomic_waker::AtomicWaker;

/// Most handlers of one connection or socket at a time. There is a bit for each, whether it is ever used or not.
pub(super) const MOST_HANDLERS: usize = 1 << 16;

/// Which slots were woken since they were last polled.
pub(super) struct Woken {
    task: AtomicWaker,
    /// The thread in which the task is at its handlers, or 0. The task looks at the bits once more before it rests, so it
    /// need not be woken.
    attended: AtomicUsize,
    bits: Box<[Bits]>,
    /// What tells the connection to end has something to say.
    end: AtomicBool,
}

/// 64 slots.
#[derive(Default)]
struct Bits {
    /// Those that were woken in the thread in which they are attended. Nobody else writes here meanwhile, and nobody at all
    /// while they are not.
    inside: AtomicU64,
    /// Those that were woken by anybody else.
    outside: AtomicU64,
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
        let Woken { task, attended, bits, .. } = &*self.woken;
        let Some(Bits { inside, outside }) = bits.get(self.index >> 6) else { return };
        let bit = 1 << (self.index & 63);
        if attended.load(Ordering::Relaxed) == this_thread() {
            inside.store(inside.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
            return;
        }
        // Who was first among handlers that were woken has woken the task, or is about to. With a task that goes to rest
        // all is in one order: either it sees the bit, or it is seen to rest.
        if outside.fetch_or(bit, Ordering::SeqCst) == 0 && attended.load(Ordering::SeqCst) == 0 {
            task.wake();
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

/// What tells this thread from the others that live. Not 0.
#[inline]
fn this_thread() -> usize {
    std::thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

impl Woken {
    /// For at most `most` handlers at a time.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let bits = (0..most.div_ceil(64)).map(|_| Bits::default()).collect();
        let (attended, end) = (AtomicUsize::new(0), AtomicBool::new(true));
        Arc::new(Self { task: AtomicWaker::new(), attended, bits, end })
    }

    /// For the handler in a slot.
    pub(super) fn waker(self: &Arc<Self>, index: usize) -> Waker {
        Waker::from(Arc::new(SlotWaker { index, woken: Arc::clone(self) }))
    }

    /// For what tells the connection to end, so that it is only looked at when it says something.
    pub(super) fn end_waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(EndWaker(Arc::clone(self))))
    }

    /// Whose task is woken. It registers before it looks at anything here.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Wakes the task, for another reason than a handler.
    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// Whether the end is to be looked at: the first time, and when its waker was used.
    pub(super) fn take_end(&self) -> bool {
        self.end.load(Ordering::Relaxed) && self.end.swap(false, Ordering::AcqRel)
    }

    /// From here on to [`rest`](Self::rest), the task that calls this is not woken for its handlers.
    #[inline]
    pub(super) fn attend(&self) {
        self.attended.store(this_thread(), Ordering::Relaxed);
    }

    /// From here on the task is woken for its handlers again. True when one was woken before, of which nobody tells it.
    #[inline]
    pub(super) fn rest(&self) -> bool {
        self.attended.store(0, Ordering::SeqCst);
        self.any(Ordering::SeqCst)
    }

    /// How many times 64 slots there are.
    pub(super) fn words(&self) -> usize {
        self.bits.len()
    }

    /// Whether a handler was woken since it was last polled; what was done before it was, by whoever did it, can be seen if
    /// the `order` says so.
    #[inline]
    pub(super) fn any(&self, order: Ordering) -> bool {
        self.bits.iter().any(|bits| bits.outside.load(order) != 0 || bits.inside.load(Ordering::Relaxed) != 0)
    }

    /// Takes the bits of 64 slots. For the task that attends them.
    #[inline]
    pub(super) fn take(&self, word: usize) -> u64 {
        let Some(Bits { inside, outside }) = self.bits.get(word) else { return 0 };
        let woken = inside.load(Ordering::Relaxed);
        inside.store(0, Ordering::Relaxed);
        // Who sets a bit from now on is seen when the task looks again before it rests.
        if outside.load(Ordering::Acquire) == 0 { woken } else { woken | outside.swap(0, Ordering::AcqRel) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn attended() -> (Arc<Task>, Arc<Woken>) {
        let (task, woken) = (Arc::<Task>::default(), Woken::new(70));
        woken.register(&Waker::from(Arc::clone(&task)));
        (task, woken)
    }

    /// Would catch a bit that is lost, one that shows another slot, and a task that is woken for what it sees anyway.
    #[test]
    fn a_task_at_its_handlers_is_not_woken_but_sees_who_was() {
        let (task, woken) = attended();
        let [first, last] = [0, 69].map(|index| woken.waker(index));
        woken.attend();
        first.wake_by_ref();
        thread::scope(|scope| scope.spawn(|| last.wake_by_ref()).join().unwrap());
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
        assert!(woken.any(Ordering::Acquire));
        assert_eq!([woken.take(0), woken.take(1), woken.take(2)], [1, 1 << 5, 0]);
        assert!(!woken.rest());
    }

    /// Would catch a handler that is never polled again: woken between the last look and the rest.
    #[test]
    fn a_task_that_goes_to_rest_is_told_of_who_was_woken_before() {
        for inside in [true, false] {
            let (task, woken) = attended();
            let waker = woken.waker(3);
            woken.attend();
            let wake = || waker.wake_by_ref();
            if inside {
                wake()
            } else {
                thread::scope(|scope| scope.spawn(wake).join().unwrap())
            }
            assert!(woken.rest(), "inside: {inside}");
            assert_eq!(task.0.load(Ordering::SeqCst), 0);
            assert_eq!(woken.take(0), 1 << 3);
        }
    }

    /// Would catch a handler that is never polled again: woken while nobody looks.
    #[test]
    fn a_task_that_rests_is_woken_once() {
        let (task, woken) = attended();
        woken.attend();
        assert!(!woken.rest());
        let [one, other] = [1, 2].map(|index| woken.waker(index));
        one.wake_by_ref();
        thread::scope(|scope| scope.spawn(|| other.wake_by_ref()).join().unwrap());
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert_eq!(woken.take(0), 0b110);
    }

    /// Would catch a bit that is lost between a task that goes to rest and a thread that wakes: it would never end. Miri sees
    /// other orders than this machine makes.
    #[test]
    fn a_bit_is_seen_or_its_task_is_woken_whatever_comes_first() {
        let rounds = if cfg!(miri) { 40 } else { 20_000 };
        let (task, woken) = attended();
        let waker = woken.waker(7);
        let taken = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..rounds {
                    waker.wake_by_ref();
                    while taken.load(Ordering::SeqCst) == round {
                        thread::yield_now();
                    }
                }
            });
            let mut told = 0;
            while taken.load(Ordering::SeqCst) < rounds {
                woken.register(&Waker::from(Arc::clone(&task)));
                woken.attend();
                if woken.take(0) != 0 {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                if woken.rest() || taken.load(Ordering::SeqCst) == rounds {
                    continue;
                }
                while task.0.load(Ordering::SeqCst) == told {
                    thread::yield_now();
                }
                told = task.0.load(Ordering::SeqCst);
            }
        });
    }
}
