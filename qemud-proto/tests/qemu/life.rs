//! What a guest does from its definition to its end.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use qemud_proto::driver::Driver;
use qemud_proto::events::DomainChange;
use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::scene::{Calls, Scene, emulator, next, until, with_disk, xml};

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
    let xml = with_disk(&xml("a", uuid), scene, LISTENS_TO_ITS_BUTTON);
    xml.replace("<devices>", "<features><acpi/></features><devices>")
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
async fn a_guest_that_runs_and_what_it_is_saved_to_name_its_machine_for_good() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    for (named, machine) in [("", "pc-i440fx-"), (" machine='pc'", "pc-i440fx-"), (" machine='q35'", "pc-q35-")] {
        let xml = xml("a", uuid).replace(" arch='x86_64'", &format!(" arch='x86_64'{named}"));
        let xml = xml.replace("<graphics type='vnc' port='-1'/>", "");
        driver.define(xml.clone()).await.unwrap();
        let id = driver.start(uuid).await.unwrap();
        let live = driver.dump(uuid).await;
        let word = live.split(" machine='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        // A version follows, and the alias is gone.
        assert!(word.strip_prefix(machine).unwrap().starts_with(|digit: char| digit.is_ascii_digit()), "{live}");
        assert_eq!(live.matches("machine=").count(), 1, "{live}");
        let pid = scene.processes()[0];
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(line.contains(&format!("-machine\0{word},")), "{line}");
        let path = scene.text("a.save");
        driver.save(id, path.clone()).await.unwrap();
        let content = fs::read(&path).unwrap();
        let head = String::from_utf8_lossy(&content[..1024]).into_owned();
        assert!(head.contains(&format!(" machine='{word}'")), "{head}");
        // What is defined is what was written: the next start may have another machine.
        assert_eq!(driver.dump(uuid).await, xml);
        let id = driver.restore(path).await.unwrap();
        assert_eq!(driver.dump(uuid).await, live.replace(&format!("id='{}'", id - 1), &format!("id='{id}'")));
        driver.destroy(id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_a_display_has_no_screen() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    let driver = scene.open().await;
    let id = driver.create(xml("a", uuid).replace("<graphics type='vnc' port='-1'/>", "")).await.unwrap();
    let failure = driver.domain_screenshot(DomainScreenshot { id }).await.unwrap_err();
    let message = "domain 'a' has no display, so there is nothing to take a picture of";
    assert_eq!((failure.code, failure.message.as_str()), (Code::OperationInvalid, message));
}

/// A boot sector that does what the driver of a balloon does: it looks for one, and tells it that 8192 pages of 4 KiB were
/// given back.
const GIVES_BACK: &[u8] = &[
    0x31, 0xdb, //                         xor bx, bx: the device
    0x66, 0x0f, 0xb7, 0xcb, //             movzx ecx, bx: the next one's place on the bus
    0x66, 0xc1, 0xe1, 0x0b, //             shl ecx, 11
    0x66, 0x89, 0xc8, //                   mov eax, ecx: which register of it
    0x66, 0x0d, 0x00, 0x00, 0x00, 0x80, // or eax, 0x80000000: its kind
    0xba, 0xf8, 0x0c, //                   mov dx, 0xcf8
    0x66, 0xef, //                         out dx, eax
    0xb2, 0xfc, //                         mov dl, 0xfc
    0x66, 0xed, //                         in eax, dx
    0x43, //                               inc bx
    0x66, 0x3d, 0xf4, 0x1a, 0x02, 0x10, // cmp eax, 0x10021af4: a balloon
    0x75, 0xdd, //                         jne to the next one
    0x66, 0x89, 0xc8, //                   mov eax, ecx
    0x66, 0x0d, 0x10, 0x00, 0x00, 0x80, // or eax, 0x80000010: where its ports are
    0xb2, 0xf8, //                         mov dl, 0xf8
    0x66, 0xef, //                         out dx, eax
    0xb2, 0xfc, //                         mov dl, 0xfc
    0x66, 0xed, //                         in eax, dx
    0x24, 0xfc, //                         and al, 0xfc
    0x83, 0xc0, 0x18, //                   add ax, 0x18: how much was given back
    0x89, 0xc2, //                         mov dx, ax
    0x66, 0xb8, 0x00, 0x20, 0x00, 0x00, // mov eax, 8192
    0x66, 0xef, //                         out dx, eax
    0xf4, //                               hlt
];

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_uses_its_memory_but_for_what_it_has_given_back() {
    let Some(_) = emulator() else { return };
    let (scene, keeps, gives) = (Scene::new(), Uuid::random(), Uuid::random());
    let driver = scene.open().await;
    let less = |xml: String| xml.replace("</memory>", "</memory><currentMemory>32768</currentMemory>");
    driver.define(less(xml("keeps", keeps))).await.unwrap();
    let memory = async |uuid| {
        let info = driver.info(uuid).await.unwrap();
        (info.memory, info.maxmem)
    };
    assert_eq!(memory(keeps).await, (32_768, 65_536));
    driver.start(keeps).await.unwrap();
    // It is asked for it, and has no driver that would give way.
    assert_eq!(memory(keeps).await, (65_536, 65_536));
    let gives_back = with_disk(&less(xml("gives", gives)), &scene, GIVES_BACK);
    driver.create(gives_back).await.unwrap();
    while memory(gives).await != (32_768, 65_536) {}
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
