use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::failure::Code;

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("etc/qemu")).unwrap();
    (folder, store)
}

fn stored(name: &str, xml: &str, autostart: bool) -> Stored {
    Stored { name: name.to_owned(), xml: xml.to_owned(), autostart }
}

#[test]
fn what_is_written_is_loaded_in_the_order_of_names() {
    let (_folder, store) = store();
    store.write("b", "<b/>").unwrap();
    store.write("a.xml", "<a/>").unwrap();
    store.write("b", "<bb/>").unwrap();
    store.set_autostart("b", true).unwrap();
    store.set_autostart("b", true).unwrap();
    assert_eq!(store.load().unwrap().definitions, [stored("a.xml", "<a/>", false), stored("b", "<bb/>", true)]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&store.path("b")), mode(&store.folder)), (0o600, 0o700));
    assert_ne!(mode(store.folder.parent().unwrap()) & 0o005, 0, "others can read what else is there");
    assert_eq!(fs::read_link(store.mark("b")).unwrap(), store.path("b"));
}

#[test]
fn a_definition_that_is_removed_takes_its_mark_along() {
    let (_folder, store) = store();
    store.write("a", "<a/>").unwrap();
    store.set_autostart("a", true).unwrap();
    store.remove("a").unwrap();
    assert!(fs::symlink_metadata(store.mark("a")).is_err());
    store.remove("a").unwrap();
    store.set_autostart("a", false).unwrap();
    assert!(store.load().unwrap().definitions.is_empty());
}

#[test]
fn a_mark_that_outlived_its_definition_is_not_the_next_ones() {
    let (_folder, store) = store();
    store.write("a", "<a/>").unwrap();
    store.set_autostart("a", true).unwrap();
    // The daemon dies between the two steps of a removal.
    fs::remove_file(store.path("a")).unwrap();
    assert!(store.load().unwrap().definitions.is_empty());
    store.write("a", "<a/>").unwrap();
    assert_eq!(store.load().unwrap().definitions, [stored("a", "<a/>", false)]);
}

#[test]
fn a_bad_file_hides_no_other_and_stays() {
    let (_folder, store) = store();
    store.write("good", "<a/>").unwrap();
    fs::write(store.path("binary"), b"<a>\xff</a>").unwrap();
    fs::write(store.path("long"), "x".repeat(XML_MAX + 1)).unwrap();
    fs::write(store.path("longest"), "x".repeat(XML_MAX)).unwrap();
    fs::create_dir(store.path("folder")).unwrap();
    symlink("/nowhere/at/all", store.path("lost")).unwrap();
    fs::write(store.folder.join("notes.txt"), "not ours").unwrap();
    let loaded = store.load().unwrap();
    let names: Vec<_> = loaded.definitions.iter().map(|stored| stored.name.as_str()).collect();
    assert_eq!(names, ["good", "longest"]);
    let faults: Vec<_> = loaded.faults.iter().map(|(path, fault)| (path.clone(), fault.as_str())).collect();
    let expected = [
        ("binary", "it is not UTF-8 from byte 3 on"),
        ("folder", "it is not a regular file"),
        ("long", "it has more than 65536 bytes"),
        ("lost", "No such file or directory (os error 2)"),
    ];
    assert_eq!(faults, expected.map(|(name, fault)| (store.path(name), fault)));
    assert!(expected.iter().all(|(name, _)| fs::symlink_metadata(store.path(name)).is_ok()));
}

#[test]
fn what_was_not_finished_is_cleared_away() {
    let (_folder, store) = store();
    let unfinished = store.folder.join(".guestd-x1Y2.tmp");
    fs::write(&unfinished, "<half").unwrap();
    assert!(store.load().unwrap().definitions.is_empty());
    assert!(!unfinished.exists());
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let (_folder, store) = store();
    fs::create_dir(store.path("a")).unwrap();
    fs::write(store.path("a").join("inside"), "kept").unwrap();
    let failure = store.write("a", "<a/>").unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    assert!(failure.message.contains("a.xml'"), "{failure}");
    assert!(store.path("a").join("inside").exists());
    assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 2, "nothing half written stays");
}
