//! The service of NFS version 3: it answers from an [`Export`], on threads that may block.

use std::sync::Arc;

use rpc_frame::Context;
use xdr_core::XdrString;

use crate::export::{Export, MAX_NAME};
use crate::listing::MAX_PAGE;
use crate::protocol::{
    ACCESS_EXECUTE, ACCESS_LOOKUP, ACCESS_READ, Access, AccessOk, Attributes, Commit, CommitOk, Create, CreateOk,
    DirOp, FSF_HOMOGENEOUS, FSF_SYMLINK, FileName, FileType, FsInfo, FsInfoOk, FsStat, FsStatOk, GetAttr, Link,
    LinkWcc, Lookup, LookupOk, MkDir, MkNod, Nfs3Service, NfsPath, NfsStat, NfsTime, PathConf, PathConfOk,
    PostOpAttributes, Read, ReadDir, ReadDirOk, ReadDirPlus, ReadDirPlusOk, ReadLink, ReadLinkOk, ReadOk, Remove,
    Rename, RenameWcc, Res, RmDir, SetAttr, Symlink, Wcc, Write, WriteOk,
};

/// Most bytes of one READ.
const MAX_READ: u32 = 128 * 1024;

pub(crate) struct Nfs {
    export: Arc<Export>,
}

/// A status, and what a failed procedure says beside it.
struct Failed<F> {
    status: NfsStat,
    failure: F,
}

impl<F: Default> From<NfsStat> for Failed<F> {
    fn from(status: NfsStat) -> Self {
        Self { status, failure: F::default() }
    }
}

/// Beside a failure the attributes of the file that it is about.
fn beside(attributes: Attributes) -> impl Fn(NfsStat) -> Failed<PostOpAttributes> {
    move |status| Failed { status, failure: Some(attributes) }
}

impl Nfs {
    pub(crate) fn new(export: Arc<Export>) -> Self {
        Self { export }
    }

    /// Does work that blocks, where it stalls no connection.
    async fn run<T, F, W>(&self, work: W) -> Res<T, F>
    where
        T: Send + 'static,
        F: Default + Send + 'static,
        W: FnOnce(&Export) -> Result<T, Failed<F>> + Send + 'static,
    {
        let export = Arc::clone(&self.export);
        match tokio::task::spawn_blocking(move || work(&export)).await {
            Ok(Ok(results)) => Res::Ok(results),
            Ok(Err(Failed { status, failure })) => Res::Fail { status, failure },
            // The work has panicked, which its thread has said on stderr.
            Err(_) => Res::Fail { status: NfsStat::ServerFault, failure: F::default() },
        }
    }
}

/// What a read-only file system answers to all that would change it.
fn read_only<T, F: Default>() -> Res<T, F> {
    Res::Fail { status: NfsStat::RoFs, failure: F::default() }
}

impl Nfs3Service for Nfs {
    async fn get_attr(&self, _: &Context, args: GetAttr) -> Res<Attributes, ()> {
        self.run(move |export| Ok(export.file(&args.object)?.attributes)).await
    }

    async fn lookup(&self, _: &Context, args: Lookup) -> Res<LookupOk, PostOpAttributes> {
        self.run(move |export| {
            let DirOp { dir, name: FileName(name) } = args.what;
            let directory = export.file(&dir)?;
            let found = export.lookup(&directory, &name.0).map_err(beside(directory.attributes))?;
            Ok(LookupOk {
                object: export.handle(&found)?,
                obj_attributes: Some(found.attributes),
                dir_attributes: Some(directory.attributes),
            })
        })
        .await
    }

    /// Whether the server can read a file is not asked of the disk: a READ will tell.
    async fn access(&self, _: &Context, args: Access) -> Res<AccessOk, PostOpAttributes> {
        self.run(move |export| {
            let attributes = export.file(&args.object)?.attributes;
            let allowed = match attributes.kind {
                FileType::Directory => ACCESS_READ | ACCESS_LOOKUP,
                _ if attributes.mode & 0o111 != 0 => ACCESS_READ | ACCESS_EXECUTE,
                _ => ACCESS_READ,
            };
            Ok(AccessOk { obj_attributes: Some(attributes), access: args.access & allowed })
        })
        .await
    }

    async fn read_link(&self, _: &Context, args: ReadLink) -> Res<ReadLinkOk, PostOpAttributes> {
        self.run(move |export| {
            let link = export.file(&args.symlink)?;
            let target = export.target(&link).map_err(beside(link.attributes))?;
            Ok(ReadLinkOk { symlink_attributes: Some(link.attributes), data: NfsPath(XdrString(target)) })
        })
        .await
    }

