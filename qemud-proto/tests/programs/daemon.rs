//! How guestd begins, listens and ends.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use crate::processes::{Ctl, Ended, Guestd, PATIENCE, guestctl, guestd_command, run_with};

/// The bytes of a call of GetVersion, behind their record mark.
const GET_VERSION: [u8; 44] = [
    0x80, 0, 0, 40, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0x20, 0, 0x1a, 0x64, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn the_socket_is_its_owners_alone() {
    let daemon = Guestd::start(&[]);
    let mode = fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(format!("{mode:o}"), "140600");
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(&daemon.folder).unwrap().count(), 1);
}

#[test]
fn it_listens_on_a_unix_socket_and_on_tcp_at_a_time_for_the_same_guests() {
    let mut daemon = Guestd::start(&["--tcp", "127.0.0.1:0"]);
    let address = daemon.line().strip_prefix("listening tcp ").unwrap().to_owned();
    let (unix, tcp) = (Ctl::new(daemon.uri()), Ctl::new(format!("test+tcp://{address}/default")));
    unix.text(&["destroy", "test"]);
    assert_eq!(tcp.text(&["domstate", "test"]), "shut off\n");
    // The log warns of the port that is open, not of the 0 that was asked for.
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    assert!(log.contains(&format!("TCP is neither encrypted nor authenticated address={address}")), "{log}");
}

#[test]
fn without_options_it_listens_on_the_socket_of_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = guestd_command(&[]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let socket = folder.path().join("guestd/guestd-sock");
    let daemon = Guestd::spawn(folder, command);
    assert_eq!(daemon.line(), format!("listening unix {}", socket.display()));
    let mut command = crate::processes::guestctl_command(&["--connect", "test+unix:///default", "domname", "1"]);
    command.env("XDG_RUNTIME_DIR", daemon.folder.path());
    assert_eq!(run_with(command, b"").stdout, "test\n");
}

#[test]
fn a_session_that_cannot_be_made_read_only_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    // As a daemon of minor version 0, which does not know how to open a connection.
    let mut command = guestd_command(&["--switch-off", "Open"]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let daemon = Guestd::spawn(folder, command);
    daemon.line();
    let session = |arguments: &[&str]| {
        let first = ["--connect", "test+unix:///default"];
        let mut command = crate::processes::guestctl_command(&[&first, arguments].concat());
        command.env("XDG_RUNTIME_DIR", daemon.folder.path());
        run_with(command, b"")
    };
    let says = "error: the daemon cannot open a connection read-only\n";
    assert_eq!(session(&["--readonly", "destroy", "test"]), Ended::new(1, "", says));
    assert_eq!(session(&["domstate", "test"]).stdout, "running\n");
}

#[test]
fn an_empty_daemon_has_no_guests() {
    let daemon = Guestd::start(&["--empty"]);
    let ctl = Ctl::new(daemon.uri());
    assert_eq!(ctl.json(&["list", "--all", "--count"]), serde_json::json!({"active": 0, "inactive": 0}));
    assert_eq!(ctl.json(&["net-list", "--all"]), serde_json::json!([]));
}

#[test]
fn procedures_that_are_switched_off_are_not_there_and_not_listed() {
    let daemon = Guestd::start(&["--switch-off", "DomainDestroy", "--switch-off=getversion"]);
    let ctl = Ctl::new(daemon.uri());
    ctl.fails(&["version"], "server does not have procedure 1");
    ctl.fails(&["destroy", "test"], "server does not have procedure 11");
    assert_eq!(ctl.text(&["domstate", "test"]), "running\n");
    let table = ctl.json(&["procedures"]);
    let off: Vec<_> = table.as_array().unwrap().iter().filter(|line| line["active"] == false).collect();
    let numbers: Vec<_> = off.iter().map(|line| line["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 11]);
}

#[test]
fn a_socket_that_another_kind_of_program_listens_on_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let other = UnixDatagram::bind(&socket).unwrap();
    let ended = run_with(guestd_command(&["--unix", socket.to_str().unwrap()]), b"");
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    let says = format!("cannot tell whether somebody listens on '{}'", socket.display());
    assert!(ended.stderr.contains(&says), "{ended:?}");
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"still there", &socket).unwrap();
    assert_eq!(other.recv(&mut [0; 64]).unwrap(), 11);
}

#[test]
fn a_socket_that_a_dead_daemon_left_behind_is_replaced() {
    let mut daemon = Guestd::start(&[]);
    daemon.signal("KILL");
    assert_eq!(daemon.ended().0.code(), None);
    let socket = daemon.socket();
    assert!(fs::symlink_metadata(&socket).is_ok(), "it was left behind");
    let folder = std::mem::replace(&mut daemon.folder, tempfile::tempdir().unwrap());
    let second = Guestd::start_in(folder, &["--unix", socket.to_str().unwrap()]);
    assert_eq!(second.line(), format!("listening unix {}", socket.display()));
    assert_eq!(Ctl::new(second.uri()).text(&["domname", "1"]), "test\n");
}

