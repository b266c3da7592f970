//! Traffic as a capture file: each piece as a TCP packet on the loopback address, so that a program that reads
//! captures sees what went over a unix socket, which cannot be captured.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use etherparse::PacketBuilder;
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use rpc_frame::xdr::Bytes;

use crate::tap::Direction;

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
const CLIENT_PORT: u16 = 40_000;
const SERVER_PORT: u16 = qemud_proto::uri::TCP_PORT;

/// The most that fits a packet behind its headers.
const PACKET: usize = 60_000;

pub(crate) fn write(path: &Path, pieces: &[(Direction, Bytes)]) -> io::Result<()> {
    let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(BufWriter::new(File::create(path)?), header).map_err(io::Error::other)?;
    // How far each side's stream has come; sequence numbers start at 1.
    let (mut sent, mut received) = (1_u32, 1_u32);
    let mut time = std::time::Duration::ZERO;
    for (direction, bytes) in pieces {
        for part in bytes.chunks(PACKET) {
            let (from, to, sequence, acknowledged) = match direction {
                Direction::Sent => (CLIENT_PORT, SERVER_PORT, &mut sent, received),
                Direction::Received => (SERVER_PORT, CLIENT_PORT, &mut received, sent),
            };
            let packet =
                PacketBuilder::ipv4(LOOPBACK, LOOPBACK, 64).tcp(from, to, *sequence, u16::MAX).ack(acknowledged).psh();
            let mut wire = Vec::with_capacity(packet.size(part.len()));
            packet.write(&mut wire, part).map_err(io::Error::other)?;
            *sequence = sequence.wrapping_add(u32::try_from(part.len()).map_err(io::Error::other)?);
            let len = u32::try_from(wire.len()).map_err(io::Error::other)?;
            writer.write_packet(&PcapPacket::new(time, len, &wire)).map_err(io::Error::other)?;
            time += std::time::Duration::from_millis(1);
        }
    }
    writer.into_writer().flush()
}
