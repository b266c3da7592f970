//! The sockets of guestd, who may connect to them, and how systemd starts it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::authority::{Authority, Request};
use crate::foreign_tool::require;
use crate::processes::{Ctl, Ended, Guestd, guestctl, guestctl_command, guestd_command, program, run_with, until};

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn uri(socket: &str) -> String {
    format!("test+unix:///default?socket={socket}")
}

const DENIED: &str = "OperationDenied (29): DomainDestroy is not allowed on a read-only channel";

#[test]
fn a_socket_for_calls_that_change_nothing_stands_beside_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (all, reading) = (at(folder.path(), "sock"), at(folder.path(), "sock-ro"));
    // Root may give it to any group, others to their own.
    let own = fs::metadata(folder.path()).unwrap();
    let group = if own.uid() == 0 { 1 } else { own.gid() };
    let arguments = ["--unix", &all, "--unix-read-only", &reading, "--unix-group", &group.to_string()];
    let daemon = Guestd::start_in(folder, &arguments);
    assert_eq!(daemon.line(), format!("listening unix {all}"));
    assert_eq!(daemon.line(), format!("listening unix-read-only {reading}"));
    let mode = |socket: &str| format!("{:o}", fs::metadata(socket).unwrap().permissions().mode() & 0o777);
    // A group may connect, and everybody may read.
    assert_eq!((mode(&all), mode(&reading)), ("660".to_owned(), "666".to_owned()));
    assert_eq!([&all, &reading].map(|socket| fs::metadata(socket).unwrap().gid()), [group; 2]);
    Ctl::new(uri(&reading)).fails(&["destroy", "test"], DENIED);
    assert_eq!(Ctl::new(uri(&reading)).text(&["domstate", "test"]), "running\n");
    Ctl::new(uri(&all)).text(&["destroy", "test"]);
    assert_eq!(Ctl::new(uri(&reading)).text(&["domstate", "test"]), "shut off\n");
}

#[test]
fn an_abstract_socket_has_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("@guestd-test-{}", std::process::id());
    let daemon = Guestd::start_in(folder, &["--unix", &name]);
    assert_eq!(daemon.line(), format!("listening unix {name}"));
    assert_eq!(Ctl::new(uri(&name)).text(&["domname", "1"]), "test\n");
    // The far side of ssh finds it as well.
    let proxied = run_with(guestctl_command(&["proxy", &name]), &[0x80, 0, 0, 3, 1, 2, 3]);
    assert!(proxied.status == 0 && proxied.stderr.is_empty(), "{proxied:?}");
    assert!(!Path::new(&name).exists());
    let ended = run_with(guestd_command(&["--unix", &name]), b"");
    assert!(ended.status == 1 && ended.stderr.contains("Address already in use"), "{ended:?}");
}

#[test]
fn those_who_reach_tcp_change_nothing_unless_they_are_trusted() {
    for (host, trusted, may) in [
        ("0.0.0.0", None, false),
        ("127.0.0.1", None, false),
        ("0.0.0.0", Some("--tcp-trusted"), true),
        ("127.0.0.1", Some("--tcp-trusted"), true),
    ] {
        let address = format!("{host}:0");
        let arguments: Vec<_> = ["--tcp", &address].into_iter().chain(trusted).collect();
        let daemon = Guestd::start_in(tempfile::tempdir().unwrap(), &arguments);
        let line = daemon.line();
        let port = line.strip_prefix(&format!("listening tcp {host}:")).unwrap();
        let ctl = Ctl::new(format!("test+tcp://127.0.0.1:{port}/default"));
        match may {
            true => drop(ctl.text(&["destroy", "test"])),
            false => ctl.fails(&["destroy", "test"], DENIED),
        }
    }
}

