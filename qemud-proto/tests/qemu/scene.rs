//! A driver with folders of its own. Its guests end with the test, well or not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use qemud_proto::driver::qemu::{QemuConfig, QemuDriver};
use qemud_proto::driver::{Driver, Subscription};
use qemud_proto::events::DomainChange;
use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use tempfile::TempDir;

use crate::foreign_tool;

/// How long a test waits for what must come: far longer than it takes, and no test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a monitor may keep silent where it never does.
const LIMIT: Duration = Duration::from_secs(30);

/// The emulator, or none after SKIPPED has been said.
#[track_caller]
pub(crate) fn emulator() -> Option<PathBuf> {
    // What is executed below is built for it.
    foreign_tool::require("qemu-system-x86_64")
}

/// Folders for definitions, for what runs, and for everything else.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        // Sockets need short paths.
        Self { folder: tempfile::Builder::new().prefix("gq").tempdir_in("/tmp").unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn definitions(&self) -> PathBuf {
        self.path("etc/qemu")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("run/qemu")
    }

    pub(crate) fn config(&self) -> QemuConfig {
        QemuConfig::new(self.definitions(), self.state()).with_monitor_limit(LIMIT)
    }

    pub(crate) async fn open(&self) -> QemuDriver {
        QemuDriver::open(self.config()).await.unwrap()
    }

    /// All processes of guests, by the mark that they bear.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let folder = fs::canonicalize(self.folder.path()).unwrap();
        marked(&folder)
    }

    /// What is left in the folder of what runs, but for the lock and networks.
    pub(crate) fn left(&self) -> Vec<String> {
        names(&self.state()).into_iter().filter(|name| name != "lock" && name != "networks").collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal("KILL", pid);
        }
    }
}

/// Names in a folder, in their order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All processes that bear this mark, or that of a file in this folder.
pub(crate) fn marked(mark: &Path) -> Vec<i32> {
    let is_wanted = |found: &[u8]| Path::new(OsStr::from_bytes(found)).starts_with(mark);
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable.strip_prefix(b"GUESTD_GUEST=").is_some_and(is_wanted))
    };
    pids.filter(is_marked).collect()
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(name: &str, pid: i32) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]).status();
    assert!(sent.is_ok());
}

/// A guest of 64 MiB with a display, which runs its firmware and then waits for nothing.
pub(crate) fn xml(name: &str, uuid: Uuid) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>\
         <os><type arch='x86_64'>hvm</type></os>\
         <devices><graphics type='vnc' port='-1'/></devices></domain>"
    )
}

/// The guest, with an emulator of its own.
pub(crate) fn with_emulator(name: &str, uuid: Uuid, emulator: &Path) -> String {
    let named = format!("<devices><emulator>{}</emulator>", emulator.display());
    xml(name, uuid).replace("<devices>", &named)
}

/// The guest, with a disk whose boot sector this is.
pub(crate) fn with_disk(xml: &str, scene: &Scene, boots: &[u8]) -> String {
    let mut sector = boots.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    if !scene.path("disk").exists() {
        fs::write(scene.path("disk"), sector).unwrap();
    }
    let disk = format!("<disk type='file'><source file='{}'/><target dev='hda'/></disk></devices>", scene.text("disk"));
    xml.replace("</devices>", &disk)
}

/// Waits until something is so that nobody tells.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The next event of a domain.
pub(crate) async fn next(events: &mut Subscription) -> (DomainChange, String, Option<i32>) {
    let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("no event comes");
    let (change, event) = next.unwrap();
    (change, event.name, event.id)
}

/// Calls of the driver, with their arguments alone.
pub(crate) trait Calls: Driver {
    async fn define(&self, xml: String) -> Reply<Identity> {
        self.domain_define(DomainDefine { xml }).await
    }

    async fn create(&self, xml: String) -> Reply<i32> {
        Ok(self.domain_create(DomainCreate { xml }).await?.id)
    }

    async fn start(&self, uuid: Uuid) -> Reply<i32> {
        self.domain_start(DomainStart { uuid }).await
    }

    async fn destroy(&self, id: i32) -> Reply<()> {
        self.domain_destroy(DomainDestroy { id }).await
    }

    async fn info(&self, uuid: Uuid) -> Reply<DomainInfo> {
        self.domain_get_info(DomainGetInfo { uuid }).await
    }

    async fn dump(&self, uuid: Uuid) -> String {
        self.domain_dump_xml(DomainDumpXml { uuid }).await.unwrap().xml
    }

    async fn save(&self, id: i32, path: String) -> Reply<()> {
        self.domain_save(DomainSave { id, path }).await
    }

    async fn restore(&self, path: String) -> Reply<i32> {
        self.domain_restore(DomainRestore { path }).await
    }

    async fn ids(&self) -> Vec<i32> {
        self.list_domains(ListDomains).await.unwrap().ids
    }

    async fn inactive(&self) -> Vec<String> {
        self.list_defined_domains(ListDefinedDomains).await.unwrap().names
    }
}

impl<D: Driver + ?Sized> Calls for D {}
