//! The emulators of this machine, and what each can do.

use std::path::PathBuf;

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
