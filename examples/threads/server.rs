//! A server: a thread that accepts, and one for each connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rpc_frame::{
    AcceptStatus, Answer, ConnectionConfig, Event, IncomingCall, Outcome, Peer, Programs, RecordNotWritten, Rules,
    Session, Undispatched, check,
};

use crate::block_on::block_on;
use crate::wire::{Came, Ended, Wire};

/// Pause after a connection could not be accepted: mostly for want of files, which take time to come back.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest time to wake the thread that accepts.
const WAKE: Duration = Duration::from_secs(1);

/// How late a thread that waits for its peer sees that the server is to end. A socket whose reading half is shut down would
/// wake it at once, and could not be waited on any more for what still comes.
const LOOK: Duration = Duration::from_millis(100);

/// Most reads for calls that have come when the end is seen: as much as a socket holds.
const LAST_READS: usize = 64;

/// What a server may cost.
pub(crate) struct ServerConfig {
    /// Most connections, each with its thread: 64. More wait in the listener's backlog.
    pub(crate) max_connections: usize,
    /// What each of them may cost.
    pub(crate) connection: ConnectionConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { max_connections: 64, connection: ConnectionConfig::default() }
    }
}

/// A server that runs.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What its threads share.
struct Shared {
    state: Mutex<State>,
    /// A connection has ended, or the server is to end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ending: bool,
    accepted: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    /// A second handle on the connection's socket.
    stream: TcpStream,
    /// All is answered and written; the peer has yet to take it.
    leaves: bool,
}

/// What there is to serve.
struct Service<P> {
    programs: P,
    rules: Rules,
    config: ConnectionConfig,
}

impl Server {
    pub(crate) fn start<P: Programs>(listener: TcpListener, programs: P, config: ServerConfig) -> io::Result<Self> {
        let ServerConfig { max_connections, connection: mut config } = config;
        // What a thread can do that is in a handler, or writes, or reads. Also, what is answered leaves before the next
        // call is taken up.
        config.max_calls_in_flight = 1;
        config.max_unsent = 0;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let service = Arc::new(Service { programs, rules: Rules::default(), config });
        let accepting = thread::Builder::new().name("accept".into()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared, &service, max_connections)
        })?;
        Ok(Self { address, shared, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, answers the calls that have come, and ends. False where `grace` was too short for a call, or
    /// for connections without one to look: the connections that are left are cut off, and their threads end when their
    /// handlers do.
    pub(crate) fn shutdown(self, grace: Duration) -> bool {
        self.shared.lock().ending = true;
        self.shared.changed.notify_all();
        // There is no other way out of a blocking accept.
        if TcpStream::connect_timeout(&reachable(self.address), WAKE).is_ok() {
            // It holds the listener, which is closed after this. It panics nowhere.
            let _ = self.accepting.join();
        }
        let open = self.shared.changed.wait_timeout_while(self.shared.lock(), grace, |state| !state.open.is_empty());
        let (state, _) = open.unwrap_or_else(PoisonError::into_inner);
        for open in state.open.values() {
            // The peer may have ended it already.
            let _ = open.stream.shutdown(Shutdown::Both);
        }
        state.open.values().all(|open| open.leaves)
    }
}

/// Where a listener on this address can be reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves the state half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// Waits for room for a connection. False where there will be none.
    fn wait_for_room(&self, most: usize) -> bool {
        let full = |state: &mut State| !state.ending && state.open.len() >= most;
        let state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        !state.ending
    }

    /// Counts a connection as long as the place lives. None where the server is ending.
    fn place(self: &Arc<Self>, stream: &TcpStream) -> io::Result<Option<Place>> {
        let stream = stream.try_clone()?;
        let mut state = self.lock();
        if state.ending {
            return Ok(None);
        }
        let number = state.accepted;
        state.accepted += 1;
        state.open.insert(number, Open { stream, leaves: false });
        Ok(Some(Place { number, shared: Arc::clone(self) }))
    }
}

/// A connection's place among all of them.
struct Place {
    number: u64,
    shared: Arc<Shared>,
}

impl Place {
    /// Ends a connection from this side, all of whose output is written.
    fn end(&self, wire: Wire) {
        if let Some(open) = self.shared.lock().open.get_mut(&self.number) {
            open.leaves = true;
        }
        wire.farewell();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().open.remove(&self.number);
        self.shared.changed.notify_all();
    }
}

