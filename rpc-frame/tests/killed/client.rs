//! The client is killed: the server forgets it, and goes on serving the others.

use std::sync::Arc;

use rpc_frame::tokio::{CallError, CallOptions, Client, Server, ServerConfig};
use rpc_frame::{CallCounters, Program, program};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::desk::{Clerk, Desk, Double};
use crate::process::Process;
use crate::{until, watched};

/// A record mark, ten words of header, and one of arguments.
const HOLD: usize = 4 + 40 + 4;

/// Longer than what the buffers of two sockets hold.
const LONG: usize = 32 * 1024 * 1024;

/// The surviving side: a server, and a client of it that is not killed.
struct Survivor {
    server: Server<Program<Desk, Clerk>>,
    clerk: Arc<Clerk>,
    port: u16,
    bystander: Client,
    /// What the handlers say.
    said: mpsc::UnboundedReceiver<String>,
    /// How calls back to the client have ended.
    back: mpsc::UnboundedReceiver<Result<u32, CallError>>,
    tasks: usize,
}

impl Survivor {
    async fn start() -> Self {
        let ((say, said), (answers, back)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let clerk = Arc::new(Clerk { say, go_on: Semaphore::new(0), back: answers });
        let mut config = ServerConfig::default();
        config.connection.max_record = 2 * LONG;
        let server = Server::builder(program::<Desk, Clerk>(Arc::clone(&clerk))).config(config).build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        let bystander = Client::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
            .with_options(CallOptions::default().with_timeout(None));
        let mut survivor = Self { server, clerk, port, bystander, said, back, tasks: 0 };
        survivor.serves_others().await;
        survivor.tasks = Handle::current().metrics().num_alive_tasks();
        survivor
    }

    async fn serves_others(&self) {
        assert_eq!(watched("a call", self.bystander.call(&Double { number: 21 })).await.unwrap(), 42);
    }

    fn counters(&self) -> CallCounters {
        self.server.counters().calls
    }

    async fn says(&mut self, what: &str) {
        assert_eq!(watched("a handler", self.said.recv()).await.as_deref(), Some(what));
    }

    /// Nothing is left of the client that was killed.
    async fn is_well(&mut self) {
        self.serves_others().await;
        until("a connection", || self.server.connections() == 1).await;
        until("a task", || Handle::current().metrics().num_alive_tasks() == self.tasks).await;
        assert_eq!(self.counters().in_flight(), 0);
        self.serves_others().await;
    }
}

#[tokio::test]
async fn a_client_is_killed_before_its_first_byte_or_within_a_call() {
    let mut survivor = Survivor::start().await;
    for count in [0, 2, 4, 9, 24, 44, HOLD - 1] {
        let mut process = Process::start(&format!("writes {} {count}", survivor.port));
        process.at("has written").await;
        until("accepting", || survivor.server.connections() == 2).await;
        process.kill().await;
        survivor.is_well().await;
    }
    assert_eq!(survivor.counters().succeeded, survivor.counters().calls, "none but the bystander's has come");
    assert!(survivor.said.try_recv().is_err());
}

#[tokio::test]
async fn a_client_is_killed_before_its_handler_ends() {
    let mut survivor = Survivor::start().await;
    let mut process = Process::start(&format!("calls {}", survivor.port));
    process.at("was answered").await;
    survivor.says("holds 1").await;
    process.kill().await;
    survivor.serves_others().await;
    assert_eq!(survivor.counters().in_flight(), 1, "a client that sends no more may still read");
    survivor.clerk.go_on.add_permits(1);
    survivor.is_well().await;
}

#[tokio::test]
async fn a_client_is_killed_within_its_reply() {
    let mut survivor = Survivor::start().await;
    let mut process = Process::start(&format!("fills {} {LONG}", survivor.port));
    process.at("has written").await;
    survivor.says("fills").await;
    until("sending", || survivor.server.counters().bytes_sent > 1000).await;
    assert!(survivor.server.counters().bytes_sent < LONG as u64);
    survivor.serves_others().await;
    process.kill().await;
    survivor.is_well().await;
}

#[tokio::test]
async fn a_client_is_killed_after_its_reply() {
    let mut survivor = Survivor::start().await;
    survivor.clerk.go_on.add_permits(1);
    let mut process = Process::start(&format!("writes {} {HOLD}", survivor.port));
    process.at("has written").await;
    survivor.says("holds 1").await;
    until("a reply", || survivor.counters().in_flight() == 0).await;
    process.kill().await;
    survivor.is_well().await;
}

#[tokio::test]
async fn a_client_is_killed_while_messages_without_reply_wait_for_their_handlers() {
    let mut survivor = Survivor::start().await;
    let process = Process::start(&format!("notes {} 200", survivor.port));
    // As many as are taken up at a time; the others wait in buffers.
    for _ in 0..64 {
        survivor.says("holds 0").await;
    }
    process.kill().await;
    survivor.serves_others().await;
    survivor.clerk.go_on.add_permits(200);
    survivor.is_well().await;
    assert!((64..=200).contains(&survivor.counters().unanswered), "{:?}", survivor.counters());
}

#[tokio::test]
async fn a_client_is_killed_while_it_is_called_back() {
    let mut survivor = Survivor::start().await;
    let mut process = Process::start(&format!("answers {}", survivor.port));
    process.at("called back").await;
    process.kill().await;
    let error = watched("a call back", survivor.back.recv()).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed(_)) && error.may_have_run(), "{error}");
    survivor.is_well().await;
}
