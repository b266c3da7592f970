//! The yellow pages: the server, the answer to a transfer that it was asked for, and the binder.

use xdr_core::{Xdr, XdrString};

use crate::{Twin, twin};

pub(crate) fn twins() -> Vec<Twin> {
    vec![
        twin::<Status>("ypstat"),
        twin::<TransferStatus>("ypxfrstat"),
        twin::<Domain>("domainname"),
        twin::<Map>("mapname"),
        twin::<Peer>("peername"),
        twin::<Record>("keydat"),
        twin::<Record>("valdat"),
        twin::<MapParameters>("ypmap_parms"),
        twin::<KeyWanted>("ypreq_key"),
        twin::<MapWanted>("ypreq_nokey"),
        twin::<TransferWanted>("ypreq_xfr"),
        twin::<Value>("ypresp_val"),
        twin::<KeyAndValue>("ypresp_key_val"),
        twin::<Master>("ypresp_master"),
        twin::<Order>("ypresp_order"),
        twin::<All>("ypresp_all"),
        twin::<Transfer>("ypresp_xfr"),
        twin::<Maps>("ypresp_maplist"),
        twin::<TransferStatus>("yppush_status"),
        twin::<Transfer>("yppushresp_xfr"),
        twin::<BindKind>("ypbind_resptype"),
        twin::<Binding>("ypbind_binding"),
        twin::<Bound>("ypbind_resp"),
        twin::<SetDomain>("ypbind_setdom"),
    ]
}

/// `ypstat`
#[derive(Clone, Copy, Xdr)]
pub(crate) enum Status {
    True = 1,
    NoMore = 2,
    False = 0,
    NoMap = -1,
    NoDomain = -2,
    NoKey = -3,
    BadOperation = -4,
    BadDatabase = -5,
    Error = -6,
    BadArguments = -7,
    Version = -8,
}

/// `ypxfrstat`, and `yppush_status` with the same values.
#[derive(Clone, Copy, Xdr)]
pub(crate) enum TransferStatus {
    Success = 1,
    Age = 2,
    NoMap = -1,
    NoDomain = -2,
    Resources = -3,
    Rpc = -4,
    MasterAddress = -5,
    Error = -6,
    BadArguments = -7,
    Database = -8,
    File = -9,
    Skew = -10,
    Clear = -11,
    Force = -12,
    Transfer = -13,
    Refused = -14,
}

/// `domainname`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Domain(#[xdr(max = 256)] XdrString);

/// `mapname`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Map(#[xdr(max = 64)] XdrString);

/// `peername`, as text.
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Peer(#[xdr(max = 64)] String);

/// `keydat` and `valdat`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Record(#[xdr(max = 1024)] Vec<u8>);

/// `ypmap_parms`
#[derive(Xdr)]
pub(crate) struct MapParameters {
    domain: Domain,
    map: Map,
    order: u32,
    peer: Peer,
}

/// `ypreq_key`
#[derive(Xdr)]
pub(crate) struct KeyWanted {
    domain: Domain,
    map: Map,
    key: Record,
}

/// `ypreq_nokey`
#[derive(Xdr)]
pub(crate) struct MapWanted {
    domain: Domain,
    map: Map,
}

/// `ypreq_xfr`
#[derive(Xdr)]
pub(crate) struct TransferWanted {
    parameters: MapParameters,
    transaction: u32,
    program: u32,
    port: u32,
}

/// `ypresp_val`
#[derive(Xdr)]
pub(crate) struct Value {
    status: Status,
    value: Record,
}

/// `ypresp_key_val`
#[derive(Xdr)]
pub(crate) struct KeyAndValue {
    status: Status,
    value: Record,
    key: Record,
}

/// `ypresp_master`
#[derive(Xdr)]
pub(crate) struct Master {
    status: Status,
    peer: Peer,
}

/// `ypresp_order`
#[derive(Xdr)]
pub(crate) struct Order {
    status: Status,
    order: u32,
}

/// `ypresp_all`, whose arm of FALSE is void.
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct All(Option<KeyAndValue>);

/// `ypresp_xfr` and `yppushresp_xfr`
#[derive(Xdr)]
pub(crate) struct Transfer {
    transaction: u32,
    status: TransferStatus,
}

/// `ypresp_maplist`; a `ypmaplist` is a name of a map and the pointer to the next.
#[derive(Xdr)]
pub(crate) struct Maps {
    status: Status,
    #[xdr(list, unbounded)]
    maps: Vec<Map>,
}

/// `ypbind_resptype`
#[derive(Clone, Copy, Xdr)]
pub(crate) enum BindKind {
    Success = 1,
    Failure = 2,
}

/// `ypbind_binding`: what has two bytes takes four.
#[derive(Xdr)]
pub(crate) struct Binding {
    address: [u8; 4],
    port: [u8; 2],
}

/// `ypbind_resp`
#[derive(Xdr)]
#[xdr(switch = BindKind)]
pub(crate) enum Bound {
    #[xdr(case = BindKind::Failure)]
    Failure(u32),
    #[xdr(case = BindKind::Success)]
    Success(Binding),
}

/// `ypbind_setdom`
#[derive(Xdr)]
pub(crate) struct SetDomain {
    domain: Domain,
    binding: Binding,
    version: u32,
}

pub(crate) mod pages {
    use rpc_frame::ProcedureTable;

    use super::{
        All as Everything, Domain as DomainName, KeyAndValue, KeyWanted, MapWanted, Maps, Master as MasterOf,
        Order as OrderOf, Transfer, TransferWanted, Value,
    };

    #[derive(ProcedureTable)]
    #[rpc(program = 100_004, version = 2, service = PagesService)]
    pub(crate) enum Pages {
        #[rpc(proc = 1, reply = bool)]
        Domain(DomainName),
        #[rpc(proc = 2, reply = bool)]
        DomainNonack(DomainName),
        #[rpc(proc = 3, reply = Value)]
        Match(KeyWanted),
        #[rpc(proc = 4, reply = KeyAndValue)]
        First(KeyWanted),
        #[rpc(proc = 5, reply = KeyAndValue)]
        Next(KeyWanted),
        #[rpc(proc = 6, reply = Transfer)]
        Xfr(TransferWanted),
        #[rpc(proc = 7)]
        Clear(()),
        #[rpc(proc = 8, reply = Everything)]
        All(MapWanted),
        #[rpc(proc = 9, reply = MasterOf)]
        Master(MapWanted),
        #[rpc(proc = 10, reply = OrderOf)]
        Order(MapWanted),
        #[rpc(proc = 11, reply = Maps)]
        Maplist(DomainName),
    }
}

pub(crate) mod push {
    use rpc_frame::ProcedureTable;

    use super::Transfer;

    #[derive(ProcedureTable)]
    #[rpc(program = 0x4000_0000, version = 1, service = PushService)]
    pub(crate) enum Push {
        #[rpc(proc = 1)]
        Xfrresp(Transfer),
    }
}

pub(crate) mod bind {
    use rpc_frame::ProcedureTable;

    use super::{Bound, Domain as DomainName, SetDomain};

    #[derive(ProcedureTable)]
    #[rpc(program = 100_007, version = 2, service = BindService)]
    pub(crate) enum Bind {
        #[rpc(proc = 1, reply = Bound)]
        Domain(DomainName),
        #[rpc(proc = 2)]
        Setdom(SetDomain),
    }
}
