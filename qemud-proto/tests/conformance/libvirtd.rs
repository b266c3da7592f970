//! A libvirtd of the test's own, as an unprivileged user, with all its files in a folder of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::foreign_tool::require;
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
}

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
        let process = begin(&program, &folder);
        Some(Self { program, process, folder })
    }

    /// The folder where its session has its sockets.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn socket(&self) -> PathBuf {
        self.runtime().join("libvirt/libvirt-sock")
    }

    pub(crate) fn uri(&self) -> String {
        format!("qemu+unix:///session?socket={}", self.socket().display())
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
        self.process = begin(&self.program, &self.folder);
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
fn begin(program: &PathBuf, folder: &TempDir) -> Child {
    let at = |name: &str| folder.path().join(name);
    let _ = fs::remove_file(at("ready"));
    let ready = UnixDatagram::bind(at("ready")).unwrap();
    fs::set_permissions(at("ready"), Permissions::from_mode(0o777)).unwrap();
    ready.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(program);
    command.arg("--config").arg(at("libvirtd.conf")).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NOTIFY_SOCKET", at("ready"));
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
