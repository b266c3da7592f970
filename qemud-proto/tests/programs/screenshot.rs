//! `guestctl screenshot`: a picture in a file, whole or not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::processes::{Ctl, Guestd, guestctl_command, run_with, until};
use crate::slow::SlowDaemon;
use crate::terminal::Terminal;

fn path(daemon: &Guestd, name: &str) -> String {
    daemon.folder.path().join(name).to_str().unwrap().to_owned()
}

/// What stands in the folder, without the daemon's socket.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "sock" && !name.starts_with("sock.")).collect()
}

/// The picture as it comes on standard output.
fn picture(daemon: &Guestd) -> Vec<u8> {
    let mut command = guestctl_command(&["--connect", &daemon.uri(), "screenshot", "test", "-"]);
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    output.stdout
}

#[test]
fn a_picture_goes_to_a_new_file_or_to_standard_output() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let file = path(&daemon, "a.png");
    assert_eq!(
        ctl.text(&["screenshot", "test", &file]),
        format!("Screenshot of domain 'test' saved to {file}, image/png\n")
    );
    let content = fs::read(&file).unwrap();
    assert!(content.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_eq!(picture(&daemon), content);
    // As any file of the user's, not as a secret one.
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o600, 0o600);
    let other = path(&daemon, "b.png");
    let facts = json!({"name": "test", "file": other, "type": "image/png", "bytes": content.len()});
    assert_eq!(ctl.json(&["screenshot", "1", &other]), facts);
    let mut names = files(daemon.folder.path());
    names.sort();
    assert_eq!(names, ["a.png", "b.png"]);
}

#[test]
fn the_mask_of_the_user_decides_who_may_read_it() {
    let daemon = Guestd::start(&[]);
    for (mask, mode) in [("022", 0o644), ("077", 0o600)] {
        let file = path(&daemon, mask);
        let script = "umask $1; exec \"$2\" --connect \"$3\" screenshot test \"$4\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", mask, env!("CARGO_BIN_EXE_guestctl"), &daemon.uri(), &file]);
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn a_file_that_is_there_is_overwritten_only_by_force() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let (file, link) = (path(&daemon, "a.png"), path(&daemon, "link.png"));
    fs::write(&file, "mine").unwrap();
    symlink(&file, &link).unwrap();
    for name in [&file, &link] {
        ctl.fails(&["screenshot", "test", name], &format!("'{name}' exists; --force overwrites it"));
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }
    ctl.text(&["screenshot", "test", &link, "--force"]);
    assert_eq!(fs::read(&file).unwrap(), picture(&daemon));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link is still one");
    // Nothing that others need: were it replaced, the machine would be the worse for it.
    let socket = path(&daemon, "sock");
    ctl.fails(&["screenshot", "--force", "test", &socket], &format!("'{socket}' is not a regular file"));
    let folder = daemon.folder.path().to_str().unwrap();
    ctl.fails(&["screenshot", "--force", "test", folder], &format!("'{folder}' is not a regular file"));
}

#[test]
fn nothing_is_left_of_a_picture_that_does_not_come() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let missing = path(&daemon, "missing/a.png");
    let ended = ctl.run(&["screenshot", "test", &missing]);
    let says = format!("error: cannot write '{missing}': No such file or directory");
    assert!(ended.status == 1 && ended.stderr.starts_with(&says), "{ended:?}");
    let file = path(&daemon, "a.png");
    ctl.text(&["destroy", "test"]);
    let says = "OperationInvalid (55): domain 'test' is not active";
    ctl.fails(&["screenshot", "test", &file], says);
    ctl.fails(&["screenshot", "test", "-"], says);
    let old = Guestd::start(&["--switch-off", "StreamRead"]);
    Ctl::new(old.uri()).fails(&["screenshot", "test", &file], "server does not have procedure 44");
    assert_eq!(files(daemon.folder.path()), Vec::<String>::new());
}

#[test]
fn a_daemon_that_goes_in_the_middle_leaves_no_file() {
    let daemon = SlowDaemon::start(&[]);
    let file = daemon.folder.path().join("a.png");
    let arguments = ["screenshot", "slow", file.to_str().unwrap()];
    let terminal = Terminal::run(daemon.command(&arguments));
    until("the file beside it is there", || files(daemon.folder.path()).len() == 1);
    daemon.stop();
    // By its end, by a reset where a call of ours was on its way, or by a call that could not be sent any more.
    let (status, screen) = terminal.ended();
    let told = ["error: connection lost: ", "error: not connected: "].iter().any(|says| screen.starts_with(says));
    assert!(status == 1 && told, "{screen}");
    assert_eq!(files(daemon.folder.path()), Vec::<String>::new());
}

#[test]
fn a_picture_of_several_pieces_comes_whole() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.done.notify_one();
    let file = daemon.folder.path().join("a.png");
    let ended = run_with(daemon.command(&["screenshot", "slow", file.to_str().unwrap()]), b"");
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(fs::read(&file).unwrap() == vec![1; 5 * 65_536]);
}

#[test]
fn a_terminal_gets_no_picture() {
    let daemon = Guestd::start(&[]);
    let terminal = Terminal::run(guestctl_command(&["--connect", &daemon.uri(), "screenshot", "test", "-"]));
    assert_eq!(terminal.ended(), (1, "error: standard output is a terminal, which shows no pictures".to_owned()));
}
