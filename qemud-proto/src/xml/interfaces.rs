//! The network interfaces of a domain.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use super::Edit;
use super::element::Element;
use crate::failure::Reply;
use crate::identity::Uuid;

/// A network interface, the element `interface`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Where its packets go, `interface@type` with its source.
    pub link: Link,
    /// Its address, made out of the domain's identity when the XML had none.
    pub mac: Mac,
    /// Name of the host's end, at most 15 bytes; the driver's choice if absent.
    pub target: Option<String>,
    /// What the guest sees, for instance `virtio`; the hypervisor's default if absent.
    pub model: Option<String>,
}

/// Where the packets of an interface go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Through sockets of the hypervisor, without privileges.
    User,
    /// To a device of the host that a script sets up.
    Ethernet {
        /// Absolute path of the script.
        script: Option<String>,
    },
    /// To a bridge of the host.
    Bridge {
        /// Name of the bridge.
        bridge: String,
    },
    /// To the bridge of a network that this daemon manages.
    Network {
        /// Name of the network.
        network: String,
    },
    /// To one peer that connects here.
    Server {
        /// Address to listen at; any if absent.
        address: Option<IpAddr>,
        /// TCP port.
        port: u16,
    },
    /// To a peer that waits for connections.
    Client {
        /// Address of the peer.
        address: IpAddr,
        /// TCP port.
        port: u16,
    },
    /// To every member of a multicast group.
    Multicast {
        /// Address of the group.
        address: IpAddr,
        /// UDP port.
        port: u16,
    },
}

/// The address of an interface, six bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}

/// Reads the elements `interface` of a domain, with the edits that write down the addresses that were made.
pub(super) fn read_all(elements: &[Element<'_>], uuid: Uuid, original: &str) -> Reply<(Vec<Interface>, Vec<Edit>)> {
    let given = elements.iter().map(|element| mac(*element)).collect::<Reply<Vec<_>>>()?;
    let mut taken: BTreeSet<_> = given.iter().flatten().copied().collect();
    let (mut interfaces, mut edits) = (Vec::new(), Vec::new());
    for (position, (element, given)) in elements.iter().zip(given).enumerate() {
        let mac = given.unwrap_or_else(|| {
            // Others may have been put before one whose address was made and written down.
            let made = (position..).map(|number| made(uuid, number)).find(|made| !taken.contains(made));
            made.unwrap_or(Mac([0x52, 0x54, 0, 0, 0, 0]))
        });
        taken.insert(mac);
        if given.is_none() {
            edits.push(element.with_child(original, &format!("<mac address='{mac}'/>")));
        }
        interfaces.push(read(*element, mac)?);
    }
    Ok((interfaces, edits))
}

/// An address for an interface that was given none: of QEMU's range, and the same for the same domain.
fn made(uuid: Uuid, number: usize) -> Mac {
    let folded = uuid.0.iter().enumerate().fold([0; 3], |mut folded: [u8; 3], (at, byte)| {
        if let Some(slot) = folded.get_mut(at % 3) {
            *slot ^= byte;
        }
        folded
    });
    let [high, middle, low] = folded;
    let base = u32::from_be_bytes([0, high, middle, low]);
    let [_, high, middle, low] = base.wrapping_add(u32::try_from(number).unwrap_or(u32::MAX)).to_be_bytes();
    Mac([0x52, 0x54, 0x00, high, middle, low])
}

fn read(element: Element<'_>, mac: Mac) -> Reply<Interface> {
    element.only(&["type"], &["mac", "source", "target", "script", "model"])?;
    let source = element.child("source")?;
    let required = || element.required("source");
    let kind = element.required_attribute("type")?;
    let mut sources: &[&str] = &[];
    let link = match kind {
        "user" => Link::User,
        "ethernet" => Link::Ethernet { script: script(element)? },
        "bridge" => {
            sources = &["bridge"];
            required()?.required_attribute("bridge")?;
            Link::Bridge { bridge: required()?.interface_name("bridge")?.unwrap_or_default() }
        }
        "network" => {
            sources = &["network"];
            Link::Network { network: required()?.required_attribute("network")?.to_owned() }
        }
        "server" | "client" | "mcast" => {
            sources = &["address", "port"];
            socket(required()?, kind)?
        }
        _ => {
            let kinds = "not one of user, ethernet, bridge, network, server, client, mcast";
            return Err(element.refuse_value("type", kind, kinds));
        }
    };
    match source {
        Some(source) if sources.is_empty() => {
            return Err(source.refuse(format_args!("an interface of type {kind} has no source")));
        }
        Some(source) => source.only(sources, &[])?,
        None => {}
    }
    if kind != "ethernet"
        && let Some(script) = element.child("script")?
    {
        return Err(script.refuse(format_args!("an interface of type {kind} has no script")));
    }
    let part = |name, attribute| -> Reply<Option<Element<'_>>> {
        let Some(part) = element.child(name)? else {
            return Ok(None);
        };
        part.only(&[attribute], &[])?;
        part.required_attribute(attribute)?;
        Ok(Some(part))
    };
    Ok(Interface {
        link,
        mac,
        target: match part("target", "dev")? {
            Some(target) => target.interface_name("dev")?,
            None => None,
        },
        model: match part("model", "type")? {
            Some(model) => model.word("type")?,
            None => None,
        },
    })
}

fn script(element: Element<'_>) -> Reply<Option<String>> {
    let Some(script) = element.child("script")? else {
        return Ok(None);
    };
    script.only(&["path"], &[])?;
    script.path(script.required_attribute("path")?).map(Some)
}

fn socket(source: Element<'_>, kind: &str) -> Reply<Link> {
    let port = source.port(source.required_attribute("port")?, 1)?;
    if kind == "server" {
        return Ok(Link::Server { address: source.address("address")?, port });
    }
    source.required_attribute("address")?;
    let Some(address) = source.address("address")? else {
        return Err(source.refuse("source has no address"));
    };
    if kind == "client" {
        return Ok(Link::Client { address, port });
    }
    match address.is_multicast() {
        true => Ok(Link::Multicast { address, port }),
        false => Err(source.refuse(format_args!("{address} is no multicast address"))),
    }
}

fn mac(interface: Element<'_>) -> Reply<Option<Mac>> {
    let Some(element) = interface.child("mac")? else {
        return Ok(None);
    };
    element.only(&["address"], &[])?;
    let text = element.required_attribute("address")?;
    let mut parts = text.split(':');
    let mut bytes = [0; 6];
    let well_formed = bytes.iter_mut().all(|byte| {
        let digits = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                *byte = value;
                true
            }
            None => false,
        }
    });
    let [first, ..] = bytes;
    if !well_formed || parts.next().is_some() || first & 1 == 1 {
        let rule = "not six bytes such as 52:54:00:12:34:56 of a single station";
        return Err(element.refuse_value("address", text, rule));
    }
    Ok(Some(Mac(bytes)))
}

#[cfg(test)]
mod tests;
