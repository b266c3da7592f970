//! What a guest does from its definition to its end.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use qemud_proto::driver::Driver;
use qemud_proto::events::DomainChange;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::scene::{Calls, Scene, emulator, next, until, xml};

/// A boot sector that powers the machine off when its button is pressed.
const LISTENS_TO_ITS_BUTTON: &[u8] = &[
    0xba, 0x02, 0x06, // mov dx, 0x602: which events of the power management are wanted
    0xb8, 0x00, 0x01, // mov ax, 0x100: the button
    0xef, //             out dx, ax
    0xba, 0x00, 0x06, // mov dx, 0x600: which have come
    0xed, //             in ax, dx
    0xf6, 0xc4, 0x01, // test ah, 1
    0x74, 0xf7, //       jz back to the first of these
    0xba, 0x04, 0x06, // mov dx, 0x604: what the machine is to do
    0xb8, 0x00, 0x20, // mov ax, 0x2000: to be off
    0xef, //             out dx, ax
    0xf4, //             hlt
];

/// A guest that listens to its button, with its disk.
pub(crate) fn with_button(scene: &Scene, uuid: Uuid) -> String {
    let mut sector = LISTENS_TO_ITS_BUTTON.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    if !scene.path("disk").exists() {
        fs::write(scene.path("disk"), sector).unwrap();
    }
    let disk = format!(
        "<disk type='file'><source file='{}'/><target dev='hda'/></disk></devices>",
        scene.path("disk").display()
    );
    xml("a", uuid).replace("</devices>", &disk).replace("<devices>", "<features><acpi/></features><devices>")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_defined_and_runs_and_is_suspended_and_ends() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let mut events = driver.subscribe().await.unwrap();
    driver.define(xml("a", uuid)).await.unwrap();
    assert_eq!(fs::read_to_string(scene.definitions().join("a.xml")).unwrap(), xml("a", uuid));
    assert_eq!(driver.inactive().await, ["a"]);
    assert_eq!(driver.start(uuid).await, Ok(1));
    assert_eq!((driver.ids().await, driver.inactive().await.len()), (vec![1], 0));
    let failure = driver.start(uuid).await.unwrap_err();
    assert_eq!(failure.message, "domain 'a' is active already");

    let info = driver.info(uuid).await.unwrap();
    assert_eq!((info.runstate, info.memory, info.maxmem, info.nr_virt_cpu), (RunState::Running, 65_536, 65_536, 1));
    let process = scene.processes();
    assert_eq!(process.len(), 1);
    // It has a session of its own, so that it outlives the daemon's terminal.
    let stat = fs::read_to_string(format!("/proc/{}/stat", process[0])).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split(' ').nth(4).unwrap();
    assert_eq!(session, process[0].to_string());
    while driver.info(uuid).await.unwrap().cpu_time == 0 {}

    for _ in 0..2 {
        driver.domain_suspend(DomainSuspend { id: 1 }).await.unwrap();
        assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Paused);
    }
    for _ in 0..2 {
        driver.domain_resume(DomainResume { id: 1 }).await.unwrap();
        assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
    }
    driver.destroy(1).await.unwrap();
    assert_eq!((driver.ids().await.len(), driver.inactive().await), (0, vec!["a".to_owned()]));
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Stopped);
    driver.domain_undefine(DomainUndefine { uuid }).await.unwrap();
    assert!(!scene.definitions().join("a.xml").exists());
    for (change, id) in [
        (DomainChange::Defined, None),
        (DomainChange::Started, Some(1)),
        (DomainChange::Suspended, Some(1)),
        (DomainChange::Resumed, Some(1)),
        (DomainChange::Stopped, Some(1)),
        (DomainChange::Undefined, None),
    ] {
        assert_eq!(next(&mut events).await, (change, "a".to_owned(), id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_display_is_where_the_live_xml_says_and_its_screen_is_seen() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let id = driver.create(xml("a", uuid)).await.unwrap();
    let live = driver.dump(uuid).await;
    assert!(live.starts_with(&format!("<domain id='{id}' type='qemu'>")), "{live}");
    let port: u16 = live.split("port='").nth(2).unwrap().split('\'').next().unwrap().parse().unwrap();
    let mut greeting = [0; 4];
    TcpStream::connect(("127.0.0.1", port)).unwrap().read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"RFB ");
    let picture = driver.domain_screenshot(DomainScreenshot { id }).await.unwrap();
    assert_eq!((picture.mime.as_str(), &picture.bytes[..8]), ("image/png", &b"\x89PNG\r\n\x1a\n"[..]));
    assert_eq!(scene.left(), ["1.json", "1.log", "1.monitor"]);
    driver.destroy(id).await.unwrap();
    assert!(driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.is_err(), "it was never defined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_guest_comes_back_as_it_was() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("a", uuid)).await.unwrap();
    let mut id = driver.start(uuid).await.unwrap();
    let mut events = driver.subscribe().await.unwrap();
    for paused in [false, true] {
        if paused {
            driver.domain_suspend(DomainSuspend { id }).await.unwrap();
            assert_eq!(next(&mut events).await.0, DomainChange::Suspended);
        }
        let path = scene.text("a.save");
        driver.save(id, path.clone()).await.unwrap();
        assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let content = fs::read(&path).unwrap();
        assert!(content.starts_with(b"guestd qemu driver: saved domain, version 1\nrunstate "));
        let says = if paused { &b"paused"[..] } else { b"running" };
        assert!(content[53..].starts_with(says));
        assert_eq!(driver.inactive().await, ["a"]);
        assert_eq!(driver.restore(path.clone()).await, Ok(id + 1));
        id += 1;
        let runstate = driver.info(uuid).await.unwrap().runstate;
        assert_eq!(runstate, if paused { RunState::Paused } else { RunState::Running });
        let failure = driver.restore(path).await.unwrap_err();
        assert_eq!(failure.message, "domain 'a' is active already");
        let idle = driver.domain_get_job_info(DomainGetJobInfo { uuid }).await.unwrap();
        assert_eq!(idle.kind, JobKind::None);
        assert_eq!(next(&mut events).await, (DomainChange::Stopped, "a".to_owned(), Some(id - 1)));
        assert_eq!(next(&mut events).await, (DomainChange::Started, "a".to_owned(), Some(id)));
    }
    assert_eq!(next(&mut events).await.0, DomainChange::Suspended);
    // What was suspended goes on.
    driver.domain_resume(DomainResume { id }).await.unwrap();
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_powers_off_at_its_button_is_noticed_at_once() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let xml = with_button(&scene, uuid);
    let driver = scene.open().await;
    let mut events = driver.subscribe().await.unwrap();
    let id = driver.create(xml).await.unwrap();
    assert_eq!(next(&mut events).await.0, DomainChange::Started);
    // The button does nothing until the guest listens to it; once it is off, there is none.
    let mut stopped = std::pin::pin!(next(&mut events));
    let stopped = loop {
        let pressed = driver.domain_shutdown(DomainShutdown { id });
        tokio::select! {
            biased;
            stopped = &mut stopped => break stopped,
            // Until then it is either pressed or already too late.
            _ = pressed => {}
        }
    };
    assert_eq!(stopped, (DomainChange::Stopped, "a".to_owned(), Some(id)));
    assert_eq!((scene.processes(), scene.left()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_killed_from_outside_is_noticed() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    driver.define(xml("a", uuid)).await.unwrap();
    let id = driver.start(uuid).await.unwrap();
    let mut events = driver.subscribe().await.unwrap();
    crate::scene::signal("KILL", scene.processes()[0]);
    assert_eq!(next(&mut events).await, (DomainChange::Stopped, "a".to_owned(), Some(id)));
    assert_eq!(driver.info(uuid).await.unwrap().runstate, RunState::Stopped);
    assert_eq!(driver.start(uuid).await, Ok(id + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_tells_what_the_emulator_is() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    let driver = scene.open().await;
    assert!(driver.get_version(GetVersion).await.unwrap() >= 5_000_000);
    let xml = driver.get_capabilities(GetCapabilities).await.unwrap().xml;
    assert!(xml.contains("qemu-system-x86_64</emulator>") && xml.contains("<domain type='qemu'"), "{xml}");
    until("nothing runs", || scene.processes().is_empty());
}
