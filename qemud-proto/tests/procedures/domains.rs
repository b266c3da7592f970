//! Definitions of domains, and the ways to find a domain.

use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::wire::{Wire, proofs, refused};

proofs! {
    a_host_without_domains_says_so,
    a_defined_domain_is_inactive_until_it_is_started,
    a_definition_that_breaks_a_rule_is_refused_with_its_line,
    an_operating_system_other_than_hvm_is_refused,
    a_name_belongs_to_one_uuid_and_a_uuid_to_one_name,
    a_domain_is_found_by_id_uuid_and_name,
    lookups_that_find_nothing_name_the_key,
    a_domain_that_is_not_there_has_no_description_state_or_mark,
    the_stored_xml_comes_back_as_it_was_sent,
    an_undefined_domain_is_gone_and_an_active_one_cannot_be,
    the_autostart_mark_is_idempotent_and_goes_with_the_definition,
    a_domain_that_is_not_defined_cannot_be_marked,
    the_list_of_definitions_has_an_end,
}

/// The description of a domain with this inside it.
pub(crate) fn xml(name: &str, uuid: Uuid, inside: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>2048</memory>\
         <currentMemory>1024</currentMemory><vcpu>3</vcpu><os><type>hvm</type></os>{inside}</domain>"
    )
}

pub(crate) async fn define(wire: &Wire, name: &str) -> Uuid {
    let uuid = Uuid::random();
    let identity = wire.call(DomainDefine { xml: xml(name, uuid, "") }).await.unwrap();
    assert_eq!(identity, Identity { uuid, name: name.to_owned() });
    uuid
}

pub(crate) async fn create(wire: &Wire, name: &str) -> DomainCreated {
    wire.call(DomainCreate { xml: xml(name, Uuid::random(), "") }).await.unwrap()
}

/// Ids of the active domains and names of the inactive ones.
pub(crate) async fn listed(wire: &Wire) -> (Vec<i32>, Vec<String>) {
    let (ids, names) = (wire.call(ListDomains).await.unwrap().ids, wire.call(ListDefinedDomains).await.unwrap().names);
    assert_eq!(wire.call(NumDomains).await, Ok(i32::try_from(ids.len()).unwrap()));
    assert_eq!(wire.call(NumDefinedDomains).await, Ok(u32::try_from(names.len()).unwrap()));
    (ids, names)
}

