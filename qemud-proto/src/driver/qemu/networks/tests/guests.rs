//! Guests of the real QEMU in networks.

use super::foreign_tool::{missing, require};
use super::namespace::{WITH_RIGHTS, inside, interface};
use super::*;
use crate::driver::Driver;
use crate::driver::qemu::{QemuConfig, QemuDriver};

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_in_the_bridge_of_its_network_while_it_runs() {
    if !inside("guests::a_guest_is_in_the_bridge_of_its_network_while_it_runs", WITH_RIGHTS) {
        return;
    }
    if require("qemu-system-x86_64").is_none() {
        return;
    }
    if std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        return missing("/dev/net/tun cannot be opened");
    }
    let room = Room::new();
    let driver = QemuDriver::open(QemuConfig::new(room.definitions(), room.state())).await.unwrap();
    let network = xml("lab", &format!("<bridge name='br0'/>{ADDRESS}"));
    let network = driver.network_define(NetworkDefine { xml: network }).await.unwrap().uuid;
    let create = async || {
        let guest = "<domain type='qemu'><name>guest</name><memory>65536</memory>\
            <os><type arch='x86_64' machine='pc'>hvm</type></os>\
            <devices><interface type='network'><source network='lab'/></interface></devices></domain>";
        driver.domain_create(DomainCreate { xml: guest.to_owned() }).await
    };
    let failure = create().await.unwrap_err();
    assert_eq!(failure, Failure::new(Code::OperationInvalid, "network 'lab' is not active"));

    driver.network_start(NetworkStart { uuid: network }).await.unwrap();
    let id = create().await.unwrap().id;
    let port = interface(&format!("vnet{id}-0")).unwrap();
    assert_eq!(port["master"], "br0");
    assert!(port["flags"].as_array().unwrap().contains(&"UP".into()), "{port}");
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    assert_eq!(interface(&format!("vnet{id}-0")), None);
    assert!(interface("br0").is_some());
}
