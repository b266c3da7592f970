//! What is called.

use xdr_core::Xdr;

use rpc_frame::ProcedureTable;

pub(crate) const LOAD: u32 = 0x2000_0048;

/// Replies with its own bytes at once.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = LOAD, version = 1, proc = 1, reply = Echo)]
pub(crate) struct Echo {
    #[xdr(max = 4096)]
    pub(crate) bytes: Vec<u8>,
}

/// Replies with its number after so many ms.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = LOAD, version = 1, proc = 2, reply = u32)]
pub(crate) struct Rest {
    pub(crate) number: u32,
    pub(crate) millis: u32,
}

/// Is never answered.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = LOAD, version = 1, proc = 3)]
pub(crate) struct Wait;

/// Panics.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = LOAD, version = 1, proc = 4)]
pub(crate) struct Panic;

/// Replies with that many bytes at once.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = LOAD, version = 1, proc = 5, reply = Filled)]
pub(crate) struct Fill {
    pub(crate) count: u32,
}

#[derive(Debug, Clone, Xdr)]
pub(crate) struct Filled {
    #[xdr(max = 0x1_0000)]
    pub(crate) bytes: Vec<u8>,
}

#[derive(ProcedureTable)]
#[rpc(program = LOAD, version = 1, service = LoadService)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Load {
    Echo(Echo),
    Rest(Rest),
    Wait(Wait),
    Panic(Panic),
    Fill(Fill),
}
