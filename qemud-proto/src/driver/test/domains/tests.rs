use pollster::block_on;

use crate::driver::Driver;
use crate::driver::test::TestDriver;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::*;

fn xml(name: &str, uuid: Uuid, memory: u32) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>{memory}</memory>\
         <os><type>hvm</type></os><devices><graphics type='vnc' port='-1'/></devices></domain>"
    )
}

fn with_port(name: &str, port: u16) -> String {
    xml(name, Uuid::random(), 8).replace("'-1'", &format!("'{port}'"))
}

fn create(driver: &TestDriver, xml: String) -> Reply<DomainCreated> {
    block_on(driver.domain_create(DomainCreate { xml }))
}

fn define(driver: &TestDriver, xml: String) -> Reply<Identity> {
    block_on(driver.domain_define(DomainDefine { xml }))
}

fn start(driver: &TestDriver, uuid: Uuid) -> Reply<i32> {
    block_on(driver.domain_start(DomainStart { uuid }))
}

fn destroy(driver: &TestDriver, id: i32) -> Reply<()> {
    block_on(driver.domain_destroy(DomainDestroy { id }))
}

fn undefine(driver: &TestDriver, uuid: Uuid) -> Reply<()> {
    block_on(driver.domain_undefine(DomainUndefine { uuid }))
}

fn info(driver: &TestDriver, uuid: Uuid) -> DomainInfo {
    block_on(driver.domain_get_info(DomainGetInfo { uuid })).unwrap()
}

fn dump(driver: &TestDriver, uuid: Uuid) -> String {
    block_on(driver.domain_dump_xml(DomainDumpXml { uuid })).unwrap().xml
}

fn ids(driver: &TestDriver) -> Vec<i32> {
    let ids = block_on(driver.list_domains(ListDomains)).unwrap().ids;
    let count = block_on(driver.num_domains(NumDomains)).unwrap();
    assert_eq!(i32::try_from(ids.len()), Ok(count));
    ids
}

fn inactive(driver: &TestDriver) -> Vec<String> {
    let names = block_on(driver.list_defined_domains(ListDefinedDomains)).unwrap().names;
    let count = block_on(driver.num_defined_domains(NumDefinedDomains)).unwrap();
    assert_eq!(u32::try_from(names.len()), Ok(count));
    names
}

fn autostart(driver: &TestDriver, uuid: Uuid, autostart: bool) -> Reply<()> {
    block_on(driver.domain_set_autostart(DomainSetAutostart { uuid, autostart }))
}

fn marked(driver: &TestDriver, uuid: Uuid) -> Reply<bool> {
    block_on(driver.domain_get_autostart(DomainGetAutostart { uuid }))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(reply: Reply<T>, code: Code, message: &str) {
    let failure = reply.unwrap_err();
    assert_eq!(failure, Failure::new(code, message));
}

#[test]
fn a_created_domain_runs_and_is_gone_when_it_stops() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    let created = create(&driver, xml("a", uuid, 8)).unwrap();
    assert_eq!(created, DomainCreated { id: 1, uuid, name: "a".to_owned() });
    assert_eq!((ids(&driver), inactive(&driver)), (vec![1], vec![]));
    destroy(&driver, 1).unwrap();
    assert_eq!((ids(&driver), inactive(&driver)), (vec![], vec![]));
    let lookup = block_on(driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }));
    refused(lookup, Code::NoDomain, &format!("no domain with uuid '{uuid}'"));
}

#[test]
fn ids_start_at_one_and_are_never_used_again() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    for id in 1..=3 {
        assert_eq!(start(&driver, uuid), Ok(id));
        destroy(&driver, id).unwrap();
    }
    driver.domains().last_id = i32::MAX;
    refused(start(&driver, uuid), Code::OperationFailed, "every id has been used once; none is left");
}

