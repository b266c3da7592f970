//! Lines of the log that a peer can cause: a flood of them is a line a second.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::tokio::runtime::Handle;
use ::tokio::time::{Instant, sleep_until};

/// How long a line has the log for itself.
const QUIET: Duration = Duration::from_secs(1);

/// A bound on lines of the log that a peer can cause as often as it likes: the first is written at once, and then one a
/// second, which says how many were left out. Clones share it.
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
/// for name in ["%n", "..", "con"] {
///     registry.refuse(name); // once
/// }
/// ```
///
/// When no more comes, what was left out last is told after another second, by a line of level WARN: `refused names, left_out=2`.
/// Its time is tokio's; without a runtime that line waits for the next one to be written.
#[derive(Clone)]
pub struct LogLimit(Arc<Limited>);

struct Limited {
    /// What is told of lines that were left out.
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// No line is written before.
    quiet_until: Option<Instant>,
    left_out: u64,
    /// There is a task that tells of what was left out last.
    is_watched: bool,
}

impl LogLimit {
    /// A bound on lines of one kind. `what` they tell of stands alone in the line that counts those which were left out.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self(Arc::new(Limited { what, state: Mutex::default() }))
    }

    /// Writes a line, which is given how many have been left out since the last, unless it is left out itself.
    pub fn line(&self, write: impl FnOnce(Option<u64>)) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.quiet_until.is_none_or(|until| until <= now) {
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
            runtime.spawn(self.clone().watch());
        }
    }

    /// Tells of what was left out when there are no more lines to do so.
    async fn watch(self) {
        while let Some(time) = self.next_look() {
            sleep_until(time).await;
        }
    }

    /// When to look again; none where all is told.
    fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        // A line within this time tells of it.
        match state.quiet_until.and_then(|until| until.checked_add(QUIET)) {
            Some(time) if now < time && state.left_out > 0 => return Some(time),
            _ => state.is_watched = false,
        }
        let left_out = if state.left_out > 0 { state.begin(now) } else { None };
        drop(state);
        if let Some(left_out) = left_out {
            tracing::warn!(left_out, "{}", self.0.what);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins the time of a line. How many were left out before it, if any.
    fn begin(&mut self, now: Instant) -> Option<u64> {
        self.quiet_until = now.checked_add(QUIET);
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out > 0)
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

    use ::tokio::time::advance;
    use tracing::Level;

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

    #[::tokio::test(start_paused = true)]
    async fn the_first_line_is_written_at_once_and_then_one_a_second_with_the_number_of_the_others() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        // Every 10 ms for 2.5 s.
        for number in 0..250 {
            knock(&limit, number);
            advance(Duration::from_millis(10)).await;
        }
        let expected = ["number=0", "number=100 left_out=99", "number=200 left_out=99"];
        told(&log, &expected.map(|line| format!("somebody knocks {line}")));
    }

    #[::tokio::test(start_paused = true)]
    async fn what_was_left_out_last_is_told_when_nothing_more_comes_and_nothing_is_told_twice() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        for number in 0..10 {
            knock(&limit, number);
        }
        ::tokio::time::sleep(Duration::from_secs(60)).await;
        told(&log, &["somebody knocks number=0", "knocks left_out=9"]);
        knock(&limit, 10);
        ::tokio::time::sleep(Duration::from_secs(60)).await;
        told(&log, &["somebody knocks number=0", "knocks left_out=9", "somebody knocks number=10"]);
        // It is watched again, and by as many tasks as before.
        for number in 11..13 {
            knock(&limit, number);
        }
        ::tokio::time::sleep(Duration::from_secs(60)).await;
        let lines = log.lines_with("");
        assert!(lines.len() == 5 && lines[4].ends_with("knocks left_out=1"), "{lines:?}");
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    }

    #[test]
    fn without_a_runtime_lines_are_bounded_as_well() {
        let (log, _logging) = Log::begin(Level::WARN);
        let limit = LogLimit::new("knocks");
        knock(&limit, 0);
        limit.lock().quiet_until = Instant::now().checked_add(Duration::from_secs(3600));
        for number in 1..10 {
            knock(&limit, number);
        }
        limit.lock().quiet_until = Some(Instant::now());
        knock(&limit, 10);
        told(&log, &["somebody knocks number=0", "somebody knocks number=10 left_out=9"]);
    }

    #[test]
    fn it_says_what_it_is_for() {
        assert_eq!(format!("{:?}", LogLimit::new("knocks")), r#"LogLimit { what: "knocks", .. }"#);
    }
}
