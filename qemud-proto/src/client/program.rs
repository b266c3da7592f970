//! Programs that lead to a daemon: ssh, and any other that joins its standard input and output to one.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_frame::tokio::CallError;
use shlex::Quoter;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::ConnectError;
use crate::characters::escaped;
use crate::uri::{ConnectUri, Proxy, Sockets, Ssh};

/// What is kept of a program's standard error, in bytes.
const SAID: usize = 8 * 1024;

/// How long a program that has let go of its connection may go on talking.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What to run.
pub(super) struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Command {
    /// A program without arguments.
    pub(super) fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), arguments: Vec::new() }
    }

    /// The system's ssh, which runs a proxy at its far side.
    pub(super) fn ssh(ssh: &Ssh, uri: &ConnectUri) -> Self {
        let mut command = Self::new(ssh.command.as_deref().unwrap_or(Path::new("ssh")));
        // No terminal at the far side, and no letter of ours is a command for ssh.
        command.add(["-T", "-e", "none"]);
        if !ssh.questions {
            command.add(["-o", "BatchMode=yes"]);
        }
        if !ssh.verify {
            tracing::warn!(host = ssh.host, "the host's key is not checked");
            command.add(["-o", "StrictHostKeyChecking=no"]);
        }
        if let Some(port) = ssh.port {
            command.add(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = &ssh.user {
            command.add(["-l", user]);
        }
        if let Some(keyfile) = &ssh.keyfile {
            command.add([OsString::from("-i"), keyfile.into()]);
        }
        command.add(["--", &ssh.host]);
        // Whatever shell the far side has, it runs this one.
        command.add(["sh -c ".to_owned() + &quoted(&far_side(ssh, uri))]);
        command
    }

    fn add<A: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = A>) {
        self.arguments.extend(arguments.into_iter().map(Into::into));
    }

    /// Starts the program, which ends with the channel.
    pub(super) fn run(self) -> Result<(Channel, Program), ConnectError> {
        let failed = |source| ConnectError::NotRun { program: self.program.clone(), source };
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed(io::Error::other("it has no standard streams")));
        };
        let said = Arc::new(Said::default());
        let (speaks, silence) = watch::channel(());
        let listening = tokio::spawn(listen(self.program.clone(), errors, Arc::clone(&said), speaks));
        let last_words = LastWords { silence, listening: listening.abort_handle() };
        let channel =
            Channel { output, input: Some(input), last_words: Some(last_words.clone()), heard: None, _child: child };
        Ok((channel, Program { program: self.program, said, last_words }))
    }
}

/// What runs at the far side of ssh: it joins its standard input and output to the socket.
fn far_side(ssh: &Ssh, uri: &ConnectUri) -> String {
    let socket = match &ssh.socket {
        Some(socket) => quoted(&socket.to_string_lossy()),
        None if uri.is_of_session() => r#""${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/guestd/guestd-sock""#.to_owned(),
        None => quoted(&Sockets::system().pick(uri.read_only).to_string_lossy()),
    };
    let netcat = ssh.netcat.as_ref().map_or_else(|| "nc".to_owned(), |netcat| quoted(&netcat.to_string_lossy()));
    let native = format!("exec guestctl proxy {socket}");
    // Some netcats stay when their input ends unless they are told not to, and others know no such option.
    let netcat = format!(
        "if {netcat} -h 2>&1 | grep -q -e ' -N\\|-[A-Za-z]*N[A-Za-z]*\\]'; then exec {netcat} -N -U {socket}; \
         else exec {netcat} -U {socket}; fi"
    );
    match ssh.proxy {
        Proxy::Native => native,
        Proxy::Netcat => netcat,
        Proxy::Auto if ssh.netcat.is_some() => netcat,
        Proxy::Auto => format!("if command -v guestctl >/dev/null 2>&1; then {native}; else {netcat}; fi"),
    }
}

