//! What guestctl says when it cannot do what it was asked.

use std::fs;
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use async_trait::async_trait;
use qemud_proto::daemon::Daemon;
use qemud_proto::driver::Driver;
use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::ServerConfig;

use crate::processes::{Ctl, Ended, Guestd, guestctl, guestctl_command, guestd_command, run_with, unix_uri};

const DOMAIN: &str = "<domain type='test'><name>web</name><memory>8</memory><os><type>hvm</type></os></domain>";

#[test]
fn failures_of_the_daemon_are_told_by_name_number_and_message() {
    let daemon = Guestd::start(&[]);
    let ctl = Ctl::new(daemon.uri());
    ctl.fails(&["dominfo", "nobody"], "NoDomain (42): no domain with name 'nobody'");
    ctl.fails(&["domname", "7"], "NoDomain (42): no domain with name '7'");
    ctl.fails(&["net-info", "nobody"], "NoNetwork (43): no network with name 'nobody'");
    ctl.fails(&["undefine", "test"], "OperationInvalid (55): domain 'test' is active, it cannot be undefined");
    ctl.fails(&["net-start", "default"], "OperationInvalid (55): network 'default' is active already");
    ctl.fails(&["restore", "x"], "InvalidArg (8): the path 'x' is not absolute");
    let says = "SystemError (38): cannot restore from '/nowhere/x': No such file or directory (os error 2)";
    ctl.fails(&["restore", "/nowhere/x"], says);
    ctl.text(&["destroy", "test"]);
    for command in ["suspend", "resume", "destroy"] {
        ctl.fails(&[command, "test"], "OperationInvalid (55): domain 'test' is not active");
    }
    ctl.fails(&["--json", "dominfo", "nobody"], "NoDomain (42): no domain with name 'nobody'");
}

#[test]
fn a_name_beyond_the_bound_is_refused_before_it_is_sent() {
    let ctl = Ctl::new("test:///default".to_owned());
    let says = "cannot send the call: DomainLookupByName.name: string of 300 bytes is longer than its maximum 256";
    ctl.fails(&["dominfo", &"x".repeat(300)], says);
}

