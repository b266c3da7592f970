//! What the process does that is killed. Each role ends in waiting for that.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rpc_frame::tokio::{CallOptions, Client, Server};
use rpc_frame::xdr::{Encode, to_bytes};
use rpc_frame::{Connection, ConnectionConfig, Event, OutgoingCall, Procedure, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, mpsc};

use crate::desk::{Away, Blob, CallBack, Clerk, Desk, Fill, Hold, Home, Note};
use crate::process::{ROLE, SAYS};

#[test]
fn the_process_to_be_killed() {
    // The other tests start this one as a process of its own; by itself it has no role.
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let number = |index: usize| words[index].parse::<usize>().expect("a number");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        match words[0] {
            "deaf" => deaf().await,
            "reads" => reads(number(1)).await,
            "replies" => replies(number(1), number(2)).await,
            "serves" => serves(words[1]).await,
            "writes" => writes(number(1), &record(&Hold { ticket: 1 }), number(2)).await,
            "fills" => writes(number(1), &record(&fill(number(2))), usize::MAX).await,
            "calls" => calls(number(1)).await,
            "notes" => notes(number(1), number(2)).await,
            "answers" => answers(number(1)).await,
            other => panic!("no role {other}"),
        }
    });
}

fn say(what: &str) {
    eprintln!("{SAYS}{what}");
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    say(&format!("listens {}", listener.local_addr().expect("bound").port()));
    listener
}

async fn connect(port: usize) -> TcpStream {
    let port = u16::try_from(port).expect("a port");
    TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens")
}

fn fill(count: usize) -> Fill {
    Fill { count: u32::try_from(count).expect("short"), bytes: Vec::new() }
}

fn engine() -> Connection {
    Connection::new(ConnectionConfig::default())
}

/// The record of a call.
fn record<P: Procedure<Args = P> + Encode>(args: &P) -> Vec<u8> {
    let mut engine = engine();
    let call = OutgoingCall::new(P::PROGRAM, P::VERSION, P::NUMBER);
    engine.call(Duration::ZERO, &call, args, None).expect("it has an XDR form");
    engine.output().to_vec()
}

/// Listens, and accepts nobody.
async fn deaf() {
    let _listener = listen().await;
    pending().await
}

/// Accepts one connection and reads so many bytes of it.
async fn reads(count: usize) {
    let (mut stream, _) = listen().await.accept().await.expect("a connection");
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.expect("so many bytes");
    say("has read");
    pending().await
}

/// Accepts one connection, reads one call, and writes so many bytes of a reply that carries a blob of `len` bytes.
async fn replies(len: usize, count: usize) {
    let (mut stream, _) = listen().await.accept().await.expect("a connection");
    let mut engine = engine();
    let call = loop {
        match engine.poll_event().expect("records") {
            Some(Event::Call(call)) => break call,
            _ => assert!(stream.read_buf(engine.input_with_room()).await.expect("bytes") > 0),
        }
        engine.handle_input(Duration::ZERO);
    };
    let results = to_bytes(&Blob { bytes: vec![7; len] }).expect("it has an XDR form");
    engine.reply_with(Duration::ZERO, call.xid, &results).expect("it is short enough");
    stream.write_all(&engine.output()[..count]).await.expect("it is read");
    say("has replied");
    pending().await
}

/// A whole server, at a unix socket.
async fn serves(path: &str) {
    let (told, mut said) = mpsc::unbounded_channel();
    let clerk = Arc::new(Clerk { say: told, go_on: Semaphore::new(0), back: mpsc::unbounded_channel().0 });
    let server = Server::new(program::<Desk, Clerk>(clerk));
    // That of a server which was killed is still there.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).expect("a free path");
    tokio::spawn(async move { server.serve(listener).await });
    say("listens");
    while let Some(what) = said.recv().await {
        say(&what);
    }
}

/// Writes the first bytes of a record.
async fn writes(port: usize, record: &[u8], count: usize) {
    let mut stream = connect(port).await;
    stream.write_all(&record[..count.min(record.len())]).await.expect("it is taken");
    say("has written");
    pending().await
}

/// A client with a call in flight, and one that has been answered.
async fn calls(port: usize) {
    let client = Client::new(connect(port).await).with_options(CallOptions::default().with_timeout(None));
    client.null(Hold::PROGRAM, Hold::VERSION).await.expect("it is served");
    say("was answered");
    let _ = client.call(&Hold { ticket: 1 }).await;
}

/// A client that sends messages without replies, more than the server takes up.
async fn notes(port: usize, count: usize) {
    let client = Client::new(connect(port).await);
    for _ in 0..count {
        client.send(&Note { bytes: vec![7; 1000] }).await.expect("it is queued");
    }
    client.closed().await;
}

/// A client that has itself called back, and does not answer.
async fn answers(port: usize) {
    let (told, mut said) = mpsc::unbounded_channel();
    let client = Client::serving(connect(port).await, program::<Home, _>(Away(told)));
    let call = tokio::spawn(async move { client.call(&CallBack).await });
    say(&said.recv().await.expect("the server calls back"));
    let _ = call.await;
}
