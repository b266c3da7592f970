//! What belongs to a session and not to a single procedure.
//!
//! - `wire`: calls and replies as bytes
//! - `negotiation`: versions, and procedures that are switched off
//! - `read_only`: read-only channels
//! - `bounds`: values at their bounds and one beyond
//! - `events`: what the daemon tells of its own accord
//! - `load`: several clients, many calls at a time
//! - `log`: what is logged

#![cfg(feature = "programs")]

mod bounds;
mod events;
#[path = "../every_call/mod.rs"]
mod every_call;
mod load;
#[path = "../../../rpc-frame/tests/log/mod.rs"]
mod log;
mod negotiation;
mod read_only;
mod wire;

use std::sync::Arc;

use qemud_proto::daemon::Daemon;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::Client;

/// A daemon with one active domain `test` and one active network `default`.
fn daemon() -> Daemon {
    Daemon::new(Arc::new(TestDriver::with_defaults().unwrap()))
}

/// The active domains, the inactive ones, and the networks, active and inactive.
type Guests = (Reply<DomainIds>, Reply<DomainNames>, Reply<NetworkNames>, Reply<NetworkNames>);

async fn guests(client: &Client) -> Guests {
    (
        client.call(&ListDomains).await.unwrap(),
        client.call(&ListDefinedDomains).await.unwrap(),
        client.call(&ListNetworks).await.unwrap(),
        client.call(&ListDefinedNetworks).await.unwrap(),
    )
}

fn domain(name: &str) -> String {
    let uuid = Uuid::random();
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>8</memory><os><type>hvm</type></os></domain>"
    )
}
