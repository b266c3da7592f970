//! A flood of garbage takes no memory. Alone in its process, because all of the process's memory is counted.

mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use rpc_frame::xdr::Bytes;
use rpc_frame::{
    DatagramClient, DatagramClientConfig, DatagramServer, DatagramServerConfig, MAX_DATAGRAM, OutgoingCall,
};
use wire::Call;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[test]
fn survives_a_flood_of_garbage_with_flat_memory() {
    let (here, there): (SocketAddr, SocketAddr) = ("192.0.2.1:700".parse().unwrap(), "192.0.2.2:111".parse().unwrap());
    let mut server = DatagramServer::new(DatagramServerConfig::default());
    let mut client = DatagramClient::new(DatagramClientConfig::default());
    client.call(Duration::ZERO, there, &OutgoingCall::new(9, 1, 1), &(), None).unwrap();
    let new = server.handle_datagram(Duration::ZERO, here, &Call::new(1, 9, 1, 1).message()).unwrap();
    server.reply_with(Duration::ZERO, &new.id, &Bytes::new()).unwrap();
    server.poll_transmit().unwrap();
    let mut datagram = vec![0; MAX_DATAGRAM];
    let mut flood = |server: &mut DatagramServer, client: &mut DatagramClient| {
        for round in 0_u32..2000 {
            datagram[..4].copy_from_slice(&round.to_be_bytes());
            // Calls of no RPC version, calls without an end, replies, other types.
            let kind = round % 4;
            datagram[4..8].copy_from_slice(&(kind / 2).to_be_bytes());
            datagram[8..12].copy_from_slice(&2_u32.to_be_bytes());
            let len = if kind == 1 { MAX_DATAGRAM } else { 23 };
            datagram[28..32].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
            let from = SocketAddr::new(here.ip(), u16::try_from(round % 5000 + 1).unwrap());
            assert!(server.handle_datagram(Duration::ZERO, from, &datagram[..len]).is_none());
            client.handle_datagram(there, &datagram[..len]);
        }
    };
    flood(&mut server, &mut client);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    for _ in 0..10 {
        flood(&mut server, &mut client);
    }
    // The test harness has a thread of its own; a call that is looked at is copied once.
    assert!(HEAP.current_usage() < before + 10_000, "{} after {before}", HEAP.current_usage());
    assert!(HEAP.peak_usage() < before + 2 * MAX_DATAGRAM, "{} after {before}", HEAP.peak_usage());
    assert_eq!((server.in_flight(), server.kept(), client.in_flight()), (0, 1, 1));
    assert!(server.poll_transmit().is_none());
}
