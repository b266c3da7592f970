//! The procedures of NFS that change something (RFC 1813 §3.3.2, 7 to 15, 21).

use xdr_core::{Bytes, Xdr};

use super::{DirOp, FileHandle, FileType, NFS, NfsPath, NfsTime, PostOpAttributes, PostOpHandle, Res, SpecData};

/// `wcc_attr`: what of the attributes tells of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "wcc_attr")]
pub(crate) struct WccAttributes {
    pub(crate) size: u64,
    pub(crate) mtime: NfsTime,
    pub(crate) ctime: NfsTime,
}

/// `wcc_data`: the attributes before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "wcc_data")]
pub(crate) struct Wcc {
    /// `union pre_op_attr switch (bool attributes_follow) { case TRUE: wcc_attr attributes; case FALSE: void; }`
    pub(crate) before: Option<WccAttributes>,
    pub(crate) after: PostOpAttributes,
}

/// `union set_atime switch (time_how set_it) { … }`, and `set_mtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(switch = TimeHow, rename = "set_time")]
pub(crate) enum SetTime {
    #[xdr(case = TimeHow::SetToClientTime)]
    ToClientTime(NfsTime),
    #[xdr(default)]
    Other(#[xdr(tag)] TimeHow),
}

/// `time_how`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "time_how")]
pub(crate) enum TimeHow {
    #[xdr(rename = "DONT_CHANGE")]
    DontChange = 0,
    #[xdr(rename = "SET_TO_SERVER_TIME")]
    SetToServerTime = 1,
    #[xdr(rename = "SET_TO_CLIENT_TIME")]
    SetToClientTime = 2,
}

/// `sattr3`. `set_mode3` and the like are unions that switch on a `bool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "sattr3")]
pub(crate) struct NewAttributes {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) size: Option<u64>,
    pub(crate) atime: SetTime,
    pub(crate) mtime: SetTime,
}

/// `SETATTR3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "SETATTR3args")]
#[rpc(program = NFS, version = 3, proc = 2, reply = Res<Wcc, Wcc>)]
pub(crate) struct SetAttr {
    pub(crate) object: FileHandle,
    pub(crate) new_attributes: NewAttributes,
    /// `union sattrguard3 switch (bool check) { case TRUE: nfstime3 obj_ctime; case FALSE: void; }`
    pub(crate) guard: Option<NfsTime>,
}

/// `stable_how`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "stable_how")]
pub(crate) enum StableHow {
    #[xdr(rename = "UNSTABLE")]
    Unstable = 0,
    #[xdr(rename = "DATA_SYNC")]
    DataSync = 1,
    #[xdr(rename = "FILE_SYNC")]
    FileSync = 2,
}

/// `WRITE3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "WRITE3args")]
#[rpc(program = NFS, version = 3, proc = 7, reply = Res<WriteOk, Wcc>)]
pub(crate) struct Write {
    pub(crate) file: FileHandle,
    pub(crate) offset: u64,
    pub(crate) count: u32,
    pub(crate) stable: StableHow,
    #[xdr(unbounded)]
    pub(crate) data: Bytes,
}

/// `WRITE3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "WRITE3resok")]
pub(crate) struct WriteOk {
    pub(crate) file_wcc: Wcc,
    pub(crate) count: u32,
    pub(crate) committed: StableHow,
    pub(crate) verf: [u8; 8],
}

/// `createmode3`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "createmode3")]
pub(crate) enum CreateMode {
    #[xdr(rename = "UNCHECKED")]
    Unchecked = 0,
    #[xdr(rename = "GUARDED")]
    Guarded = 1,
    #[xdr(rename = "EXCLUSIVE")]
    Exclusive = 2,
}

/// `union createhow3 switch (createmode3 mode) { … }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(switch = CreateMode, rename = "createhow3")]
pub(crate) enum CreateHow {
    #[xdr(case = [CreateMode::Unchecked, CreateMode::Guarded])]
    Attributes {
        #[xdr(tag)]
        mode: CreateMode,
        obj_attributes: NewAttributes,
    },
    #[xdr(case = CreateMode::Exclusive)]
    Exclusive([u8; 8]),
}

/// `CREATE3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "CREATE3args")]
#[rpc(program = NFS, version = 3, proc = 8, reply = Res<CreateOk, Wcc>)]
pub(crate) struct Create {
    #[xdr(rename = "where")]
    pub(crate) place: DirOp,
    pub(crate) how: CreateHow,
}

