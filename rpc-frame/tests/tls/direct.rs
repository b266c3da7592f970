//! A port that speaks TLS from its first byte.

use std::time::Duration;

use rpc_frame::Peer;
use rpc_frame::tls::rustls::version::{TLS12, TLS13};
use rpc_frame::tls::{ClientTls, ServerTls, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::{Authority, Issued, Request};
use crate::{TlsAllow, TlsFiles, careless_client, careless_server, client, client_files, serve, server_files};

#[tokio::test]
async fn both_sides_know_each_other_by_their_certificates() {
    let authority = Authority::new();
    let running = serve(ServerTls::builder(server_files(&authority))).await;
    let told = running.who(&client(client_files(&authority, "alice"))).await;
    assert_eq!(told, Ok("C=DE,O=Example,CN=alice".to_owned()));
    // An address is as good as a name, if the certificate has it.
    let tls = client(client_files(&authority, "bob"));
    let stream = tls.connect(running.stream().await, "127.0.0.1").await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"sunrpc"[..]));
    assert_eq!(session.protocol_version(), Some(crate::rustls::ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn only_names_and_addresses_of_the_lists_are_let_in() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    for (allow, let_in) in [
        (TlsAllow::default(), true),
        (TlsAllow::default().with_names(["C=DE,O=Example,CN=al*"]), true),
        (TlsAllow::default().with_names(["C=DE,O=Example,CN=bob", "*,CN=alic?"]), true),
        (TlsAllow::default().with_names(["C=DE,O=Example,CN=bob"]), false),
        (TlsAllow::default().with_names([""; 0]), false),
        (TlsAllow::default().with_networks(["127.0.0.0/8"]).unwrap(), true),
        (TlsAllow::default().with_networks(["192.0.2.0/24"]).unwrap(), false),
        (TlsAllow::default().with_networks([""; 0]).unwrap(), false),
    ] {
        let running = serve(ServerTls::builder(server_files(&authority)).allow(allow.clone())).await;
        let who = running.who(&alice).await;
        assert_eq!(who.is_ok(), let_in, "{allow:?}: {who:?}");
        assert_eq!(running.server.counters().opened, u64::from(let_in), "{allow:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_on_no_list_is_named_and_told() {
    let authority = Authority::new();
    let builder = ServerTls::builder(server_files(&authority)).allow(TlsAllow::default().with_names(["CN=bob"]));
    let tls = builder.build().unwrap();
    let alice = client(client_files(&authority, "alice"));
    let error = refused_by_server(&tls, async |stream| {
        let mut stream = alice.connect(stream, "localhost").await.unwrap();
        let told = stream.read_u8().await.unwrap_err().to_string();
        assert!(told.contains("received fatal alert"), "{told}");
    })
    .await;
    assert_eq!(error.to_string(), "'C=DE,O=Example,CN=alice' is not on the list of names that may connect");
    let builder = ServerTls::builder(server_files(&authority));
    let tls = builder.allow(TlsAllow::default().with_networks(["::1"]).unwrap()).build().unwrap();
    let error = refused_by_server(&tls, async |stream| {
        assert!(alice.connect(stream, "localhost").await.is_err(), "there is no handshake");
    })
    .await;
    assert_eq!(error.to_string(), "127.0.0.1 is not in a network that may connect");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_unless_it_is_welcome() {
    let authority = Authority::new();
    let nobody = client(TlsFiles::new(authority.certificate()));
    let running = serve(ServerTls::builder(server_files(&authority))).await;
    let refused = running.who(&nobody).await.unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    assert_eq!(running.server.counters().opened, 0);
    let running = serve(ServerTls::builder(server_files(&authority)).without_client_certificates()).await;
    assert_eq!(running.who(&nobody).await, Ok("anonymous".to_owned()));
    let alice = client(client_files(&authority, "alice"));
    assert_eq!(running.who(&alice).await, Ok("C=DE,O=Example,CN=alice".to_owned()));
    // A list of names lets in no one without a name.
    for names in [&["*,CN=alice"][..], &["*"], &["", "*,CN=alice"]] {
        let allow = TlsAllow::default().with_names(names);
        let builder = ServerTls::builder(server_files(&authority)).without_client_certificates().allow(allow);
        let running = serve(builder).await;
        assert!(running.who(&nobody).await.is_err(), "{names:?}");
        assert!(running.who(&alice).await.is_ok(), "{names:?}");
    }
}

/// What the server says of the client that this makes, and of nothing else.
async fn refused_by_server<F: Future<Output = ()>>(tls: &ServerTls, connect: impl FnOnce(TcpStream) -> F) -> TlsError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = async { connect(TcpStream::connect(address).await.unwrap()).await };
    let accepting = async {
        let (stream, address) = listener.accept().await.unwrap();
        tls.accept(stream, Peer::Tcp(address)).await.unwrap_err()
    };
    tokio::join!(connecting, accepting).1
}

#[tokio::test]
async fn the_server_says_what_is_wrong_with_a_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = ServerTls::builder(server_files(&authority)).build().unwrap();
    for (issued, says) in [
        (other.issue("alice", &Request::client("alice")), "UnknownIssuer"),
        (authority.issue("old", &Request::client("old").valid(2001, 2002)), "expired"),
        (authority.issue("young", &Request::client("young").valid(2100, 2101)), "not valid yet"),
        (authority.issue("use", &Request::server(&["use"])), "does not allow extended key usage"),
        (authority.issue("key", &Request::client("key").that_signs_nothing()), "not for signatures (key usage)"),
    ] {
        let error = refused_by_server(&tls, async |stream| {
            let ended = careless_client(&authority, &issued, stream).await;
            assert!(ended.is_err(), "{says}");
        })
        .await;
        let message = error.to_string();
        assert!(matches!(error, TlsError::Certificate(_) | TlsError::KeyUsage), "{message}");
        assert!(message.starts_with("the peer's certificate is not accepted: ") && message.contains(says), "{message}");
    }
    let nobody = client(TlsFiles::new(authority.certificate()));
    let error = refused_by_server(&tls, async |stream| {
        // The client cannot know yet.
        let mut stream = nobody.connect(stream, "localhost").await.unwrap();
        assert!(stream.read_u8().await.is_err());
    })
    .await;
    assert_eq!(error.to_string(), "the peer has presented no certificate");
}

#[tokio::test]
async fn the_client_says_what_is_wrong_with_a_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let alice = client(client_files(&authority, "alice"));
    let versions = [&TLS13, &TLS12];
    let refused = async |issued: &Issued, host: &str| {
        let port = careless_server(issued, &versions).await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        alice.connect(stream, host).await.unwrap_err().to_string()
    };
    for (issued, host, says) in [
        (other.issue("server", &Request::server(&["localhost"])), "localhost", "UnknownIssuer"),
        (authority.issue("old", &Request::server(&["localhost"]).valid(2001, 2002)), "localhost", "expired"),
        (authority.issue("young", &Request::server(&["localhost"]).valid(2100, 2101)), "localhost", "not valid yet"),
        (authority.issue("name", &Request::server(&["example.org"])), "localhost", "not valid for name"),
        (authority.issue("name", &Request::server(&["example.org"])), "127.0.0.1", "not valid for name"),
        (authority.issue("use", &Request::client("localhost")), "localhost", "does not allow extended key usage"),
        (
            authority.issue("key", &Request::server(&["localhost"]).that_signs_nothing()),
            "localhost",
            "its key is not for signatures (key usage)",
        ),
    ] {
        let message = refused(&issued, host).await;
        assert!(message.starts_with("the peer's certificate is not accepted: ") && message.contains(says), "{message}");
    }
    let stream =
        TcpStream::connect(("127.0.0.1", careless_server(&server(&authority), &versions).await)).await.unwrap();
    let message = alice.connect(stream, "no host").await.unwrap_err().to_string();
    assert_eq!(message, "'no host' is neither a host's name nor an address");
}

fn server(authority: &Authority) -> Issued {
    authority.issue("server", &Request::server(&["localhost"]))
}

#[tokio::test]
async fn a_client_that_does_not_verify_takes_any_certificate_and_no_key_that_is_not_its_own() {
    let (authority, other) = (Authority::new(), Authority::new());
    let careless = ClientTls::builder(client_files(&authority, "alice")).dangerous_no_verify().build().unwrap();
    for versions in [[&TLS13], [&TLS12]] {
        let port = careless_server(&other.issue("server", &Request::server(&["example.org"])), &versions).await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        careless.connect(stream, "localhost").await.unwrap();
    }
}

#[tokio::test]
async fn version_1_2_is_spoken_on_a_port_of_tls() {
    let authority = Authority::new();
    let port = careless_server(&server(&authority), &[&TLS12]).await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let stream = client(client_files(&authority, "alice")).connect(stream, "localhost").await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(crate::rustls::ProtocolVersion::TLSv1_2));
    // The server knows no ALPN either.
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn survives_what_is_no_tls() {
    let authority = Authority::new();
    let tls = ServerTls::builder(server_files(&authority)).build().unwrap();
    for sent in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x80\0\0\x28\0\0\0\x01", b"SSH-2.0-x\r\n", &[0; 64]] {
        let error = refused_by_server(&tls, async |mut stream: TcpStream| {
            stream.write_all(sent).await.unwrap();
            // The server's alert, or only its end.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        assert_eq!(error.to_string(), "the peer does not speak TLS");
    }
    let error = refused_by_server(&tls, async |stream: TcpStream| drop(stream)).await;
    assert!(matches!(error, TlsError::Io(_)), "{error}");
    // And the other way about: a server that answers in clear text.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"\x80\0\0\x18nonsense").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let alice = client(client_files(&authority, "alice"));
    let error = alice.connect(TcpStream::connect(address).await.unwrap(), "localhost").await.unwrap_err();
    assert_eq!(error.to_string(), "the peer does not speak TLS");
}

#[tokio::test(start_paused = true)]
async fn survives_a_handshake_that_is_not_done() {
    let authority = Authority::new();
    let tls = ServerTls::builder(server_files(&authority)).handshake_timeout(Duration::from_secs(3)).build().unwrap();
    let (near, far) = tokio::io::duplex(1024);
    let begun = tokio::time::Instant::now();
    let error = tls.accept(far, Peer::InMemory).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), begun.elapsed().as_secs()), ("the handshake was not done in time", 3));
    drop(near);
    let alice = client(client_files(&authority, "alice"));
    let (near, _far) = tokio::io::duplex(1024);
    let error = alice.connect(near, "localhost").await.unwrap_err();
    assert_eq!(error.to_string(), "the handshake was not done in time");
}

#[tokio::test]
async fn crowds_that_are_slow_keep_no_other_address_waiting() {
    let authority = Authority::new();
    let running = serve(ServerTls::builder(server_files(&authority))).await;
    let alice = client(client_files(&authority, "alice"));
    let mut crowds = Vec::new();
    for last in 1..=6 {
        for _ in 0..40 {
            crowds.push(running.stream_from([127, 0, 0, last]).await);
        }
        assert_eq!(running.who_from([127, 0, 0, last + 1], &alice).await, Ok("C=DE,O=Example,CN=alice".to_owned()));
    }
}
