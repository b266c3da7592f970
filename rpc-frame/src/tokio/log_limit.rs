//! Lines of the log that a peer can cause: a flood of them is some at once, and then a line a second.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::tokio::runtime::Handle;
use ::tokio::time::{Instant, sleep_until};
use tracing::Level;

/// One line in this time, in the long run.
const EACH: Duration = Duration::from_secs(1);

/// How far lines may be ahead of that: so ten may follow each other, as when somebody looks for what is wrong and tries this
/// and that.
const AHEAD: Duration = Duration::from_secs(9);

/// A bound on lines of the log that a peer can cause as often as it likes: ten are written at once, and then one a second,
/// which says how many were left out; after ten seconds without one ten may come again. Clones share it.
///
/// The server bounds its own lines so. One for handlers that log what they are sent:
///
/// ```
/// use rpc_frame::tokio::LogLimit;
///
/// struct Registry {
///     bad_names: LogLimit,
/// }
///
/// impl Registry {
///     fn refuse(&self, name: &str) {
///         self.bad_names.line(|left_out| tracing::warn!(name, left_out, "refused a name"));
///     }
/// }
///
/// let registry = Registry { bad_names: LogLimit::new("refused names") };
/// for _ in 0..1000 {
///     registry.refuse(".."); // ten lines
/// }
/// ```
///
/// When no more comes, what was left out last is told soon, by a line of level WARN, or of another that
/// [`with_level`](Self::with_level) sets: `refused names left_out=990`. Its time is tokio's; without a runtime, or in one
/// without timers, it is told with the next line, or when the last clone is dropped.
#[derive(Clone)]
pub struct LogLimit(Arc<Limited>);

struct Limited {
    /// What is told of lines that were left out.
    what: &'static str,
    state: Mutex<State>,
}

struct State {
    /// That of the line which tells how many were left out.
    level: Level,
    /// When the lines so far have had their time.
    paid_at: Option<Instant>,
    left_out: u64,
    /// There is a `Watch`, or was one that cannot be.
    is_watched: bool,
}

impl LogLimit {
    /// A bound on lines of one kind. `what` they tell of stands alone in the line that counts those which were left out.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        let state = State { level: Level::WARN, paid_at: None, left_out: 0, is_watched: false };
        Self(Arc::new(Limited { what, state: Mutex::new(state) }))
    }

    /// Counts what is left out at this level, that of the lines, and not at WARN.
    ///
    /// ```
    /// use rpc_frame::tokio::LogLimit;
    ///
    /// let losses = LogLimit::new("files were lost").with_level(tracing::Level::ERROR);
    /// losses.line(|left_out| tracing::error!(left_out, "lost a file"));
    /// ```
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        self.lock().level = level;
        self
    }

    /// Writes a line, which is given how many have been left out since the last, unless it is left out itself.
    pub fn line(&self, write: impl FnOnce(Option<u64>)) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.next_line().is_none_or(|time| time <= now) {
            let left_out = state.begin(now);
            drop(state);
            return write(left_out);
        }
        state.left_out = state.left_out.saturating_add(1);
        if !state.is_watched
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_watched = true;
            drop(state);
            runtime.spawn(Watch { limit: self.clone(), has_ended: false }.run());
        }
    }

    /// When to look again; none where all is told.
    fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        // A line within this time tells of it.
        match state.next_line().and_then(|time| time.checked_add(EACH)) {
            Some(time) if now < time && state.left_out > 0 => return Some(time),
            _ => state.is_watched = false,
        }
        let (level, left_out) = (state.level, if state.left_out > 0 { state.begin(now) } else { None });
        drop(state);
        if let Some(left_out) = left_out {
            count(level, left_out, self.0.what);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of what was left out when there are no more lines to do so.
struct Watch {
    limit: LogLimit,
    /// All is told, and the state says that nobody watches.
    has_ended: bool,
}

impl Watch {
    async fn run(mut self) {
        while let Some(time) = self.limit.next_look() {
            sleep_until(time).await;
        }
        self.has_ended = true;
    }
}

/// Where its runtime ends first, another may watch. Where that has no timers, which is a panic, one try is enough.
impl Drop for Watch {
    fn drop(&mut self) {
        if !self.has_ended && !std::thread::panicking() {
            self.limit.lock().is_watched = false;
        }
    }
}

impl State {
    /// When the next line may be written; none where it may be at any time.
    fn next_line(&self) -> Option<Instant> {
        let paid = self.paid_at?;
        // Where time begins with the machine, it may be too early for ten at once.
        Some(paid.checked_sub(AHEAD).unwrap_or(paid))
    }

    /// Begins the time of a line. How many were left out before it, if any.
    fn begin(&mut self, now: Instant) -> Option<u64> {
        self.paid_at = self.paid_at.map_or(now, |paid| paid.max(now)).checked_add(EACH);
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out > 0)
    }
}

/// At the end of a program there may be no time to wait for it.
impl Drop for Limited {
    fn drop(&mut self) {
        let State { level, left_out, .. } = *self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if left_out > 0 {
            count(level, left_out, self.what);
        }
    }
}

