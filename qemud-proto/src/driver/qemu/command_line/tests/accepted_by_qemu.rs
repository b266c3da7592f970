//! The emulator of this machine takes each form: it is started with it, stays paused, answers in its monitor, and has what
//! the definition says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::driver::qemu::capabilities::Emulators;
use crate::driver::qemu::capabilities::tests::script;
use crate::driver::qemu::foreign_tool;

/// Guests take memory and time: one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The emulator of this machine, and a folder for what its guests need.
struct Room {
    emulator: Emulator,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A guest that waits for its start.
struct Guest {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Room {
    /// None after SKIPPED was said.
    fn open() -> Option<Self> {
        let path = foreign_tool::require("qemu-system-x86_64")?;
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let emulator = runtime.block_on(Emulators::new().at(&path)).unwrap().as_ref().clone();
        Some(Self { emulator, folder: TempDir::new().unwrap(), _turn: turn })
    }

    /// A file in the room.
    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn disk(&self, name: &str) -> String {
        self.file(name, &vec![0; 1_474_560])
    }

    fn monitor(&self) -> PathBuf {
        self.folder.path().join("a,b=c.monitor")
    }

    fn line(&self, xml: &str, incoming: bool) -> CommandLine {
        let definition = parsed(xml);
        let bridges = BTreeMap::from([("default".to_owned(), "virbr0".to_owned())]);
        let (emulator, monitor) = (&self.emulator, &self.monitor());
        let launch = Launch { definition: &definition, id: 3, emulator, monitor, incoming, bridges: &bridges };
        command_line(&launch).unwrap()
    }

    /// Starts it below `wrapper`, with a second monitor at its standard input and output.
    fn start(&self, wrapper: &[&str], line: &CommandLine) -> Guest {
        let program = line.program.to_str().unwrap();
        let words: Vec<_> = wrapper.iter().copied().chain([program]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(&line.arguments).args(["-qmp", "stdio"]);
        command.envs(line.environment.iter().map(|(name, value)| (name, value)));
        let complaints = fs::File::create(self.folder.path().join("complaints")).unwrap();
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints).spawn().unwrap();
        let (questions, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Guest { process, questions, answers: BufReader::new(answers) }
    }

    /// Starts a domain and looks whether it waits; what it answers afterwards is the caller's.
    fn accepted(&self, wrapper: &[&str], xml: &str) -> Guest {
        let line = self.line(xml, false);
        let mut guest = self.start(wrapper, &line);
        let asked = guest.ask("qmp_capabilities").and_then(|_| guest.ask("query-status"));
        let status = asked.unwrap_or_else(|| {
            let complaints = fs::read_to_string(self.folder.path().join("complaints")).unwrap();
            panic!("QEMU refuses {xml}\n{complaints}\n{:?}", line.arguments);
        });
        assert_eq!(status["status"], "prelaunch", "{xml}");
        // The monitor of the command line is there as well.
        let mut greeting = [0; 8];
        UnixStream::connect(self.monitor()).unwrap().read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"{\"QMP\": ");
        fs::remove_file(self.monitor()).unwrap();
        guest
    }
}

impl Guest {
    /// Asks in the monitor; none when it has ended.
    fn ask(&mut self, question: &str) -> Option<Value> {
        self.tell(&json!({ "execute": question }))
    }

    fn tell(&mut self, question: &Value) -> Option<Value> {
        // Whether it has ended is seen in what comes back.
        let _ = writeln!(self.questions, "{question}");
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // Some network cards complain here.
            let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
            assert_eq!(answer.get("error"), None, "{question}");
            if let Some(value) = answer.get("return") {
                return Some(value.clone());
            }
        }
    }