#[test]
fn the_log_tells_who_has_changed_what_and_who_was_not_allowed_to() {
    let mut daemon = Guestd::start(&["--tcp", "127.0.0.1:0", "--log-format", "json"]);
    let line = daemon.line();
    let address = line.strip_prefix("listening tcp ").unwrap();
    let ctl = Ctl::new(daemon.uri());
    ctl.text(&["suspend", "test"]);
    ctl.fails(&["undefine", "test"], "OperationInvalid (55): domain 'test' is active, it cannot be undefined");
    Ctl::new(format!("test+tcp://{address}/default")).fails(&["destroy", "test"], DENIED);
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |message: &str| {
        let lines = lines.iter().filter(|line| line["fields"]["message"] == message);
        let told = lines.map(|line| {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let fields = &line["fields"];
            let peer = text(&line["span"]["peer"]);
            [text(&fields["procedure"]), text(&fields["caller"]), text(&fields["failure"]), peer]
        });
        told.collect::<Vec<_>>()
    };
    let [suspended, undefined] = &told("call")[..] else { panic!("{log}") };
    assert_eq!(suspended[0], "DomainSuspend");
    assert_eq!(
        (&*undefined[0], &*undefined[2]),
        ("DomainUndefine", "OperationInvalid (55): domain 'test' is active, it cannot be undefined",)
    );
    // The kernel's word for who is at the other end of the unix socket, and no word but the address's for TCP.
    assert!(suspended[3].contains("pid"), "{suspended:?}");
    let [refused] = &told("refused: read-only")[..] else { panic!("{log}") };
    assert!(refused[0] == "DomainDestroy" && refused[3].contains("127.0.0.1"), "{refused:?}");
}

#[test]
fn those_who_only_read_leave_a_place_for_whoever_looks_after_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let reading = at(folder.path(), "sock-ro");
    let daemon = Guestd::start(&["--unix-read-only", &reading, "--max-connections", "8"]);
    assert_eq!(daemon.line(), format!("listening unix-read-only {reading}"));
    // The eighth place is not theirs: the others wait.
    let connect = || std::os::unix::net::UnixStream::connect(&reading).unwrap();
    let mut held: Vec<_> = (0..12).map(|_| connect()).collect();
    assert_eq!(Ctl::new(daemon.uri()).text(&["domname", "1"]), "test\n");
    // Whoever waits is let in when another goes.
    held.drain(..7);
    let ctl = Ctl::new(uri(&reading));
    assert_eq!(ctl.text(&["domname", "1"]), "test\n");
}

#[test]
fn one_user_does_not_take_all_places() {
    let mut daemon = Guestd::start(&["--max-connections-per-peer", "1"]);
    let uri = daemon.uri();
    let held = std::os::unix::net::UnixStream::connect(daemon.socket()).unwrap();
    let ping = || guestctl(&["--connect", &uri, "ping"]);
    // What comes later is taken up later.
    assert_ne!(ping().status, 0, "the place is taken");
    drop(held);
    // Its place is free again as soon as the daemon has seen it go.
    until("the place is free", || ping().status == 0);
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    assert!(log.contains("refused a connection: the peer has too many"), "{log}");
}

// ---- TLS ----

struct Pki {
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        let authority = Authority::new();
        authority.issue("server", &Request::server(&["localhost", "127.0.0.1"]));
        authority.issue("client", &Request::client("alice"));
        Self { authority }
    }

    fn folder(&self) -> String {
        self.authority.folder().display().to_string()
    }

    fn daemon(&self, arguments: &[&str]) -> (Guestd, String) {
        let folder = self.folder();
        let first = ["--tls", "127.0.0.1:0", "--pki-path", &folder];
        let daemon = Guestd::start_in(tempfile::tempdir().unwrap(), &[&first, arguments].concat());
        let line = daemon.line();
        let port = line.strip_prefix("listening tls 127.0.0.1:").expect("the address").to_owned();
        (daemon, port)
    }

    fn uri(&self, port: &str) -> String {
        format!("test+tls://localhost:{port}/default?pkipath={}", self.folder())
    }
}

