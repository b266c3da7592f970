use pollster::block_on;

use crate::driver::Driver;
use crate::driver::test::TestDriver;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;

fn xml(name: &str, uuid: Uuid, inside: &str) -> String {
    format!("<network><name>{name}</name><uuid>{uuid}</uuid>{inside}</network>")
}

fn create(driver: &TestDriver, xml: String) -> Reply<Identity> {
    block_on(driver.network_create(NetworkCreate { xml }))
}

fn define(driver: &TestDriver, xml: String) -> Reply<Identity> {
    block_on(driver.network_define(NetworkDefine { xml }))
}

fn start(driver: &TestDriver, uuid: Uuid) -> Reply<()> {
    block_on(driver.network_start(NetworkStart { uuid }))
}

fn destroy(driver: &TestDriver, uuid: Uuid) -> Reply<()> {
    block_on(driver.network_destroy(NetworkDestroy { uuid }))
}

fn undefine(driver: &TestDriver, uuid: Uuid) -> Reply<()> {
    block_on(driver.network_undefine(NetworkUndefine { uuid }))
}

fn bridge(driver: &TestDriver, uuid: Uuid) -> Reply<String> {
    let name = block_on(driver.network_get_bridge_name(NetworkGetBridgeName { uuid }));
    name.map(|bridge| bridge.name)
}

fn dump(driver: &TestDriver, uuid: Uuid) -> Reply<String> {
    block_on(driver.network_dump_xml(NetworkDumpXml { uuid })).map(|description| description.xml)
}

fn marked(driver: &TestDriver, uuid: Uuid) -> Reply<bool> {
    block_on(driver.network_get_autostart(NetworkGetAutostart { uuid }))
}

fn autostart(driver: &TestDriver, uuid: Uuid, autostart: bool) -> Reply<()> {
    block_on(driver.network_set_autostart(NetworkSetAutostart { uuid, autostart }))
}

/// Names of the active and of the inactive networks.
fn names(driver: &TestDriver) -> (Vec<String>, Vec<String>) {
    let active = block_on(driver.list_networks(ListNetworks)).unwrap().names;
    let inactive = block_on(driver.list_defined_networks(ListDefinedNetworks)).unwrap().names;
    let counts = (
        block_on(driver.num_networks(NumNetworks)).unwrap() as usize,
        block_on(driver.num_defined_networks(NumDefinedNetworks)).unwrap() as usize,
    );
    assert_eq!(counts, (active.len(), inactive.len()));
    (active, inactive)
}

fn both(active: &[&str], inactive: &[&str]) -> (Vec<String>, Vec<String>) {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    (owned(active), owned(inactive))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(reply: Reply<T>, code: Code, message: &str) {
    assert_eq!(reply.unwrap_err(), Failure::new(code, message));
}

#[test]
fn a_created_network_is_active_and_is_gone_when_it_stops() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    let created = create(&driver, xml("a", uuid, "")).unwrap();
    assert_eq!(created, Identity { uuid, name: "a".to_owned() });
    assert_eq!(names(&driver), both(&["a"], &[]));
    destroy(&driver, uuid).unwrap();
    assert_eq!(names(&driver), both(&[], &[]));
}

#[test]
fn a_defined_network_goes_from_inactive_to_active_and_back() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, "")).unwrap();
    assert_eq!(names(&driver), both(&[], &["a"]));
    start(&driver, uuid).unwrap();
    assert_eq!(names(&driver), both(&["a"], &[]));
    refused(start(&driver, uuid), Code::OperationInvalid, "network 'a' is active already");
    destroy(&driver, uuid).unwrap();
    assert_eq!(names(&driver), both(&[], &["a"]));
    refused(destroy(&driver, uuid), Code::OperationInvalid, "network 'a' is not active");
    undefine(&driver, uuid).unwrap();
    assert_eq!(names(&driver), both(&[], &[]));
}

#[test]
fn lookups_agree_with_each_other() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, "")).unwrap();
    let name = "a".to_owned();
    let by_name = block_on(driver.network_lookup_by_name(NetworkLookupByName { name: name.clone() }));
    assert_eq!(by_name, Ok(uuid));
    let by_uuid = block_on(driver.network_lookup_by_uuid(NetworkLookupByUuid { uuid }));
    assert_eq!(by_uuid, Ok(NetworkOfUuid { name }));
}

#[test]
fn whatever_finds_no_network_says_which_key() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    let name = "x".to_owned();
    let by_name = block_on(driver.network_lookup_by_name(NetworkLookupByName { name }));
    refused(by_name, Code::NoNetwork, "no network with name 'x'");
    let message = &format!("no network with uuid '{uuid}'");
    let by_uuid = block_on(driver.network_lookup_by_uuid(NetworkLookupByUuid { uuid }));
    refused(by_uuid, Code::NoNetwork, message);
    refused(start(&driver, uuid), Code::NoNetwork, message);
    refused(destroy(&driver, uuid), Code::NoNetwork, message);
    refused(undefine(&driver, uuid), Code::NoNetwork, message);
    refused(dump(&driver, uuid), Code::NoNetwork, message);
    refused(bridge(&driver, uuid), Code::NoNetwork, message);
    refused(marked(&driver, uuid), Code::NoNetwork, message);
    refused(autostart(&driver, uuid, true), Code::NoNetwork, message);
}

