//! Domains that run: create, start, suspend, resume, destroy, and what is told about them.

use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::CallError;

use crate::domains::{create, define, listed, xml};
use crate::wire::{Wire, proofs, refused};

proofs! {
    a_created_domain_runs_and_is_gone_when_it_is_destroyed,
    ids_are_never_used_twice,
    suspend_and_resume_succeed_also_when_there_is_nothing_to_change,
    an_id_that_is_not_active_is_an_invalid_domain,
    what_is_active_cannot_be_started_or_created_again,
    a_create_or_start_that_fails_leaves_nothing,
    info_tells_state_memory_and_processors,
    a_guest_that_is_asked_to_powers_off,
    a_domain_that_is_neither_saved_nor_restored_has_no_job,
    processor_time_stands_still_while_a_domain_is_suspended,
    live_xml_carries_the_id_and_the_real_vnc_port,
    defining_an_active_domain_changes_its_next_start_only,
}

async fn a_created_domain_runs_and_is_gone_when_it_is_destroyed(wire: &Wire) {
    let uuid = Uuid::random();
    let created = wire.call(DomainCreate { xml: xml("a", uuid, "") }).await;
    assert_eq!(created, Ok(DomainCreated { id: 1, uuid, name: "a".to_owned() }));
    assert_eq!(listed(wire).await, (vec![1], vec![]));
    assert_eq!(wire.call(DomainDestroy { id: 1 }).await, Ok(()));
    assert_eq!(listed(wire).await, (vec![], vec![]));
}

async fn ids_are_never_used_twice(wire: &Wire) {
    let uuid = define(wire, "a").await;
    for id in 1..=3 {
        assert_eq!(wire.call(DomainStart { uuid }).await, Ok(id));
        assert_eq!(wire.call(DomainDestroy { id }).await, Ok(()));
    }
    assert_eq!(listed(wire).await, (vec![], vec!["a".to_owned()]));
}

async fn suspend_and_resume_succeed_also_when_there_is_nothing_to_change(wire: &Wire) {
    let DomainCreated { id, uuid, .. } = create(wire, "a").await;
    let resume = async || assert_eq!(wire.call(DomainResume { id }).await, Ok(()));
    let suspend = async || assert_eq!(wire.call(DomainSuspend { id }).await, Ok(()));
    let state = async || wire.call(DomainGetInfo { uuid }).await.unwrap().runstate;
    resume().await;
    assert_eq!(state().await, RunState::Running);
    suspend().await;
    suspend().await;
    assert_eq!(state().await, RunState::Paused);
    assert_eq!(listed(wire).await.0, [id], "a suspended domain is active");
    resume().await;
    assert_eq!(state().await, RunState::Running);
}

async fn an_id_that_is_not_active_is_an_invalid_domain(wire: &Wire) {
    define(wire, "inactive").await;
    for id in [-1, 0, 1, i32::MIN, i32::MAX] {
        let says = &format!("no active domain with id {id}");
        refused(wire.call(DomainSuspend { id }).await, Code::InvalidDomain, says);
        refused(wire.call(DomainResume { id }).await, Code::InvalidDomain, says);
        refused(wire.call(DomainDestroy { id }).await, Code::InvalidDomain, says);
        refused(wire.call(DomainSave { id, path: "/nowhere/x".to_owned() }).await, Code::InvalidDomain, says);
    }
}

async fn what_is_active_cannot_be_started_or_created_again(wire: &Wire) {
    let uuid = define(wire, "a").await;
    wire.call(DomainStart { uuid }).await.unwrap();
    refused(wire.call(DomainStart { uuid }).await, Code::OperationInvalid, "domain 'a' is active already");
    let again = wire.call(DomainCreate { xml: xml("a", uuid, "") }).await;
    refused(again, Code::OperationInvalid, "domain 'a' is active already");
    assert_eq!(listed(wire).await.0, [1]);
}

async fn a_create_or_start_that_fails_leaves_nothing(wire: &Wire) {
    let vnc = "<devices><graphics type='vnc' port='5901'/></devices>";
    wire.call(DomainCreate { xml: xml("first", Uuid::random(), vnc) }).await.unwrap();
    let second = wire.call(DomainCreate { xml: xml("second", Uuid::random(), vnc) }).await;
    refused(second, Code::OperationFailed, "another domain uses the vnc port 5901");
    let uuid = Uuid::random();
    wire.call(DomainDefine { xml: xml("third", uuid, vnc) }).await.unwrap();
    let third = wire.call(DomainStart { uuid }).await;
    refused(third, Code::OperationFailed, "another domain uses the vnc port 5901");
    assert_eq!(listed(wire).await, (vec![1], vec!["third".to_owned()]));
    // The id that was not given away is the next one's.
    wire.call(DomainDestroy { id: 1 }).await.unwrap();
    assert_eq!(wire.call(DomainStart { uuid }).await, Ok(2));
}