#[test]
fn a_client_with_a_certificate_calls_by_tls() {
    let pki = Pki::new();
    let (mut daemon, port) = pki.daemon(&["--log", "debug", "--log-format", "json"]);
    assert_eq!(Ctl::new(pki.uri(&port)).text(&["destroy", "test"]), "Domain 'test' destroyed\n");
    // Without a transport, a host means TLS.
    let uri = format!("test://127.0.0.1:{port}/default?pkipath={}", pki.folder());
    assert_eq!(Ctl::new(uri).text(&["domstate", "test"]), "shut off\n");
    // Each line of the log is JSON, and a call's tell who called.
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let peers = lines.iter().filter_map(|line| line["fields"]["peer"].as_str());
    assert!(peers.into_iter().any(|peer| peer.ends_with("C=DE,O=Example,CN=alice")), "{log}");
    // And so does whatever else is said of the connection.
    let closed = lines.iter().find(|line| line["fields"]["message"] == "connection closed").unwrap();
    let span = &closed["spans"][0];
    assert_eq!(span["name"], "connection");
    assert!(span["peer"].as_str().unwrap().ends_with("C=DE,O=Example,CN=alice"), "{log}");
}

#[test]
fn certificates_are_named_by_options_as_well_which_come_before_the_uri() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (_daemon, port) = pki.daemon(&[]);
    let bare = format!("test+tls://localhost:{port}/default");
    let (folder, file) = (pki.folder(), |name: &str| format!("{}/{name}.pem", pki.folder()));
    let (ca, certificate, key) = (file("cacert"), file("clientcert"), file("clientkey"));
    let files = ["--tls-ca", &ca, "--tls-certificate", &certificate, "--tls-key", &key];
    for (uri, options) in [
        (&bare, &["--pki-path", &folder][..]),
        (&bare, &files),
        (&other.uri(&port), &["--pki-path", &folder]),
        (&other.uri(&port), &files),
        // Files come before a folder, and what is not named is where it usually is.
        (&bare, &[&["--pki-path", &other.folder()][..], &files].concat()),
        (&pki.uri(&port), &files[2..]),
    ] {
        let ended = guestctl(&[&["--connect", uri, "domname", "1"], options].concat());
        assert_eq!(ended, Ended::new(0, "test\n", ""), "{uri} {options:?}");
    }
    for (uri, options, status, says) in [
        (pki.uri(&port), vec!["--pki-path".to_owned(), other.folder()], 1, "UnknownIssuer"),
        (
            pki.uri(&port),
            vec!["--tls-key".to_owned(), "/nowhere/key.pem".to_owned()],
            1,
            "'/nowhere/key.pem': No such file",
        ),
        // What is missing is where it usually would be.
        (
            bare.clone(),
            files[..4].iter().map(ToString::to_string).collect(),
            1,
            "'/etc/pki/guestd/private/clientkey.pem': No such file",
        ),
        (
            bare.clone(),
            ["--tls-ca", &ca, "--tls-key", &key].map(str::to_owned).into(),
            1,
            "'/etc/pki/guestd/clientcert.pem': No such file",
        ),
        ("test:///default".to_owned(), vec!["--tls-ca".to_owned(), ca.clone()], 2, "a certificate means nothing for"),
    ] {
        let mut arguments = vec!["--connect", &uri, "domname", "1"];
        arguments.extend(options.iter().map(String::as_str));
        let ended = guestctl(&arguments);
        assert!(ended.status == status && ended.stderr.contains(says), "{uri} {options:?}: {ended:?}");
    }
}

