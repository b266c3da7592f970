//! The procedures of version 4: those of version 3 and four more (RFC 1833 §2.2.1).
//!
//! The names at this level are the table's lines: `client.call_procedure::<version4::Set>(&rpcb)`.

use super::rpcb::{CallitArgs, CallitResult, Netbuf, Rpcb, RpcbEntryList, RpcbList, RpcbStatByVersion, Uaddr};
use crate::ProcedureTable;

/// The procedures of version 4.
#[derive(Debug, ProcedureTable)]
#[rpc(program = super::PROGRAM, version = 4, service = Rpcb4Service)]
pub enum Rpcb4 {
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
    /// Calls a procedure on the caller's behalf, and is silent where that fails.
    #[rpc(proc = 5, reply = CallitResult)]
    Bcast(CallitArgs),
    /// The time of the machine, in seconds since 1970.
    #[rpc(proc = 6, reply = u32, read_only, idempotent)]
    GetTime(()),
    /// A universal address as a socket address.
    #[rpc(proc = 7, reply = Netbuf, read_only, idempotent)]
    Uaddr2Taddr(Uaddr),
    /// A socket address as a universal address.
    #[rpc(proc = 8, reply = Uaddr, read_only, idempotent)]
    Taddr2Uaddr(Netbuf),
    /// As GETADDR, but of this version alone.
    #[rpc(proc = 9, reply = Uaddr, read_only, idempotent)]
    GetVersAddr(Rpcb),
    /// Calls a procedure on the caller's behalf, and tells where that fails.
    #[rpc(proc = 10, reply = CallitResult)]
    Indirect(CallitArgs),
    /// All addresses of a program on the transports of the caller's family.
    #[rpc(proc = 11, reply = RpcbEntryList, read_only, idempotent)]
    GetAddrList(Rpcb),
    /// What rpcbind has been asked.
    #[rpc(proc = 12, reply = RpcbStatByVersion, read_only, idempotent)]
    GetStat(()),
}