async fn info_tells_state_memory_and_processors(wire: &Wire) {
    let uuid = define(wire, "a").await;
    let facts = DomainInfo { cpu_time: 0, runstate: RunState::Stopped, memory: 1024, maxmem: 2048, nr_virt_cpu: 3 };
    assert_eq!(wire.call(DomainGetInfo { uuid }).await, Ok(facts));
    let id = wire.call(DomainStart { uuid }).await.unwrap();
    let running = wire.call(DomainGetInfo { uuid }).await.unwrap();
    assert_eq!(running, DomainInfo { runstate: RunState::Running, cpu_time: running.cpu_time, ..facts });
    wire.call(DomainDestroy { id }).await.unwrap();
    assert_eq!(wire.call(DomainGetInfo { uuid }).await, Ok(facts));
}

async fn a_guest_that_is_asked_to_powers_off(wire: &Wire) {
    let uuid = define(wire, "kept").await;
    let id = wire.call(DomainStart { uuid }).await.unwrap();
    let created = create(wire, "gone").await;
    let unavailable = wire.client.call(&DomainShutdown { id }).await.unwrap_err();
    assert!(matches!(unavailable, CallError::ProcUnavail { procedure: 42 }), "{unavailable}");
    wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap();
    assert_eq!(wire.call(DomainShutdown { id }).await, Ok(()));
    wire.call(DomainSuspend { id: created.id }).await.unwrap();
    assert_eq!(wire.call(DomainShutdown { id: created.id }).await, Ok(()));
    assert_eq!(listed(wire).await, (vec![], vec!["kept".to_owned()]));
    refused(wire.call(DomainShutdown { id }).await, Code::InvalidDomain, &format!("no active domain with id {id}"));
}

async fn a_domain_that_is_neither_saved_nor_restored_has_no_job(wire: &Wire) {
    wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap();
    let uuid = define(wire, "a").await;
    let idle = JobInfo { kind: JobKind::None, elapsed: 0, data_total: 0, data_processed: 0, data_remaining: 0 };
    assert_eq!(wire.call(DomainGetJobInfo { uuid }).await, Ok(idle));
    wire.call(DomainStart { uuid }).await.unwrap();
    assert_eq!(wire.call(DomainGetJobInfo { uuid }).await, Ok(idle));
    refused(wire.call(DomainGetJobInfo { uuid: Uuid::random() }).await, Code::NoDomain, "no domain with uuid");
}

async fn processor_time_stands_still_while_a_domain_is_suspended(wire: &Wire) {
    let DomainCreated { id, uuid, .. } = create(wire, "a").await;
    let time = async || wire.call(DomainGetInfo { uuid }).await.unwrap().cpu_time;
    let begun = time().await;
    assert!(time().await > begun);
    wire.call(DomainSuspend { id }).await.unwrap();
    let suspended = time().await;
    assert!(suspended > begun);
    assert_eq!(time().await, suspended);
    wire.call(DomainResume { id }).await.unwrap();
    assert!(time().await > suspended);
}

async fn live_xml_carries_the_id_and_the_real_vnc_port(wire: &Wire) {
    let uuid = Uuid::random();
    let stored = xml("a", uuid, "<devices><graphics type='vnc' port='-1'/></devices>");
    wire.call(DomainDefine { xml: stored.clone() }).await.unwrap();
    let id = wire.call(DomainStart { uuid }).await.unwrap();
    let live = wire.call(DomainDumpXml { uuid }).await.unwrap().xml;
    assert!(live.starts_with(&format!("<domain id='{id}' ")), "{live}");
    assert!(live.contains("port='5900'"), "{live}");
    wire.call(DomainDestroy { id }).await.unwrap();
    assert_eq!(wire.call(DomainDumpXml { uuid }).await.unwrap().xml, stored);
}

async fn defining_an_active_domain_changes_its_next_start_only(wire: &Wire) {
    let DomainCreated { id, uuid, .. } = create(wire, "a").await;
    let changed = xml("a", uuid, "").replace("2048", "4096");
    wire.call(DomainDefine { xml: changed.clone() }).await.unwrap();
    assert_eq!(wire.call(DomainGetInfo { uuid }).await.unwrap().maxmem, 2048);
    wire.call(DomainDestroy { id }).await.unwrap();
    assert_eq!(wire.call(DomainGetInfo { uuid }).await.unwrap().maxmem, 4096);
    assert_eq!(wire.call(DomainDumpXml { uuid }).await.unwrap().xml, changed);
}
