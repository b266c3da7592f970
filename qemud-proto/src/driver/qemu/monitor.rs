//! QEMU's monitor (QMP): one connection to one guest, on which every wait has an end.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp::{Event, QmpCommand};
use qapi::{Command, ExecuteError};
use serde::{Deserialize, Serialize};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::failure::{Code, Failure, Reply};

const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
/// How long an answer that is overdue is waited for: a guest that hung may go on.
const MOMENT: Duration = Duration::from_secs(1);

/// What a guest is told, and what it answers.
#[derive(Clone)]
pub(super) struct Monitor {
    service: Arc<QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>>,
    /// Held until a command is answered, however long its caller waits; then whether that failed. A service that has lost
    /// its connection in the middle of a command must not be given another: it would panic.
    lost: Arc<Mutex<bool>>,
    /// When the command was given that has no answer yet. Whoever waits behind it does not wait for longer than it may take.
    asked: Arc<std::sync::Mutex<Option<Instant>>>,
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
        let (service, guest) = (Arc::new(service), guest.into());
        Ok((Self { service, lost: Arc::default(), asked: Arc::default(), guest, limit }, Told(events)))
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other command waits for its answer. A guest that has kept silent for as long as it may gets a moment.
    async fn turn(&self) -> Reply<OwnedMutexGuard<bool>> {
        let begin = Instant::now();
        // No limit at all is a century.
        let after = |asked: Instant| asked.checked_add(self.limit).unwrap_or(asked + CENTURY);
        let last = after(begin);
        loop {
            let asked = *self.asked();
            let until = asked.map_or(last, |asked| after(asked).max(begin + MOMENT).min(last));
            match timeout_at(until, Arc::clone(&self.lost).lock_owned()).await {
                Ok(turn) => return Ok(turn),
                // Else the next command is on its way by now.
                Err(_) if until == last || asked == *self.asked() => return Err(silent(&self.guest, self.limit)),
                Err(_) => {}
            }
        }
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
        let mut lost = self.turn().await?;
        if *lost {
            let message = format!("domain '{}' has lost its monitor", self.guest);
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let (service, asked) = (Arc::clone(&self.service), Arc::clone(&self.asked));
        *self.asked() = Some(Instant::now());
        // A task of its own, since an answer that nobody waits for any more would end the connection.
        let answer = tokio::spawn(async move {
            let answer = service.execute(command).await;
            // An answer of another form than ours is no loss.
            *lost = matches!(&answer, Err(ExecuteError::Io(error)) if error.kind() != ErrorKind::InvalidData);
            *asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
            answer
        });
        let answer = timeout(self.limit, answer).await.map_err(|_| silent(&self.guest, self.limit))?;
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

#[cfg(test)]
mod tests {
    use qapi::qmp::query_status;
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
    use tokio::net::UnixListener;
    use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// The guest's side of a connection, which answers when it is told to.
    struct Guest(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf);

    impl Guest {
        async fn accept(listener: UnixListener) -> Self {
            let (read, write) = listener.accept().await.unwrap().0.into_split();
            let mut guest = Self(BufReader::new(read).lines(), write);
            let version = json!({"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""});
            guest.say(&json!({"QMP": {"version": version, "capabilities": []}})).await;
            guest.answer(json!({})).await;
            guest
        }

        async fn say(&mut self, what: &Value) {
            self.1.write_all(format!("{what}\n").as_bytes()).await.unwrap();
        }

        async fn answer(&mut self, what: Value) {
            let command: Value = serde_json::from_str(&self.0.next_line().await.unwrap().unwrap()).unwrap();
            let mut answer = json!({"return": what});
            if let Some(id) = command.get("id") {
                answer["id"] = id.clone();
            }
            self.say(&answer).await;
        }
    }

    #[tokio::test]
    async fn a_guest_that_does_not_answer_takes_its_time_once_and_is_heard_when_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("monitor");
        let listener = UnixListener::bind(&socket).unwrap();
        let (connected, mut guest) = tokio::join!(Monitor::connect(&socket, "a", LIMIT), Guest::accept(listener));
        let Ok((monitor, mut told)) = connected else { panic!("it was greeted") };
        tokio::spawn(async move { while told.next().await.is_some() {} });
        tokio::time::pause();
        let ask = async || {
            let begin = Instant::now();
            let failure = monitor.execute(query_status {}).await.unwrap_err();
            assert_eq!(failure, silent("a", LIMIT));
            // Timers have milliseconds.
            Duration::from_secs_f64(begin.elapsed().as_secs_f64().round())
        };
        let late = async |after| {
            tokio::time::sleep(after).await;
            ask().await
        };
        // The second asks while the first still waits, and the others when that has waited in vain.
        assert_eq!(tokio::join!(ask(), late(Duration::from_secs(4))), (LIMIT, LIMIT - Duration::from_secs(4)));
        assert_eq!([ask().await, ask().await], [MOMENT; 2]);
        tokio::time::resume();
        let status = json!({"running": true, "status": "running"});
        let (asked, ()) = tokio::join!(monitor.execute(query_status {}), async {
            for _ in 0..2 {
                guest.answer(status.clone()).await;
            }
        });
        assert!(asked.unwrap().running);
    }
}
