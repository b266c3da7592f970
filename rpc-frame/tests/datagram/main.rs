//! The engines for datagrams: what each says to single datagrams, written by hand, and both across a bad network.

mod server; //   what is a call, and what is answered
mod repeated; // calls that come again, and what is kept for them
mod client; //   calls that are sent again, and what ends them
mod network; //  both ends, and whatever may happen between them
#[path = "../wire/mod.rs"]
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use rpc_frame::{DatagramCall, DatagramServer, DatagramServerConfig};
use wire::{Call, words};

pub(crate) const PROGRAM: u32 = 0x2000_0045;

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn here() -> SocketAddr {
    address("192.0.2.1:700")
}

pub(crate) fn there() -> SocketAddr {
    address("192.0.2.2:111")
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call as the server gets it.
pub(crate) fn call(xid: u32, args: &[u8]) -> Vec<u8> {
    Call::new(xid, PROGRAM, 1, 1).args(args.to_vec()).message()
}

/// A successful reply.
pub(crate) fn reply(xid: u32, results: &[u8]) -> Vec<u8> {
    [&words(&[xid, 1, 0, 0, 0, 0]), results].concat()
}

pub(crate) fn server() -> DatagramServer {
    DatagramServer::new(DatagramServerConfig::default())
}

pub(crate) fn server_with(change: impl FnOnce(&mut DatagramServerConfig)) -> DatagramServer {
    let mut config = DatagramServerConfig::default();
    change(&mut config);
    DatagramServer::new(config)
}

/// A call that the server takes for new.
pub(crate) fn taken(server: &mut DatagramServer, now: Duration, datagram: &[u8]) -> DatagramCall {
    server.handle_datagram(now, here(), datagram).expect("the call is new")
}

/// Neither a call nor an answer comes of it.
pub(crate) fn is_dropped(server: &mut DatagramServer, now: Duration, datagram: &[u8]) -> bool {
    server.handle_datagram(now, here(), datagram).is_none() && server.poll_transmit().is_none()
}
