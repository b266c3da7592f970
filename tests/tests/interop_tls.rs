//! TLS with programs that are not ours: `openssl s_client`, and `interop/tls_peer.py` with Python's ssl module.
#![cfg(not(miri))] // which has no processes, and no C

use std::path::PathBuf;
use std::process::Stdio;

use rpc_frame::tls::{ClientTls, ServerTls, StartTlsError, StartTlsListener, TlsFiles, TlsListener};
use rpc_frame::tokio::{Client, Server};
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, program};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use xdr_tests::authority::{Authority, Issued, Request};
use xdr_tests::foreign_tool::require;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/tls_peer.py");

const WHO: u32 = 0x2000_0046;

/// Asks a server for the name in our certificate.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = WHO, version = 1, proc = 1, reply = Name)]
struct WhoAmI;

#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
struct Name {
    #[xdr(max = 1024)]
    name: String,
}

#[derive(ProcedureTable)]
#[rpc(program = WHO, version = 1, service = WhoService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Who {
    WhoAmI(WhoAmI),
}

struct Told;

impl WhoService for Told {
    async fn who_am_i(&self, cx: &Context, _: WhoAmI) -> Name {
        Name { name: cx.identity().to_string() }
    }
}

fn record(words: &[u32]) -> Vec<u8> {
    let mark = u32::try_from(words.len() * 4).unwrap() | 0x8000_0000;
    [&[mark], words].concat().iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A call without credential and arguments, 44 bytes.
fn call(xid: u32, procedure: u32) -> Vec<u8> {
    record(&[xid, 0, 2, WHO, 1, procedure, 0, 0, 0, 0])
}

/// The reply to NULL, 28 bytes.
fn null_reply(xid: u32) -> Vec<u8> {
    record(&[xid, 1, 0, 0, 0, 0])
}

fn server_certificate(authority: &Authority) -> Issued {
    authority.issue("server", &Request::server(&["localhost", "127.0.0.1"]))
}

fn client_certificate(authority: &Authority, name: &str) -> Issued {
    authority.issue(name, &Request::client(name))
}

fn server_tls(authority: &Authority) -> ServerTls {
    let own = server_certificate(authority);
    let files = TlsFiles::new(authority.certificate()).with_certificate(own.certificate, own.key);
    ServerTls::builder(files).build().unwrap()
}

// ---- openssl s_client before our server ----

/// `openssl s_client` and the server that it connects to.
struct OpenSsl {
    program: PathBuf,
    authority: Authority,
    port: u16,
    server: Server<rpc_frame::Program<Who, Told>>,
}

impl OpenSsl {
    async fn with_a_server() -> Option<Self> {
        let program = require("openssl")?;
        let authority = Authority::new();
        let tls = server_tls(&authority);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::new(self::program::<Who, _>(Told));
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(TlsListener::new(listener, tls)).await });
        Some(Self { program, authority, port, server })
    }

    /// `s_client` with these arguments. It takes no server but ours.
    fn s_client(&self, issued: Option<&Issued>, arguments: &[&str]) -> Child {
        let mut command = Command::new(&self.program);
        command.args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port), "-CAfile"]);
        command.arg(self.authority.certificate()).args(["-verify_return_error", "-verify_hostname", "localhost"]);
        if let Some(issued) = issued {
            command.arg("-cert").arg(&issued.certificate).arg("-key").arg(&issued.key);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).spawn().unwrap()
    }

    /// What `s_client` says of a connection that the server refuses, having sent the call of NULL.
    async fn refused(&self, issued: Option<&Issued>, arguments: &[&str]) -> String {
        let mut client = self.s_client(issued, arguments);
        let mut stdin = client.stdin.take().unwrap();
        // It may have ended before it read them.
        let _ = stdin.write_all(&call(7, 0)).await;
        // It ends by itself, while its input stands open.
        let mut passed = Vec::new();
        client.stdout.take().unwrap().read_buf(&mut passed).await.unwrap();
        assert_eq!(passed, b"", "the server answers");
        let output = client.wait_with_output().await.unwrap();
        drop(stdin);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{told}");
        assert_eq!(self.server.counters().opened, 0, "{told}");
        told
    }
}

