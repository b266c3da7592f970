//! Messages over a service of bytes.

use std::boxed::Box;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use ::tower::Service;
use xdr_core::Bytes;

use super::call::{RawCall, Request};
use crate::connection::RecordNotWritten;
use crate::procedure::Procedure;
use crate::tokio::CallError;

/// Takes messages, and makes them [`RawCall`]s of the service inside: a balancer over raw calls serves every
/// procedure so.
///
/// ```
/// # use rpc_frame::{Context, ProcedureTable, program, tokio::{Client, Server}};
/// # use xdr_core::{Bytes, Xdr};
/// # #[derive(Debug, Clone, Xdr)]
/// # #[rpc(program = 9, version = 1, proc = 1, reply = u32)]
/// # struct Double { number: u32 }
/// # #[derive(ProcedureTable)]
/// # #[rpc(program = 9, version = 1, service = MathService)]
/// # enum Math { Double(Double) }
/// # struct Doubler;
/// # impl MathService for Doubler {
/// #     async fn double(&self, _: &Context, args: Double) -> u32 { args.number * 2 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = Client::new(Server::new(program::<Math, _>(Doubler)).connect_in_memory());
/// use rpc_frame::tower::{RawCall, Typed};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// let logged = ServiceBuilder::new()
///     .map_request(|call: RawCall| { println!("calling {}", call.info.name); call })
///     .service(client);
/// assert_eq!(Typed::new(logged).oneshot(Double { number: 4 }).await?, 8);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<S>(S);

impl<S> Typed<S> {
    /// Takes messages for a service of raw calls.
    #[must_use]
    pub const fn new(service: S) -> Self {
        Self(service)
    }

    /// The service inside.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.0
    }
}

/// A reply of a service inside another. Its type is the service's, so that it is boxed.
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

fn call<P, S>(service: &mut S, args: &P::Args) -> Boxed<P::Reply, S::Error>
where
    P: Procedure,
    S: Service<RawCall, Response = Bytes, Error: From<CallError>, Future: Send + 'static>,
{
    match RawCall::of::<P>(args) {
        Ok(call) => {
            let results = service.call(call);
            Box::pin(async move { Ok(xdr_core::from_bytes(&results.await?).map_err(CallError::Reply)?) })
        }
        Err(error) => Box::pin(async move { Err(S::Error::from(CallError::NotSent(RecordNotWritten::Encode(error)))) }),
    }
}

impl<P, S> Service<P> for Typed<S>
where
    P: Procedure<Args = P>,
    S: Service<RawCall, Response = Bytes, Error: From<CallError>, Future: Send + 'static>,
{
    type Response = P::Reply;
    type Error = S::Error;
    type Future = Boxed<P::Reply, S::Error>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, message: P) -> Self::Future {
        call::<P, S>(&mut self.0, &message)
    }
}

impl<P, S> Service<Request<P>> for Typed<S>
where
    P: Procedure,
    S: Service<RawCall, Response = Bytes, Error: From<CallError>, Future: Send + 'static>,
{
    type Response = P::Reply;
    type Error = S::Error;
    type Future = Boxed<P::Reply, S::Error>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<P>) -> Self::Future {
        call::<P, S>(&mut self.0, &request.0)
    }
}
