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
use crate::tokio::{Call, CallError, Client};

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
    Failed(CallError),
}

impl RawReplying {
    fn send<T: Encode + ?Sized>(client: &Client, procedure: &ProcedureInfo, args: &T) -> Self {
        match client.raw(procedure.program, procedure.version, procedure.number, args) {
            Ok(call) => Self(Sent::InFlight(call)),
            Err(error) => Self(Sent::Failed(error)),
        }
    }
}

impl<R> Replying<R> {
    fn send<P: Procedure<Reply = R>>(client: &Client, args: &P::Args) -> Self {
        Self { raw: RawReplying::send(client, &P::INFO, args), results: PhantomData }
    }
}

impl Future for RawReplying {
    type Output = Result<Bytes, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Sent::InFlight(call) => Pin::new(call).poll(cx).map_ok(|reply| reply.results),
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

/// An error once the connection is lost, so that balancers and `tower::reconnect` let go of the client.
fn ready(client: &Client) -> Poll<Result<(), CallError>> {
    Poll::Ready(client.close_reason().map_or(Ok(()), |why| Err(CallError::NotConnected(why))))
}

impl<P: Procedure<Args = P>> Service<P> for Client {
    type Response = P::Reply;
    type Error = CallError;
    type Future = Replying<P::Reply>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
        ready(self)
    }

    fn call(&mut self, message: P) -> Replying<P::Reply> {
        Replying::send::<P>(self, &message)
    }
}

impl<P: Procedure> Service<Request<P>> for Client {
    type Response = P::Reply;
    type Error = CallError;
    type Future = Replying<P::Reply>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
        ready(self)
    }

    fn call(&mut self, request: Request<P>) -> Replying<P::Reply> {
        Replying::send::<P>(self, &request.0)
    }
}

impl Service<RawCall> for Client {
    type Response = Bytes;
    type Error = CallError;
    type Future = RawReplying;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), CallError>> {
        ready(self)
    }

    fn call(&mut self, call: RawCall) -> RawReplying {
        RawReplying::send(self, &call.info, &Encoded(&call.args))
    }
}
