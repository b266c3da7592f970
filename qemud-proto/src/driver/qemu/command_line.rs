//! A definition as the arguments of QEMU.
//!
//! Nothing here asks the machine or passes through a shell. What comes out of the XML is a value of one option, however it
//! is spelt: each argument is one of this program's own options, the argument of one, or a list of [`Options`] in which
//! commas are doubled; names that QEMU looks up (machines, network cards) are compared with lists first.
//!
//! What each element means is told in `GUESTS.md`.
//!
//! The rest of the files in this folder:
//! - `options`: one argument that is a list
//! - `disks`, `interfaces`, `display`: devices with what is behind them

mod disks;
mod display;
mod interfaces;
mod options;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use self::options::Options;
use super::capabilities::{Accelerator, Emulator, Machine};
use crate::failure::{Code, Failure, Reply};
use crate::xml::DomainDefinition;
use crate::xml::devices::DiskDevice;
use crate::xml::domain::{BootDevice, DomainType};

/// A domain that is to be started.
pub(super) struct Launch<'a> {
    pub(super) definition: &'a DomainDefinition,
    pub(super) id: i32,
    pub(super) emulator: &'a Emulator,
    /// The unix socket of the monitor, at which QEMU listens.
    pub(super) monitor: &'a Path,
    /// Whether it waits for a saved state that the monitor names.
    pub(super) incoming: bool,
    /// The bridges of active networks, by the networks' names.
    pub(super) bridges: &'a BTreeMap<String, String>,
}

/// How a domain is started: paused, so that all can be made ready around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Variables of the environment beside those of the daemon.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// Interfaces that QEMU makes and that are to be put into bridges before the domain goes on.
    pub(super) taps: Vec<Tap>,
}

/// The host's end of an interface, and the bridge it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tap {
    /// At most 15 bytes.
    pub(super) name: String,
    pub(super) bridge: String,
}

/// The command line that starts a domain.
///
/// # Errors
/// [`Code::OperationFailed`] where the emulator cannot be what the definition asks for, with what that is.
pub(super) fn command_line(launch: &Launch<'_>) -> Reply<CommandLine> {
    let Launch { definition, emulator, .. } = launch;
    let board = Board::of(definition, emulator)?;
    let mut line = CommandLine {
        program: emulator.path.clone(),
        arguments: Vec::new(),
        environment: Vec::new(),
        taps: Vec::new(),
    };
    line.add("-name", Options::default().with("guest", &definition.name));
    line.add("-uuid", definition.uuid.to_string());
    line.flag("-S");
    line.flag("-no-user-config");
    line.flag("-nodefaults");
    board.describe(&mut line, definition)?;
    line.add("-accel", accelerator(definition, emulator)?.as_str());
    line.add("-m", Options::default().with("size", format!("{}k", definition.memory)));
    let sockets = definition.vcpus.to_string();
    let topology = Options::default().with("cpus", &sockets).with("sockets", &sockets).with("cores", "1");
    line.add("-smp", topology.with("threads", "1"));
    line.add("-rtc", Options::default().with("base", "utc"));
    let socket = Options::of("socket").with("id", "monitor").with("path", launch.monitor);
    line.add("-chardev", socket.switch("server", true).switch("wait", false));
    line.add("-mon", Options::default().with("chardev", "monitor").with("mode", "control"));
    boot(&mut line, definition)?;
    let boot_order = BootOrder::of(definition);
    disks::add(&mut line, &board, definition, &boot_order)?;
    interfaces::add(&mut line, &board, launch, &boot_order)?;
    display::add(&mut line, &board, definition);
    if definition.current_memory < definition.memory {
        line.add("-device", Options::of("virtio-balloon-pci").with("id", "balloon"));
    }
    if launch.incoming {
        line.add("-incoming", "defer");
    }
    Ok(line)
}

impl CommandLine {
    /// Adds an option that takes an argument, whatever that begins with.
    fn add(&mut self, option: &'static str, argument: impl Into<OsString>) {
        self.flag(option);
        self.arguments.push(argument.into());
    }

    fn flag(&mut self, option: &'static str) {
        self.arguments.push(option.into());
    }
}

fn refuse(reason: impl Into<String>) -> Failure {
    Failure::new(Code::OperationFailed, reason)
}

/// The machine that a definition means to an emulator.
///
/// # Errors
/// [`Code::OperationFailed`] where the emulator has no such machine.
pub(super) fn machine_of<'a>(definition: &DomainDefinition, emulator: &'a Emulator) -> Reply<&'a Machine> {
    let path = emulator.path.display();
    let Some(name) = &definition.os.machine else {
        let none = || refuse(format!("'{path}' has no default machine, os/type@machine has to name one"));
        return emulator.default_machine().ok_or_else(none);
    };
    emulator.machine(name).ok_or_else(|| refuse(format!("'{path}' has no machine '{name}'")))
}

/// What the devices are plugged into.
struct Board<'a> {
    arch: &'a str,
    machine: &'a str,
}

