//! A libvirtd of the test's own: as an unprivileged user, with all its files in a folder of its own, or as root where all
//! that it could touch is the test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::foreign_tool::{missing, require};
use crate::processes::send;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// The user it is where the test is root: `nobody`, as nearly everywhere.
const NOBODY: u32 = 65_534;

/// It ends with the test, and its guests do.
pub(crate) struct Libvirtd {
    program: PathBuf,
    process: Child,
    folder: TempDir,
    whose: Whose,
}

/// Whom it serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    User,
    System,
}

/// The programs that one of root's may run, so that it does not look into the machine by others.
const PROGRAMS: [&str; 4] = ["iptables", "ip6tables", "ebtables", "dnsmasq"];

impl Libvirtd {
    /// None where a program is missing.
    pub(crate) fn start() -> Option<Self> {
        let (program, _virsh, _qemu) = (require("libvirtd")?, require("virsh")?, require("qemu-system-x86_64")?);
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        for name in ["run", "config", "config/libvirt", "cache", "data", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("libvirtd.conf"), "log_outputs = \"4:stderr\"\nauth_unix_rw = \"none\"\n")
            .unwrap();
        // Else a daemon of its own would write what the guests have to say.
        fs::write(folder.path().join("config/libvirt/qemu.conf"), "stdio_handler = \"file\"\n").unwrap();
        if is_root(&folder) {
            for name in ["run", "config", "config/libvirt", "cache", "data", "home"] {
                chown(folder.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let whose = Whose::User;
        let process = begin(&program, &folder, whose);
        Some(Self { program, process, folder, whose })
    }

    /// One of root's, on a machine of the test's own: see [`inside`]. None where a program is missing.
    pub(crate) fn start_for_the_system() -> Option<Self> {
        let (program, folder) = (require("libvirtd")?, tempfile::tempdir().unwrap());
        fs::create_dir(folder.path().join("programs")).unwrap();
        for name in PROGRAMS {
            symlink(require(name)?, folder.path().join("programs").join(name)).unwrap();
        }
        fs::write(folder.path().join("libvirtd.conf"), "log_outputs = \"4:stderr\"\nauth_unix_rw = \"none\"\n")
            .unwrap();
        let whose = Whose::System;
        let process = begin(&program, &folder, whose);
        Some(Self { program, process, folder, whose })
    }

    /// The folder where its session has its sockets.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn socket(&self) -> PathBuf {
        self.runtime().join("libvirt/libvirt-sock")
    }

    pub(crate) fn uri(&self) -> String {
        match self.whose {
            Whose::User => format!("qemu+unix:///session?socket={}", self.socket().display()),
            Whose::System => "qemu+unix:///system".to_owned(),
        }
    }

    /// Has a program run as who libvirtd runs as.
    #[cfg(feature = "programs")]
    pub(crate) fn as_its_user(&self, command: &mut Command) {
        as_its_user(&self.folder, command);
    }

    /// libvirt's own client does this.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> Output {
        let output =
            Command::new("virsh").args(["--quiet", "--connect", &self.uri()]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, name: &str) {
        assert!(send(name, self.process.id()), "{name}");
    }

    /// Ends it at once; its guests go on.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it as a service ends.
    pub(crate) fn end(&mut self) {
        self.signal("TERM");
        self.process.wait().unwrap();
    }

    /// Begins it again, on what it has kept; as after a boot, unless guests go on.
    pub(crate) fn begin_again(&mut self) {
        for driver in ["qemu", "network"] {
            let run = self.folder.path().join("run/libvirt").join(driver);
            for marker in [run.join("run/autostarted"), run.join("lib/autostarted")] {
                let _ = fs::remove_file(marker);
            }
        }
        self.process = begin(&self.program, &self.folder, self.whose);
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let guests = fs::read_dir(self.folder.path().join("run/libvirt/qemu/run")).into_iter().flatten().flatten();
        for file in guests.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "pid")) {
            let pid = fs::read_to_string(&file).ok().and_then(|pid| pid.trim().parse().ok());
            if let Some(pid) = pid.filter(|_| file.file_stem().is_some_and(|name| name != "driver")) {
                send("KILL", pid);
            }
        }
    }
}