    async fn read(&self, _: &Context, args: Read) -> Res<ReadOk, PostOpAttributes> {
        self.run(move |export| {
            let file = export.file(&args.file)?;
            let part = export.read(&file, args.offset, args.count.min(MAX_READ)).map_err(beside(file.attributes))?;
            Ok(ReadOk {
                file_attributes: Some(part.attributes),
                count: u32::try_from(part.data.len()).map_err(|_| NfsStat::ServerFault)?,
                eof: part.eof,
                data: part.data.into(),
            })
        })
        .await
    }

    async fn read_dir(&self, _: &Context, args: ReadDir) -> Res<ReadDirOk, PostOpAttributes> {
        self.run(move |export| {
            let directory = export.directory(&args.dir)?;
            export.read_dir(&directory, &args).map_err(beside(directory.attributes))
        })
        .await
    }

    async fn read_dir_plus(&self, _: &Context, args: ReadDirPlus) -> Res<ReadDirPlusOk, PostOpAttributes> {
        self.run(move |export| {
            let directory = export.directory(&args.dir)?;
            export.read_dir_plus(&directory, &args).map_err(beside(directory.attributes))
        })
        .await
    }

    async fn fs_stat(&self, _: &Context, args: FsStat) -> Res<FsStatOk, PostOpAttributes> {
        self.run(move |export| {
            let root = export.file(&args.fsroot)?;
            let space = export.space().map_err(beside(root.attributes))?;
            Ok(FsStatOk {
                obj_attributes: Some(root.attributes),
                tbytes: space.bytes,
                fbytes: space.bytes_free,
                abytes: space.bytes_available,
                tfiles: space.files,
                ffiles: space.files_free,
                afiles: space.files_free,
                invarsec: 0,
            })
        })
        .await
    }

    async fn fs_info(&self, _: &Context, args: FsInfo) -> Res<FsInfoOk, PostOpAttributes> {
        self.run(move |export| {
            Ok(FsInfoOk {
                obj_attributes: Some(export.file(&args.fsroot)?.attributes),
                rtmax: MAX_READ,
                rtpref: MAX_READ,
                rtmult: 4096,
                // Nothing can be written, but clients do not expect a zero here.
                wtmax: MAX_READ,
                wtpref: MAX_READ,
                wtmult: 4096,
                dtpref: MAX_PAGE,
                maxfilesize: i64::MAX.cast_unsigned(),
                time_delta: NfsTime { seconds: 0, nseconds: 1 },
                properties: FSF_SYMLINK | FSF_HOMOGENEOUS,
            })
        })
        .await
    }

    async fn path_conf(&self, _: &Context, args: PathConf) -> Res<PathConfOk, PostOpAttributes> {
        self.run(move |export| {
            Ok(PathConfOk {
                obj_attributes: Some(export.file(&args.object)?.attributes),
                linkmax: u32::MAX,
                name_max: MAX_NAME as u32,
                no_trunc: true,
                chown_restricted: true,
                case_insensitive: false,
                case_preserving: true,
            })
        })
        .await
    }

    async fn set_attr(&self, _: &Context, _: SetAttr) -> Res<Wcc, Wcc> {
        read_only()
    }

    async fn write(&self, _: &Context, _: Write) -> Res<WriteOk, Wcc> {
        read_only()
    }

    async fn create(&self, _: &Context, _: Create) -> Res<CreateOk, Wcc> {
        read_only()
    }

    async fn mk_dir(&self, _: &Context, _: MkDir) -> Res<CreateOk, Wcc> {
        read_only()
    }

    async fn symlink(&self, _: &Context, _: Symlink) -> Res<CreateOk, Wcc> {
        read_only()
    }

    async fn mk_nod(&self, _: &Context, _: MkNod) -> Res<CreateOk, Wcc> {
        read_only()
    }

    async fn remove(&self, _: &Context, _: Remove) -> Res<Wcc, Wcc> {
        read_only()
    }

    async fn rm_dir(&self, _: &Context, _: RmDir) -> Res<Wcc, Wcc> {
        read_only()
    }

    async fn rename(&self, _: &Context, _: Rename) -> Res<RenameWcc, RenameWcc> {
        read_only()
    }

    async fn link(&self, _: &Context, _: Link) -> Res<LinkWcc, LinkWcc> {
        read_only()
    }

    async fn commit(&self, _: &Context, _: Commit) -> Res<CommitOk, Wcc> {
        read_only()
    }
}
