//! A port that begins in clear text: who asks for TLS, who does not, and who asks in a wrong way.

use std::time::Duration;

use rpc_frame::AuthStat;
use rpc_frame::Peer;
use rpc_frame::tls::{MaybeTls, ServerTls, StartTlsListener, TlsStream};
use rpc_frame::tokio::{CallError, CallOptions, Client, Listener, PeerLimit, Server};
use rpc_frame::{AuthFlavor, OpaqueAuth, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::authority::Authority;
use crate::{Told, WHO, Who, WhoAmI, client, client_files, server_files};

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Opportunistic,
    Required,
}

async fn serve(authority: &Authority, mode: Mode) -> u16 {
    let tls = ServerTls::builder(server_files(authority)).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = match mode {
        Mode::Opportunistic => StartTlsListener::opportunistic(listener, tls),
        Mode::Required => StartTlsListener::required(listener, tls),
    };
    // A listener around it changes nothing of what it offers.
    let listener = PeerLimit::new(99).listener(listener);
    tokio::spawn(async move { Server::new(program::<Who, _>(Told)).serve(listener).await });
    port
}

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

fn as_tls() -> CallOptions {
    let credential = OpaqueAuth { flavor: AuthFlavor::TLS, ..OpaqueAuth::none() };
    CallOptions::default().with_credential(credential)
}

async fn started(authority: &Authority, port: u16) -> TlsStream<TcpStream> {
    client(client_files(authority, "alice")).start(connect(port).await, "localhost", WHO, 1).await.unwrap()
}

#[tokio::test]
async fn who_asks_goes_on_in_tls_under_the_name_of_its_certificate() {
    let authority = Authority::new();
    for mode in [Mode::Opportunistic, Mode::Required] {
        let stream = started(&authority, serve(&authority, mode).await).await;
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(crate::rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(session.alpn_protocol(), Some(&b"sunrpc"[..]));
        let client = Client::new(stream);
        assert_eq!(client.call(&WhoAmI).await.unwrap().name, "C=DE,O=Example,CN=alice");
        // To ask again inside means nothing.
        let again = client.clone().with_options(as_tls());
        for ended in [again.null(WHO, 1).await, again.call(&WhoAmI).await.map(drop)] {
            assert!(matches!(ended, Err(CallError::AuthError(AuthStat::BadCred))), "{ended:?}");
        }
        assert!(client.call(&WhoAmI).await.is_ok());
    }
}

#[tokio::test]
async fn who_does_not_ask_is_served_where_clear_text_will_do() {
    let authority = Authority::new();
    let port = serve(&authority, Mode::Opportunistic).await;
    let plain = Client::new(connect(port).await);
    assert_eq!(plain.call(&WhoAmI).await.unwrap().name, "anonymous");
    // Nor does one who asks after that, and goes on as it began.
    let late = plain.clone().with_options(as_tls()).null(WHO, 1).await;
    assert!(matches!(late, Err(CallError::AuthError(AuthStat::RejectedCred))), "{late:?}");
    // Nor is anything but NULL a question, however late it comes.
    let late = plain.clone().with_options(as_tls()).call(&WhoAmI).await;
    assert!(matches!(late, Err(CallError::AuthError(AuthStat::BadCred))), "{late:?}");
    assert_eq!(plain.call(&WhoAmI).await.unwrap().name, "anonymous");
    // Many calls at once, and one byte after the other.
    let mut slow = connect(port).await;
    let call = crate::null(9, 0);
    for byte in [&call[..], &call].concat() {
        slow.write_all(&[byte]).await.unwrap();
    }
    let mut replies = [0; 56];
    slow.read_exact(&mut replies).await.unwrap();
    assert_eq!(replies[..28], replies[28..]);
}

#[tokio::test]
async fn who_does_not_ask_is_told_so_where_tls_is_required() {
    let authority = Authority::new();
    let port = serve(&authority, Mode::Required).await;
    let plain = Client::new(connect(port).await);
    for _ in 0..3 {
        let refused = plain.call(&WhoAmI).await;
        assert!(matches!(refused, Err(CallError::AuthError(AuthStat::TooWeak))), "{refused:?}");
    }
    // It may still ask.
    let mut stream = connect(port).await;
    stream.write_all(&crate::null(1, 0)).await.unwrap();
    stream.read_exact(&mut [0; 24]).await.unwrap();
    let alice = client(client_files(&authority, "alice"));
    let stream = alice.start(stream, "localhost", WHO, 1).await.unwrap();
    assert_eq!(Client::new(stream).call(&WhoAmI).await.unwrap().name, "C=DE,O=Example,CN=alice");
}

#[tokio::test]
async fn rejects_auth_tls_on_anything_but_null() {
    let authority = Authority::new();
    for (mode, after) in [(Mode::Opportunistic, true), (Mode::Required, false)] {
        let port = serve(&authority, mode).await;
        let client = Client::new(connect(port).await);
        let asking = client.clone().with_options(as_tls());
        for _ in 0..2 {
            let refused = asking.call(&WhoAmI).await;
            assert!(matches!(refused, Err(CallError::AuthError(AuthStat::BadCred))), "{refused:?}");
        }
        // The connection goes on as if nothing had been.
        assert_eq!(client.call(&WhoAmI).await.is_ok(), after);
    }
    // A question with a body, with a verifier, or with arguments is none.
    let port = serve(&authority, Mode::Opportunistic).await;
    let good = crate::null(7, 7);
    let with = |place: usize, word: u32, more: usize| {
        let mut call = [good.clone(), vec![0; more]].concat();
        call[place..place + 4].copy_from_slice(&word.to_be_bytes());
        call[3] += u8::try_from(more).unwrap();
        call
    };
    for call in [with(32, 4, 4), with(36, 1, 0), with(4, 7, 4)] {
        let mut stream = connect(port).await;
        stream.write_all(&call).await.unwrap();
        let mut reply = [0; 24];
        stream.read_exact(&mut reply).await.unwrap();
        // Denied, AUTH_ERROR, AUTH_BADCRED.
        assert_eq!(reply[12..], [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]].concat());
    }
}

