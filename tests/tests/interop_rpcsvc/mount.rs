//! MOUNT version 1. Each of its three lists is a pointer to a node that ends in a pointer to the next.

use rpc_frame::ProcedureTable;
use xdr_core::{Xdr, XdrString};

use crate::{Twin, twin};

pub(crate) fn twins() -> Vec<Twin> {
    vec![
        twin::<[u8; 32]>("fhandle"),
        twin::<HandleStatus>("fhstatus"),
        twin::<Folder>("dirpath"),
        twin::<Name>("name"),
        twin::<Mounts>("mountlist"),
        twin::<Groups>("groups"),
        twin::<Exports>("exports"),
    ]
}

/// `dirpath`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Folder(#[xdr(max = 1024)] XdrString);

/// `name`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Name(#[xdr(max = 255)] XdrString);

/// `fhstatus`, which switches on `unsigned`.
#[derive(Xdr)]
#[xdr(switch = u32)]
pub(crate) enum HandleStatus {
    #[xdr(case = 0)]
    Handle([u8; 32]),
    #[xdr(default)]
    Errno(#[xdr(tag)] u32),
}

/// `mountbody`, without the pointer to the next.
#[derive(Xdr)]
pub(crate) struct Mounted {
    host: Name,
    folder: Folder,
}

/// `mountlist`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Mounts(#[xdr(list, unbounded)] Vec<Mounted>);

/// `groups`, lists of what is a name and no more.
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Groups(#[xdr(list, unbounded)] Vec<Name>);

/// `exportnode`
#[derive(Xdr)]
pub(crate) struct Exported {
    folder: Folder,
    groups: Groups,
}

/// `exports`
#[derive(Xdr)]
#[xdr(transparent)]
pub(crate) struct Exports(#[xdr(list, unbounded)] Vec<Exported>);

#[derive(ProcedureTable)]
#[rpc(program = 100_005, version = 1, service = MountService)]
pub(crate) enum Mount {
    #[rpc(proc = 1, reply = HandleStatus)]
    Mnt(Folder),
    #[rpc(proc = 2, reply = Mounts)]
    Dump(()),
    #[rpc(proc = 3)]
    Umnt(Folder),
    #[rpc(proc = 4)]
    Umntall(()),
    #[rpc(proc = 5, reply = Exports)]
    Export(()),
    #[rpc(proc = 6, reply = Exports)]
    Exportall(()),
}
