//! Emulators that are none, or broken, and the one of this machine.

mod emulators;
#[path = "../../../../../tests/src/foreign_tool.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is public in the package that it is from")]
pub(in crate::driver::qemu) mod foreign_tool;
mod installed;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::failure::{Code, Failure};

/// What a small emulator answers.
const ANSWERS: &str = r#"{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 9}, "package": ""}, "capabilities": []}}
{"return": {}}
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "NICE_DAY", "data": {}}
{"return": {"qemu": {"micro": 3, "minor": 1, "major": 9}, "package": "x"}, "id": "version"}
{"return": {"arch": "i386"}, "id": "target"}
{"return": [{"name": "q35-9", "alias": "q35", "cpu-max": 288, "new": [1]}, {"name": "none", "cpu-max": 1},
  {"name": "pc-9", "is-default": true, "cpu-max": 255}, {"name": "a,b=c", "cpu-max": 1}], "id": "machines"}
{"return": [{"name": "kvm-accel"}, {"name": "tcg-accel"}, {"name": "accel"}], "id": "accelerators"}
{"return": {}}
"#;

/// Makes a program. Another process writes it: one that is open for writing anywhere in a process that is about to start
/// others cannot be started.
pub(in crate::driver::qemu) fn script(path: &Path, body: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$2" && chmod +x "$2""#;
    let written = Command::new("sh").args(["-c", write, "sh", body]).arg(path).status().unwrap();
    assert!(written.success());
}

fn answering(answers: &str) -> String {
    format!("cat <<'ANSWERS'\n{answers}\nANSWERS")
}

fn program(body: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("qemu-system-i386");
    script(&path, body);
    (folder, path)
}

async fn refusal(body: &str) -> String {
    let (_folder, path) = program(body);
    reason(&path, Emulator::probe(&path).await.unwrap_err())
}

fn reason(path: &Path, failure: Failure) -> String {
    assert_eq!(failure.code, Code::OperationFailed);
    let reason = failure.message.strip_prefix(&format!("'{}' cannot be used as an emulator: ", path.display()));
    reason.unwrap_or_else(|| panic!("{failure}")).to_owned()
}

#[tokio::test]
async fn an_emulator_is_what_it_says() {
    let (folder, path) = program(&answering(ANSWERS));
    let kvm = folder.path().join("kvm");
    std::fs::write(&kvm, "").unwrap();
    let machine = |name: &str, alias: Option<&str>, is_default, processors| Machine {
        name: name.to_owned(),
        alias: alias.map(str::to_owned),
        is_default,
        processors,
    };
    let expected = Emulator {
        path: path.clone(),
        version: 9_001_003,
        arch: "i686".to_owned(),
        machines: vec![machine("pc-9", None, true, 255), machine("q35-9", Some("q35"), false, 288)],
        accelerators: vec![Accelerator::Tcg, Accelerator::Kvm],
        no_kvm: None,
    };
    assert_eq!(probe::probe(&path, &kvm).await.unwrap(), expected);
    std::fs::remove_file(&kvm).unwrap();
    let without = probe::probe(&path, &kvm).await.unwrap();
    assert_eq!(without.accelerators, [Accelerator::Tcg]);
    let reason = format!("{}: No such file or directory (os error 2)", kvm.display());
    assert_eq!(without.no_kvm, Some(reason));
    script(&path, &answering(&ANSWERS.replace("kvm-accel", "hvf-accel")));
    std::fs::write(&kvm, "").unwrap();
    let without = probe::probe(&path, &kvm).await.unwrap();
    assert_eq!(
        (without.accelerators, without.no_kvm),
        (vec![Accelerator::Tcg], Some("it was built without".to_owned()))
    );
}

#[tokio::test]
async fn it_is_asked_without_a_machine_and_reads_its_questions() {
    // The questions have no end but the one that lets it end.
    let body = format!("echo \"$@\" >\"$0.arguments\"; head -n 6 >\"$0.questions\"\n{}", answering(ANSWERS));
    let (_folder, path) = program(&body);
    Emulator::probe(&path).await.unwrap();
    let written = |what: &str| std::fs::read_to_string(format!("{}.{what}", path.display())).unwrap();
    assert_eq!(written("arguments"), "-machine none -no-user-config -nodefaults -display none -qmp stdio\n");
    assert!(written("questions").ends_with("{\"execute\":\"quit\"}\n"));
}

