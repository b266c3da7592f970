//! Tables with their services, and several of them in one server.

use alloc::sync::Arc;
use core::future::Future;
use core::marker::PhantomData;

use xdr_core::{Bytes, EncodeError};

use crate::context::Context;
use crate::procedure::ProcedureInfo;
use crate::reply::{EncodeReply, ReplyEncoder};
use crate::table::{Dispatch, Undispatched};

/// What a program's number, version and procedure lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The program is not here.
    NoProgram,
    /// The program is here in other versions.
    OtherVersions {
        /// The lowest.
        low: u32,
        /// The highest.
        high: u32,
    },
    /// The program has no such procedure.
    NoProcedure,
    /// Procedure 0, which does nothing.
    Null,
    /// A line of a table.
    Procedure(&'static ProcedureInfo),
}

/// What a server serves: a [`Program`], or several as nested pairs.
///
/// Three are `(a, (b, c))`. Many are better halved, `((a, b), (c, d))`, than put into a chain, of which thirty or so are more
/// than the compiler follows without a higher `recursion_limit`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing to serve",
    label = "neither a program nor a pair of programs",
    note = "a program is `program::<Table, _>(service)`, where the service implements the trait that the table makes",
    note = "three programs are nested pairs, `(a, (b, c))`, and four `((a, b), (c, d))`"
)]
pub trait Programs: Send + Sync + 'static {
    /// A reply of any of the procedures.
    type Reply: EncodeReply + Send;

    /// Calls `visit` with each program's number and version.
    fn each_version(&self, visit: &mut dyn FnMut(u32, u32));

    /// Looks a procedure up.
    fn find(&self, program: u32, version: u32, procedure: u32) -> Found;

    /// Decodes the arguments and calls the method of the procedure that the context names.
    fn dispatch(&self, cx: &Context, args: &Bytes) -> impl Future<Output = Result<Self::Reply, Undispatched>> + Send;
}

/// One version of a program: its table `T` and the service `S` that answers.
#[derive(Debug)]
pub struct Program<T, S> {
    service: Arc<S>,
    table: PhantomData<fn() -> T>,
}

/// A program to serve: `program::<Table, _>(service)`.
///
/// Several, of different numbers or versions, are pairs: `(program::<V1, _>(a), program::<V2, _>(b))`; see [`Programs`].
pub fn program<T: Dispatch<S>, S>(service: impl Into<Arc<S>>) -> Program<T, S> {
    Program { service: service.into(), table: PhantomData }
}

impl<T, S> Programs for Program<T, S>
where
    T: Dispatch<S> + 'static,
    T::Reply: 'static,
    S: Send + Sync + 'static,
{
    type Reply = T::Reply;

    fn each_version(&self, visit: &mut dyn FnMut(u32, u32)) {
        visit(T::PROGRAM, T::VERSION);
    }

    fn find(&self, program: u32, version: u32, procedure: u32) -> Found {
        if program != T::PROGRAM {
            Found::NoProgram
        } else if version != T::VERSION {
            Found::OtherVersions { low: T::VERSION, high: T::VERSION }
        } else if procedure == 0 {
            Found::Null
        } else {
            T::find(procedure).map_or(Found::NoProcedure, Found::Procedure)
        }
    }

    fn dispatch(&self, cx: &Context, args: &Bytes) -> impl Future<Output = Result<Self::Reply, Undispatched>> + Send {
        T::dispatch(&*self.service, cx, args)
    }
}

/// A reply of one of two.
#[derive(Debug)]
pub enum Either<A, B> {
    /// Of the first.
    First(A),
    /// Of the second.
    Second(B),
}

impl<A: EncodeReply, B: EncodeReply> EncodeReply for Either<A, B> {
    fn encode_reply(&self, encoder: &mut ReplyEncoder<'_>) -> Result<(), EncodeError> {
        match self {
            Self::First(reply) => reply.encode_reply(encoder),
            Self::Second(reply) => reply.encode_reply(encoder),
        }
    }
}

impl<A: Programs, B: Programs> Programs for (A, B) {
    type Reply = Either<A::Reply, B::Reply>;

    fn each_version(&self, visit: &mut dyn FnMut(u32, u32)) {
        self.0.each_version(visit);
        self.1.each_version(visit);
    }

    fn find(&self, program: u32, version: u32, procedure: u32) -> Found {
        let first = self.0.find(program, version, procedure);
        match (first, self.1.find(program, version, procedure)) {
            (Found::NoProgram, second) => second,
            (first, Found::NoProgram) => first,
            (Found::OtherVersions { low, high }, Found::OtherVersions { low: other_low, high: other_high }) => {
                Found::OtherVersions { low: low.min(other_low), high: high.max(other_high) }
            }
            (Found::OtherVersions { .. }, second) => second,
            (first, _) => first,
        }
    }

    async fn dispatch(&self, cx: &Context, args: &Bytes) -> Result<Self::Reply, Undispatched> {
        let procedure = cx.procedure();
        match self.0.find(procedure.program, procedure.version, procedure.number) {
            Found::Procedure(_) => self.0.dispatch(cx, args).await.map(Either::First),
            _ => self.1.dispatch(cx, args).await.map(Either::Second),
        }
    }
}
