//! What takes its time: `--wait`, and the progress of a save or restore.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use qemud_proto::messages::JobKind;

use crate::processes::{Ended, run_with};
use crate::slow::SlowDaemon;
use crate::terminal::Terminal;

const MIB: u64 = 1 << 20;

#[test]
fn shutdown_waits_for_the_guest_only_if_it_is_told_to() {
    for (arguments, says, looked) in [
        (&["shutdown", "slow"][..], "Domain 'slow' is being shut down\n", false),
        (&["shutdown", "slow", "--wait"], "Domain 'slow' is shut off\n", true),
        (&["shutdown", "slow", "--wait", "60"], "Domain 'slow' is shut off\n", true),
    ] {
        let daemon = SlowDaemon::start(&[]);
        daemon.slow.looks.store(3, SeqCst);
        assert_eq!(run_with(daemon.command(arguments), b""), Ended::new(0, says, ""));
        assert_eq!(daemon.slow.looks.load(SeqCst), if looked { 0 } else { 3 });
    }
}

#[test]
fn a_guest_that_does_not_listen_is_waited_for_as_long_as_was_said() {
    let daemon = SlowDaemon::start(&[]);
    let ended = run_with(daemon.command(&["shutdown", "slow", "--wait", "0.3"]), b"");
    assert_eq!(ended, Ended::new(1, "", "error: domain 'slow' is not shut off after 0.3 s\n"));
    // Once at the beginning, once when the time was over.
    assert!(daemon.slow.looks.load(SeqCst) <= usize::MAX - 2);
}

#[test]
fn start_waits_until_the_domain_runs() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.looks.store(2, SeqCst);
    let ended = run_with(daemon.command(&["start", "slow", "--wait"]), b"");
    assert_eq!(ended, Ended::new(0, "Domain 'slow' started, id 7\n", ""));
    assert_eq!(daemon.slow.looks.load(SeqCst), 0);
    daemon.slow.looks.store(usize::MAX, SeqCst);
    let ended = run_with(daemon.command(&["start", "slow", "--wait", "0"]), b"");
    assert_eq!(ended, Ended::new(1, "", "error: domain 'slow' is not running after 0 s\n"));
}

#[test]
fn a_time_to_wait_is_a_number_of_seconds() {
    let daemon = SlowDaemon::start(&[]);
    for time in ["soon", "-1", "1e30", "NaN"] {
        let ended = run_with(daemon.command(&["shutdown", "slow", &format!("--wait={time}")]), b"");
        assert!(ended.status == 2 && ended.stderr.contains("invalid value"), "{ended:?}");
    }
}

#[test]
fn a_save_shows_how_far_it_is_and_leaves_no_trace_of_it() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.is_at(JobKind::Unbounded, 0, 0);
    let terminal = Terminal::run(daemon.command(&["save", "slow", "/x"]));
    terminal.shows("Saving");
    daemon.slow.is_at(JobKind::Unbounded, 64 * MIB, 48 * MIB);
    terminal.shows("25 % 16.00 MiB of 64.00 MiB");
    // More has come to it.
    daemon.slow.is_at(JobKind::Bounded, 80 * MIB, 20 * MIB);
    terminal.shows("75 % 60.00 MiB of 80.00 MiB");
    // Nor was the library's own bar to be seen before ours.
    assert!(!terminal.has_written("0/0"));
    daemon.slow.done.notify_one();
    assert_eq!(terminal.ended(), (0, "Domain 'slow' saved to /x".to_owned()));
}

#[test]
fn a_restore_shows_the_progress_of_the_domain_that_becomes_active() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.is_at(JobKind::Bounded, 10 * MIB, 9 * MIB);
    let terminal = Terminal::run(daemon.command(&["restore", "/x"]));
    terminal.shows("Restoring");
    terminal.shows("10 % 1.00 MiB of 10.00 MiB");
    daemon.slow.done.notify_one();
    assert_eq!(terminal.ended(), (0, "Domain restored from /x, id 8".to_owned()));
}

#[test]
fn there_is_no_progress_where_the_daemon_does_not_tell_it_or_nobody_looks() {
    let saved = (0, "Domain 'slow' saved to /x".to_owned());
    let begin = |switched_off: &[&str]| {
        let daemon = SlowDaemon::start(switched_off);
        daemon.slow.is_at(JobKind::Bounded, 10 * MIB, 9 * MIB);
        daemon
    };
    // What is not to be seen has had the time to be.
    let done = |daemon: &SlowDaemon| {
        std::thread::sleep(Duration::from_secs(1));
        daemon.slow.done.notify_one();
    };
    for switched_off in [&["DomainGetJobInfo"][..], &["Negotiate"]] {
        let daemon = begin(switched_off);
        let terminal = Terminal::run(daemon.command(&["save", "slow", "/x"]));
        done(&daemon);
        terminal.shows("saved");
        assert!(!terminal.has_written("Saving"));
        assert_eq!(terminal.ended(), saved);
    }
    let daemon = begin(&[]);
    let terminal = Terminal::run(daemon.piped("save slow /x"));
    done(&daemon);
    terminal.shows("saved");
    assert!(!terminal.has_written("Saving"));
    assert_eq!(terminal.ended(), saved);
}

#[test]
fn a_daemon_that_goes_in_the_middle_of_a_save_is_told_in_the_place_of_the_bar() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.is_at(JobKind::Bounded, 10 * MIB, 9 * MIB);
    let terminal = Terminal::run(daemon.command(&["save", "slow", "/x"]));
    terminal.shows("10 %");
    daemon.stop();
    let (status, screen) = terminal.ended();
    // By its end, by a reset where a call of ours was on its way, or by a call that could not be sent any more.
    let told = ["error: connection lost: ", "error: not connected: "].iter().any(|says| screen.starts_with(says));
    assert!(status == 1 && told, "{screen}");
}

#[test]
fn a_daemon_that_goes_while_its_guest_is_waited_for_is_told() {
    let daemon = SlowDaemon::start(&[]);
    let waiting = Terminal::run(daemon.command(&["shutdown", "slow", "--wait"]));
    crate::processes::until("it waits", || daemon.slow.looks.load(SeqCst) < usize::MAX);
    daemon.stop();
    let (status, screen) = waiting.ended();
    assert!(status == 1 && screen.starts_with("error: ") && screen.lines().count() == 1, "{screen}");
}

#[test]
fn a_domain_that_does_not_answer_hides_no_other() {
    let daemon = SlowDaemon::start(&[]);
    daemon.slow.silent.store(true, SeqCst);
    let ended = run_with(daemon.command(&["list"]), b"");
    let listed = " Id   Name    State\n-----------------------\n 7    slow    unknown\n 9    other   running\n";
    let says = " WARN OperationFailed (9): domain 'slow' does not answer\n";
    assert_eq!(ended, Ended::new(0, listed, says));
    let ended = run_with(daemon.command(&["top", "--batch", "-n", "1", "--delay", "0.1"]), b"");
    let lines: Vec<_> =
        ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(lines[0].starts_with("1 running, 0 paused, 0 shut off, 1 unknown; CPU 0.0 %, memory 1 MiB"), "{ended:?}");
    assert_eq!(lines[2..4], ["9 other running 0.0 1 1024 1024", "7 slow unknown - - - -"], "{ended:?}");
}