    /// What it prints to a person.
    fn shows(&mut self, what: &str) -> String {
        let command = json!({ "execute": "human-monitor-command", "arguments": { "command-line": what } });
        self.tell(&command).unwrap().as_str().unwrap().to_owned()
    }
}

fn with_machine(machine: &str, xml: &str) -> String {
    xml.replace("<type>", &format!("<type machine='{machine}'>"))
}

#[test]
fn qemu_takes_the_machine_with_its_memory_processors_and_features() {
    let Some(room) = Room::open() else { return };
    for features in ["", "<acpi/>", "<apic/>", "<pae/>", "<acpi/><apic/><pae/>"] {
        for (kind, arch) in [("pc", "x86_64"), ("q35", "x86_64"), ("pc", "i686")] {
            let xml = domain(&format!("<features>{features}</features><vcpu>2</vcpu>"), "", "");
            let xml = xml.replace("<type>", &format!("<type machine='{kind}' arch='{arch}'>"));
            let mut guest = room.accepted(&[], &xml);
            assert_eq!(guest.ask("query-cpus-fast").unwrap().as_array().unwrap().len(), 2);
            assert_eq!(guest.ask("query-uuid").unwrap()["UUID"], UUID);
            assert_eq!(guest.ask("query-kvm").unwrap()["enabled"], false);
        }
    }
    let odd = domain("<currentMemory>32769</currentMemory>", "", "").replace("65536", "65537");
    let mut guest = room.accepted(&[], &odd);
    assert_eq!(guest.ask("query-memory-size-summary").unwrap()["base-memory"], 65_544 * 1024, "whole 8 KiB");
    assert_eq!(guest.ask("query-balloon").unwrap()["actual"], 65_544 * 1024);
    room.accepted(&[], &with_machine("isapc", &domain("", "", "")));
    room.accepted(&[], &domain("", "", "").replace("65536", "1"));
}

#[test]
fn qemu_takes_a_name_with_everything_in_it() {
    let Some(room) = Room::open() else { return };
    for name in ["-a,b=c,,", ",guest=x", "=", "é x'\"$(id)"] {
        let escaped = name.replace('\'', "&apos;");
        let mut guest = room.accepted(&[], &domain("", "", "").replace("<name>web", &format!("<name>{escaped}")));
        assert_eq!(guest.ask("query-name").unwrap()["name"], name);
    }
}

#[test]
fn qemu_takes_the_accelerator_of_the_type() {
    let Some(room) = Room::open() else { return };
    let kvm = domain("", "", "").replace("type='qemu'", "type='kvm'");
    if room.emulator.accelerators.contains(&Accelerator::Kvm) {
        assert_eq!(room.accepted(&[], &kvm).ask("query-kvm").unwrap()["enabled"], true);
    } else {
        let failure = line_on(&room.emulator, &kvm, |_| ()).unwrap_err();
        assert!(failure.message.contains("cannot use kvm here"), "{failure}");
    }
}

/// The beginning of a kernel as boot loaders read it, and nothing behind that.
fn kernel() -> Vec<u8> {
    let mut kernel = vec![0; 4096];
    let fields: &[(usize, &[u8])] = &[
        (0x1f1, &[1]),
        (0x1fe, &[0x55, 0xaa]),
        (0x202, b"HdrS"),
        (0x206, &[0x06, 0x02]),
        (0x211, &[1]),
        (0x22c, &[0xff, 0xff, 0xff, 0x37]),
        (0x238, &[0xff, 0x07]),
    ];
    for (at, bytes) in fields {
        kernel[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    kernel
}

#[test]
fn qemu_takes_a_kernel_with_its_ram_disk_and_command_line() {
    let Some(room) = Room::open() else { return };
    let (kernel, initrd) = (room.file("-kernel,x=y z", &kernel()), room.file("-initrd x=y", b"ram disk"));
    for rest in ["", "<cmdline>-S,x=y\n,z</cmdline>", "<cmdline/>", &format!("<initrd>{initrd}</initrd>")] {
        room.accepted(&[], &domain("", &format!("<kernel>{kernel}</kernel>{rest}"), ""));
    }
    let mut guest = room.accepted(
        &[],
        &domain("", &format!("<kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>-S,x=y,,</cmdline>"), ""),
    );
    let property = |name: &str| json!({ "execute": "qom-get", "arguments": { "path": "/machine", "property": name } });
    for (name, value) in [("kernel", &*kernel), ("initrd", &initrd), ("append", "-S,x=y,,")] {
        assert_eq!(guest.tell(&property(name)).unwrap(), value);
    }
}

/// An empty disk of 1 MiB in QEMU's format: a header, and a table each of where reference counts, counts and data are.
fn qcow2() -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    let mut image = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &2_u32.to_be_bytes());
    put(20, &16_u32.to_be_bytes());
    put(24, &(1_u64 << 20).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    put(2 * CLUSTER, &[0, 1, 0, 1, 0, 1, 0, 1]);
    image
}

/// Whether a disk is there: its drive, its file, its format, and whether it can be written.
fn has_disk(guest: &mut Guest, target: &str, file: Option<(&str, &str, bool)>) {
    let devices = guest.ask("query-block").unwrap();
    let device = devices.as_array().unwrap().iter().find(|device| {
        let name = device["qdev"].as_str().unwrap();
        name == target || name.starts_with(&format!("/machine/peripheral/{target}/"))
    });
    let inserted = device.unwrap_or_else(|| panic!("no {target}: {devices}")).get("inserted");
    let found = inserted.map(|inserted| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let image = &inserted["image"];
        (text(&image["filename"]), text(&image["format"]), inserted["ro"].as_bool().unwrap())
    });
    assert_eq!(
        found,
        file.map(|(path, format, read_only)| (path.to_owned(), format.to_owned(), read_only)),
        "{target}"
    );
}

#[test]
fn qemu_takes_disks_at_every_bus_and_in_every_form() {
    let Some(room) = Room::open() else { return };
    for (number, target) in ["hda", "hdd", "sda", "sdz", "vda", "vdz"].into_iter().enumerate() {
        for machine in ["pc", "q35"] {
            let path = room.disk(&format!("{number}"));
            let disk = format!("<disk type='file'><source file='{path}'/><target dev='{target}'/></disk>");
            let mut guest = room.accepted(&[], &with_machine(machine, &with_devices(&disk)));
            has_disk(&mut guest, target, Some((&path, "raw", false)));
        }
    }
    let (raw, qcow2) = (room.disk("raw"), room.file("qcow2", &qcow2()));
    for target in ["sda", "vda"] {
        let disk = format!(
            "<disk type='file'><driver type='qcow2'/><source file='{qcow2}'/><target dev='{target}'/><readonly/></disk>"
        );
        has_disk(&mut room.accepted(&[], &with_devices(&disk)), target, Some((&qcow2, "qcow2", true)));
    }
    for (device, target) in [("cdrom", "hdc"), ("cdrom", "sdc"), ("floppy", "fda"), ("floppy", "fdb")] {
        for machine in ["pc", "q35"] {
            for source in [None, Some(&raw)] {
                let element = source.map_or_else(String::new, |raw| format!("<source file='{raw}'/>"));
                let disk = format!("<disk type='file' device='{device}'>{element}<target dev='{target}'/></disk>");
                let xml = with_machine(machine, &domain("", "<boot dev='fd'/><boot dev='cdrom'/>", &disk));
                let expected = source.map(|raw| (raw.as_str(), "raw", device == "cdrom"));
                has_disk(&mut room.accepted(&[], &xml), target, expected);
            }
        }
    }
    let many: String = ["hda", "hdb", "hdc", "hdd", "sda", "sdb", "vda", "vdb"]
        .map(|target| {
            let path = room.disk(target);
            format!("<disk type='file'><source file='{path}'/><target dev='{target}'/></disk>")
        })
        .concat();
    room.accepted(
        &[],
        &domain("", "<boot dev='network'/><boot dev='hd'/>", &format!("{many}<interface type='user'/>")),
    );
}

#[test]
fn qemu_opens_the_file_of_that_very_name() {
    let Some(room) = Room::open() else { return };
    for name in ["a,b", ",", ",,", "a,read-only=on", "a=b", "-S", "json:{}", "nbd:a", "a b", "a\nb", "%s", "é", "a\\b"]
    {
        let path = room.disk(name);
        let attribute = path.replace('\n', "&#10;");
        for target in ["hda", "vda"] {
            let disk = format!("<disk type='file'><source file='{attribute}'/><target dev='{target}'/></disk>");
            has_disk(&mut room.accepted(&[], &with_devices(&disk)), target, Some((&path, "raw", false)));
        }
    }
}

#[test]
fn qemu_takes_interfaces_of_sockets_and_every_card() {
    let Some(room) = Room::open() else { return };
    for source in [
        "type='user'>",
        "type='server'><source address='127.0.0.1' port='0'/>",
        "type='client'><source address='127.0.0.1' port='9'/>",
        "type='client'><source address='::1' port='9'/>",
        "type='mcast'><source address='230.0.0.1' port='55558'/>",
    ] {
        let source = source.replace("port='0'", &format!("port='{}'", free_port()));
        let interface = format!("<interface {source}<mac address='52:54:00:AB:CD:EF'/></interface>");
        let shown = room.accepted(&[], &with_devices(&interface)).shows("info network");
        assert!(shown.contains("model=e1000,macaddr=52:54:00:ab:cd:ef"), "{source}: {shown}");
    }
    let server =
        |address: &str| format!("<interface type='server'><source {address} port='{}'/></interface>", free_port());
    for address in ["", "address='::1'"] {
        room.accepted(&[], &with_devices(&server(address)));
    }
    for (model, card) in interfaces::CARDS {
        let interface = format!("<interface type='user'><model type='{model}'/></interface>");
        let shown = room.accepted(&[], &domain("", "<boot dev='network'/>", &interface)).shows("info network");
        assert!(shown.contains(&format!("model={card},")), "{model}: {shown}");
    }
}

/// A port that nobody uses just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn qemu_makes_the_interfaces_of_the_host() {
    const APART: &[&str] = &["unshare", "--map-root-user", "--net"];
    let Some(room) = Room::open() else { return };
    let tunnel = "exec 3<>/dev/net/tun";
    let possible = Command::new(APART[0]).args(&APART[1..]).args(["sh", "-c", tunnel]).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        return foreign_tool::missing("a network namespace and its /dev/net/tun cannot be had");
    }
    let note = room.folder.path().join("note");
    let up = room.folder.path().join("up,x=y");
    script(&up, &format!("echo \"$1\" >'{}'", note.display()));
    let up = up.display();
    for (interface, name) in [
        ("<interface type='ethernet'/>".to_owned(), "vnet3-0"),
        ("<interface type='bridge'><source bridge='br0'/></interface>".to_owned(), "vnet3-0"),
        ("<interface type='network'><source network='default'/><target dev='web0'/></interface>".to_owned(), "web0"),
        (format!("<interface type='ethernet'><script path='{up}'/><target dev='tap7'/></interface>"), "tap7"),
    ] {
        let guest = room.accepted(APART, &with_devices(&interface));
        let there = fs::read_to_string(format!("/proc/{}/net/dev", guest.process.id())).unwrap();
        assert!(there.contains(&format!("{name}:")), "{interface}: {there}");
    }
    assert_eq!(fs::read_to_string(note).unwrap(), "tap7\n");
}