impl<'a> Board<'a> {
    fn of(definition: &'a DomainDefinition, emulator: &'a Emulator) -> Reply<Self> {
        let path = emulator.path.display();
        let arch = match &definition.os.arch {
            Some(arch) if !emulator.runs(arch) => {
                return Err(refuse(format!("'{path}' does not run machines of type {arch}, but {}", emulator.arch)));
            }
            Some(arch) => arch,
            None => &emulator.arch,
        };
        let Machine { name: machine, .. } = machine_of(definition, emulator)?;
        Ok(Self { arch, machine })
    }

    fn is_pc(&self) -> bool {
        matches!(self.arch, "x86_64" | "i686")
    }

    fn is_q35(&self) -> bool {
        self.machine.starts_with("pc-q35-") || self.machine == "q35"
    }

    /// Adds the machine and its processors.
    fn describe(&self, line: &mut CommandLine, definition: &DomainDefinition) -> Reply<()> {
        let features = definition.features;
        let mut machine = Options::of(self.machine);
        if self.is_pc() || self.machine.starts_with("virt") {
            machine = machine.switch("acpi", features.acpi);
        } else if features.acpi {
            return Err(refuse(format!("the machine '{}' has no feature acpi", self.machine)));
        }
        line.add("-machine", machine);
        if !self.is_pc() {
            return match features.apic || features.pae {
                true => Err(refuse(format!("processors of type {} have no features apic and pae", self.arch))),
                false => Ok(()),
            };
        }
        let model = if self.arch == "i686" { "qemu32" } else { "qemu64" };
        let processors = Options::of(model)
            .switch("apic", features.apic || definition.vcpus > 1)
            .switch("pae", features.pae || self.arch == "x86_64");
        line.add("-cpu", processors);
        Ok(())
    }
}

fn accelerator(definition: &DomainDefinition, emulator: &Emulator) -> Reply<Accelerator> {
    let (wanted, why) = match definition.domain_type {
        DomainType::Qemu => (Accelerator::Tcg, "cannot emulate processors (it has no tcg)"),
        DomainType::Kvm => (Accelerator::Kvm, "cannot use kvm here, which a domain of type kvm needs"),
        DomainType::Test => return Err(refuse("a domain of type test is nothing that QEMU runs")),
    };
    if emulator.accelerators.contains(&wanted) {
        return Ok(wanted);
    }
    Err(refuse(match (&emulator.no_kvm, wanted) {
        (Some(reason), Accelerator::Kvm) => format!("'{}' {why}: {reason}", emulator.path.display()),
        _ => format!("'{}' {why}", emulator.path.display()),
    }))
}

fn boot(line: &mut CommandLine, definition: &DomainDefinition) -> Reply<()> {
    let os = &definition.os;
    // A firmware tries no device that has no place in the order.
    line.add("-boot", Options::default().switch("strict", true));
    for (option, value) in [("-kernel", &os.kernel), ("-initrd", &os.initrd), ("-append", &os.cmdline)] {
        if let Some(value) = value {
            line.add(option, value);
        }
    }
    match &os.initrd {
        // For some kernels it is a list of files, and neither can be told that it is not.
        Some(initrd) if initrd.contains(',') => {
            Err(refuse(format!("QEMU may take the initrd '{initrd}', which has a comma, for several files")))
        }
        _ => Ok(()),
    }
}

/// The places of devices in the order in which the firmware tries them.
struct BootOrder<'a>(&'a DomainDefinition);

impl<'a> BootOrder<'a> {
    fn of(definition: &'a DomainDefinition) -> Self {
        Self(definition)
    }

    fn disk(&self, position: usize) -> Option<String> {
        self.place(self.0.devices.disks.get(position).map(|disk| kind_of(disk.device))?, position)
    }

    fn interface(&self, position: usize) -> Option<String> {
        self.place(BootDevice::Network, position)
    }

    /// The place, from 1 on, of the device at this position of the list that it is in.
    fn place(&self, kind: BootDevice, position: usize) -> Option<String> {
        let devices = &self.0.devices;
        let before = |kind: BootDevice, end: usize| match kind {
            BootDevice::Network => devices.interfaces.iter().take(end).count(),
            _ => devices.disks.iter().take(end).filter(|disk| kind_of(disk.device) == kind).count(),
        };
        let order = &self.0.os.boot;
        let turn = order.iter().position(|named| *named == kind)?;
        let earlier = order.iter().take(turn).enumerate();
        let earlier = earlier.filter(|(at, named)| order.iter().position(|first| first == *named) == Some(*at));
        let earlier: usize = earlier.map(|(_, named)| before(*named, usize::MAX)).sum();
        Some((earlier + before(kind, position) + 1).to_string())
    }
}

fn kind_of(device: DiskDevice) -> BootDevice {
    match device {
        DiskDevice::Disk => BootDevice::HardDisk,
        DiskDevice::Cdrom => BootDevice::Cdrom,
        DiskDevice::Floppy => BootDevice::Floppy,
    }
}

#[cfg(test)]
mod tests;
