//! The driver `libvirt`: all hypervisors that libvirt manages, through its C library.
//!
//! Every procedure is the libvirt call of its name, and a failure carries libvirt's code and text. `DRIVERS.md` tells where
//! that differs from other drivers.
//!
//! - `link`: one connection, opened anew when it is lost, and the threads that wait for it
//! - `connection`: the procedures over it
//! - `domains`, `networks`: what they do, in libvirt's terms
//! - `terms`: libvirt's failures, states and texts as those of the protocol
//! - `watch`: what happens to domains, also to those that others change

mod connection;
mod domains;
mod link;
mod networks;
mod terms;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

pub use self::connection::LibvirtConnection;
use super::{Driver, EVENT_QUEUE, Opening};
use crate::failure::{Code, Failure, Reply};
use crate::uri::ConnectUri;

/// Drivers of libvirt that serve URIs without a host. Those of other machines (`esx`, `hyperv`, `vpx`) need passwords,
/// which a daemon cannot ask for.
const DRIVERS: [&str; 13] = [
    "qemu",
    "xen",
    "lxc",
    "bhyve",
    "ch",
    "vz",
    "parallels",
    "openvz",
    "vbox",
    "vmwareplayer",
    "vmwarews",
    "vmwarefusion",
    "test",
];
/// Most connections at a time.
const CONNECTIONS_MAX: usize = 32;

/// Serves the URIs that libvirt knows, each by a [`LibvirtConnection`] of its own.
///
/// By itself it has no hypervisor: a connection that opens no URI is told that nothing is supported. Where all clients shall
/// have the same hypervisor, give the daemon the connection instead.
///
/// # Examples
/// ```no_run
/// # use std::sync::Arc;
/// use qemud_proto::daemon::Daemon;
/// use qemud_proto::driver::libvirt::LibvirtDriver;
/// use qemud_proto::driver::test::TestDriver;
///
/// let daemon = Daemon::new(Arc::new(TestDriver::new())).with_driver(Arc::new(LibvirtDriver::new()));
/// ```
pub struct LibvirtDriver {
    connections: Mutex<BTreeMap<String, Arc<LibvirtConnection>>>,
    event_queue: usize,
    left: Vec<String>,
}

impl LibvirtDriver {
    /// A driver that has opened nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { connections: Mutex::default(), event_queue: EVENT_QUEUE, left: Vec::new() }
    }

    /// Leaves the URIs of a driver, such as `qemu`, to others, also where no other serves them.
    #[must_use]
    pub fn without(mut self, driver: impl Into<String>) -> Self {
        self.left.push(driver.into());
        self
    }

    /// Keeps this many events for each subscriber that has not taken them, instead of [`EVENT_QUEUE`].
    #[must_use]
    pub fn with_event_queue(self, events: usize) -> Self {
        Self { event_queue: events, ..self }
    }

    /// The connection of a URI in libvirt's own terms, which are more than a daemon lets its clients say
    /// (`qemu+unix:///session?socket=…`). There is one for each URI, however often this is asked.
    ///
    /// # Errors
    /// What libvirt says when it cannot open it; [`Code::NoConnect`] when it does not answer, and
    /// [`Code::OperationFailed`] when as many connections as can be are in use.
    pub async fn connect(&self, uri: &str) -> Reply<Arc<LibvirtConnection>> {
        terms::text("uri", uri)?;
        let connection = self.connection(uri)?;
        connection.reach().await?;
        Ok(connection)
    }

    fn connection(&self, uri: &str) -> Reply<Arc<LibvirtConnection>> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(uri) {
            return Ok(Arc::clone(connection));
        }
        if connections.len() >= CONNECTIONS_MAX {
            connections.retain(|_, connection| Arc::strong_count(connection) > 1);
        }
        if connections.len() >= CONNECTIONS_MAX {
            let message = format!("{CONNECTIONS_MAX} connections of libvirt are in use, which is the maximum");
            return Err(Failure::new(Code::OperationFailed, message));
        }
        let connection = Arc::new(LibvirtConnection::new(uri, self.event_queue));
        connections.insert(uri.to_owned(), Arc::clone(&connection));
        Ok(connection)
    }
}

impl Default for LibvirtDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LibvirtDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibvirtDriver").field("event_queue", &self.event_queue).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for LibvirtDriver {
    fn name(&self) -> &'static str {
        "libvirt"
    }

    async fn open(&self, uri: &ConnectUri) -> Reply<Opening> {
        if !DRIVERS.contains(&uri.driver.as_str()) || self.left.contains(&uri.driver) {
            return Ok(Opening::Declined);
        }
        Ok(Opening::Through(self.connect(&uri.remote).await?))
    }
}

#[cfg(test)]
mod tests;