#[tokio::test]
async fn rejects_what_comes_ahead_of_the_handshake() {
    let authority = Authority::new();
    for mode in [Mode::Opportunistic, Mode::Required] {
        let port = serve(&authority, mode).await;
        // With the question: the offer still comes, and then the end.
        let mut stream = connect(port).await;
        stream.write_all(&[crate::null(7, 7), crate::null(8, 0)].concat()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() <= 36, "no call was answered: {rest:?}");
        // Behind the offer: no ClientHello, and nothing is answered in clear text.
        let mut stream = connect(port).await;
        stream.write_all(&crate::null(7, 7)).await.unwrap();
        let mut offer = [0; 36];
        stream.read_exact(&mut offer).await.unwrap();
        assert_eq!(offer[20..32], [&[0, 0, 0, 8][..], b"STARTTLS"].concat());
        stream.write_all(&crate::null(8, 0)).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        // An alert of TLS, or nothing.
        assert!(rest.is_empty() || rest[0] == 21, "{rest:?}");
    }
}

/// Connections through memory, so that time goes on when nobody has anything to do.
struct Arriving(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Arriving {
    type Io = DuplexStream;

    async fn accept(&mut self) -> std::io::Result<(DuplexStream, Peer)> {
        match self.0.recv().await {
            Some(io) => Ok((io, Peer::Unknown)),
            None => std::future::pending().await,
        }
    }
}

/// A server whose clients have three seconds to ask.
fn serve_in_memory(authority: &Authority, mode: Mode) -> impl Fn() -> DuplexStream {
    let tls = ServerTls::builder(server_files(authority)).handshake_timeout(Duration::from_secs(3)).build().unwrap();
    let (arriving, arrived) = mpsc::unbounded_channel();
    let listener = match mode {
        Mode::Opportunistic => StartTlsListener::opportunistic(Arriving(arrived), tls),
        Mode::Required => StartTlsListener::required(Arriving(arrived), tls),
    };
    tokio::spawn(async move { Server::new(program::<Who, _>(Told)).serve(listener).await });
    move || {
        let (near, far) = tokio::io::duplex(4096);
        arriving.send(far).unwrap();
        near
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_may_come_one_byte_after_the_other() {
    let authority = Authority::new();
    for mode in [Mode::Opportunistic, Mode::Required] {
        let mut stream = serve_in_memory(&authority, mode)();
        // The second time after a question that is none, of which more than its front has come.
        let wrong = [crate::null(6, 7), vec![0; 4]].concat();
        let wrong = [&[0x80, 0, 0, 44], &wrong[4..]].concat();
        for (sent, len) in [(wrong, 24), (crate::null(7, 7), 36)] {
            for byte in sent {
                stream.write_u8(byte).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut reply = vec![0; len];
            stream.read_exact(&mut reply).await.unwrap();
            assert_eq!(reply.ends_with(b"STARTTLS\0\0\0\0"), len == 36, "{reply:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_goes_on_in_clear_text_and_who_stops_in_the_middle_of_a_call_does_not() {
    let authority = Authority::new();
    let connect = serve_in_memory(&authority, Mode::Opportunistic);
    let mut silent = connect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    silent.write_all(&crate::null(1, 0)).await.unwrap();
    let mut reply = [0; 28];
    silent.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[..12], [0x8000_0018, 1, 1].map(u32::to_be_bytes).concat());
    // What would come behind the beginning of a call is not taken for a call of its own.
    let asking = crate::null(1, 7);
    for begun in [&[0x80, 0, 0, 44][..], &asking[..36]] {
        let (mut slow, since) = (connect(), tokio::time::Instant::now());
        slow.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest).await;
        assert_eq!((rest.len(), since.elapsed().as_secs()), (0, 3), "{begun:?}");
    }
}

#[tokio::test]
async fn survives_what_is_no_call_and_clients_that_leave() {
    let authority = Authority::new();
    for mode in [Mode::Opportunistic, Mode::Required] {
        let port = serve(&authority, mode).await;
        for sent in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", &[0xff; 100], b"\x80\0\0\x04abcd", b""]
        {
            let mut stream = connect(port).await;
            stream.write_all(sent).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert_eq!(rest, b"", "{sent:?}");
        }
        assert!(Client::new(started(&authority, port).await).call(&WhoAmI).await.is_ok());
    }
}

#[tokio::test]
async fn a_client_that_would_take_either_takes_tls_where_it_is() {
    let authority = Authority::new();
    let alice = client(client_files(&authority, "alice"));
    let port = serve(&authority, Mode::Opportunistic).await;
    let stream = alice.start_if_offered(connect(port).await, "localhost", WHO, 1).await.unwrap();
    assert!(matches!(stream, MaybeTls::Tls(_)));
    // A server that has never heard of it.
    let (near, far) = tokio::io::duplex(4096);
    Server::new(program::<Who, _>(Told)).serve_connection(far, rpc_frame::Peer::Unknown).unwrap();
    let stream = alice.start_if_offered(near, "localhost", WHO, 1).await.unwrap();
    assert!(matches!(stream, MaybeTls::Plain(_)));
    assert_eq!(Client::new(stream).call(&WhoAmI).await.unwrap().name, "anonymous");
}
