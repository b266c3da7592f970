//! The events of domains on their way from a driver to a client that asked for them.

use rpc_frame::tokio::{CallError, Client};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::driver::Subscription;
use crate::events::{
    DomainChange, DomainDefined, DomainEvent, DomainResumed, DomainStarted, DomainStopped, DomainSuspended,
    DomainUndefined,
};

/// What a session has subscribed to. It ends with the session.
#[derive(Default)]
pub(super) struct Subscriber {
    forwarding: Mutex<Option<JoinHandle<()>>>,
}

impl Subscriber {
    /// Begins to send events to the client; nothing changes where they are sent already.
    pub(super) async fn begin(&self, client: Client, events: Subscription) {
        self.forwarding.lock().await.get_or_insert_with(|| tokio::spawn(forward(client, events)));
    }

    /// Sends no more events: what was sent before leaves before the reply to whoever asks for this.
    pub(super) async fn end(&self) {
        let forwarding = self.forwarding.lock().await.take();
        if let Some(forwarding) = forwarding {
            forwarding.abort();
            // The task may be in the middle of an event on another thread.
            let _ = forwarding.await;
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if let Some(forwarding) = self.forwarding.get_mut() {
            forwarding.abort();
        }
    }
}

/// Sends events as fast as the client reads them. While it waits, the driver's queue drops the oldest.
async fn forward(client: Client, mut events: Subscription) {
    while let Some((change, event)) = events.next().await {
        if let Err(error) = send(&client, change, &event).await {
            tracing::debug!(%error, "a subscriber to events is gone");
            return;
        }
    }
}

async fn send(client: &Client, change: DomainChange, event: &DomainEvent) -> Result<(), CallError> {
    match change {
        DomainChange::Started => client.send_procedure::<DomainStarted>(event).await,
        DomainChange::Suspended => client.send_procedure::<DomainSuspended>(event).await,
        DomainChange::Resumed => client.send_procedure::<DomainResumed>(event).await,
        DomainChange::Stopped => client.send_procedure::<DomainStopped>(event).await,
        DomainChange::Defined => client.send_procedure::<DomainDefined>(event).await,
        DomainChange::Undefined => client.send_procedure::<DomainUndefined>(event).await,
    }
}
