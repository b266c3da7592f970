//! How calls end without results, and connections for all their calls.

use std::error::Error;
use std::io;
use std::sync::Arc;

use xdr_core::DecodeError;

use crate::connection::{ConnectionError, IncomingReply, RecordNotWritten};
use crate::message::{AcceptStatus, AuthStat, RejectedReply, ReplyBody};

/// Why a call has no results.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The arguments have no XDR form. Nothing was sent.
    #[error("cannot send the call: {0}")]
    NotSent(#[source] RecordNotWritten),
    /// There is no connection, or it was lost before the last byte of the call was sent: it has not run.
    #[error("not connected: {0}")]
    NotConnected(#[source] ClosedError),
    /// The connection was lost when the whole call had been sent, and before its reply came.
    #[error("connection lost: {0}")]
    Closed(#[source] ClosedError),
    /// No reply came in time. What was not sent by then may still be sent, and run.
    #[error("no reply within the deadline")]
    DeadlineExceeded,
    /// The server speaks other versions of RPC.
    #[error("server supports RPC versions {low} to {high}, not 2")]
    RpcMismatch {
        /// The lowest.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The server does not accept the caller.
    #[error("server does not accept the caller: {0}")]
    AuthError(AuthStat),
    /// The server does not have the program.
    #[error("server does not have program {program}")]
    ProgUnavail {
        /// The program that was called.
        program: u32,
    },
    /// The server has other versions of the program.
    #[error("server has versions {low} to {high} of the program")]
    ProgMismatch {
        /// The lowest.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The program has no such procedure, or not in this session.
    #[error("server does not have procedure {procedure}")]
    ProcUnavail {
        /// The procedure that was called.
        procedure: u32,
    },
    /// Nothing was sent: AUTH_TLS asks for what there is not by UDP (RFC 9289 would have DTLS there).
    #[error("DTLS is not supported: AUTH_TLS does not begin TLS over UDP")]
    Dtls,
    /// The server could not decode the arguments.
    #[error("server could not decode the arguments")]
    GarbageArgs,
    /// The server failed.
    #[error("server failed with an internal error")]
    SystemErr,
    /// The reply is not what the procedure's type says.
    #[error("cannot decode the reply: {0}")]
    Reply(#[source] DecodeError),
}

impl CallError {
    /// The connection of a call in flight was lost. One of which the end has not been sent cannot have run.
    pub(super) const fn lost(why: ClosedError, sent: bool) -> Self {
        if sent { Self::Closed(why) } else { Self::NotConnected(why) }
    }

    /// Whether the procedure may have run all the same. False where it certainly has not.
    ///
    /// | the error | may it have run? |
    /// |---|---|
    /// | [`NotSent`](Self::NotSent), [`NotConnected`](Self::NotConnected) | no: the server did not get the call, or not to its last byte |
    /// | [`Closed`](Self::Closed), [`DeadlineExceeded`](Self::DeadlineExceeded) | yes |
    /// | [`SystemErr`](Self::SystemErr), [`Reply`](Self::Reply) | yes: the handler may have failed half way, or have answered with something else |
    /// | any other | no: the server has said so, or nothing was sent |
    ///
    /// ```
    /// use rpc_frame::tokio::{CallError, ClosedError};
    /// assert!(CallError::Closed(ClosedError::ByPeer).may_have_run());
    /// assert!(!CallError::NotConnected(ClosedError::ByPeer).may_have_run());
    /// ```
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::DeadlineExceeded | Self::SystemErr | Self::Reply(_))
    }
}

/// Why a connection is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedError {
    /// The server closed it.
    #[error("server closed the connection")]
    ByPeer,
    /// The client's own last handle was dropped, or its runtime ended.
    #[error("client was closed")]
    ByUs,
    /// The server broke the protocol, or let a limit pass.
    #[error(transparent)]
    Protocol(ConnectionError),
    /// The socket failed.
    #[error("{0}")]
    Io(#[source] Arc<io::Error>),
    /// The session could not be set up on a new connection: [`ReconnectingClient::with_set_up`].
    ///
    /// [`ReconnectingClient::with_set_up`]: super::ReconnectingClient::with_set_up
    #[error("cannot set up the session: {0}")]
    SetUp(#[source] Arc<dyn Error + Send + Sync>),
}

impl From<io::Error> for ClosedError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // TLS without its own last message. Records say themselves how long they are, so that nothing is missing.
            io::ErrorKind::UnexpectedEof => Self::ByPeer,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl From<ConnectionError> for ClosedError {
    fn from(error: ConnectionError) -> Self {
        Self::Protocol(error)
    }
}

/// A reply, if it carries results.
pub(super) fn successful(reply: IncomingReply, program: u32, procedure: u32) -> Result<IncomingReply, CallError> {
    let body = match &reply.body {
        Ok(body) => body,
        Err(error) => return Err(CallError::Reply(error.clone())),
    };
    match body {
        ReplyBody::Accepted(accepted) => match accepted.status {
            AcceptStatus::Success => Ok(reply),
            AcceptStatus::ProgUnavail => Err(CallError::ProgUnavail { program }),
            AcceptStatus::ProgMismatch { low, high } => Err(CallError::ProgMismatch { low, high }),
            AcceptStatus::ProcUnavail => Err(CallError::ProcUnavail { procedure }),
            AcceptStatus::GarbageArgs => Err(CallError::GarbageArgs),
            AcceptStatus::SystemErr => Err(CallError::SystemErr),
        },
        ReplyBody::Denied(RejectedReply::RpcMismatch { low, high }) => {
            Err(CallError::RpcMismatch { low: *low, high: *high })
        }
        ReplyBody::Denied(RejectedReply::AuthError(stat)) => Err(CallError::AuthError(*stat)),
    }
}
