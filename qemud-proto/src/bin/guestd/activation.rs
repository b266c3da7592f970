//! Sockets that systemd has bound before the daemon was started (`sd_listen_fds(3)`).

use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;

use anyhow::{Context, bail};
use listenfd::ListenFd;

/// What was passed.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) unix: Vec<StdUnixListener>,
    pub(crate) unix_read_only: Vec<StdUnixListener>,
    pub(crate) tcp: Vec<StdTcpListener>,
    pub(crate) tls: Vec<StdTcpListener>,
}

impl Passed {
    /// Takes the sockets, each by its name (`FileDescriptorName=`): `read-write`, `read-only`, `tcp`, `tls`. One without
    /// a name is as `read-write`. From then on the programs that the daemon starts do not get them. No other name will do: it may be that of a socket that everybody can connect to.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut sockets = ListenFd::from_env();
        let mut passed = Self::default();
        for index in 0..sockets.len() {
            let name = names.get(index).copied().unwrap_or_default();
            let told = || format!("socket {index} that was passed, '{name}'");
            match name {
                "tcp" | "tls" => {
                    let listener = sockets.take_tcp_listener(index).with_context(told)?;
                    let listener = listener.with_context(told)?;
                    if name == "tcp" { passed.tcp.push(listener) } else { passed.tls.push(listener) }
                }
                "" | "read-write" | "read-only" => match sockets.take_unix_listener(index) {
                    Ok(Some(listener)) if name == "read-only" => passed.unix_read_only.push(listener),
                    Ok(Some(listener)) => passed.unix.push(listener),
                    Ok(None) => {}
                    Err(error) => {
                        bail!("{}: {error}; one for TCP has to be named tcp or tls", told());
                    }
                },
                _ => bail!("{}: the name of a socket is read-write, read-only, tcp or tls", told()),
            }
        }
        Ok(passed)
    }

    /// Whether nothing was passed.
    pub(crate) fn is_empty(&self) -> bool {
        self.unix.is_empty() && self.unix_read_only.is_empty() && self.tcp.is_empty() && self.tls.is_empty()
    }
}