/// What `s_client` passes on up to the reply to NULL with this xid, which is the last one, and what it says on stderr.
async fn exchange(mut client: Child, calls: &[u8], last: u32) -> (Vec<u8>, String) {
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(calls).await.unwrap();
    let stdout = client.stdout.as_mut().unwrap();
    let mut passed = Vec::new();
    while !passed.ends_with(&null_reply(last)) && stdout.read_buf(&mut passed).await.unwrap() > 0 {}
    client.start_kill().unwrap();
    let told = String::from_utf8_lossy(&client.wait_with_output().await.unwrap().stderr).into_owned();
    (passed, told)
}

#[tokio::test]
async fn openssl_calls_our_server() {
    let Some(openssl) = OpenSsl::with_a_server().await else { return };
    let alice = client_certificate(&openssl.authority, "alice");
    let (reply, told) = exchange(openssl.s_client(Some(&alice), &["-quiet"]), &call(7, 0), 7).await;
    assert_eq!(reply, null_reply(7), "{told}");
    // -brief is as quiet on stdout, and tells the version on stderr.
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let arguments = ["-brief", "-ign_eof", "-alpn", "sunrpc", version];
        let (reply, told) = exchange(openssl.s_client(Some(&alice), &arguments), &call(8, 0), 8).await;
        assert_eq!(reply, null_reply(8), "{told}");
        assert!(told.contains(&format!("Protocol version: {name}\n")), "{told}");
        assert!(told.contains("Verification: OK\n"), "{told}");
    }
}

/// It knows no STARTTLS of RPC, so that it is joined to a connection on which the server has made its offer.
#[tokio::test]
async fn openssl_goes_on_in_tls_where_a_probe_was_answered() {
    let Some(mut openssl) = OpenSsl::with_a_server().await else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (serving, tls) = (openssl.server.clone(), server_tls(&openssl.authority));
    tokio::spawn(async move { serving.serve(StartTlsListener::required(listener, tls)).await });
    let alice = client_certificate(&openssl.authority, "alice");

    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(&record(&[1, 0, 2, WHO, 1, 0, 7, 0, 0, 0])).await.unwrap();
    let mut offer = [0; 36];
    begun.read_exact(&mut offer).await.unwrap();
    let starttls = [*b"STAR", *b"TTLS"].map(u32::from_be_bytes);
    assert_eq!(offer[..], record(&[&[1, 1, 0, 0, 8], &starttls[..], &[0]].concat()));

    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    openssl.port = relay.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        // Its end is the test's.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut begun).await;
    });
    let arguments = ["-brief", "-ign_eof", "-alpn", "sunrpc"];
    let (reply, told) = exchange(openssl.s_client(Some(&alice), &arguments), &call(8, 0), 8).await;
    assert_eq!(reply, null_reply(8), "{told}");
    assert!(told.contains("Protocol version: TLSv1.3\n") && told.contains("Verification: OK\n"), "{told}");
}

#[tokio::test]
async fn openssl_is_known_to_our_server_by_its_certificate() {
    let Some(openssl) = OpenSsl::with_a_server().await else { return };
    let alice = client_certificate(&openssl.authority, "alice");
    let subject = b"C=DE,O=Example,CN=alice";
    let name = [&23_u32.to_be_bytes()[..], subject, b"\0"].concat();
    let calls = [call(1, 1), call(2, 0)].concat();
    let (replies, told) = exchange(openssl.s_client(Some(&alice), &["-quiet"]), &calls, 2).await;
    // The header of the first one, 52 bytes, has what a reply to NULL has.
    let first = record(&[[1, 1, 0, 0, 0, 0].as_slice(), &[0; 7]].concat());
    assert_eq!(replies, [&first[..28], &name, &null_reply(2)].concat(), "{told}");
}

