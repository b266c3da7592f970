//! The present connection of a client, and the attempts to get another, which all its calls share.

use std::boxed::Box;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ::tokio::sync::watch;
use ::tokio::task::AbortHandle;
use ::tokio::time::{Instant, sleep_until, timeout};

use super::policy::{ReconnectPolicy, Waits};
use crate::tokio::client::Client;
use crate::tokio::error::ClosedError;

/// A future without a name.
pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What sets up a session on a new connection.
pub(super) type SetUp = dyn Fn(Client) -> Boxed<Result<(), Box<dyn Error + Send + Sync>>> + Send + Sync;

/// How connections are opened.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connect: Arc<dyn Fn() -> Boxed<io::Result<Client>> + Send + Sync>,
    pub(super) set_up: Option<Arc<SetUp>>,
    pub(super) policy: ReconnectPolicy,
}

type Outcome = Result<Client, ClosedError>;

/// The connection that the clones of a client share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    state: Mutex<State>,
}

struct State {
    present: Present,
    /// The waits that follow.
    waits: Waits,
    /// When the next attempt may be made.
    not_before: Instant,
}

enum Present {
    None,
    Connecting(Connecting),
    Connected { client: Client, since: Instant },
}

/// A row of attempts, in a task that ends with it. It goes on when a call that waits for it is given up.
struct Connecting {
    outcome: watch::Receiver<Option<Outcome>>,
    task: AbortHandle,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A failed attempt, and whether another may do better.
struct Failure {
    why: ClosedError,
    again: bool,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        let waits = settings.policy.waits();
        let state = State { present: Present::None, waits, not_before: Instant::now() };
        Arc::new(Self { settings, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of a connection that is not lost as far as is known. It is waited for if there is none.
    pub(super) async fn connected(self: &Arc<Self>) -> Outcome {
        let mut outcome = match self.present() {
            Ok(client) => return Ok(client),
            Err(outcome) => outcome,
        };
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // The task is gone without a word.
            Ok(None) | Err(_) => {
                Err(io::Error::other("what opens connections has panicked, or its runtime has ended").into())
            }
        }
    }

    /// The present client, or the attempts that are being made: those of others, or new ones.
    fn present(self: &Arc<Self>) -> Result<Client, watch::Receiver<Option<Outcome>>> {
        let mut state = self.lock();
        match &state.present {
            Present::Connected { client, .. } if client.close_reason().is_none() => return Ok(client.clone()),
            Present::Connected { since, .. } => {
                let since = *since;
                state.lost(since, &self.settings.policy);
            }
            Present::Connecting(connecting) if connecting.is_under_way() => return Err(connecting.outcome.clone()),
            Present::Connecting(_) | Present::None => {}
        }
        let (sender, outcome) = watch::channel(None);
        let task = ::tokio::spawn(connect(self.settings.clone(), Arc::downgrade(self), sender)).abort_handle();
        state.present = Present::Connecting(Connecting { outcome: outcome.clone(), task });
        Err(outcome)
    }
}

impl Connecting {
    fn is_under_way(&self) -> bool {
        self.outcome.has_changed().is_ok() && self.outcome.borrow().is_none()
    }
}

impl State {
    /// Sets when the next attempt may be made, behind one that ended or a connection that began then.
    fn wait_after(&mut self, when: Instant) {
        let wait = self.waits.next().unwrap_or_default();
        self.not_before = when.checked_add(wait).unwrap_or(when);
    }

    /// The connection is lost. One that has lasted shows that the server is well again.
    fn lost(&mut self, since: Instant, policy: &ReconnectPolicy) {
        if since.elapsed() >= policy.longest_wait {
            self.waits = policy.waits();
            self.not_before = since;
        } else {
            self.wait_after(since);
        }
    }
}

/// Makes attempts until one succeeds, or there is no point in another.
async fn connect(settings: Settings, shared: Weak<Shared>, sender: watch::Sender<Option<Outcome>>) {
    let mut left = settings.policy.tries.max(1);
    loop {
        let Some(not_before) = shared.upgrade().map(|shared| shared.lock().not_before) else { return };
        sleep_until(not_before).await;
        let attempt = attempt(&settings).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.lock();
        left = left.saturating_sub(1);
        let outcome = match attempt {
            Ok(client) => {
                state.present = Present::Connected { client: client.clone(), since: Instant::now() };
                Ok(client)
            }
            Err(Failure { why, again }) => {
                state.wait_after(Instant::now());
                tracing::debug!(error = %why, left, "cannot connect");
                if again && left > 0 {
                    continue;
                }
                state.present = Present::None;
                Err(why)
            }
        };
        drop(state);
        sender.send_replace(Some(outcome));
        return;
    }
}

/// Opens one connection and sets up its session.
async fn attempt(settings: &Settings) -> Result<Client, Failure> {
    let opened = async {
        let client = (settings.connect)().await.map_err(|error| Failure { why: error.into(), again: true })?;
        let Some(set_up) = &settings.set_up else { return Ok(client) };
        match (set_up(client.clone()).await, client.close_reason()) {
            (Ok(()), None) => Ok(client),
            (_, Some(why)) => Err(Failure { why, again: true }),
            (Err(error), None) => Err(Failure { why: ClosedError::SetUp(Arc::from(error)), again: false }),
        }
    };
    match timeout(settings.policy.patience, opened).await {
        Ok(opened) => opened,
        Err(_) => Err(Failure { why: io::Error::from(io::ErrorKind::TimedOut).into(), again: true }),
    }
}
