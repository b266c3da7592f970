//! How far the saving or restoring of a domain is, on a terminal, while the call for it waits.
//!
//! The bar is on standard error, and goes when the call ends. There is none where nobody looks, where the daemon does
//! not tell, and as long as there is nothing to tell.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::Procedure;
use rpc_frame::tokio::Client;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at the job.
const INTERVAL: Duration = Duration::from_millis(200);
/// Of a job whose end can be foreseen.
const BOUNDED: &str = "{msg} [{bar:30}] {percent:>3} % {bytes} of {total_bytes}, {binary_bytes_per_sec}";
/// Of one that has not found out yet how much there is to do.
const UNBOUNDED: &str = "{msg} {spinner} {elapsed}";

/// The domain that is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Followed {
    /// The one with this identity.
    Known(Uuid),
    /// The one that becomes active now: it gets an id that is higher than any before.
    New,
}

/// Shows how far it is while `job` waits for its reply.
pub(crate) async fn shown<T>(client: &Client, what: &str, followed: Followed, job: impl Future<Output = T>) -> T {
    if !stderr().is_terminal() || !is_told(client).await {
        return job.await;
    }
    // The job begins when it is polled, so none of these is its domain.
    let before = match followed {
        Followed::Known(_) => Vec::new(),
        Followed::New => ids(client).await.unwrap_or_default(),
    };
    let highest = before.into_iter().max().unwrap_or_default();
    tokio::select! {
        // Whether the reply or the next look comes first, the bar has gone when this ends.
        biased;
        done = job => done,
        never = follow(client, what, followed, highest) => match never {},
    }
}

/// Whether this session has the procedure that tells. Asking anew leaves the minor version as it was settled.
async fn is_told(client: &Client) -> bool {
    let offer = Negotiate { major: DomainGetJobInfo::VERSION, minor: u32::MAX };
    matches!(client.call(&offer).await, Ok(Ok(negotiated)) if negotiated.active.contains(&DomainGetJobInfo::NUMBER))
}

/// Looks again and again, and draws what it has seen. It ends by being dropped, and clears the line then.
async fn follow(client: &Client, what: &str, followed: Followed, highest: i32) -> std::convert::Infallible {
    let mut bar = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What is wrong with the connection is told by the call that waits.
        let seen = job(client, followed, highest)
            .await
            .filter(|job| matches!(job.kind, JobKind::Bounded | JobKind::Unbounded));
        if let Some(job) = seen {
            bar.get_or_insert_with(|| Bar::new(what)).draw(&job);
        }
    }
}

async fn ids(client: &Client) -> Option<Vec<i32>> {
    Some(client.call(&ListDomains).await.ok()?.ok()?.ids)
}

/// What the domain is busy with, if it is known and there.
async fn job(client: &Client, followed: Followed, highest: i32) -> Option<JobInfo> {
    let uuid = match followed {
        Followed::Known(uuid) => uuid,
        Followed::New => {
            let mut above = ids(client).await?.into_iter().filter(|&id| id > highest);
            // Where somebody else starts a domain at the same time, nobody knows whose progress it is.
            let (Some(id), None) = (above.next(), above.next()) else { return None };
            client.call(&DomainLookupById { id }).await.ok()?.ok()?.uuid
        }
    };
    client.call(&DomainGetJobInfo { uuid }).await.ok()?.ok()
}

/// A bar on standard error.
struct Bar(ProgressBar);

impl Bar {
    fn new(what: &str) -> Self {
        Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(what.to_owned()))
    }

    fn draw(&self, job: &JobInfo) {
        let template = if job.data_total > 0 { BOUNDED } else { UNBOUNDED };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_length(job.data_total);
        // Memory that is empty is done without being carried, so what is left tells more than what was processed.
        self.0.set_position(job.data_total.saturating_sub(job.data_remaining));
        self.0.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
