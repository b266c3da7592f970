//! A registration that ends with its value.

use std::mem;
use std::net::SocketAddr;
use std::vec::Vec;

use ::tokio::runtime::Handle;

use super::client::Rpcbind;
use super::error::RpcbindError;
use super::service::Service;
use crate::program::Programs;
use crate::tokio::Server;

/// Services that are registered with rpcbind as long as this value lives.
///
/// Better than dropping it is [`unregister`](Self::unregister), which waits for rpcbind: a drop cannot wait. It leaves
/// the work to a task of the runtime that the registration was made on; if that ends first, or with the process, the
/// entries stay behind. The next registration of the same user replaces them.
#[derive(Debug)]
#[must_use = "what is registered is removed when this value is dropped"]
pub struct Registration {
    rpcbind: Rpcbind,
    runtime: Handle,
    services: Vec<Service>,
}

impl Registration {
    /// Registers services: all of them, or none.
    ///
    /// An entry for the same program, version and transport that the same user has made is removed before: it is stale
    /// mostly, left behind by a process that has crashed. If it is not, this process takes its place, and the other
    /// one does not take it back when its own registration ends.
    ///
    /// A portmapper, which has version 2 only, removes TCP and UDP together: give both to one registration there.
    ///
    /// # Errors
    /// When rpcbind refuses one of them or cannot be asked. Those that were registered by then are removed again.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn new(rpcbind: &Rpcbind, services: impl IntoIterator<Item = Service>) -> Result<Self, RpcbindError> {
        let services = services.into_iter().collect();
        // They count as registered before they are: this future may be dropped while rpcbind is at it.
        let registration = Self { rpcbind: rpcbind.clone(), runtime: Handle::current(), services };
        match rpcbind.claim(&registration.services).await {
            Ok(()) => Ok(registration),
            Err(error) => {
                // The first error is the one to tell.
                let _ = registration.unregister().await;
                Err(error)
            }
        }
    }

    /// Registers all versions of all programs that a server serves, for the TCP sockets that it listens on, and the UDP
    /// sockets that it serves.
    ///
    /// An IPv6 socket is registered for IPv6 only. If it takes what comes by IPv4 as well, as one that is bound to
    /// `[::]` does on Linux, give `0.0.0.0` with the same port as a further address.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn of_server<P: Programs>(
        rpcbind: &Rpcbind,
        server: &Server<P>,
        tcp: &[SocketAddr],
        udp: &[SocketAddr],
    ) -> Result<Self, RpcbindError> {
        let mut services = Vec::new();
        server.each_version(|program, version| {
            services.extend(tcp.iter().map(|address| Service::tcp(program, version, *address)));
            services.extend(udp.iter().map(|address| Service::udp(program, version, *address)));
        });
        Self::new(rpcbind, services).await
    }

    /// What is registered.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Removes what is registered, and waits for it. Entries that another process has replaced stay.
    ///
    /// # Errors
    /// When rpcbind cannot be asked. The entries stay behind then.
    pub async fn unregister(mut self) -> Result<(), RpcbindError> {
        let released = self.rpcbind.release(&self.services).await;
        // Only now: if this future is dropped before, the drop of the value takes over.
        self.services.clear();
        released
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let services = mem::take(&mut self.services);
        if services.is_empty() {
            return;
        }
        let rpcbind = self.rpcbind.clone();
        self.runtime.spawn(async move {
            if let Err(error) = rpcbind.release(&services).await {
                tracing::warn!(%error, ?services, "cannot remove a registration from rpcbind");
            }
        });
    }
}
