//! `guestctl event`, with a daemon whose domains change while it listens.

use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::processes::{Ctl, Guestd, guestctl, guestctl_command};

const DOMAIN: &str = "6695eb01-f6a4-8304-79aa-97f2502e193f";

/// `guestctl event` that listens to the daemon, its lines and its end.
fn listening(daemon: &Guestd, arguments: &[&str]) -> Guestd {
    let command = guestctl_command(&[&["--connect", &daemon.uri(), "event"], arguments].concat());
    Guestd::spawn(tempfile::tempdir().unwrap(), command)
}

/// Changes a domain until the listener, who may not have subscribed yet, has told of it. Gives the line.
pub(crate) fn first_line(ctl: &Ctl, listener: &Guestd) -> String {
    thread::scope(|scope| {
        let (told, stop) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                for command in ["suspend", "resume"] {
                    ctl.text(&[command, "test"]);
                }
            }
        });
        let line = listener.line();
        drop(told);
        line
    })
}

#[test]
fn events_are_printed_as_they_come_a_line_each_until_the_program_is_interrupted() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    for json in [false, true] {
        let mut listener = listening(&daemon, if json { &["--json"] } else { &[] });
        first_line(&ctl, &listener);
        ctl.text(&["destroy", "test"]);
        ctl.text(&["start", "test"]);
        let id = ctl.text(&["domid", "test"]).trim().parse::<i32>().unwrap();
        // Behind the changes that made it tell that it listens.
        let of = |line: String| match json {
            true => {
                let event: Value = serde_json::from_str(&line).unwrap();
                let expected = json!({
                    "event": event["event"], "name": "test", "uuid": DOMAIN, "id": event["id"], "lost": 0
                });
                assert_eq!(event, expected);
                (event["event"].as_str().unwrap().to_owned(), event["id"].to_string())
            }
            false => {
                let (event, rest) = line.strip_prefix("event '").unwrap().split_once('\'').unwrap();
                let id = rest.strip_prefix(" for domain 'test', id ").unwrap_or_else(|| panic!("{line}"));
                (event.to_owned(), id.to_owned())
            }
        };
        let mut line = of(listener.line());
        while ["suspended", "resumed"].contains(&line.0.as_str()) {
            line = of(listener.line());
        }
        assert_eq!(line, ("stopped".to_owned(), (id - 1).to_string()));
        assert_eq!(of(listener.line()), ("started".to_owned(), id.to_string()));
        listener.signal("INT");
        let (status, log) = listener.ended();
        assert!(status.success() && log.is_empty(), "{status} {log}");
    }
}

#[test]
fn it_ends_after_as_many_events_as_it_was_asked_for() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let mut listener = listening(&daemon, &["--count", "1"]);
    first_line(&ctl, &listener);
    assert!(listener.ended().0.success());
}

#[test]
fn it_ends_after_its_time_without_an_event() {
    // Its own daemon, inside the program, in which nothing happens.
    let ended = guestctl(&["event", "--timeout", "0"]);
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
    let ended = guestctl(&["event", "--count", "0"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
}

#[test]
fn it_tells_that_the_daemon_is_gone() {
    let mut daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let mut listener = listening(&daemon, &[]);
    first_line(&ctl, &listener);
    daemon.signal("TERM");
    assert!(daemon.ended().0.success());
    let (status, log) = listener.ended();
    assert_eq!(status.code(), Some(1));
    assert_eq!(log, "error: connection lost: server closed the connection\n");
}

#[test]
fn a_daemon_without_events_is_told_from_one_in_which_nothing_happens() {
    let daemon = Guestd::start(&["--switch-off", "DomainEvents"]);
    let ended = Ctl::new(daemon.uri()).run(&["event"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (1, "error: NoSupport (3): the daemon does not send events\n"));
}

#[test]
fn its_reader_may_leave() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    let script = format!("{} --connect '{}' event | head -n 1", env!("CARGO_BIN_EXE_guestctl"), daemon.uri());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut listener = Guestd::spawn(tempfile::tempdir().unwrap(), command);
    first_line(&ctl, &listener);
    // The shell waits for both; one more event shows guestctl that nobody reads.
    ctl.text(&["destroy", "test"]);
    let (status, log) = listener.ended();
    assert!(status.success() && log.is_empty(), "{status} {log}");
}
