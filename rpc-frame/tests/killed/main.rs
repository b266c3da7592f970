//! `kill -9` at every point of a call, of either side, with real processes.
//!
//! The process that is killed is this test's own program, started as one of the roles of [`role`]; the test is the other
//! side, and survives. The process says on its standard error where it is, and waits there to be killed. No time is
//! measured: what has to end ends, or the watchdog fails the test.

mod desk; //     the service of both sides
mod process; //  a process that is started, says where it is, and is killed
mod role; //     what the process does
mod server; //   the server is killed
mod client; //   the client is killed

use std::future::Future;
use std::time::Duration;

/// Long enough for a machine under any load.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Fails instead of waiting for ever.
async fn watched<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WATCHDOG, future).await {
        Ok(ended) => ended,
        Err(_) => panic!("{what} does not end"),
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    watched(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
