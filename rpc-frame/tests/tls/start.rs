//! A connection that begins in clear text, before servers that are not ours.

use std::sync::Arc;

use rpc_frame::tls::rustls::version::TLS13;
use rpc_frame::tls::rustls::{ServerConfig, SupportedProtocolVersion};
use rpc_frame::tls::{MaybeTls, StartTlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Request};
use crate::{ClientTls, WHO, client, client_files, read, ring};

/// The probe: NULL with AUTH_TLS, behind its xid.
const PROBE: [u32; 9] = [0, 2, WHO, 1, 0, 7, 0, 0, 0];

/// A server that answers the probe with these words behind the xid, and the stream after that.
async fn answer(mut io: DuplexStream, words: &[u32], more: &[u8]) -> DuplexStream {
    let mut call = [0; 44];
    io.read_exact(&mut call).await.unwrap();
    assert_eq!(call[..4], [0x80, 0, 0, 40]);
    assert_eq!(call[8..], PROBE.map(u32::to_be_bytes).concat());
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mark = u32::try_from(body.len() + 4).unwrap() | 0x8000_0000;
    let reply = [&mark.to_be_bytes(), &call[4..8], &body, more].concat();
    io.write_all(&reply).await.unwrap();
    io
}

const START: u32 = u32::from_be_bytes(*b"STAR");
const TLS: u32 = u32::from_be_bytes(*b"TTLS");

/// An accepted reply with STARTTLS, and this accept_stat.
const fn offer(status: u32) -> [u32; 7] {
    [1, 0, 0, 8, START, TLS, status]
}

fn acceptor(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let (chain, key) = read(&authority.issue("server", &Request::server(&["localhost"])));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(versions).unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()))
}

#[tokio::test]
async fn an_offer_is_taken_whatever_else_the_reply_says() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority, &[&TLS13]);
    let alice = client(client_files(&authority, "alice"));
    // Success, PROG_UNAVAIL, PROG_MISMATCH 1..2, SYSTEM_ERR.
    for words in [&offer(0)[..], &offer(1), &[&offer(2)[..], &[1, 2]].concat(), &offer(5)] {
        let (near, far) = duplex(4096);
        let server = async {
            let io = answer(far, words, b"").await;
            acceptor.accept(io).await.unwrap().read_u8().await.unwrap()
        };
        let ours = async {
            let mut stream = alice.start(near, "localhost", WHO, 1).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let (byte, _stream) = tokio::join!(server, ours);
        assert_eq!(byte, b'x', "{words:?}");
    }
}

async fn started(tls: &ClientTls, words: &[u32], more: &[u8]) -> (Result<bool, String>, Result<bool, String>) {
    let mut results = Vec::new();
    for required in [true, false] {
        let (near, far) = duplex(4096);
        let server = tokio::spawn({
            let (words, more) = (words.to_vec(), more.to_vec());
            async move { answer(far, &words, &more).await }
        });
        let told = |error: StartTlsError| error.to_string();
        results.push(match required {
            true => tls.start(near, "localhost", WHO, 1).await.map(|_| true).map_err(told),
            false => tls.start_if_offered(near, "localhost", WHO, 1).await.map(|io| io.is_tls()).map_err(told),
        });
        let mut io = server.await.unwrap();
        // Nothing else was sent, in clear text or otherwise.
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
    let second = results.pop().unwrap();
    (results.pop().unwrap(), second)
}

#[tokio::test]
async fn without_an_offer_nothing_is_sent_in_clear_text_where_tls_is_required() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    for (words, says) in [
        // A server that knows nothing of it: AUTH_ERROR, AUTH_REJECTEDCRED or AUTH_BADCRED.
        (&[1, 1, 1, 2][..], "the server does not offer TLS: it denies the call, AuthError(RejectedCred)"),
        (&[1, 1, 1, 1], "the server does not offer TLS: it denies the call, AuthError(BadCred)"),
        (&[1, 1, 0, 2, 2], "it denies the call, RpcMismatch { low: 2, high: 2 }"),
        // Verifiers that are none, another flavor, and another text.
        (&[1, 0, 0, 0, 0], "the server does not offer TLS"),
        (&[1, 0, 1, 8, START, TLS, 0], "the server does not offer TLS"),
        (&[1, 0, 0, 8, START, TLS + 1, 0], "the server does not offer TLS"),
        (&[1, 0, 0, 4, START, 0], "the server does not offer TLS"),
    ] {
        let (required, opportunistic) = started(&alice, words, b"").await;
        let message = required.unwrap_err();
        assert!(message.contains(says), "{words:?}: {message}");
        assert_eq!(opportunistic, Ok(false), "{words:?}");
    }
}

#[tokio::test]
async fn rejects_what_follows_an_offer_in_clear_text() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    for more in [&b"x"[..], &[0x80, 0, 0, 0], &[0; 100]] {
        let (required, opportunistic) = started(&alice, &offer(0), more).await;
        let says = format!("{} bytes of clear text follow the offer of TLS", more.len());
        assert_eq!((required, opportunistic), (Err(says.clone()), Err(says)));
    }
}

#[tokio::test]
async fn rejects_replies_that_are_none() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    for (words, says) in [
        (&[1, 0, 0, 401][..], "cannot decode the reply"),
        (&[1, 7], "cannot decode the reply"),
        (&[2, 0], "message type 2 is neither call nor reply"),
        (&[0, 2, WHO, 1, 1, 0, 0, 0, 0], "the server does not answer the probe, and sends something else"),
    ] {
        let (near, far) = duplex(4096);
        let server = answer(far, words, b"");
        let (ended, _io) = tokio::join!(alice.start(near, "localhost", WHO, 1), server);
        let message = ended.unwrap_err().to_string();
        assert!(message.contains(says), "{words:?}: {message}");
    }
    // More than a reply can have, and none at all.
    let (near, mut far) = duplex(4096);
    far.write_all(&[0x80, 0, 0x10, 0]).await.unwrap();
    let message = alice.start(near, "localhost", WHO, 1).await.unwrap_err().to_string();
    assert!(message.contains("longer than its maximum 1024"), "{message}");
    let (near, far) = duplex(4096);
    let closing = async move {
        let mut far = far;
        far.read_exact(&mut [0; 44]).await.unwrap();
    };
    let (ended, ()) = tokio::join!(alice.start(near, "localhost", WHO, 1), closing);
    assert!(matches!(ended, Err(StartTlsError::Io(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    let (near, _far) = duplex(4096);
    let message = alice.start(near, "localhost", WHO, 1).await.unwrap_err().to_string();
    assert_eq!(message, "no reply to the probe in time");
}

#[tokio::test]
async fn a_server_that_offers_and_is_another_is_an_error_also_where_clear_text_would_do() {
    let (authority, other) = (Authority::new(), Authority::new());
    let alice = client(client_files(&authority, "alice"));
    let acceptor = acceptor(&other, &[&TLS13]);
    let (near, far) = duplex(4096);
    let server = async {
        let io = answer(far, &offer(0), b"").await;
        assert!(acceptor.accept(io).await.is_err());
    };
    let (ended, ()) = tokio::join!(alice.start_if_offered(near, "localhost", WHO, 1), server);
    let message = ended.map(|io: MaybeTls<_>| io.is_tls()).unwrap_err().to_string();
    assert!(message.contains("UnknownIssuer"), "{message}");
}
