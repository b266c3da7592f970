//! Networks.

use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::wire::{Wire, proofs, refused};

proofs! {
    a_host_without_networks_says_so,
    a_created_network_is_active_and_is_gone_when_it_is_destroyed,
    a_defined_network_goes_from_inactive_to_active_and_back,
    a_definition_that_breaks_a_rule_is_refused_with_its_line,
    a_name_belongs_to_one_uuid_and_a_uuid_to_one_name,
    a_network_is_found_by_uuid_and_name,
    what_finds_no_network_names_the_key,
    what_is_active_cannot_be_started_created_or_undefined,
    the_xml_comes_back_as_it_was_sent,
    a_network_without_a_bridge_is_given_one,
    a_bridge_belongs_to_one_network,
    the_autostart_mark_is_idempotent_and_goes_with_the_definition,
    a_network_that_is_not_defined_cannot_be_marked,
    the_lists_of_networks_have_an_end,
}

fn xml(name: &str, uuid: Uuid, inside: &str) -> String {
    format!("<network><name>{name}</name><uuid>{uuid}</uuid>{inside}</network>")
}

async fn define(wire: &Wire, name: &str) -> Uuid {
    let uuid = Uuid::random();
    let identity = wire.call(NetworkDefine { xml: xml(name, uuid, "") }).await;
    assert_eq!(identity, Ok(Identity { uuid, name: name.to_owned() }));
    uuid
}

