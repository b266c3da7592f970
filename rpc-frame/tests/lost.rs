//! A connection that is lost at any byte of a call: whether the call may have run is known to the byte.

mod wire;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client};
use rpc_frame::xdr::Xdr;
use rpc_frame::{ProcedureTable, program};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wire::success;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 9, version = 1, proc = 1)]
struct Ask {
    #[xdr(max = 64)]
    what: String,
}

#[derive(ProcedureTable)]
#[rpc(program = 10, version = 1, service = NothingService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Nothing {
    Never(Never),
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 10, version = 1, proc = 1)]
struct Never;

struct Silent;
impl NothingService for Silent {
    async fn never(&self, _: &rpc_frame::Context, _: Never) {}
}

/// A record mark, ten words of header, and the argument's length and 40 bytes.
const CALL: usize = 4 + 40 + 44;

/// A stream that takes so many bytes and is lost with the next one, or with the end of the call.
struct Cut {
    left: usize,
    taken: usize,
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let len = bytes.len().min(self.left);
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.left -= len;
        self.taken += len;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Cut {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.taken >= CALL && self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What becomes of one call, and of a second one behind it.
async fn two_calls(client: Client) -> [CallError; 2] {
    let client = client.with_options(CallOptions::default().with_timeout(None));
    let ask = Ask { what: "x".repeat(40) };
    let (first, second) = tokio::join!(client.call(&ask), client.call(&ask));
    assert!(client.close_reason().is_some());
    [first.unwrap_err(), second.unwrap_err()]
}

#[tokio::test]
async fn a_call_may_have_run_if_and_only_if_its_last_byte_was_sent() {
    for left in 0..2 * CALL {
        let cut = || Cut { left, taken: 0 };
        for client in [Client::new(cut()), Client::serving(cut(), program::<Nothing, _>(Silent))] {
            let [first, second] = two_calls(client).await;
            assert_eq!(first.may_have_run(), left >= CALL, "{left} bytes: {first}");
            assert_eq!(matches!(first, CallError::Closed(_)), left >= CALL, "{left} bytes: {first}");
            assert!(!second.may_have_run(), "{left} bytes: {second}");
        }
    }
}

/// A client by TCP, and the other end.
async fn pair(both_ways: bool) -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let client = if both_ways { Client::serving(near, program::<Nothing, _>(Silent)) } else { Client::new(near) };
    (client, far)
}

/// Calls once, in a task.
fn ask(client: &Client) -> JoinHandle<Result<(), CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call(&Ask { what: "x".repeat(40) }).await })
}

/// Reads calls, and writes the replies to them, before the client can look: it finds all of it at once.
async fn answer(far: &mut TcpStream, calls: usize) {
    let mut called = vec![0; calls * CALL];
    far.read_exact(&mut called).await.unwrap();
    let xid = |call: &[u8]| u32::from_be_bytes(call[4..8].try_into().unwrap());
    let replies: Vec<u8> = called.chunks(CALL).flat_map(|call| success(xid(call), &[])).collect();
    assert_eq!(far.try_write(&replies).unwrap(), replies.len());
}

#[tokio::test]
async fn replies_that_have_come_are_taken_though_nothing_more_can_be_sent() {
    for both_ways in [false, true] {
        let (client, mut far) = pair(both_ways).await;
        let client = client.with_options(CallOptions::default().with_timeout(None));
        let calls: Vec<_> = (0..1000).map(|_| ask(&client)).collect();
        answer(&mut far, calls.len()).await;
        far.set_zero_linger().unwrap();
        drop(far);
        let further = timeout(Duration::from_secs(20), ask(&client)).await;
        let further = further.expect("the loss is seen").unwrap().unwrap_err();
        assert!(!further.may_have_run(), "{further}");
        for call in calls {
            call.await.unwrap().expect("its reply is here");
        }
    }
}

#[tokio::test]
async fn a_reply_that_has_come_in_time_is_in_time_however_late_the_runtime_looks() {
    for both_ways in [false, true] {
        let (client, mut far) = pair(both_ways).await;
        let timed = CallOptions::default().with_timeout(Some(Duration::from_millis(200)));
        // The second time there is the call before that nobody waits for.
        for calls in [1, 2] {
            let call = ask(&client.clone().with_options(timed.clone()));
            answer(&mut far, calls).await;
            // Not a wait for anybody: this is the deadline passing while something else keeps the thread.
            std::thread::sleep(Duration::from_millis(400));
            // It has the client's task run before the runtime looks at its sockets.
            let further = ask(&client);
            call.await.unwrap().expect("its reply came in time");
            further.abort();
        }
    }
}