#[test]
fn a_client_that_may_not_connect_is_refused_and_the_log_says_why() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (mut daemon, port) = pki.daemon(&["--tls-allowed-name", "C=DE,O=Example,CN=bob"]);
    for (uri, says) in [
        (pki.uri(&port), "connection lost: received fatal alert"),
        (other.uri(&port), "the peer's certificate is not accepted: UnknownIssuer"),
        (format!("{}&no_verify=1", other.uri(&port)), "connection lost: received fatal alert"),
        (pki.uri("1"), "cannot connect to localhost port 1: Connection refused"),
        ("test+tls://localhost/default?pkipath=/nowhere".to_owned(), "'/nowhere/clientcert.pem': No such file"),
    ] {
        let ended = guestctl(&["--connect", &uri, "list"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{uri}");
        assert!(ended.stderr.contains(says), "{uri}: {ended:?}");
    }
    // In clear text, where TLS is spoken.
    let ended = guestctl(&["--connect", &format!("test+tcp://127.0.0.1:{port}/default"), "list"]);
    assert_eq!(ended.status, 1, "{ended:?}");
    daemon.signal("TERM");
    let (_, log) = daemon.ended();
    for says in [
        "'C=DE,O=Example,CN=alice' is not on the list of names that may connect",
        "the peer's certificate is not accepted: UnknownIssuer",
        "the peer does not speak TLS",
    ] {
        assert!(log.contains(says), "{says}: {log}");
    }
}

#[test]
fn who_does_not_have_the_daemon_verified_is_warned() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (_daemon, port) = pki.daemon(&[]);
    // The daemon knows this client, which does not know the daemon's authority.
    fs::copy(other.authority.folder().join("cacert.pem"), pki.authority.folder().join("cacert.pem")).unwrap();
    let ended = guestctl(&["--connect", &format!("{}&no_verify=1", pki.uri(&port)), "domname", "1"]);
    assert_eq!(ended, Ended::new(0, "test\n", " WARN the server's certificate is not verified\n"));
    let ended = guestctl(&["--connect", &pki.uri(&port), "domname", "1"]);
    assert!(ended.status == 1 && ended.stderr.contains("UnknownIssuer"), "{ended:?}");
}

#[test]
fn sighup_has_certificates_read_anew() {
    let pki = Pki::new();
    let (daemon, port) = pki.daemon(&[]);
    assert_eq!(guestctl(&["--connect", &pki.uri(&port), "ping"]).status, 0);
    // Those of another authority, which the clients of before do not know.
    let other = Pki::new();
    for file in ["cacert.pem", "servercert.pem", "serverkey.pem"] {
        fs::copy(other.authority.folder().join(file), pki.authority.folder().join(file)).unwrap();
    }
    daemon.signal("HUP");
    // The signal is on its way; until it has come, the old ones hold.
    until("the new ones hold", || guestctl(&["--connect", &other.uri(&port), "ping"]).status == 0);
}

#[test]
fn a_start_with_bad_certificates_fails_and_names_them() {
    let pki = Pki::new();
    let expired = pki.authority.issue("server", &Request::server(&["localhost"]).valid(2001, 2002));
    let folder = pki.folder();
    for only_check in [&[][..], &["--check"]] {
        let arguments = [&["--tls", "127.0.0.1:0", "--pki-path", &folder], only_check].concat();
        let ended = run_with(guestd_command(&arguments), b"");
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{ended:?}");
        let named = format!("'{}': the certificate has expired", expired.certificate.display());
        assert!(ended.stderr.contains(&named), "{ended:?}");
    }
}

/// Where root runs the test, another user has to run the daemon: root's does not look there.
#[test]
fn a_users_daemon_finds_the_users_certificates() {
    const OTHER: u32 = 65_534;
    let pki = Pki::new();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".pki/guestd");
    fs::create_dir_all(&folder).unwrap();
    for file in ["cacert.pem", "servercert.pem", "serverkey.pem"] {
        fs::copy(pki.authority.folder().join(file), folder.join(file)).unwrap();
    }
    let check = |mut command: Command| {
        command.env("HOME", home.path());
        run_with(command, b"")
    };
    let arguments = ["--tls", "127.0.0.1:0", "--check"];
    let right = Ended::new(0, "all is right\n", "");
    if fs::metadata(home.path()).unwrap().uid() != 0 {
        assert_eq!(check(guestd_command(&arguments)), right);
        return;
    }
    let ended = check(guestd_command(&arguments));
    assert!(ended.status == 1 && ended.stderr.contains("'/etc/pki/"), "{ended:?}");
    // Where the programs are built, others may have no access.
    let copy = home.path().join("guestd");
    // By another process: one that a test beside this one starts meanwhile would have it open for writing.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_guestd")).arg(&copy).status().unwrap().success());
    for path in [home.path(), &folder.join("serverkey.pem")] {
        std::os::unix::fs::chown(path, Some(OTHER), None).unwrap();
    }
    let mut command = program(copy.to_str().unwrap(), &arguments);
    command.uid(OTHER);
    assert_eq!(check(command), right);
}

