//! A client of a daemon through memory, which keeps account of how each procedure ended.

use std::sync::{Arc, Mutex};

use qemud_proto::daemon::{Daemon, GuestServer};
use qemud_proto::driver::Driver;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::failure::{Code, Failure, Reply};
use rpc_frame::Procedure;
use rpc_frame::tokio::{Client, ServerConfig};

/// A procedure and how it ended: with a result, or with a failure of this code.
pub(crate) type Ending = (&'static str, Option<Code>);

/// A client of a daemon of its own.
pub(crate) struct Wire {
    pub(crate) client: Client,
    server: GuestServer,
    endings: Mutex<Vec<Ending>>,
}

impl Wire {
    /// A daemon with the test driver and no guests.
    pub(crate) fn new() -> Self {
        Self::with(TestDriver::new())
    }

    pub(crate) fn with(driver: impl Driver + 'static) -> Self {
        let server = Daemon::new(Arc::new(driver)).into_server(ServerConfig::default());
        Self { client: Client::new(server.connect_in_memory()), server, endings: Mutex::default() }
    }

    /// A client of the same daemon with a session of its own.
    pub(crate) fn another(&self) -> Client {
        Client::new(self.server.connect_in_memory())
    }

    /// Calls, and keeps account of how it ended.
    #[track_caller]
    pub(crate) fn call<P, T>(&self, args: P) -> impl Future<Output = Reply<T>>
    where
        P: Procedure<Args = P, Reply = Reply<T>>,
    {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.client.call(&args).await.unwrap_or_else(|error| panic!("{caller}: {}: {error}", P::NAME));
            self.record(P::NAME, reply.as_ref().err());
            reply
        }
    }

    pub(crate) fn record(&self, procedure: &'static str, failure: Option<&Failure>) {
        self.endings.lock().unwrap().push((procedure, failure.map(|failure| failure.code)));
    }

    pub(crate) fn endings(self) -> Vec<Ending> {
        self.endings.into_inner().unwrap()
    }
}

/// The call was refused with this code, and the message says why.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(reply: Reply<T>, code: Code, says: &str) {
    let failure = reply.unwrap_err();
    assert_eq!(failure.code, code, "{failure}");
    assert!(failure.message.contains(says), "{failure}");
}

/// Makes a test of each function, and one function that runs them all and collects how the procedures ended.
/// A function that is not listed is dead code, which the lints refuse.
macro_rules! proofs {
    ($($name:ident,)+) => {
        mod each {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&crate::wire::Wire::new()).await;
                }
            )+
        }

        pub(crate) async fn endings() -> Vec<crate::wire::Ending> {
            let mut endings = Vec::new();
            $(
                let wire = crate::wire::Wire::new();
                $name(&wire).await;
                endings.extend(wire.endings());
            )+
            endings
        }
    };
}
pub(crate) use proofs;
