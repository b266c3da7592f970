//! A client for one thread: calls go out one after the other, replies are kept until they are asked for.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rpc_frame::xdr::{Bytes, DecodeError, Encode, from_bytes};
use rpc_frame::{
    AcceptStatus, AcceptedReply, ConnectionConfig, Event, IncomingReply, OnewayProcedure, OpaqueAuth, Outcome,
    OutgoingCall, Procedure, RecordNotWritten, RejectedReply, ReplyBody,
};

use crate::wire::{Came, Ended, Wire};

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// Most calls in flight: nobody reads replies while this thread writes calls.
const IN_FLIGHT: usize = 32;

/// Why a call has no results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("not sent: {0}")]
    NotSent(#[from] RecordNotWritten),
    #[error("no reply within the deadline")]
    DeadlineExceeded,
    #[error("the server does not accept the caller: {0:?}")]
    Denied(RejectedReply),
    #[error("the server answers {0:?}")]
    Failed(AcceptStatus),
    #[error("the reply cannot be read: {0}")]
    BadReply(#[from] DecodeError),
    #[error("the connection is lost: {0}")]
    Lost(#[from] Ended),
}

/// One connection.
pub(crate) struct Client {
    wire: Wire,
    credential: OpaqueAuth,
    /// What has become of calls that nobody has asked for yet.
    ended: HashMap<u32, Result<IncomingReply, CallError>>,
}

/// A call in flight. What becomes of it is kept until [`Client::wait`] asks.
#[must_use]
pub(crate) struct InFlight<P> {
    xid: u32,
    procedure: PhantomData<P>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Ended> {
        let mut config = ConnectionConfig::default();
        config.max_own_calls_in_flight = IN_FLIGHT;
        let wire = Wire::new(TcpStream::connect_timeout(&address, CONNECT)?, config)?;
        Ok(Self { wire, credential: OpaqueAuth::none(), ended: HashMap::new() })
    }

    /// Ends the connection. Where it is dropped instead, what was told last may be lost.
    pub(crate) fn close(self) {
        self.wire.farewell();
    }

    /// Says who makes the calls from now on.
    pub(crate) fn set_credential(&mut self, credential: OpaqueAuth) {
        self.credential = credential;
    }

    /// Replies that came too late.
    pub(crate) fn passed_over(&self) -> u64 {
        self.wire.engine.client().passed_over()
    }

    /// Calls and waits for the reply.
    pub(crate) fn call<P: Procedure<Args = P> + Encode>(
        &mut self,
        args: &P,
        timeout: Duration,
    ) -> Result<P::Reply, CallError> {
        let call = self.start(args, timeout)?;
        self.wait(call)
    }

    /// Calls, and does not wait.
    pub(crate) fn start<P: Procedure<Args = P> + Encode>(
        &mut self,
        args: &P,
        timeout: Duration,
    ) -> Result<InFlight<P>, CallError> {
        let credential = self.credential.clone();
        let call = OutgoingCall::new(P::PROGRAM, P::VERSION, P::NUMBER).with_credential(&credential);
        Ok(InFlight { xid: self.send(&call, args, timeout)?, procedure: PhantomData })
    }

    /// Waits for the reply to a call. Those to others may come before it.
    pub(crate) fn wait<P: Procedure>(&mut self, call: InFlight<P>) -> Result<P::Reply, CallError> {
        Ok(from_bytes(&self.results(call.xid)?)?)
    }

    /// Sends what has no reply.
    pub(crate) fn tell<P: OnewayProcedure<Args = P> + Encode>(&mut self, args: &P) -> Result<(), CallError> {
        let call = OutgoingCall::new(P::PROGRAM, P::VERSION, P::NUMBER).with_credential(&self.credential);
        self.wire.engine.send(self.wire.now(), &call, args)?;
        Ok(self.wire.write()?)
    }

    /// Calls what has no type here, and gives its results as they came.
    pub(crate) fn call_with<T: Encode>(
        &mut self,
        call: &OutgoingCall<'_>,
        args: &T,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let xid = self.send(call, args, timeout)?;
        self.results(xid)
    }

    fn send<T: Encode>(&mut self, call: &OutgoingCall<'_>, args: &T, timeout: Duration) -> Result<u32, CallError> {
        let now = self.wire.now();
        let xid = self.wire.engine.call(now, call, args, Some(now.saturating_add(timeout)))?;
        self.wire.write()?;
        Ok(xid)
    }

    fn results(&mut self, xid: u32) -> Result<Bytes, CallError> {
        let reply = loop {
            if let Some(ended) = self.ended.remove(&xid) {
                break ended?;
            }
            self.turn()?;
        };
        match reply.body? {
            ReplyBody::Accepted(AcceptedReply { status: AcceptStatus::Success, .. }) => Ok(reply.results),
            ReplyBody::Accepted(accepted) => Err(CallError::Failed(accepted.status)),
            ReplyBody::Denied(rejected) => Err(CallError::Denied(rejected)),
        }
    }

    /// Takes an event; without one, writes; with nothing to write, reads.
    fn turn(&mut self) -> Result<(), Ended> {
        let Wire { engine, .. } = &mut self.wire;
        match engine.poll_event()? {
            Some(Event::Reply(reply)) => {
                self.ended.insert(reply.xid, Ok(reply));
            }
            Some(Event::DeadlineExceeded { xid }) => {
                self.ended.insert(xid, Err(CallError::DeadlineExceeded));
            }
            // The engine serves both ways, and this client serves nothing.
            Some(Event::Call(call)) => {
                let now = self.wire.now();
                self.wire.engine.reply(now, call.xid, Outcome::Accepted(AcceptStatus::ProgUnavail));
            }
            // There may be further kinds of events one day, none of which a call waits for.
            Some(_) => {}
            None if !engine.output().is_empty() => self.wire.write()?,
            None => {
                if self.wire.read(None)? == Came::End {
                    self.wire.engine.handle_eof()?;
                    return Err(Ended::ByPeer);
                }
            }
        }
        Ok(())
    }
}
