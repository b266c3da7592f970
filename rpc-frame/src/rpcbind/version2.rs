//! Version 2, the portmapper: TCP and UDP on IPv4 (RFC 1833 §3).
//!
//! The names at this level are the table's lines: `client.call_procedure::<version2::GetPort>(&mapping)`.

use alloc::vec::Vec;

use xdr_core::{Bytes, Xdr};

use super::rpcb::{CallitArgs, MAX_CALL, MAX_LIST};
use crate::ProcedureTable;

/// The protocol number of TCP.
pub const IPPROTO_TCP: u32 = 6;

/// The protocol number of UDP.
pub const IPPROTO_UDP: u32 = 17;

/// A registration: `struct mapping`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "mapping")]
pub struct Mapping {
    /// The program's number.
    #[xdr(rename = "prog")]
    pub program: u32,
    /// The program's version.
    #[xdr(rename = "vers")]
    pub version: u32,
    /// [`IPPROTO_TCP`] or [`IPPROTO_UDP`].
    #[xdr(rename = "prot")]
    pub protocol: u32,
    /// The port.
    pub port: u32,
}

/// All registrations: `pmaplist`, a linked list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "pmaplist")]
pub struct MappingList {
    /// The registrations.
    #[xdr(list, max = MAX_LIST)]
    pub entries: Vec<Mapping>,
}

/// What a call through the portmapper gave: `struct call_result`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "call_result")]
pub struct CallResult {
    /// The program's port.
    pub port: u32,
    /// Its results, encoded.
    #[xdr(rename = "res", max = MAX_CALL)]
    pub results: Bytes,
}

/// The procedures of version 2.
#[derive(Debug, ProcedureTable)]
#[rpc(program = super::PROGRAM, version = 2, service = PortmapService)]
pub enum Portmap {
    /// Registers a program; false where another port is registered already.
    #[rpc(proc = 1, reply = bool)]
    Set(Mapping),
    /// Removes a program's registrations, whatever protocol and port the argument names.
    #[rpc(proc = 2, reply = bool)]
    Unset(Mapping),
    /// The port of a program; 0 where it is not registered.
    #[rpc(proc = 3, reply = u32, read_only, idempotent)]
    GetPort(Mapping),
    /// All registrations.
    #[rpc(proc = 4, reply = MappingList, read_only, idempotent)]
    Dump(()),
    /// Calls a procedure on the caller's behalf.
    #[rpc(proc = 5, reply = CallResult)]
    Callit(CallitArgs),
}
