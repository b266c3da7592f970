//! How many calls came, and to what end.

use crate::connection::Outcome;
use crate::message::{AcceptStatus, RejectedReply};

/// How many calls of peers came, and to what end each. The numbers only grow, and stop at their largest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounters {
    /// Calls that were taken up.
    pub calls: u64,
    /// Answered with results.
    pub succeeded: u64,
    /// Answered PROG_UNAVAIL.
    pub prog_unavail: u64,
    /// Answered PROG_MISMATCH.
    pub prog_mismatch: u64,
    /// Answered PROC_UNAVAIL.
    pub proc_unavail: u64,
    /// Answered GARBAGE_ARGS.
    pub garbage_args: u64,
    /// Answered SYSTEM_ERR.
    pub system_err: u64,
    /// Answered RPC_MISMATCH.
    pub rpc_mismatch: u64,
    /// Answered AUTH_ERROR.
    pub auth_error: u64,
    /// Not answered: `oneway`, or the connection ended before.
    pub unanswered: u64,
}

impl CallCounters {
    /// Calls that came to an end.
    #[must_use]
    pub fn ended(&self) -> u64 {
        let [_, ends @ ..] = self.numbers();
        ends.into_iter().fold(0, u64::saturating_add)
    }

    /// Calls that were taken up and have not ended.
    ///
    /// ```
    /// use rpc_frame::CallCounters;
    /// assert_eq!(CallCounters::default().in_flight(), 0);
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.calls.saturating_sub(self.ended())
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self.numbers();
        for (number, more) in sum.iter_mut().zip(other.numbers()) {
            *number = number.saturating_add(more);
        }
        Self::from_numbers(sum)
    }

    /// What has been counted since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let mut rest = self.numbers();
        for (number, less) in rest.iter_mut().zip(before.numbers()) {
            *number = number.saturating_sub(less);
        }
        Self::from_numbers(rest)
    }

    /// How many numbers there are.
    pub(crate) const NUMBERS: usize = 10;

    /// The numbers in a row: first the calls, and then their ends.
    #[inline]
    pub(crate) const fn numbers(self) -> [u64; Self::NUMBERS] {
        let Self { calls, succeeded, prog_unavail, prog_mismatch, proc_unavail, garbage_args, .. } = self;
        let Self { system_err, rpc_mismatch, auth_error, unanswered, .. } = self;
        [
            calls,
            succeeded,
            prog_unavail,
            prog_mismatch,
            proc_unavail,
            garbage_args,
            system_err,
            rpc_mismatch,
            auth_error,
            unanswered,
        ]
    }

    /// [`numbers`](Self::numbers), back again.
    pub(crate) const fn from_numbers(numbers: [u64; Self::NUMBERS]) -> Self {
        let [calls, succeeded, prog_unavail, prog_mismatch, proc_unavail, garbage_args, ..] = numbers;
        let [.., system_err, rpc_mismatch, auth_error, unanswered] = numbers;
        Self {
            calls,
            succeeded,
            prog_unavail,
            prog_mismatch,
            proc_unavail,
            garbage_args,
            system_err,
            rpc_mismatch,
            auth_error,
            unanswered,
        }
    }

    pub(crate) const fn called(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    pub(crate) const fn succeed(&mut self) {
        self.succeeded = self.succeeded.saturating_add(1);
    }

    pub(crate) const fn leave(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }

    pub(crate) const fn refuse(&mut self, outcome: Outcome) {
        let number = match outcome {
            Outcome::Accepted(AcceptStatus::Success) => &mut self.succeeded,
            Outcome::Accepted(AcceptStatus::ProgUnavail) => &mut self.prog_unavail,
            Outcome::Accepted(AcceptStatus::ProgMismatch { .. }) => &mut self.prog_mismatch,
            Outcome::Accepted(AcceptStatus::ProcUnavail) => &mut self.proc_unavail,
            Outcome::Accepted(AcceptStatus::GarbageArgs) => &mut self.garbage_args,
            Outcome::Accepted(AcceptStatus::SystemErr) => &mut self.system_err,
            Outcome::Denied(RejectedReply::RpcMismatch { .. }) => &mut self.rpc_mismatch,
            Outcome::Denied(RejectedReply::AuthError(_)) => &mut self.auth_error,
        };
        *number = number.saturating_add(1);
    }
}
