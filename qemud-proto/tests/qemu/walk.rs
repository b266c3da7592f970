//! The walk of the README, from nothing to a guest that runs.

use std::process::{Command, Stdio};

use crate::scene::{Scene, emulator};

const README: &str = include_str!("../../../README.md");

#[test]
fn the_walk_of_the_readme_leads_to_a_guest_that_runs() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    let mut blocks = README.split("```console").filter_map(|text| text.split("```").next());
    let walk = blocks.find(|block| block.contains("guestd --driver qemu")).expect("there is a walk");
    let programs = env!("CARGO_BIN_EXE_guestd").strip_suffix("guestd").unwrap();
    let here = |line: &str| line.replace("/tmp/", &scene.text("")).replace("target/debug/", programs);
    let mut script = "set -eu\n".to_owned();
    let mut shown = String::new();
    for line in walk.lines().map(here) {
        match line.strip_prefix("$ ") {
            Some(command) if command.ends_with(" &") => {
                // A person is slower than the daemon; this is not.
                let socket = scene.text("guestd-sock");
                script += &format!("{command}\ntrap \"kill $!\" EXIT\nuntil test -S {socket}; do sleep 0.01; done\n");
            }
            Some(command) => script += &format!("{command}\n"),
            None if line.is_empty() => {}
            None => shown += &format!("{line}\n"),
        }
    }
    script += "$0 domstate tiny\n";
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_guestctl")]).env("XDG_CONFIG_HOME", "/nonexistent");
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{shown}running\n"));
    assert_eq!(scene.processes().len(), 1);
}
