//! The way of a client's calls to its connection, which is its own or served as well.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use ::tokio::sync::oneshot;
use xdr_core::{Bytes, Encode};

use super::Stream;
use super::driver::{self, Driver};
use super::error::{CallError, ClosedError, successful};
use super::mailbox::{self, Mailbox};
use crate::connection::{ConnectionConfig, IncomingReply, OutgoingCall};

/// The way of a client's calls to the connection. Dropped with the last clone of the client.
pub(super) enum Link {
    /// A connection that is the client's alone.
    Driven(Arc<Driver>),
    /// A connection that is served as well.
    Served(mailbox::Link),
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Driven(driver) = self {
            driver.close(ClosedError::ByUs);
        }
    }
}

impl Link {
    /// A link to a connection of its own, which a task drives.
    pub(super) fn drive<IO: Stream>(io: IO, config: ConnectionConfig) -> Self {
        Self::Driven(Driver::spawn(io, config))
    }

    /// A link to a connection that is served. With `ends`, its end is the connection's.
    pub(super) fn serve(mailbox: Arc<Mailbox>, ends: Option<oneshot::Sender<()>>) -> Self {
        Self::Served(mailbox::Link::new(mailbox, ends))
    }

    pub(super) fn call<T: Encode + ?Sized>(
        this: &Arc<Self>,
        call: &OutgoingCall<'_>,
        args: &T,
        timeout: Option<Duration>,
    ) -> Result<Call, CallError> {
        let sent = match &**this {
            Self::Driven(driver) => Sent::Driven(driver.call(call, args, timeout)?),
            Self::Served(link) => Sent::Served(link.mailbox.call(call, args, timeout)?),
        };
        Ok(Call { sent, _link: Arc::clone(this), program: call.program, procedure: call.procedure })
    }

    pub(super) async fn send(&self, call: &OutgoingCall<'_>, args: &Bytes) -> Result<(), CallError> {
        match self {
            Self::Driven(driver) => driver.send(call, args).await,
            Self::Served(link) => link.mailbox.send(call, args).await,
        }
    }

    pub(super) async fn closed(&self) -> ClosedError {
        match self {
            Self::Driven(driver) => driver.closed().await,
            Self::Served(link) => link.mailbox.closed().await,
        }
    }

    pub(super) fn close_reason(&self) -> Option<ClosedError> {
        match self {
            Self::Driven(driver) => driver.close_reason(),
            Self::Served(link) => link.mailbox.close_reason(),
        }
    }
}

/// A call in flight. Dropping it gives up on the reply.
pub(crate) struct Call {
    sent: Sent,
    /// The connection lasts as long as somebody waits for a reply on it.
    _link: Arc<Link>,
    program: u32,
    procedure: u32,
}

enum Sent {
    Driven(driver::Call),
    Served(mailbox::Call),
}

impl Future for Call {
    type Output = Result<IncomingReply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let reply = match &mut self.sent {
            Sent::Driven(call) => ready!(Pin::new(call).poll(cx)),
            Sent::Served(call) => ready!(Pin::new(call).poll(cx)),
        };
        Poll::Ready(reply.and_then(|reply| successful(reply, self.program, self.procedure)))
    }
}
