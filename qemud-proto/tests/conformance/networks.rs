//! Networks.

use qemud_proto::failure::Reply;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::subject::Subject;

fn network(name: &str, uuid: Uuid, bridge: &str) -> String {
    format!("<network>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>\n  <bridge name='{bridge}'/>\n</network>\n")
}

async fn lists(subject: &Subject) -> (Vec<String>, Vec<String>) {
    let driver = &subject.driver;
    let active = driver.list_networks(ListNetworks).await.unwrap().names;
    let inactive = driver.list_defined_networks(ListDefinedNetworks).await.unwrap().names;
    let counted = (driver.num_networks(NumNetworks).await, driver.num_defined_networks(NumDefinedNetworks).await);
    let count = |names: &[String]| -> Reply<u32> { Ok(names.len().try_into().unwrap()) };
    assert_eq!(counted, (count(&active), count(&inactive)), "{}", subject.column);
    assert!(active.is_sorted() && inactive.is_sorted(), "{}", subject.column);
    (active, inactive)
}

pub(crate) async fn networks(subject: &Subject) {
    if !subject.networks {
        return;
    }
    let driver = &subject.driver;
    let before = lists(subject).await;
    let (uuid, other) = (Uuid::random(), Uuid::random());
    let (name, bridge) = ("conform-net", "conformbr0");
    let define = |xml| driver.network_define(NetworkDefine { xml });
    let create = |xml| driver.network_create(NetworkCreate { xml });
    let defined = define(network(name, uuid, bridge)).await;
    subject.ended("defining a network, once or twice", &defined);
    subject.ended("defining a network, once or twice", &define(network(name, uuid, bridge)).await);
    assert_eq!(defined, Ok(Identity { uuid, name: name.to_owned() }), "{}", subject.column);
    subject.is("a defined network is inactive", lists(subject).await.1.contains(&name.to_owned()));
    let of_name = driver.network_lookup_by_name(NetworkLookupByName { name: name.to_owned() }).await;
    assert_eq!(of_name, Ok(uuid), "{}", subject.column);
    let of_uuid = driver.network_lookup_by_uuid(NetworkLookupByUuid { uuid }).await;
    assert_eq!(of_uuid, Ok(NetworkOfUuid { name: name.to_owned() }), "{}", subject.column);
    let told = driver.network_get_bridge_name(NetworkGetBridgeName { uuid }).await;
    subject.is("an inactive network tells its bridge", told == Ok(BridgeName { name: bridge.to_owned() }));
    subject.ended("defining the name of another network", &define(network(name, other, "conformbr1")).await);
    subject.ended("defining the uuid of another network", &define(network("conform-two", uuid, "conformbr1")).await);
    subject.ended("creating the name of another network", &create(network(name, other, "conformbr1")).await);
    let clash = define(network("conform-two", other, bridge)).await;
    if let Ok(Identity { uuid, .. }) = clash {
        driver.network_undefine(NetworkUndefine { uuid }).await.unwrap();
    }
    subject.ended("defining the bridge of another network", &clash);

    subject.ended("destroying an inactive network", &driver.network_destroy(NetworkDestroy { uuid }).await);
    subject.ended("starting an inactive network", &driver.network_start(NetworkStart { uuid }).await);
    subject.is("a started network is active", lists(subject).await.0.contains(&name.to_owned()));
    subject.ended("starting an active network", &driver.network_start(NetworkStart { uuid }).await);
    subject.ended("creating an active network", &create(network(name, uuid, bridge)).await);
    subject.ended("undefining an active network", &driver.network_undefine(NetworkUndefine { uuid }).await);
    let xml = driver.network_dump_xml(NetworkDumpXml { uuid }).await.unwrap().xml;
    assert!(xml.contains(&uuid.to_string()) && xml.contains(bridge), "{}: {xml}", subject.column);
    let told = driver.network_get_bridge_name(NetworkGetBridgeName { uuid }).await;
    assert_eq!(told, Ok(BridgeName { name: bridge.to_owned() }), "{}", subject.column);
    for autostart in [true, true, false, true] {
        let marked = driver.network_set_autostart(NetworkSetAutostart { uuid, autostart }).await;
        subject.ended("marking a network for autostart, once or twice", &marked);
        let told = driver.network_get_autostart(NetworkGetAutostart { uuid }).await;
        assert_eq!(told, Ok(autostart), "{}", subject.column);
    }
    subject.ended("destroying an active network", &driver.network_destroy(NetworkDestroy { uuid }).await);
    subject.is("what is defined stays inactive", lists(subject).await.1.contains(&name.to_owned()));
    subject.ended("undefining an inactive network", &driver.network_undefine(NetworkUndefine { uuid }).await);
    define(network(name, uuid, bridge)).await.unwrap();
    let marked = driver.network_get_autostart(NetworkGetAutostart { uuid }).await;
    subject.is("undefining a network removes its mark", marked == Ok(false));
    driver.network_undefine(NetworkUndefine { uuid }).await.unwrap();

    let created = create(network(name, uuid, bridge)).await;
    subject.ended("creating a network", &created);
    let marked = driver.network_set_autostart(NetworkSetAutostart { uuid, autostart: true }).await;
    subject.ended("marking a network that was never defined", &marked);
    driver.network_destroy(NetworkDestroy { uuid }).await.unwrap();
    let found = driver.network_lookup_by_uuid(NetworkLookupByUuid { uuid }).await;
    subject.ended("a network that was created and is destroyed is gone", &found);
    nothing_found(subject, uuid).await;
    assert_eq!(lists(subject).await, before, "{}", subject.column);
}

async fn nothing_found(subject: &Subject, uuid: Uuid) {
    let driver = &subject.driver;
    let rule = "a key that no network has";
    for name in ["conform-nobody", "", "a\0b"] {
        let found = driver.network_lookup_by_name(NetworkLookupByName { name: name.to_owned() }).await;
        subject.ended(rule, &found);
    }
    subject.ended(rule, &driver.network_lookup_by_uuid(NetworkLookupByUuid { uuid }).await);
    subject.ended(rule, &driver.network_start(NetworkStart { uuid }).await);
    subject.ended(rule, &driver.network_destroy(NetworkDestroy { uuid }).await);
    subject.ended(rule, &driver.network_undefine(NetworkUndefine { uuid }).await);
    subject.ended(rule, &driver.network_dump_xml(NetworkDumpXml { uuid }).await);
    subject.ended(rule, &driver.network_get_bridge_name(NetworkGetBridgeName { uuid }).await);
    subject.ended(rule, &driver.network_get_autostart(NetworkGetAutostart { uuid }).await);
    subject.ended(rule, &driver.network_set_autostart(NetworkSetAutostart { uuid, autostart: true }).await);
    let good = network("conform-x", uuid, "conformbr2");
    for (rule, xml) in [
        ("xml of a network that is malformed", good.replace("</network>", "")),
        ("xml of a network with a NUL", good.replace("conform-x", "conform\0x")),
        ("xml of a network with a document type declaration", format!("<!DOCTYPE network>\n{good}")),
        ("xml of a network with another root element", good.replace("network>", "domain>")),
        ("a network without a name", good.replace("<name>conform-x</name>", "")),
        ("a network with a uuid that is none", good.replacen("<uuid>", "<uuid>x", 1)),
    ] {
        subject.ended(rule, &driver.network_define(NetworkDefine { xml: xml.clone() }).await);
        subject.ended(rule, &driver.network_create(NetworkCreate { xml }).await);
    }
}
