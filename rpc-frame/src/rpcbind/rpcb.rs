//! What versions 3 and 4 send (RFC 1833 §2.1).
//!
//! Strings are bytes here: one registration whose address is not UTF-8 must not make the others unreadable.

use alloc::vec::Vec;

use xdr_core::{Bytes, Xdr, XdrString};

/// The longest netid in bytes.
pub const MAX_NETID: usize = 64;

/// The longest universal address in bytes. That of a unix socket is its path, of at most 108.
pub const MAX_ADDRESS: usize = 256;

/// The longest owner in bytes: on unix a user's number, or `superuser`.
pub const MAX_OWNER: usize = 256;

/// The longest socket address in bytes. The longest that Linux knows has 128.
pub const MAX_NETBUF: usize = 256;

/// The longest arguments and results of a call through rpcbind, in bytes: as much as a UDP datagram carries in
/// Sun's implementation.
pub const MAX_CALL: usize = 8800;

/// The most entries of a list.
pub const MAX_LIST: usize = 4096;

/// A registration: `struct rpcb`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb")]
pub struct Rpcb {
    /// The program's number.
    #[xdr(rename = "r_prog")]
    pub program: u32,
    /// The program's version.
    #[xdr(rename = "r_vers")]
    pub version: u32,
    /// The transport.
    #[xdr(rename = "r_netid", max = MAX_NETID)]
    pub netid: XdrString,
    /// The universal address.
    #[xdr(rename = "r_addr", max = MAX_ADDRESS)]
    pub address: XdrString,
    /// Who registered it, as rpcbind found out; what a caller writes here does not count.
    #[xdr(rename = "r_owner", max = MAX_OWNER)]
    pub owner: XdrString,
}

/// All registrations: `rpcblist_ptr`, a linked list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcblist")]
pub struct RpcbList {
    /// The registrations.
    #[xdr(list, max = MAX_LIST)]
    pub entries: Vec<Rpcb>,
}

/// A universal address as it is sent: a `string` that is an argument or result of its own. Empty, there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "uaddr")]
pub struct Uaddr(#[xdr(max = MAX_ADDRESS)] pub XdrString);

/// A socket address in the machine's own form: `struct netbuf`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "netbuf")]
pub struct Netbuf {
    /// The room that there is for one, in bytes.
    #[xdr(rename = "maxlen")]
    pub max_len: u32,
    /// The address.
    #[xdr(rename = "buf", max = MAX_NETBUF)]
    pub bytes: Bytes,
}

/// A call that rpcbind is to make: `struct rpcb_rmtcallargs`, and version 2's `struct call_args`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb_rmtcallargs")]
pub struct CallitArgs {
    /// The program's number.
    #[xdr(rename = "prog")]
    pub program: u32,
    /// The program's version.
    #[xdr(rename = "vers")]
    pub version: u32,
    /// The procedure's number.
    #[xdr(rename = "proc")]
    pub procedure: u32,
    /// Its arguments, encoded.
    #[xdr(max = MAX_CALL)]
    pub args: Bytes,
}

/// What such a call gave: `struct rpcb_rmtcallres`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb_rmtcallres")]
pub struct CallitResult {
    /// The universal address of the program.
    #[xdr(rename = "addr", max = MAX_ADDRESS)]
    pub address: XdrString,
    /// Its results, encoded.
    #[xdr(max = MAX_CALL)]
    pub results: Bytes,
}

/// One of the addresses of a program: `struct rpcb_entry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb_entry")]
pub struct RpcbEntry {
    /// The universal address, merged with the caller's network.
    #[xdr(rename = "r_maddr", max = MAX_ADDRESS)]
    pub address: XdrString,
    /// The transport.
    #[xdr(rename = "r_nc_netid", max = MAX_NETID)]
    pub netid: XdrString,
    /// What the transport promises: 1 connectionless, 2 connection-oriented, 3 with an orderly end as well.
    #[xdr(rename = "r_nc_semantics")]
    pub semantics: u32,
    /// The family of its protocol: `inet`, `inet6`, `loopback`.
    #[xdr(rename = "r_nc_protofmly", max = MAX_NETID)]
    pub protocol_family: XdrString,
    /// Its protocol: `tcp`, `udp`, or `-`.
    #[xdr(rename = "r_nc_proto", max = MAX_NETID)]
    pub protocol: XdrString,
}

/// All addresses of a program: `rpcb_entry_list_ptr`, a linked list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb_entry_list")]
pub struct RpcbEntryList {
    /// The addresses.
    #[xdr(list, max = MAX_LIST)]
    pub entries: Vec<RpcbEntry>,
}

/// How often a program was asked for: `struct rpcbs_addrlist` without its link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcbs_addrlist")]
pub struct AddressCount {
    /// The program's number.
    #[xdr(rename = "prog")]
    pub program: u32,
    /// The program's version.
    #[xdr(rename = "vers")]
    pub version: u32,
    /// Times that there was an address.
    pub success: i32,
    /// Times that there was none.
    pub failure: i32,
    /// The transport.
    #[xdr(max = MAX_NETID)]
    pub netid: XdrString,
}

/// How often a procedure was called through rpcbind: `struct rpcbs_rmtcalllist` without its link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcbs_rmtcalllist")]
pub struct CallCount {
    /// The program's number.
    #[xdr(rename = "prog")]
    pub program: u32,
    /// The program's version.
    #[xdr(rename = "vers")]
    pub version: u32,
    /// The procedure's number.
    #[xdr(rename = "proc")]
    pub procedure: u32,
    /// Times that it was called.
    pub success: i32,
    /// Times that it could not be called.
    pub failure: i32,
    /// Times that it was called with INDIRECT.
    pub indirect: i32,
    /// The transport.
    #[xdr(max = MAX_NETID)]
    pub netid: XdrString,
}

/// What one version of rpcbind has been asked: `struct rpcb_stat`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "rpcb_stat")]
pub struct RpcbStat {
    /// Calls of each procedure, by its number.
    #[xdr(rename = "info")]
    pub calls: [i32; 13],
    /// SETs that succeeded.
    #[xdr(rename = "setinfo")]
    pub sets: i32,
    /// UNSETs that succeeded.
    #[xdr(rename = "unsetinfo")]
    pub unsets: i32,
    /// Lookups.
    #[xdr(rename = "addrinfo", list, max = MAX_LIST)]
    pub addresses: Vec<AddressCount>,
    /// Calls through rpcbind.
    #[xdr(rename = "rmtinfo", list, max = MAX_LIST)]
    pub callits: Vec<CallCount>,
}

/// What rpcbind has been asked in versions 2, 3 and 4, in this order: `rpcb_stat_byvers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "rpcb_stat_byvers")]
pub struct RpcbStatByVersion(pub [RpcbStat; 3]);
