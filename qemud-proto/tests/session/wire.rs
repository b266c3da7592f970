//! Calls and replies as bytes, written by hand: what a client of these types would never send.

use qemud_proto::daemon::GuestServer;
use qemud_proto::messages::GUEST;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The results of a successful reply.
pub(crate) const SUCCESS: u32 = 0;
/// There is no such procedure.
pub(crate) const PROC_UNAVAIL: u32 = 3;
/// The arguments do not decode.
pub(crate) const GARBAGE_ARGS: u32 = 4;
/// The server failed.
pub(crate) const SYSTEM_ERR: u32 = 5;

/// A connection that is spoken to in bytes.
pub(crate) struct Raw(DuplexStream);

impl Raw {
    pub(crate) fn connect(server: &GuestServer) -> Self {
        Self(server.connect_in_memory())
    }

    /// Calls a procedure and returns the whole reply behind its record mark.
    pub(crate) async fn call(&mut self, procedure: u32, args: &[u8]) -> Vec<u8> {
        let record = [&words(&[77, 0, 2, GUEST, 1, procedure, 0, 0, 0, 0]), args].concat();
        let mark = u32::try_from(record.len()).unwrap() | 0x8000_0000;
        // Such a record does not fit the stream's buffer: the server reads while it is written.
        self.0.write_all(&[&words(&[mark]), &record[..]].concat()).await.unwrap();
        let mark = self.0.read_u32().await.unwrap();
        let mut reply = vec![0; usize::try_from(mark & 0x7fff_ffff).unwrap()];
        self.0.read_exact(&mut reply).await.unwrap();
        reply
    }

    /// The status of the reply to a call, and the results.
    pub(crate) async fn outcome(&mut self, procedure: u32, args: &[u8]) -> (u32, Vec<u8>) {
        let reply = self.call(procedure, args).await;
        // xid, REPLY, MSG_ACCEPTED, a verifier of AUTH_NONE
        assert_eq!(reply[..20], words(&[77, 1, 0, 0, 0]), "{reply:?}");
        let (status, results) = reply[20..].split_first_chunk().unwrap();
        (u32::from_be_bytes(*status), results.to_vec())
    }
}

/// Words in the order of the network.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A string as XDR has it: its length, its bytes, zeros up to the next word.
pub(crate) fn string(text: &[u8]) -> Vec<u8> {
    let mut wire = [&words(&[u32::try_from(text.len()).unwrap()]), text].concat();
    wire.resize(wire.len().next_multiple_of(4), 0);
    wire
}
