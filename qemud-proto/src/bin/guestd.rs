//! `guestd`: a daemon of the guest protocol.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::failure::Reply;
use qemud_proto::messages::DomainNames;
use rpc_frame::tokio::ServerConfig;
use rpc_frame::xdr::Encode;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Longest record, in bytes: 1024 names of 256 bytes are the longest reply, and 64 KiB of XML the longest call.
const RECORD_MAX: usize = 288 * 1024;
const _: () = assert!(matches!(<Reply<DomainNames> as Encode>::MAX_WIRE, Some(max) if max + 64 < RECORD_MAX));

/// Bytes of replies that a peer may leave unread before none of its calls is taken up.
const UNSENT_MAX: usize = 64 * 1024;

/// How long calls in flight may take when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Serve guests over the guest protocol (SunRPC program 0x20001A64, version 1).
///
/// The guests are those of the test driver: they live in memory and end with the daemon. For every socket one
/// line `listening unix PATH` or `listening tcp ADDRESS` goes to standard output; the log goes to standard
/// error, and RUST_LOG selects what is in it. SIGTERM and SIGINT end the daemon after the calls in flight.
#[derive(Parser)]
#[command(name = "guestd", version)]
struct Arguments {
    /// Listen on this unix socket (mode 0600) [default: $XDG_RUNTIME_DIR/guestd/guestd-sock, unless --tcp is given]
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,

    /// Listen on this TCP address, neither encrypted nor authenticated; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT")]
    tcp: Option<SocketAddr>,

    /// Begin without any guest, instead of one domain 'test' and one network 'default'
    #[arg(long)]
    empty: bool,

    /// Switch a procedure off, by its name in `guestctl procedures`; may be repeated
    #[arg(long, value_name = "NAME")]
    switch_off: Vec<String>,

    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,

    /// Events that are kept for a client that does not keep up; rounded up to a power of two
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    event_queue: u16,

    /// Seconds that a call may take before it is given up and fails; 0 for no limit, which then holds for saving and
    /// restoring a domain as well: else they have an hour
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    time_limit: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let selected = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter: Targets = selected.parse().context("RUST_LOG")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(filter).init();
    run(arguments).await
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let driver = if arguments.empty { TestDriver::new() } else { TestDriver::with_defaults()? };
    let driver = driver.with_event_queue(arguments.event_queue.into());
    let mut daemon = Daemon::new(Arc::new(driver));
    for name in &arguments.switch_off {
        daemon = daemon.switch_off(name).context("--switch-off")?;
    }
    let server = daemon.into_server(config(&arguments));

    let unix = match (&arguments.unix, arguments.tcp) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(_)) => None,
        (None, None) => {
            let path =
                qemud_proto::uri::default_socket().context("give --unix PATH, since XDG_RUNTIME_DIR is not set")?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
            Some(path)
        }
    };
    let _socket = match unix {
        Some(path) => {
            let listener = listen_unix(&path)?;
            let socket = RemovedAtEnd::new(path)?;
            announce("unix", &socket.path.display())?;
            let server = server.clone();
            tokio::spawn(async move { server.serve(listener).await });
            Some(socket)
        }
        None => None,
    };
    if let Some(address) = arguments.tcp {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        tracing::warn!(%address, "TCP is neither encrypted nor authenticated");
        announce("tcp", &address)?;
        let server = server.clone();
        tokio::spawn(async move { server.serve(listener).await });
    }

    tokio::select! {
        _ = terminate.recv() => tracing::info!("ending: SIGTERM"),
        _ = interrupt.recv() => tracing::info!("ending: SIGINT"),
    }
    if !server.shutdown(GRACE).await {
        tracing::warn!("calls were cut off after {} s", GRACE.as_secs());
    }
    Ok(())
}

/// What the daemon may cost.
fn config(arguments: &Arguments) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.max_connections = arguments.max_connections.into();
    config.time_limit = Some(Duration::from_secs(arguments.time_limit.into())).filter(|limit| !limit.is_zero());
    config.connection.max_record = RECORD_MAX;
    config.connection.max_unsent = UNSENT_MAX;
    config
}

/// Tells whoever started the daemon that a socket can be connected to.
fn announce(kind: &str, address: &dyn std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening {kind} {address}")?;
    out.flush()
}

/// A unix socket that only its owner can connect to. One that a dead daemon left behind is replaced.
fn listen_unix(path: &Path) -> anyhow::Result<UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            bail!("cannot listen on '{}': there is a file that is no socket", path.display());
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            bail!("cannot listen on '{}': another daemon does", path.display());
        }
        fs::remove_file(path).with_context(|| format!("cannot replace the socket '{}'", path.display()))?;
    }
    // Bound under a name of its own and then renamed, so that nobody connects before the mode is set.
    let begun = path.with_added_extension(format!("{}", std::process::id()));
    let listener = UnixListener::bind(&begun).with_context(|| format!("cannot listen on '{}'", path.display()))?;
    let named = fs::set_permissions(&begun, fs::Permissions::from_mode(0o600)).and_then(|()| fs::rename(&begun, path));
    if let Err(error) = named {
        let _ = fs::remove_file(&begun);
        return Err(error).with_context(|| format!("cannot listen on '{}'", path.display()));
    }
    Ok(listener)
}

/// The socket's name goes with the daemon, unless it is another's by then.
struct RemovedAtEnd {
    path: PathBuf,
    /// Device and number of the socket's own inode.
    inode: (u64, u64),
}

impl RemovedAtEnd {
    fn new(path: PathBuf) -> io::Result<Self> {
        let inode = inode(&path)?;
        Ok(Self { path, inode })
    }
}

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_ten_minutes_or_what_is_said_and_nothing_means_no_limit() {
        let limit = |given: &[&str]| config(&Arguments::parse_from([&["guestd"], given].concat())).time_limit;
        assert_eq!(limit(&[]), Some(Duration::from_secs(600)));
        assert_eq!(limit(&["--time-limit", "30"]), Some(Duration::from_secs(30)));
        assert_eq!(limit(&["--time-limit", "0"]), None);
    }
}
