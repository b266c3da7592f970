//! The service of MOUNT version 3: from a path to a handle.
//!
//! NFS version 3 itself does not need to know who has mounted what, so nothing is remembered: DUMP answers that nobody
//! has mounted anything, and UMNT has nothing to forget.

use std::sync::Arc;

use rpc_frame::{AuthFlavor, Context};

use crate::export::Export;
use crate::protocol::{
    DirPath, ExportNode, Exports, FileHandle, FileType, Mount3Service, MountList, MountOk, MountRes, MountStat, NfsStat,
};

/// The path under which the tree is exported.
pub(crate) const EXPORT_PATH: &str = "/export";

pub(crate) struct Mount {
    export: Arc<Export>,
}

impl Mount {
    pub(crate) fn new(export: Arc<Export>) -> Self {
        Self { export }
    }
}

impl Mount3Service for Mount {
    /// A folder below the exported one can be mounted as well.
    async fn mnt(&self, _: &Context, DirPath(path): DirPath) -> MountRes {
        let export = Arc::clone(&self.export);
        let walked = tokio::task::spawn_blocking(move || walk(&export, &path.0)).await;
        match walked.unwrap_or(Err(MountStat::ServerFault)) {
            Ok(fhandle) => MountRes::Ok(MountOk {
                fhandle,
                auth_flavors: [AuthFlavor::SYS, AuthFlavor::NONE].map(|flavor| flavor.0.cast_signed()).into(),
            }),
            Err(status) => MountRes::Fail(status),
        }
    }

    async fn dump(&self, _: &Context, (): ()) -> MountList {
        MountList::default()
    }

    async fn umnt(&self, _: &Context, _: DirPath) {}

    async fn umnt_all(&self, _: &Context, (): ()) {}

    async fn export(&self, _: &Context, (): ()) -> Exports {
        // No groups: everybody may.
        Exports(vec![ExportNode { ex_dir: DirPath(EXPORT_PATH.into()), ex_groups: Vec::new() }])
    }
}

/// From the exported folder along a path, through no symbolic link and never upwards.
fn walk(export: &Export, path: &[u8]) -> Result<FileHandle, MountStat> {
    let below = path.strip_prefix(EXPORT_PATH.as_bytes()).filter(|below| matches!(below.first(), None | Some(b'/')));
    let mut file = export.root()?;
    for name in below.ok_or(MountStat::NoEnt)?.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(MountStat::Acces),
            _ => file = export.lookup(&file, name)?,
        }
    }
    if file.attributes.kind == FileType::Directory { Ok(export.handle(&file)?) } else { Err(MountStat::NotDir) }
}

impl From<NfsStat> for MountStat {
    fn from(status: NfsStat) -> Self {
        match status {
            NfsStat::NoEnt | NfsStat::Stale => Self::NoEnt,
            NfsStat::Acces => Self::Acces,
            NfsStat::NotDir => Self::NotDir,
            NfsStat::NameTooLong => Self::NameTooLong,
            NfsStat::Io => Self::Io,
            _ => Self::ServerFault,
        }
    }
}
