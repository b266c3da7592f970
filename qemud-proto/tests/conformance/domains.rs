//! Definitions: define, undefine, lookups, dumps, autostart, and XML that is refused.

use std::sync::Arc;
use std::time::Duration;

use qemud_proto::driver::Driver;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::subject::Subject;

pub(crate) async fn define(subject: &Subject, name: &str) -> Uuid {
    let uuid = Uuid::random();
    let defined = subject.driver.domain_define(DomainDefine { xml: subject.domain(name, uuid) }).await;
    assert_eq!(defined, Ok(Identity { uuid, name: name.to_owned() }), "{}", subject.column);
    uuid
}

pub(crate) async fn undefine(subject: &Subject, uuid: Uuid) {
    assert_eq!(subject.driver.domain_undefine(DomainUndefine { uuid }).await, Ok(()), "{}", subject.column);
}

async fn inactive(subject: &Subject) -> Vec<String> {
    subject.driver.list_defined_domains(ListDefinedDomains).await.unwrap().names
}

pub(crate) async fn definitions(subject: &Subject) {
    let driver = &subject.driver;
    let before = inactive(subject).await;
    let (a, b) = (define(subject, "conform-a").await, define(subject, "conform-b").await);
    let names = inactive(subject).await;
    let both = ["conform-a", "conform-b"].iter().all(|name| names.iter().any(|listed| listed == name));
    let counted = driver.num_defined_domains(NumDefinedDomains).await == Ok(names.len().try_into().unwrap());
    subject.is("a defined domain is listed and counted", both && counted && names.len() == before.len() + 2);
    subject.is("names are in ascending order", names.is_sorted());
    let of_name = driver.domain_lookup_by_name(DomainLookupByName { name: "conform-a".to_owned() }).await;
    let of_uuid = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid: a }).await;
    let expected = (Ok(DomainOfName { id: -1, uuid: a }), Ok(DomainOfUuid { id: -1, name: "conform-a".to_owned() }));
    subject.is("an inactive domain has the id -1", (of_name, of_uuid) == expected);

    let again = DomainDefine { xml: subject.domain_with("conform-a", a, 2, "") };
    subject.ended("a definition in the place of another of that name and uuid", &driver.domain_define(again).await);
    let info = driver.domain_get_info(DomainGetInfo { uuid: a }).await;
    subject.is("it takes its place", info.is_ok_and(|info| info.nr_virt_cpu == 2) && inactive(subject).await == names);
    let other = Uuid::random();
    let taken = driver.domain_define(DomainDefine { xml: subject.domain("conform-a", other) }).await;
    subject.ended("defining the name of another domain", &taken);
    let taken = driver.domain_define(DomainDefine { xml: subject.domain("conform-c", b) }).await;
    subject.ended("defining the uuid of another domain", &taken);
    let taken = driver.domain_create(DomainCreate { xml: subject.domain("conform-a", other) }).await;
    subject.ended("creating the name of another domain", &taken);
    let taken = driver.domain_create(DomainCreate { xml: subject.domain("conform-c", b) }).await;
    subject.ended("creating the uuid of another domain", &taken);
    subject.is("what is refused changes nothing", inactive(subject).await == names);
    for uuid in [a, b] {
        subject.ended("undefining an inactive domain", &driver.domain_undefine(DomainUndefine { uuid }).await);
    }
    subject.ended("undefining what is not there", &driver.domain_undefine(DomainUndefine { uuid: a }).await);
    assert_eq!(inactive(subject).await, before, "{}", subject.column);
}

pub(crate) async fn lookups_that_find_nothing(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = Uuid::random();
    for name in ["conform-nobody", "", "a\0b"] {
        let found = driver.domain_lookup_by_name(DomainLookupByName { name: name.to_owned() }).await;
        subject.ended("a name that no domain has", &found);
    }
    for id in [0, -1, i32::MIN, i32::MAX] {
        subject.ended("an id that no domain has", &driver.domain_lookup_by_id(DomainLookupById { id }).await);
    }
    let rule = "a uuid that no domain has";
    subject.ended(rule, &driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await);
    subject.ended(rule, &driver.domain_get_info(DomainGetInfo { uuid }).await);
    subject.ended(rule, &driver.domain_dump_xml(DomainDumpXml { uuid }).await);
    subject.ended(rule, &driver.domain_start(DomainStart { uuid }).await);
    subject.ended(rule, &driver.domain_get_autostart(DomainGetAutostart { uuid }).await);
    subject.ended(rule, &driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: true }).await);
}

pub(crate) async fn descriptions(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = Uuid::random();
    let more = "<metadata><own:mark xmlns:own='urn:own'>kept</own:mark></metadata><unheard-of/>";
    let xml = subject.domain_with("conform-xml", uuid, 1, more);
    let defined = driver.domain_define(DomainDefine { xml }).await;
    subject.ended("an element that nobody knows", &defined);
    let xml = driver.domain_dump_xml(DomainDumpXml { uuid }).await.unwrap().xml;
    subject.is("a dump has it", xml.contains("<unheard-of/>"));
    subject.is("a dump has the metadata", xml.contains(">kept<"));
    let again = driver.domain_define(DomainDefine { xml: xml.clone() }).await;
    subject.ended("defining what was dumped", &again);
    subject
        .is("it is dumped the same", driver.domain_dump_xml(DomainDumpXml { uuid }).await == Ok(Description { xml }));
    undefine(subject, uuid).await;
    interfaces(subject).await;
}

