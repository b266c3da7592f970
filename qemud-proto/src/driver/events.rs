//! Where a driver tells what happens to its domains, and the bounded queue behind it.

use tokio::sync::broadcast::{self, error::RecvError};

use crate::events::{DomainChange, DomainEvent};
use crate::identity::Uuid;

/// Events that are kept for subscribers that have not taken them, unless you say otherwise.
pub const EVENT_QUEUE: usize = 256;

/// The most that can be kept.
const EVENT_QUEUE_MAX: usize = 65_536;

/// What happens to the domains of a driver. Telling it never waits: a subscriber that does not keep up loses the oldest
/// events, and learns from the next how many. The events are kept once, however many the subscribers.
#[derive(Debug)]
pub struct Events(broadcast::Sender<(DomainChange, DomainEvent)>);

impl Events {
    /// Keeps this many events for each subscriber, rounded up to a power of two; 1 to 65,536.
    #[must_use]
    pub fn new(queue: usize) -> Self {
        Self(broadcast::Sender::new(queue.clamp(1, EVENT_QUEUE_MAX)))
    }

    /// Tells the subscribers what happened.
    pub fn tell(&self, change: DomainChange, name: &str, uuid: Uuid, id: Option<i32>) {
        if self.0.receiver_count() > 0 {
            // Its only error is that nobody listens.
            let _ = self.0.send((change, DomainEvent { name: name.to_owned(), uuid, id, lost: 0 }));
        }
    }

    /// Whether anybody listens.
    #[cfg(feature = "libvirt")]
    pub(super) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }
}

impl Default for Events {
    /// Keeps [`EVENT_QUEUE`] events.
    fn default() -> Self {
        Self::new(EVENT_QUEUE)
    }
}

/// One listener's place in the queue.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<(DomainChange, DomainEvent)>);

impl Subscription {
    /// The next event, or none when the driver has ended.
    pub async fn next(&mut self) -> Option<(DomainChange, DomainEvent)> {
        let mut lost = 0;
        loop {
            match self.0.recv().await {
                Ok((change, event)) => return Some((change, DomainEvent { lost, ..event })),
                Err(RecvError::Lagged(more)) => {
                    lost = u32::try_from(more).map_or(u32::MAX, |more| more.saturating_add(lost))
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
