//! A server and a client on threads and blocking sockets: the engine of `rpc-frame`, and no async runtime.
//!
//! ```sh
//! cargo run --example threads                              # both in one process
//! cargo run --example threads -- --listen 127.0.0.1:2060   # only the server, until Ctrl-C
//! cargo run --example threads -- --call 127.0.0.1:2060     # only the client
//! ```
//!
//! # How the engine is driven
//!
//! A `Connection` has no socket and no clock, so all of both is in `wire.rs`, and server and client turn the same wheel:
//!
//! 1. `poll_event` until there is none. A call goes through `check`, which answers in the order that clients rely on or
//!    says that the service has to be asked; a reply is kept until somebody asks for it.
//! 2. Is there `output`? Write it and say with `advance_output` how much went, then begin anew: what was written may have
//!    made room for calls that have come before.
//! 3. Block in a read, at most until `next_timeout`. What comes goes into `receive`. Where that time has come already,
//!    look into the socket once more, and then let it pass with `handle_time`.
//!
//! # What is different with threads
//!
//! - Each connection has a thread, which is in its handler or in the socket and never in both. The server says so to the
//!   engine with two numbers: one call at a time, and none while output waits. The engine then knows that a record that
//!   is not whole waits for us, and does not hold it against the peer.
//! - A handler may block. It delays the calls behind it on its own connection and nobody else's; what its caller was
//!   answered before is sent already.
//! - Methods of a service are `async fn`, which are ready at once where they await nothing. For those that do, `block_on`
//!   parks the thread.
//! - Who ends a connection says so and reads on until the peer has ended it too (`Wire::farewell`): a socket that is closed
//!   while more comes is reset, with what was sent last. A thread that waits for its peer looks ten times a second whether
//!   the server is to end.
//! - Connections are bounded by their number of threads; those beyond it wait in the listener's backlog. A peer that
//!   sends nothing keeps its thread until the engine calls it idle.
//! - The client does not read while it writes. Calls in flight must fit into the sockets' buffers together with their
//!   replies; where they do not, the engine's write timeout ends it. So few of them may be in flight.

mod block_on; // a future on a thread
mod client; //   calls and the replies to them
mod protocol; // the messages
mod server; //   threads that answer
#[cfg(test)]
mod tests;
mod wire; //     an engine on its socket

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use rpc_frame::{AuthSys, Credential, OutgoingCall, program};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client::Client;
use crate::protocol::{Desk, Divide, Doze, EXAMPLE, Examples, Shout, Wait};
use crate::server::{Server, ServerConfig};

/// How long a call may take, unless it is there to be late.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a server that ends waits for its handlers.
const GRACE: Duration = Duration::from_secs(5);

/// Serve and call procedures with threads and blocking sockets.
#[derive(Parser)]
struct Arguments {
    /// Only serve, until Ctrl-C
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "call")]
    listen: Option<SocketAddr>,
    /// Only call
    #[arg(long, value_name = "ADDRESS:PORT")]
    call: Option<SocketAddr>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let say = |line| println!("{line}");
    match (arguments.listen, arguments.call) {
        (_, Some(address)) => converse(address, say),
        (Some(address), _) => {
            // Before the address is known, so that nobody can end it too early to be heard.
            let mut signals = Signals::new([SIGINT, SIGTERM])?;
            let server = serve(address)?;
            println!("listening {}", server.address());
            signals.forever().next();
            end(server)
        }
        (None, None) => {
            let server = serve((Ipv4Addr::LOCALHOST, 0).into())?;
            println!("listening {}", server.address());
            converse(server.address(), say)?;
            end(server)
        }
    }
}

fn serve(address: SocketAddr) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    Ok(Server::start(listener, program::<Examples, _>(Desk), ServerConfig::default())?)
}

fn end(server: Server) -> anyhow::Result<()> {
    ensure!(server.shutdown(GRACE), "some calls were cut off");
    println!("all calls are answered");
    Ok(())
}

/// A few calls and what becomes of them.
fn converse(address: SocketAddr, mut say: impl FnMut(String)) -> anyhow::Result<()> {
    let mut client = Client::connect(address).with_context(|| format!("cannot connect to {address}"))?;

    let shouted = client.call(&Shout { text: "hello".into() }, PATIENCE)?;
    say(format!("shout hello: {}", shouted.text));
    for (dividend, divisor) in [(42, 7), (1, 0)] {
        match client.call(&Divide { dividend, divisor }, PATIENCE)? {
            Ok(quotient) => say(format!("divide {dividend} by {divisor}: {quotient}")),
            Err(why) => say(format!("divide {dividend} by {divisor}: the procedure refuses, {why:?}")),
        }
    }

    // The thread waits for the last reply first. The others come before it, and are kept until they are asked for.
    let calls = [10, 20, 30].map(|dividend| client.start(&Divide { dividend, divisor: 10 }, PATIENCE));
    let mut quotients = Vec::new();
    for call in calls.into_iter().rev() {
        quotients.push(client.wait(call?)?);
    }
    say(format!("three calls in flight, from last to first: {quotients:?}"));

    let wait = Wait { millis: 20 };
    say(format!("wait as nobody: {}", told(client.call(&wait, PATIENCE))));
    let myself = AuthSys { stamp: 0, machine_name: "here".into(), uid: 1000, gid: 1000, gids: vec![] };
    client.set_credential(Credential::Sys(myself).to_opaque()?);
    say(format!("wait as uid 1000: {}", told(client.call(&wait, PATIENCE))));

    client.tell(&Doze { millis: 20 })?;
    say("doze 20 ms: no reply is waited for".to_owned());

    let unknown = OutgoingCall::new(EXAMPLE, 1, 99);
    say(format!("procedure 99: {}", told(client.call_with(&unknown, &(), PATIENCE))));
    let long = Shout { text: "a".repeat(33) };
    say(format!("shout 33 bytes: {}", told(client.call(&long, PATIENCE))));
    // The same from a client that does not check its bounds: a length, the bytes, and padding to a multiple of four.
    let mut padded = [0; 36];
    padded[..33].fill(b'a');
    let shout = OutgoingCall::new(EXAMPLE, 1, 1);
    say(format!("shout 33 bytes unchecked: {}", told(client.call_with(&shout, &(33_u32, padded), PATIENCE))));
    // A mistake of the handler's: there is no such i64. The server's stderr has the panic.
    say(format!("divide i64::MIN by -1: {}", told(client.call(&Divide { dividend: i64::MIN, divisor: -1 }, PATIENCE))));

    let late = client.call(&Wait { millis: 200 }, Duration::from_millis(50));
    say(format!("wait 200 ms, at most 50: {}", told(late)));
    // The late reply comes before this one.
    let after = client.call(&Divide { dividend: 9, divisor: 3 }, PATIENCE)?;
    say(format!("and after it: {after:?}, replies that nobody waited for: {}", client.passed_over()));
    client.close();
    Ok(())
}

fn told<T: std::fmt::Debug>(reply: Result<T, client::CallError>) -> String {
    reply.map_or_else(|error| error.to_string(), |reply| format!("{reply:?}"))
}
