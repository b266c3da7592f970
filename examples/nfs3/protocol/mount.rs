//! MOUNT version 3 (RFC 1813 §5).

use rpc_frame::ProcedureTable;
use xdr_core::{Xdr, XdrString};

use super::FileHandle;

/// `MOUNT_PROGRAM`
pub(crate) const MOUNT: u32 = 100_005;
/// `MNTPATHLEN`
pub(crate) const MOUNT_PATH_MAX: usize = 1024;
/// `MNTNAMLEN`
pub(crate) const MOUNT_NAME_MAX: usize = 255;

/// `MOUNT_V3` of `MOUNT_PROGRAM`.
#[derive(ProcedureTable)]
#[rpc(program = MOUNT, version = 3, service = Mount3Service)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Mount3 {
    /// The handle of an exported folder.
    #[rpc(proc = 1, reply = MountRes, read_only, idempotent)]
    Mnt(DirPath),
    /// Who has mounted what.
    #[rpc(proc = 2, reply = MountList, read_only, idempotent)]
    Dump(()),
    /// Forgets a mount of the caller's.
    #[rpc(proc = 3, read_only, idempotent)]
    Umnt(DirPath),
    /// Forgets all of them.
    #[rpc(proc = 4, read_only, idempotent)]
    UmntAll(()),
    /// What can be mounted.
    #[rpc(proc = 5, reply = Exports, read_only, idempotent)]
    Export(()),
}

/// `typedef string dirpath<MNTPATHLEN>;`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "dirpath")]
pub(crate) struct DirPath(#[xdr(max = MOUNT_PATH_MAX)] pub(crate) XdrString);

/// `typedef string name<MNTNAMLEN>;`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "name")]
pub(crate) struct MountName(#[xdr(max = MOUNT_NAME_MAX)] pub(crate) XdrString);

/// `mountstat3`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "mountstat3")]
pub(crate) enum MountStat {
    #[xdr(rename = "MNT3_OK")]
    Ok = 0,
    #[xdr(rename = "MNT3ERR_PERM")]
    Perm = 1,
    #[xdr(rename = "MNT3ERR_NOENT")]
    NoEnt = 2,
    #[xdr(rename = "MNT3ERR_IO")]
    Io = 5,
    #[xdr(rename = "MNT3ERR_ACCES")]
    Acces = 13,
    #[xdr(rename = "MNT3ERR_NOTDIR")]
    NotDir = 20,
    #[xdr(rename = "MNT3ERR_INVAL")]
    Inval = 22,
    #[xdr(rename = "MNT3ERR_NAMETOOLONG")]
    NameTooLong = 63,
    #[xdr(rename = "MNT3ERR_NOTSUPP")]
    NotSupp = 10004,
    #[xdr(rename = "MNT3ERR_SERVERFAULT")]
    ServerFault = 10006,
}

/// `union mountres3 switch (mountstat3 fhs_status) { case MNT_OK: mountres3_ok mountinfo; default: void; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(switch = MountStat, rename = "mountres3")]
pub(crate) enum MountRes {
    #[xdr(case = MountStat::Ok)]
    Ok(MountOk),
    #[xdr(default)]
    Fail(#[xdr(tag)] MountStat),
}

/// `mountres3_ok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "mountres3_ok")]
pub(crate) struct MountOk {
    /// `typedef opaque fhandle3<FHSIZE3>;`, which is the same as NFS's.
    pub(crate) fhandle: FileHandle,
    /// `int auth_flavors<>`
    #[xdr(unbounded)]
    pub(crate) auth_flavors: Vec<i32>,
}

/// `typedef struct mountbody *mountlist;`
#[derive(Debug, Clone, Default, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "mountlist")]
pub(crate) struct MountList(#[xdr(list, unbounded)] pub(crate) Vec<MountBody>);

/// `mountbody`, without its `ml_next`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "mountbody")]
pub(crate) struct MountBody {
    pub(crate) ml_hostname: MountName,
    pub(crate) ml_directory: DirPath,
}

/// `typedef struct exportnode *exports;`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "exports")]
pub(crate) struct Exports(#[xdr(list, unbounded)] pub(crate) Vec<ExportNode>);

/// `exportnode`, without its `ex_next`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "exportnode")]
pub(crate) struct ExportNode {
    pub(crate) ex_dir: DirPath,
    /// `typedef struct groupnode *groups;`
    #[xdr(list, unbounded)]
    pub(crate) ex_groups: Vec<MountName>,
}
