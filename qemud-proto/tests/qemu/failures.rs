//! What goes wrong, and that the driver goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemud_proto::driver::Driver;
use qemud_proto::driver::qemu::QemuDriver;
use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::scene::{Calls, Scene, emulator, names, signal, with_emulator, xml};

/// Shorter than a test's patience, long enough for an emulator that is not asked to hang.
const SOON: Duration = Duration::from_secs(3);

/// An emulator that tells what it is as the real one does, and does this when it is to run a guest.
pub(crate) fn fake(scene: &Scene, real: &Path, does: &str) -> PathBuf {
    let path = scene.path("emulator");
    let script = format!(
        "#!/bin/sh\nfor argument in \"$@\"; do case $argument in -name) {does};; esac; done\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The processor time that a process has used, in ticks of its clock.
fn cpu_time(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// A start of a defined guest fails with this, and nothing is left of it.
async fn fails_to_start(scene: &Scene, driver: &QemuDriver, xml: String, says: &[&str]) {
    let uuid = driver.define(xml.clone()).await.unwrap().uuid;
    let failure = driver.start(uuid).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    for text in says {
        assert!(failure.message.contains(text), "{failure}");
    }
    assert_eq!((driver.ids().await.len(), driver.inactive().await.len()), (0, 1));
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    driver.domain_undefine(DomainUndefine { uuid }).await.unwrap();
    // One that is not defined is gone.
    assert_eq!(driver.create(xml).await.unwrap_err().code, Code::OperationFailed);
    assert_eq!(driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.unwrap_err().code, Code::NoDomain);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_that_is_missing_is_named() {
    let scene = Scene::new();
    let driver = scene.open().await;
    let missing = scene.path("nowhere/qemu");
    let xml = with_emulator("a", Uuid::random(), &missing);
    fails_to_start(&scene, &driver, xml, &[missing.to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_that_dies_at_start_is_quoted_at_its_end_only() {
    let Some(real) = emulator() else { return };
    let scene = Scene::new();
    let driver = scene.open().await;
    let does = "yes 'said before' | head -n 10000 >&2; echo 'no such luck' >&2; exit 3";
    let xml = with_emulator("a", Uuid::random(), &fake(&scene, &real, does));
    fails_to_start(&scene, &driver, xml, &["'a' ended (exit status: 3)", "; no such luck"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_qemu_cannot_open_is_told_in_its_words() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    let driver = scene.open().await;
    let disk = "<disk type='file'><source file='/nowhere/disk'/><target dev='hda'/></disk></devices>";
    let xml = xml("a", Uuid::random()).replace("</devices>", disk);
    fails_to_start(&scene, &driver, xml, &["'a' ended (exit status: 1)", "/nowhere/disk", "No such file"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_complains_without_end_fills_no_disk_and_goes_on_without_a_daemon() {
    /// Most bytes of a log, as GUESTS.md says.
    const BOUND: usize = 128 << 10;
    let Some(real) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let complains = "(number=0; while number=$((number + 1)); do echo \"complaint $number\" >&2; done) &";
    let id = driver.create(with_emulator("a", uuid, &fake(&scene, &real, complains))).await.unwrap();
    let log = scene.state().join("1.log");
    let last = || {
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        assert!(text.len() <= BOUND, "the log has {} bytes", text.len());
        let numbers = text.lines().rev().filter_map(|line| line.strip_prefix("complaint ")?.parse().ok());
        numbers.max().unwrap_or(0_u64)
    };
    // That many lines are more than the log can hold.
    crate::scene::until("the log is full", || last() > 3 * (BOUND as u64) / 16);
    let running = scene.processes();
    drop(driver);
    // Whatever is said now, nobody takes it, and nobody dies of that.
    let is_qemu = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().starts_with("qemu");
    let complainer = *running.iter().find(|pid| !is_qemu(pid)).unwrap();
    let (left, begin) = (last(), cpu_time(complainer));
    // It does not wait for somebody to listen: the time that it uses is much more than it takes to fill a pipe.
    crate::scene::until("it complains to nobody", || cpu_time(complainer) > begin + 50);
    assert_eq!((last(), scene.processes()), (left, running.clone()));
    let driver = scene.open().await;
    crate::scene::until("it is listened to again", || last() > left);
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    driver.destroy(id).await.unwrap();
    assert_eq!(scene.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_without_a_monitor_is_ended_with_all_that_it_has_started() {
    let Some(real) = emulator() else { return };
    let scene = Scene::new();
    let driver = QemuDriver::open(scene.config().with_monitor_limit(Duration::from_secs(1))).await.unwrap();
    let xml = with_emulator("a", Uuid::random(), &fake(&scene, &real, "sleep 1000; sleep 1000"));
    fails_to_start(&scene, &driver, xml, &["domain 'a' does not answer", "for 1 s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_a_guest_that_is_being_started_are_invalid() {
    let Some(real) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = std::sync::Arc::new(scene.open().await);
    // It goes on when it is let.
    let gate = scene.text("gate");
    let wait = format!("until test -e {gate}; do sleep 0.01; done");
    driver.define(with_emulator("a", uuid, &fake(&scene, &real, &wait))).await.unwrap();
    let starting = std::sync::Arc::clone(&driver);
    let starting = tokio::spawn(async move { starting.start(uuid).await });
    crate::scene::until("it is being started", || !scene.processes().is_empty());
    let failure = driver.start(uuid).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationInvalid);
    assert_eq!(failure.message, "domain 'a' is being started already");
    let undefine = driver.domain_undefine(DomainUndefine { uuid }).await;
    assert_eq!(undefine.unwrap_err().code, Code::OperationInvalid);
    assert_eq!((driver.ids().await.len(), driver.info(uuid).await.unwrap().runstate), (0, RunState::Stopped));
    fs::write(gate, "").unwrap();
    assert_eq!(starting.await.unwrap(), Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_hangs_fails_alone_and_answers_when_it_goes_on() {
    let Some(_) = emulator() else { return };
    let (scene, hangs, runs) = (Scene::new(), Uuid::random(), Uuid::random());
    let driver = QemuDriver::open(scene.config().with_monitor_limit(SOON)).await.unwrap();
    let id = driver.create(xml("a", hangs)).await.unwrap();
    let pid = scene.processes()[0];
    driver.create(xml("b", runs)).await.unwrap();
    signal("STOP", pid);
    let failure = driver.info(hangs).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    assert_eq!(failure.message, "domain 'a' does not answer: its monitor said nothing for 3 s");
    assert_eq!(driver.info(runs).await.unwrap().runstate, RunState::Running);
    assert_eq!(driver.ids().await.len(), 2);
    signal("CONT", pid);
    assert_eq!(driver.info(hangs).await.unwrap().runstate, RunState::Running);
    // And it can be ended while it hangs.
    signal("STOP", pid);
    driver.destroy(id).await.unwrap();
    assert!(!scene.processes().contains(&pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_cannot_be_saved_goes_on() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    for path in [scene.text("missing/a.save"), scene.text("etc")] {
        let failure = driver.save(id, path.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::SystemError);
        assert!(failure.message.starts_with(&format!("cannot save to '{path}': ")), "{failure}");
        assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    }
    assert_eq!(names(scene.folder.path()), ["etc", "run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_hold_no_guest_are_refused_and_leave_nothing() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let path = scene.text("a.save");
    driver.save(id, path.clone()).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let head = whole.windows(9).position(|bytes| bytes == b"</domain>").unwrap() + 9;
    let damaged = [&whole[..head], &whole[head..].iter().map(|byte| !byte).collect::<Vec<_>>()[..]].concat();
    for (content, says) in [
        (&b""[..], "is not a domain saved by the qemu driver"),
        (b"guestd test driver: saved domain, version 1\n", "is not a domain saved by the qemu driver"),
        (&whole[..60], "is cut short"),
        (&whole[..head], "there is no memory in it"),
        (&whole[..whole.len() / 2], "QEMU of domain 'a' ended"),
        (&damaged, "QEMU of domain 'a' ended"),
    ] {
        fs::write(&path, content).unwrap();
        let failure = driver.restore(path.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::OperationFailed);
        assert!(failure.message.contains(says), "{failure}");
        assert!(failure.message.starts_with("cannot restore") && failure.message.contains(&path), "{failure}");
        assert_eq!((scene.processes(), scene.left(), driver.ids().await.len()), (vec![], vec![], 0));
    }
    assert_eq!(driver.restore("/dev/zero".to_owned()).await.unwrap_err().code, Code::OperationFailed);
    fs::write(&path, whole).unwrap();
    driver.restore(path).await.unwrap();
}
