//! Domains that run: create, start, suspend, resume, destroy, and what is told about them.

use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::domains::{define, undefine};
use crate::subject::{CURRENT_MEMORY, MEMORY, Subject};

pub(crate) async fn create(subject: &Subject, name: &str) -> DomainCreated {
    let uuid = Uuid::random();
    let created = subject.driver.domain_create(DomainCreate { xml: subject.domain(name, uuid) }).await.unwrap();
    assert!((created.uuid, created.name.as_str()) == (uuid, name), "{}: {created:?}", subject.column);
    created
}

pub(crate) async fn state(subject: &Subject, uuid: Uuid) -> RunState {
    subject.driver.domain_get_info(DomainGetInfo { uuid }).await.unwrap().runstate
}

async fn active(subject: &Subject) -> Vec<i32> {
    subject.driver.list_domains(ListDomains).await.unwrap().ids
}

pub(crate) async fn created_domains(subject: &Subject) {
    let driver = &subject.driver;
    let before = active(subject).await;
    let DomainCreated { id, uuid, name } = create(subject, "conform-run").await;
    let ids = active(subject).await;
    let counted = driver.num_domains(NumDomains).await == Ok(ids.len().try_into().unwrap());
    subject.is("a created domain is listed and counted", ids.contains(&id) && counted && ids.len() == before.len() + 1);
    subject.is("ids are in ascending order, from 1", ids.is_sorted() && ids.iter().all(|id| *id >= 1));
    let found = driver.domain_lookup_by_id(DomainLookupById { id }).await;
    assert_eq!(found, Ok(Identity { uuid, name: name.clone() }), "{}", subject.column);
    subject.is("it runs", state(subject, uuid).await == RunState::Running);
    let again = driver.domain_create(DomainCreate { xml: subject.domain(&name, uuid) }).await;
    subject.ended("creating what is active", &again);
    let undefined = driver.domain_undefine(DomainUndefine { uuid }).await;
    subject.ended("undefining what was never defined", &undefined);
    let marked = driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: true }).await;
    subject.ended("marking for autostart what was never defined", &marked);
    subject.ended("destroying an active domain", &driver.domain_destroy(DomainDestroy { id }).await);
    let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
    subject.ended("what was created and is destroyed is gone", &found);
    assert_eq!(active(subject).await, before, "{}", subject.column);
}

pub(crate) async fn started_domains(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = define(subject, "conform-start").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = driver.domain_start(DomainStart { uuid }).await.unwrap();
        assert!(active(subject).await.contains(&id), "{}", subject.column);
        subject.ended("starting what is active", &driver.domain_start(DomainStart { uuid }).await);
        let marked = driver.domain_set_autostart(DomainSetAutostart { uuid, autostart: true }).await;
        subject.ended("marking an active domain for autostart", &marked);
        let undefined = driver.domain_undefine(DomainUndefine { uuid }).await;
        subject.ended("undefining an active domain", &undefined);
        driver.domain_destroy(DomainDestroy { id }).await.unwrap();
        let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
        subject.is("what is defined stays when it is destroyed", found.is_ok_and(|found| found.id == -1));
        ids.push(id);
    }
    subject.is("an id is never used twice", ids.is_sorted() && ids[0] != ids[1]);
    undefine(subject, uuid).await;
}

