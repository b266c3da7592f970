//! `guestctl` through ssh and through other programs, and `guestctl proxy` at the far side.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::events::first_line;
use crate::foreign_tool::require;
use crate::processes::{Ctl, Ended, Guestd, PATIENCE, guestctl, guestctl_command, program, run_with};

/// sshd on a port of loopback, with keys of its own: a process for each connection, which ends with it.
struct Sshd {
    folder: TempDir,
    port: u16,
}

impl Sshd {
    /// None where a program is missing.
    fn start() -> Option<Self> {
        let (sshd, keygen, _ssh) = (require("sshd")?, require("ssh-keygen")?, require("ssh")?);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            let mut command = Command::new(&keygen);
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key));
            assert!(command.status().unwrap().success());
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let other_key = fs::read_to_string(at("stranger.pub")).unwrap();
        fs::write(at("outdated"), format!("[127.0.0.1]:{port} {other_key}")).unwrap();
        fs::write(at("unknown"), "").unwrap();
        let programs = Path::new(env!("CARGO_BIN_EXE_guestctl")).parent().unwrap();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             SetEnv PATH={}:/usr/bin:/bin XDG_RUNTIME_DIR={}\n",
            at("host").display(),
            at("authorized").display(),
            programs.display(),
            folder.path().display(),
        );
        fs::write(at("sshd_config"), config).unwrap();
        // Where root runs sshd, it wants an empty folder there, which Debian's service would make.
        let _ = fs::create_dir_all("/run/sshd");
        let config = at("sshd_config");
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                serve(&sshd, &config, &connection.unwrap());
            }
        });
        Some(Self { folder, port })
    }

    /// What ssh should know: the hosts in this file. A script in the place of ssh, since ssh does not look for its own
    /// files where a test could put them.
    fn ssh(&self, known: &str) -> PathBuf {
        let path = self.folder.path().join(format!("ssh-{known}"));
        let known = self.folder.path().join(known);
        let script = format!(
            "#!/bin/sh\nexec ssh -F none -o UserKnownHostsFile='{}' -o LogLevel=INFO \"$@\"\n",
            known.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A URI through ssh as the user who runs the test, with the key that is authorized.
    fn uri(&self, known: &str, parameters: &str) -> String {
        self.uri_with_key("user", known, parameters)
    }

    fn uri_with_key(&self, key: &str, known: &str, parameters: &str) -> String {
        let key = self.folder.path().join(key);
        let (port, ssh) = (self.port, self.ssh(known));
        let (key, ssh) = (key.display(), ssh.display());
        format!("test+ssh://127.0.0.1:{port}/default?command={ssh}&keyfile={key}{parameters}")
    }
}

fn serve(sshd: &Path, config: &Path, connection: &TcpStream) {
    let stream = || Stdio::from(OwnedFd::from(connection.try_clone().unwrap()));
    let mut command = Command::new(sshd);
    command.arg("-i").arg("-f").arg(config).stdin(stream()).stdout(stream()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    std::thread::spawn(move || process.wait());
}

fn through(uri: &str, arguments: &[&str]) -> Ended {
    guestctl(&[&["--connect", uri], arguments].concat())
}

#[test]
fn ssh_leads_to_the_daemon_at_its_far_side() {
    let Some(sshd) = Sshd::start() else { return };
    let daemon = Guestd::start(&[]);
    let socket = format!("&socket={}", daemon.socket().display());
    for (index, way) in ["", "&proxy=native", "&proxy=netcat", "&netcat=nc", "&no_tty=1"].into_iter().enumerate() {
        if way.contains("netcat") && require("nc").is_none() {
            continue;
        }
        let ctl = Ctl::new(sshd.uri("known", &format!("{socket}{way}")));
        assert_eq!(ctl.text(&["domname", "1"]), "test\n", "{way}");
        // What one connection has done, another sees.
        let (command, state) = if index % 2 == 0 { ("suspend", "paused\n") } else { ("resume", "running\n") };
        ctl.text(&[command, "test"]);
        assert_eq!(Ctl::new(daemon.uri()).text(&["domstate", "test"]), state, "{way}");
    }
}

#[test]
fn the_far_side_looks_for_the_socket_where_it_usually_is() {
    let Some(sshd) = Sshd::start() else { return };
    // The far side's session is in the folder that holds the keys.
    let mut command = crate::processes::guestd_command(&[]);
    command.env("XDG_RUNTIME_DIR", sshd.folder.path());
    let daemon = Guestd::spawn(tempfile::tempdir().unwrap(), command);
    daemon.line();
    assert_eq!(through(&sshd.uri("known", ""), &["domname", "1"]), Ended::new(0, "test\n", ""));
    if require("nc").is_some() {
        assert_eq!(through(&sshd.uri("known", "&proxy=netcat"), &["domname", "1"]), Ended::new(0, "test\n", ""));
    }
}

#[test]
fn what_ssh_says_reaches_the_user() {
    let Some(sshd) = Sshd::start() else { return };
    let socket = "&socket=/nowhere/sock&proxy=native";
    for (uri, says) in [
        (sshd.uri("known", socket), "cannot connect to the socket '/nowhere/sock': No such file or directory"),
        (sshd.uri("outdated", socket), "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        (sshd.uri("unknown", socket), "Host key verification failed"),
        (sshd.uri_with_key("stranger", "known", socket), "Permission denied"),
        (sshd.uri("known", "&netcat=/no/nc"), "/no/nc"),
        ("test+ssh://127.0.0.1:1/default".to_owned(), "Connection refused"),
    ] {
        let ended = through(&uri, &["list"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{uri}");
        assert!(ended.stderr.contains("does not lead to a daemon") && ended.stderr.contains(says), "{ended:?}");
    }
    // A host that nobody knows is taken where the user says so.
    let ended = through(&sshd.uri("unknown", &format!("{socket}&no_verify=1")), &["list"]);
    assert!(ended.stderr.contains("cannot connect to the socket '/nowhere/sock'"), "{ended:?}");
    assert!(ended.stderr.contains("WARN the host's key is not checked host=\"127.0.0.1\""), "{ended:?}");
}

/// A program in the place of ssh that runs nothing, and its path.
fn program_that(folder: &Path, does: &str) -> PathBuf {
    let script = folder.join("in-the-place-of-ssh");
    fs::write(&script, format!("#!/bin/sh\n{does}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
fn ssh_asks_nothing_unless_the_user_lets_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = program_that(folder.path(), "echo \"$@\" >&2");
    for (parameters, asks) in [("", false), ("&no_tty=1", false), ("&no_tty=0", true)] {
        let uri = format!("test+ssh://host/default?command={}{parameters}", script.display());
        let told = through(&uri, &["list"]).stderr;
        assert!(told.contains("-T -e none"), "{told}");
        assert_eq!(told.contains("-o BatchMode=yes"), !asks, "{told}");
    }
}

#[test]
fn what_ssh_says_in_lines_for_a_terminal_reaches_the_user_in_lines() {
    let folder = tempfile::tempdir().unwrap();
    let script = program_that(folder.path(), "printf 'one\\r\\n\\033[31mtwo\\r\\n' >&2");
    let ended = through(&format!("test+ssh://host/default?command={}", script.display()), &["list"]);
    let says = format!("error: '{}' does not lead to a daemon: one\n\\u{{1b}}[31mtwo\n", script.display());
    assert_eq!(ended, Ended::new(1, "", &says));
}

#[test]
fn a_program_leads_to_a_daemon_or_is_named() {
    let daemon = Guestd::start(&[]);
    let script = daemon.folder.path().join("join");
    let text = format!("#!/bin/sh\nexec {} proxy {}\n", env!("CARGO_BIN_EXE_guestctl"), daemon.socket().display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let uri = |command: &OsStr| format!("test+ext:///default?command={}", command.display());
    assert_eq!(through(&uri(script.as_os_str()), &["domname", "1"]), Ended::new(0, "test\n", ""));
    let says = "error: cannot run '/no/program': No such file or directory (os error 2)\n";
    assert_eq!(through(&uri(OsStr::new("/no/program")), &["list"]), Ended::new(1, "", says));
    let says = "error: 'false' does not lead to a daemon: it says nothing\n";
    assert_eq!(through(&uri(OsStr::new("false")), &["list"]), Ended::new(1, "", says));
}

#[test]
fn what_a_program_says_behind_a_connection_reaches_the_user_as_well() {
    let daemon = Guestd::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let proxy = format!("{} proxy {}", env!("CARGO_BIN_EXE_guestctl"), daemon.socket().display());
    // As ssh does when its connection is lost, and later than it lets go; what it says before is nobody's business.
    let script = program_that(
        folder.path(),
        &format!("echo 'Welcome' >&2\n{proxy}\nexec >&-\nsleep 0.2\nprintf 'closed by \\033[31mfar.example\\r\\n' >&2"),
    );
    let uri = format!("test+ext:///default?command={}", script.display());
    let command = guestctl_command(&["--connect", &uri, "event"]);
    let mut listener = Guestd::spawn(tempfile::tempdir().unwrap(), command);
    first_line(&Ctl::new(daemon.uri()), &listener);
    daemon.signal("TERM");
    let (status, told) = listener.ended();
    let says = format!(" WARN closed by \\u{{1b}}[31mfar.example program={}\n", script.display());
    assert_eq!((status.code(), told), (Some(1), says + "error: connection lost: server closed the connection\n"));
}

#[test]
fn what_a_program_said_is_told_although_another_keeps_its_standard_error_open() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("leaves-one-behind");
    // As ssh does with ControlPersist. The one that is left behind ends with the test's folder.
    let stays = "while [ -e \"$0\" ]; do sleep 0.1; done </dev/null >/dev/null &";
    fs::write(&script, format!("#!/bin/sh\necho 'no such host' >&2\n{stays}\nexit 1\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let ended = through(&format!("test+ext:///default?command={}", script.display()), &["list"]);
    let says = format!("error: '{}' does not lead to a daemon: no such host\n", script.display());
    assert_eq!(ended, Ended::new(1, "", &says));
}

#[test]
fn a_proxy_ends_with_a_daemon_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let daemon = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut command = guestctl_command(&["proxy", socket.to_str().unwrap()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut proxy = command.spawn().unwrap();
    // What has come and was not read makes of its end a connection that is reset.
    let mut input = proxy.stdin.take().unwrap();
    input.write_all(&[0; 64]).unwrap();
    let (mut connection, _) = daemon.accept().unwrap();
    connection.read_exact(&mut [0; 1]).unwrap();
    drop(connection);
    // The input stays open: nobody would tell the far side else.
    let (sender, ended) = std::sync::mpsc::channel();
    let pid = proxy.id();
    std::thread::spawn(move || sender.send(proxy.wait_with_output()));
    let Ok(ended) = ended.recv_timeout(PATIENCE) else {
        let _ = std::process::Command::new("kill").arg(pid.to_string()).status();
        panic!("the proxy does not end")
    };
    drop(input);
    let ended = ended.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("reset by peer"), "{ended:?}");
}

#[test]
fn a_proxy_ends_with_either_side() {
    let daemon = Guestd::start(&[]);
    let socket = daemon.socket();
    let proxy = || guestctl_command(&["proxy", socket.to_str().unwrap()]);
    // NULL, and then the end of the input: the reply still comes.
    let call = [[0x80, 0, 0, 40], [0, 0, 0, 7], [0; 4], [0, 0, 0, 2], [0x20, 0, 0x1a, 0x64], [0, 0, 0, 1]];
    let call = [call.concat(), vec![0; 20]].concat();
    let mut command = proxy();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(&call).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), 28, "{:?}", output.stdout);
    // Without a socket there is nothing to join.
    let ended = run_with(guestctl_command(&["proxy", "/nowhere/sock"]), b"");
    assert_eq!(ended.status, 1);
    assert!(ended.stderr.contains("cannot connect to the socket '/nowhere/sock'"), "{ended:?}");
    let ended = run_with(program(env!("CARGO_BIN_EXE_guestctl"), &["proxy"]), b"");
    assert!(ended.status == 1 && ended.stderr.contains("XDG_RUNTIME_DIR is not set"), "{ended:?}");
    // The daemon's end is the proxy's, although its input stays open.
    let mut command = proxy();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    let mut input = waiting.stdin.take().unwrap();
    input.write_all(&call).unwrap();
    waiting.stdout.as_mut().unwrap().read_exact(&mut [0; 28]).unwrap();
    drop(daemon);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn a_connection_that_is_opened_read_only_changes_nothing() {
    let daemon = Guestd::start(&[]);
    let ended = through(&daemon.uri(), &["--readonly", "destroy", "test"]);
    let says = "error: OperationDenied (29): DomainDestroy is not allowed on a read-only channel\n";
    assert_eq!(ended, Ended::new(1, "", says));
    assert_eq!(through(&daemon.uri(), &["-r", "domstate", "test"]), Ended::new(0, "running\n", ""));
}

#[test]
fn another_hypervisor_is_not_opened_by_the_driver_that_is_there() {
    let daemon = Guestd::start(&[]);
    let uri = format!("xen+unix:///?socket={}", daemon.socket().display());
    let says = "error: NoConnect (5): no driver serves 'xen:///'; there are: test\n";
    assert_eq!(through(&uri, &["list"]), Ended::new(1, "", says));
}