async fn a_host_without_domains_says_so(wire: &Wire) {
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn a_defined_domain_is_inactive_until_it_is_started(wire: &Wire) {
    let uuid = define(wire, "b").await;
    define(wire, "a").await;
    assert_eq!(listed(wire).await, (vec![], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(wire.call(DomainStart { uuid }).await, Ok(1));
    assert_eq!(listed(wire).await, (vec![1], vec!["a".to_owned()]));
}

async fn a_definition_that_breaks_a_rule_is_refused_with_its_line(wire: &Wire) {
    for (xml, says) in [
        ("", "malformed xml"),
        ("<domain", "malformed xml"),
        ("<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain/>", "a document type declaration is refused"),
        ("<network/>", "the root element is not domain"),
        ("<domain type='xen'><name>a</name></domain>", "domain@type is 'xen'"),
        ("<domain type='test'>\n<memory>8</memory></domain>", "line 1: domain has no name"),
        ("<domain type='test'>\n<name>a/b</name></domain>", "line 2: name must not contain '/'"),
    ] {
        refused(wire.call(DomainDefine { xml: xml.to_owned() }).await, Code::XmlError, says);
        refused(wire.call(DomainCreate { xml: xml.to_owned() }).await, Code::XmlError, says);
    }
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn an_operating_system_other_than_hvm_is_refused(wire: &Wire) {
    let xml = xml("a", Uuid::random(), "").replace("hvm", "linux");
    refused(wire.call(DomainDefine { xml: xml.clone() }).await, Code::OsType, "os/type is not hvm");
    refused(wire.call(DomainCreate { xml }).await, Code::OsType, "os/type is not hvm");
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn a_name_belongs_to_one_uuid_and_a_uuid_to_one_name(wire: &Wire) {
    let uuid = define(wire, "a").await;
    let says = format!("domain 'a' exists already, its uuid is {uuid}");
    for taken in [xml("a", Uuid::random(), ""), xml("b", uuid, "")] {
        refused(wire.call(DomainDefine { xml: taken.clone() }).await, Code::DomExist, &says);
        refused(wire.call(DomainCreate { xml: taken }).await, Code::DomExist, &says);
    }
    // The same name with the same identity is a new definition of it.
    assert_eq!(wire.call(DomainDefine { xml: xml("a", uuid, "") }).await.unwrap().uuid, uuid);
}

async fn a_domain_is_found_by_id_uuid_and_name(wire: &Wire) {
    let (uuid, name) = (define(wire, "a").await, "a".to_owned());
    assert_eq!(wire.call(DomainLookupByUuid { uuid }).await, Ok(DomainOfUuid { id: -1, name: name.clone() }));
    assert_eq!(wire.call(DomainLookupByName { name: name.clone() }).await, Ok(DomainOfName { id: -1, uuid }));
    let id = wire.call(DomainStart { uuid }).await.unwrap();
    assert_eq!(wire.call(DomainLookupById { id }).await, Ok(Identity { uuid, name: name.clone() }));
    assert_eq!(wire.call(DomainLookupByUuid { uuid }).await, Ok(DomainOfUuid { id, name: name.clone() }));
    assert_eq!(wire.call(DomainLookupByName { name }).await, Ok(DomainOfName { id, uuid }));
}

async fn lookups_that_find_nothing_name_the_key(wire: &Wire) {
    define(wire, "inactive").await;
    for id in [-1, 0, 1, i32::MIN, i32::MAX] {
        let says = format!("no domain with id '{id}'");
        refused(wire.call(DomainLookupById { id }).await, Code::NoDomain, &says);
    }
    let uuid = Uuid::random();
    refused(wire.call(DomainLookupByUuid { uuid }).await, Code::NoDomain, &format!("no domain with uuid '{uuid}'"));
    for name in ["", "INACTIVE", "nobody", &"x".repeat(256)] {
        let says = format!("no domain with name '{name}'");
        refused(wire.call(DomainLookupByName { name: name.to_owned() }).await, Code::NoDomain, &says);
    }
}

async fn a_domain_that_is_not_there_has_no_description_state_or_mark(wire: &Wire) {
    let uuid = Uuid::random();
    let says = &format!("no domain with uuid '{uuid}'");
    refused(wire.call(DomainGetInfo { uuid }).await, Code::NoDomain, says);
    refused(wire.call(DomainDumpXml { uuid }).await, Code::NoDomain, says);
    refused(wire.call(DomainStart { uuid }).await, Code::NoDomain, says);
    refused(wire.call(DomainUndefine { uuid }).await, Code::NoDomain, says);
    refused(wire.call(DomainGetAutostart { uuid }).await, Code::NoDomain, says);
    refused(wire.call(DomainSetAutostart { uuid, autostart: true }).await, Code::NoDomain, says);
}

async fn the_stored_xml_comes_back_as_it_was_sent(wire: &Wire) {
    let uuid = Uuid::random();
    let sent = xml("a", uuid, "<!-- kept --><title>\u{e9}t\u{e9}</title><unheard of='this'/>\n");
    wire.call(DomainDefine { xml: sent.clone() }).await.unwrap();
    assert_eq!(wire.call(DomainDumpXml { uuid }).await.unwrap().xml, sent);
}

async fn an_undefined_domain_is_gone_and_an_active_one_cannot_be(wire: &Wire) {
    let uuid = define(wire, "a").await;
    let id = wire.call(DomainStart { uuid }).await.unwrap();
    refused(wire.call(DomainUndefine { uuid }).await, Code::OperationInvalid, "domain 'a' is active");
    wire.call(DomainDestroy { id }).await.unwrap();
    assert_eq!(wire.call(DomainUndefine { uuid }).await, Ok(()));
    refused(wire.call(DomainUndefine { uuid }).await, Code::NoDomain, &uuid.to_string());
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn the_autostart_mark_is_idempotent_and_goes_with_the_definition(wire: &Wire) {
    let uuid = define(wire, "a").await;
    assert_eq!(wire.call(DomainGetAutostart { uuid }).await, Ok(false));
    for autostart in [true, true, false, false, true] {
        assert_eq!(wire.call(DomainSetAutostart { uuid, autostart }).await, Ok(()));
        assert_eq!(wire.call(DomainGetAutostart { uuid }).await, Ok(autostart));
    }
    wire.call(DomainUndefine { uuid }).await.unwrap();
    wire.call(DomainDefine { xml: xml("a", uuid, "") }).await.unwrap();
    assert_eq!(wire.call(DomainGetAutostart { uuid }).await, Ok(false));
}

async fn a_domain_that_is_not_defined_cannot_be_marked(wire: &Wire) {
    let uuid = create(wire, "a").await.uuid;
    for autostart in [true, false] {
        let reply = wire.call(DomainSetAutostart { uuid, autostart }).await;
        refused(reply, Code::OperationInvalid, "domain 'a' is not defined");
    }
    assert_eq!(wire.call(DomainGetAutostart { uuid }).await, Ok(false));
}

async fn the_list_of_definitions_has_an_end(wire: &Wire) {
    for number in 0..DEFINED_DOMAINS_MAX {
        define(wire, &format!("d{number:04}")).await;
    }
    let more = wire.call(DomainDefine { xml: xml("more", Uuid::random(), "") }).await;
    refused(more, Code::OperationFailed, "1024 domains are defined, which is the maximum");
    let (_, names) = listed(wire).await;
    assert_eq!((names.len(), names[0].as_str(), names[1023].as_str()), (1024, "d0000", "d1023"));
}