#[test]
fn lookups_agree_with_each_other() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    let by_name = || block_on(driver.domain_lookup_by_name(DomainLookupByName { name: "a".into() }));
    let by_uuid = || block_on(driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }));
    let name = "a".to_owned();
    assert_eq!(by_name(), Ok(DomainOfName { id: -1, uuid }));
    assert_eq!(by_uuid(), Ok(DomainOfUuid { id: -1, name: name.clone() }));
    start(&driver, uuid).unwrap();
    assert_eq!(by_name(), Ok(DomainOfName { id: 1, uuid }));
    assert_eq!(by_uuid(), Ok(DomainOfUuid { id: 1, name: name.clone() }));
    let by_id = block_on(driver.domain_lookup_by_id(DomainLookupById { id: 1 }));
    assert_eq!(by_id, Ok(Identity { uuid, name }));
}

#[test]
fn whatever_finds_no_domain_says_which_key() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("inactive", Uuid::random(), 8)).unwrap();
    for id in [1, 0, -1, i32::MIN] {
        let by_id = block_on(driver.domain_lookup_by_id(DomainLookupById { id }));
        refused(by_id, Code::NoDomain, &format!("no domain with id '{id}'"));
    }
    let by_name = block_on(driver.domain_lookup_by_name(DomainLookupByName { name: "x".into() }));
    refused(by_name, Code::NoDomain, "no domain with name 'x'");
    let message = &format!("no domain with uuid '{uuid}'");
    let by_uuid = block_on(driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }));
    refused(by_uuid, Code::NoDomain, message);
    refused(block_on(driver.domain_get_info(DomainGetInfo { uuid })), Code::NoDomain, message);
    refused(block_on(driver.domain_dump_xml(DomainDumpXml { uuid })), Code::NoDomain, message);
    refused(start(&driver, uuid), Code::NoDomain, message);
    refused(undefine(&driver, uuid), Code::NoDomain, message);
    refused(marked(&driver, uuid), Code::NoDomain, message);
    refused(autostart(&driver, uuid, true), Code::NoDomain, message);
}

#[test]
fn calls_with_the_id_of_no_active_domain_are_invalid() {
    let driver = TestDriver::new();
    define(&driver, xml("inactive", Uuid::random(), 8)).unwrap();
    for id in [1, -1] {
        let message = &format!("no active domain with id {id}");
        refused(block_on(driver.domain_suspend(DomainSuspend { id })), Code::InvalidDomain, message);
        refused(block_on(driver.domain_resume(DomainResume { id })), Code::InvalidDomain, message);
        refused(destroy(&driver, id), Code::InvalidDomain, message);
        let path = "/nowhere/at/all".to_owned();
        let save = block_on(driver.domain_save(DomainSave { id, path }));
        refused(save, Code::InvalidDomain, message);
    }
}

#[test]
fn suspend_and_resume_change_the_state_and_succeed_when_it_is_there_already() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, 8)).unwrap();
    for _ in 0..2 {
        assert_eq!(block_on(driver.domain_suspend(DomainSuspend { id: 1 })), Ok(()));
        assert_eq!(info(&driver, uuid).runstate, RunState::Paused);
    }
    for _ in 0..2 {
        assert_eq!(block_on(driver.domain_resume(DomainResume { id: 1 })), Ok(()));
        assert_eq!(info(&driver, uuid).runstate, RunState::Running);
    }
}

#[test]
fn processor_time_grows_while_the_domain_runs_and_only_then() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, 8)).unwrap();
    let before = info(&driver, uuid).cpu_time;
    while info(&driver, uuid).cpu_time == before {}
    block_on(driver.domain_suspend(DomainSuspend { id: 1 })).unwrap();
    let paused = info(&driver, uuid).cpu_time;
    assert!(paused > before);
    let moment = std::time::Instant::now();
    while moment.elapsed().as_millis() < 2 {}
    assert_eq!(info(&driver, uuid).cpu_time, paused);
    block_on(driver.domain_suspend(DomainSuspend { id: 1 })).unwrap();
    assert_eq!(info(&driver, uuid).cpu_time, paused);
    block_on(driver.domain_resume(DomainResume { id: 1 })).unwrap();
    while info(&driver, uuid).cpu_time == paused {}
}

