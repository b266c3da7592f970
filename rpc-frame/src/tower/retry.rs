//! Which calls may be made again.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use ::tower::BoxError;
use ::tower::retry::Policy;
use ::tower::retry::backoff::Backoff;
use ::tower::retry::budget::Budget;

use super::call::Invocation;
use super::cause::find_cause;
use crate::procedure::ProcedureInfo;
use crate::tokio::CallError;

/// Whether a call that failed may be made again, and whether that is of use.
///
/// | the error | idempotent | not |
/// |---|---|---|
/// | [`NotConnected`](CallError::NotConnected): the server did not get the call | yes | yes |
/// | [`Closed`](CallError::Closed), [`DeadlineExceeded`](CallError::DeadlineExceeded), [`SystemErr`](CallError::SystemErr): it may have run | yes | no |
/// | any other: the same call gets the same answer | no | no |
///
/// ```
/// use rpc_frame::{ProcedureInfo, tokio::CallError, tower::may_repeat};
/// let get = ProcedureInfo::new(9, 1, 1, "Get").idempotent();
/// let add = ProcedureInfo::new(9, 1, 2, "Add");
/// assert!(may_repeat(&get, &CallError::DeadlineExceeded));
/// assert!(!may_repeat(&add, &CallError::DeadlineExceeded));
/// assert!(!may_repeat(&get, &CallError::GarbageArgs));
/// ```
#[must_use]
pub const fn may_repeat(procedure: &ProcedureInfo, error: &CallError) -> bool {
    match error {
        CallError::NotConnected(_) => true,
        // Results that do not decode may have run as well, but they are the procedure's answer, not an accident.
        CallError::Reply(_) => false,
        error => error.may_have_run() && procedure.idempotent,
    }
}

/// A `tower` retry policy that never runs a procedure twice unless it is `idempotent`: see [`may_repeat`].
///
/// Under layers whose error is a [`BoxError`], the [`CallError`] is looked for among its causes. Where there is none,
/// as when a timeout below the retries went off, the procedure may have run.
///
/// How long to wait between attempts, and how many to make under load, is left to `tower`: its backoffs and budgets.
///
/// ```
/// use std::sync::Arc;
/// use rpc_frame::tower::RetryIdempotent;
/// use tower::retry::budget::TpsBudget;
///
/// // At most three attempts a call, the first one included.
/// let policy = RetryIdempotent::new(3).with_budget(Arc::new(TpsBudget::default()));
/// ```
#[derive(Clone)]
pub struct RetryIdempotent<B = NoBackoff> {
    /// Attempts behind the first one.
    left: usize,
    backoff: B,
    budget: Option<Arc<dyn Budget + Send + Sync>>,
}

impl RetryIdempotent {
    /// At most so many attempts a call, the first one included, one behind the other.
    #[must_use]
    pub const fn new(attempts: usize) -> Self {
        Self { left: attempts.saturating_sub(1), backoff: NoBackoff, budget: None }
    }
}

impl<B> RetryIdempotent<B> {
    /// Waits before each further attempt, for example as `tower`'s `ExponentialBackoff` says.
    #[must_use]
    pub fn with_backoff<C: Backoff>(self, backoff: C) -> RetryIdempotent<C> {
        RetryIdempotent { left: self.left, backoff, budget: self.budget }
    }

    /// Shares a budget of further attempts with other calls: where most of them fail, more of them make it worse.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<dyn Budget + Send + Sync>) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl<B: Backoff> RetryIdempotent<B> {
    /// Books an attempt, and says when to make it. None where there is none left.
    fn again(&mut self) -> Option<B::Future> {
        self.left = self.left.checked_sub(1)?;
        if self.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return None;
        }
        Some(self.backoff.next_backoff())
    }

    fn decide<R>(&mut self, result: &Result<R, impl Sized>, may_repeat: bool) -> Option<B::Future> {
        match result {
            Ok(_) => {
                if let Some(budget) = &self.budget {
                    budget.deposit();
                }
                None
            }
            Err(_) if may_repeat => self.again(),
            Err(_) => None,
        }
    }
}

impl<C: Invocation + Clone, R, B: Backoff> Policy<C, R, CallError> for RetryIdempotent<B> {
    type Future = B::Future;

    fn retry(&mut self, call: &mut C, result: &mut Result<R, CallError>) -> Option<B::Future> {
        let may_repeat = result.as_ref().is_err_and(|error| may_repeat(&call.procedure(), error));
        self.decide(result, may_repeat)
    }

    fn clone_request(&mut self, call: &C) -> Option<C> {
        Some(call.clone())
    }
}

impl<C: Invocation + Clone, R, B: Backoff> Policy<C, R, BoxError> for RetryIdempotent<B> {
    type Future = B::Future;

    fn retry(&mut self, call: &mut C, result: &mut Result<R, BoxError>) -> Option<B::Future> {
        let procedure = call.procedure();
        let may_repeat = result.as_ref().is_err_and(|error| match find_cause(&**error) {
            Some(error) => may_repeat(&procedure, error),
            None => procedure.idempotent,
        });
        self.decide(result, may_repeat)
    }

    fn clone_request(&mut self, call: &C) -> Option<C> {
        Some(call.clone())
    }
}

impl<B: fmt::Debug> fmt::Debug for RetryIdempotent<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryIdempotent")
            .field("left", &self.left)
            .field("backoff", &self.backoff)
            .field("budget", &self.budget.is_some())
            .finish()
    }
}

/// The next attempt at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoBackoff;

impl Backoff for NoBackoff {
    type Future = Ready<()>;

    fn next_backoff(&mut self) -> Ready<()> {
        ready(())
    }
}