#[test]
fn qemu_takes_displays() {
    let Some(room) = Room::open() else { return };
    for (attributes, host) in [("", "127.0.0.1"), ("listen='::1' keymap='de'", "::1"), ("listen='0.0.0.0'", "0.0.0.0")]
    {
        // Whoever looks for a port may take this one as soon as nobody has it: then it is the next one's turn.
        let has_its_port = (0..50).any(|_| room.gives_port(attributes, host));
        assert!(has_its_port, "others take each port");
    }
}

impl Room {
    /// Whether a guest has the port that it asks for, which nobody else may have taken meanwhile.
    fn gives_port(&self, attributes: &str, host: &str) -> bool {
        let mut guest = self.accepted(&[], &with_devices(&format!("<graphics type='vnc' {attributes}/>")));
        let vnc = guest.ask("query-vnc").unwrap();
        let port: u16 = vnc["service"].as_str().unwrap().parse().unwrap();
        assert!(vnc["host"] == host && port >= 5900, "{vnc}");
        assert!(guest.shows("info qtree").contains("dev: VGA, id \"video\""));
        // This port is taken now, so the next guest cannot have it.
        let fixed = with_devices(&format!("<graphics type='vnc' port='{port}' {attributes}/>"));
        let line = self.line(&fixed, false);
        let mut refused = self.start(&[], &line);
        assert_eq!(refused.ask("qmp_capabilities").and_then(|_| refused.ask("query-status")), None, "{attributes}");
        drop((guest, refused));
        let mut guest = self.start(&[], &line);
        let Some(vnc) = guest.ask("qmp_capabilities").and_then(|_| guest.ask("query-vnc")) else {
            let complaints = fs::read_to_string(self.folder.path().join("complaints")).unwrap();
            assert!(complaints.contains("Address already in use"), "{complaints}");
            return false;
        };
        assert_eq!(vnc["service"], port.to_string());
        true
    }
}

