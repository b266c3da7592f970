//! The calls, and the blocking sockets that send them.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::servers::Server;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    OneAtATime,
    InFlight,
    Waiting,
    Connections,
    Handshake,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::OneAtATime, Self::InFlight, Self::Waiting, Self::Connections, Self::Handshake];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one at a time",
            Self::InFlight => "64 in flight",
            Self::Waiting => "64 that wait",
            Self::Connections => "8 connections",
            Self::Handshake => "a connection a call",
        }
    }

    const fn connections(self) -> usize {
        match self {
            Self::Connections => 8,
            _ => 1,
        }
    }

    pub(crate) const fn calls_a_round(self) -> u32 {
        match self {
            Self::InFlight | Self::Waiting => 64,
            _ => 1,
        }
    }
}

/// Who makes the calls of a scenario.
pub(crate) trait Caller {
    /// Makes the calls of a round and takes all replies. How many calls it was.
    fn round(&mut self) -> u32;
}

/// A call without arguments and AUTH_NONE, and a reply without results, with their record marks.
pub(crate) const CALL: usize = 44;
pub(crate) const REPLY: usize = 28;

pub(crate) struct Client {
    /// Of the server.
    name: &'static str,
    streams: Vec<TcpStream>,
    calls: Vec<u8>,
    replies: Vec<u8>,
    in_a_round: u32,
    xid: u32,
}

impl Client {
    pub(crate) fn connect(server: &Server, scenario: Scenario) -> Self {
        let streams = (0..scenario.connections())
            .map(|_| {
                let stream = TcpStream::connect(server.address).expect("the server listens");
                stream.set_nodelay(true).expect("a TCP socket has the option");
                stream
            })
            .collect();
        let in_a_round = scenario.calls_a_round();
        let procedure = if scenario == Scenario::Waiting { server.waiting } else { 0 };
        let call = [0x8000_0000 + 40, 0, 0, 2, server.program, server.version, procedure, 0, 0, 0, 0];
        let mut calls = Vec::new();
        for _ in 0..in_a_round {
            calls.extend(call.iter().flat_map(|word: &u32| word.to_be_bytes()));
        }
        assert_eq!(calls.len(), CALL * in_a_round as usize);
        let replies = vec![0; REPLY * in_a_round as usize];
        let mut client = Self { name: server.name, streams, calls, replies, in_a_round, xid: 0 };
        client.round();
        client.look_at_replies(server);
        client
    }

    /// A server that refused calls would be fast.
    fn look_at_replies(&self, server: &Server) {
        if server.is_raw {
            return;
        }
        for reply in self.replies.chunks(REPLY) {
            assert_eq!(reply[..4], [0x80, 0, 0, 24], "{}: a reply without results", server.name);
            assert_eq!(reply[8..], *[[0, 0, 0, 1], [0; 4], [0; 4], [0; 4], [0; 4]].as_flattened(), "{}", server.name);
        }
    }
}

impl Caller for Client {
    fn round(&mut self) -> u32 {
        // A server may take a call with the xid of the last one for the same call.
        for call in self.calls.chunks_exact_mut(CALL) {
            self.xid = self.xid.wrapping_add(1);
            call[4..8].copy_from_slice(&self.xid.to_be_bytes());
        }
        for stream in &mut self.streams {
            stream.write_all(&self.calls).unwrap_or_else(|error| panic!("{} takes calls: {error}", self.name));
        }
        for stream in &mut self.streams {
            stream.read_exact(&mut self.replies).unwrap_or_else(|error| panic!("{} replies: {error}", self.name));
        }
        self.in_a_round * u32::try_from(self.streams.len()).expect("few connections")
    }
}
