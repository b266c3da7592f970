//! Clients, each kind by itself.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_frame::tokio::{CallError, CallOptions, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::program::{Echo, LOAD, Panic, Rest, Wait};

/// How many clients there are of each kind.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// 64 calls in flight each, all the time.
    busy: usize,
    /// A call now and then.
    quiet: usize,
    /// They leave in mid-call, and come again.
    leaving: usize,
    /// They call what panics.
    panicking: usize,
    /// They call what never answers.
    waiting: usize,
    /// They never read what they are answered.
    deaf: usize,
    /// They write a byte now and then, and not always all of them.
    slow: usize,
}

/// What the clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    succeeded: AtomicU64,
    system_errors: AtomicU64,
    never_answered: AtomicU64,
    left: AtomicU64,
    /// Connections that the server has given up, with reason.
    cut_off: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

type Stopped = watch::Receiver<bool>;

const IN_FLIGHT: u32 = 64;

impl Crowd {
    pub(crate) fn new(connections: usize) -> Self {
        let one_of = |share: usize| (connections / share).max(1);
        let busy = one_of(5).min(100);
        let (leaving, panicking, waiting, deaf, slow) = (one_of(50), one_of(100), one_of(50), one_of(250), one_of(50));
        let quiet = connections.saturating_sub(busy + leaving + panicking + waiting + deaf + slow);
        Self { busy, quiet, leaving, panicking, waiting, deaf, slow }
    }

    /// Those who wait stay until the sender of `stopped` is gone, the others until it says so.
    pub(crate) fn come(
        &mut self,
        server: SocketAddr,
        tally: &Arc<Tally>,
        stopped: &Stopped,
        callers: &mut JoinSet<()>,
        waiting: &mut JoinSet<()>,
    ) {
        let Self { busy, quiet, leaving, panicking, waiting: waiters, deaf, slow } = *self;
        let with = || (server, Arc::clone(tally), stopped.clone());
        (0..waiters).for_each(|_| drop(waiting.spawn(wait(with()))));
        (0..busy).for_each(|_| drop(callers.spawn(be_busy(with()))));
        (0..panicking).for_each(|_| drop(callers.spawn(make_panic(with()))));
        (0..leaving).for_each(|_| drop(callers.spawn(leave(with()))));
        (0..deaf).for_each(|_| drop(callers.spawn(be_deaf(with()))));
        (0..slow).for_each(|index| drop(callers.spawn(be_slow(with(), index))));
        (0..quiet).for_each(|index| drop(callers.spawn(be_quiet(with(), index))));
    }
}

type With = (SocketAddr, Arc<Tally>, Stopped);

/// A client that waits for its replies as long as it takes: a call that is forgotten is found out.
async fn client(server: SocketAddr) -> Client {
    let client = Client::connect_tcp(server).await.expect("the server listens");
    client.with_options(CallOptions::default().with_timeout(None))
}

