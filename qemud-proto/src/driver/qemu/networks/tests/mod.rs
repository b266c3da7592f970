//! Networks on a host that each test has to itself.
//!
//! - `namespace`: the host, which is a network namespace
//! - `bridges`: bridges and their addresses; what is refused
//! - `forwarding`: rules, and packets that go out
//! - `dhcp`: addresses that are handed out
//! - `watch`: dnsmasq ends
//! - `guests`: guests of the real QEMU in networks
//! - `restarts`: daemons that die
//! - `definitions`: files, for which nothing has to be started

mod bridges;
mod definitions;
mod dhcp;
mod forwarding;
mod guests;
mod namespace;
mod restarts;
mod watch;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::QemuNetworks;
use super::watch::Restarts;
use crate::driver::qemu::foreign_tool;
use crate::driver::qemu::programs::Programs;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;

/// The folders of a daemon.
struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn definitions(&self) -> PathBuf {
        self.0.path().join("networks")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// A daemon begins.
    async fn open(&self) -> QemuNetworks {
        QemuNetworks::open(&self.definitions(), &self.state()).await.unwrap()
    }

    /// The same on a host that has only these programs.
    async fn open_with(&self, programs: &[&str]) -> QemuNetworks {
        let folder = self.0.path().join("programs");
        fs::create_dir_all(&folder).unwrap();
        for program in programs {
            let there = foreign_tool::require(program).expect("it was there outside");
            std::os::unix::fs::symlink(there, folder.join(program)).unwrap();
        }
        let programs = Programs::within(folder.as_os_str());
        QemuNetworks::open_with(&self.definitions(), &self.state(), programs, Restarts::default()).await.unwrap()
    }

    /// The files that are left of networks that run.
    fn left(&self) -> Vec<String> {
        files(&self.state())
    }
}

/// The names of the regular files of a folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn xml(name: &str, inside: &str) -> String {
    format!("<network><name>{name}</name>{inside}</network>")
}

const ADDRESS: &str = "<ip address='192.168.99.1' netmask='255.255.255.0'/>";
const ADDRESSES: &str = "<ip address='192.168.99.1' netmask='255.255.255.0'>\
    <dhcp><range start='192.168.99.100' end='192.168.99.109'/></dhcp></ip>";

async fn create(networks: &QemuNetworks, xml: String) -> Reply<Uuid> {
    networks.network_create(NetworkCreate { xml }).await.map(|identity| identity.uuid)
}

async fn define(networks: &QemuNetworks, xml: String) -> Reply<Uuid> {
    networks.network_define(NetworkDefine { xml }).await.map(|identity| identity.uuid)
}

async fn start(networks: &QemuNetworks, uuid: Uuid) -> Reply<()> {
    networks.network_start(NetworkStart { uuid }).await
}

async fn destroy(networks: &QemuNetworks, uuid: Uuid) -> Reply<()> {
    networks.network_destroy(NetworkDestroy { uuid }).await
}

async fn dump(networks: &QemuNetworks, uuid: Uuid) -> String {
    networks.network_dump_xml(NetworkDumpXml { uuid }).await.unwrap().xml
}

/// Names of the active and of the inactive networks.
async fn names(networks: &QemuNetworks) -> (Vec<String>, Vec<String>) {
    let active = networks.list_networks(ListNetworks).await.unwrap().names;
    let inactive = networks.list_defined_networks(ListDefinedNetworks).await.unwrap().names;
    (active, inactive)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(reply: Reply<T>, message: &str) {
    let failure = reply.unwrap_err();
    assert_eq!(failure, Failure::new(Code::OperationFailed, message));
}

#[test]
fn programs_are_looked_for_in_absolute_folders_only() {
    assert!(Programs::within(OsStr::new("/nowhere:/bin")).find("sh").is_some());
    assert_eq!(Programs::within(OsStr::new("/nowhere")).find("sh"), None);
    // Enough of them to reach the root from everywhere.
    let relative = "../".repeat(64) + "bin";
    assert!(std::path::Path::new(&relative).join("sh").exists());
    assert_eq!(Programs::within(OsStr::new(&relative)).find("sh"), None);
}
