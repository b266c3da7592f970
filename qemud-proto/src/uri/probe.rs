//! Which daemon, where nobody says.

use tokio::net::UnixStream;

use super::{ConnectUri, Sockets, Transport};

/// The daemon of this machine or else of this session, if one answers on its usual socket; it opens its own default.
/// Else `test:///default`, which is served inside this process.
///
/// Who wants procedures alone that change nothing is led to the socket for those, if there is one that answers.
pub async fn probe(read_only: bool) -> ConnectUri {
    let daemons = [Ok(Sockets::system()), Sockets::session()];
    probe_among(daemons.into_iter().flatten(), read_only).await.with_read_only(read_only)
}

async fn probe_among(daemons: impl Iterator<Item = Sockets>, read_only: bool) -> ConnectUri {
    for Sockets { read_write, read_only: reading } in daemons {
        // Not everybody who may connect to the one may connect to the other.
        for socket in reading.filter(|_| read_only).into_iter().chain([read_write]) {
            if UnixStream::connect(&socket).await.is_ok() {
                return ConnectUri::daemon_at(socket);
            }
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

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// Where a probe leads of two daemons that listen on these sockets: `a`, `a-ro` and `b`.
    async fn found(listening: &[&str], read_only: bool) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let _listeners: Vec<_> = listening.iter().map(|name| UnixListener::bind(at(name)).unwrap()).collect();
        let first = Sockets { read_write: at("a"), read_only: Some(at("a-ro")) };
        let second = Sockets { read_write: at("b"), read_only: None };
        match probe_among([first, second].into_iter(), read_only).await.transport {
            Transport::Unix { socket: Some(socket) } => Some(socket.file_name()?.to_str()?.to_owned()),
            Transport::InProcess => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn who_reads_alone_is_led_to_the_socket_for_that_and_nobody_else_is() {
        for (listening, leads, reading_leads) in [
            (&["a", "a-ro", "b"][..], Some("a"), Some("a-ro")),
            (&["a-ro", "b"], Some("b"), Some("a-ro")),
            (&["a", "b"], Some("a"), Some("a")),
            (&["b"], Some("b"), Some("b")),
            (&["a-ro"], None, Some("a-ro")),
            (&[], None, None),
        ] {
            assert_eq!(found(listening, false).await.as_deref(), leads, "{listening:?}");
            assert_eq!(found(listening, true).await.as_deref(), reading_leads, "{listening:?}");
        }
    }
}
