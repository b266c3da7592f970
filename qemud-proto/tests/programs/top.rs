//! `guestctl top`, and colours: what is on a terminal, and what is not.

use std::process::Command;

use serde_json::Value;

use crate::processes::{Ctl, Ended, Guestd, guestctl, guestctl_command, run_with};
use crate::terminal::Terminal;

fn top(daemon: &Guestd, arguments: &[&str]) -> Command {
    guestctl_command(&[&["--connect", &daemon.uri(), "top", "--delay", "0.1"], arguments].concat())
}

const HEAD: &str = " Id  Name  State    CPU %  CPUs  Memory KiB  Max memory KiB";

#[test]
fn tables_for_files_come_as_often_as_was_asked_for_and_have_figures() {
    let daemon = Guestd::start(&[]);
    let ended = run_with(top(&daemon, &["--batch", "-n", "2"]), b"");
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{ended:?}");
    let tables: Vec<&str> = ended.stdout.split_terminator("\n\n").collect();
    assert_eq!(tables.len(), 2, "{ended:?}");
    for table in tables {
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("1 running, 0 paused, 0 shut off; CPU "), "{table}");
        assert!(lines[0].contains(" %, memory 2048 MiB; host "), "{table}");
        let cells: Vec<_> = lines[2].split_whitespace().collect();
        assert_eq!((cells[..3].join(" ").as_str(), cells[4], lines.len()), ("1 test running", "2", 3), "{table}");
        // One processor of the test driver's domains is always busy; what the clocks say is not exactly the same.
        let cpu: f64 = cells[3].parse().unwrap();
        assert!(cpu > 1.0 && cpu < 1000.0, "{table}");
    }
}

#[test]
fn programs_get_a_line_of_json_for_each_look() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    ctl.text(&["suspend", "test"]);
    let ended = run_with(top(&daemon, &["--json", "-n", "3", "--all"]), b"");
    assert_eq!((ended.status, ended.stdout.lines().count()), (0, 3), "{ended:?}");
    for line in ended.stdout.lines() {
        let row = &serde_json::from_str::<Value>(line).unwrap()[0];
        assert_eq!((row["name"].as_str(), row["state"].as_str()), (Some("test"), Some("paused")), "{line}");
        assert_eq!((&row["cpu_percent"], &row["memory_kib"]), (&Value::from(0.0), &Value::from(2_097_152)), "{line}");
    }
    ctl.text(&["destroy", "test"]);
    let off = |arguments: &[&str]| run_with(top(&daemon, &[&["--json", "-n", "1"], arguments].concat()), b"").stdout;
    assert_eq!(off(&[]), "[]\n");
    let row: Value = serde_json::from_str(&off(&["--all"])).unwrap();
    assert_eq!((row[0]["state"].as_str(), &row[0]["cpu_percent"]), (Some("shut off"), &Value::Null));
}

#[test]
fn mistakes_are_told() {
    let ended = guestctl(&["top"]);
    let says = "error: standard output is not a terminal; --batch prints tables without one\n";
    assert_eq!(ended, Ended::new(1, "", says));
    for arguments in [["top", "--delay=0.05"], ["top", "--delay=x"], ["top", "--iterations=0"], ["top", "--sort=x"]] {
        assert_eq!(guestctl(&arguments).status, 2, "{arguments:?}");
    }
}

#[test]
fn the_table_is_alive_until_q_is_pressed_and_the_terminal_is_as_it_was() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    for keys in ["q", "\u{1b}", "\u{3}"] {
        let mut terminal = Terminal::run(top(&daemon, &[]));
        terminal.shows(HEAD);
        terminal.shows(" 1   test  running");
        ctl.text(&["suspend", "test"]);
        terminal.shows("0 running, 1 paused, 0 shut off; CPU 0.0 %");
        ctl.text(&["resume", "test"]);
        terminal.shows("1 running, 0 paused");
        terminal.press(keys);
        assert_eq!(terminal.ended(), (0, String::new()), "{keys:?}");
    }
}

#[test]
fn it_draws_as_often_as_was_asked_for_and_ends() {
    let daemon = Guestd::start(&[]);
    let terminal = Terminal::run(top(&daemon, &["-n", "1"]));
    assert_eq!(terminal.ended(), (0, String::new()));
}

#[test]
fn more_domains_than_fit_are_cut_off_and_keys_change_their_order() {
    let daemon = Guestd::start(&["--empty"]);
    let ctl = Ctl::new(daemon.uri());
    for number in 10..30 {
        let file = daemon.folder.path().join("domain.xml");
        let name = format!("d{number}");
        let memory = number * 1024;
        let xml = format!(
            "<domain type='test'><name>{name}</name><memory>{memory}</memory><os><type>hvm</type></os></domain>"
        );
        std::fs::write(&file, xml).unwrap();
        ctl.text(&["create", file.to_str().unwrap()]);
    }
    let mut terminal = Terminal::run(top(&daemon, &["--sort", "name"]));
    terminal.shows("d10");
    // Of twelve rows, three are the head's.
    terminal.shows("d18");
    assert!(!terminal.screen().contains("d19"), "{}", terminal.screen());
    terminal.press("M");
    terminal.shows("d29");
    assert!(!terminal.screen().contains("d18"), "{}", terminal.screen());
    terminal.press("q");
    assert_eq!(terminal.ended().0, 0);
}

#[test]
fn signals_leave_the_terminal_as_it_was() {
    let daemon = Guestd::start(&[]);
    for signal in ["TERM", "HUP", "INT"] {
        let terminal = Terminal::run(top(&daemon, &[]));
        terminal.shows(HEAD);
        let pid = terminal.pid().to_string();
        assert!(
            Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", signal, &pid]).status().unwrap().success()
        );
        assert_eq!(terminal.ended(), (0, String::new()), "{signal}");
    }
}

#[test]
fn a_daemon_that_goes_is_told_on_the_terminal_as_it_was() {
    let mut daemon = Guestd::start(&[]);
    let terminal = Terminal::run(top(&daemon, &[]));
    terminal.shows(HEAD);
    daemon.signal("TERM");
    assert!(daemon.ended().0.success());
    let (status, screen) = terminal.ended();
    assert!(status == 1 && screen.starts_with("error: ") && screen.lines().count() == 1, "{screen}");
}

#[test]
fn states_are_coloured_on_a_terminal_unless_somebody_is_against_it() {
    const GREEN: &str = "\u{1b}[38;5;10m";
    let daemon = Guestd::start(&[]);
    let list = || guestctl_command(&["--connect", &daemon.uri(), "list"]);
    let seen = |command: Command| {
        let terminal = Terminal::run(command);
        terminal.shows(" 1    test   running");
        let coloured = terminal.has_written("\u{1b}");
        assert_eq!(coloured, terminal.has_written(GREEN));
        assert_eq!(terminal.ended().0, 0);
        coloured
    };
    assert!(seen(list()));
    let mut against = list();
    against.env("NO_COLOR", "1");
    assert!(!seen(against));
    let mut empty = list();
    empty.env("NO_COLOR", "");
    assert!(seen(empty));
    // Not on a terminal, whatever the variables say.
    let mut piped = list();
    piped.env("TERM", "xterm-256color").env("CLICOLOR_FORCE", "1");
    assert!(!run_with(piped, b"").stdout.contains('\u{1b}'));
}