#[test]
fn a_name_belongs_to_one_uuid_and_a_uuid_to_one_name() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, "")).unwrap();
    let message = &format!("network 'a' exists already, its uuid is {uuid}");
    let nameless = "<network><name>a</name></network>".to_owned();
    for taken in [xml("a", Uuid::random(), ""), xml("b", uuid, ""), nameless] {
        refused(define(&driver, taken.clone()), Code::NetworkExist, message);
        refused(create(&driver, taken), Code::NetworkExist, message);
    }
    assert_eq!(names(&driver), both(&[], &["a"]));
}

#[test]
fn a_definition_of_an_active_network_changes_the_next_start_only() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, "<bridge name='br1'/>")).unwrap();
    start(&driver, uuid).unwrap();
    define(&driver, xml("a", uuid, "<bridge name='br2'/>")).unwrap();
    assert_eq!(bridge(&driver, uuid).unwrap(), "br1");
    assert!(dump(&driver, uuid).unwrap().contains("br1"));
    destroy(&driver, uuid).unwrap();
    assert_eq!(bridge(&driver, uuid).unwrap(), "br2");
    assert_eq!(dump(&driver, uuid).unwrap(), xml("a", uuid, "<bridge name='br2'/>"));
}

#[test]
fn creating_what_is_active_is_invalid_and_what_breaks_a_rule_changes_nothing() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, "")).unwrap();
    let message = "network 'a' is active already";
    refused(create(&driver, xml("a", uuid, "")), Code::OperationInvalid, message);
    assert_eq!(create(&driver, "<network/>".to_owned()).unwrap_err().code, Code::XmlError);
    assert_eq!(define(&driver, "<network".to_owned()).unwrap_err().code, Code::XmlError);
    assert_eq!(names(&driver), both(&["a"], &[]));
}

#[test]
fn an_active_network_cannot_be_undefined() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, "")).unwrap();
    let message = "network 'a' is active, it cannot be undefined";
    refused(undefine(&driver, uuid), Code::OperationInvalid, message);
    define(&driver, xml("a", uuid, "")).unwrap();
    refused(undefine(&driver, uuid), Code::OperationInvalid, message);
}

#[test]
fn the_autostart_mark_is_idempotent_and_goes_with_the_definition() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, "")).unwrap();
    let message = "network 'a' is not defined, so it has no autostart mark";
    refused(autostart(&driver, uuid, true), Code::OperationInvalid, message);
    assert_eq!(marked(&driver, uuid), Ok(false));
    define(&driver, xml("a", uuid, "")).unwrap();
    for mark in [true, true, false, false, true] {
        assert_eq!(autostart(&driver, uuid, mark), Ok(()));
        assert_eq!(marked(&driver, uuid), Ok(mark));
    }
    destroy(&driver, uuid).unwrap();
    undefine(&driver, uuid).unwrap();
    define(&driver, xml("a", uuid, "")).unwrap();
    assert_eq!(marked(&driver, uuid), Ok(false));
}

#[test]
fn a_network_without_a_bridge_gets_the_first_free_one_and_keeps_it() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("first", Uuid::random(), "<bridge name='virbr1'/>")).unwrap();
    define(&driver, xml("a", uuid, "")).unwrap();
    let second = create(&driver, xml("second", Uuid::random(), "<bridge stp='off'/>")).unwrap().uuid;
    assert_eq!(bridge(&driver, uuid).unwrap(), "virbr0");
    assert_eq!(bridge(&driver, second).unwrap(), "virbr2");
    assert!(dump(&driver, second).unwrap().contains("<bridge name='virbr2' stp='off'/>"));
    start(&driver, uuid).unwrap();
    define(&driver, xml("a", uuid, "<bridge delay='2'/>")).unwrap();
    destroy(&driver, uuid).unwrap();
    assert_eq!(bridge(&driver, uuid).unwrap(), "virbr0");
}

#[test]
fn a_bridge_belongs_to_one_network() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, "<bridge name='br0'/>")).unwrap();
    let other = xml("b", Uuid::random(), "<bridge name='br0'/>");
    let message = "network 'a' uses the bridge 'br0' already";
    refused(define(&driver, other.clone()), Code::OperationFailed, message);
    refused(create(&driver, other.clone()), Code::OperationFailed, message);
    define(&driver, xml("a", uuid, "<bridge name='br1'/>")).unwrap();
    assert!(define(&driver, other).is_ok());
}

#[test]
fn no_more_networks_are_taken_than_a_list_can_tell() {
    let driver = TestDriver::new();
    let uuids: Vec<_> = (0..256).map(|_| Uuid::random()).collect();
    for (number, &uuid) in uuids.iter().enumerate() {
        define(&driver, xml(&format!("d{number}"), uuid, "")).unwrap();
    }
    let message = "256 networks are defined, which is the maximum";
    refused(define(&driver, xml("x", Uuid::random(), "")), Code::OperationFailed, message);
    define(&driver, xml("d0", uuids[0], "")).unwrap();
    for number in 0..256 {
        create(&driver, xml(&format!("c{number}"), Uuid::random(), "")).unwrap();
    }
    let message = "256 networks are active, which is the maximum";
    refused(create(&driver, xml("x", Uuid::random(), "")), Code::OperationFailed, message);
    refused(start(&driver, uuids[0]), Code::OperationFailed, message);
    let bridges: std::collections::BTreeSet<_> = uuids.iter().map(|&uuid| bridge(&driver, uuid).unwrap()).collect();
    assert_eq!(bridges.len(), 256);
    assert_eq!(names(&driver).0.len(), 256);
    assert_eq!(names(&driver).1.len(), 256);
}
