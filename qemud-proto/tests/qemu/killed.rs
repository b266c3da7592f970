//! Daemons that are killed at any moment of what they do: afterwards all is as before or as after, nothing is lost, and
//! nothing runs that the next daemon does not know.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use qemud_proto::identity::Uuid;

use crate::foreign_tool;
use crate::scene::{Scene, emulator, names, signal, until, xml};

/// At how many moments of each call the daemon is killed.
const MOMENTS: u32 = 12;

/// A daemon in a process of its own, killed at the latest when its test ends.
struct Guestd(Child);

impl Drop for Guestd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What starts a daemon, without what the environment of the test would tell it.
fn guestd(scene: &Scene) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_guestd")), scene)
}

fn prepared(mut command: Command, scene: &Scene) -> Command {
    for variable in ["GUESTD_DEFAULT_URI", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(variable);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(["--driver", "qemu", "--unix", &scene.text("sock")]);
    command.args(["--config-dir", &scene.text("etc"), "--state-dir", &scene.text("run")]);
    command
}

/// Starts a daemon that serves.
fn serve(mut command: Command) -> Guestd {
    let mut daemon = Guestd(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening unix "), "the daemon does not serve: {line}");
    daemon
}

fn guestctl(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestctl"));
    command.env_remove("GUESTD_DEFAULT_URI").env("XDG_CONFIG_HOME", "/nonexistent");
    let uri = format!("qemu+unix:///session?socket={}", scene.text("sock"));
    command.args(["--connect", &uri]).args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn succeed(scene: &Scene, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = guestctl(scene, arguments).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// How a domain is: `running`, `paused` or `shut off`; or that there is none.
fn state(scene: &Scene, name: &str) -> String {
    let output = guestctl(scene, &["domstate", name]).output().unwrap();
    if output.status.success() {
        return String::from_utf8(output.stdout).unwrap().trim().to_owned();
    }
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.contains("NoDomain (42)"), "{says}");
    "none".to_owned()
}

/// Has a daemon killed at moments of a call, from its beginning to beyond its end, and looks each time, with the next
/// daemon, whether `look` likes what it finds. It is told whether the client was told that the call had succeeded.
fn at_any_moment(scene: &Scene, call: &[&str], prepare: impl Fn(), look: impl Fn(bool)) {
    let daemon = serve(guestd(scene));
    prepare();
    let begin = Instant::now();
    succeed(scene, call);
    let whole = begin.elapsed();
    look(true);
    drop(daemon);
    for moment in 0..MOMENTS {
        let mut daemon = serve(guestd(scene));
        prepare();
        let client = guestctl(scene, call).spawn().unwrap();
        // A choice of moment: nothing is waited for.
        thread::sleep(whole * moment / (MOMENTS - 1));
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
        let succeeded = client.wait_with_output().unwrap().status.success();
        let daemon = serve(guestd(scene));
        look(succeeded);
        drop(daemon);
    }
}

#[test]
fn a_daemon_that_is_killed_while_it_defines_leaves_a_whole_definition_or_none() {
    let (scene, uuid) = (Scene::new(), Uuid::random());
    fs::write(scene.path("a.xml"), xml("a", uuid)).unwrap();
    let prepare = || {
        if state(&scene, "a") != "none" {
            succeed(&scene, &["undefine", "a"]);
        }
    };
    at_any_moment(&scene, &["define", &scene.text("a.xml")], prepare, |succeeded| {
        match state(&scene, "a").as_str() {
            "none" => assert!(!succeeded, "a definition was lost"),
            there => {
                assert_eq!(there, "shut off");
                assert_eq!(succeed(&scene, &["dumpxml", "a"]).trim(), xml("a", uuid));
            }
        }
        let left = names(&scene.definitions());
        assert!(
            left.iter().all(|name| ["a.xml", "autostart", "lock", "networks"].contains(&name.as_str())),
            "{left:?}"
        );
    });
}

#[test]
fn a_daemon_that_is_killed_while_it_starts_a_guest_leaves_it_running_or_nothing() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    fs::write(scene.path("a.xml"), xml("a", uuid)).unwrap();
    let prepare = || {
        if state(&scene, "a") == "none" {
            succeed(&scene, &["define", &scene.text("a.xml")]);
        } else if state(&scene, "a") != "shut off" {
            succeed(&scene, &["destroy", "a"]);
        }
    };
    at_any_moment(&scene, &["start", "a"], prepare, |succeeded| match state(&scene, "a").as_str() {
        "shut off" => {
            assert!(!succeeded, "a guest was lost");
            assert_eq!((scene.processes(), scene.left()), (vec![], vec![]), "an orphan");
        }
        runs => {
            assert_eq!(runs, "running");
            assert_eq!(scene.processes().len(), 1);
        }
    });
}

#[test]
fn a_daemon_that_is_killed_while_it_saves_a_guest_leaves_it_running_or_saved() {
    let Some(_) = emulator() else { return };
    let (scene, uuid) = (Scene::new(), Uuid::random());
    fs::write(scene.path("a.xml"), xml("a", uuid)).unwrap();
    fs::create_dir(scene.path("saved")).unwrap();
    let file = scene.text("saved/a");
    let prepare = || {
        match state(&scene, "a").as_str() {
            "none" => drop(succeed(&scene, &["create", &scene.text("a.xml")])),
            there => assert_eq!(there, "running"),
        }
        let _ = fs::remove_file(&file);
    };
    at_any_moment(&scene, &["save", "a", &file], prepare, |succeeded| {
        match state(&scene, "a").as_str() {
            // It was not defined, so that it is only where it was saved to.
            "none" => {
                assert_eq!((scene.processes(), scene.left()), (vec![], vec![]), "an orphan");
                assert_eq!(names(&scene.path("saved")), ["a"]);
                succeed(&scene, &["restore", &file]);
                assert_eq!(state(&scene, "a"), "running");
            }
            there => {
                assert_eq!(there, "running");
                assert!(!succeeded, "it was saved, and runs on");
                assert_eq!(scene.processes().len(), 1);
                assert_eq!(names(&scene.path("saved")), [""; 0], "half a file");
            }
        }
    });
}

#[test]
fn a_guest_goes_on_when_the_disk_is_full_that_it_is_saved_to() {
    let Some(_) = emulator() else { return };
    let Some(unshare) = foreign_tool::require("unshare") else { return };
    // A small disk that only this daemon sees.
    let mounts = "mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"";
    let scene = Scene::new();
    let small = scene.text("small");
    fs::create_dir(&small).unwrap();
    let with_disk = |program: &str| {
        let mut command = Command::new(&unshare);
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", mounts, &small, program]);
        command
    };
    if !with_disk("true").stderr(Stdio::null()).status().unwrap().success() {
        foreign_tool::missing("there are no mounts of one's own here");
        return;
    }
    let command = with_disk(env!("CARGO_BIN_EXE_guestd"));
    let daemon = serve(prepared(command, &scene));
    fs::write(scene.path("a.xml"), xml("a", Uuid::random())).unwrap();
    succeed(&scene, &["create", &scene.text("a.xml")]);
    let path = format!("{small}/a");
    let output = guestctl(&scene, &["save", "a", &path]).output().unwrap();
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(says.contains(&format!("cannot save to '{path}': No space left on device")), "{says}");
    assert_eq!(state(&scene, "a"), "running");
    // As the daemon sees it, nothing is left.
    let seen = format!("/proc/{}/root{small}", daemon.0.id());
    assert_eq!(names(seen.as_ref()), [""; 0]);
    // And it is saved where there is room.
    succeed(&scene, &["save", "a", &scene.text("a.save")]);
    assert_eq!(scene.processes(), [0; 0]);
}

#[test]
fn the_daemon_that_ends_in_order_leaves_its_guests_running() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    fs::write(scene.path("a.xml"), xml("a", Uuid::random())).unwrap();
    let mut daemon = serve(guestd(&scene));
    succeed(&scene, &["create", &scene.text("a.xml")]);
    signal("TERM", i32::try_from(daemon.0.id()).unwrap());
    assert!(daemon.0.wait().unwrap().success());
    assert_eq!(scene.processes().len(), 1);
    let _daemon = serve(guestd(&scene));
    assert_eq!(state(&scene, "a"), "running");
    let pid = scene.processes()[0];
    signal("KILL", pid);
    until("its end was noticed", || state(&scene, "a") == "none");
}

#[test]
fn what_runs_under_a_file_that_makes_no_sense_is_told_with_its_pid() {
    let Some(_) = emulator() else { return };
    let scene = Scene::new();
    fs::create_dir_all(scene.state()).unwrap();
    let file = fs::canonicalize(scene.state()).unwrap().join("3.json");
    fs::write(&file, "{").unwrap();
    let mut lost = Command::new("cat").env("GUESTD_GUEST", &file).stdin(Stdio::piped()).spawn().unwrap();
    let mut daemon = Guestd(guestd(&scene).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.into_iter().find(|line| line.contains("3.json"));
    lost.kill().unwrap();
    lost.wait().unwrap();
    let told = told.expect("nothing is told of it");
    assert!(told.contains("still runs") && told.contains(&format!("pids=[{}]", lost.id())), "{told}");
    assert_eq!(fs::read_to_string(file).unwrap(), "{", "it stays for whoever looks into it");
}