#[tokio::test]
async fn openssl_and_our_server_agree_on_the_protocol_of_alpn() {
    let Some(openssl) = OpenSsl::with_a_server().await else { return };
    let alice = client_certificate(&openssl.authority, "alice");
    // Without -quiet it says so on stdout, in front of the reply.
    for (offered, says) in [
        (&["-alpn", "sunrpc"][..], "ALPN protocol: sunrpc\n"),
        (&["-alpn", "http/1.1,sunrpc"], "ALPN protocol: sunrpc\n"),
        (&[], "No ALPN negotiated\n"),
    ] {
        let (passed, _) = exchange(openssl.s_client(Some(&alice), offered), &call(7, 0), 7).await;
        let told = String::from_utf8_lossy(&passed).into_owned();
        assert!(passed.ends_with(&null_reply(7)), "{offered:?}: {told}");
        assert!(told.contains(says), "{offered:?}: {told}");
    }
}

#[tokio::test]
async fn openssl_gets_nothing_without_a_certificate_of_our_authority() {
    let Some(openssl) = OpenSsl::with_a_server().await else { return };
    let other = Authority::new();
    let mallory = client_certificate(&other, "alice");
    for version in ["-tls1_2", "-tls1_3"] {
        // By TLS 1.3 a call is under way when the server closes, and the reset can overtake the alert.
        let says = |told: &str, alert| told.contains(alert) || version == "-tls1_3" && told.contains("errno=104");
        let told = openssl.refused(None, &["-quiet", version]).await;
        assert!(says(&told, "alert certificate required"), "{told}");
        let told = openssl.refused(Some(&mallory), &["-quiet", version]).await;
        assert!(says(&told, "alert unknown ca"), "{told}");
    }
}

#[tokio::test]
async fn openssl_gets_nothing_with_old_versions_and_other_protocols() {
    let Some(openssl) = OpenSsl::with_a_server().await else { return };
    let alice = client_certificate(&openssl.authority, "alice");
    // At its usual level it would not even try. The alert is of the server's choice.
    let told = openssl.refused(Some(&alice), &["-quiet", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]).await;
    assert!(told.contains("SSL alert number"), "{told}");
    let told = openssl.refused(Some(&alice), &["-quiet", "-alpn", "http/1.1"]).await;
    assert!(told.contains("alert no application protocol"), "{told}");
}

// ---- our client before Python ----

/// `tls_peer.py`, and what it says.
struct Python {
    process: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(command: &str, authority: &Authority, own: Option<&Issued>, arguments: &[&str]) -> Option<Self> {
        let mut process = Command::new(require("python3")?);
        process.args([PEER, command, "--authority"]).arg(authority.certificate());
        if let Some(own) = own {
            process.arg("--certificate").arg(&own.certificate).arg("--key").arg(&own.key);
        }
        let mut process = process.args(arguments).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { process, lines })
    }

    /// The stream to a server.
    async fn stream(&mut self) -> TcpStream {
        let line = self.lines.next_line().await.unwrap().expect("it says its port");
        let port: u16 = line.strip_prefix("port=").expect("a port").parse().unwrap();
        TcpStream::connect(("127.0.0.1", port)).await.unwrap()
    }

    /// Its last words, when it has ended.
    async fn report(mut self) -> Value {
        let line = self.lines.next_line().await.unwrap().expect("a report");
        assert!(self.process.wait().await.unwrap().success(), "{line}");
        serde_json::from_str(&line).unwrap()
    }
}

fn client(authority: &Authority, own: Option<Issued>) -> ClientTls {
    let files = TlsFiles::new(authority.certificate());
    let files = match own {
        Some(own) => files.with_certificate(own.certificate, own.key),
        None => files,
    };
    ClientTls::builder(files).build().unwrap()
}

fn alice(authority: &Authority) -> ClientTls {
    client(authority, Some(client_certificate(authority, "alice")))
}

