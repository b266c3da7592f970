//! What is called: a message, a marker with its message, or a procedure with bytes.

use std::fmt;

use xdr_core::{Bytes, Encode, EncodeError, EncodeFault, Schema, Shape, Wire, Writer};

use crate::procedure::{Procedure, ProcedureInfo};

/// A request that calls a procedure: what a layer for tracing, limits or retries asks of it.
pub trait Invocation {
    /// Everything about the procedure that is constant.
    fn procedure(&self) -> ProcedureInfo;
}

impl<P: Procedure<Args = P>> Invocation for P {
    fn procedure(&self) -> ProcedureInfo {
        P::INFO
    }
}

/// A call of a procedure whose message serves several, which a table's marker tells apart.
///
/// ```
/// # use xdr_core::Xdr;
/// use rpc_frame::{ProcedureTable, tower::{Invocation, Request}};
///
/// #[derive(Debug, Clone, Xdr)]
/// struct Mapping { port: u32 }
///
/// #[derive(ProcedureTable)]
/// #[rpc(program = 9, version = 1, service = MapService)]
/// enum Map {
///     #[rpc(proc = 1, reply = bool)] Set(Mapping),
///     #[rpc(proc = 2, reply = bool)] Unset(Mapping),
/// }
///
/// let request = Request::<Unset>(Mapping { port: 111 });
/// assert_eq!(request.procedure().name, "Unset");
/// ```
pub struct Request<P: Procedure>(pub P::Args);

impl<P: Procedure> Invocation for Request<P> {
    fn procedure(&self) -> ProcedureInfo {
        P::INFO
    }
}

impl<P: Procedure<Args: Clone>> Clone for Request<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Procedure<Args: fmt::Debug>> fmt::Debug for Request<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(P::NAME).field(&self.0).finish()
    }
}

/// A call whose arguments are encoded already, and whose results stay bytes: for proxies and balancers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCall {
    /// What is called. Whether it may be repeated is `info.idempotent`.
    pub info: ProcedureInfo,
    /// The arguments as they go on the wire; they are sent as they are.
    pub args: Bytes,
}

impl RawCall {
    /// A call of a procedure of which only the numbers are known. It has no name, and may not be repeated.
    ///
    /// ```
    /// use rpc_frame::tower::RawCall;
    /// let call = RawCall::new(100_000, 2, 4, vec![]).idempotent();
    /// assert!(call.info.idempotent && call.info.number == 4);
    /// ```
    #[must_use]
    pub fn new(program: u32, version: u32, procedure: u32, args: impl Into<Bytes>) -> Self {
        Self { info: ProcedureInfo::new(program, version, procedure, ""), args: args.into() }
    }

    /// The call of a procedure with these arguments.
    ///
    /// # Errors
    /// When the arguments have no XDR form.
    pub fn of<P: Procedure>(args: &P::Args) -> Result<Self, EncodeError> {
        Ok(Self { info: P::INFO, args: xdr_core::to_bytes(args)? })
    }

    /// Says that making the call twice is as good as making it once.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.info = self.info.idempotent();
        self
    }
}

impl Invocation for RawCall {
    fn procedure(&self) -> ProcedureInfo {
        self.info
    }
}

/// Arguments that are encoded already.
pub(super) struct Encoded<'a>(pub(super) &'a [u8]);

impl Encode for Encoded<'_> {
    const WIRE: Wire = Wire { head: 0, tail: true, min: 0 };
    const MAX_WIRE: Option<usize> = None;

    fn head(&self, _: &mut [u8]) -> Result<(), EncodeFault> {
        Ok(())
    }

    fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> {
        writer.take(self.0.len())?.copy_from_slice(self.0);
        Ok(())
    }

    fn tail_len(&self) -> usize {
        self.0.len()
    }

    fn schema() -> &'static Schema {
        // What the bytes mean is known to their maker only.
        const { &Schema::builtin("encoded", Shape::Void) }
    }
}