#[test]
fn a_socket_on_which_another_daemon_listens_is_left_to_it() {
    let daemon = Guestd::start(&[]);
    let socket = daemon.socket();
    let ended = run_with(guestd_command(&["--unix", socket.to_str().unwrap()]), b"");
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    let says = format!("Error: cannot listen on '{}': another daemon does\n", socket.display());
    assert_eq!(ended.stderr, says);
    assert_eq!(Ctl::new(daemon.uri()).text(&["ping"]), "The daemon answers\n");
}

#[test]
fn a_file_that_is_no_socket_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "precious").unwrap();
    let link = folder.path().join("link");
    let _listener = UnixListener::bind(folder.path().join("foreign")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("foreign"), &link).unwrap();
    for path in [&file, &link, &folder.path().to_owned()] {
        let ended = run_with(guestd_command(&["--unix", path.to_str().unwrap()]), b"");
        let says = format!("Error: cannot listen on '{}': there is a file that is no socket\n", path.display());
        assert_eq!((ended.status, ended.stderr.as_str()), (1, says.as_str()));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn sigterm_and_sigint_end_it_with_status_0_and_without_its_socket() {
    for signal in ["TERM", "INT"] {
        let mut daemon = Guestd::start(&["--tcp", "127.0.0.1:0"]);
        daemon.line();
        // An idle client, and one in the middle of a record, do not hold it up.
        let (mut idle, mut half) = (connect(&daemon), connect(&daemon));
        half.write_all(&GET_VERSION[..20]).unwrap();
        idle.write_all(&GET_VERSION).unwrap();
        idle.read_exact(&mut [0; 36]).unwrap();
        daemon.signal(signal);
        let (status, log) = daemon.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains(&format!("ending: SIG{signal}")) && !log.contains("cut off"), "{log}");
        assert!(!daemon.socket().exists());
        assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn a_daemon_that_ends_leaves_the_socket_of_its_successor_alone() {
    let mut first = Guestd::start(&[]);
    // Somebody removed the name, and another daemon listens there now.
    fs::remove_file(first.socket()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let second = Guestd::start_in(folder, &["--unix", first.socket().to_str().unwrap()]);
    second.line();
    first.signal("TERM");
    assert_eq!(first.ended().0.code(), Some(0));
    assert_eq!(Ctl::new(first.uri()).text(&["ping"]), "The daemon answers\n");
    drop(second);
}

fn connect(daemon: &Guestd) -> UnixStream {
    let stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn connections_beyond_the_most_wait_until_another_ends() {
    let (daemon, address) = Guestd::start_tcp(&["--max-connections", "1"]);
    let connect = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut reply = [0; 36];
    let (mut first, mut second) = (connect(), connect());
    second.write_all(&GET_VERSION).unwrap();
    first.write_all(&GET_VERSION).unwrap();
    first.read_exact(&mut reply).unwrap();
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.read(&mut reply).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    second.set_nonblocking(false).unwrap();
    drop(first);
    second.read_exact(&mut reply).unwrap();
    drop(daemon);
}

#[test]
fn options_that_make_no_sense_are_usage_errors() {
    for (arguments, says) in [
        (&["--frobnicate"][..], "unexpected argument '--frobnicate'"),
        (&["--tcp", "localhost"], "invalid socket address syntax"),
        (&["--tcp", "127.0.0.1:99999"], "invalid socket address syntax"),
        (&["--unix"], "a value is required for '--unix <PATH>'"),
        (&["--max-connections", "0"], "0 is not in 1..=65535"),
        (&["--max-connections", "many"], "invalid digit"),
        (&["--event-queue", "0"], "0 is not in 1..=65535"),
        (&["socket"], "unexpected argument 'socket'"),
    ] {
        let ended = run_with(guestd_command(arguments), b"");
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn what_it_cannot_do_it_says_and_does_not_begin() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let long = format!("/tmp/{}", "x".repeat(200));
    for (arguments, says) in [
        (&["--switch-off", "Nothing", "--tcp", "127.0.0.1:0"][..], "no procedure is named 'Nothing'"),
        (&["--unix", "/nowhere/sock"], "cannot listen on '/nowhere/sock'"),
        (&["--unix", &long], "cannot listen on '/tmp/xxx"),
        (&["--tcp", &taken], "Address already in use"),
    ] {
        let ended = run_with(guestd_command(arguments), b"");
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.starts_with("Error: ") && ended.stderr.contains(says), "{arguments:?}: {ended:?}");
    }
    let mut command = guestd_command(&["--tcp", "127.0.0.1:0"]);
    command.env("RUST_LOG", "guestd=loudly");
    let ended = run_with(command, b"");
    assert!(ended.status == 1 && ended.stderr.starts_with("Error: RUST_LOG"), "{ended:?}");
}

/// Root's is that of the machine, where clients look for it; who is not root has no other than that of a session.
#[test]
fn without_a_session_there_is_only_the_socket_of_the_machine() {
    let ended = run_with(guestd_command(&["--check"]), b"");
    // Whose this process is.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        assert_eq!(ended, Ended::new(0, "all is right\n", ""));
        return;
    }
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{ended:?}");
    assert_eq!(ended.stderr, "Error: give --unix PATH, since XDG_RUNTIME_DIR is not set\n");
    assert_eq!(run_with(guestd_command(&[]), b""), ended);
}

#[test]
fn a_check_tells_of_sockets_that_cannot_be_there() {
    let daemon = Guestd::start(&[]);
    let check = |arguments: &[&str]| run_with(guestd_command(&[arguments, &["--check"]].concat()), b"");
    let socket = daemon.socket();
    let file = daemon.folder.path().join("precious");
    fs::write(&file, "precious").unwrap();
    let (socket, file) = (socket.to_str().unwrap(), file.to_str().unwrap());
    let long = "x".repeat(200);
    for (arguments, says) in [
        (&["--unix", "/nowhere/sock"][..], "No such file or directory"),
        (&["--unix-read-only", "/nowhere/sock"], "No such file or directory"),
        (&["--unix", file], "there is a file that is no socket"),
        (&["--unix", &format!("/tmp/{long}")], "cannot listen on '/tmp/xxx"),
        (&["--unix", &format!("@{long}")], "cannot listen on '@xxx"),
        (&["--unix", "@guestd", "--unix-read-only", "@guestd"], "'@guestd' cannot be the socket for all calls and"),
    ] {
        let ended = check(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended:?}");
    }
    // The daemon that runs will have ended when the next one begins.
    assert_eq!(check(&["--unix", socket]), Ended::new(0, "all is right\n", ""));
    assert_eq!(Ctl::new(daemon.uri()).text(&["ping"]), "The daemon answers\n");
}

#[test]
fn a_check_takes_no_path_that_is_too_long_to_begin_with() {
    let folder = tempfile::tempdir().unwrap();
    // As long as a socket's path may be, or a little shorter: it is bound in a folder beside it first.
    let long = folder.path().join("x".repeat(103 - folder.path().as_os_str().len()));
    fs::create_dir(&long).unwrap();
    let socket = long.join("s");
    let arguments = ["--unix", socket.to_str().unwrap()];
    let [checked, begun] = [&["--check"][..], &[]].map(|more| {
        let ended = run_with(guestd_command(&[&arguments, more].concat()), b"");
        (ended.status, ended.stderr)
    });
    assert_eq!(checked, begun);
    assert!(checked.0 == 1 && checked.1.contains("path must be shorter than SUN_LEN"), "{checked:?}");
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
}

#[test]
fn a_check_tells_of_drivers_that_cannot_be_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let file = folder.path().join("guestd.toml");
        fs::write(&file, text).unwrap();
        let mut command = guestd_command(&["--unix", "/tmp/sock", "--check", "--config", file.to_str().unwrap()]);
        // It comes before the file.
        command.env_remove("GUESTD_DRIVERS");
        run_with(command, b"")
    };
    let mut mistakes = vec![
        ("drivers = []", "no driver is named"),
        ("drivers = [\"test\", \"qemu\", \"test\"]", "the driver 'test' is named twice"),
    ];
    if cfg!(not(feature = "libvirt")) {
        mistakes.push(("drivers = [\"libvirt\"]", "this guestd was built without the driver 'libvirt'"));
    }
    for (text, says) in mistakes {
        let ended = file(text);
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{text}: {ended:?}");
        assert!(ended.stderr.contains(says), "{text}: {ended:?}");
    }
    assert_eq!(file("drivers = [\"test\"]"), Ended::new(0, "all is right\n", ""));
}

#[test]
fn when_the_second_socket_fails_the_first_is_taken_away_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let address = taken.local_addr().unwrap().to_string();
    let ended = run_with(guestd_command(&["--unix", socket.to_str().unwrap(), "--tcp", &address]), b"");
    assert_eq!(ended.status, 1, "{ended:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn both_programs_tell_their_version_and_their_options() {
    let version = format!(" {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(guestctl(&["--version"]).stdout, "guestctl".to_owned() + &version);
    assert_eq!(run_with(guestd_command(&["--version"]), b"").stdout, "guestd".to_owned() + &version);
    let help = run_with(guestd_command(&["--help"]), b"");
    assert_eq!(help.status, 0);
    for option in ["--unix", "--tcp", "--empty", "--switch-off", "--max-connections", "--event-queue"] {
        assert!(help.stdout.contains(option), "{option}: {help:?}");
    }
}