#[tokio::test]
async fn our_client_calls_python() {
    let authority = Authority::new();
    let (own, alice) = (server_certificate(&authority), alice(&authority));
    for (versions, version) in [("1.2,1.2", "TLSv1.2"), ("1.3,1.3", "TLSv1.3"), ("1.2,1.3", "TLSv1.3")] {
        let Some(mut python) = Python::start("serve", &authority, Some(&own), &["--versions", versions]) else {
            return;
        };
        let stream = alice.connect(python.stream().await, "localhost").await.unwrap();
        let client = Client::new(stream);
        client.null(WHO, 1).await.unwrap();
        assert_eq!(client.call(&WhoAmI).await.unwrap().name, "C=DE,O=Example,CN=alice");
        drop(client);
        let expected = json!({
            "version": version, "protocol": "sunrpc", "subject": "C=DE,O=Example,CN=alice", "procedures": [0, 1],
        });
        assert_eq!(python.report().await, expected);
    }
}

#[tokio::test]
async fn our_client_and_python_refuse_each_other_by_their_certificates() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own = server_certificate(&authority);
    let mallory = client_certificate(&other, "alice");
    for (client, says) in [
        (client(&authority, None), "peer did not return a certificate"),
        (client(&authority, Some(mallory)), "certificate verify failed"),
    ] {
        for versions in ["1.2,1.2", "1.3,1.3"] {
            let Some(mut python) = Python::start("serve", &authority, Some(&own), &["--versions", versions]) else {
                return;
            };
            // TLS 1.2 tells in the handshake, TLS 1.3 behind it.
            if let Ok(stream) = client.connect(python.stream().await, "localhost").await {
                assert_eq!(versions, "1.3,1.3");
                assert!(Client::new(stream).call(&WhoAmI).await.is_err());
            }
            let report = python.report().await;
            assert!(report["error"].as_str().unwrap().contains(says), "{versions}: {report}");
            assert_eq!(report["subject"], Value::Null);
        }
    }
    // A server of another authority, and one of another name.
    let elsewhere = authority.issue("elsewhere", &Request::server(&["elsewhere.example"]));
    let alice = alice(&authority);
    for (own, says) in [(server_certificate(&other), "UnknownIssuer"), (elsewhere, "not valid for name")] {
        let Some(mut python) = Python::start("serve", &authority, Some(&own), &[]) else { return };
        let error = alice.connect(python.stream().await, "localhost").await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        let report = python.report().await;
        assert!(report["error"].as_str().unwrap().contains("alert"), "{report}");
    }
}

// ---- our client before Python, beginning in clear text (RFC 9289) ----

#[tokio::test]
async fn our_client_starts_tls_with_python() {
    let authority = Authority::new();
    let (own, alice) = (server_certificate(&authority), alice(&authority));
    for offer in ["offer", "unavailable"] {
        let Some(mut python) = Python::start("serve", &authority, Some(&own), &["--start", offer]) else { return };
        let stream = alice.start(python.stream().await, "localhost", WHO, 1).await.unwrap();
        let client = Client::new(stream);
        assert_eq!(client.call(&WhoAmI).await.unwrap().name, "C=DE,O=Example,CN=alice");
        drop(client);
        let expected = json!({
            "version": "TLSv1.3", "protocol": "sunrpc", "subject": "C=DE,O=Example,CN=alice", "procedures": [1],
        });
        assert_eq!(python.report().await, expected, "{offer}");
    }
}

#[tokio::test]
async fn our_client_sends_python_nothing_without_an_offer_of_tls() {
    let authority = Authority::new();
    let (own, alice) = (server_certificate(&authority), alice(&authority));
    for (offer, says) in [
        ("denied", "the server does not offer TLS: it denies the call, AuthError(RejectedCred)"),
        ("clear-text", "28 bytes of clear text follow the offer of TLS"),
    ] {
        let Some(mut python) = Python::start("serve", &authority, Some(&own), &["--start", offer]) else { return };
        let error = alice.start(python.stream().await, "localhost", WHO, 1).await.unwrap_err();
        assert_eq!(error.to_string(), says);
        assert_eq!(python.report().await, json!({ "clear": "" }), "{offer}");
    }
}

