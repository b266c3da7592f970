//! dnsmasq ends though its network goes on.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::super::Watch;
use super::dhcp::{line, pid};
use super::namespace::{WITH_RIGHTS, inside, interface};
use super::*;
use crate::driver::qemu::process::Process;

/// How long a test waits for what must come: far longer than it takes, and no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ends it from outside, and waits until it has ended.
async fn kill(pid: &str) {
    let process = Process::open(pid.parse().unwrap()).unwrap();
    process.kill();
    process.ended().await;
}

fn runs(room: &Room, uuid: Uuid) -> Option<String> {
    let pid = fs::read_to_string(room.state().join(format!("{uuid}.pid"))).ok()?.trim().to_owned();
    line(&pid).map(|_| pid)
}

fn has_given_up(networks: &QemuNetworks, uuid: Uuid) -> bool {
    networks.0.watches().get(&uuid).is_some_and(Watch::has_given_up)
}

#[tokio::test(flavor = "multi_thread")]
async fn dnsmasq_is_started_again_when_it_ends_as_long_as_the_network_is_active() {
    let name = "watch::dnsmasq_is_started_again_when_it_ends_as_long_as_the_network_is_active";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let uuid = create(&networks, xml("lab", &format!("<bridge name='br0'/>{ADDRESSES}"))).await.unwrap();
    let mut before = pid(&room, uuid);
    let arguments = line(&before).unwrap();
    // Also by a daemon that has found it.
    for found in [false, true] {
        let networks = if found { &room.open().await } else { &networks };
        kill(&before).await;
        until("it runs again", || runs(&room, uuid).is_some_and(|pid| pid != before)).await;
        before = pid(&room, uuid);
        assert_eq!(line(&before).unwrap(), arguments);
        assert_eq!(names(networks).await, (vec!["lab".to_owned()], vec![]));
        if !found {
            // The next daemon has it to itself.
            networks.0.watches().clear();
        }
    }
    let networks = room.open().await;
    assert_eq!(networks.0.watches().len(), 1);
    destroy(&networks, uuid).await.unwrap();
    assert_eq!((networks.0.watches().len(), line(&before), room.left().len()), (0, None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dnsmasq_that_ends_again_and_again_is_given_up_and_the_network_can_be_started_anew() {
    let name = "watch::a_dnsmasq_that_ends_again_and_again_is_given_up_and_the_network_can_be_started_anew";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let folder = room.0.path().join("programs");
    fs::create_dir(&folder).unwrap();
    let (real, tries, works) = (foreign_tool::require("dnsmasq").unwrap(), folder.join("tries"), folder.join("works"));
    let script = format!(
        "#!/bin/sh\necho >>{}\ntest -e {} && exec {} \"$@\"\necho no such luck >&2\nexit 1\n",
        tries.display(),
        works.display(),
        real.display()
    );
    fs::write(folder.join("dnsmasq"), script).unwrap();
    fs::set_permissions(folder.join("dnsmasq"), fs::Permissions::from_mode(0o755)).unwrap();
    let tried = || fs::read(&tries).unwrap().len();
    let restarts = Restarts { most: 3, pause: Duration::from_millis(1), calm: Duration::from_secs(1000) };
    let programs = Programs::within(folder.as_os_str());
    let networks =
        QemuNetworks::open_with(&room.definitions(), &room.state(), programs.clone(), restarts).await.unwrap();
    fs::write(&works, "").unwrap();
    let uuid = define(&networks, xml("lab", &format!("<bridge name='br0'/>{ADDRESSES}"))).await.unwrap();
    start(&networks, uuid).await.unwrap();

    // It cannot be started again.
    fs::remove_file(&works).unwrap();
    kill(&pid(&room, uuid)).await;
    until("it is given up", || has_given_up(&networks, uuid)).await;
    assert_eq!((tried(), runs(&room, uuid)), (1 + 3, None));
    assert_eq!(names(&networks).await.0, ["lab"]);
    assert!(interface("br0").is_some());

    // It can, and ends soon.
    destroy(&networks, uuid).await.unwrap();
    fs::write(&works, "").unwrap();
    start(&networks, uuid).await.unwrap();
    for restart in 0..=3 {
        let before = pid(&room, uuid);
        kill(&before).await;
        if restart < 3 {
            until("it runs again", || runs(&room, uuid).is_some_and(|pid| pid != before)).await;
        }
    }
    until("it is given up", || has_given_up(&networks, uuid)).await;
    assert_eq!((tried(), runs(&room, uuid)), (1 + 3 + 1 + 3, None));
    destroy(&networks, uuid).await.unwrap();
    drop(networks);

    // One that has run long enough begins anew.
    let restarts = Restarts { calm: Duration::ZERO, ..restarts };
    let networks = QemuNetworks::open_with(&room.definitions(), &room.state(), programs, restarts).await.unwrap();
    start(&networks, uuid).await.unwrap();
    for _ in 0..=3 {
        let before = pid(&room, uuid);
        kill(&before).await;
        until("it runs again", || runs(&room, uuid).is_some_and(|pid| pid != before)).await;
    }
    assert!(!has_given_up(&networks, uuid));
}
