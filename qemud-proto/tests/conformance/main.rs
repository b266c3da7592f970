//! The contract of drivers: one suite, over each of them.
//!
//! `DRIVERS.md` beside the package's manifest lists what holds and what each driver does; the suite looks at each driver and
//! compares. So each difference is written down there, and none that is written down has gone unnoticed.
//!
//! - `subject`: a driver, and what it was seen to do
//! - `domains`, `running`, `saving`, `networks`: what one client sees
//! - `together`: several clients, and events
//! - `libvirtd`: a libvirtd of the test's own, `lost`: what becomes of its clients when it goes away, and `routes`: a
//!   guestd before it
//! - `processes`: what a test leaves behind when it fails
//! - below: the subjects

#![cfg(feature = "daemon")]

mod domains;
#[cfg(any(feature = "libvirt", feature = "qemu"))]
#[path = "../../../tests/src/foreign_tool.rs"]
#[expect(unreachable_pub, reason = "it is public in the package that it is from")]
mod foreign_tool;
#[cfg(feature = "libvirt")]
mod libvirtd;
#[cfg(feature = "libvirt")]
mod lost;
mod networks;
#[cfg(any(feature = "libvirt", feature = "qemu"))]
mod processes;
#[cfg(all(feature = "libvirt", feature = "programs"))]
mod routes;
mod running;
mod saving;
mod subject;
mod together;

use std::sync::Arc;
#[cfg(feature = "libvirt")]
use std::sync::Mutex;
use std::time::Duration;

#[cfg(any(feature = "libvirt", feature = "qemu"))]
use qemud_proto::driver::Driver;
#[cfg(feature = "libvirt")]
use qemud_proto::driver::libvirt::LibvirtDriver;
#[cfg(feature = "qemu")]
use qemud_proto::driver::qemu::{QemuConfig, QemuDriver};
use qemud_proto::driver::test::TestDriver;

#[cfg(feature = "libvirt")]
use crate::libvirtd::Libvirtd;
#[cfg(feature = "libvirt")]
use crate::subject::Reopened;
use crate::subject::Subject;

/// How long a subject may take for all of it: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything, one after the other, on one driver: each part leaves it as it was.
async fn conforms(mut subject: Subject) {
    let all = async {
        running::host(&subject).await;
        domains::definitions(&subject).await;
        domains::lookups_that_find_nothing(&subject).await;
        domains::descriptions(&subject).await;
        domains::xml_that_is_refused(&subject).await;
        domains::autostart(&subject).await;
        running::created_domains(&subject).await;
        running::started_domains(&subject).await;
        running::processors(&subject).await;
        running::information(&subject).await;
        saving::saved_domains(&subject).await;
        saving::files_that_are_refused(&subject).await;
        networks::networks(&subject).await;
        together::clients_at_a_time(&subject).await;
        together::events(&subject).await;
        domains::persistence(&mut subject).await;
    };
    tokio::time::timeout(PATIENCE, all).await.expect("the driver does not answer");
    subject.compare();
}

#[cfg(feature = "libvirt")]
#[tokio::test(flavor = "multi_thread")]
async fn libvirt_with_its_test_driver_does_what_the_table_says() {
    // The guests of this URI are in this process, and every connection of it has the same.
    let driver = LibvirtDriver::new().connect("test:///default").await.unwrap();
    conforms(Subject::new("libvirt, test", driver, "test")).await;
}

#[cfg(feature = "libvirt")]
#[tokio::test(flavor = "multi_thread")]
async fn libvirt_with_qemu_does_what_the_table_says() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let Some(libvirtd) = Libvirtd::start() else { return };
    let driver: Arc<dyn Driver> = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let libvirtd = Mutex::new(libvirtd);
    // The driver finds the daemon again by itself.
    let reopen = move |driver| {
        let mut daemon = libvirtd.lock().unwrap();
        daemon.end();
        daemon.begin_again();
        Box::pin(async move { driver }) as Reopened
    };
    let mut subject = Subject::new("libvirt, QEMU", driver, "qemu");
    // The daemon, which is somebody else, writes there.
    set_permissions(&subject.folder, Permissions::from_mode(0o777)).unwrap();
    subject.machine = " arch='x86_64' machine='pc'";
    // An unprivileged libvirtd has no bridges: see below.
    subject.networks = false;
    subject.reopen = Some(Box::new(reopen));
    conforms(subject).await;
}

#[cfg(feature = "libvirt")]
#[tokio::test(flavor = "multi_thread")]
async fn networks_of_libvirt_do_what_the_table_says() {
    if !libvirtd::inside("networks_of_libvirt_do_what_the_table_says") {
        return;
    }
    let libvirtd = Libvirtd::start_for_the_system().expect("the programs were there outside");
    let driver = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let mut subject = Subject::new("libvirt, QEMU", driver, "qemu");
    subject.only_networks = true;
    tokio::time::timeout(PATIENCE, networks::networks(&subject)).await.expect("the driver does not answer");
    subject.compare();
}

#[cfg(feature = "qemu")]
#[tokio::test(flavor = "multi_thread")]
async fn the_qemu_driver_does_what_the_table_says() {
    let Some(_qemu) = foreign_tool::require("qemu-system-x86_64") else { return };
    // Its networks are bridges of the machine, so all of it is done again where they are nobody else's.
    let own = std::env::var_os(NETWORK_OF_ITS_OWN).is_some();
    let folder = tempfile::tempdir().unwrap();
    let _guests = processes::GuestsOf(folder.path().to_owned());
    let config = QemuConfig::new(folder.path().join("etc"), folder.path().join("run"));
    let mut subject = Subject::new("qemu", Arc::new(QemuDriver::open(config.clone()).await.unwrap()), "qemu");
    subject.networks = own;
    subject.reopen = Some(Box::new(move |driver| {
        let config = config.clone();
        Box::pin(async move {
            drop(driver);
            Arc::new(QemuDriver::open(config).await.unwrap()) as Arc<dyn Driver>
        })
    }));
    conforms(subject).await;
}

/// Set where the test is the only one that sees its networks.
#[cfg(feature = "qemu")]
const NETWORK_OF_ITS_OWN: &str = "GUEST_NETWORK_OF_ITS_OWN";

#[cfg(feature = "qemu")]
#[test]
fn the_qemu_driver_does_what_the_table_says_with_networks_of_its_own() {
    let (Some(_qemu), Some(unshare)) = (foreign_tool::require("qemu-system-x86_64"), foreign_tool::require("unshare"))
    else {
        return;
    };
    let command = |rights: &[&str]| {
        let mut command = std::process::Command::new(&unshare);
        command.args(rights).args(["--net", "--"]);
        command
    };
    let ways: [&[&str]; 2] = [&[], &["--map-root-user"]];
    let usable = |way: &&&[&str]| command(way).arg("true").output().is_ok_and(|output| output.status.success());
    let Some(way) = ways.iter().find(usable) else {
        return foreign_tool::missing("there are no rights to make a network namespace");
    };
    let mut again = command(way);
    again.arg(std::env::current_exe().unwrap()).args(["--exact", "the_qemu_driver_does_what_the_table_says"]);
    let ended = again.env(NETWORK_OF_ITS_OWN, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_driver_does_what_the_table_says() {
    conforms(Subject::new("test", Arc::new(TestDriver::with_defaults().unwrap()), "test")).await;
}