/// `CREATE3resok`, and the same of MKDIR, SYMLINK and MKNOD.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "CREATE3resok")]
pub(crate) struct CreateOk {
    pub(crate) obj: PostOpHandle,
    pub(crate) obj_attributes: PostOpAttributes,
    pub(crate) dir_wcc: Wcc,
}

/// `MKDIR3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "MKDIR3args")]
#[rpc(program = NFS, version = 3, proc = 9, reply = Res<CreateOk, Wcc>)]
pub(crate) struct MkDir {
    #[xdr(rename = "where")]
    pub(crate) place: DirOp,
    pub(crate) attributes: NewAttributes,
}

/// `SYMLINK3args`, with the `symlinkdata3` in it.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "SYMLINK3args")]
#[rpc(program = NFS, version = 3, proc = 10, reply = Res<CreateOk, Wcc>)]
pub(crate) struct Symlink {
    #[xdr(rename = "where")]
    pub(crate) place: DirOp,
    pub(crate) symlink_attributes: NewAttributes,
    pub(crate) symlink_data: NfsPath,
}

/// `devicedata3`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "devicedata3")]
pub(crate) struct DeviceData {
    pub(crate) dev_attributes: NewAttributes,
    pub(crate) spec: SpecData,
}

/// `union mknoddata3 switch (ftype3 type) { … }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(switch = FileType, rename = "mknoddata3")]
pub(crate) enum MkNodData {
    #[xdr(case = [FileType::Character, FileType::Block])]
    Device {
        #[xdr(tag)]
        kind: FileType,
        device: DeviceData,
    },
    #[xdr(case = [FileType::Socket, FileType::Fifo])]
    Pipe {
        #[xdr(tag)]
        kind: FileType,
        pipe_attributes: NewAttributes,
    },
    #[xdr(default)]
    Other(#[xdr(tag)] FileType),
}

/// `MKNOD3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "MKNOD3args")]
#[rpc(program = NFS, version = 3, proc = 11, reply = Res<CreateOk, Wcc>)]
pub(crate) struct MkNod {
    #[xdr(rename = "where")]
    pub(crate) place: DirOp,
    pub(crate) what: MkNodData,
}

/// `REMOVE3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "REMOVE3args")]
#[rpc(program = NFS, version = 3, proc = 12, reply = Res<Wcc, Wcc>)]
pub(crate) struct Remove {
    pub(crate) object: DirOp,
}

/// `RMDIR3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "RMDIR3args")]
#[rpc(program = NFS, version = 3, proc = 13, reply = Res<Wcc, Wcc>)]
pub(crate) struct RmDir {
    pub(crate) object: DirOp,
}

/// `RENAME3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "RENAME3args")]
#[rpc(program = NFS, version = 3, proc = 14, reply = Res<RenameWcc, RenameWcc>)]
pub(crate) struct Rename {
    pub(crate) from: DirOp,
    pub(crate) to: DirOp,
}

/// `RENAME3resok`, and `RENAME3resfail`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "RENAME3resok")]
pub(crate) struct RenameWcc {
    pub(crate) fromdir_wcc: Wcc,
    pub(crate) todir_wcc: Wcc,
}

/// `LINK3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "LINK3args")]
#[rpc(program = NFS, version = 3, proc = 15, reply = Res<LinkWcc, LinkWcc>)]
pub(crate) struct Link {
    pub(crate) file: FileHandle,
    pub(crate) link: DirOp,
}

/// `LINK3resok`, and `LINK3resfail`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "LINK3resok")]
pub(crate) struct LinkWcc {
    pub(crate) file_attributes: PostOpAttributes,
    pub(crate) linkdir_wcc: Wcc,
}

/// `COMMIT3args`
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "COMMIT3args")]
#[rpc(program = NFS, version = 3, proc = 21, reply = Res<CommitOk, Wcc>)]
pub(crate) struct Commit {
    pub(crate) file: FileHandle,
    pub(crate) offset: u64,
    pub(crate) count: u32,
}

/// `COMMIT3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "COMMIT3resok")]
pub(crate) struct CommitOk {
    pub(crate) file_wcc: Wcc,
    pub(crate) verf: [u8; 8],
}