/// The clock stands still while a thread waits for the pipe, and jumps to the end of the time when nothing else is left.
#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_given_up_and_ended() {
    let (folder, path) = program("exec 3>\"$0.pipe\"; exec sleep 3600");
    let pipe = PathBuf::from(format!("{}.pipe", path.display()));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut probing = Box::pin(Emulator::probe(&path));
    let opened = tokio::task::spawn_blocking(move || std::fs::File::open(pipe));
    let mut pipe = tokio::select! {
        opened = opened => opened.unwrap().unwrap(),
        early = &mut probing => panic!("{early:?}"),
    };
    assert_eq!(reason(&path, probing.await.unwrap_err()), "it has not answered within 20 seconds");
    // The pipe ends with its last writer.
    let rest = tokio::task::spawn_blocking(move || std::io::copy(&mut pipe, &mut std::io::sink()));
    assert_eq!(rest.await.unwrap().unwrap(), 0);
    drop(folder);
}

#[tokio::test]
async fn megabytes_are_not_read_to_their_end() {
    assert_eq!(refusal("exec yes").await, "it writes more than 1048576 bytes");
    let noise = format!("yes | head -c 5000000 >&2\n{}", answering(ANSWERS));
    let (_folder, path) = program(&noise);
    assert_eq!(Emulator::probe(&path).await.unwrap().version, 9_001_003);
}

#[tokio::test]
async fn one_that_fails_is_refused_with_its_complaint() {
    assert_eq!(refusal("exit 3").await, "it ends with exit status: 3");
    let spoken = "printf 'no\\nlibrary' >&2; exit 1";
    assert_eq!(refusal(spoken).await, "it ends with exit status: 1, and says: no library");
    assert!(refusal("kill -9 $$").await.starts_with("it ends with signal: 9"));
    let long = refusal("yes é | head -c 5000000 >&2; exit 1").await;
    assert!(long.len() < 320 && long.contains("é é"), "{long}");
    let failing = format!("{}\nexit 1", answering(ANSWERS));
    assert_eq!(refusal(&failing).await, "it ends with exit status: 1");
}

#[tokio::test]
async fn garbage_is_refused() {
    for body in ["echo hello", "printf '\\377\\000\\376'", "echo '[1]'", "echo '{\"return\": {}'", "echo '\"x\"'"] {
        assert!(refusal(body).await.starts_with("it does not answer as QEMU does: "), "{body}");
    }
    let deep = "head -c 100000 /dev/zero | tr '\\0' '['";
    assert!(refusal(deep).await.starts_with("it does not answer as QEMU does: "));
    let deep = "printf '{\"return\":'; head -c 100000 /dev/zero | tr '\\0' '['";
    assert!(refusal(deep).await.contains("recursion limit"));
    assert_eq!(refusal("true").await, "it does not tell its version");
}

#[tokio::test]
async fn answers_that_are_missing_or_of_another_kind_are_refused() {
    for (there, instead, expected) in [
        (r#""id": "version""#, r#""id": "other""#, "it does not tell its version"),
        (r#""id": "machines""#, "\"x\": 1", "it does not tell its machines"),
        (r#"{"arch": "i386"}"#, "7", "its target cannot be understood: "),
        (r#"{"arch": "i386"}"#, r#"{"arch": "a,b"}"#, "its target is no word"),
        (r#""major": 9}, "package": "x"}"#, r#""major": -9}}"#, "its version cannot be understood: "),
        (r#""cpu-max": 288"#, r#""cpu-max": "many""#, "its machines cannot be understood: "),
        (
            r#""return": {"arch": "i386"}"#,
            r#""error": {"class": "x", "desc": "no"}"#,
            "it does not tell its target: no",
        ),
    ] {
        let answers = ANSWERS.replace(there, instead);
        assert_ne!(answers, ANSWERS, "{there}");
        let reason = refusal(&answering(&answers)).await;
        assert!(reason.starts_with(expected), "{there}: {reason}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    let folder = TempDir::new().unwrap();
    let (missing, plain) = (folder.path().join("missing"), folder.path().join("plain"));
    std::fs::write(&plain, "").unwrap();
    for (path, expected) in [
        (missing.as_path(), "it cannot be started: No such file or directory (os error 2)"),
        (plain.as_path(), "it cannot be started: Permission denied (os error 13)"),
        (folder.path(), "it cannot be started: Permission denied (os error 13)"),
    ] {
        assert_eq!(reason(path, Emulator::probe(path).await.unwrap_err()), expected);
    }
}

#[test]
fn architectures_are_spelt_as_definitions_spell_them() {
    for (arch, target, bits) in [("i686", "i386", 32), ("armv7l", "arm", 32), ("aarch64", "aarch64", 64)] {
        assert_eq!((arch_of(target), target_of(arch), word_size(arch)), (arch, target, bits));
    }
    assert_eq!((word_size("s390x"), word_size("riscv32")), (64, 32));
}
