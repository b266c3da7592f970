//! The calls of one connection: version 4, or 3, or 2, as the server allows.

use std::boxed::Box;
use std::net::IpAddr;
use std::string::String;
use std::vec::Vec;

use super::address::UniversalAddress;
use super::error::RpcbindError;
use super::rpcb::{Rpcb, Uaddr};
use super::service::{Service, key, protocol};
use super::version2::Mapping;
use super::{version2, version3, version4};
use crate::tokio::{CallError, Client};

/// A connection to rpcbind for one operation.
pub(super) struct Exchange {
    client: Client,
    /// The transport of the connection, for which alone GETADDR answers.
    netid: &'static str,
    /// The machine that rpcbind speaks for.
    host: IpAddr,
    /// The version that is tried next; it only sinks, so that no server can keep us trying.
    version: u32,
}

/// Takes the results, or tries the whole call again where a lower version is to be spoken.
macro_rules! by_version {
    ($self:ident, $call:expr) => {
        loop {
            let outcome = $call;
            if let Some(results) = $self.unless_lower(outcome)? {
                break results;
            }
        }
    };
}

impl Exchange {
    pub(super) const fn new(client: Client, netid: &'static str, host: IpAddr) -> Self {
        Self { client, netid, host, version: 4 }
    }

    /// Results, or `None` where the server has a lower version of the protocol.
    fn unless_lower<T>(&mut self, outcome: Result<T, CallError>) -> Result<Option<T>, RpcbindError> {
        match outcome {
            Ok(results) => Ok(Some(results)),
            Err(CallError::ProgMismatch { low, high }) => {
                let lower = high.min(self.version.saturating_sub(1));
                if lower < low.max(2) {
                    return Err(RpcbindError::Versions { low, high });
                }
                self.version = lower;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Registers a service.
    pub(super) async fn set(&mut self, service: &Service) -> Result<(), RpcbindError> {
        let rpcb = service.rpcb();
        let set = by_version!(
            self,
            match self.version {
                4 => self.client.call_procedure::<version4::Set>(&rpcb).await,
                3 => self.client.call_procedure::<version3::Set>(&rpcb).await,
                _ => {
                    let mapping =
                        service.mapping().ok_or_else(|| not_in_version_2(&service.netid, &service.address))?;
                    self.client.call_procedure::<version2::Set>(&mapping).await
                }
            }
            .or_else(refusal)
        );
        if set { Ok(()) } else { Err(RpcbindError::Refused { service: Box::new(service.clone()) }) }
    }

    /// Removes a registration. False where there was none that the caller may remove.
    pub(super) async fn unset(&mut self, program: u32, version: u32, netid: &str) -> Result<bool, RpcbindError> {
        let rpcb = key(program, version, netid);
        Ok(by_version!(
            self,
            match self.version {
                4 => self.client.call_procedure::<version4::Unset>(&rpcb).await,
                3 => self.client.call_procedure::<version3::Unset>(&rpcb).await,
                _ => {
                    let mapping = Mapping { program, version, ..Mapping::default() };
                    self.client.call_procedure::<version2::Unset>(&mapping).await
                }
            }
            .or_else(refusal)
        ))
    }

    /// Where a program listens.
    pub(super) async fn address_of(
        &mut self,
        program: u32,
        version: u32,
        netid: &str,
    ) -> Result<Option<UniversalAddress>, RpcbindError> {
        let rpcb = key(program, version, netid);
        let address: Option<UniversalAddress> = by_version!(
            self,
            match self.version {
                // GETADDR looks the transport of the connection up, whatever the argument says (RFC 1833 §2.2.1).
                3 | 4 if netid != self.netid => match self.dump().await {
                    Ok(services) => {
                        let is_meant = |service: &&Service| {
                            (service.program, service.version, service.netid.as_str()) == (program, version, netid)
                        };
                        let found = services.iter().find(is_meant);
                        Ok(found.map(Service::universal_address).transpose()?)
                    }
                    Err(error) => Err(error),
                },
                4 => self.get_addr::<version4::GetVersAddr>(&rpcb).await?,
                3 => self.get_addr::<version3::GetAddr>(&rpcb).await?,
                _ => {
                    let protocol = protocol(netid).ok_or_else(|| not_in_version_2(netid, ""))?;
                    let mapping = Mapping { program, version, protocol, port: 0 };
                    match self.client.call_procedure::<version2::GetPort>(&mapping).await {
                        Ok(0) => Ok(None),
                        Ok(port) => Ok(Some(Service::from(Mapping { port, ..mapping }).universal_address()?)),
                        Err(error) => Err(error),
                    }
                }
            }
        );
        Ok(address.map(|address| address.or_at(self.host)))
    }

    /// The answer of version 3 or 4 to where a program is on this transport. An empty one says nowhere.
    async fn get_addr<P>(&self, rpcb: &Rpcb) -> Result<Result<Option<UniversalAddress>, CallError>, RpcbindError>
    where
        P: crate::Procedure<Args = Rpcb, Reply = Uaddr>,
    {
        match self.client.call_procedure::<P>(rpcb).await {
            Ok(Uaddr(text)) if text.is_empty() => Ok(Ok(None)),
            Ok(Uaddr(text)) => Ok(Ok(Some(UniversalAddress::try_from(&text)?))),
            Err(error) => Ok(Err(error)),
        }
    }

    /// All registrations.
    pub(super) async fn list(&mut self) -> Result<Vec<Service>, RpcbindError> {
        Ok(by_version!(self, self.dump().await))
    }

    async fn dump(&self) -> Result<Vec<Service>, CallError> {
        match self.version {
            4 => self.client.call_procedure::<version4::Dump>(&()).await.map(|list| services(list.entries)),
            3 => self.client.call_procedure::<version3::Dump>(&()).await.map(|list| services(list.entries)),
            _ => self.client.call_procedure::<version2::Dump>(&()).await.map(|list| services(list.entries)),
        }
    }
}

fn services<T: Into<Service>>(entries: Vec<T>) -> Vec<Service> {
    entries.into_iter().map(Into::into).collect()
}

/// A caller that the server does not accept is refused, as with a false reply.
fn refusal(error: CallError) -> Result<bool, CallError> {
    match error {
        CallError::AuthError(_) => Ok(false),
        other => Err(other),
    }
}

fn not_in_version_2(netid: &str, address: &str) -> RpcbindError {
    RpcbindError::NotInVersion2 { netid: String::from(netid), address: String::from(address) }
}
