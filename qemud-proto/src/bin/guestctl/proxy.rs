//! The command `proxy`: the far side of ssh.

use std::path::Path;

use qemud_proto::client::unix;
use qemud_proto::uri::Sockets;
use tokio::io::{AsyncWriteExt, copy, stdin, stdout};

use crate::Error;

/// Joins standard input and output to a socket until the daemon is done.
pub(crate) async fn proxy(socket: Option<&Path>) -> Result<(), Error> {
    let socket = match socket {
        Some(socket) => socket.to_owned(),
        None => Sockets::session()?.read_write,
    };
    let (mut from_daemon, mut to_daemon) = unix(&socket).await?.into_split();
    // The daemon answers what it was asked before it closes, so that its end is the end.
    let sending = tokio::spawn(async move {
        let sent = copy(&mut stdin(), &mut to_daemon).await;
        drop(to_daemon.shutdown().await);
        sent
    });
    let mut out = stdout();
    let received = copy(&mut from_daemon, &mut out).await;
    let flushed = out.flush().await;
    sending.abort();
    received?;
    flushed?;
    Ok(())
}