fn accept<P: Programs>(listener: &TcpListener, shared: &Arc<Shared>, service: &Arc<Service<P>>, most: usize) {
    while shared.wait_for_room(most) {
        let spawned = listener.accept().and_then(|(stream, peer)| {
            let Some(place) = shared.place(&stream)? else { return Ok(()) };
            let service = Arc::clone(service);
            let thread = thread::Builder::new().name(format!("rpc {peer}"));
            thread.spawn(move || {
                if let Err(why) = service.serve(stream, peer, &place) {
                    eprintln!("{peer}: {why}");
                }
            })?;
            Ok(())
        });
        if let Err(error) = spawned {
            eprintln!("cannot accept a connection: {error}");
            thread::sleep(PAUSE);
        }
    }
}

impl<P: Programs> Service<P> {
    /// Serves one connection until the peer ends it, or the server does.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, place: &Place) -> Result<(), Ended> {
        let session = Arc::new(Session::new(Peer::Tcp(peer)));
        let mut wire = Wire::new(stream, self.config.clone())?;
        let mut last_reads = LAST_READS;
        loop {
            match wire.engine.poll_event() {
                Ok(Some(Event::Call(call))) => self.answer(&mut wire, &session, &call)?,
                // This server calls nobody, so no other event comes.
                Ok(Some(_)) => {}
                // The engine gives no call while there is output, so this is not the end of what has come.
                Ok(None) if !wire.engine.output().is_empty() => wire.write()?,
                Ok(None) => {
                    let ending = place.shared.is_ending();
                    match wire.read(Some(if ending { Duration::ZERO } else { LOOK }))? {
                        Came::End => return Ok(wire.engine.handle_eof()?),
                        Came::Something if last_reads > 0 => last_reads -= usize::from(ending),
                        Came::Nothing if !ending => {}
                        Came::Something | Came::Nothing => {
                            place.end(wire);
                            return Ok(());
                        }
                    }
                }
                // Broken framing: what came before it is answered.
                Err(why) => {
                    place.end(wire);
                    return Err(why.into());
                }
            }
        }
    }

    fn answer(&self, wire: &mut Wire, session: &Arc<Session>, call: &IncomingCall) -> Result<(), Ended> {
        let (xid, now) = (call.xid, wire.now());
        let outcome = match check(&self.programs, &self.rules, session, call) {
            Answer::Outcome(outcome) => outcome,
            Answer::Results(results) => {
                log(xid, wire.engine.reply_with(now, xid, &results));
                return Ok(());
            }
            Answer::Dispatch(cx) => {
                let handler = || block_on(self.programs.dispatch(&cx, &call.args));
                // A service that panics is called again, as one on tokio is: what it leaves half done is its own affair.
                let ended = catch_unwind(AssertUnwindSafe(handler));
                let now = wire.now();
                // While the call is in flight and nobody reads, a record that is not whole is not late: its time begins
                // anew here.
                wire.engine.handle_time(now)?;
                let status = match ended {
                    Ok(Ok(reply)) if !cx.procedure().oneway => {
                        log(xid, wire.engine.reply_with_verifier(now, xid, cx.verifier(), &reply));
                        return Ok(());
                    }
                    // Also to who thinks that it is oneway.
                    Ok(Err(why @ Undispatched::UnknownProcedure)) => why.status(),
                    _ if cx.procedure().oneway => {
                        wire.engine.leave_unanswered();
                        return Ok(());
                    }
                    Ok(Err(why)) => why.status(),
                    // The panic hook has said why.
                    Ok(_) | Err(_) => AcceptStatus::SystemErr,
                };
                Outcome::Accepted(status)
            }
            // An answer that is not known here: nothing but this is always true.
            _ => Outcome::Accepted(AcceptStatus::SystemErr),
        };
        wire.engine.reply(wire.now(), xid, outcome);
        Ok(())
    }
}

/// The caller got SYSTEM_ERR, and does not learn why.
fn log(xid: u32, written: Result<(), RecordNotWritten>) {
    if let Err(error) = written {
        eprintln!("cannot send the reply to call {xid}: {error}");
    }
}
