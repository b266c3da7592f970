//! Connections that are written down on their way, as a capture file.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etherparse::PacketBuilder;
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The server's port in the file.
pub(crate) const SERVER_PORT: u16 = 20_490;

/// What was sent, in the order in which it passed.
#[derive(Clone, Default)]
pub(crate) struct Traffic(Arc<Mutex<Vec<Piece>>>);

struct Piece {
    client: u16,
    to_server: bool,
    bytes: Vec<u8>,
}

/// A port whose connections lead to the server's, and what passes.
pub(crate) async fn between(server: u16) -> (u16, Traffic) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let traffic = Traffic::default();
    let kept = traffic.clone();
    tokio::spawn(async move {
        // Each connection gets a port of its own in the file.
        for client in 40_000.. {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(kept.clone().pass(client, true, near_in, far_out));
            tokio::spawn(kept.clone().pass(client, false, far_in, near_out));
        }
    });
    (port, traffic)
}

impl Traffic {
    async fn pass(
        self,
        client: u16,
        to_server: bool,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer).await {
            // Written down first, so that a reply never stands before its call.
            self.0.lock().unwrap().push(Piece { client, to_server, bytes: buffer[..len].to_vec() });
            if to.write_all(&buffer[..len]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }

    pub(crate) fn write(&self, path: &Path) {
        let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
        let mut writer = PcapWriter::with_header(File::create(path).unwrap(), header).unwrap();
        let pieces = self.0.lock().unwrap();
        for (place, piece) in pieces.iter().enumerate() {
            // How far a side's stream of this connection has come; sequence numbers start at 1.
            let so_far = |to_server| {
                let before = pieces[..place].iter().filter(|other| other.client == piece.client);
                let lengths = before.filter(|other| other.to_server == to_server).map(|other| other.bytes.len());
                u32::try_from(lengths.sum::<usize>() + 1).unwrap()
            };
            let (from, to) = if piece.to_server { (piece.client, SERVER_PORT) } else { (SERVER_PORT, piece.client) };
            let (sequence, acknowledged) = (so_far(piece.to_server), so_far(!piece.to_server));
            let address = Ipv4Addr::LOCALHOST.octets();
            let packet = PacketBuilder::ipv4(address, address, 64).tcp(from, to, sequence, u16::MAX).ack(acknowledged);
            let mut wire = Vec::new();
            packet.psh().write(&mut wire, &piece.bytes).unwrap();
            let time = Duration::from_millis(u64::try_from(place).unwrap());
            let len = u32::try_from(wire.len()).unwrap();
            writer.write_packet(&PcapPacket::new(time, len, &wire)).unwrap();
        }
    }
}