fn as_its_user(folder: &TempDir, command: &mut Command) {
    if is_root(folder) {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn is_root(folder: &TempDir) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).unwrap().uid() == 0
}

/// Begins it, and waits until it says that it is ready, as a service would tell systemd.
fn begin(program: &PathBuf, folder: &TempDir, whose: Whose) -> Child {
    let at = |name: &str| folder.path().join(name);
    let _ = fs::remove_file(at("ready"));
    let ready = UnixDatagram::bind(at("ready")).unwrap();
    fs::set_permissions(at("ready"), Permissions::from_mode(0o777)).unwrap();
    ready.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(program);
    command.arg("--config").arg(at("libvirtd.conf")).env_clear();
    command.env("NOTIFY_SOCKET", at("ready"));
    if whose == Whose::User {
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (variable, name) in [
            ("HOME", "home"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "data"),
        ] {
            command.env(variable, at(name));
        }
        as_its_user(folder, &mut command);
    } else {
        command.env("PATH", at("programs"));
    }
    let log = fs::File::options().create(true).append(true).open(at("log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut process = command.spawn().unwrap();
    let mut said = [0; 64];
    let told = ready.recv(&mut said).is_ok_and(|length| said[..length].starts_with(b"READY=1"));
    if !told {
        let _ = process.kill();
        panic!("libvirtd does not begin:\n{}", fs::read_to_string(at("log")).unwrap());
    }
    process
}

/// Set where a test is on a machine of its own.
const INSIDE: &str = "GUEST_MACHINE_OF_ITS_OWN";

/// Processes end with the test, networks and kernel settings of networks are its own.
const NAMESPACES: [&str; 7] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// What is written to /etc and /var goes with the test, /run is empty, and devices of the network are those of its own. The
/// user that Debian's libvirt wants for guests need not exist outside.
const PREPARE: &str = "set -e; mount -t tmpfs none \"$1\"
    for top in etc var; do
        mkdir \"$1/$top\" \"$1/$top.work\"
        mount -t overlay -o \"lowerdir=/$top,upperdir=$1/$top,workdir=$1/$top.work\" none /$top
    done
    mount -t tmpfs none /run; mount -t sysfs none /sys; ip link set lo up
    echo libvirt-qemu:x:64055:64055::/nonexistent:/bin/false >>/etc/passwd
    echo libvirt-qemu:x:64055: >>/etc/group
    shift; exec \"$@\"";

/// True on a machine of the test's own. Elsewhere it runs the test `name` on one, and the caller is to return. It takes root,
/// since libvirt uses several users.
#[track_caller]
pub(crate) fn inside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    for tool in ["libvirtd", "unshare", "ip", "mount", "timeout"].into_iter().chain(PROGRAMS) {
        if require(tool).is_none() {
            return false;
        }
    }
    let ways: [&[&str]; 2] = [&[], &["sudo", "-n"]];
    let again = |way: &[&str], folder: &TempDir, command: &[&str]| {
        let whole = [way, &["timeout", "--kill-after=5", "200", "unshare"], &NAMESPACES].concat();
        let mut again = Command::new(whole[0]);
        again.args(&whole[1..]).args(["sh", "-c", PREPARE, "sh"]).arg(folder.path()).args(command).stdin(Stdio::null());
        again.output()
    };
    let folder = tempfile::tempdir().unwrap();
    let works = |way: &&&[&str]| again(way, &folder, &["true"]).is_ok_and(|output| output.status.success());
    let Some(way) = ways.iter().find(works) else {
        missing("a libvirtd of root's needs a machine of its own, from root or sudo");
        return false;
    };
    let program = std::env::current_exe().unwrap();
    let variable = format!("{INSIDE}=1");
    let test = ["env", &variable, program.to_str().unwrap(), "--exact", name, "--nocapture"];
    let output = again(way, &folder, &test).unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && told.contains("1 passed"),
        "on a machine of its own ({}):\n{told}",
        output.status
    );
    false
}
