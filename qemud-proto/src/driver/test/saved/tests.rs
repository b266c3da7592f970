use std::os::unix::fs::{PermissionsExt, symlink};

use pollster::block_on;
use tempfile::TempDir;

use std::fs::{self, File};
use std::io::Write;

use super::*;
use crate::driver::Driver;
use crate::driver::test::TestDriver;
use crate::failure::{Code, Failure};
use crate::identity::Uuid;
use crate::messages::*;

/// A driver with the active domain `a` under id 1, and a folder for its file.
fn scene() -> (TestDriver, Uuid, TempDir, String) {
    let driver = TestDriver::new();
    let xml = "<domain id='9' type='test'><name>a</name><memory>8</memory><os><type>hvm</type></os></domain>";
    let uuid = block_on(driver.domain_create(DomainCreate { xml: xml.to_owned() })).unwrap().uuid;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.save").to_str().unwrap().to_owned();
    (driver, uuid, folder, path)
}

fn save(driver: &TestDriver, id: i32, path: &str) -> Reply<()> {
    block_on(driver.domain_save(DomainSave { id, path: path.to_owned() }))
}

fn restore(driver: &TestDriver, path: &str) -> Reply<i32> {
    block_on(driver.domain_restore(DomainRestore { path: path.to_owned() }))
}

fn info(driver: &TestDriver, uuid: Uuid) -> Reply<DomainInfo> {
    block_on(driver.domain_get_info(DomainGetInfo { uuid }))
}

#[test]
fn a_saved_domain_stops_and_comes_back_under_a_new_id() {
    let (driver, uuid, _folder, path) = scene();
    let live = block_on(driver.domain_dump_xml(DomainDumpXml { uuid })).unwrap().xml;
    save(&driver, 1, &path).unwrap();
    assert_eq!(info(&driver, uuid).unwrap_err().code, Code::NoDomain);
    assert_eq!(restore(&driver, &path), Ok(2));
    let restored = block_on(driver.domain_dump_xml(DomainDumpXml { uuid })).unwrap().xml;
    assert_eq!(restored, live.replace("id='1'", "id='2'"));
    assert_eq!(info(&driver, uuid).unwrap().runstate, RunState::Running);
    // The file stays, so the domain can be brought back to this moment again.
    block_on(driver.domain_destroy(DomainDestroy { id: 2 })).unwrap();
    assert_eq!(restore(&driver, &path), Ok(3));
}

#[test]
fn a_suspended_domain_comes_back_suspended() {
    let (driver, uuid, _folder, path) = scene();
    block_on(driver.domain_suspend(DomainSuspend { id: 1 })).unwrap();
    save(&driver, 1, &path).unwrap();
    restore(&driver, &path).unwrap();
    assert_eq!(info(&driver, uuid).unwrap().runstate, RunState::Paused);
}

