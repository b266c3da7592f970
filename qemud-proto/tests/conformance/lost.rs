//! What becomes of the clients of a libvirtd that goes away, comes back, or does not answer, and of what others do there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use qemud_proto::driver::Driver;
use qemud_proto::driver::libvirt::LibvirtDriver;
use qemud_proto::events::DomainChange::{Defined, Started, Stopped, Undefined};
use qemud_proto::messages::*;

use crate::PATIENCE;
use crate::foreign_tool::require;
use crate::libvirtd::Libvirtd;

#[tokio::test(flavor = "multi_thread")]
async fn a_libvirtd_that_is_gone_is_told_of_and_found_again_when_it_is_back() {
    let Some(mut libvirtd) = Libvirtd::start() else { return };
    let driver = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let version = driver.get_version(GetVersion).await.unwrap();
    for _ in 0..2 {
        libvirtd.kill();
        let failure = driver.get_version(GetVersion).await.unwrap_err();
        assert!(!failure.message.is_empty(), "{failure}");
        let failure = driver.get_version(GetVersion).await.unwrap_err();
        assert!(failure.message.contains("libvirt-sock"), "{failure}");
        libvirtd.begin_again();
        assert_eq!(driver.get_version(GetVersion).await, Ok(version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_libvirtd_that_does_not_answer_keeps_nobody_else_waiting() {
    let Some(libvirtd) = Libvirtd::start() else { return };
    let libvirt = LibvirtDriver::new();
    let driver = libvirt.connect(&libvirtd.uri()).await.unwrap();
    libvirtd.signal("STOP");
    let mut waiting = pin!(driver.get_version(GetVersion));
    let other = async {
        let other = libvirt.connect("test:///default").await.unwrap();
        for _ in 0..100 {
            other.get_version(GetVersion).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        reply = &mut waiting => panic!("who has answered? {reply:?}"),
        () = other => {}
    }
    assert!(matches!(looked_at(waiting.as_mut()).await, Poll::Pending));
    libvirtd.signal("CONT");
    assert!(waiting.await.is_ok());
}

/// Looks once whether it is ready.
async fn looked_at<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_is_told() {
    let Some(libvirtd) = Libvirtd::start() else { return };
    let driver = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let mut events = driver.subscribe().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xml");
    let xml = "<domain type='qemu'><name>foreign</name><memory>65536</memory>\
               <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>";
    std::fs::write(&path, xml).unwrap();
    let mut told = async || {
        let (change, event) = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        assert_eq!((event.name.as_str(), event.lost), ("foreign", 0));
        (change, event.id)
    };
    libvirtd.virsh(&["define", path.to_str().unwrap()]);
    assert_eq!(told().await, (Defined, None));
    libvirtd.virsh(&["start", "foreign"]);
    assert_eq!(told().await, (Started, Some(1)));
    libvirtd.virsh(&["destroy", "foreign"]);
    assert_eq!(told().await, (Stopped, Some(1)));
    libvirtd.virsh(&["undefine", "foreign"]);
    assert_eq!(told().await, (Undefined, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_being_started_is_told_of_when_it_runs() {
    let (Some(libvirtd), Some(real)) = (Libvirtd::start(), require("qemu-system-x86_64")) else { return };
    // It tells what it is as the real one does, and goes on to run a guest when it is let.
    let folder = tempfile::tempdir().unwrap();
    let (emulator, begun, gate) = (folder.path().join("qemu"), folder.path().join("begun"), folder.path().join("gate"));
    let wait = format!("touch {}; until test -e {}; do sleep 0.01; done", begun.display(), gate.display());
    let script = format!(
        "#!/bin/sh\nfor argument in \"$@\"; do case $argument in guest=*) {wait};; esac; done\nexec '{}' \"$@\"\n",
        real.display()
    );
    std::fs::write(&emulator, script).unwrap();
    for path in [folder.path(), &emulator] {
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    let driver = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let domain = |name: &str, devices: String| {
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory>65536</memory>\
             <os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        driver.domain_define(DomainDefine { xml })
    };
    let slow = domain("slow", format!("<emulator>{}</emulator>", emulator.display())).await.unwrap();
    let mut events = driver.subscribe().await.unwrap();
    let mut told = async || {
        let (change, event) = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        (change, event.name, event.id)
    };
    let start = driver.domain_start(DomainStart { uuid: slow.uuid });
    let meanwhile = async {
        let waiting = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it is not being started");
        // With this, all that has changed is looked for.
        domain("other", String::new()).await.unwrap();
        assert_eq!(told().await, (Defined, "other".to_owned(), None));
        std::fs::write(&gate, "").unwrap();
    };
    let (id, ()) = tokio::join!(start, meanwhile);
    let id = id.unwrap();
    assert_eq!(told().await, (Started, "slow".to_owned(), Some(id)));
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    assert_eq!(told().await, (Stopped, "slow".to_owned(), Some(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_seen_and_a_guest_is_asked_to_power_off() {
    let Some(libvirtd) = Libvirtd::start() else { return };
    let driver = LibvirtDriver::new().connect(&libvirtd.uri()).await.unwrap();
    let xml = "<domain type='qemu'><name>screen</name><memory>65536</memory><features><acpi/></features>\
               <os><type arch='x86_64' machine='pc'>hvm</type></os>\
               <devices><video><model type='vga'/></video></devices></domain>";
    let DomainCreated { id, uuid, .. } = driver.domain_create(DomainCreate { xml: xml.to_owned() }).await.unwrap();
    let picture = driver.domain_screenshot(DomainScreenshot { id }).await.unwrap();
    assert!(
        picture.mime.starts_with("image/") && picture.bytes.len() > 1000,
        "{} {}",
        picture.mime,
        picture.bytes.len()
    );
    let idle = driver.domain_get_job_info(DomainGetJobInfo { uuid }).await.unwrap();
    assert_eq!((idle.kind, idle.data_total), (JobKind::None, 0));
    // Nothing in the guest hears it, but QEMU has been told.
    assert_eq!(driver.domain_shutdown(DomainShutdown { id }).await, Ok(()));
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
}
