//! Domains in files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;

use crate::domains::{define, undefine};
use crate::running::{create, state};
use crate::subject::Subject;

/// Whether it is saved; the driver may not be able to.
pub(crate) async fn save(subject: &Subject, id: i32, name: &str) -> bool {
    let saved = subject.driver.domain_save(DomainSave { id, path: subject.path(name) }).await;
    subject.ended("saving an active domain", &saved);
    saved.is_ok()
}

async fn restore(subject: &Subject, name: &str) -> qemud_proto::failure::Reply<i32> {
    subject.driver.domain_restore(DomainRestore { path: subject.path(name) }).await
}

pub(crate) async fn saved_domains(subject: &Subject) {
    let driver = &subject.driver;
    let uuid = define(subject, "conform-save").await;
    let mut id = driver.domain_start(DomainStart { uuid }).await.unwrap();
    if !save(subject, id, "a").await {
        driver.domain_destroy(DomainDestroy { id }).await.unwrap();
        return undefine(subject, uuid).await;
    }
    let private = fs::metadata(subject.file("a")).unwrap().permissions().mode() & 0o777 == 0o600;
    subject.is("others cannot read the file", private);
    let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
    subject.is("a saved domain is not active", found.is_ok_and(|found| found.id == -1));
    let restored = restore(subject, "a").await;
    subject.ended("restoring it", &restored);
    let before = std::mem::replace(&mut id, restored.unwrap());
    let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
    let told = found.is_ok_and(|found| found.id == id) && id > before;
    subject.is("a restore tells the new id", told);
    subject.is("what ran runs", state(subject, uuid).await == RunState::Running);
    subject.ended("restoring what is active", &restore(subject, "a").await);
    driver.domain_suspend(DomainSuspend { id }).await.unwrap();
    assert!(save(subject, id, "a").await, "{}", subject.column);
    let id = restore(subject, "a").await.unwrap();
    subject.is("what was suspended is suspended", state(subject, uuid).await == RunState::Paused);
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    undefine(subject, uuid).await;
    // What was never defined is in the file alone.
    let id = restore(subject, "a").await.unwrap();
    driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    let found = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await;
    subject.ended("what was restored without a definition and is destroyed is gone", &found);
    let other = Uuid::random();
    driver.domain_define(DomainDefine { xml: subject.domain("conform-save", other) }).await.unwrap();
    subject.ended("restoring the name of another domain", &restore(subject, "a").await);
    undefine(subject, other).await;
}

pub(crate) async fn files_that_are_refused(subject: &Subject) {
    let driver = &subject.driver;
    let DomainCreated { id, uuid, .. } = create(subject, "conform-refused").await;
    for path in ["", "a.saved", "../a.saved", "/tmp/a\0.saved"] {
        let rule = "a path that is not absolute or has a NUL";
        subject.ended(rule, &driver.domain_save(DomainSave { id, path: path.to_owned() }).await);
        subject.ended(rule, &driver.domain_restore(DomainRestore { path: path.to_owned() }).await);
    }
    let missing = subject.path("missing/a");
    subject.ended("saving to a folder that is missing", &driver.domain_save(DomainSave { id, path: missing }).await);
    subject.is("a save that fails leaves the domain running", state(subject, uuid).await == RunState::Running);
    subject.ended("restoring from a file that is missing", &restore(subject, "missing").await);
    subject.ended("restoring from a folder", &restore(subject, "").await);
    fs::write(subject.file("empty"), b"").unwrap();
    subject.ended("restoring from an empty file", &restore(subject, "empty").await);
    fs::write(subject.file("other"), b"\x7fELF, and more that no driver has written").unwrap();
    subject.ended("restoring from a file of something else", &restore(subject, "other").await);
    if !save(subject, id, "cut").await {
        return driver.domain_destroy(DomainDestroy { id }).await.unwrap();
    }
    let whole = fs::read(subject.file("cut")).unwrap();
    fs::write(subject.file("cut"), &whole[..whole.len() / 2]).unwrap();
    let cut = restore(subject, "cut").await;
    let gone = driver.domain_lookup_by_uuid(DomainLookupByUuid { uuid }).await.is_err();
    subject.ended("restoring from a file that is cut short", &cut);
    subject.is("a restore that fails leaves nothing", gone);
}
