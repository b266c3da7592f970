//! The procedures of NFS that read (RFC 1813 §3.3.1, 3 to 6, 16 to 20).

use xdr_core::{Bytes, Xdr};

use super::{Attributes, FileHandle, FileName, NFS, NfsPath, NfsTime, PostOpAttributes, PostOpHandle, Res};

/// `GETATTR3args`: the attributes of a file.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "GETATTR3args")]
#[rpc(program = NFS, version = 3, proc = 1, reply = Res<Attributes, ()>, read_only, idempotent)]
pub(crate) struct GetAttr {
    pub(crate) object: FileHandle,
}

/// `diropargs3`: a name in a directory.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "diropargs3")]
pub(crate) struct DirOp {
    pub(crate) dir: FileHandle,
    pub(crate) name: FileName,
}

/// `LOOKUP3args`: the handle of a name.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "LOOKUP3args")]
#[rpc(program = NFS, version = 3, proc = 3, reply = Res<LookupOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct Lookup {
    pub(crate) what: DirOp,
}

/// `LOOKUP3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "LOOKUP3resok")]
pub(crate) struct LookupOk {
    pub(crate) object: FileHandle,
    pub(crate) obj_attributes: PostOpAttributes,
    pub(crate) dir_attributes: PostOpAttributes,
}

/// `ACCESS3_READ`
pub(crate) const ACCESS_READ: u32 = 0x01;
/// `ACCESS3_LOOKUP`
pub(crate) const ACCESS_LOOKUP: u32 = 0x02;
/// `ACCESS3_EXECUTE`
pub(crate) const ACCESS_EXECUTE: u32 = 0x20;

/// `ACCESS3args`: what may be done with a file, of what is asked for.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "ACCESS3args")]
#[rpc(program = NFS, version = 3, proc = 4, reply = Res<AccessOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct Access {
    pub(crate) object: FileHandle,
    pub(crate) access: u32,
}

/// `ACCESS3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "ACCESS3resok")]
pub(crate) struct AccessOk {
    pub(crate) obj_attributes: PostOpAttributes,
    pub(crate) access: u32,
}

/// `READLINK3args`: what a symbolic link says.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "READLINK3args")]
#[rpc(program = NFS, version = 3, proc = 5, reply = Res<ReadLinkOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct ReadLink {
    pub(crate) symlink: FileHandle,
}

/// `READLINK3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "READLINK3resok")]
pub(crate) struct ReadLinkOk {
    pub(crate) symlink_attributes: PostOpAttributes,
    pub(crate) data: NfsPath,
}

/// `READ3args`: a part of a file.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "READ3args")]
#[rpc(program = NFS, version = 3, proc = 6, reply = Res<ReadOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct Read {
    pub(crate) file: FileHandle,
    pub(crate) offset: u64,
    pub(crate) count: u32,
}

/// `READ3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "READ3resok")]
pub(crate) struct ReadOk {
    pub(crate) file_attributes: PostOpAttributes,
    pub(crate) count: u32,
    pub(crate) eof: bool,
    #[xdr(unbounded)]
    pub(crate) data: Bytes,
}

/// `typedef opaque cookieverf3[NFS3_COOKIEVERFSIZE];`
pub(crate) type CookieVerifier = [u8; 8];

/// `READDIR3args`: the names in a directory behind a cookie.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "READDIR3args")]
#[rpc(program = NFS, version = 3, proc = 16, reply = Res<ReadDirOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct ReadDir {
    pub(crate) dir: FileHandle,
    pub(crate) cookie: u64,
    pub(crate) cookieverf: CookieVerifier,
    /// Most bytes of `READDIR3resok`.
    pub(crate) count: u32,
}

/// `READDIR3resok`, with the `dirlist3` in it.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "READDIR3resok")]
pub(crate) struct ReadDirOk {
    pub(crate) dir_attributes: PostOpAttributes,
    pub(crate) cookieverf: CookieVerifier,
    #[xdr(list, unbounded)]
    pub(crate) entries: Vec<Entry>,
    pub(crate) eof: bool,
}

/// `entry3`, without its `nextentry`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "entry3")]
pub(crate) struct Entry {
    pub(crate) fileid: u64,
    pub(crate) name: FileName,
    pub(crate) cookie: u64,
}