// ---- configuration ----

#[test]
fn the_file_is_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (at(folder.path(), "guestd.toml"), at(folder.path(), "sock"));
    fs::write(&file, format!("unix = \"{socket}\"\nempty = true\nswitch_off = [\"GetVersion\"]\n")).unwrap();
    let checked = run_with(guestd_command(&["--config", &file, "--check"]), b"");
    assert_eq!(checked, Ended::new(0, "all is right\n", ""));
    assert!(!Path::new(&socket).exists(), "nothing has begun");
    let mut command = guestd_command(&["--config", &file]);
    // The environment comes before the file, and the command line before both.
    command.env("GUESTD_EMPTY", "false");
    let daemon = Guestd::spawn(folder, command);
    assert_eq!(daemon.line(), format!("listening unix {socket}"));
    let ctl = Ctl::new(uri(&socket));
    assert_eq!(ctl.text(&["domname", "1"]), "test\n");
    ctl.fails(&["version"], "server does not have procedure 1");

    let folder = tempfile::tempdir().unwrap();
    let file = at(folder.path(), "guestd.toml");
    for (text, says) in [
        ("unix = 3\n", "line 1"),
        ("\nuni = \"x\"\n", "unknown field `uni`"),
        ("unix_group = \"no such group\"\n", "there is no group 'no such group'"),
        ("tls_allowed_networks = [\"x\"]\n", "'x' is neither an address nor a network"),
        ("switch_off = [\"X\"]\n", "no procedure is named 'X'"),
        ("log = \"guestd=loudly\"\n", "log: 'guestd=loudly'"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = run_with(guestd_command(&["--config", &file, "--check"]), b"");
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{text}");
        assert!(ended.stderr.contains(says), "{text}: {ended:?}");
    }
    let ended = run_with(guestd_command(&["--config", "/nowhere/x"]), b"");
    assert!(ended.status == 1 && ended.stderr.contains("cannot read '/nowhere/x'"), "{ended:?}");
}

#[test]
fn manual_pages_and_completions_come_from_the_command_line() {
    for (program, generate) in
        [(guestd_command as fn(&[&str]) -> Command, "--generate"), (guestctl_command, "generate")]
    {
        let ended = run_with(program(&[generate, "man"]), b"");
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(".TH guest") && ended.stdout.contains(".SH OPTIONS"), "{}", ended.stdout);
        for shell in ["bash", "fish", "zsh"] {
            let ended = run_with(program(&[generate, shell]), b"");
            assert_eq!(ended.status, 0, "{shell}");
            // Options of guestd stand in its script; guestctl is asked for its own.
            let knows = if generate == "generate" { "_GUESTCTL_COMPLETE" } else { "config" };
            assert!(ended.stdout.contains(knows), "{shell}");
        }
        let Some(bash) = require("bash") else { continue };
        let script = run_with(program(&[generate, "bash"]), b"").stdout;
        let mut command = Command::new(bash);
        command.args(["-n", "-c", &script]);
        assert!(command.status().unwrap().success());
    }
}

