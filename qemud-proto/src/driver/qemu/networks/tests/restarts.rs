//! Daemons that die, and those that come after them.

use super::super::bridge;
use super::super::host::Host;
use super::super::plan::Plan;
use super::dhcp::{line, pid};
use super::namespace::{WITH_RIGHTS, attempt, inside, interface, ip, rules, setting};
use super::*;
use crate::driver::qemu::process::Process;
use crate::driver::qemu::programs::Programs;
use crate::driver::store::Store;
use crate::xml::NetworkDefinition;

fn lab(bridge: &str) -> String {
    xml("lab", &format!("<bridge name='{bridge}'/><forward/>{ADDRESSES}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_network_goes_on_without_the_daemon_and_is_found_again() {
    if !inside("restarts::an_active_network_goes_on_without_the_daemon_and_is_found_again", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let uuid = create(&networks, lab("br0")).await.unwrap();
    let (running, before, text) = (pid(&room, uuid), rules(), dump(&networks, uuid).await);
    drop(networks);
    assert!(line(&running).is_some());

    // Beside what is no record of a network, or one of another.
    let foreign = ["a.xml", "b.xml"].map(|file| room.state().join(file));
    std::fs::write(&foreign[0], "<network").unwrap();
    std::fs::write(&foreign[1], xml("b", "<bridge name='br1'/>")).unwrap();
    let networks = room.open().await;
    assert_eq!((pid(&room, uuid), rules(), dump(&networks, uuid).await), (running, before, text));
    assert_eq!(names(&networks).await, (vec!["lab".to_owned()], vec![]));
    assert_eq!(networks.bridge_of("lab").await.unwrap(), "br0");
    destroy(&networks, uuid).await.unwrap();
    assert_eq!((room.left(), interface("br0"), rules()), (vec!["a.xml".into(), "b.xml".into()], None, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_active_network_has_lost_is_made_again() {
    if !inside("restarts::what_an_active_network_has_lost_is_made_again", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let uuid = create(&networks, lab("br0")).await.unwrap();
    let (killed, before) = (pid(&room, uuid), rules());
    drop(networks);
    attempt("nft", &["flush", "ruleset"]).unwrap();
    ip(&["address", "flush", "dev", "br0"]);
    let process = Process::open(killed.parse().unwrap()).unwrap();
    process.kill();
    process.ended().await;
    // Its number is another program's by now: that one is left alone.
    let other = std::process::id();
    std::fs::write(room.state().join(format!("{uuid}.pid")), format!("{other}\n")).unwrap();

    let networks = room.open().await;
    assert_eq!(names(&networks).await, (vec!["lab".to_owned()], vec![]));
    assert_eq!(rules(), before);
    assert_eq!(interface("br0").unwrap()["addr_info"][0]["local"], "192.168.99.1");
    let running = pid(&room, uuid);
    assert!(line(&running).unwrap()[0].ends_with("dnsmasq"));
    destroy(&networks, uuid).await.unwrap();
    assert_eq!(line(&running), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_whose_bridge_has_gone_is_inactive_and_nothing_of_it_stays() {
    if !inside("restarts::a_network_whose_bridge_has_gone_is_inactive_and_nothing_of_it_stays", WITH_RIGHTS) {
        return;
    }
    for replaced in [false, true] {
        let room = Room::new();
        let networks = room.open().await;
        let uuid = define(&networks, lab("br0")).await.unwrap();
        start(&networks, uuid).await.unwrap();
        let running = pid(&room, uuid);
        drop(networks);
        ip(&["link", "delete", "br0"]);
        if replaced {
            ip(&["link", "add", "br0", "type", "bridge"]);
        }
        let networks = room.open().await;
        assert_eq!(names(&networks).await, (vec![], vec!["lab".to_owned()]));
        assert_eq!((line(&running), room.left().len(), rules()), (None, 0, String::new()));
        assert_eq!(interface("br0").is_some(), replaced);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_died_at_work_leaves_a_network_that_is_active_or_not() {
    if !inside("restarts::a_daemon_that_died_at_work_leaves_a_network_that_is_active_or_not", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let definition = NetworkDefinition::parse(&lab("br0")).unwrap();
    let plan = Plan::of(&definition).unwrap();
    let record = Store::open(&room.state()).unwrap();
    let note = || record.write(&plan.uuid.to_string(), &definition.stored_xml()).unwrap();

    // Before there was a bridge.
    note();
    let networks = room.open().await;
    assert_eq!((names(&networks).await, room.left().len()), ((vec![], vec![]), 0));
    drop(networks);

    // When there was nothing but the bridge.
    note();
    bridge::make(&plan).await.unwrap();
    let networks = room.open().await;
    assert_eq!(names(&networks).await, (vec!["lab".to_owned()], vec![]));
    assert!(line(&pid(&room, plan.uuid)).is_some() && rules().contains("guestd_br0"));
    drop(networks);

    // At its end, when the bridge had gone and the record had not.
    let host = Host::open(&room.state(), Programs::of_this_host()).await.unwrap();
    host.stop(&plan).await.unwrap();
    note();
    let networks = room.open().await;
    assert_eq!((names(&networks).await, room.left().len(), rules()), ((vec![], vec![]), 0, String::new()));

    // What cannot be made whole is not called active.
    note();
    bridge::make(&plan).await.unwrap();
    let networks = room.open_with(&["nft"]).await;
    assert_eq!(names(&networks).await, (vec![], vec![]));
    assert_eq!((room.left().len(), interface("br0"), rules()), (0, None, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn marked_networks_start_with_the_daemon_and_one_that_cannot_hinders_no_other() {
    if !inside("restarts::marked_networks_start_with_the_daemon_and_one_that_cannot_hinders_no_other", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    for (name, inside) in [("a", "<bridge name='all'/>"), ("b", "<bridge name='br1'/>"), ("c", "<bridge name='br2'/>")]
    {
        let uuid = define(&networks, xml(name, inside)).await.unwrap();
        let autostart = name != "c";
        networks.network_set_autostart(NetworkSetAutostart { uuid, autostart }).await.unwrap();
    }
    assert_eq!(names(&networks).await.0, [""; 0]);
    drop(networks);
    for _ in 0..2 {
        let networks = room.open().await;
        assert_eq!(names(&networks).await, (vec!["b".to_owned()], vec!["a".to_owned(), "c".to_owned()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_must_not_be_forwarded_is_not_after_a_restart_either() {
    if !inside("restarts::a_network_that_must_not_be_forwarded_is_not_after_a_restart_either", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    // Found in this order, whatever the order of the starts was.
    let (first, last) = (Uuid([1; 16]), Uuid([2; 16]));
    let subnet = "<ip address='192.168.98.1' netmask='255.255.255.0'/>";
    let isolated = format!("<uuid>{first}</uuid><bridge name='br1'/>{ADDRESS}");
    let forwarded = format!("<uuid>{last}</uuid><bridge name='br2'/><forward/>{subnet}");
    create(&networks, xml("isolated", &isolated)).await.unwrap();
    create(&networks, xml("forwarded", &forwarded)).await.unwrap();
    drop(networks);
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let networks = room.open().await;
    assert_eq!(names(&networks).await.0, ["forwarded", "isolated"]);
    assert_eq!(
        ["ip_forward", "conf/br1/forwarding", "conf/br2/forwarding"].map(|name| setting(&format!("ipv4/{name}"))),
        ["1", "0", "1"]
    );
}