/// Names of the active and of the inactive networks.
async fn listed(wire: &Wire) -> (Vec<String>, Vec<String>) {
    let active = wire.call(ListNetworks).await.unwrap().names;
    let inactive = wire.call(ListDefinedNetworks).await.unwrap().names;
    assert_eq!(wire.call(NumNetworks).await, Ok(u32::try_from(active.len()).unwrap()));
    assert_eq!(wire.call(NumDefinedNetworks).await, Ok(u32::try_from(inactive.len()).unwrap()));
    (active, inactive)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn a_host_without_networks_says_so(wire: &Wire) {
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn a_created_network_is_active_and_is_gone_when_it_is_destroyed(wire: &Wire) {
    let uuid = Uuid::random();
    let created = wire.call(NetworkCreate { xml: xml("a", uuid, "") }).await;
    assert_eq!(created, Ok(Identity { uuid, name: "a".to_owned() }));
    assert_eq!(listed(wire).await, (names(&["a"]), vec![]));
    assert_eq!(wire.call(NetworkDestroy { uuid }).await, Ok(()));
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn a_defined_network_goes_from_inactive_to_active_and_back(wire: &Wire) {
    let uuid = define(wire, "b").await;
    define(wire, "a").await;
    assert_eq!(listed(wire).await, (vec![], names(&["a", "b"])));
    assert_eq!(wire.call(NetworkStart { uuid }).await, Ok(()));
    assert_eq!(listed(wire).await, (names(&["b"]), names(&["a"])));
    assert_eq!(wire.call(NetworkDestroy { uuid }).await, Ok(()));
    refused(wire.call(NetworkDestroy { uuid }).await, Code::OperationInvalid, "network 'b' is not active");
    assert_eq!(wire.call(NetworkUndefine { uuid }).await, Ok(()));
    assert_eq!(listed(wire).await, (vec![], names(&["a"])));
}

async fn a_definition_that_breaks_a_rule_is_refused_with_its_line(wire: &Wire) {
    for (xml, says) in [
        ("", "malformed xml"),
        ("<!DOCTYPE n [<!ENTITY e 'x'>]><network><name>&e;</name></network>", "document type declaration is refused"),
        ("<domain/>", "the root element is not network"),
        ("<network>\n<bridge name='br0'/></network>", "line 1: network has no name"),
        ("<network><name>a</name>\n<ip address='1.2.3' netmask='255.0.0.0'/></network>", "line 2: ip@address"),
    ] {
        refused(wire.call(NetworkDefine { xml: xml.to_owned() }).await, Code::XmlError, says);
        refused(wire.call(NetworkCreate { xml: xml.to_owned() }).await, Code::XmlError, says);
    }
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn a_name_belongs_to_one_uuid_and_a_uuid_to_one_name(wire: &Wire) {
    let uuid = define(wire, "a").await;
    let says = format!("network 'a' exists already, its uuid is {uuid}");
    for taken in [xml("a", Uuid::random(), ""), xml("b", uuid, "")] {
        refused(wire.call(NetworkDefine { xml: taken.clone() }).await, Code::NetworkExist, &says);
        refused(wire.call(NetworkCreate { xml: taken }).await, Code::NetworkExist, &says);
    }
}

async fn a_network_is_found_by_uuid_and_name(wire: &Wire) {
    let uuid = define(wire, "a").await;
    for _ in 0..2 {
        let name = "a".to_owned();
        assert_eq!(wire.call(NetworkLookupByName { name: name.clone() }).await, Ok(uuid));
        assert_eq!(wire.call(NetworkLookupByUuid { uuid }).await, Ok(NetworkOfUuid { name }));
        // And once more while it is active.
        let _ = wire.call(NetworkStart { uuid }).await;
    }
}

async fn what_finds_no_network_names_the_key(wire: &Wire) {
    define(wire, "a").await;
    let reply = wire.call(NetworkLookupByName { name: "A".to_owned() }).await;
    refused(reply, Code::NoNetwork, "no network with name 'A'");
    let uuid = Uuid::random();
    let says = &format!("no network with uuid '{uuid}'");
    refused(wire.call(NetworkLookupByUuid { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkStart { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkDestroy { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkUndefine { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkDumpXml { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkGetBridgeName { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkGetAutostart { uuid }).await, Code::NoNetwork, says);
    refused(wire.call(NetworkSetAutostart { uuid, autostart: true }).await, Code::NoNetwork, says);
}

async fn what_is_active_cannot_be_started_created_or_undefined(wire: &Wire) {
    let uuid = define(wire, "a").await;
    wire.call(NetworkStart { uuid }).await.unwrap();
    refused(wire.call(NetworkStart { uuid }).await, Code::OperationInvalid, "network 'a' is active already");
    let again = wire.call(NetworkCreate { xml: xml("a", uuid, "") }).await;
    refused(again, Code::OperationInvalid, "network 'a' is active already");
    refused(wire.call(NetworkUndefine { uuid }).await, Code::OperationInvalid, "network 'a' is active");
    assert_eq!(listed(wire).await, (names(&["a"]), vec![]));
}

async fn the_xml_comes_back_as_it_was_sent(wire: &Wire) {
    let uuid = Uuid::random();
    // The daemon of 2007 read `delay`, wrote `forwardDelay`, and turned ranges around.
    let inside = "<bridge name='br7' stp='off' delay='3'/><forward dev='eth0'/><!-- kept -->\
                  <ip address='10.0.0.1' netmask='255.0.0.0'>\
                  <dhcp><range start='10.0.0.2' end='10.0.0.9'/></dhcp></ip>";
    let sent = xml("a", uuid, inside);
    wire.call(NetworkDefine { xml: sent.clone() }).await.unwrap();
    assert_eq!(wire.call(NetworkDumpXml { uuid }).await, Ok(Description { xml: sent.clone() }));
    wire.call(NetworkStart { uuid }).await.unwrap();
    assert_eq!(wire.call(NetworkDumpXml { uuid }).await, Ok(Description { xml: sent }));
    assert_eq!(wire.call(NetworkGetBridgeName { uuid }).await, Ok(BridgeName { name: "br7".to_owned() }));
}

async fn a_network_without_a_bridge_is_given_one(wire: &Wire) {
    for number in 0..3 {
        let uuid = define(wire, &format!("n{number}")).await;
        let name = format!("virbr{number}");
        let dump = wire.call(NetworkDumpXml { uuid }).await.unwrap().xml;
        assert!(dump.contains(&format!("<bridge name='{name}'/>")), "{dump}");
        assert_eq!(wire.call(NetworkGetBridgeName { uuid }).await, Ok(BridgeName { name }));
    }
}

async fn a_bridge_belongs_to_one_network(wire: &Wire) {
    let bridge = "<bridge name='br0'/>";
    wire.call(NetworkCreate { xml: xml("a", Uuid::random(), bridge) }).await.unwrap();
    let xml = xml("b", Uuid::random(), bridge);
    let says = "network 'a' uses the bridge 'br0' already";
    refused(wire.call(NetworkDefine { xml: xml.clone() }).await, Code::OperationFailed, says);
    refused(wire.call(NetworkCreate { xml }).await, Code::OperationFailed, says);
    assert_eq!(listed(wire).await, (names(&["a"]), vec![]));
}

async fn the_autostart_mark_is_idempotent_and_goes_with_the_definition(wire: &Wire) {
    let uuid = define(wire, "a").await;
    assert_eq!(wire.call(NetworkGetAutostart { uuid }).await, Ok(false));
    for autostart in [true, true, false, false, true] {
        assert_eq!(wire.call(NetworkSetAutostart { uuid, autostart }).await, Ok(()));
        assert_eq!(wire.call(NetworkGetAutostart { uuid }).await, Ok(autostart));
    }
    wire.call(NetworkUndefine { uuid }).await.unwrap();
    wire.call(NetworkDefine { xml: xml("a", uuid, "") }).await.unwrap();
    assert_eq!(wire.call(NetworkGetAutostart { uuid }).await, Ok(false));
}

async fn a_network_that_is_not_defined_cannot_be_marked(wire: &Wire) {
    let uuid = wire.call(NetworkCreate { xml: xml("a", Uuid::random(), "") }).await.unwrap().uuid;
    for autostart in [true, false] {
        let reply = wire.call(NetworkSetAutostart { uuid, autostart }).await;
        refused(reply, Code::OperationInvalid, "network 'a' is not defined");
    }
}

async fn the_lists_of_networks_have_an_end(wire: &Wire) {
    let waiting = define(wire, "waiting").await;
    for number in 0..NETWORKS_MAX {
        let xml = xml(&format!("n{number:03}"), Uuid::random(), "");
        wire.call(NetworkCreate { xml: xml.clone() }).await.unwrap();
        let defined = wire.call(NetworkDefine { xml }).await;
        match number {
            // One is defined already.
            255 => refused(defined, Code::OperationFailed, "256 networks are defined, which is the maximum"),
            _ => assert!(defined.is_ok(), "{defined:?}"),
        }
    }
    let says = "256 networks are active, which is the maximum";
    refused(wire.call(NetworkStart { uuid: waiting }).await, Code::OperationFailed, says);
    let more = wire.call(NetworkCreate { xml: xml("more", Uuid::random(), "") }).await;
    refused(more, Code::OperationFailed, says);
    let (active, inactive) = listed(wire).await;
    assert_eq!((active.len(), inactive), (256, names(&["waiting"])));
}