#[test]
fn the_manual_of_guestctl_has_a_page_for_each_command() {
    let manual = run_with(guestctl_command(&["generate", "man"]), b"").stdout;
    let title = |line: &str| Some(line.strip_prefix(".TH ")?.split(' ').next()?.to_owned());
    let titles: Vec<String> = manual.lines().filter_map(title).collect();
    assert_eq!(titles[..2], ["guestctl", "guestctl-ping"]);
    let referred = manual.lines().filter_map(|line| line.strip_suffix("(1)")).map(|name| name.replace('\\', ""));
    assert_eq!(titles[1..], referred.collect::<Vec<_>>());
    // URIs are a user's only way to a daemon: each transport and parameter is told of, here and by --help.
    let help = run_with(guestctl_command(&["--help"]), b"").stdout;
    let parameters = "socket mode pkipath no_verify command keyfile no_tty netcat proxy name".split(' ');
    let transports = ["\nunix, or none", "\ntls, or none", "\ntcp:", "\nssh:", "\next:"].map(str::to_owned);
    for told in parameters.map(|name| format!("{name}=")).chain(transports) {
        assert!(manual.replace('\\', "").contains(&told) && help.contains(&told), "{told:?}");
    }
    // And what only one of them takes.
    assert!(manual.contains("Only inactive ones"), "{manual}");
}

// ---- systemd ----

#[test]
fn systemd_is_told_when_the_sockets_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let mut command = guestd_command(&["--unix", &at(folder.path(), "sock")]);
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let daemon = Guestd::spawn(folder, command);
    let told = || {
        let mut buffer = [0; 256];
        let len = notify.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    assert_eq!(told().trim(), "READY=1");
    assert_eq!(Ctl::new(daemon.uri()).text(&["ping"]), "The daemon answers\n");
    daemon.signal("TERM");
    assert_eq!(told().trim(), "STOPPING=1");
}

#[test]
fn sockets_that_systemd_has_bound_are_served_each_in_its_way() {
    let Some(activate) = require("systemd-socket-activate") else { return };
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let (all, reading) = (at(folder.path(), "sock"), at(folder.path(), "sock-ro"));
    let port = free_port();
    let mut command = Command::new(activate);
    command.args(["-l", &all, "-l", &reading, "-l", &format!("127.0.0.1:{port}")]);
    command.args(["--fdname", "read-write:read-only:tls", "-E", "PATH"]);
    command.args([env!("CARGO_BIN_EXE_guestd"), "--driver", "test", "--pki-path", &pki.folder()]);
    command.env_remove("XDG_RUNTIME_DIR").env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let daemon = Guestd::spawn(folder, command);
    // systemd-socket-activate binds, and starts the daemon with the first connection.
    let ctl = Ctl::new(uri(&reading));
    until("the daemon answers", || ctl.run(&["ping"]).status == 0);
    let announced: std::collections::BTreeSet<String> = (0..3).map(|_| daemon.line()).collect();
    let expected = [
        format!("listening unix {all}"),
        format!("listening unix-read-only {reading}"),
        format!("listening tls 127.0.0.1:{port}"),
    ];
    assert_eq!(announced, expected.into());
    ctl.fails(&["destroy", "test"], DENIED);
    Ctl::new(uri(&all)).text(&["suspend", "test"]);
    assert_eq!(Ctl::new(pki.uri(&port.to_string())).text(&["domstate", "test"]), "paused\n");
}

