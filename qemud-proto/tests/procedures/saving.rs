//! Domains in files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use qemud_proto::failure::Code;
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use tempfile::TempDir;

use crate::domains::{create, listed, xml};
use crate::wire::{Wire, proofs, refused};

proofs! {
    a_saved_domain_stops_and_comes_back_under_a_new_id_in_its_old_state,
    paths_that_are_not_absolute_are_invalid,
    what_the_operating_system_refuses_is_a_system_error,
    a_save_that_fails_leaves_the_domain_running,
    a_file_that_holds_no_domain_is_not_restored,
    a_restore_meets_the_rules_of_a_create,
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

async fn a_saved_domain_stops_and_comes_back_under_a_new_id_in_its_old_state(wire: &Wire) {
    let folder = folder();
    let path = file(&folder, "a.saved");
    let mut created = create(wire, "a").await;
    for runstate in [RunState::Running, RunState::Paused] {
        if runstate == RunState::Paused {
            wire.call(DomainSuspend { id: created.id }).await.unwrap();
        }
        assert_eq!(wire.call(DomainSave { id: created.id, path: path.clone() }).await, Ok(()));
        assert_eq!(listed(wire).await, (vec![], vec![]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let id = wire.call(DomainRestore { path: path.clone() }).await.unwrap();
        assert_eq!(id, created.id + 1);
        created.id = id;
        let DomainCreated { uuid, name, .. } = created.clone();
        assert_eq!(wire.call(DomainLookupById { id }).await, Ok(Identity { uuid, name }));
        assert_eq!(wire.call(DomainGetInfo { uuid }).await.unwrap().runstate, runstate);
    }
}

async fn paths_that_are_not_absolute_are_invalid(wire: &Wire) {
    let id = create(wire, "a").await.id;
    for path in ["", "a.saved", "./a.saved", "../a.saved", "~/a.saved", "/tmp/a\0.saved"] {
        refused(wire.call(DomainSave { id, path: path.to_owned() }).await, Code::InvalidArg, "is not absolute");
        refused(wire.call(DomainRestore { path: path.to_owned() }).await, Code::InvalidArg, "is not absolute");
    }
    assert_eq!(listed(wire).await.0, [id]);
}

async fn what_the_operating_system_refuses_is_a_system_error(wire: &Wire) {
    let folder = folder();
    let path = file(&folder, "missing/a.saved");
    let id = create(wire, "a").await.id;
    let says = &format!("'{path}': No such file or directory");
    refused(wire.call(DomainSave { id, path: path.clone() }).await, Code::SystemError, says);
    refused(wire.call(DomainRestore { path }).await, Code::SystemError, says);
    // Within the bound of the protocol, beyond that of the system.
    let path = "/".to_owned() + &"x".repeat(PATH_MAX - 1);
    refused(wire.call(DomainSave { id, path: path.clone() }).await, Code::SystemError, "cannot save to");
    refused(wire.call(DomainRestore { path }).await, Code::SystemError, "cannot restore from");
}

async fn a_save_that_fails_leaves_the_domain_running(wire: &Wire) {
    let folder = folder();
    let created = create(wire, "a").await;
    let saved = wire.call(DomainSave { id: created.id, path: file(&folder, "") }).await;
    refused(saved, Code::SystemError, "cannot save to");
    assert_eq!(wire.call(DomainGetInfo { uuid: created.uuid }).await.unwrap().runstate, RunState::Running);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

async fn a_file_that_holds_no_domain_is_not_restored(wire: &Wire) {
    let folder = folder();
    let path = file(&folder, "a.saved");
    let restore = async || wire.call(DomainRestore { path: path.clone() }).await;
    let id = create(wire, "a").await.id;
    wire.call(DomainSave { id, path: path.clone() }).await.unwrap();
    let whole = fs::read(&path).unwrap();
    for (content, says) in [
        (&b""[..], "is not a domain saved by the test driver"),
        (b"\x7fELF", "is not a domain saved by the test driver"),
        (&whole[..whole.len() - 1], "is cut short"),
        (&[&whole[..], b"x"].concat(), "is damaged"),
    ] {
        fs::write(&path, content).unwrap();
        refused(restore().await, Code::OperationFailed, says);
    }
    let folder_itself = wire.call(DomainRestore { path: file(&folder, "") }).await;
    refused(folder_itself, Code::OperationFailed, "is not a regular file");
    let damaged = String::from_utf8(whole.clone()).unwrap().replace("</domain>", "</nothing");
    fs::write(&path, damaged).unwrap();
    refused(restore().await, Code::OperationFailed, "is damaged");
    assert_eq!(listed(wire).await, (vec![], vec![]));
    fs::write(&path, whole).unwrap();
    assert_eq!(restore().await, Ok(2));
}

async fn a_restore_meets_the_rules_of_a_create(wire: &Wire) {
    let folder = folder();
    let path = file(&folder, "a.saved");
    let created = create(wire, "a").await;
    wire.call(DomainSave { id: created.id, path: path.clone() }).await.unwrap();
    let id = wire.call(DomainRestore { path: path.clone() }).await.unwrap();
    let twice = wire.call(DomainRestore { path: path.clone() }).await;
    refused(twice, Code::OperationInvalid, "domain 'a' is active already");
    wire.call(DomainDestroy { id }).await.unwrap();
    let other = Uuid::random();
    wire.call(DomainDefine { xml: xml("a", other, "") }).await.unwrap();
    let foreign = wire.call(DomainRestore { path }).await;
    refused(foreign, Code::DomExist, &format!("domain 'a' exists already, its uuid is {other}"));
}