/// Writes the line that tells how many were left out.
fn count(level: Level, left_out: u64, what: &str) {
    match level {
        Level::ERROR => tracing::error!(left_out, "{what}"),
        Level::WARN => tracing::warn!(left_out, "{what}"),
        Level::INFO => tracing::info!(left_out, "{what}"),
        Level::DEBUG => tracing::debug!(left_out, "{what}"),
        Level::TRACE => tracing::trace!(left_out, "{what}"),
    }
}

impl fmt::Debug for LogLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLimit").field("what", &self.0.what).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use ::tokio::time::advance;

    use super::*;
    use crate::log::Log;

    fn knock(limit: &LogLimit, number: u32) {
        limit.line(|left_out| tracing::warn!(number, left_out, "somebody knocks"));
    }

    fn told(log: &Log, expected: &[impl AsRef<str>]) {
        let lines = log.lines_with("");
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains("WARN") && line.ends_with(expected.as_ref()), "{lines:?}");
        }
    }

    fn knocks(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| format!("somebody knocks number={number}")).collect()
    }

    #[::tokio::test(start_paused = true)]
    async fn ten_lines_are_written_at_once_and_then_one_a_second_with_the_number_of_the_others() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        // Every 10 ms for 2.5 s.
        for number in 0..250 {
            knock(&limit, number);
            advance(Duration::from_millis(10)).await;
        }
        let mut expected = knocks(0..10);
        expected
            .extend(["number=100 left_out=90", "number=200 left_out=99"].map(|line| format!("somebody knocks {line}")));
        told(&log, &expected);
    }

    #[::tokio::test(start_paused = true)]
    async fn after_some_quiet_ten_lines_may_come_again_and_after_less_fewer() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        let mut expected = Vec::new();
        for (number, lines, quiet) in [(0, 10, 3), (10, 3, 60), (20, 10, 1)] {
            (number..number + lines).for_each(|number| knock(&limit, number));
            advance(Duration::from_secs(quiet)).await;
            expected.extend(knocks(number..number + lines));
        }
        told(&log, &expected);
    }

    #[::tokio::test(start_paused = true)]
    async fn what_was_left_out_last_is_told_when_nothing_more_comes_and_nothing_is_told_twice() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        let mut expected = Vec::new();
        // The second time it is watched again, by one task.
        for number in [0, 20] {
            (number..number + 19).for_each(|number| knock(&limit, number));
            expected.extend(knocks(number..number + 10));
            expected.push("knocks left_out=9".into());
            ::tokio::time::sleep(Duration::from_secs(3)).await;
            told(&log, &expected);
            ::tokio::time::sleep(Duration::from_secs(60)).await;
            told(&log, &expected);
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        }
    }

    #[test]
    fn without_a_runtime_lines_are_bounded_as_well_and_the_rest_is_told_in_the_end() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        limit.lock().paid_at = Instant::now().checked_add(Duration::from_secs(3600));
        for number in 0..10 {
            knock(&limit, number);
        }
        told(&log, &[""; 0]);
        limit.lock().paid_at = Some(Instant::now());
        knock(&limit, 10);
        limit.lock().paid_at = Instant::now().checked_add(Duration::from_secs(3600));
        knock(&limit, 11);
        drop(limit);
        told(&log, &["somebody knocks number=10 left_out=10", "knocks left_out=1"]);
    }

    fn runtime() -> ::tokio::runtime::Runtime {
        ::tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn where_a_runtime_ends_before_all_is_told_the_next_one_tells() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        limit.lock().paid_at = Instant::now().checked_add(Duration::from_secs(3600));
        // The task of the first is polled, that of the second is not.
        runtime().block_on(async {
            knock(&limit, 0);
            ::tokio::task::yield_now().await;
        });
        runtime().block_on(async { knock(&limit, 1) });
        runtime().block_on(async {
            knock(&limit, 2);
            ::tokio::time::sleep(Duration::from_secs(7200)).await;
        });
        told(&log, &["knocks left_out=3"]);
    }

    #[test]
    fn in_a_runtime_without_timers_it_is_as_without_one_after_the_first_try() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        limit.lock().paid_at = Instant::now().checked_add(Duration::from_secs(3600));
        let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            knock(&limit, 0);
            ::tokio::task::yield_now().await;
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "it has panicked");
            knock(&limit, 1);
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "nobody tries again");
        });
        drop(limit);
        told(&log, &["knocks left_out=2"]);
    }

    #[test]
    fn the_count_of_what_was_left_out_has_the_level_of_its_lines() {
        for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR] {
            let (log, _logging) = Log::begin(Level::TRACE);
            let limit = LogLimit::new("knocks").with_level(level);
            let counts = || log.lines_with("knocks left_out=1");
            runtime().block_on(async {
                (0..11).for_each(|number| knock(&limit, number));
                ::tokio::time::sleep(Duration::from_secs(10)).await;
            });
            assert!(counts().len() == 1 && counts()[0].contains(level.as_str()), "{:?}", counts());
            // In the end it is as well.
            limit.lock().paid_at = Instant::now().checked_add(Duration::from_secs(3600));
            knock(&limit, 11);
            drop(limit);
            assert!(counts().len() == 2 && counts()[1].contains(level.as_str()), "{:?}", counts());
        }
    }

    #[test]
    fn it_says_what_it_is_for() {
        assert_eq!(format!("{:?}", LogLimit::new("knocks")), r#"LogLimit { what: "knocks", .. }"#);
    }
}
