//! Connections that are closed while what was sent is still on its way. A socket that is closed with something unread in
//! it is reset, and so is one to which more comes when it is closed; what its peer has not taken by then is lost.

use super::*;

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use rpc_frame::{OnewayProcedure, Peer};
use tokio::io::{DuplexStream, ReadBuf, duplex};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep};

/// Long enough for most of it to wait in the sender's socket, where the receiver's has little room.
const LONG: u32 = 300_000;

/// A peer's end with little room for what comes.
fn narrow() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
}

impl Site {
    async fn narrow(&self) -> TcpStream {
        let raw = narrow().connect(self.tcp).await.unwrap();
        raw.set_nodelay(true).unwrap();
        raw
    }
}

/// A client that serves nothing, or that serves as well, and the server's end with little room.
async fn client(serves: bool) -> (Client, TcpStream) {
    let listener = narrow();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let served = || program::<Gate, _>(Keeper { held: mpsc::unbounded_channel().0, doubled: Arc::default() });
    (if serves { Client::serving(near, served()) } else { Client::new(near) }, far)
}

/// Everything until the end, which has to be one and no reset.
async fn all(raw: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let end = within(raw.read_to_end(&mut all)).await;
    assert!(end.is_ok(), "{end:?} after {} bytes", all.len());
    all
}

/// The length of a reply with so many bytes of results, with its mark.
fn reply_len(count: u32) -> usize {
    4 + 24 + 4 + count as usize
}

// 34
#[tokio::test]
async fn survives_shutdown_while_more_calls_come_and_the_answers_are_not_read_yet() {
    let mut site = Site::open().await;
    let mut raw = site.narrow().await;
    let waits = Call::new(2, GATE, 3, 2).args(words(&[7])).record();
    send(&mut raw, &[fill(1, LONG), waits].concat()).await.unwrap();
    let held = within(site.held.recv()).await.unwrap();
    let server = site.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(Duration::from_secs(60)).await });
    // The listener is gone: the connections have been told as well.
    while TcpStream::connect(site.tcp).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // They come too late, before the last answer and behind it.
    send(&mut raw, &double(3, 3)).await.unwrap();
    held.answer.send(8).unwrap();
    while site.server.counters().calls.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    send(&mut raw, &double(4, 4)).await.unwrap();
    let answers = all(&mut raw).await;
    assert_eq!(answers.len(), reply_len(LONG) + 32);
    assert!(answers.ends_with(&words(&[2, 1, 0, 0, 0, 0, 8])), "the last of them as well");
    drop(raw);
    assert!(within(ending).await.unwrap(), "nothing was cut off");
}

// 22
#[tokio::test]
async fn survives_garbage_behind_a_call_whose_answer_is_not_read_yet() {
    let site = Site::open().await;
    let mut raw = site.narrow().await;
    let garbage = vec![b'x'; 100_000];
    send(&mut raw, &[fill(1, LONG), garbage.clone()].concat()).await.unwrap();
    while site.server.counters().calls.succeeded == 0 {
        tokio::task::yield_now().await;
    }
    send(&mut raw, &garbage).await.unwrap();
    assert_eq!(all(&mut raw).await.len(), reply_len(LONG));
}

#[tokio::test]
async fn what_was_sent_arrives_though_the_client_is_gone_and_its_peer_has_more_to_say() {
    for serves in [false, true] {
        let (client, mut raw) = client(serves).await;
        client.send(&Shout { bytes: vec![7; LONG as usize] }).await.unwrap();
        // Here before the client's task can read it, and before it closes: tokio takes a socket that it has accepted for
        // one that can be written to.
        assert_eq!(raw.try_write(&double(1, 1)).unwrap(), double(1, 1).len());
        drop(client);
        // Only when all of it is in the sender's socket is it closed.
        let mut first = [0; 4];
        within(raw.read_exact(&mut first)).await.unwrap();
        send(&mut raw, &double(2, 2)).await.unwrap();
        let sent = all(&mut raw).await;
        assert!(sent.len() > LONG as usize, "serves {serves}: {} bytes", sent.len());
        assert_eq!(sent[20..24], Shout::NUMBER.to_be_bytes());
    }
}

/// A connection through little memory on which one call has been answered.
async fn used(site: &Site) -> DuplexStream {
    let (mut raw, far) = duplex(256);
    site.server.serve_connection(far, Peer::Unknown).unwrap();
    send(&mut raw, &double(1, 1)).await.unwrap();
    assert_eq!(read_record(&mut raw).await, record(&words(&[1, 1, 0, 0, 0, 0, 2])));
    raw
}

/// How many seconds a shutdown takes, and whether it was one in peace.
async fn shutdown(site: &Site, grace: Duration) -> (u64, bool) {
    let begun = Instant::now();
    let ended = site.server.shutdown(grace).await;
    (begun.elapsed().as_secs(), ended)
}