#[tokio::test]
async fn our_client_starts_no_older_tls_with_python() {
    let authority = Authority::new();
    let (own, alice) = (server_certificate(&authority), alice(&authority));
    let arguments = ["--start", "offer", "--versions", "1.2,1.2"];
    let Some(mut python) = Python::start("serve", &authority, Some(&own), &arguments) else { return };
    let error = alice.start(python.stream().await, "localhost", WHO, 1).await.unwrap_err();
    assert!(matches!(error, StartTlsError::Tls(_)), "{error}");
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let report = python.report().await;
    assert!(report["error"].as_str().unwrap().contains("unsupported protocol"), "{report}");
}

// ---- Python before our server, beginning in clear text (RFC 9289) ----

/// A call in the words of `tls_peer.py`: AUTH_ERROR, AUTH_BADCRED.
const BAD_CREDENTIAL: &str = "denied 1 1";
const OFFERED: &str = "accepted 0 verifier 0 'STARTTLS' results b''";
const NOTHING: &str = "accepted 0 verifier 0 '' results b''";

/// What Python has to report of servers that offer TLS and that demand it.
async fn python_calls(authority: &Authority, own: Option<&Issued>, arguments: &[&str]) -> Option<[Value; 2]> {
    let who = WHO.to_string();
    let mut reports = [Value::Null, Value::Null];
    for (required, report) in [false, true].into_iter().zip(&mut reports) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let tls = server_tls(authority);
        let listener = match required {
            true => StartTlsListener::required(listener, tls),
            false => StartTlsListener::opportunistic(listener, tls),
        };
        let serving = tokio::spawn(async move { Server::new(program::<Who, _>(Told)).serve(listener).await });
        let arguments = [&["--port", &port, "--program", &who], arguments].concat();
        *report = Python::start("call", authority, own, &arguments)?.report().await;
        serving.abort();
    }
    Some(reports)
}

#[tokio::test]
async fn python_starts_tls_with_our_server() {
    let authority = Authority::new();
    let bob = client_certificate(&authority, "bob");
    let Some(reports) = python_calls(&authority, Some(&bob), &[]).await else { return };
    // Its length, and a zero behind its 21 bytes for each that is missing to a multiple of four.
    let name = r"accepted 0 verifier 0 '' results b'\x00\x00\x00\x15C=DE,O=Example,CN=bob\x00\x00\x00'";
    for report in reports {
        let expected = json!({
            "version": "TLSv1.3", "protocol": "sunrpc", "subject": "C=DE,O=Example,CN=localhost",
            // In clear text, and then in TLS, where to ask again is as wrong as to ask with a procedure.
            "replies": [BAD_CREDENTIAL, OFFERED, NOTHING, name, BAD_CREDENTIAL, BAD_CREDENTIAL, NOTHING],
        });
        assert_eq!(report, expected);
    }
}

#[tokio::test]
async fn python_is_not_answered_what_it_sends_ahead_of_the_handshake() {
    let authority = Authority::new();
    let bob = client_certificate(&authority, "bob");
    for place in ["probe", "offer"] {
        let Some(reports) = python_calls(&authority, Some(&bob), &["--ahead", place]).await else { return };
        for report in reports {
            assert!(report["error"].is_string(), "{place}: {report}");
            assert_eq!(report["version"], Value::Null, "{place}: {report}");
            // The reset of the connection can overtake the offer.
            let replies: Vec<_> = report["replies"].as_array().unwrap().iter().map(|reply| reply.as_str()).collect();
            assert!([Some(BAD_CREDENTIAL), Some(OFFERED)].starts_with(&replies), "{place}: {report}");
        }
    }
}

#[tokio::test]
async fn python_starts_no_older_tls_with_our_server_and_none_without_a_certificate() {
    let authority = Authority::new();
    let bob = client_certificate(&authority, "bob");
    for (own, versions, says) in [(Some(&bob), "1.2,1.2", "alert protocol version"), (None, "1.2,1.3", "")] {
        let Some(reports) = python_calls(&authority, own, &["--versions", versions]).await else { return };
        for report in reports {
            assert!(report["error"].as_str().unwrap().contains(says), "{report}");
            assert_eq!(report["replies"], json!([BAD_CREDENTIAL, OFFERED]), "{report}");
        }
    }
}
