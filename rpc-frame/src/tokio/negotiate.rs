//! Which version of a program both sides have.

use std::ops::RangeInclusive;
use std::vec::Vec;

use super::client::Client;
use super::error::CallError;

/// Most calls of procedure 0 that a negotiation makes.
const TRIES: usize = 8;

/// Those behind which there is one left.
const LAST: usize = TRIES - 1;

/// Why no version was found.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiateError {
    /// The server was asked, and there is no version that both have.
    #[error("server has versions {low} to {high} of program {program}, and none of those that were asked for")]
    NoCommonVersion {
        /// The program.
        program: u32,
        /// The server's lowest version, as it says.
        low: u32,
        /// The server's highest version, as it says.
        high: u32,
    },
    /// The server contradicts itself: a range that is none, or a refusal of its own lowest or highest version.
    #[error(
        "server says that it has versions {low} to {high} of program {program}, and refuses what was tried of them"
    )]
    Contradiction {
        /// The program.
        program: u32,
        /// The server's lowest version, as it says.
        low: u32,
        /// The server's highest version, as it says.
        high: u32,
    },
    /// The server's range has holes, and all that were tried are in them.
    #[error(
        "server has versions {low} to {high} of program {program}, with holes: {tried:?} are not there, and no more are tried"
    )]
    GivenUp {
        /// The program.
        program: u32,
        /// The server's lowest version, as it says.
        low: u32,
        /// The server's highest version, as it says.
        high: u32,
        /// The versions that were asked for, in this order.
        tried: Vec<u32>,
    },
    /// The range of versions that was asked for is empty.
    #[error("no version was asked for")]
    NoVersions,
    /// A call failed for another reason.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Client {
    /// The highest version of a program that is in `versions` and that the server has.
    ///
    /// Procedure 0 of the highest is called first; PROG_MISMATCH tells what to try next (RFC 5531 §9). At most eight
    /// calls are made, so a server that contradicts itself cannot keep its clients busy. Where the server's range has a hole
    /// that takes more than seven, the last one asks for the lowest version that it says it has.
    ///
    /// # Errors
    /// When there is no such version, or a call fails for another reason than its version.
    ///
    /// # Examples
    /// ```
    /// # use rpc_frame::ProcedureTable;
    /// # #[derive(xdr_core::Xdr)]
    /// # #[rpc(program = 9, version = 3, proc = 1)]
    /// # struct Ping;
    /// # #[derive(ProcedureTable)]
    /// # #[rpc(program = 9, version = 3, service = PingService)]
    /// # enum Pings { Ping(Ping) }
    /// # struct Pong;
    /// # impl PingService for Pong { async fn ping(&self, _: &rpc_frame::Context, _: Ping) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc_frame::tokio::{Client, Server};
    /// let server = Server::new(rpc_frame::program::<Pings, _>(Pong));
    /// let client = Client::new(server.connect_in_memory());
    /// assert_eq!(client.negotiate(9, 1..=4).await?, 3);
    /// assert!(client.negotiate(9, 1..=2).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn negotiate(&self, program: u32, versions: RangeInclusive<u32>) -> Result<u32, NegotiateError> {
        if versions.is_empty() {
            return Err(NegotiateError::NoVersions);
        }
        let mut version = *versions.end();
        let mut tried = Vec::new();
        loop {
            tried.push(version);
            let (low, high) = match self.null(program, version).await {
                Ok(()) => return Ok(version),
                Err(CallError::ProgMismatch { low, high }) => (low, high),
                Err(error) => return Err(error.into()),
            };
            // Below what has just been refused: the server's range may have holes, and need not be true.
            let highest = version.checked_sub(1).map(|below| below.min(high));
            let lowest = low.max(*versions.start());
            version = match highest {
                _ if low > high => return Err(NegotiateError::Contradiction { program, low, high }),
                Some(highest) if highest >= lowest => match tried.len() {
                    TRIES.. => return Err(NegotiateError::GivenUp { program, low, high, tried }),
                    // However wide the hole is, below it is what the server says that it has.
                    LAST if lowest == low => low,
                    _ => highest,
                },
                _ if version == low || version == high => {
                    return Err(NegotiateError::Contradiction { program, low, high });
                }
                _ => return Err(NegotiateError::NoCommonVersion { program, low, high }),
            };
        }
    }
}
