//! Guests of which a daemon finds nothing or nonsense in its folder, and what was left half done while they hang.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use qemud_proto::driver::Driver;
use qemud_proto::driver::qemu::QemuDriver;
use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use serde_json::{Value, json};

use crate::daemon::{Guestd, guestd};
use crate::failures::fake;
use crate::scene::{Calls, Scene, emulator, marked, names, signal, until, with_emulator, xml};

/// Shorter than a test's patience.
const SHORT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_file_is_gone_or_makes_no_sense_is_known_by_its_process() {
    let Some(_) = emulator() else { return };
    let (scene, uuid, other) = (Scene::new(), Uuid::random(), Uuid::random());
    let mut driver = scene.open().await;
    driver.create(xml("b", other)).await.unwrap();
    driver.define(xml("a", uuid)).await.unwrap();
    // It is not started twice.
    driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: true }).await.unwrap();
    driver.start(uuid).await.unwrap();
    let (live, file) = (driver.dump(uuid).await, scene.state().join("2.json"));
    let noted = fs::read_to_string(&file).unwrap();
    let processes = scene.processes();
    for nonsense in [
        None,
        Some(String::new()),
        Some("{".to_owned()),
        Some(noted.replace("\"id\": 2", "\"id\": 7")),
        Some(noted.replace("<memory>", "<memories>")),
        Some(noted.replace("running", "walking")),
        Some(noted.replace("\"pid\": ", "\"pid\": 1")),
    ] {
        assert_ne!(nonsense.as_ref(), Some(&noted));
        drop(driver);
        match &nonsense {
            None => fs::remove_file(&file).unwrap(),
            Some(nonsense) => fs::write(&file, nonsense).unwrap(),
        }
        driver = scene.open().await;
        assert_eq!(driver.ids().await, [1, 2], "{nonsense:?}");
        assert_eq!(driver.dump(uuid).await, live);
        assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
        assert_eq!(driver.start(uuid).await.unwrap_err().message, "domain 'a' is active already");
        assert_eq!(driver.define(xml("a", Uuid::random())).await.unwrap_err().code, Code::DomExist);
        assert_eq!(driver.create(xml("c", uuid)).await.unwrap_err().code, Code::DomExist);
        assert_eq!(scene.processes(), processes);
        // The next daemon need not wonder.
        assert_eq!(fs::read_to_string(&file).unwrap(), noted);
    }
    driver.destroy(2).await.unwrap();
    driver.destroy(1).await.unwrap();
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    assert_eq!(driver.start(uuid).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_which_no_file_is_left_is_listed_and_can_be_ended() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.create(xml("a", uuid)).await.unwrap();
    let pid = scene.processes()[0];
    drop(driver);
    fs::remove_dir_all(scene.state()).unwrap();
    // Nor does anything stay of one that has ended.
    fs::create_dir(scene.state()).unwrap();
    fs::write(scene.state().join("7.log"), "").unwrap();
    let driver = QemuDriver::open(scene.config().with_monitor_limit(SHORT)).await.unwrap();
    assert_eq!((driver.ids().await, scene.left()), (vec![1], vec!["1.json".to_owned()]));
    let failure = driver.info(uuid).await.unwrap_err();
    assert!(failure.message.ends_with(&format!("there is no way to its monitor (pid {pid})")), "{failure}");
    assert_eq!(driver.create(xml("a", uuid)).await.unwrap_err().message, "domain 'a' is active already");
    driver.destroy(1).await.unwrap();
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    assert_eq!(driver.create(xml("a", uuid)).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_has_lost_its_monitor_is_asked_to_end_before_it_is_killed() {
    let Some(real) = emulator() else { return };
    let (scene, uuid, note) = (Scene::new(), Uuid::random(), Scene::new());
    let asked = note.text("asked");
    let does = format!("trap 'touch {asked}; kill $!' TERM; '{}' \"$@\" & wait; exit", real.display());
    let driver = scene.open().await;
    driver.create(with_emulator("a", uuid, &fake(&scene, &real, &does))).await.unwrap();
    drop(driver);
    fs::remove_file(scene.state().join("1.monitor")).unwrap();
    let driver = QemuDriver::open(scene.config().with_monitor_limit(SHORT)).await.unwrap();
    driver.destroy(1).await.unwrap();
    assert!(std::path::Path::new(&asked).exists(), "its disks may have lost what was written");
    until("nothing runs", || scene.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulator_whose_wrapper_has_ended_is_ended_by_the_daemon_or_found_by_the_next() {
    let Some(real) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let xml = with_emulator("a", uuid, &fake(&scene, &real, &format!("'{}' \"$@\" & wait; exit", real.display())));
    let driver = scene.open().await;
    driver.create(xml.clone()).await.unwrap();
    assert_eq!(scene.processes().len(), 2, "the wrapper and the emulator");
    let wrapper = |id: i32| {
        let noted: Value =
            serde_json::from_slice(&fs::read(scene.state().join(format!("{id}.json"))).unwrap()).unwrap();
        i32::try_from(noted["phase"]["running"]["process"]["pid"].as_i64().unwrap()).unwrap()
    };
    drop(driver);
    signal("KILL", wrapper(1));
    until("the wrapper is dead", || scene.processes().len() == 1);
    let driver = scene.open().await;
    assert_eq!((driver.ids().await, driver.info(uuid).await.unwrap().runstate), (vec![1], RunState::Running));
    driver.destroy(1).await.unwrap();
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    driver.create(xml).await.unwrap();
    signal("KILL", wrapper(2));
    until("nothing runs", || scene.processes().is_empty());
    until("nothing is left", || scene.left().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guests_of_another_state_folder_are_left_alone() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.create(xml("a", uuid)).await.unwrap();
    let other = Scene::new();
    fs::create_dir_all(other.state()).unwrap();
    for name in ["1.json", "1.log"] {
        fs::copy(scene.state().join(name), other.state().join(name)).unwrap();
    }
    let beside = other.open().await;
    assert_eq!((beside.ids().await, other.left()), (vec![], vec!["1.json".to_owned(), "1.log".to_owned()]));
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_for_one_guest_hides_the_first_from_nobody() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.create(xml("a", uuid)).await.unwrap();
    drop(driver);
    // As an emulator that somebody has started once more from the environment of the first.
    let file = fs::canonicalize(scene.state()).unwrap().join("2.json");
    let mut second = Command::new("sh");
    second.args(["-c", "read line", "sh", &uuid.to_string()]).stdin(Stdio::piped());
    let mut second = second.env("GUESTD_GUEST", file).env("GUESTD_DEFINITION", xml("a", uuid)).spawn().unwrap();
    let driver = scene.open().await;
    assert_eq!(driver.ids().await, [1]);
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    driver.destroy(1).await.unwrap();
    assert!(second.try_wait().unwrap().is_none(), "it was ended");
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn what_bears_a_mark_and_is_no_guest_is_told_with_its_pid_and_left_alone() {
    let scene = Scene::new();
    fs::create_dir_all(scene.state()).unwrap();
    let file = fs::canonicalize(scene.state()).unwrap().join("3.json");
    fs::write(&file, "{").unwrap();
    // As a script is that a guest has started.
    let mut script = Command::new("cat");
    script.env("GUESTD_GUEST", &file).env("GUESTD_DEFINITION", xml("a", Uuid::random()));
    let mut script = script.stdin(Stdio::piped()).spawn().unwrap();
    let mut daemon = Guestd(guestd(&scene).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.into_iter().find(|line| line.contains("3.json"));
    assert!(script.try_wait().unwrap().is_none(), "it was ended");
    script.kill().unwrap();
    script.wait().unwrap();
    let told = told.expect("nothing is told of it");
    assert!(told.contains("still runs") && told.contains(&format!("pids=[{}]", script.id())), "{told}");
    assert_eq!(fs::read_to_string(file).unwrap(), "{", "it stays for whoever looks into it");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_hang_keep_neither_the_daemon_nor_other_guests_waiting() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    let uuids = [Uuid::random(), Uuid::random(), Uuid::random(), Uuid::random()];
    let driver = scene.open().await;
    for (name, uuid) in ["a", "b", "c", "d"].into_iter().zip(uuids) {
        driver.create(xml(name, uuid)).await.unwrap();
    }
    let live = driver.dump(uuids[1]).await;
    let pids = |id: i32| marked(&scene.state().join(format!("{id}.json")));
    drop(driver);
    for id in [1, 3] {
        signal("STOP", pids(id)[0]);
    }
    // Nobody would wait so long.
    let driver = QemuDriver::open(scene.config().with_monitor_limit(Duration::from_secs(100_000))).await.unwrap();
    assert_eq!(driver.ids().await, [1, 2, 3, 4]);
    for runs in [uuids[1], uuids[3]] {
        assert_eq!(driver.info(runs).await.unwrap().runstate, RunState::Running);
    }
    assert_eq!(driver.dump(uuids[1]).await, live);
    for (id, hangs) in [(1, uuids[0]), (3, uuids[2])] {
        assert!(driver.info(hangs).await.unwrap_err().message.contains("does not answer"));
        signal("CONT", pids(id)[0]);
        while driver.info(hangs).await.is_err() {}
        assert_eq!(driver.info(hangs).await.unwrap().runstate, RunState::Running);
    }
}

/// Tells a guest to halt, as a daemon would that begins to save it.
fn halt(scene: &Scene, id: i32) {
    let mut monitor = UnixStream::connect(scene.state().join(format!("{id}.monitor"))).unwrap();
    let mut answers = BufReader::new(monitor.try_clone().unwrap()).lines();
    for command in ["qmp_capabilities", "stop"] {
        monitor.write_all(json!({ "execute": command }).to_string().as_bytes()).unwrap();
        while !answers.next().unwrap().unwrap().contains("\"return\"") {}
    }
}

/// What a daemon leaves that is killed while it saves, with a guest that hangs from then on; the guest's pid.
async fn killed_while_it_saves(scene: &Scene, uuid: Uuid, phase: &str, resume: bool) -> i32 {
    let driver = scene.open().await;
    driver.create(xml("a", uuid)).await.unwrap();
    drop(driver);
    halt(scene, 1);
    let pid = scene.processes()[0];
    let file = scene.state().join("1.json");
    let mut noted: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let mut how = noted["phase"]["running"].take();
    fs::create_dir(scene.path("saved")).unwrap();
    how["partial"] = json!(scene.text("saved/.guestd-7-1.tmp"));
    how["resume"] = json!(resume);
    if phase == "saved" {
        how["path"] = json!(scene.text("saved/a"));
    }
    noted["phase"] = json!({ phase: how });
    fs::write(file, noted.to_string()).unwrap();
    fs::write(scene.path("saved/.guestd-7-1.tmp"), "half of it").unwrap();
    signal("STOP", pid);
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_a_daemon_left_is_undone_as_soon_as_the_guest_answers() {
    let Some(_) = emulator() else { return };
    for (phase, resume) in [("saving", true), ("saving", false), ("saved", true)] {
        let (scene, uuid) = (Scene::new(), Uuid::random());
        let pid = killed_while_it_saves(&scene, uuid, phase, resume).await;
        let driver = QemuDriver::open(scene.config().with_monitor_limit(SHORT)).await.unwrap();
        assert_eq!(driver.ids().await, [1]);
        assert!(driver.info(uuid).await.unwrap_err().message.contains("does not answer"));
        // Whoever knows nothing of it would go on with a guest that is saved, or lose what is saved.
        assert!(driver.domain_resume(DomainResume { id: 1 }).await.is_err());
        assert_eq!(names(&scene.path("saved")), [".guestd-7-1.tmp"]);
        signal("CONT", pid);
        let file = scene.state().join("1.json");
        until("it is undone", || fs::read_to_string(&file).unwrap().contains("running"));
        let expected = if resume { RunState::Running } else { RunState::Paused };
        while driver.info(uuid).await.is_err() {}
        assert_eq!(driver.info(uuid).await.unwrap().runstate, expected);
        assert_eq!(names(&scene.path("saved")), [""; 0]);
        driver.save(1, scene.text("saved/a")).await.unwrap();
        assert_eq!(names(&scene.path("saved")), ["a"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_ends_before_its_save_is_undone_is_saved_or_leaves_nothing() {
    let Some(_) = emulator() else { return };
    for (phase, left) in [("saving", &[][..]), ("saved", &["a"])] {
        let (scene, uuid) = (Scene::new(), Uuid::random());
        let pid = killed_while_it_saves(&scene, uuid, phase, true).await;
        let driver = QemuDriver::open(scene.config().with_monitor_limit(SHORT)).await.unwrap();
        signal("KILL", pid);
        until("nothing is left", || scene.left().is_empty());
        assert_eq!(names(&scene.path("saved")), left);
        drop(driver);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_hangs_while_it_is_saved_goes_on_when_it_answers() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = std::sync::Arc::new(QemuDriver::open(scene.config().with_monitor_limit(SHORT)).await.unwrap());
    let mut id = driver.create(xml("a", uuid)).await.unwrap();
    fs::create_dir(scene.path("saved")).unwrap();
    let path = scene.text("saved/a");
    let failure = loop {
        let (saving, target) = (std::sync::Arc::clone(&driver), path.clone());
        let pid = scene.processes()[0];
        let saving = tokio::spawn(async move { saving.save(id, target).await });
        until("it is being saved", || !names(&scene.path("saved")).is_empty());
        signal("STOP", pid);
        match saving.await.unwrap() {
            Err(failure) => break failure,
            // That was too late.
            Ok(()) => id = driver.restore(path.clone()).await.unwrap(),
        }
        fs::remove_file(&path).unwrap();
    };
    assert_eq!(failure.code, Code::OperationFailed, "{failure}");
    let file = scene.state().join(format!("{id}.json"));
    assert!(fs::read_to_string(&file).unwrap().contains("saving"), "it is not forgotten");
    signal("CONT", scene.processes()[0]);
    until("it is undone", || fs::read_to_string(&file).unwrap().contains("running"));
    while driver.info(uuid).await.is_err() {}
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    assert_eq!(names(&scene.path("saved")), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_fails_at_its_last_step_leaves_the_guest_running_and_no_file() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = std::sync::Arc::new(scene.open().await);
    let mut id = driver.create(xml("a", uuid)).await.unwrap();
    fs::create_dir(scene.path("saved")).unwrap();
    let path = scene.text("saved/a");
    let failure = loop {
        let (saving, target) = (std::sync::Arc::clone(&driver), path.clone());
        let saving = tokio::spawn(async move { saving.save(id, target).await });
        until("it is being saved", || !names(&scene.path("saved")).is_empty());
        // Where a folder is, no file gets its name.
        let in_time = fs::create_dir(&path).is_ok();
        match saving.await.unwrap() {
            Err(failure) => break failure,
            Ok(()) => id = driver.restore(path.clone()).await.unwrap(),
        }
        assert!(!in_time);
        fs::remove_file(&path).unwrap();
    };
    assert!(failure.message.starts_with(&format!("cannot save to '{path}': ")), "{failure}");
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    assert_eq!(names(&scene.path("saved")), ["a"]);
    assert!(scene.path("saved/a").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definition_of_a_running_guest_that_has_lost_its_uuid_is_still_that_guests() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("a", uuid)).await.unwrap();
    driver.start(uuid).await.unwrap();
    drop(driver);
    let file = scene.definitions().join("a.xml");
    let edited = xml("a", uuid).replace(&format!("<uuid>{uuid}</uuid>"), "").replace("65536", "32768");
    fs::write(&file, edited).unwrap();
    let driver = scene.open().await;
    // It is defined: otherwise it could not be marked, and would be gone at its end.
    driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: false }).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), xml("a", uuid).replace("65536", "32768"));
    driver.destroy(1).await.unwrap();
    assert_eq!(driver.inactive().await, ["a"]);
    assert_eq!(driver.info(uuid).await.unwrap().maxmem, 32_768);
}