const HOUR: Duration = Duration::from_secs(3600);

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_waits_two_seconds_for_a_peer_that_does_not_close() {
    let site = Site::open().await;
    let raw = used(&site).await;
    assert_eq!(shutdown(&site, HOUR).await, (2, true));
    assert_eq!(site.server.connections(), 0);
    drop(raw);
}

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_ends_when_its_peers_have_closed() {
    let site = Site::open().await;
    let mut raw = used(&site).await;
    let client = Client::new(site.server.connect_in_memory());
    client.call(&Double { number: 1 }).await.unwrap();
    tokio::spawn(async move { rest(&mut raw).await });
    assert_eq!(shutdown(&site, HOUR).await, (0, true));
    assert!(matches!(client.closed().await, ClosedError::ByPeer));
}

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_peer_that_was_quiet() {
    let site = Site::open().await;
    let raw = used(&site).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(shutdown(&site, HOUR).await, (0, true));
    drop(raw);
}

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_peer_that_was_sent_nothing() {
    let site = Site::open().await;
    let (mut raw, far) = duplex(256);
    site.server.serve_connection(far, Peer::Unknown).unwrap();
    send(&mut raw, &double(1, 1)[..20]).await.unwrap();
    while site.server.counters().bytes_received < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shutdown(&site, HOUR).await, (0, true));
}

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_gives_up_a_peer_that_sends_on_when_it_has_had_the_time_to_read() {
    for (grace, seconds) in [(HOUR, 30), (Duration::from_secs(9), 9)] {
        let site = Site::open().await;
        let mut raw = used(&site).await;
        tokio::spawn(async move {
            while raw.write_all(b"more").await.is_ok() {
                sleep(Duration::from_millis(1500)).await;
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(shutdown(&site, grace).await, (seconds, true), "no call is cut off");
    }
}

// 34
#[tokio::test(start_paused = true)]
async fn survives_shutdown_while_a_client_sends_all_of_its_calls_before_it_reads() {
    let site = Site::open().await;
    let mut raw = used(&site).await;
    send(&mut raw, &fill(2, 5000)).await.unwrap();
    while site.server.counters().calls.succeeded < 2 {
        tokio::task::yield_now().await;
    }
    let server = site.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(HOUR).await });
    for xid in 3..1000 {
        send(&mut raw, &double(xid, xid)).await.expect("somebody reads");
    }
    let mut answers = Vec::new();
    within(raw.read_to_end(&mut answers)).await.unwrap();
    assert_eq!(answers[..8], words(&[0x8000_0000 | (28 + 5000), 2]));
    assert_eq!((answers.len() - reply_len(5000)) % 32, 0, "whole answers");
    drop(raw);
    assert!(within(ending).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_arrives_though_the_client_is_gone_and_its_peer_sends_before_it_reads() {
    let (near, mut raw) = duplex(256);
    let client = Client::new(near);
    client.send(&Shout { bytes: vec![7; 5000] }).await.unwrap();
    drop(client);
    for xid in 3..1000 {
        send(&mut raw, &double(xid, xid)).await.expect("somebody reads");
    }
    let mut sent = Vec::new();
    within(raw.read_to_end(&mut sent)).await.unwrap();
    assert_eq!(sent.len(), 4 + 40 + 4 + 5000);
}

/// A stream that cannot be told to end, as one that speaks TLS to a peer that does not read.
struct Endless<IO> {
    io: IO,
    writes: bool,
    _told: oneshot::Sender<()>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Endless<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Endless<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.writes { Pin::new(&mut self.io).poll_write(cx, buf) } else { Poll::Pending }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

// 34
#[tokio::test(start_paused = true)]
async fn a_client_lets_go_of_a_stream_that_cannot_be_told_to_end() {
    let (near, _far) = duplex(256);
    let (_told, gone) = oneshot::channel();
    let client = Client::new(Endless { io: near, writes: false, _told });
    let called = within(client.call(&Double { number: 1 })).await;
    assert!(
        matches!(called, Err(CallError::DeadlineExceeded | CallError::Closed(_) | CallError::NotConnected(_))),
        "{called:?}"
    );
    assert!(timeout(HOUR, gone).await.is_ok_and(|sent| sent.is_err()), "it is kept");
}

// 34
#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_a_stream_to_say_the_end_as_long_as_for_a_peer_to_read() {
    let site = Site::open().await;
    let (mut raw, io) = duplex(256);
    let (_told, _gone) = oneshot::channel();
    site.server.serve_connection(Endless { io, writes: true, _told }, Peer::Unknown).unwrap();
    send(&mut raw, &double(1, 1)).await.unwrap();
    assert_eq!(read_record(&mut raw).await, record(&words(&[1, 1, 0, 0, 0, 0, 2])));
    assert_eq!(shutdown(&site, HOUR).await, (30, true));
}