/// `READDIRPLUS3args`: the same with attributes and handles.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "READDIRPLUS3args")]
#[rpc(program = NFS, version = 3, proc = 17, reply = Res<ReadDirPlusOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct ReadDirPlus {
    pub(crate) dir: FileHandle,
    pub(crate) cookie: u64,
    pub(crate) cookieverf: CookieVerifier,
    /// Most bytes of file ids, names and cookies.
    pub(crate) dircount: u32,
    /// Most bytes of `READDIRPLUS3resok`.
    pub(crate) maxcount: u32,
}

/// `READDIRPLUS3resok`, with the `dirlistplus3` in it.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "READDIRPLUS3resok")]
pub(crate) struct ReadDirPlusOk {
    pub(crate) dir_attributes: PostOpAttributes,
    pub(crate) cookieverf: CookieVerifier,
    #[xdr(list, unbounded)]
    pub(crate) entries: Vec<EntryPlus>,
    pub(crate) eof: bool,
}

/// `entryplus3`, without its `nextentry`.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "entryplus3")]
pub(crate) struct EntryPlus {
    pub(crate) fileid: u64,
    pub(crate) name: FileName,
    pub(crate) cookie: u64,
    pub(crate) name_attributes: PostOpAttributes,
    pub(crate) name_handle: PostOpHandle,
}

/// `FSSTAT3args`: how full the file system is.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "FSSTAT3args")]
#[rpc(program = NFS, version = 3, proc = 18, reply = Res<FsStatOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct FsStat {
    pub(crate) fsroot: FileHandle,
}

/// `FSSTAT3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "FSSTAT3resok")]
pub(crate) struct FsStatOk {
    pub(crate) obj_attributes: PostOpAttributes,
    /// Bytes in all, free, and free for the caller.
    pub(crate) tbytes: u64,
    pub(crate) fbytes: u64,
    pub(crate) abytes: u64,
    /// The same of files.
    pub(crate) tfiles: u64,
    pub(crate) ffiles: u64,
    pub(crate) afiles: u64,
    /// For so many seconds the file system is not expected to change.
    pub(crate) invarsec: u32,
}

/// `FSF3_SYMLINK`: there may be symbolic links.
pub(crate) const FSF_SYMLINK: u32 = 0x02;
/// `FSF3_HOMOGENEOUS`: PATHCONF says the same of every file.
pub(crate) const FSF_HOMOGENEOUS: u32 = 0x08;

/// `FSINFO3args`: what the server can do.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "FSINFO3args")]
#[rpc(program = NFS, version = 3, proc = 19, reply = Res<FsInfoOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct FsInfo {
    pub(crate) fsroot: FileHandle,
}

/// `FSINFO3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "FSINFO3resok")]
pub(crate) struct FsInfoOk {
    pub(crate) obj_attributes: PostOpAttributes,
    pub(crate) rtmax: u32,
    pub(crate) rtpref: u32,
    pub(crate) rtmult: u32,
    pub(crate) wtmax: u32,
    pub(crate) wtpref: u32,
    pub(crate) wtmult: u32,
    pub(crate) dtpref: u32,
    pub(crate) maxfilesize: u64,
    pub(crate) time_delta: NfsTime,
    pub(crate) properties: u32,
}

/// `PATHCONF3args`: what names may be.
#[derive(Debug, Clone, Xdr)]
#[xdr(rename = "PATHCONF3args")]
#[rpc(program = NFS, version = 3, proc = 20, reply = Res<PathConfOk, PostOpAttributes>, read_only, idempotent)]
pub(crate) struct PathConf {
    pub(crate) object: FileHandle,
}

/// `PATHCONF3resok`
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[xdr(rename = "PATHCONF3resok")]
pub(crate) struct PathConfOk {
    pub(crate) obj_attributes: PostOpAttributes,
    pub(crate) linkmax: u32,
    pub(crate) name_max: u32,
    pub(crate) no_trunc: bool,
    pub(crate) chown_restricted: bool,
    pub(crate) case_insensitive: bool,
    pub(crate) case_preserving: bool,
}
