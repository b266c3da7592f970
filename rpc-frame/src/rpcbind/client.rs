//! Where rpcbind is, and how long to wait for it.

use std::format;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::time::Duration;
use std::vec::Vec;

use ::tokio::net::{TcpStream, ToSocketAddrs, lookup_host};

use super::address::UniversalAddress;
use super::error::RpcbindError;
use super::exchange::Exchange;
use super::service::Service;
use super::{PORT, netid};
use crate::tokio::Client;

/// rpcbind's unix socket, and where it was before.
const SOCKETS: [&str; 2] = ["/run/rpcbind.sock", "/var/run/rpcbind.sock"];

/// rpcbind on this machine's own network.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// The rpcbind of a machine.
///
/// Each operation has a connection of its own: rpcbind ends those that are idle for half a minute, and registering is
/// rare. What is in the way of an operation, version 4, 3 or 2 of the protocol, it finds out by itself; all of it
/// has [10 seconds](Self::with_timeout).
#[derive(Debug, Clone)]
pub struct Rpcbind {
    endpoint: Endpoint,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Endpoint {
    /// The first of the sockets that is there; for lookups also the loopback interface.
    Local,
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Purpose {
    LookUp,
    Register,
}

impl Rpcbind {
    /// The rpcbind of this machine, through its unix socket: `/run/rpcbind.sock`, or `/var/run/rpcbind.sock`.
    ///
    /// Where there is none, lookups go by TCP to 127.0.0.1, port 111. Registrations do not: rpcbind would refuse
    /// them, or take them as those of an unknown owner, which anybody can remove.
    #[must_use]
    pub const fn local() -> Self {
        Self::with_endpoint(Endpoint::Local)
    }

    /// An rpcbind with a unix socket at another place.
    #[must_use]
    pub fn at_socket(path: impl AsRef<Path>) -> Self {
        Self::with_endpoint(Endpoint::Unix(path.as_ref().into()))
    }

    /// The rpcbind of another machine: an address or a name, with port [`PORT`](super::PORT) mostly. The first of its
    /// addresses that accepts a connection is the one that is asked from then on.
    ///
    /// # Errors
    /// When none accepts one within 10 seconds.
    pub async fn connect(address: impl ToSocketAddrs) -> Result<Self, RpcbindError> {
        let connecting = async {
            let addresses = lookup_host(address).await.map_err(at("its address"))?;
            let mut last = at("its address")(io::ErrorKind::AddrNotAvailable.into());
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(_) => return Ok(Self::with_endpoint(Endpoint::Tcp(address))),
                    Err(error) => last = at(address)(error),
                }
            }
            Err(last)
        };
        Self::local().within(connecting).await
    }

    const fn with_endpoint(endpoint: Endpoint) -> Self {
        Self { endpoint, timeout: Duration::from_secs(10) }
    }

    /// Sets how long one operation may take.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Registers a service. It stays registered until it is [unset](Self::unset), also when this process ends:
    /// [`Registration`](super::Registration) takes care of that. Where it is registered already at the very same address,
    /// by whomever, Linux's rpcbind has nothing to do and succeeds.
    ///
    /// # Errors
    /// [`Refused`](RpcbindError::Refused) where rpcbind does not want it, and what else can go wrong.
    pub async fn set(&self, service: &Service) -> Result<(), RpcbindError> {
        self.within(async { self.open(Purpose::Register).await?.set(service).await }).await
    }

    /// Removes the registration of a program on one transport, or, where `netid` is empty, on all. A portmapper, which
    /// has version 2 only, removes all in any case.
    ///
    /// False where there is one that is not the caller's. Where there is none, Linux's rpcbind says true; others say
    /// false.
    ///
    /// # Errors
    /// When rpcbind cannot be asked.
    pub async fn unset(&self, program: u32, version: u32, netid: &str) -> Result<bool, RpcbindError> {
        self.within(async { self.open(Purpose::Register).await?.unset(program, version, netid).await }).await
    }

