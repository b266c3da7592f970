//! `--wait`: until the daemon shows a domain as it shall be.

use std::time::Duration;

use clap::Args;
use qemud_proto::failure::Code;
use qemud_proto::messages::*;
use rpc_frame::tokio::Client;
use tokio::time::Instant;

use crate::Error;
use crate::arguments::seconds;
use crate::domains::{Found, state_name};

/// Between two looks at the domain.
const INTERVAL: Duration = Duration::from_millis(250);

/// Whether to wait for a domain, and how long.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Wait {
    /// End only when the domain is seen running (start) or shut off (the others); with a number, fail after so many
    /// seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, value_parser = seconds)]
    wait: Option<Option<Duration>>,
}

impl Wait {
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wait.is_some()
    }

    /// Waits, if that is wanted, until the domain runs.
    pub(crate) async fn until_running(&self, client: &Client, found: &Found) -> Result<(), Error> {
        self.until(found, RunState::Running, async || {
            Ok(client.call(&DomainGetInfo { uuid: found.uuid }).await??.runstate == RunState::Running)
        })
        .await
    }

    /// Waits, if that is wanted, until the domain no longer runs under the id that it was found with.
    pub(crate) async fn until_shut_off(&self, client: &Client, found: &Found, id: i32) -> Result<(), Error> {
        self.until(found, RunState::Stopped, async || match client.call(&DomainLookupById { id }).await? {
            Ok(_) => Ok(false),
            Err(failure) if matches!(failure.code, Code::NoDomain | Code::InvalidDomain) => Ok(true),
            Err(failure) => Err(failure.into()),
        })
        .await
    }

    async fn until(
        &self,
        found: &Found,
        state: RunState,
        is_so: impl AsyncFn() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let Some(limit) = self.wait else { return Ok(()) };
        let begin = Instant::now();
        while !is_so().await? {
            let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
            if let (Some(Duration::ZERO), Some(limit)) = (left, limit) {
                let (name, state) = (found.name.clone(), state_name(state));
                return Err(Error::Late { name, state, limit });
            }
            tokio::time::sleep(left.map_or(INTERVAL, |left| left.min(INTERVAL))).await;
        }
        Ok(())
    }
}
