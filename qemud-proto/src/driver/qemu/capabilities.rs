//! The emulators of this machine, and what each can do.
//!
//! - `probe`: what an emulator says of itself
//! - `emulators`: all of them, and which one runs a definition

mod emulators;
mod probe;

use std::path::{Path, PathBuf};

pub(super) use self::emulators::Emulators;

use crate::driver::capabilities::{Guest, GuestMachine};
use crate::failure::Reply;

/// A program that runs domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Emulator {
    pub(super) path: PathBuf,
    /// major * 1,000,000 + minor * 1000 + micro, as `GetVersion` tells it.
    pub(super) version: u32,
    /// The architecture of its machines, as definitions spell it (`x86_64`, `i686`, `aarch64`).
    pub(super) arch: String,
    /// In the order of their names.
    pub(super) machines: Vec<Machine>,
    /// What can run a domain here.
    pub(super) accelerators: Vec<Accelerator>,
    /// Why [`Accelerator::Kvm`] is not among them.
    pub(super) no_kvm: Option<String>,
}

/// A machine that an emulator offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) name: String,
    /// Another name, which moves on to newer machines.
    pub(super) alias: Option<String>,
    /// Whether it is the one where none is named.
    pub(super) is_default: bool,
    /// Most processors.
    pub(super) processors: u32,
}

/// What executes the instructions of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// QEMU itself.
    Tcg,
    /// The processor, with the help of Linux.
    Kvm,
}

impl Accelerator {
    /// What QEMU calls it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }
}

impl Emulator {
    /// Asks a program what it is.
    ///
    /// It is started once, without a machine, and asked in its monitor. It has 20 seconds and 1 MiB for its answers.
    ///
    /// # Errors
    /// [`Code::OperationFailed`](crate::failure::Code::OperationFailed) where it cannot be started, ends, hangs, or answers
    /// as no QEMU does, with what it said.
    pub(super) async fn probe(path: &Path) -> Reply<Self> {
        probe::probe(path, Path::new(probe::KVM)).await
    }

    /// Whether it runs machines of an architecture: its own, and a 64-bit PC those of 32 bits.
    pub(super) fn runs(&self, arch: &str) -> bool {
        self.arch == arch || (self.arch == "x86_64" && arch == "i686")
    }

    /// The machine of this name or alias.
    pub(super) fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name || machine.alias.as_deref() == Some(name))
    }

    /// The machine where a definition names none.
    pub(super) fn default_machine(&self) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.is_default)
    }
}

impl Emulator {
    /// What it runs, as guests of the capabilities: those of its architecture, or of another one that it runs.
    fn guest(&self, arch: &str) -> Guest {
        let machine = |machine: &Machine| {
            let alias = machine.alias.iter().map(|alias| (alias, Some(machine.name.clone())));
            let names = std::iter::once((&machine.name, None)).chain(alias);
            let machines = names.map(|(name, canonical)| GuestMachine {
                name: name.clone(),
                canonical,
                processors: machine.processors,
            });
            machines.collect::<Vec<_>>()
        };
        let offered = |accelerator| self.accelerators.contains(&accelerator);
        let types = [("qemu", Accelerator::Tcg), ("kvm", Accelerator::Kvm)];
        Guest {
            arch: arch.to_owned(),
            word_size: word_size(arch),
            emulator: self.path.to_str().map(str::to_owned),
            machines: self.machines.iter().flat_map(machine).collect(),
            types: types.into_iter().filter(|(_, accelerator)| offered(*accelerator)).map(|(name, _)| name).collect(),
            features: match arch {
                "i686" => &["acpi", "apic", "pae"],
                "x86_64" => &["acpi", "apic"],
                "aarch64" | "armv7l" => &["acpi"],
                _ => &[],
            },
        }
    }
}

/// Architectures as definitions spell them, where QEMU spells them in another way.
const SPELLINGS: &[(&str, &str)] = &[("i686", "i386"), ("armv7l", "arm")];

/// An architecture of QEMU's as definitions spell it.
fn arch_of(target: &str) -> &str {
    SPELLINGS.iter().find(|(_, theirs)| *theirs == target).map_or(target, |(ours, _)| ours)
}

/// An architecture as QEMU spells it.
fn target_of(arch: &str) -> &str {
    SPELLINGS.iter().find(|(ours, _)| *ours == arch).map_or(arch, |(_, theirs)| theirs)
}

fn word_size(arch: &str) -> u32 {
    if arch.contains("64") || matches!(arch, "s390x" | "alpha") { 64 } else { 32 }
}

#[cfg(test)]
pub(super) mod tests;