#[test]
fn info_tells_the_resources_of_inactive_domains_too() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    let current = "</memory><currentMemory>6</currentMemory><vcpu>3</vcpu>";
    define(&driver, xml("a", uuid, 8).replace("</memory>", current)).unwrap();
    let expected = DomainInfo { cpu_time: 0, runstate: RunState::Stopped, memory: 6, maxmem: 8, nr_virt_cpu: 3 };
    assert_eq!(info(&driver, uuid), expected);
}

#[test]
fn a_definition_of_an_active_domain_changes_the_next_start_only() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    start(&driver, uuid).unwrap();
    define(&driver, xml("a", uuid, 16)).unwrap();
    assert_eq!(info(&driver, uuid).maxmem, 8);
    assert!(dump(&driver, uuid).contains("<memory>8</memory>"));
    destroy(&driver, 1).unwrap();
    assert_eq!(info(&driver, uuid).maxmem, 16);
    start(&driver, uuid).unwrap();
    assert!(dump(&driver, uuid).contains("<memory>16</memory>"));
}

#[test]
fn a_created_domain_that_is_defined_later_stays() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, 8)).unwrap();
    define(&driver, xml("a", uuid, 16)).unwrap();
    assert_eq!((info(&driver, uuid).maxmem, inactive(&driver)), (8, vec![]));
    destroy(&driver, 1).unwrap();
    assert_eq!(inactive(&driver), ["a"]);
}

#[test]
fn creating_a_defined_domain_runs_the_other_definition_once() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    create(&driver, xml("a", uuid, 16)).unwrap();
    assert_eq!(info(&driver, uuid).maxmem, 16);
    destroy(&driver, 1).unwrap();
    assert_eq!((info(&driver, uuid).maxmem, inactive(&driver)), (8, vec!["a".to_owned()]));
}

#[test]
fn a_name_belongs_to_one_uuid_and_a_uuid_to_one_name() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("defined", uuid, 8)).unwrap();
    let running = Uuid::random();
    create(&driver, xml("created", running, 8)).unwrap();
    for (name, uuid) in [("defined", uuid), ("created", running)] {
        let message = &format!("domain '{name}' exists already, its uuid is {uuid}");
        let nameless = xml(name, uuid, 8).replace(&format!("<uuid>{uuid}</uuid>"), "");
        for taken in [xml(name, Uuid::random(), 8), xml("other", uuid, 8), nameless] {
            refused(define(&driver, taken.clone()), Code::DomExist, message);
            refused(create(&driver, taken), Code::DomExist, message);
        }
    }
    assert_eq!((ids(&driver), inactive(&driver)), (vec![1], vec!["defined".to_owned()]));
}

#[test]
fn a_create_that_fails_leaves_nothing_behind() {
    let driver = TestDriver::new();
    create(&driver, with_port("a", 5900)).unwrap();
    let reply = create(&driver, with_port("b", 5900));
    refused(reply, Code::OperationFailed, "another domain uses the vnc port 5900");
    assert_eq!(create(&driver, "<domain/>".to_owned()).unwrap_err().code, Code::XmlError);
    let linux = xml("c", Uuid::random(), 8).replace("hvm", "linux");
    assert_eq!(create(&driver, linux).unwrap_err().code, Code::OsType);
    assert_eq!((ids(&driver), inactive(&driver)), (vec![1], vec![]));
    assert_eq!(create(&driver, with_port("b", 5901)).unwrap().id, 2);
}

#[test]
fn starting_or_creating_what_is_active_is_invalid() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    start(&driver, uuid).unwrap();
    let message = "domain 'a' is active already";
    refused(start(&driver, uuid), Code::OperationInvalid, message);
    refused(create(&driver, xml("a", uuid, 8)), Code::OperationInvalid, message);
}

#[test]
fn an_active_domain_cannot_be_undefined() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    let message = "domain 'a' is active, it cannot be undefined";
    create(&driver, xml("a", uuid, 8)).unwrap();
    refused(undefine(&driver, uuid), Code::OperationInvalid, message);
    define(&driver, xml("a", uuid, 8)).unwrap();
    refused(undefine(&driver, uuid), Code::OperationInvalid, message);
    destroy(&driver, 1).unwrap();
    assert_eq!(undefine(&driver, uuid), Ok(()));
    assert_eq!(inactive(&driver), [""; 0]);
}

