//! Every way to the daemon.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::unistd::Uid;
use qemud_proto::daemon::GuestServer;
use qemud_proto::uri::Sockets;
use rpc_frame::tls::{ServerTls, TlsListener};
use rpc_frame::tokio::{Listener, PeerLimit};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::activation::Passed;
use crate::settings::Settings;
use crate::sockets::{self, Access, Socket, group};

/// What is listened on. It ends when this is dropped, and the names of its sockets with it.
pub(crate) struct Listening {
    tls: Option<ServerTls>,
    tasks: JoinSet<()>,
}

impl Listening {
    /// Looks whether the settings lead anywhere.
    pub(crate) fn check(settings: &Settings, passed: &Passed) -> anyhow::Result<()> {
        settings.unix_group.as_deref().map(group).transpose()?;
        settings.tls_allow()?;
        if settings.tls.is_some() || !passed.tls.is_empty() {
            tls(settings)?;
        }
        // The usual one's folder is made where it is missing.
        let all = unix_path(settings, passed)?.filter(|_| settings.unix.is_some());
        all.iter().chain(&settings.unix_read_only).try_for_each(|path| sockets::check(path))
    }

    /// Listens on every socket of the settings, and on those that were passed.
    pub(crate) async fn begin(settings: &Settings, passed: Passed, server: &GuestServer) -> anyhow::Result<Self> {
        let tls = if settings.tls.is_some() || !passed.tls.is_empty() { Some(tls(settings)?) } else { None };
        let limit = PeerLimit::new(settings.per_peer());
        let elsewhere = PeerLimit::of_all(settings.places_elsewhere());
        let group = settings.unix_group.as_deref().map(group).transpose()?;
        let mut ways = Ways { server, limit, elsewhere, tasks: JoinSet::new() };

        if let Some(path) = unix_path(settings, &passed)? {
            if settings.unix.is_none() {
                // The usual one, whose folder is ours.
                let folder = path.parent().unwrap_or(Path::new("/"));
                fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
            }
            let socket = Socket::bind(&path, Access { mode: settings.mode(), group }).await?;
            announce("unix", &path.display())?;
            ways.serve_all(socket);
        }
        if let Some(path) = &settings.unix_read_only {
            let socket = Socket::bind(path, Access { mode: settings.read_only_mode(), group }).await?;
            announce("unix-read-only", &path.display())?;
            ways.serve(socket, true);
        }
        for (listeners, kind, read_only) in
            [(passed.unix, "unix", false), (passed.unix_read_only, "unix-read-only", true)]
        {
            for listener in listeners {
                let name = sockets::name(&listener)?;
                let mode = if read_only { settings.read_only_mode() } else { settings.mode() };
                let socket = Socket::passed(listener, Access { mode, group })?;
                if read_only {
                    ways.serve(socket, true)
                } else {
                    ways.serve_all(socket)
                }
                announce(kind, &name)?;
            }
        }

        for listener in bound(settings.tcp, passed.tcp).await? {
            let address = listener.local_addr()?;
            let read_only = !settings.tcp_trusted.unwrap_or(false);
            tracing::warn!(%address, read_only, "TCP is neither encrypted nor authenticated");
            announce("tcp", &address)?;
            ways.serve(listener, read_only);
        }
        if let Some(tls) = &tls {
            for listener in bound(settings.tls, passed.tls).await? {
                announce("tls", &listener.local_addr()?)?;
                ways.serve(TlsListener::new(listener, tls.clone()).with_max_handshakes(settings.handshakes()), false);
            }
        }
        Ok(Self { tls, tasks: ways.tasks })
    }

    /// Ends when one of the sockets is served no more, which only a fault of ours can be the reason of.
    pub(crate) async fn failed(&mut self) {
        match self.tasks.join_next().await {
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// Reads the certificates anew. Where one is of no use, those of before stay.
    pub(crate) fn reload(&self) {
        match self.tls.as_ref().map(ServerTls::reload) {
            None => tracing::info!("SIGHUP: there are no certificates to be read"),
            Some(Ok(())) => tracing::info!("SIGHUP: certificates were read anew"),
            Some(Err(error)) => tracing::error!(%error, "SIGHUP: certificates stay as they were"),
        }
    }
}

struct Ways<'a> {
    server: &'a GuestServer,
    limit: PeerLimit,
    elsewhere: PeerLimit,
    tasks: JoinSet<()>,
}

impl Ways<'_> {
    /// The unix socket for all calls.
    fn serve_all(&mut self, socket: Socket) {
        self.spawn(self.server.clone(), socket);
    }

    /// Any other way, which leaves places for that one.
    fn serve<L: Listener>(&mut self, listener: L, read_only: bool) {
        let server = if read_only { self.server.read_only() } else { self.server.clone() };
        self.spawn(server, self.elsewhere.listener(listener));
    }

    fn spawn<L: Listener>(&mut self, server: GuestServer, listener: L) {
        let listener = self.limit.listener(listener);
        self.tasks.spawn(async move { server.serve(listener).await });
    }
}

/// The unix socket that is asked for, or the usual one where nothing is.
fn unix_path(settings: &Settings, passed: &Passed) -> anyhow::Result<Option<PathBuf>> {
    if let (Some(all), Some(reading)) = (&settings.unix, &settings.unix_read_only) {
        anyhow::ensure!(all != reading, "'{}' cannot be the socket for all calls and the read-only one", all.display());
    }
    let elsewhere = settings.tcp.is_some() || settings.tls.is_some() || !passed.is_empty();
    if settings.unix.is_some() || settings.unix_read_only.is_some() || elsewhere {
        return Ok(settings.unix.clone());
    }
    let session = Sockets::session().ok().map(|sockets| sockets.read_write);
    let usual = usual(session, Uid::effective().is_root());
    Ok(Some(usual.context("give --unix PATH, since XDG_RUNTIME_DIR is not set")?))
}

/// The socket of the session, or of the machine where there is none and root runs the daemon.
fn usual(session: Option<PathBuf>, is_root: bool) -> Option<PathBuf> {
    session.or_else(|| is_root.then(|| Sockets::system().read_write))
}

async fn bound(address: Option<SocketAddr>, passed: Vec<StdTcpListener>) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    if let Some(address) = address {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.with_context(|| format!("cannot listen on {address}"))?);
    }
    for listener in passed {
        listener.set_nonblocking(true)?;
        listeners.push(TcpListener::from_std(listener)?);
    }
    Ok(listeners)
}

fn tls(settings: &Settings) -> anyhow::Result<ServerTls> {
    let files = settings.tls_files(Uid::effective().is_root());
    let builder = ServerTls::builder(files).allow(settings.tls_allow()?);
    builder.build().context("TLS")
}

/// Tells whoever started the daemon that a socket can be connected to.
fn announce(kind: &str, address: &dyn std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening {kind} {address}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_without_a_session_listens_where_clients_look_for_the_machines_daemon() {
        assert_eq!(usual(None, true), Some("/run/guestd/guestd-sock".into()));
        assert_eq!(usual(None, false), None);
        for is_root in [true, false] {
            assert_eq!(usual(Some("/session".into()), is_root), Some("/session".into()));
        }
    }
}