#[test]
fn qemu_opens_a_window() {
    let Some(room) = Room::open() else { return };
    let offered = Command::new(&room.emulator.path).args(["-display", "help"]).output().unwrap();
    if !String::from_utf8(offered.stdout).unwrap().lines().any(|line| line == "sdl") {
        return foreign_tool::missing("this QEMU has no windows (package qemu-system-gui)");
    }
    // No screen is needed for this one.
    let wrapper = &["env", "SDL_VIDEODRIVER=dummy"];
    let mut guest = room.accepted(wrapper, &with_devices("<graphics type='sdl' display=':7' xauth='/x'/>"));
    let environment = fs::read(format!("/proc/{}/environ", guest.process.id())).unwrap();
    let has = |variable: &str| environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes());
    assert!(has("DISPLAY=:7") && has("XAUTHORITY=/x"));
    assert!(guest.shows("info qtree").contains("dev: VGA, id \"video\""));
}

#[test]
fn qemu_waits_for_a_saved_state() {
    let Some(room) = Room::open() else { return };
    let line = room.line(&domain("", "", ""), true);
    let mut guest = room.start(&[], &line);
    guest.ask("qmp_capabilities").unwrap();
    assert_eq!(guest.ask("query-status").unwrap()["status"], "inmigrate");
}