    /// Where a program listens on a transport, if it does. An address of every interface becomes that of the
    /// machine that was asked, if it was asked by the same family of addresses, or is this one.
    ///
    /// Where rpcbind has only version 2 or 3 and knows the program in other versions, the answer may be the address of
    /// one of these.
    ///
    /// # Errors
    /// When rpcbind cannot be asked, or its answer is no address.
    pub async fn address_of(
        &self,
        program: u32,
        version: u32,
        netid: &str,
    ) -> Result<Option<UniversalAddress>, RpcbindError> {
        self.within(async { self.open(Purpose::LookUp).await?.address_of(program, version, netid).await }).await
    }

    /// All registrations, up to [`MAX_LIST`](super::MAX_LIST).
    ///
    /// # Errors
    /// When rpcbind cannot be asked, or its list is too long.
    pub async fn list(&self) -> Result<Vec<Service>, RpcbindError> {
        self.within(async { self.open(Purpose::LookUp).await?.list().await }).await
    }

    /// Registers services in the place of entries of the caller's own.
    pub(super) async fn claim(&self, services: &[Service]) -> Result<(), RpcbindError> {
        self.within(async {
            let mut exchange = self.open(Purpose::Register).await?;
            // All of them before the first SET: version 2 removes a program's entries of TCP and UDP together. What
            // cannot be removed is in the way of SET, which tells.
            for service in services {
                exchange.unset(service.program, service.version, &service.netid).await?;
            }
            for service in services {
                exchange.set(service).await?;
            }
            Ok(())
        })
        .await
    }

    /// Removes those of the services that are still registered at their addresses: who has taken a place over since
    /// then keeps it.
    pub(super) async fn release(&self, services: &[Service]) -> Result<(), RpcbindError> {
        self.within(async {
            let mut exchange = self.open(Purpose::Register).await?;
            let listed = exchange.list().await?;
            for service in services {
                if listed.iter().any(|listed| service.is_listed_as(listed)) {
                    exchange.unset(service.program, service.version, &service.netid).await?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn within<T>(&self, operation: impl Future<Output = Result<T, RpcbindError>>) -> Result<T, RpcbindError> {
        let ended = ::tokio::time::timeout(self.timeout, operation).await;
        ended.unwrap_or(Err(RpcbindError::TimedOut(self.timeout)))
    }

    async fn open(&self, purpose: Purpose) -> Result<Exchange, RpcbindError> {
        match &self.endpoint {
            Endpoint::Unix(path) => open_unix(path).await.map_err(at(path.display())),
            Endpoint::Tcp(address) => open_tcp(*address).await.map_err(at(address)),
            Endpoint::Local => {
                let mut first = None;
                for path in SOCKETS {
                    match open_unix(Path::new(path)).await {
                        Ok(exchange) => return Ok(exchange),
                        Err(error) => first = first.or(Some(error)),
                    }
                }
                let [socket, _] = SOCKETS;
                let error = first.unwrap_or_else(|| io::ErrorKind::NotFound.into());
                match purpose {
                    Purpose::Register => Err(at(socket)(error)),
                    Purpose::LookUp => {
                        open_tcp(LOOPBACK).await.map_err(at(format!("{socket} ({error}), or by TCP at {LOOPBACK}")))
                    }
                }
            }
        }
    }
}

fn at(endpoint: impl ToString) -> impl FnOnce(io::Error) -> RpcbindError {
    move |source| RpcbindError::Unreachable { endpoint: endpoint.to_string(), source }
}

async fn open_unix(path: &Path) -> io::Result<Exchange> {
    Ok(Exchange::new(Client::connect_unix(path).await?, netid::LOCAL, LOOPBACK.ip()))
}

async fn open_tcp(address: SocketAddr) -> io::Result<Exchange> {
    let netid = if address.is_ipv4() { netid::TCP } else { netid::TCP6 };
    Ok(Exchange::new(Client::connect_tcp(address).await?, netid, address.ip()))
}
