//! A client as a service of messages, of markers with their messages, and of bytes.
//!
//! The call leaves with [`Service::call`], not with the first poll of its future, and dropping the future gives up on
//! the reply. No future is boxed.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use ::tower::Service;
use xdr_core::{Bytes, DecodeOwned, Encode};

use super::call::{Encoded, RawCall, Request};
use crate::procedure::{Procedure, ProcedureInfo};
use crate::tokio::{Call, CallError, Client, UdpCall, UdpClient};

/// The results of a call, when they come. Dropping it gives up on them.
#[must_use = "dropping it gives up on the reply"]
pub struct Replying<R> {
    raw: RawReplying,
    results: PhantomData<fn() -> R>,
}

/// The results of a call as bytes, when they come. Dropping it gives up on them.
#[must_use = "dropping it gives up on the reply"]
pub struct RawReplying(Sent);

enum Sent {
    InFlight(Call),
    ByUdp(UdpCall),
    Failed(CallError),
}

/// A client of either kind.
trait Calls {
    fn send<T: Encode + ?Sized>(&self, procedure: &ProcedureInfo, args: &T) -> Result<Sent, CallError>;

    /// An error once the connection is lost, so that balancers and `tower::reconnect` let go of the client.
    fn ready(&self) -> Result<(), CallError>;
}

impl Calls for Client {
    fn send<T: Encode + ?Sized>(&self, procedure: &ProcedureInfo, args: &T) -> Result<Sent, CallError> {
        self.raw(procedure.program, procedure.version, procedure.number, args).map(Sent::InFlight)
    }

    fn ready(&self) -> Result<(), CallError> {
        self.close_reason().map_or(Ok(()), |why| Err(CallError::NotConnected(why)))
    }
}

impl Calls for UdpClient {
    fn send<T: Encode + ?Sized>(&self, procedure: &ProcedureInfo, args: &T) -> Result<Sent, CallError> {
        self.raw(procedure.program, procedure.version, procedure.number, args).map(Sent::ByUdp)
    }

    /// There is no connection to be lost.
    fn ready(&self) -> Result<(), CallError> {
        Ok(())
    }
}

impl RawReplying {
    fn send<T: Encode + ?Sized>(client: &impl Calls, procedure: &ProcedureInfo, args: &T) -> Self {
        Self(client.send(procedure, args).unwrap_or_else(Sent::Failed))
    }
}

impl<R> Replying<R> {
    fn send<P: Procedure<Reply = R>>(client: &impl Calls, args: &P::Args) -> Self {
        Self { raw: RawReplying::send(client, &P::INFO, args), results: PhantomData }
    }
}

impl Future for RawReplying {
    type Output = Result<Bytes, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Sent::InFlight(call) => Pin::new(call).poll(cx).map_ok(|reply| reply.results),
            Sent::ByUdp(call) => Pin::new(call).poll(cx).map_ok(|reply| reply.results),
            Sent::Failed(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl<R: DecodeOwned> Future for Replying<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let results = ready!(Pin::new(&mut self.raw).poll(cx))?;
        Poll::Ready(xdr_core::from_bytes(&results).map_err(CallError::Reply))
    }
}

/// A client of this type as a service of all that is called.
macro_rules! services {
    ($client:ty) => {
        impl<P: Procedure<Args = P>> Service<P> for $client {
            type Response = P::Reply;
            type Error = CallError;
            type Future = Replying<P::Reply>;

            fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
                Poll::Ready(self.ready())
            }

            fn call(&mut self, message: P) -> Replying<P::Reply> {
                Replying::send::<P>(self, &message)
            }
        }

        impl<P: Procedure> Service<Request<P>> for $client {
            type Response = P::Reply;
            type Error = CallError;
            type Future = Replying<P::Reply>;

            fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
                Poll::Ready(self.ready())
            }

            fn call(&mut self, request: Request<P>) -> Replying<P::Reply> {
                Replying::send::<P>(self, &request.0)
            }
        }

        impl Service<RawCall> for $client {
            type Response = Bytes;
            type Error = CallError;
            type Future = RawReplying;

            fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
                Poll::Ready(self.ready())
            }

            fn call(&mut self, call: RawCall) -> RawReplying {
                RawReplying::send(self, &call.info, &Encoded(&call.args))
            }
        }
    };
}

services!(Client);
services!(UdpClient);