#[test]
fn mistakes_in_the_command_line_are_usage_errors() {
    for (arguments, says) in [
        (&["--json"][..], "requires a subcommand"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["list", "--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["list", "--all", "--inactive"], "cannot be used with"),
        (&["dominfo"], "required arguments were not provided"),
        (&["dominfo", "a", "b"], "unexpected argument 'b'"),
        (&["--connect"], "a value is required for '--connect <URI>'"),
    ] {
        let ended = guestctl(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(says), "{ended:?}");
    }
    // Without anything at all it is help that is wanted.
    let ended = guestctl(&[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("Usage: guestctl [OPTIONS] <COMMAND>"), "{ended:?}");
}

#[test]
fn a_variable_that_is_set_to_nothing_is_as_good_as_none() {
    let mut command = guestctl_command(&["ping"]);
    command.env("GUESTD_DEFAULT_URI", "");
    let ended = run_with(command, b"");
    assert_eq!(ended.status, 0, "{ended:?}");
}

#[test]
fn a_uri_that_cannot_be_connected_to_is_a_usage_error_that_names_what_is_wrong() {
    for (uri, says) in [
        ("test", "'test' is not a URI"),
        ("test+pigeon:///default", "no transport is named 'pigeon'"),
        ("test:///other", "driver 'test' has no connection '/other'"),
        ("test+tcp:///default", "transport 'tcp' needs a host"),
        ("test+unix:///default?pkipath=/x", "parameter 'pkipath' means nothing for transport 'unix'"),
        ("test+unix:///default", "XDG_RUNTIME_DIR is not set"),
        ("test+tcp://host:99999/default", "port"),
    ] {
        let from_environment = {
            let mut command = guestctl_command(&["ping"]);
            command.env("GUESTD_DEFAULT_URI", uri);
            run_with(command, b"")
        };
        for ended in [guestctl(&["--connect", uri, "ping"]), from_environment] {
            assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{uri}: {ended:?}");
            assert!(ended.stderr.contains("'--connect <URI>'") && ended.stderr.contains(says), "{ended:?}");
        }
    }
}

#[test]
fn aliases_and_the_default_come_from_the_configuration() {
    let daemon = Guestd::start(&["--empty"]);
    let folder = daemon.folder.path().join("config");
    let file = folder.join("guestd/guestctl.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!("uri_aliases = [\"here={}\"]\nuri_default = \"here\"\n", daemon.uri());
    fs::write(&file, text).unwrap();
    let count = |arguments: &[&str]| {
        let mut command = guestctl_command(&[&["list", "--count"], arguments].concat());
        command.env("XDG_CONFIG_HOME", &folder);
        run_with(command, b"")
    };
    assert_eq!(count(&[]).stdout, "Active:         0\n");
    assert_eq!(count(&["--connect", "here"]).stdout, "Active:         0\n");
    assert_eq!(count(&["--connect", "test:///default"]).stdout, "Active:         1\n");
    let ended = count(&["--connect", "there"]);
    assert!(ended.status == 2 && ended.stderr.contains("'there' is not a URI"), "{ended:?}");
    // Another file is read in its place, and what is wrong in a file is told with its name and line.
    let other = daemon.folder.path().join("other.toml");
    fs::write(&other, "# nothing\nuri_defalt = \"x\"\n").unwrap();
    let ended = count(&["--config", other.to_str().unwrap()]);
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("other.toml'") && ended.stderr.contains("line 2"), "{ended:?}");
    fs::write(&file, "uri_default = \"nonsense\"").unwrap();
    let ended = count(&[]);
    assert!(ended.status == 2 && ended.stderr.contains("'uri_default' of the configuration"), "{ended:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_stands_in_the_way_of_no_uri() {
    let folder = tempfile::tempdir().unwrap();
    // Not even root can read it.
    let file = folder.path().join("guestd/guestctl.toml");
    fs::create_dir_all(&file).unwrap();
    let called = |arguments: &[&str]| {
        let mut command = guestctl_command(&[arguments, &["domname", "1"]].concat());
        command.env("XDG_CONFIG_HOME", folder.path());
        run_with(command, b"")
    };
    let test = ["--connect", "test:///default"];
    assert_eq!(called(&test), Ended::new(0, "test\n", ""));
    // But in that of one who means it, or for whom it would matter.
    let says = format!("error: cannot read '{}': Is a directory (os error 21)\n", file.display());
    assert_eq!(called(&["--connect", "alias"]), Ended::new(1, "", &says));
    assert_eq!(called(&[]), Ended::new(1, "", &says));
    assert_eq!(called(&[&test[..], &["--config", file.to_str().unwrap()]].concat()), Ended::new(1, "", &says));
    // So it is with the daemon, which it would tell whom to let in.
    fs::create_dir_all(folder.path().join("guestd/guestd.toml")).unwrap();
    let mut command = guestd_command(&["--check"]);
    command.env("XDG_CONFIG_HOME", folder.path());
    let ended = run_with(command, b"");
    assert!(ended.status == 1 && ended.stderr.contains("guestd.toml': Is a directory"), "{ended:?}");
}

#[test]
fn users_without_a_home_have_no_configuration() {
    let mut command = guestctl_command(&["--connect", "test:///default", "domname", "1"]);
    command.env_remove("XDG_CONFIG_HOME").env("HOME", "/dev/null");
    assert_eq!(run_with(command, b""), Ended::new(0, "test\n", ""));
}

#[test]
fn without_a_uri_the_daemon_of_the_session_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = guestd_command(&["--empty"]);
    command.env("XDG_RUNTIME_DIR", folder.path());
    let daemon = Guestd::spawn(folder, command);
    daemon.line();
    let mut command = guestctl_command(&["list", "--count"]);
    command.env("XDG_RUNTIME_DIR", daemon.folder.path());
    assert_eq!(run_with(command, b"").stdout, "Active:         0\n");
}

#[test]
fn a_daemon_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let ctl = Ctl::new(unix_uri(&socket));
    let name = socket.display();
    ctl.fails(&["ping"], &format!("cannot connect to the socket '{name}': No such file or directory (os error 2)"));
    // A daemon that has died leaves its socket behind.
    drop(UnixListener::bind(&socket).unwrap());
    ctl.fails(&["ping"], &format!("cannot connect to the socket '{name}': Connection refused (os error 111)"));
    // A port that nobody has listened on for decades.
    let ctl = Ctl::new("test+tcp://127.0.0.1:1/default".to_owned());
    ctl.fails(&["ping"], "cannot connect to 127.0.0.1 port 1: Connection refused (os error 111)");
}

#[test]
fn the_default_uri_comes_from_the_environment_and_an_option_beats_it() {
    let daemon = Guestd::start(&["--empty"]);
    let count = |arguments: &[&str]| {
        let mut command = guestctl_command(arguments);
        command.env("GUESTD_DEFAULT_URI", daemon.uri());
        let ended = run_with(command, b"");
        assert_eq!(ended.status, 0, "{ended:?}");
        ended.stdout
    };
    assert_eq!(count(&["list", "--count"]), "Active:         0\n");
    assert_eq!(count(&["--connect", "test:///default", "list", "--count"]), "Active:         1\n");
}

#[test]
fn xml_is_read_from_standard_input() {
    let daemon = Guestd::start(&[]);
    let with_input =
        |command: &str, input: &[u8]| run_with(guestctl_command(&["--connect", &daemon.uri(), command, "-"]), input);
    assert_eq!(with_input("define", DOMAIN.as_bytes()), Ended::new(0, "Domain 'web' defined\n", ""));
    let network = b"<network><name>lan</name></network>";
    assert_eq!(with_input("net-define", network), Ended::new(0, "Network 'lan' defined\n", ""));
    let other = DOMAIN.replace("web", "other");
    assert_eq!(with_input("create", other.as_bytes()), Ended::new(0, "Domain 'other' created, id 2\n", ""));
    let network = b"<network><name>wan</name></network>";
    assert_eq!(with_input("net-create", network), Ended::new(0, "Network 'wan' created\n", ""));
    let ended = with_input("define", b"<domain");
    assert!(ended.status == 1 && ended.stderr.starts_with("error: XmlError (27): line 1, column "), "{ended:?}");
    assert!(with_input("define", b"").stderr.starts_with("error: XmlError (27): "));
}

#[test]
fn a_file_that_holds_no_description_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ctl = Ctl::new("test:///default".to_owned());
    for command in ["define", "create", "net-define", "net-create"] {
        ctl.fails(&[command, "/nowhere/x"], "cannot read '/nowhere/x': No such file or directory (os error 2)");
        let path = folder.path().to_str().unwrap();
        ctl.fails(&[command, path], &format!("cannot read '{path}': Is a directory (os error 21)"));
        let path = file("binary", b"<domain>\xff\xfe</domain>");
        ctl.fails(&[command, &path], &format!("cannot read '{path}': invalid utf-8 sequence of 1 bytes from index 8"));
        // The last text is cut inside a character where it gets too long.
        for long in [vec![b'x'; 65_537], vec![b'x'; 10_000_000], "\u{e9}".repeat(40_000).into_bytes()] {
            let path = file("long", &long);
            let says = format!("'{path}' is longer than 65536 bytes, the longest description that can be sent");
            ctl.fails(&[command, &path], &says);
        }
        let whole = ctl.run(&[command, &file("whole", &[b'x'; 65_536])]);
        assert!(whole.stderr.starts_with("error: XmlError (27): "), "{whole:?}");
    }
}

#[test]
fn whoever_stops_reading_the_output_has_seen_enough() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = guestctl_command(&["procedures"]);
    command.stdout(writer);
    assert_eq!(run_with(command, b""), Ended::new(0, "", ""));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let mut command = guestctl_command(&["procedures"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let ended = run_with(command, b"");
    assert_eq!(ended, Ended::new(1, "", "error: cannot write: No space left on device (os error 28)\n"));
}

/// Turns the terminal red, hides what follows, sets the title, and begins a line that nobody wrote.
const NASTY: &str = "a\u{1b}[31m\u{9b}8m\u{1b}]0;x\u{7}\r\u{8}\u{7f}\t\n\u{202e}error: forged";
/// The same as it is printed.
const HARMLESS: &str = "a\\u{1b}[31m\\u{9b}8m\\u{1b}]0;x\\u{7}\\r\\u{8}\\u{7f}\\t\\n\\u{202e}error: forged";

/// A driver that tells what a daemon of ours never would.
struct Nasty;

#[async_trait]
impl Driver for Nasty {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        Ok(DomainIds { ids: vec![1] })
    }

    async fn domain_lookup_by_id(&self, _: DomainLookupById) -> Reply<Identity> {
        Ok(Identity { uuid: Uuid([0; 16]), name: NASTY.to_owned() })
    }

    async fn domain_get_info(&self, _: DomainGetInfo) -> Reply<DomainInfo> {
        Ok(DomainInfo { cpu_time: 0, runstate: RunState::Paused, memory: 0, maxmem: 0, nr_virt_cpu: 0 })
    }

    async fn list_defined_domains(&self, _: ListDefinedDomains) -> Reply<DomainNames> {
        Ok(DomainNames { names: vec![NASTY.to_owned()] })
    }

    async fn domain_define(&self, _: DomainDefine) -> Reply<Identity> {
        Ok(Identity { uuid: Uuid([0; 16]), name: NASTY.to_owned() })
    }

    async fn domain_suspend(&self, _: DomainSuspend) -> Reply<()> {
        Err(Failure::new(Code::Other(-7), NASTY))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_from_a_daemon_are_printed_as_escapes() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let server = Daemon::new(Arc::new(Nasty)).into_server(ServerConfig::default());
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    let play = move || {
        let ctl = Ctl::new(unix_uri(&socket));
        let state = |id: &str, state: &str| format!(" {id}    {HARMLESS}   {state}");
        let rule = "-".repeat(2 + HARMLESS.len() + 8 + 9);
        let head = format!(" Id   Name{}   State\n{rule}", " ".repeat(HARMLESS.len() - 4));
        let list = format!("{head}\n{}\n{}\n", state("1", "paused"), state("-", "shut off"));
        assert_eq!(ctl.text(&["list", "--all"]), list);
        assert_eq!(ctl.text(&["domname", "1"]), format!("{HARMLESS}\n"));
        assert_eq!(ctl.text(&["define", "/dev/null"]), format!("Domain '{HARMLESS}' defined\n"));
        ctl.fails(&["suspend", "1"], &format!("code (-7): {HARMLESS}"));
        assert_eq!(ctl.json(&["domname", "1"])["name"], NASTY);
    };
    tokio::task::spawn_blocking(play).await.unwrap();
}

#[test]
fn control_characters_in_an_argument_are_printed_as_escapes() {
    let ctl = Ctl::new("test:///default".to_owned());
    ctl.fails(&["domname", NASTY], &format!("NoDomain (42): no domain with name '{HARMLESS}'"));
}

#[test]
fn a_peer_that_is_no_daemon_is_not_waited_for() {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    for (says, expected) in [
        (&b""[..], "connection lost: server closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "connection lost: broken framing: record of at least"),
        (b"\x80\0\0\x04abcd", "connection lost: message of 4 bytes is too short"),
        (b"\x80\0\0\x18\xff\xff", "connection lost: connection ended in the middle of a record"),
    ] {
        let listener = UnixListener::bind(&socket).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The call has come before the answer goes out.
            stream.read_exact(&mut [0; 52]).unwrap();
            stream.write_all(says).unwrap();
        });
        let ended = Ctl::new(unix_uri(&socket)).run(&["ping"]);
        answering.join().unwrap();
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
        assert!(ended.stderr.starts_with(&format!("error: {expected}")), "{ended:?}");
        fs::remove_file(&socket).unwrap();
    }
}