/// The address of the only interface in a dump.
fn mac(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<mac address=")?;
    Some(rest.get(1..18)?.to_owned()).filter(|mac| mac.starts_with("52:54:00:"))
}

async fn interfaces(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = Uuid::random();
    let xml = subject.domain("conform-mac", uuid).replace("<devices>", "<devices><interface type='user'/>");
    driver.domain_define(DomainDefine { xml }).await.unwrap();
    let dump = async || driver.domain_dump_xml(DomainDumpXml { uuid }).await.unwrap().xml;
    let defined = dump().await;
    driver.domain_define(DomainDefine { xml: defined.clone() }).await.unwrap();
    let id = driver.domain_start(DomainStart { uuid }).await.unwrap();
    let macs = [mac(&defined), mac(&dump().await)];
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    let kept = macs[0].is_some() && macs[0] == macs[1] && macs[0] == mac(&dump().await);
    subject.is("an interface without an address is dumped with one, which it keeps", kept);
    undefine(subject, uuid).await;
}

pub(crate) async fn xml_that_is_refused(subject: &Subject) {
    let driver = &subject.driver;
    let good = subject.domain("conform-x", Uuid::random());
    let without = |part: &str| {
        assert!(good.contains(part), "{part}");
        good.replacen(part, "", 1)
    };
    for (rule, xml) in [
        ("no xml", String::new()),
        ("xml that is cut short", good[..good.len() - 4].to_owned()),
        ("xml with a NUL", good.replace("conform-x", "conform\0x")),
        ("a document type declaration", format!("<!DOCTYPE domain [<!ENTITY e 'x'>]>\n{good}")),
        ("another root element", "<network><name>conform-x</name></network>".to_owned()),
        ("no name", without("<name>conform-x</name>")),
        ("an empty name", good.replace("conform-x", "")),
        ("a name with a '/'", good.replace("conform-x", "conform/x")),
        ("a uuid that is none", good.replacen("<uuid>", "<uuid>x", 1)),
        ("no memory", without("<memory>65536</memory>")),
        ("memory that is no number", good.replace("65536", "much")),
        ("a type of hypervisor that nobody knows", good.replace(&format!("'{}'", subject.domain_type), "'nothing'")),
        ("a type of operating system that nobody knows", good.replace("hvm", "nothing")),
    ] {
        let defined = driver.domain_define(DomainDefine { xml: xml.clone() }).await;
        if let Ok(Identity { uuid, .. }) = defined {
            undefine(subject, uuid).await;
        }
        subject.ended(rule, &defined);
        let created = driver.domain_create(DomainCreate { xml }).await;
        if let Ok(DomainCreated { id, .. }) = created {
            driver.domain_destroy(DomainDestroy { id }).await.unwrap();
        }
        subject.ended(rule, &created);
    }
}

pub(crate) async fn autostart(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = define(subject, "conform-auto").await;
    let marked = async || driver.domain_get_autostart(DomainGetAutostart { uuid }).await;
    subject.is("a new definition has no autostart mark", marked().await == Ok(false));
    let rule = "marking a domain for autostart, once or twice";
    for autostart in [true, true, false, false, true] {
        subject.ended(rule, &driver.domain_set_autostart(DomainSetAutostart { uuid, autostart }).await);
        assert_eq!(marked().await, Ok(autostart), "{}", subject.column);
    }
    let again = DomainDefine { xml: subject.domain_with("conform-auto", uuid, 2, "") };
    driver.domain_define(again).await.unwrap();
    subject.is("another definition leaves the mark", marked().await == Ok(true));
    undefine(subject, uuid).await;
    driver.domain_define(DomainDefine { xml: subject.domain("conform-auto", uuid) }).await.unwrap();
    subject.is("undefining removes the mark", marked().await == Ok(false));
    undefine(subject, uuid).await;
}

/// What is defined and marked outlasts the driver.
pub(crate) async fn persistence(subject: &mut Subject) {
    let Some(reopen) = subject.reopen.take() else { return };
    let uuid = define(subject, "conform-last").await;
    subject.driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: true }).await.unwrap();
    let xml = subject.driver.domain_dump_xml(DomainDumpXml { uuid }).await;
    // Nobody else may hold it, since it holds its folders.
    let old = std::mem::replace(&mut subject.driver, Arc::new(TestDriver::new()));
    subject.driver = reopen(old).await;
    let driver = &subject.driver;
    let found = driver.domain_lookup_by_name(DomainLookupByName { name: "conform-last".to_owned() }).await;
    let lasted = found.is_ok_and(|found| found.uuid == uuid);
    let id = started(driver.as_ref(), uuid).await;
    subject.is("what is marked starts with the daemon", id.is_some());
    if let Some(id) = id {
        driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    }
    let lasted = lasted && driver.domain_dump_xml(DomainDumpXml { uuid }).await == xml;
    subject.is("a definition outlasts the daemon", lasted);
    let marked = driver.domain_get_autostart(DomainGetAutostart { uuid }).await;
    subject.is("an autostart mark outlasts the daemon", marked == Ok(true));
    driver.domain_undefine(DomainUndefine { uuid }).await.unwrap();
}

/// The id under which a domain is started, maybe after the daemon has begun to answer.
async fn started(driver: &dyn Driver, uuid: Uuid) -> Option<i32> {
    let mut events = driver.subscribe().await.unwrap();
    let found = async || driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.unwrap().id;
    let told = async {
        while found().await == -1 {
            events.next().await?;
        }
        Some(found().await)
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.ok().flatten()
}