/// Until it is time to stop, or that much time has passed.
async fn pause(stopped: &mut Stopped, time: Duration) {
    tokio::select! {
        () = sleep(time) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn be_busy((server, tally, stopped): With) {
    let client = client(server).await;
    let mut calls = JoinSet::new();
    for index in 0..IN_FLIGHT {
        let (client, tally, stopped) = (client.clone(), Arc::clone(&tally), stopped.clone());
        calls.spawn(async move {
            let mut number = index;
            while !*stopped.borrow() {
                number = number.wrapping_add(IN_FLIGHT);
                let call = Rest { number, millis: 500 + number.wrapping_mul(2_654_435_761) % 1_000 };
                tally.expect(client.call(&call).await, &number);
            }
        });
    }
    while calls.join_next().await.is_some() {}
}

async fn be_quiet((server, tally, mut stopped): With, index: usize) {
    let client = client(server).await;
    let call = Echo { bytes: vec![index as u8; 200] };
    while !*stopped.borrow() {
        tally.expect(client.call(&call).await, &call);
        pause(&mut stopped, Duration::from_millis(2_000 + index as u64 % 3_000)).await;
    }
}

async fn make_panic((server, tally, mut stopped): With) {
    let client = client(server).await;
    while !*stopped.borrow() {
        match client.call(&Panic).await {
            Err(CallError::SystemErr) => Tally::count(&tally.system_errors),
            other => tally.complain(format!("a panic is answered {other:?}")),
        }
        pause(&mut stopped, Duration::from_millis(20)).await;
    }
}

async fn leave((server, tally, mut stopped): With) {
    while !*stopped.borrow() {
        let client = client(server).await;
        let call = |number| {
            let client = client.clone();
            async move { client.call(&Rest { number, millis: 400 }).await }
        };
        tokio::select! {
            reply = async { tokio::join!(call(1), call(2), call(3), call(4)) } => {
                tally.complain(format!("answered too early: {reply:?}"));
            }
            () = sleep(Duration::from_millis(50)) => Tally::count(&tally.left),
        }
        drop(client);
        pause(&mut stopped, Duration::from_millis(50)).await;
    }
}

async fn wait((server, tally, mut stopped): With) {
    let client = client(server).await;
    let impatient = client.clone().with_options(CallOptions::default().with_timeout(Some(Duration::from_millis(100))));
    for _ in 0..16 {
        match impatient.call(&Wait).await {
            Err(CallError::DeadlineExceeded) => Tally::count(&tally.never_answered),
            other => tally.complain(format!("what never ends is answered {other:?}")),
        }
        // The others of the connection are served all the same.
        let call = Echo { bytes: vec![3; 30] };
        tally.expect(client.call(&call).await, &call);
    }
    while stopped.changed().await.is_ok() {}
}

/// A record of one call with AUTH_NONE, written by hand.
fn record(procedure: u32, args: &[u32]) -> Vec<u8> {
    let header = [1, 0, 2, LOAD, 1, procedure, 0, 0, 0, 0];
    let words: Vec<u8> = header.iter().chain(args).flat_map(|word| word.to_be_bytes()).collect();
    let mark = 0x8000_0000 | u32::try_from(words.len()).expect("a short record");
    [&mark.to_be_bytes()[..], &words].concat()
}

async fn be_deaf((server, tally, mut stopped): With) {
    let calls = record(5, &[60_000]).repeat(100);
    while !*stopped.borrow() {
        let mut stream = TcpStream::connect(server).await.expect("the server listens");
        let shout = async { while stream.write_all(&calls).await.is_ok() {} };
        tokio::select! {
            () = shout => Tally::count(&tally.cut_off),
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
}

async fn be_slow((server, tally, mut stopped): With, index: usize) {
    let call = record(2, &[7, 0]);
    while !*stopped.borrow() {
        let mut stream = TcpStream::connect(server).await.expect("the server listens");
        if index.is_multiple_of(2) {
            // Not all of it: the server gives it up.
            stream.write_all(&call[..20]).await.expect("the server has not closed yet");
            match stream.read(&mut [0]).await {
                Ok(0) | Err(_) => Tally::count(&tally.cut_off),
                Ok(_) => tally.complain("half a call is answered".into()),
            }
            continue;
        }
        for byte in &call {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            pause(&mut stopped, Duration::from_millis(10)).await;
        }
        let mut reply = [0; 32];
        match stream.read_exact(&mut reply).await {
            Ok(_) if reply[28..] == [0, 0, 0, 7] => Tally::count(&tally.succeeded),
            Ok(_) => tally.complain(format!("a slow call is answered {reply:?}")),
            // On a busy machine it takes longer than the server waits.
            Err(_) => Tally::count(&tally.cut_off),
        }
    }
}

impl Tally {
    fn count(number: &AtomicU64) {
        number.fetch_add(1, Ordering::Relaxed);
    }

    fn complain(&self, what: String) {
        let mut complaints = self.complaints.lock().expect("nobody panics here");
        if complaints.len() < 10 {
            complaints.push(what);
        }
    }

    /// The call's own results, and nothing else.
    fn expect<T: PartialEq + fmt::Debug>(&self, reply: Result<T, CallError>, wanted: &T) {
        match reply {
            Ok(results) if results == *wanted => Self::count(&self.succeeded),
            other => self.complain(format!("{other:?} in the place of {wanted:?}")),
        }
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().expect("nobody panics here").clone()
    }

    pub(crate) fn succeeded(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed)
    }

    pub(crate) fn system_errors(&self) -> u64 {
        self.system_errors.load(Ordering::Relaxed)
    }

    pub(crate) fn never_answered(&self) -> u64 {
        self.never_answered.load(Ordering::Relaxed)
    }

    pub(crate) fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        write!(
            f,
            "{} answered, {} SYSTEM_ERR, {} past their deadline; {} times left, {} times cut off",
            number(&self.succeeded),
            number(&self.system_errors),
            number(&self.never_answered),
            number(&self.left),
            number(&self.cut_off)
        )
    }
}
