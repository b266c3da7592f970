//! What a handler knows of the call that it answers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use xdr_core::Limits;

use crate::auth::{Credential, OpaqueAuth};
use crate::authenticate::Identity;
use crate::caller::Caller;
use crate::procedure::ProcedureInfo;
use crate::session::{Peer, Session};

/// What a handler knows of the call that it answers.
#[derive(Debug, Clone)]
pub struct Context(Box<Facts>);

/// It is moved into the handler, so it lies in a box, which is used again for the next call.
#[derive(Debug, Clone)]
struct Facts {
    session: Arc<Session>,
    xid: u32,
    procedure: &'static ProcedureInfo,
    caller: Caller,
    limits: Limits,
    time_limit: Option<Duration>,
    #[cfg(feature = "tokio")]
    begun: Option<::tokio::time::Instant>,
}

impl Context {
    /// A call's context, in the box of `spare`, one of the same session, if there is one.
    pub(crate) fn new(
        spare: Option<Self>,
        session: &Arc<Session>,
        xid: u32,
        procedure: &'static ProcedureInfo,
        caller: &Caller,
        limits: Limits,
        time_limit: Option<Duration>,
    ) -> Self {
        let Some(Self(mut facts)) = spare else {
            return Self(Box::new(Facts {
                session: Arc::clone(session),
                xid,
                procedure,
                caller: caller.clone(),
                limits,
                time_limit,
                #[cfg(feature = "tokio")]
                begun: None,
            }));
        };
        facts.xid = xid;
        facts.procedure = procedure;
        facts.caller.clone_from(caller);
        facts.limits = limits;
        facts.time_limit = time_limit;
        #[cfg(feature = "tokio")]
        {
            facts.begun = None;
        }
        Self(facts)
    }

    /// Begins the handler's time.
    #[cfg(feature = "tokio")]
    pub(crate) fn begin(&mut self, now: ::tokio::time::Instant) {
        self.0.begun = Some(now);
    }

    /// Whether it holds nothing of the record that its call came in, so that the next call may have its place.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn may_be_kept(&self) -> bool {
        self.0.caller.may_be_kept()
    }

    /// What the reply says to the caller, if it says anything.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn said_to_caller(&self) -> Option<&OpaqueAuth> {
        self.0.caller.said_to_caller()
    }

    /// What the connection remembers.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.0.session.peer()
    }

    /// A client of the caller's: its calls travel on the connection that this call came on. None where there is no
    /// such connection.
    ///
    /// It may outlive the call, and keeps the connection from being idle; when the connection ends, its calls fail. The
    /// caller has to serve what is called: [`Client::serving`](crate::tokio::Client::serving).
    ///
    /// Its calls wait for their replies for 60 s, as those of other clients do, and so long a caller that does not answer can
    /// keep the handler waiting: [`with_options`](crate::tokio::Client::with_options) gives it less time. A `oneway`
    /// procedure waits for room only.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn client(&self) -> Option<crate::tokio::Client> {
        let mailbox = self.0.session.mailbox.as_ref()?;
        Some(crate::tokio::Client::served(Arc::clone(mailbox), None))
    }

    /// The transaction.
    #[must_use]
    pub fn xid(&self) -> u32 {
        self.0.xid
    }

    /// What is called: program, version, number, name.
    #[must_use]
    pub fn procedure(&self) -> &'static ProcedureInfo {
        self.0.procedure
    }

    /// Who the caller says that it is. [`Credential::Sys`] is a claim, not a proof.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        self.0.caller.credential()
    }

    /// Who the caller is, and whether anybody but itself says so.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.caller.identity
    }

    /// What the reply says to the caller.
    #[must_use]
    pub fn verifier(&self) -> &OpaqueAuth {
        self.0.caller.verifier()
    }

    /// What decoding the arguments may cost.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// How long the handler may take in all: its procedure's own limit, or else the server's. None where there is none.
    ///
    /// The servers on tokio hold handlers to it. Whoever drives an engine himself has the clock, and does so himself.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.0.time_limit
    }

    /// When the handler is given up, if it has not ended by then: it is dropped where it waits, and its caller gets
    /// SYSTEM_ERR. None where there is no limit, or no server on tokio.
    ///
    /// A handler with something better to say than SYSTEM_ERR leaves itself the time to say it:
    ///
    /// ```
    /// use std::time::Duration;
    /// use rpc_frame::{Context, ProcedureTable};
    /// use tokio::time::{sleep, timeout_at};
    /// use xdr_core::Xdr;
    ///
    /// #[derive(Xdr)]
    /// #[rpc(program = 9, version = 1, proc = 1, reply = Option<u32>, time_limit = Duration::from_secs(30))]
    /// struct Measure;
    ///
    /// #[derive(ProcedureTable)]
    /// #[rpc(program = 9, version = 1, service = GaugeService)]
    /// enum Gauge { Measure(Measure) }
    ///
    /// struct Slow;
    /// impl GaugeService for Slow {
    ///     async fn measure(&self, cx: &Context, _: Measure) -> Option<u32> {
    ///         let measured = async { sleep(Duration::from_secs(60)).await; 42 };
    ///         let Some(deadline) = cx.deadline() else { return Some(measured.await) };
    ///         timeout_at(deadline - Duration::from_secs(1), measured).await.ok()
    ///     }
    /// }
    /// ```
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn deadline(&self) -> Option<::tokio::time::Instant> {
        self.0.begun?.checked_add(self.0.time_limit?)
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use crate::auth::AuthSys;
    use crate::authenticate::Authenticated;
    use xdr_core::Bytes;

    static PROCEDURES: [ProcedureInfo; 2] =
        [ProcedureInfo::new(1, 1, 1, "First"), ProcedureInfo::new(1, 1, 2, "Second")];

    #[test]
    fn a_context_that_is_used_again_has_nothing_of_the_call_before() {
        let session = Arc::new(Session::new(Peer::Unknown));
        let sys = AuthSys { stamp: 1, machine_name: "host".into(), uid: 5, gid: 6, gids: alloc::vec![7] };
        let known = Authenticated::new(&session, Credential::Sys(sys));
        let verifier = OpaqueAuth { flavor: crate::AuthFlavor::SHORT, body: Bytes::from_static(b"told") };
        let callers =
            [Authenticated { verifier, ..known }, Authenticated::new(&session, Credential::None)].map(Caller::from);
        let limits = [Limits::unlimited_trusted(), Limits::DEFAULT];
        let times = [Some(Duration::from_secs(1)), None];
        let context = |spare, index: usize| {
            let caller = &callers[index];
            Context::new(spare, &session, index as u32, &PROCEDURES[index], caller, limits[index], times[index])
        };
        let shown = |context: &Context| alloc::format!("{context:?} {:?}", context.deadline());
        for (before, now) in [(0, 1), (1, 0), (0, 0)] {
            let mut spare = context(None, before);
            spare.begin(::tokio::time::Instant::now());
            assert_eq!(shown(&context(Some(spare), now)), shown(&context(None, now)));
        }
    }
}
