use super::*;
use crate::xml::domain::DomainType;

/// A machine of its own kind, to be told from others.
type Machines = Domains<&'static str>;

fn definition(name: &str) -> DomainDefinition {
    let xml = format!(
        "<domain type='test'><name>{name}</name><memory>8</memory><os><type>hvm</type></os>\
         <devices><graphics type='vnc' port='-1'/></devices></domain>"
    );
    DomainDefinition::parse(&xml, &[DomainType::Test]).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(reply: Reply<T>, code: Code, message: &str) {
    assert_eq!(reply.unwrap_err(), Failure::new(code, message));
}

#[test]
fn a_domain_that_is_being_started_is_reserved_and_not_active_yet() {
    let (mut domains, a) = (Machines::new(), definition("a"));
    let uuid = domains.define(a.clone()).unwrap().uuid;
    let reserved = domains.reserve(a.clone()).unwrap();
    assert_eq!((domains.ids(), domains.inactive()), (vec![], vec!["a".to_owned()]));
    assert_eq!(domains.of_name("a"), Ok(DomainOfName { id: -1, uuid }));
    let message = "domain 'a' is being started already";
    refused(domains.may_start(uuid), Code::OperationInvalid, message);
    refused(domains.reserve(a.clone()), Code::OperationInvalid, message);
    let message = "domain 'a' is being started, it cannot be undefined";
    refused(domains.undefine(uuid), Code::OperationInvalid, message);
    refused(domains.stop(reserved.id), Code::InvalidDomain, "no active domain with id 1");
    assert!(domains.xml(uuid).unwrap().xml.starts_with("<domain type="));
    domains.begin(reserved, "engine", false);
    assert_eq!((domains.ids(), domains.inactive()), (vec![1], vec![]));
    assert_eq!(domains.active_of(1).unwrap().machine, "engine");
}

#[test]
fn a_start_that_is_given_up_leaves_nothing_but_the_definition() {
    let mut domains = Machines::new();
    for defined in [false, true] {
        let a = definition("a");
        if defined {
            domains.define(a.clone()).unwrap();
        }
        let reserved = domains.reserve(a.clone()).unwrap();
        domains.give_up(&reserved);
        assert_eq!((domains.ids(), domains.inactive().len()), (vec![], usize::from(defined)));
        assert_eq!(domains.of_uuid(a.uuid).is_ok(), defined);
    }
}

#[test]
fn two_that_start_at_once_have_ids_and_ports_of_their_own() {
    let mut domains = Machines::new();
    let reserved = ["a", "b"].map(|name| domains.reserve(definition(name)).unwrap());
    assert_eq!(reserved.each_ref().map(|one| (one.id, one.vnc_port)), [(1, Some(5900)), (2, Some(5901))]);
    domains.active_max = 2;
    let message = "2 domains are active, which is the maximum";
    refused(domains.reserve(definition("c")), Code::OperationFailed, message);
    // What came of it counts, not what was reserved.
    let [a, b] = reserved;
    domains.begin(Reserved { vnc_port: Some(5905), ..a.clone() }, "a", true);
    assert!(domains.xml(a.definition.uuid).unwrap().xml.contains("port='5905'"));
    domains.give_up(&b);
    assert_eq!(domains.reserve(definition("c")).unwrap().vnc_port, Some(5900));
}

#[test]
fn one_that_was_found_running_keeps_its_id_and_the_next_gets_a_higher_one() {
    let mut domains = Machines::new();
    let found = Reserved { id: 7, definition: definition("a"), vnc_port: None };
    domains.begin(found, "found", false);
    assert_eq!(domains.ids(), [7]);
    assert_eq!(domains.reserve(definition("b")).unwrap().id, 8);
}
