//! The procedures of version 3: any transport (RFC 1833 §2.2.1).
//!
//! The names at this level are the table's lines: `client.call_procedure::<version3::Set>(&rpcb)`.

use super::rpcb::{CallitArgs, CallitResult, Netbuf, Rpcb, RpcbList, Uaddr};
use crate::ProcedureTable;

/// The procedures of version 3.
#[derive(Debug, ProcedureTable)]
#[rpc(program = super::PROGRAM, version = 3, service = Rpcb3Service)]
pub enum Rpcb3 {
    /// Registers a program; false where another address is registered already.
    #[rpc(proc = 1, reply = bool)]
    Set(Rpcb),
    /// Removes a program's registration: of one transport, or with an empty netid of all.
    #[rpc(proc = 2, reply = bool)]
    Unset(Rpcb),
    /// The address of a program on the transport that the call came by; the argument's netid does not count. Where
    /// the version is not registered, it is another version's.
    #[rpc(proc = 3, reply = Uaddr, read_only, idempotent)]
    GetAddr(Rpcb),
    /// All registrations.
    #[rpc(proc = 4, reply = RpcbList, read_only, idempotent)]
    Dump(()),
    /// Calls a procedure on the caller's behalf.
    #[rpc(proc = 5, reply = CallitResult)]
    Callit(CallitArgs),
    /// The time of the machine, in seconds since 1970.
    #[rpc(proc = 6, reply = u32, read_only, idempotent)]
    GetTime(()),
    /// A universal address as a socket address.
    #[rpc(proc = 7, reply = Netbuf, read_only, idempotent)]
    Uaddr2Taddr(Uaddr),
    /// A socket address as a universal address.
    #[rpc(proc = 8, reply = Uaddr, read_only, idempotent)]
    Taddr2Uaddr(Netbuf),
}
