//! One connection of libvirt, and the threads that wait for it.
//!
//! libvirt's calls block. Each has a thread, so that no task waits, and there are few of them, so that a libvirtd that
//! hangs takes no more than those. Threads of their own, because a runtime waits for its blocking tasks when it ends. A
//! connection that is lost is opened anew by the next call.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use virt::connect::Connect;

use super::terms::failure;
use crate::failure::{Code, Failure, Reply};

/// Calls of a connection at a time.
const CALLS_MAX: usize = 8;
/// How long a call waits for its turn, and for the connection to be open.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds after which libvirt asks a silent libvirtd whether it is there, and how often before it gives up.
const KEEPALIVE: (i32, u32) = (5, 3);

pub(super) struct Link {
    shared: Arc<Shared>,
    turns: Arc<Semaphore>,
    patience: Duration,
}

struct Shared {
    uri: String,
    /// None before the first call, and after the connection was lost.
    open: Mutex<Option<Arc<Open>>>,
}

/// A connection that is closed when nobody uses it any more.
struct Open(Connect);

impl Drop for Open {
    fn drop(&mut self) {
        // The last reference makes a call of libvirtd, which may be slow to answer.
        let mut last = self.0.clone();
        let _ = self.0.close();
        let _ = thread::Builder::new().name("libvirt-close".to_owned()).spawn(move || last.close());
    }
}

impl Link {
    pub(super) fn new(uri: &str) -> Self {
        let shared = Shared { uri: uri.to_owned(), open: Mutex::default() };
        Self { shared: Arc::new(shared), turns: Arc::new(Semaphore::new(CALLS_MAX)), patience: PATIENCE }
    }

    pub(super) fn uri(&self) -> &str {
        &self.shared.uri
    }

    /// Does this with the connection, in a thread. Where the caller goes away before it begins, it is not done; later it goes
    /// on to its end.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connect) -> Reply<T> + Send + 'static,
    ) -> Reply<T> {
        let silent = |_| {
            let (uri, patience) = (self.uri(), self.patience);
            Failure::new(Code::NoConnect, format!("libvirt has not answered for '{uri}' in {patience:?}"))
        };
        let turn = timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await.map_err(silent)?;
        let (begins, begun) = oneshot::channel();
        let (ends, ended) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("libvirt".to_owned()).spawn(move || {
            let _turn = turn;
            let reply = shared.connect().and_then(|open| {
                begins.send(()).map_err(|()| Failure::new(Code::OperationFailed, "its caller is gone"))?;
                work(&open.0)
            });
            // It may be that nobody waits any more.
            let _ = ends.send(reply);
        });
        thread.map_err(|error| Failure::new(Code::OperationFailed, format!("cannot begin a thread: {error}")))?;
        // An error means that it has ended already.
        let _ = timeout(self.patience, begun).await.map_err(silent)?;
        ended.await.map_err(|_| Failure::new(Code::InternalError, "a call of libvirt was cut off by a defect"))?
    }
}

impl Shared {
    /// The connection, opened if there is none that lasts. Whoever comes meanwhile waits for it.
    fn connect(&self) -> Reply<Arc<Open>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| open.0.is_alive().unwrap_or(false)) {
            return Ok(Arc::clone(open));
        }
        if open.take().is_some() {
            tracing::info!(uri = self.uri, "the connection of libvirt is lost, and opened anew");
        }
        events()?;
        let connect = Connect::open(Some(&self.uri)).map_err(|error| failure(&error))?;
        let connect = Arc::new(Open(connect));
        // Connections within this process have none, and need none.
        if let Err(error) = connect.0.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
            tracing::debug!(uri = self.uri, %error, "no keepalive");
        }
        *open = Some(Arc::clone(&connect));
        Ok(connect)
    }
}

/// Begins libvirt's event loop, once in this process and before the first connection: it sees that a connection is lost, and
/// keeps others alive.
fn events() -> Reply<()> {
    static BEGUN: OnceLock<Reply<()>> = OnceLock::new();
    let begin = || {
        // What fails is told to whoever asked for it; libvirt would write it to standard error as well.
        virt::error::clear_error_callback();
        virt::event::event_register_default_impl().map_err(|error| failure(&error))?;
        let run = || while virt::event::event_run_default_impl().is_ok() {};
        let thread = thread::Builder::new().name("libvirt-events".to_owned()).spawn(run);
        thread.map_err(|error| Failure::new(Code::OperationFailed, format!("cannot begin a thread: {error}")))?;
        Ok(())
    };
    BEGUN.get_or_init(begin).clone()
}

#[cfg(test)]
mod tests;
