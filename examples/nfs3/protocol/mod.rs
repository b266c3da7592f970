//! NFS version 3 and MOUNT version 3, as they stand in RFC 1813.
//!
//! The names are those of the RFC in Rust's spelling; `rename` keeps the RFC's for `export_x` and for messages. What the
//! RFC calls `post_op_attr` and the like, a union that switches on a `bool` with nothing in its second arm, is an
//! `Option`: the bytes are the same.
//!
//! Names, paths and data have no maximum in the RFC's declarations (`string<>`, `opaque<>`), so they have none here:
//! a name that is too long gets NFS3ERR_NAMETOOLONG, which GARBAGE_ARGS would not say. The record's own maximum bounds
//! them.

mod changing; // the procedures that change files
mod mount; //    MOUNT
mod reading; //  the procedures that do not

pub(crate) use changing::*;
pub(crate) use mount::*;
pub(crate) use reading::*;

use rpc_frame::ProcedureTable;
use xdr_core::{Bytes, Xdr, XdrString};

/// `NFS_PROGRAM`
pub(crate) const NFS: u32 = 100_003;
/// `NFS3_FHSIZE`: most bytes of a file handle.
pub(crate) const FILE_HANDLE_MAX: usize = 64;

/// `NFS_V3` of `NFS_PROGRAM`. NULL, procedure 0, is implied.
#[derive(ProcedureTable)]
#[rpc(program = NFS, version = 3, service = Nfs3Service)]
#[allow(dead_code, reason = "a table is only looked up in")]
pub(crate) enum Nfs3 {
    GetAttr(GetAttr),
    SetAttr(SetAttr),
    Lookup(Lookup),
    Access(Access),
    ReadLink(ReadLink),
    Read(Read),
    Write(Write),
    Create(Create),
    MkDir(MkDir),
    Symlink(Symlink),
    MkNod(MkNod),
    Remove(Remove),
    RmDir(RmDir),
    Rename(Rename),
    Link(Link),
    ReadDir(ReadDir),
    ReadDirPlus(ReadDirPlus),
    FsStat(FsStat),
    FsInfo(FsInfo),
    PathConf(PathConf),
    Commit(Commit),
}

/// `nfsstat3` (RFC 1813 §2.6)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "nfsstat3")]
pub(crate) enum NfsStat {
    #[xdr(rename = "NFS3_OK")]
    Ok = 0,
    #[xdr(rename = "NFS3ERR_PERM")]
    Perm = 1,
    #[xdr(rename = "NFS3ERR_NOENT")]
    NoEnt = 2,
    #[xdr(rename = "NFS3ERR_IO")]
    Io = 5,
    #[xdr(rename = "NFS3ERR_NXIO")]
    NxIo = 6,
    #[xdr(rename = "NFS3ERR_ACCES")]
    Acces = 13,
    #[xdr(rename = "NFS3ERR_EXIST")]
    Exist = 17,
    #[xdr(rename = "NFS3ERR_XDEV")]
    XDev = 18,
    #[xdr(rename = "NFS3ERR_NODEV")]
    NoDev = 19,
    #[xdr(rename = "NFS3ERR_NOTDIR")]
    NotDir = 20,
    #[xdr(rename = "NFS3ERR_ISDIR")]
    IsDir = 21,
    #[xdr(rename = "NFS3ERR_INVAL")]
    Inval = 22,
    #[xdr(rename = "NFS3ERR_FBIG")]
    FBig = 27,
    #[xdr(rename = "NFS3ERR_NOSPC")]
    NoSpc = 28,
    #[xdr(rename = "NFS3ERR_ROFS")]
    RoFs = 30,
    #[xdr(rename = "NFS3ERR_MLINK")]
    MLink = 31,
    #[xdr(rename = "NFS3ERR_NAMETOOLONG")]
    NameTooLong = 63,
    #[xdr(rename = "NFS3ERR_NOTEMPTY")]
    NotEmpty = 66,
    #[xdr(rename = "NFS3ERR_DQUOT")]
    DQuot = 69,
    #[xdr(rename = "NFS3ERR_STALE")]
    Stale = 70,
    #[xdr(rename = "NFS3ERR_REMOTE")]
    Remote = 71,
    #[xdr(rename = "NFS3ERR_BADHANDLE")]
    BadHandle = 10001,
    #[xdr(rename = "NFS3ERR_NOT_SYNC")]
    NotSync = 10002,
    #[xdr(rename = "NFS3ERR_BAD_COOKIE")]
    BadCookie = 10003,
    #[xdr(rename = "NFS3ERR_NOTSUPP")]
    NotSupp = 10004,
    #[xdr(rename = "NFS3ERR_TOOSMALL")]
    TooSmall = 10005,
    #[xdr(rename = "NFS3ERR_SERVERFAULT")]
    ServerFault = 10006,
    #[xdr(rename = "NFS3ERR_BADTYPE")]
    BadType = 10007,
    #[xdr(rename = "NFS3ERR_JUKEBOX")]
    Jukebox = 10008,
}