#[test]
fn the_file_is_for_its_owner_only_holds_no_live_id_and_replaces_an_older_one() {
    let (driver, _, folder, path) = scene();
    fs::write(&path, "something older").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    save(&driver, 1, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("guestd test driver: saved domain, version 1\nrunstate running\n"));
    assert!(text.contains("<domain type='test'>"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn rejects_paths_that_are_not_absolute() {
    let (driver, uuid, _folder, _) = scene();
    for path in ["", "a.save", "./a.save", "/tmp/a\0b"] {
        let failure = save(&driver, 1, path).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArg);
        assert!(failure.message.ends_with("is not absolute"), "{failure}");
        assert_eq!(restore(&driver, path).unwrap_err().code, Code::InvalidArg);
    }
    assert!(info(&driver, uuid).is_ok());
}

#[test]
fn a_save_that_fails_leaves_the_domain_running_and_no_file() {
    let (driver, uuid, folder, path) = scene();
    let missing = folder.path().join("missing/a.save");
    let failure = save(&driver, 1, missing.to_str().unwrap()).unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    let says = format!("cannot save to '{}': No such file or directory (os error 2)", missing.display());
    assert_eq!(failure.message, says);
    fs::create_dir(&path).unwrap();
    assert_eq!(save(&driver, 1, &path).unwrap_err().code, Code::SystemError);
    assert_eq!(save(&driver, 1, "/").unwrap_err().code, Code::SystemError);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    assert_eq!(info(&driver, uuid).unwrap().runstate, RunState::Running);
}

#[test]
fn rejects_files_that_are_missing_or_no_files() {
    let (driver, _, folder, path) = scene();
    let failure = restore(&driver, &path).unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    assert!(failure.message.starts_with(&format!("cannot restore from '{path}': ")), "{failure}");
    for irregular in [folder.path().to_str().unwrap(), "/dev/zero"] {
        let failure = restore(&driver, irregular).unwrap_err();
        assert_eq!(failure.code, Code::OperationFailed);
        assert!(failure.message.ends_with("is not a regular file"), "{failure}");
    }
    symlink("/dev/zero", &path).unwrap();
    assert!(restore(&driver, &path).unwrap_err().message.ends_with("is not a regular file"));
}

#[test]
fn rejects_every_prefix_and_every_extension_of_a_saved_domain() {
    let (driver, _, _folder, path) = scene();
    save(&driver, 1, &path).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        let failure = understand(&whole[..end]).unwrap_err();
        let reason = match end {
            0..42 => "is not a domain saved by the test driver",
            _ => "is cut short",
        };
        assert!(failure.starts_with(reason), "{end}: {failure}");
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(restore(&driver, &path).unwrap_err().code, Code::OperationFailed);
    }
    fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
    let failure = restore(&driver, &path).unwrap_err();
    assert!(failure.message.contains("is damaged: more than"), "{failure}");
    fs::write(&path, &whole).unwrap();
    assert_eq!(restore(&driver, &path), Ok(2));
}

#[test]
fn rejects_damaged_files_with_the_reason() {
    let (driver, _, _folder, path) = scene();
    save(&driver, 1, &path).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, reason) in [
        ("guestd test", "guestd best", "is not a domain saved by the test driver"),
        ("version 1", "version 2", "has version \"2\", not 1"),
        ("running", "dreaming", "its runstate is unknown"),
        ("length ", "length x", "its length is not a number"),
        ("length ", "length 9999999", "is cut short"),
        ("</domain>", "</demain>", "is damaged: line 1, column "),
        ("<memory>8<", "<memory>x<", "is damaged: line 1: 'x' in memory is no number"),
    ] {
        assert!(whole.contains(from));
        fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        let failure = restore(&driver, &path).unwrap_err();
        assert_eq!(failure.code, Code::OperationFailed);
        assert!(failure.message.starts_with(&format!("cannot restore: '{path}' ")), "{failure}");
        assert!(failure.message.contains(reason), "{failure}");
    }
    let mut bytes = whole.into_bytes();
    *bytes.last_mut().unwrap() = 0xff;
    fs::write(&path, bytes).unwrap();
    assert!(restore(&driver, &path).unwrap_err().message.ends_with("it is not text"));
    assert_eq!(block_on(driver.num_domains(NumDomains)), Ok(0));
}

#[test]
fn survives_a_huge_file_without_reading_it() {
    let (driver, _, _folder, path) = scene();
    let file = File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(restore(&driver, &path).unwrap_err().code, Code::OperationFailed);
    (&file).write_all(b"guestd test driver: saved domain, version 1\nrunstate running\nlength 5\n").unwrap();
    assert!(restore(&driver, &path).unwrap_err().message.contains("more than 5 bytes"));
}

#[test]
fn a_saved_domain_of_the_longest_definition_can_be_restored() {
    let (driver, _, _folder, path) = scene();
    let xml = |padding: usize| {
        let uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f";
        let padding = " ".repeat(padding);
        format!(
            "<domain type='test'><name>b</name><uuid>{uuid}</uuid><memory>8</memory>\
             <os><type>hvm</type></os>{padding}</domain>"
        )
    };
    let room = XML_MAX - xml(0).len() - " id='2147483647'".len();
    let id = block_on(driver.domain_create(DomainCreate { xml: xml(room) })).unwrap().id;
    save(&driver, id, &path).unwrap();
    assert_eq!(restore(&driver, &path), Ok(3));
}

#[test]
fn a_restore_meets_the_same_rules_as_a_create() {
    let (driver, uuid, _folder, path) = scene();
    let xml = block_on(driver.domain_dump_xml(DomainDumpXml { uuid })).unwrap().xml;
    block_on(driver.domain_define(DomainDefine { xml: xml.clone() })).unwrap();
    save(&driver, 1, &path).unwrap();
    assert_eq!(info(&driver, uuid).unwrap().runstate, RunState::Stopped);
    assert_eq!(restore(&driver, &path), Ok(2));
    let failure = restore(&driver, &path).unwrap_err();
    assert_eq!(failure, Failure::new(Code::OperationInvalid, "domain 'a' is active already"));
    block_on(driver.domain_destroy(DomainDestroy { id: 2 })).unwrap();
    block_on(driver.domain_undefine(DomainUndefine { uuid })).unwrap();
    let other = xml.replace(&uuid.to_string(), &Uuid::random().to_string());
    block_on(driver.domain_define(DomainDefine { xml: other })).unwrap();
    assert_eq!(restore(&driver, &path).unwrap_err().code, Code::DomExist);
}

#[test]
fn a_save_never_replaces_what_is_no_regular_file() {
    let (driver, _, folder, _) = scene();
    let socket = folder.path().join("a.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let failure = save(&driver, 1, socket.to_str().unwrap()).unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    assert!(failure.message.contains("no regular file"), "{failure}");
    assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok(), "the socket is gone");
    let info = block_on(driver.num_domains(NumDomains)).unwrap();
    assert_eq!(info, 1, "the domain has stopped without being saved");
}
