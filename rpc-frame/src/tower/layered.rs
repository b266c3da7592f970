//! Programs behind a layer.

use std::boxed::Box;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use ::tower::{BoxError, Layer, Service};
use xdr_core::Bytes;

use super::call::Invocation;
use super::cause::find_cause;
use crate::context::Context;
use crate::procedure::ProcedureInfo;
use crate::program::{Found, Programs};
use crate::table::{Refusal, Undispatched};

/// A call on its way to its method: it has passed every check but that of its arguments.
#[derive(Debug, Clone)]
pub struct Dispatched {
    /// What is known of the call: procedure, caller, session.
    pub context: Context,
    /// The arguments as they came.
    pub args: Bytes,
}

impl Invocation for Dispatched {
    fn procedure(&self) -> ProcedureInfo {
        *self.context.procedure()
    }
}

/// The innermost service of a server: decodes the arguments and calls the method.
pub struct Dispatcher<P>(Arc<P>);

/// Programs behind a layer: [`layered`].
pub struct Layered<P, S> {
    programs: Arc<P>,
    service: S,
}

/// Puts a layer around programs, all of them as one, which a [`Server`](crate::tokio::Server) serves like any others;
/// they can be paired with others that have no layer, or another one.
///
/// The layer's service is cloned for each call, and waited for until it is ready: the call is in flight on its
/// connection meanwhile. A limit that its clones share, as that of `tower::limit::ConcurrencyLimit`, holds for all
/// connections together. The service is shared between threads, and must be `Sync`; where it is boxed,
/// `tower::util::BoxCloneSyncService` is.
///
/// An error of the layer, such as a timeout or an overload, is SYSTEM_ERR for the caller, and is logged with its causes.
/// What the dispatch itself says, GARBAGE_ARGS, stays what it is. What the server answers by itself comes before the
/// layer, which therefore does not see it: unknown programs and procedures, procedure 0, what the policy refuses.
///
/// One future a call is boxed, that of [`Dispatcher`], as layers ask for a type with a name, and a copy of its context.
///
/// ```
/// use std::time::Duration;
/// use rpc_frame::{Context, ProcedureTable, program, tokio::{CallError, Client, Server}, tower::layered};
/// use tower::timeout::TimeoutLayer;
/// use xdr_core::Xdr;
///
/// #[derive(Debug, Clone, Xdr)]
/// #[rpc(program = 9, version = 1, proc = 1)]
/// struct Sleep;
///
/// #[derive(ProcedureTable)]
/// #[rpc(program = 9, version = 1, service = BedService)]
/// enum Bed { Sleep(Sleep) }
///
/// struct Sleeper;
/// impl BedService for Sleeper {
///     async fn sleep(&self, _: &Context, _: Sleep) {
///         tokio::time::sleep(Duration::from_secs(3600)).await;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let impatient = TimeoutLayer::new(Duration::from_millis(10));
/// let server = Server::new(layered(program::<Bed, _>(Sleeper), impatient));
/// let client = Client::new(server.connect_in_memory());
/// assert!(matches!(client.call(&Sleep).await, Err(CallError::SystemErr)));
/// # }
/// ```
pub fn layered<P: Programs, L: Layer<Dispatcher<P>>>(programs: P, layer: L) -> Layered<P, L::Service> {
    let programs = Arc::new(programs);
    Layered { service: layer.layer(Dispatcher(Arc::clone(&programs))), programs }
}

impl<P: Programs> Service<Dispatched> for Dispatcher<P> {
    type Response = P::Reply;
    type Error = Undispatched;
    type Future = Pin<Box<dyn Future<Output = Result<P::Reply, Undispatched>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Undispatched>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Dispatched) -> Self::Future {
        let programs = Arc::clone(&self.0);
        Box::pin(async move { programs.dispatch(&call.context, &call.args).await })
    }
}

impl<P, S> Programs for Layered<P, S>
where
    P: Programs,
    S: Service<Dispatched, Response = P::Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
{
    type Reply = P::Reply;

    fn find(&self, program: u32, version: u32, procedure: u32) -> Found {
        self.programs.find(program, version, procedure)
    }

    fn each_version(&self, visit: &mut dyn FnMut(u32, u32)) {
        self.programs.each_version(visit);
    }

    async fn dispatch(&self, cx: &Context, args: &Bytes) -> Result<P::Reply, Undispatched> {
        let mut service = self.service.clone();
        let call = Dispatched { context: cx.clone(), args: args.clone() };
        let reply = async {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(call).await
        };
        reply.await.map_err(|error| undispatched(error.into()))
    }
}

/// What the dispatch itself has said, where that is the cause; else the layer has refused.
fn undispatched(error: BoxError) -> Undispatched {
    let dispatched = find_cause::<Undispatched>(&*error).cloned();
    dispatched.unwrap_or_else(|| Undispatched::Refused(Refusal::new(error)))
}

impl<P> Clone for Dispatcher<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> fmt::Debug for Dispatcher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").finish_non_exhaustive()
    }
}

impl<P, S> fmt::Debug for Layered<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered").finish_non_exhaustive()
    }
}
