//! What guests are saved to, how far they are meanwhile, and what goes wrong.

use std::ffi::CString;
use std::fs;
use std::num::NonZeroU64;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::Arc;

use qemud_proto::driver::Driver;
use qemud_proto::driver::qemu::QemuDriver;
use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::daemon::{guestctl, guestd, prepared, serve, serve_with_log, state, succeed};
use crate::foreign_tool;
use crate::scene::{Calls, PATIENCE, Scene, emulator, names, xml};

/// So slow that a save of 64 MiB, which are mostly empty, takes some seconds.
const SLOW: NonZeroU64 = NonZeroU64::new(64 << 10).unwrap();

async fn slow(scene: &Scene) -> Arc<QemuDriver> {
    Arc::new(QemuDriver::open(scene.config().with_save_bandwidth(SLOW)).await.unwrap())
}

/// What the domain is busy with, as soon as it is.
async fn busy(driver: &QemuDriver, uuid: Uuid) -> JobInfo {
    loop {
        let job = driver.domain_get_job_info(DomainGetJobInfo { uuid }).await.unwrap();
        if job.kind != JobKind::None {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_saved_over_no_file_that_a_domain_names() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    for name in ["disk", "kernel", "initrd", "qemu"] {
        fs::write(scene.path(name), name).unwrap();
    }
    fs::hard_link(scene.path("disk"), scene.path("linked")).unwrap();
    symlink(scene.path("disk"), scene.path("symbolic")).unwrap();
    fs::create_dir(scene.path("sub")).unwrap();
    let other = xml("b", Uuid::random())
        .replace(
            "</type>",
            &format!("</type><kernel>{}</kernel><initrd>{}</initrd>", scene.text("kernel"), scene.text("initrd")),
        )
        .replace(
            "<devices>",
            &format!(
                "<devices><emulator>{}</emulator><disk type='file'><source file='{}'/><target dev='vda'/></disk>\
                 <disk type='file'><source file='{}'/><target dev='vdb'/></disk>",
                scene.text("qemu"),
                scene.text("disk"),
                scene.text("sub/missing")
            ),
        );
    // It need not run: it would not start any more.
    driver.define(other).await.unwrap();
    let id = driver.create(xml("a", uuid)).await.unwrap();
    for (path, what) in [
        ("disk", "the disk 'vda'"),
        ("sub/../disk", "the disk 'vda'"),
        ("linked", "the disk 'vda'"),
        ("symbolic", "the disk 'vda'"),
        ("etc/../sub/missing", "the disk 'vdb'"),
        ("kernel", "the kernel"),
        ("initrd", "the initrd"),
        ("qemu", "the emulator"),
    ] {
        let failure = driver.save(id, scene.text(path)).await.unwrap_err();
        let message = format!("cannot save to '{}': it is {what} of domain 'b'", scene.text(path));
        assert_eq!((failure.code, failure.message), (Code::InvalidArg, message));
    }
    for path in ["etc/qemu/a.xml", "etc/qemu/autostart/a", "sub/../run/qemu/new", "run/qemu/networks/a"] {
        let failure = driver.save(id, scene.text(path)).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArg, "{failure}");
        assert!(failure.message.contains("the daemon keeps its own files in"), "{failure}");
    }
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    for name in ["disk", "kernel", "initrd", "qemu"] {
        assert_eq!(fs::read_to_string(scene.path(name)).unwrap(), name);
    }
    // What is nobody's is replaced.
    fs::write(scene.path("mine"), "").unwrap();
    driver.save(id, scene.text("mine")).await.unwrap();
    driver.restore(scene.text("mine")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_regular_file_is_replaced_and_the_guest_goes_on() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let pipe = CString::new(scene.text("pipe")).unwrap();
    nix::unistd::mkfifo(pipe.as_c_str(), nix::sys::stat::Mode::S_IRUSR).unwrap();
    symlink("nowhere", scene.path("link")).unwrap();
    let folder = scene.path("etc");
    for path in [scene.text("pipe"), scene.text("link"), folder.to_str().unwrap().to_owned(), "/dev/null".to_owned()] {
        let failure = driver.save(id, path.clone()).await.unwrap_err();
        let message = format!("cannot save to '{path}': there is something that is no regular file");
        assert_eq!((failure.code, failure.message), (Code::SystemError, message));
    }
    let folder = scene.text("new/");
    let failure = driver.save(id, folder.clone()).await.unwrap_err();
    assert_eq!(failure.message, format!("cannot save to '{folder}': is a directory"));
    let long = scene.text(&"x".repeat(300));
    let failure = driver.save(id, long.clone()).await.unwrap_err();
    assert_eq!(failure.message, format!("cannot save to '{long}': File name too long (os error 36)"));
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    assert_eq!(scene.left(), ["1.json", "1.log", "1.monitor"]);
    // A pipe would keep its reader waiting.
    let failure = driver.restore(scene.text("pipe")).await.unwrap_err();
    assert!(failure.message.ends_with("pipe' is not a regular file"), "{failure}");
    assert_eq!(names(scene.folder.path()), ["etc", "link", "pipe", "run"]);
    // The name that it has until it is complete is a name like any other.
    let hidden = scene.text(&format!(".guestd-{}-{id}.tmp", std::process::id()));
    driver.save(id, hidden.clone()).await.unwrap();
    driver.restore(hidden).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_a_save_is_can_be_watched_and_nobody_else_saves_there() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = slow(&scene).await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let other = driver.create(xml("b", Uuid::random())).await.unwrap();
    let saving = Arc::clone(&driver);
    let path = scene.text("a.save");
    let saving = tokio::spawn(async move { saving.save(id, path).await });
    let first = busy(&driver, uuid).await;
    let failure = driver.save(other, scene.text("run/../a.save")).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationInvalid);
    assert!(failure.message.ends_with("domain 'a' is being saved to it"), "{failure}");
    let mut seen = vec![first];
    while !saving.is_finished() {
        match driver.domain_get_job_info(DomainGetJobInfo { uuid }).await {
            Ok(job) if job.kind != JobKind::None => seen.push(job),
            // It has just ended.
            _ => {}
        }
    }
    saving.await.unwrap().unwrap();
    for pair in seen.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert!(after.elapsed >= before.elapsed && after.data_processed >= before.data_processed, "{pair:?}");
        // Before QEMU has begun it knows of nothing.
        assert!(before.data_total == 0 || after.data_total == before.data_total, "{pair:?}");
        assert!(before.data_total == 0 || after.data_remaining <= before.data_remaining, "{pair:?}");
    }
    let told: Vec<_> = seen.iter().filter(|job| job.data_total > 0).collect();
    assert!(told.iter().all(|job| job.data_total >= 64 << 20), "{:?}", told.first());
    let mut steps: Vec<_> = told.iter().map(|job| (job.data_processed, job.data_remaining)).collect();
    steps.dedup();
    assert!(steps.len() > 5, "it was seen to advance {} times", steps.len());
    let (first, last) = (told[0], told[told.len() - 1]);
    assert!(last.data_remaining < first.data_remaining / 2, "{first:?} {last:?}");
    // No faster than it may: at 64 KiB a second some hundreds of KiB take seconds, however fast the machine is.
    assert!(last.elapsed >= 2000, "{last:?}");
    // What it was saved with is no hindrance to its restoration.
    driver.restore(scene.text("a.save")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_destroyed_while_it_is_saved_is_gone_and_leaves_nothing() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = slow(&scene).await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let (saving, path) = (Arc::clone(&driver), scene.text("a.save"));
    let saving = tokio::spawn(async move { saving.save(id, path).await });
    while busy(&driver, uuid).await.data_processed == 0 {}
    driver.destroy(id).await.unwrap();
    let failure = tokio::time::timeout(PATIENCE, saving).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failure.message, "domain 'a' has ended while it was being saved");
    assert_eq!((scene.processes(), scene.left(), driver.ids().await.len()), (vec![], vec![], 0));
    assert_eq!(names(scene.folder.path()), ["etc", "run"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_was_not_saved_or_was_restored_leaves_no_socket() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = slow(&scene).await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let (saving, path) = (Arc::clone(&driver), scene.text("a.save"));
    let saving = tokio::spawn(async move { saving.save(id, path).await });
    while busy(&driver, uuid).await.data_processed == 0 {}
    // A domain takes the place for one of its disks; the save finds out when all has been written.
    let disk =
        format!("<devices><disk type='file'><source file='{}'/><target dev='vda'/></disk>", scene.text("a.save"));
    let taken = driver.define(xml("b", Uuid::random()).replace("<devices>", &disk)).await.unwrap().uuid;
    let failure = saving.await.unwrap().unwrap_err();
    assert!(failure.message.ends_with("it is the disk 'vda' of domain 'b'"), "{failure}");
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    assert_eq!(scene.left(), ["1.json", "1.log", "1.monitor"]);
    assert_eq!(names(scene.folder.path()), ["etc", "run"]);
    driver.domain_undefine(DomainUndefine { uuid: taken }).await.unwrap();
    driver.save(id, scene.text("a.save")).await.unwrap();
    assert_eq!(driver.restore(scene.text("a.save")).await, Ok(2));
    assert_eq!(scene.left(), ["2.json", "2.log", "2.monitor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_not_saved_over_its_own_disk() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let image = scene.text("disk");
    fs::write(&image, [0; 4096]).unwrap();
    let disk = format!("<disk type='file'><source file='{image}'/><target dev='hda'/></disk></devices>");
    let id = driver.create(xml("a", uuid).replace("</devices>", &disk)).await.unwrap();
    let failure = driver.save(id, scene.text("run/../disk")).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidArg);
    assert!(failure.message.ends_with("it is the disk 'hda' of domain 'a'"), "{failure}");
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    assert_eq!(fs::read(image).unwrap(), [0; 4096]);
}

#[test]
fn a_guest_goes_on_when_the_disk_is_full_that_it_is_saved_to() {
    let Some(_) = emulator() else { return };
    let Some(unshare) = foreign_tool::require("unshare") else { return };
    // A small disk that only this daemon sees.
    let mounts = "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"";
    let scene = Scene::new();
    let small = scene.text("small");
    fs::create_dir(&small).unwrap();
    let with_disk = |program: &str| {
        let mut command = Command::new(&unshare);
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", mounts, &small, program]);
        command
    };
    if !with_disk("true").stderr(Stdio::null()).status().unwrap().success() {
        foreign_tool::missing("there are no mounts of one's own here");
        return;
    }
    let command = with_disk(env!("CARGO_BIN_EXE_guestd"));
    let daemon = serve(prepared(command, &scene));
    fs::write(scene.path("a.xml"), xml("a", Uuid::random())).unwrap();
    succeed(&scene, &["create", &scene.text("a.xml")]);
    let path = format!("{small}/a");
    let output = guestctl(&scene, &["save", "a", &path]).output().unwrap();
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.ends_with(&format!("cannot save to '{path}': No space left on device (os error 28)\n")), "{says}");
    assert_eq!(state(&scene, "a"), "running");
    // As the daemon sees it, nothing is left.
    let seen = format!("/proc/{}/root{small}", daemon.0.id());
    assert_eq!(names(seen.as_ref()), [""; 0]);
    // The same where not even the beginning has room.
    assert!(fs::write(format!("{seen}/fills"), [1; 128 << 10]).is_err(), "it is small");
    let output = guestctl(&scene, &["save", "a", &path]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), says);
    assert_eq!((state(&scene, "a").as_str(), names(seen.as_ref())), ("running", vec!["fills".to_owned()]));
    // And it is saved where there is room.
    succeed(&scene, &["save", "a", &scene.text("a.save")]);
    assert_eq!(scene.processes(), [0; 0]);
}

#[test]
fn a_guest_that_ends_when_it_is_asked_to_is_not_said_to_be_killed() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    fs::write(scene.path("a.xml"), xml("a", Uuid::random())).unwrap();
    let log = scene.path("log");
    let mut command = guestd(&scene);
    command.args(["--save-bandwidth", "64"]);
    let daemon = serve_with_log(command, fs::File::create(&log).unwrap().into());
    for round in 0..4 {
        succeed(&scene, &["create", &scene.text("a.xml")]);
        // One of those that end it finds it ended already.
        let mut clients: Vec<_> = (0..6).map(|_| guestctl(&scene, &["destroy", "a"]).spawn().unwrap()).collect();
        if round % 2 == 0 {
            clients.push(guestctl(&scene, &["save", "a", &scene.text("a.save")]).spawn().unwrap());
        }
        for client in clients {
            client.wait_with_output().unwrap();
        }
        assert_eq!((state(&scene, "a").as_str(), scene.left()), ("none", vec![]));
    }
    drop(daemon);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("the guest has ended") && !log.contains("killed") && !log.contains("cannot go on"), "{log}");
}
