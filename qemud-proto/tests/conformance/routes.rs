//! A guestd with several drivers: which of them a URI leads to.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::libvirtd::Libvirtd;

/// It ends with the test.
struct Guestd(Child);

impl Drop for Guestd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Begins it in the session of libvirtd, whose user it has to be, and waits until it listens.
fn guestd(folder: &TempDir, socket: &Path, libvirtd: &Libvirtd) -> Guestd {
    // That user may not look to where it was built.
    let program = folder.path().join("guestd");
    fs::copy(env!("CARGO_BIN_EXE_guestd"), &program).unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
    // No configuration but this, which says nothing.
    let config = folder.path().join("guestd.toml");
    fs::write(&config, "").unwrap();
    let mut command = Command::new(program);
    command.arg("--config").arg(config);
    libvirtd.as_its_user(&mut command);
    command.args(["--driver", "test", "--driver", "libvirt", "--unix"]).arg(socket);
    command.env("XDG_RUNTIME_DIR", libvirtd.runtime()).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Guestd(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening unix {}\n", socket.display()));
    process
}

fn guestctl(uri: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guestctl"));
    command.args(["--connect", uri]).args(arguments).env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(uri: &str, arguments: &[&str]) -> String {
    let output = guestctl(uri, arguments);
    assert!(output.status.success(), "{uri} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_uri_that_no_driver_before_has_taken_leads_to_libvirt() {
    let Some(libvirtd) = Libvirtd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let _guestd = guestd(&folder, &socket, &libvirtd);
    let uri = |driver: &str| driver.replace(':', "+unix:") + &format!("?socket={}", socket.display());
    // The test driver is guestd's own, whose only guest this is.
    assert_eq!(text(&uri("test:///default"), &["domname", "1"]), "test\n");
    let session = uri("qemu:///session");
    let xml = folder.path().join("xml");
    let domain = "<domain type='qemu'><name>routed</name><memory>65536</memory>\
                  <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>";
    fs::write(&xml, domain).unwrap();
    text(&session, &["define", xml.to_str().unwrap()]);
    assert!(String::from_utf8(libvirtd.virsh(&["list", "--all", "--name"]).stdout).unwrap().contains("routed"));
    assert_eq!(text(&session, &["domstate", "routed"]), "shut off\n");
    let missing = guestctl(&session, &["domstate", "nobody"]);
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("NoDomain (42)") && said.contains("no domain with matching name 'nobody'"), "{said}");
    let unknown = guestctl(&uri("nothing:///"), &["list"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.contains("no driver serves 'nothing:///'; there are: test, libvirt"), "{said}");
}