/// The results of every procedure, which the RFC declares once each:
/// `union …3res switch (nfsstat3 status) { case NFS3_OK: …3resok resok; default: …3resfail resfail; }`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(switch = NfsStat, rename = "res")]
pub(crate) enum Res<T, F> {
    #[xdr(case = NfsStat::Ok, rename = "resok")]
    Ok(T),
    #[xdr(default, rename = "resfail")]
    Fail {
        #[xdr(tag)]
        status: NfsStat,
        failure: F,
    },
}

/// `struct nfs_fh3 { opaque data<NFS3_FHSIZE>; }`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Xdr)]
#[xdr(rename = "nfs_fh3")]
pub(crate) struct FileHandle {
    #[xdr(max = FILE_HANDLE_MAX)]
    pub(crate) data: Bytes,
}

/// `union post_op_fh3 switch (bool handle_follows) { case TRUE: nfs_fh3 handle; case FALSE: void; }`
pub(crate) type PostOpHandle = Option<FileHandle>;

/// `typedef string filename3<>;`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "filename3")]
pub(crate) struct FileName(#[xdr(unbounded)] pub(crate) XdrString);

/// `typedef string nfspath3<>;`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(transparent, rename = "nfspath3")]
pub(crate) struct NfsPath(#[xdr(unbounded)] pub(crate) XdrString);

/// `ftype3`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "ftype3")]
pub(crate) enum FileType {
    #[xdr(rename = "NF3REG")]
    Regular = 1,
    #[xdr(rename = "NF3DIR")]
    Directory = 2,
    #[xdr(rename = "NF3BLK")]
    Block = 3,
    #[xdr(rename = "NF3CHR")]
    Character = 4,
    #[xdr(rename = "NF3LNK")]
    Link = 5,
    #[xdr(rename = "NF3SOCK")]
    Socket = 6,
    #[xdr(rename = "NF3FIFO")]
    Fifo = 7,
}

/// `specdata3`: a device's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "specdata3")]
pub(crate) struct SpecData {
    pub(crate) specdata1: u32,
    pub(crate) specdata2: u32,
}

/// `nfstime3`: since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Xdr)]
#[xdr(rename = "nfstime3")]
pub(crate) struct NfsTime {
    pub(crate) seconds: u32,
    pub(crate) nseconds: u32,
}

/// `fattr3`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Xdr)]
#[xdr(rename = "fattr3")]
pub(crate) struct Attributes {
    #[xdr(rename = "type")]
    pub(crate) kind: FileType,
    pub(crate) mode: u32,
    pub(crate) nlink: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// In bytes, as `used` is.
    pub(crate) size: u64,
    pub(crate) used: u64,
    pub(crate) rdev: SpecData,
    pub(crate) fsid: u64,
    pub(crate) fileid: u64,
    pub(crate) atime: NfsTime,
    pub(crate) mtime: NfsTime,
    pub(crate) ctime: NfsTime,
}

/// `union post_op_attr switch (bool attributes_follow) { case TRUE: fattr3 attributes; case FALSE: void; }`
pub(crate) type PostOpAttributes = Option<Attributes>;
