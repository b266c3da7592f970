//! A server's socket, and to which of its machine's addresses each datagram came: it is answered from there. A client whose
//! socket is connected takes an answer from nowhere else.

use std::boxed::Box;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context as TaskContext, Poll, ready};
use std::vec;

use ::tokio::io::ReadBuf;
use ::tokio::net::UdpSocket;

use crate::datagram::{MAX_DATAGRAM, Transmit};

/// A datagram that has come.
pub(super) struct Received<'a> {
    pub(super) from: SocketAddr,
    /// The address of ours that it came to, where the socket has several.
    pub(super) to: Option<IpAddr>,
    pub(super) datagram: &'a [u8],
}

pub(super) struct Addressed {
    socket: UdpSocket,
    buffer: Box<[u8]>,
    #[cfg(any(target_os = "android", target_os = "linux"))]
    tells: Option<told::Room>,
}

impl Addressed {
    /// A socket for messages of so many bytes.
    pub(super) fn new(socket: UdpSocket, longest: usize) -> Self {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let tells = told::ask(&socket).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot learn which of several addresses datagrams come to");
            None
        });
        // One byte more than is allowed, so that a datagram which was cut off to fit is seen to be too long.
        let room = longest.min(MAX_DATAGRAM).saturating_add(1);
        Self {
            socket,
            buffer: vec![0; room].into_boxed_slice(),
            #[cfg(any(target_os = "android", target_os = "linux"))]
            tells,
        }
    }

    /// Receives a datagram.
    pub(super) fn poll_receive(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<Received<'_>>> {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let Some(room) = &mut self.tells {
            return room.poll_receive(cx, &self.socket, &mut self.buffer);
        }
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let from = ready!(self.socket.poll_recv_from(cx, &mut buffer))?;
        let len = buffer.filled().len();
        Poll::Ready(Ok(Received { from, to: None, datagram: self.buffer.get(..len).unwrap_or_default() }))
    }

    /// Sends one from the address that it says, where that can be said and is one to send from: what was sent to everybody
    /// is answered from any.
    pub(super) fn poll_send(&self, cx: &mut TaskContext<'_>, transmit: &Transmit) -> Poll<io::Result<usize>> {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let (Some(_), Some(from)) = (&self.tells, transmit.from)
            && let sent @ (Poll::Pending | Poll::Ready(Ok(_))) = told::poll_send(cx, &self.socket, transmit, from)
        {
            return sent;
        }
        self.socket.poll_send_to(cx, &transmit.datagram, transmit.to)
    }
}

/// What the system tells of a datagram beside its bytes, and what it is told.
#[cfg(any(target_os = "android", target_os = "linux"))]
mod told {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;
    use std::task::{Context as TaskContext, Poll, ready};
    use std::vec;
    use std::vec::Vec;

    use ::tokio::io::Interest;
    use ::tokio::net::UdpSocket;
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    };

    use super::Received;
    use crate::datagram::Transmit;

    /// Where the system writes to which address a datagram came, with room for what else the maker of the socket may have
    /// asked for: nothing is told where anything is cut off.
    pub(super) struct Room(Vec<u8>);

    /// Asks the system to tell it, where a socket has more than one address. One of IPv6 tells that of IPv4 as well.
    pub(super) fn ask(socket: &UdpSocket) -> io::Result<Option<Room>> {
        match socket.local_addr()? {
            address if !address.ip().to_canonical().is_unspecified() => return Ok(None),
            SocketAddr::V4(_) => setsockopt(socket, Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Some(Room(vec![0; 512])))
    }

    impl Room {
        pub(super) fn poll_receive<'a>(
            &mut self,
            cx: &mut TaskContext<'_>,
            socket: &UdpSocket,
            buffer: &'a mut [u8],
        ) -> Poll<io::Result<Received<'a>>> {
            let (len, from, to) = loop {
                ready!(socket.poll_recv_ready(cx))?;
                match socket.try_io(Interest::READABLE, || self.receive(socket, buffer)) {
                    // Somebody else has taken it.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => break received?,
                }
            };
            Poll::Ready(Ok(Received { from, to, datagram: buffer.get(..len).unwrap_or_default() }))
        }

        fn receive(
            &mut self,
            socket: &UdpSocket,
            buffer: &mut [u8],
        ) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
            let mut pieces = [IoSliceMut::new(buffer)];
            let (socket, none) = (socket.as_raw_fd(), MsgFlags::empty());
            let received = recvmsg::<SockaddrStorage>(socket, &mut pieces, Some(&mut self.0), none)?;
            let from = received.address.and_then(|from| address(&from));
            let from = from.ok_or_else(|| io::Error::other("a datagram without a sender"))?;
            let to = received.cmsgs().ok().into_iter().flatten().find_map(|told| match told {
                // The address that answers are to come from: where the datagram was for everybody, ours on that interface.
                // One that came before the system was asked has only that in its header.
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let [ours, called] =
                        [info.ipi_spec_dst, info.ipi_addr].map(|it| Ipv4Addr::from(u32::from_be(it.s_addr)));
                    Some(if ours.is_unspecified() { called } else { ours }.into())
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into()),
                _ => None,
            });
            Ok((received.bytes, from, to))
        }
    }

    fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
    }

    pub(super) fn poll_send(
        cx: &mut TaskContext<'_>,
        socket: &UdpSocket,
        transmit: &Transmit,
        from: IpAddr,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(socket.poll_send_ready(cx))?;
            match socket.try_io(Interest::WRITABLE, || send(socket, transmit, from)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn send(socket: &UdpSocket, transmit: &Transmit, from: IpAddr) -> io::Result<usize> {
        let (v4, v6);
        let told = match from {
            IpAddr::V4(from) => {
                let (from, none) = (in_addr { s_addr: u32::from(from).to_be() }, in_addr { s_addr: 0 });
                v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: none };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            IpAddr::V6(from) => {
                v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let to = SockaddrStorage::from(transmit.to);
        let pieces = [IoSlice::new(&transmit.datagram)];
        Ok(sendmsg(socket.as_raw_fd(), &pieces, &[told], MsgFlags::empty(), Some(&to))?)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;

    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::{Ipv4RecvTtl, ReceiveTimestamp};

    use super::*;

    #[::tokio::test]
    async fn a_socket_that_was_asked_to_tell_more_than_there_is_room_for_still_receives() {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        setsockopt(&socket, ReceiveTimestamp, &true).unwrap();
        setsockopt(&socket, Ipv4RecvTtl, &true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut addressed = Addressed::new(socket, 100);
        let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        caller.send_to(b"a call", ("127.0.0.1", port)).await.unwrap();
        let received =
            poll_fn(|cx| addressed.poll_receive(cx).map_ok(|received| (received.from, received.datagram.len())));
        assert_eq!(received.await.unwrap(), (caller.local_addr().unwrap(), 6));
    }
}
