//! The watch over dnsmasq: without it guests keep their addresses for a while, and new ones get none. So one that ends is
//! started again at once, and after a few that end in a row the log tells that there is none.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::plan::Plan;

/// How often and how soon dnsmasq is started again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restarts {
    /// Most of them in a row.
    pub(super) most: u32,
    /// Before the second one in a row, and longer by as much before each further one.
    pub(super) pause: Duration,
    /// One that has run for so long begins a row of its own.
    pub(super) calm: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        Self { most: 5, pause: Duration::from_secs(1), calm: Duration::from_secs(60) }
    }
}

/// It lasts until it is dropped. Whoever drops it has the turn, so nothing is being started meanwhile.
pub(super) struct Watch(AbortHandle);

impl Watch {
    /// Watches over the dnsmasq of a network that has just got it.
    pub(super) fn begin(shared: Weak<Shared>, plan: Plan, restarts: Restarts) -> Self {
        Self(tokio::spawn(look_after(shared, plan, restarts)).abort_handle())
    }

    /// Whether it has given up.
    #[cfg(test)]
    pub(super) fn has_given_up(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look_after(shared: Weak<Shared>, plan: Plan, restarts: Restarts) {
    let (network, mut row) = (&plan.name, 0);
    loop {
        let Some(process) = shared.upgrade().map(|shared| shared.host.dnsmasq(&plan)) else { return };
        let begin = Instant::now();
        let pid = process.as_ref().map(|process| process.id.pid);
        // None where it has ended already.
        if let Some(process) = process {
            process.ended().await;
        }
        if begin.elapsed() >= restarts.calm {
            row = 0;
        }
        tracing::warn!(network, pid, "dnsmasq has ended");
        loop {
            if row == restarts.most {
                let most = restarts.most;
                tracing::error!(
                    network,
                    "dnsmasq was started again {most} times; nobody hands out addresses until the network is started anew"
                );
                return;
            }
            sleep(restarts.pause * row).await;
            row += 1;
            let Some(shared) = shared.upgrade() else { return };
            let _turn = Arc::clone(&shared.turn).lock_owned().await;
            match shared.host.hand_out(&plan).await {
                Ok(()) => break,
                Err(failure) => tracing::warn!(network, %failure, "dnsmasq is not started again"),
            }
        }
    }
}