/// As one word of a shell. The parts of a URI have no control characters, so that there is always a way.
fn quoted(text: &str) -> String {
    Quoter::new().allow_nul(true).quote(text).map_or_else(|_| "''".to_owned(), |text| text.into_owned())
}

/// A program that is running, and what it has to say.
pub(super) struct Program {
    program: PathBuf,
    said: Arc<Said>,
    last_words: LastWords,
}

/// What a program wrote to its standard error.
#[derive(Default)]
struct Said {
    /// The last of it.
    last: Mutex<Vec<u8>>,
    /// Whether it has led to a daemon. What it says then is why the connection will be lost, mostly.
    has_led: AtomicBool,
}

/// The end of what a program says.
#[derive(Clone)]
struct LastWords {
    silence: watch::Receiver<()>,
    listening: AbortHandle,
}

impl LastWords {
    /// Waits until a program that has let go of its connection has said all.
    async fn heard(mut self) {
        let silent = async { while self.silence.changed().await.is_ok() {} };
        if tokio::time::timeout(LAST_WORDS, silent).await.is_err() {
            // It has left another program behind, which keeps its standard error open.
            self.listening.abort();
        }
    }
}

impl Program {
    /// Says that it has led to a daemon.
    pub(super) fn has_led(self) {
        self.said.has_led.store(true, Ordering::Relaxed);
    }

    /// Why the connection through it was lost.
    pub(super) async fn failed(self, source: CallError) -> ConnectError {
        self.last_words.heard().await;
        let said = self.said.last.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        ConnectError::Program { program: self.program, said, source }
    }
}

/// Passes a program's complaints on to the log, and keeps the last of them. `_speaks` goes when the program is silent.
async fn listen(program: PathBuf, errors: ChildStderr, said: Arc<Said>, _speaks: watch::Sender<()>) {
    let mut errors = BufReader::new(errors);
    loop {
        let line = match errors.fill_buf().await {
            Ok(line) if !line.is_empty() => line,
            _ => break,
        };
        let len = line.len();
        for line in String::from_utf8_lossy(line).lines() {
            let (program, line) = (program.display(), escaped(line.trim_end()));
            if said.has_led.load(Ordering::Relaxed) {
                tracing::warn!(%program, "{line}");
            } else {
                // If the connection fails for it, the error has it as well.
                tracing::info!(%program, "{line}");
            }
        }
        {
            let mut said = said.last.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(line);
            let surplus = said.len().saturating_sub(SAID);
            said.drain(..surplus);
        }
        errors.consume(len);
    }
}

/// The program's standard input and output. When it is dropped, the program is killed. It ends when the program has let go
/// of it and has said why.
pub(super) struct Channel {
    output: ChildStdout,
    /// Until all is said: only a pipe that is closed says so.
    input: Option<ChildStdin>,
    /// Until the program lets go.
    last_words: Option<LastWords>,
    /// From then until it has said all.
    heard: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _child: Child,
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        if self.heard.is_none() {
            ready!(Pin::new(&mut self.output).poll_read(cx, buf))?;
            if buf.remaining() < room || room == 0 {
                return Poll::Ready(Ok(()));
            }
            self.heard = self.last_words.take().map(|last_words| Box::pin(last_words.heard()) as _);
        }
        if let Some(heard) = &mut self.heard {
            ready!(heard.as_mut().poll(cx));
            self.heard = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().map_or(Poll::Ready(Ok(())), |input| Pin::new(input).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_program_hears_the_end_of_what_it_is_told_and_can_still_answer() {
        // It writes when all has been read.
        let mut command = Command::new(Path::new("sort"));
        command.add(["-r"]);
        let (mut channel, _program) = command.run().unwrap();
        channel.write_all(b"first\nsecond\n").await.unwrap();
        channel.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(60), channel.read_to_string(&mut answer)).await.expect("it has heard").unwrap();
        assert_eq!(answer, "second\nfirst\n");
        assert_eq!(channel.write_all(b"third").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
