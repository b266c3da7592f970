//! Which daemon, where nobody says.

use tokio::net::UnixStream;

use super::{ConnectUri, Sockets, Transport};

/// The daemon of this machine or else of this session, if one answers on its usual socket; it opens its own default.
/// Else `test:///default`, which is served inside this process.
pub async fn probe() -> ConnectUri {
    for sockets in [Ok(Sockets::system()), Sockets::session()].into_iter().flatten() {
        if UnixStream::connect(&sockets.read_write).await.is_ok() {
            return ConnectUri::daemon_at(sockets.read_write);
        }
    }
    ConnectUri {
        driver: "test".to_owned(),
        transport: Transport::InProcess,
        path: "/default".to_owned(),
        remote: "test:///default".to_owned(),
        read_only: false,
    }
}
