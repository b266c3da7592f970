//! Daemons that end while guests run, and what the next one finds.

use std::fs;

use qemud_proto::driver::Driver;
use qemud_proto::driver::qemu::QemuDriver;
use qemud_proto::failure::{Code, Failure};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::daemon::{guestd, serve, state, succeed};
use crate::scene::{Calls, Scene, emulator, signal, until, xml};

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_found_again_as_they_are() {
    let Some(_) = emulator() else { return };
    let (scene, runs, paused) = (Scene::new(), Uuid::random(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("runs", runs)).await.unwrap();
    driver.start(runs).await.unwrap();
    driver.create(xml("paused", paused)).await.unwrap();
    driver.domain_suspend(DomainSuspend { id: 2 }).await.unwrap();
    // What is defined now counts from the next start.
    driver.define(xml("runs", runs).replace("65536", "32768")).await.unwrap();
    let live = driver.dump(runs).await;
    drop(driver);

    let driver = scene.open().await;
    assert_eq!(driver.ids().await, [1, 2]);
    assert_eq!(driver.dump(runs).await, live);
    assert_eq!(driver.info(runs).await.unwrap().runstate, RunState::Running);
    assert_eq!(driver.info(paused).await.unwrap().runstate, RunState::Paused);
    driver.domain_resume(DomainResume { id: 2 }).await.unwrap();
    driver.destroy(1).await.unwrap();
    driver.destroy(2).await.unwrap();
    assert_eq!(driver.inactive().await, ["runs"]);
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    assert_eq!(driver.start(runs).await, Ok(3));
    assert_eq!(driver.info(runs).await.unwrap().maxmem, 32_768);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_died_meanwhile_are_not_active_and_their_ids_are_not_given_again() {
    let Some(_) = emulator() else { return };
    let (scene, defined, created) = (Scene::new(), Uuid::random(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("defined", defined)).await.unwrap();
    driver.start(defined).await.unwrap();
    driver.create(xml("created", created)).await.unwrap();
    drop(driver);
    scene.processes().into_iter().for_each(|pid| signal("KILL", pid));
    until("they are dead", || scene.processes().is_empty());

    let driver = scene.open().await;
    assert_eq!((driver.ids().await, driver.inactive().await), (vec![], vec!["defined".to_owned()]));
    assert_eq!(scene.left(), [""; 0]);
    assert_eq!(driver.start(defined).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_hangs_while_it_is_found_is_active_and_answers_later() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.create(xml("a", uuid)).await.unwrap();
    let pid = scene.processes()[0];
    drop(driver);
    signal("STOP", pid);
    let short = scene.config().with_monitor_limit(std::time::Duration::from_secs(1));
    let driver = QemuDriver::open(short).await.unwrap();
    assert_eq!(driver.ids().await, [1]);
    let failure = driver.info(uuid).await.unwrap_err();
    assert!(failure.message.starts_with("domain 'a' does not answer: "), "{failure}");
    signal("CONT", pid);
    while driver.info(uuid).await.is_err() {}
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_kept_out_of_both_folders() {
    let scene = Scene::new();
    let driver = scene.open().await;
    let other = Scene::new();
    for (definitions, state, locked) in
        [(scene.definitions(), other.state(), scene.definitions()), (other.definitions(), scene.state(), scene.state())]
    {
        let config = qemud_proto::driver::qemu::QemuConfig::new(definitions, state);
        let Err(failure) = QemuDriver::open(config).await else { panic!("it was not kept out") };
        let (lock, pid) = (locked.join("lock"), std::process::id());
        let message = format!("another daemon has locked '{}', its pid is {pid}", lock.display());
        assert_eq!(failure, Failure::new(Code::OperationFailed, message));
    }
    drop(driver);
    scene.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_was_edited_to_nonsense_hides_no_other() {
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("good", uuid)).await.unwrap();
    drop(driver);
    let folder = scene.definitions();
    fs::write(folder.join("broken.xml"), "<domain").unwrap();
    fs::write(folder.join("other.xml"), xml("another", Uuid::random())).unwrap();
    fs::write(folder.join("twice.xml"), xml("twice", uuid)).unwrap();
    fs::write(folder.join("binary.xml"), [0xff; 9]).unwrap();
    let nameless = xml("fresh", uuid).replace(&format!("<uuid>{uuid}</uuid>"), "");
    fs::write(folder.join("fresh.xml"), nameless).unwrap();

    let driver = scene.open().await;
    assert_eq!(driver.inactive().await, ["fresh", "good"]);
    let fresh = driver.domain_lookup_by_name(DomainLookupByName { name: "fresh".into() }).await.unwrap().uuid;
    let failure = driver.define(xml("broken", Uuid::random())).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    assert!(failure.message.contains(&folder.join("broken.xml").display().to_string()), "{failure}");
    drop(driver);
    // They stay for whoever edited them, and what had no uuid keeps the one that it got.
    assert_eq!(fs::read_to_string(folder.join("broken.xml")).unwrap(), "<domain");
    let driver = scene.open().await;
    assert_eq!(driver.domain_lookup_by_name(DomainLookupByName { name: "fresh".into() }).await.unwrap().uuid, fresh);
    fs::remove_file(folder.join("broken.xml")).unwrap();
    driver.define(xml("broken", Uuid::random())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_starts_together_with_the_daemon_and_what_runs_is_left_alone() {
    let Some(_) = emulator() else { return };
    let (scene, marked, other) = (Scene::new(), Uuid::random(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("marked", marked)).await.unwrap();
    driver.define(xml("other", other)).await.unwrap();
    driver.domain_set_autostart(DomainSetAutostart { uuid: marked, autostart: true }).await.unwrap();
    assert_eq!(driver.ids().await, [0; 0]);
    for _ in 0..2 {
        drop(scene.open());
    }
    drop(driver);
    for _ in 0..2 {
        let driver = scene.open().await;
        while driver.ids().await != [1] {
            tokio::task::yield_now().await;
        }
        assert_eq!(driver.inactive().await, ["other"]);
        assert_eq!(driver.domain_get_autostart(DomainGetAutostart { uuid: marked }).await, Ok(true));
    }
}

#[test]
fn the_daemon_that_ends_in_order_leaves_its_guests_running() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    fs::write(scene.path("a.xml"), xml("a", Uuid::random())).unwrap();
    let mut daemon = serve(guestd(&scene));
    succeed(&scene, &["create", &scene.text("a.xml")]);
    signal("TERM", i32::try_from(daemon.0.id()).unwrap());
    assert!(daemon.0.wait().unwrap().success());
    assert_eq!(scene.processes().len(), 1);
    let _daemon = serve(guestd(&scene));
    assert_eq!(state(&scene, "a"), "running");
    let pid = scene.processes()[0];
    signal("KILL", pid);
    until("its end was noticed", || state(&scene, "a") == "none");
}
