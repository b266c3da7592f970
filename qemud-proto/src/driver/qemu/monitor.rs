//! QEMU's monitor (QMP): one connection to one guest, on which every wait has an end.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp::{Event, QmpCommand};
use qapi::{Command, ExecuteError};
use serde::{Deserialize, Serialize};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::failure::{Code, Failure, Reply};

/// What a guest is told, and what it answers.
#[derive(Clone)]
pub(super) struct Monitor {
    service: Arc<QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>>,
    /// Held until a command is answered, however long its caller waits; then whether that failed. A service that has lost
    /// its connection in the middle of a command must not be given another: it would panic.
    lost: Arc<Mutex<bool>>,
    /// The guest's name, for messages.
    guest: Arc<str>,
    limit: Duration,
}

/// What a guest tells of its own accord; it must be read for answers to come.
pub(super) struct Told(QapiEvents<QmpStreamTokio<ReadHalf<UnixStream>>>);

impl Told {
    /// The next event, or none when the connection has ended.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).await? {
            Ok(event) => Some(event),
            Err(error) => {
                tracing::debug!(%error, "a monitor said what cannot be understood");
                None
            }
        }
    }
}

impl Monitor {
    /// Connects to a socket that exists and reads the greeting.
    pub(super) async fn connect(socket: &Path, guest: &str, limit: Duration) -> Result<(Self, Told), ConnectError> {
        let stream = UnixStream::connect(socket).await.map_err(|_| ConnectError::NotYet)?;
        let greeted = async { QmpStreamTokio::open(stream).await?.negotiate().await };
        let Ok(greeted) = timeout(limit, greeted).await else {
            return Err(ConnectError::Failed(silent(guest, limit)));
        };
        let (service, events) = greeted
            .map_err(|error| {
                let message = format!("the monitor of domain '{guest}' is none: {error}");
                ConnectError::Failed(Failure::new(Code::OperationFailed, message))
            })?
            .into_parts();
        Ok((Self { service: Arc::new(service), lost: Arc::default(), guest: guest.into(), limit }, Told(events)))
    }

    /// Has the guest carry out a command.
    ///
    /// # Errors
    /// [`Code::OperationFailed`] with what QEMU says, or that it says nothing.
    pub(super) async fn execute<C>(&self, command: C) -> Reply<C::Ok>
    where
        C: QmpCommand + Command + Send + Sync + 'static,
        C::Ok: Send + 'static,
    {
        let silent = || silent(&self.guest, self.limit);
        let turn = timeout(self.limit, Arc::clone(&self.lost).lock_owned()).await;
        let mut lost = turn.map_err(|_| silent())?;
        if *lost {
            let message = format!("domain '{}' has lost its monitor", self.guest);
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let service = Arc::clone(&self.service);
        // A task of its own, since an answer that nobody waits for any more would end the connection.
        let answer = tokio::spawn(async move {
            let answer = service.execute(command).await;
            // An answer of another form than ours is no loss.
            *lost = matches!(&answer, Err(ExecuteError::Io(error)) if error.kind() != ErrorKind::InvalidData);
            answer
        });
        let answer = timeout(self.limit, answer).await.map_err(|_| silent())?;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(ExecuteError::Qapi(error))) => {
                let message = format!("domain '{}': QEMU says to {}: {}", self.guest, C::NAME, error.desc);
                Err(Failure::new(Code::OperationFailed, message))
            }
            Ok(Err(ExecuteError::Io(error))) => {
                let message = format!("domain '{}' lost its monitor in {}: {error}", self.guest, C::NAME);
                Err(Failure::new(Code::OperationFailed, message))
            }
            Err(_) => Err(Failure::new(Code::InternalError, "the task that waits for the monitor was lost")),
        }
    }
}

/// Why there is no connection.
pub(super) enum ConnectError {
    /// Nobody listens at the socket.
    NotYet,
    /// Somebody does, and is no monitor.
    Failed(Failure),
}

/// The guest does not answer.
fn silent(guest: &str, limit: Duration) -> Failure {
    let message = format!("domain '{guest}' does not answer: its monitor said nothing for {} s", limit.as_secs_f32());
    Failure::new(Code::OperationFailed, message)
}

/// `query-migrate` with no more of its answer than every version of QEMU has.
#[derive(Debug, Clone, Serialize)]
#[expect(non_camel_case_types, reason = "as the library's own commands")]
pub(super) struct query_migrate {}

impl QmpCommand for query_migrate {}

impl Command for query_migrate {
    const NAME: &'static str = "query-migrate";
    const ALLOW_OOB: bool = false;
    type Ok = Migration;
}

/// How far a migration is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Migration {
    /// Absent before the first.
    pub(super) status: Option<String>,
    pub(super) error_desc: Option<String>,
    pub(super) ram: Ram,
}

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ram {
    pub(super) total: u64,
    pub(super) remaining: u64,
    pub(super) transferred: u64,
}

impl Migration {
    /// Whether there is one that has not ended.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.status.as_deref(), None | Some("none" | "completed" | "failed" | "cancelled"))
    }

    /// Whether it has ended; with QEMU's reason where it failed.
    pub(super) fn outcome(&self) -> Option<Result<(), String>> {
        match self.status.as_deref() {
            Some("completed") => Some(Ok(())),
            Some(status @ ("failed" | "cancelled")) => {
                Some(Err(self.error_desc.clone().unwrap_or_else(|| format!("its migration is {status}"))))
            }
            _ => None,
        }
    }
}