pub(crate) async fn processors(subject: &Subject) {
    let driver = &subject.driver;
    let DomainCreated { id, uuid, .. } = create(subject, "conform-halt").await;
    let (suspend, resume) = (DomainSuspend { id }, DomainResume { id });
    subject.ended("resuming what runs", &driver.domain_resume(resume).await);
    assert_eq!(state(subject, uuid).await, RunState::Running, "{}", subject.column);
    subject.ended("suspending what runs", &driver.domain_suspend(suspend).await);
    subject.ended("suspending what is suspended", &driver.domain_suspend(suspend).await);
    let paused = state(subject, uuid).await == RunState::Paused && active(subject).await.contains(&id);
    subject.is("a suspended domain is paused and active", paused);
    subject.ended("resuming what is suspended", &driver.domain_resume(resume).await);
    assert_eq!(state(subject, uuid).await, RunState::Running, "{}", subject.column);
    driver.domain_suspend(suspend).await.unwrap();
    subject.ended("destroying what is suspended", &driver.domain_destroy(DomainDestroy { id }).await);
    for id in [id, 0, -1, i32::MIN, i32::MAX] {
        let rule = "suspending, resuming, saving or destroying by an id that is not active";
        subject.ended(rule, &driver.domain_suspend(DomainSuspend { id }).await);
        subject.ended(rule, &driver.domain_resume(DomainResume { id }).await);
        subject.ended(rule, &driver.domain_destroy(DomainDestroy { id }).await);
        subject.ended(rule, &driver.domain_save(DomainSave { id, path: subject.path("nobody") }).await);
    }
    assert!(!subject.file("nobody").exists(), "{}", subject.column);
}

pub(crate) async fn information(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = define(subject, "conform-info").await;
    let told = async || driver.domain_get_info(DomainGetInfo { uuid }).await.unwrap();
    let info = told().await;
    assert_eq!((info.runstate, info.cpu_time, info.nr_virt_cpu), (RunState::Stopped, 0, 1), "{}", subject.column);
    let described = (info.memory, info.maxmem) == (CURRENT_MEMORY, MEMORY);
    subject.is("an inactive domain has the memory of its definition", described);
    let id = driver.domain_start(DomainStart { uuid }).await.unwrap();
    let info = told().await;
    assert_eq!((info.runstate, info.nr_virt_cpu), (RunState::Running, 1), "{}", subject.column);
    assert_eq!(info.maxmem, MEMORY, "{}", subject.column);
    subject.is("an active domain uses the memory of its definition", info.memory == CURRENT_MEMORY);
    let live = driver.domain_dump_xml(DomainDumpXml { uuid }).await.unwrap().xml;
    subject.is("the xml of an active domain carries its id", id_in(&live) == Some(id.to_string()));
    let next = DomainDefine { xml: subject.domain_with("conform-info", uuid, 2, "") };
    driver.domain_define(next).await.unwrap();
    let (now, id_now) = (told().await, driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.unwrap().id);
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    let later = (now.nr_virt_cpu, id_now, told().await.nr_virt_cpu) == (1, id, 2);
    subject.is("a definition of an active domain counts from its next start", later);
    let stored = driver.domain_dump_xml(DomainDumpXml { uuid }).await.unwrap().xml;
    subject.is("the xml of an inactive domain carries no id", id_in(&stored).is_none());
    undefine(subject, uuid).await;

    let DomainCreated { id, uuid, name } = create(subject, "conform-keep").await;
    driver.domain_define(DomainDefine { xml: subject.domain(&name, uuid) }).await.unwrap();
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
    subject.is("what was created and is defined stays", found.is_ok_and(|found| found.id == -1));
    undefine(subject, uuid).await;
}

fn id_in(xml: &str) -> Option<String> {
    roxmltree::Document::parse(xml).unwrap().root_element().attribute("id").map(str::to_owned)
}

pub(crate) async fn host(subject: &Subject) {
    let driver = &subject.driver;
    subject.is("the hypervisor has a version", driver.get_version(GetVersion).await.is_ok_and(|version| version > 0));
    let node = driver.get_node_info(GetNodeInfo).await.unwrap();
    let sound = node.memory > 0 && node.cpus > 0 && node.nodes > 0 && node.threads > 0 && !node.model.is_empty();
    subject.is("the machine has processors and memory", sound);
    let xml = driver.get_capabilities(GetCapabilities).await.unwrap().xml;
    let document = roxmltree::Document::parse(&xml).unwrap();
    let types: Vec<_> = document.descendants().filter_map(|node| node.attribute("type")).collect();
    let named = document.root_element().has_tag_name("capabilities") && types.contains(&subject.domain_type);
    subject.is("the capabilities name the type of the guests", named);
}