/// A guest, or whatever else outlives the daemon, would keep them from being bound anew.
#[cfg(feature = "qemu")]
#[test]
fn programs_that_the_daemon_starts_do_not_get_its_sockets() {
    let Some(activate) = require("systemd-socket-activate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (socket, asked) = (at(folder.path(), "sock"), folder.path().join("asked"));
    // Stands for the first program that a daemon starts.
    let emulator = folder.path().join(format!("qemu-system-{}", std::env::consts::ARCH));
    let script =
        "#!/bin/sh\nls /proc/$$/fd > \"${0%/*}/asked.new\"\nmv \"${0%/*}/asked.new\" \"${0%/*}/asked\"\nexit 1\n";
    fs::write(&emulator, script).unwrap();
    fs::set_permissions(&emulator, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(activate);
    command.args(["-l", &socket, "--fdname", "read-write", "-E", "PATH", env!("CARGO_BIN_EXE_guestd")]);
    command.args(["--config-dir", &at(folder.path(), "etc"), "--state-dir", &at(folder.path(), "run")]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [folder.path().to_owned()].into_iter().chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(path).unwrap());
    command.env_remove("XDG_RUNTIME_DIR").env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let daemon = Guestd::spawn(tempfile::tempdir().unwrap(), command);
    let ctl = Ctl::new(uri(&socket));
    until("the daemon answers", || ctl.run(&["ping"]).status == 0);
    drop(daemon);
    let open = fs::read_to_string(asked).unwrap();
    // A shell keeps its script open as 10 or beyond.
    let open: Vec<u32> = open.lines().map(|number| number.parse().unwrap()).filter(|number| *number < 10).collect();
    assert_eq!(open, [0, 1, 2]);
}

/// It has no mode of its own, whatever its unit says.
#[test]
fn an_abstract_socket_that_systemd_has_bound_is_for_its_owner_and_its_group() {
    const OTHER: u32 = 65_534;
    let Some(activate) = require("systemd-socket-activate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    // Others may have no access to where the programs are built.
    let guestctl = folder.path().join("guestctl");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_guestctl")).arg(&guestctl).status().unwrap().success());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (settings, let_in) in [(&[][..], false), (&["--unix-group", "65534"], true), (&["--unix-mode", "0602"], true)] {
        let name = format!("@guestd-test-passed-{}-{}", std::process::id(), settings.len());
        let mut command = Command::new(&activate);
        command.args(["-l", &name, "--fdname", "read-write", env!("CARGO_BIN_EXE_guestd"), "--driver", "test"]);
        command.args(settings).env_remove("XDG_RUNTIME_DIR").env("XDG_CONFIG_HOME", "/nonexistent");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut daemon = Guestd::spawn(tempfile::tempdir().unwrap(), command);
        let ctl = Ctl::new(uri(&name));
        until("the daemon answers", || ctl.run(&["ping"]).status == 0);
        assert_eq!(daemon.line(), format!("listening unix {name}"));
        if is_root {
            let mut other = program(guestctl.to_str().unwrap(), &["--connect", &uri(&name), "domname", "1"]);
            other.uid(OTHER).gid(OTHER);
            assert_eq!(run_with(other, b"").status == 0, let_in, "{settings:?}");
        }
        daemon.signal("TERM");
        let (_, log) = daemon.ended();
        assert_eq!(log.contains("the mode of the socket does not allow it"), is_root && !let_in, "{log}");
    }
}

#[test]
fn a_socket_of_a_name_that_says_nothing_is_not_for_all_calls() {
    let Some(activate) = require("systemd-socket-activate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = at(folder.path(), "sock");
    let mut command = Command::new(activate);
    // The name that systemd gives where a unit has no FileDescriptorName.
    command.args(["-l", &socket, "--fdname", "guestd-ro.socket", env!("CARGO_BIN_EXE_guestd")]);
    // The machine's own folders are none of a test's.
    command.args(["--driver", "test"]);
    command.env_remove("XDG_RUNTIME_DIR").env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Guestd::spawn(folder, command);
    until("the socket is there", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let (status, log) = daemon.ended();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("'guestd-ro.socket': the name of a socket is read-write, read-only, tcp or tls"), "{log}");
}

/// A port that nobody has. Somebody may take it before we do, as with every way to find one.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn systemd_takes_the_units() {
    let Some(analyze) = require("systemd-analyze") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd")).unwrap() {
        let file = file.unwrap().path();
        // The program is not installed while it is tested.
        let text = fs::read_to_string(&file).unwrap().replace("/usr/bin/guestd", env!("CARGO_BIN_EXE_guestd"));
        let copy = folder.path().join(file.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        units.push(copy);
    }
    assert_eq!(units.len(), 4);
    let mut command = Command::new(analyze);
    command.args(["verify", "--man=no", "--recursive-errors=no"]).args(&units);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run_with(command, b"");
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{ended:?}");
}