#[test]
fn the_autostart_mark_is_idempotent_and_goes_with_the_definition() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    define(&driver, xml("a", uuid, 8)).unwrap();
    assert_eq!(marked(&driver, uuid), Ok(false));
    for mark in [true, true, false, false, true] {
        assert_eq!(autostart(&driver, uuid, mark), Ok(()));
        assert_eq!(marked(&driver, uuid), Ok(mark));
    }
    define(&driver, xml("a", uuid, 16)).unwrap();
    assert_eq!(marked(&driver, uuid), Ok(true));
    undefine(&driver, uuid).unwrap();
    define(&driver, xml("a", uuid, 8)).unwrap();
    assert_eq!(marked(&driver, uuid), Ok(false));
}

#[test]
fn a_domain_that_is_not_defined_cannot_be_marked() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, xml("a", uuid, 8)).unwrap();
    for mark in [true, false] {
        let message = "domain 'a' is not defined, so it has no autostart mark";
        refused(autostart(&driver, uuid, mark), Code::OperationInvalid, message);
    }
    assert_eq!(marked(&driver, uuid), Ok(false));
}

#[test]
fn the_live_xml_carries_the_id_and_a_port_of_its_own() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    create(&driver, with_port("a", 5901)).unwrap();
    create(&driver, xml("b", Uuid::random(), 8)).unwrap();
    define(&driver, xml("c", uuid, 8)).unwrap();
    assert_eq!(dump(&driver, uuid), xml("c", uuid, 8));
    start(&driver, uuid).unwrap();
    let live = dump(&driver, uuid);
    assert!(live.starts_with("<domain id='3' type='test'>"), "{live}");
    assert!(live.contains("port='5902'"), "{live}");
    destroy(&driver, 2).unwrap();
    destroy(&driver, 3).unwrap();
    assert_eq!(dump(&driver, uuid), xml("c", uuid, 8));
    start(&driver, uuid).unwrap();
    assert!(dump(&driver, uuid).contains("port='5900'"));
}

#[test]
fn a_hundred_domains_are_listed_in_order() {
    let driver = TestDriver::new();
    for number in 0..100 {
        let uuid = define(&driver, xml(&format!("d{number:02}"), Uuid::random(), 8)).unwrap().uuid;
        if number % 2 == 1 {
            start(&driver, uuid).unwrap();
        }
    }
    assert_eq!(ids(&driver), (1..=50).collect::<Vec<_>>());
    let names: Vec<_> = (0..50).map(|number| format!("d{:02}", number * 2)).collect();
    assert_eq!(inactive(&driver), names);
}

#[test]
fn no_more_domains_are_taken_than_a_list_can_tell() {
    let (driver, uuid) = (TestDriver::new(), Uuid::random());
    assert_eq!(driver.domains().active_max, 16_384);
    assert_eq!(driver.domains().defined_max, 1024);
    driver.domains().active_max = 2;
    driver.domains().defined_max = 2;
    define(&driver, xml("a", uuid, 8)).unwrap();
    define(&driver, xml("b", Uuid::random(), 8)).unwrap();
    let message = "2 domains are defined, which is the maximum";
    refused(define(&driver, xml("c", Uuid::random(), 8)), Code::OperationFailed, message);
    define(&driver, xml("a", uuid, 16)).unwrap();
    create(&driver, xml("c", Uuid::random(), 8)).unwrap();
    create(&driver, xml("d", Uuid::random(), 8)).unwrap();
    let message = "2 domains are active, which is the maximum";
    refused(create(&driver, xml("e", Uuid::random(), 8)), Code::OperationFailed, message);
    refused(start(&driver, uuid), Code::OperationFailed, message);
    destroy(&driver, 1).unwrap();
    start(&driver, uuid).unwrap();
}
