//! How hard a client tries to have a connection.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The waits between attempts, one after the other.
pub(super) type Waits = <ExponentialBuilder as BackoffBuilder>::Backoff;

/// The longest wait that is taken at its word.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How hard a [`ReconnectingClient`](super::ReconnectingClient) tries to have a connection. All of it is finite.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconnectPolicy {
    /// Most attempts in a row before the calls that wait for them fail: 5. At least one is made. The next call begins
    /// anew, but not before the wait that is due.
    pub tries: usize,
    /// Longest time for one attempt, the set-up of the session included: 10 s.
    pub patience: Duration,
    /// The wait before the second attempt: 100 ms. Doubled each time. A connection that lasts for less than
    /// `longest_wait` counts as a failed attempt.
    pub first_wait: Duration,
    /// The longest of these waits: 10 s. A day is the most.
    pub longest_wait: Duration,
    /// Whether up to as much again is added to each wait, at random, so that the clients of a server that comes back do
    /// not all come at once: yes.
    pub jitter: bool,
    /// How often one call is sent at most, each time on another connection: 3 times. A call of which the end had not been
    /// sent counts; one that may have run is sent again only if its procedure is marked `idempotent`. With 1 nothing
    /// is ever sent again.
    pub max_sends: usize,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            tries: 5,
            patience: Duration::from_secs(10),
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(10),
            jitter: true,
            max_sends: 3,
        }
    }
}

impl ReconnectPolicy {
    /// Sets how many attempts in a row are made before the calls that wait for them fail.
    #[must_use]
    pub const fn with_tries(mut self, tries: usize) -> Self {
        self.tries = tries;
        self
    }

    /// Sets how long one attempt may take.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the first and the longest wait between attempts.
    #[must_use]
    pub const fn with_waits(mut self, first: Duration, longest: Duration) -> Self {
        self.first_wait = first;
        self.longest_wait = longest;
        self
    }

    /// Sets whether the waits vary at random.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how often one call is sent at most.
    #[must_use]
    pub const fn with_max_sends(mut self, max_sends: usize) -> Self {
        self.max_sends = max_sends;
        self
    }

    pub(super) fn waits(&self) -> Waits {
        let longest = self.longest_wait.min(DAY);
        let waits = ExponentialBuilder::new()
            .with_min_delay(self.first_wait.min(longest))
            .with_max_delay(longest)
            .without_max_times();
        if self.jitter { waits.with_jitter().build() } else { waits.build() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_waits_double_up_to_the_longest_and_jitter_adds_less_than_as_much_again() {
        let policy = ReconnectPolicy::default();
        let plain: Vec<_> = policy.clone().with_jitter(false).waits().take(9).map(|wait| wait.as_millis()).collect();
        assert_eq!(plain, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        let mut differ = false;
        for (wait, plain) in policy.waits().zip(plain) {
            let wait = wait.as_micros();
            assert!((plain * 1000..=plain * 2000).contains(&wait), "{wait} us for {plain} ms");
            differ |= wait != plain * 1000;
        }
        assert!(differ);
    }

    #[test]
    fn waits_of_any_length_are_given_without_end() {
        for (first, longest) in [(Duration::ZERO, Duration::ZERO), (Duration::MAX, Duration::MAX)] {
            let waits = ReconnectPolicy::default().with_waits(first, longest).waits();
            assert_eq!(waits.take(100).filter(|wait| *wait <= DAY * 2).count(), 100);
        }
    }
}
