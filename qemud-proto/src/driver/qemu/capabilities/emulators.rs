//! All emulators of this machine, and which one runs a definition.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};

use super::probe::{KVM, unusable};
use super::{Emulator, target_of};
use crate::driver::capabilities::capabilities_xml;
use crate::driver::node::node_info;
use crate::driver::qemu::programs::{Programs, is_program};
use crate::failure::{Code, Failure, Reply};
use crate::xml::DomainDefinition;

/// How emulators are called, with an architecture behind it.
const PREFIX: &str = "qemu-system-";
/// Most emulators of all folders: some more than QEMU has architectures.
const EMULATORS_MAX: usize = 64;
/// How many are asked at a time.
const AT_A_TIME: usize = 8;

/// The emulators of this machine. Each is asked what it is when that is needed, and again when its file or the usability of
/// KVM has changed.
pub(in crate::driver::qemu) struct Emulators {
    programs: Programs,
    /// The host's architecture.
    host: String,
    known: Mutex<BTreeMap<PathBuf, (Stamp, Arc<Emulator>)>>,
}

/// What an emulator's answers depend on.
#[derive(PartialEq, Eq)]
struct Stamp {
    /// Device, inode, size and last change of the file.
    file: (u64, u64, u64, i64, i64),
    no_kvm: Option<String>,
}

impl Emulators {
    /// Those that are where programs are.
    pub(in crate::driver::qemu) fn new() -> Self {
        Self::among(Programs::of_this_host(), node_info().model)
    }

    pub(super) fn among(programs: Programs, host: String) -> Self {
        Self { programs, host, known: Mutex::default() }
    }

    /// The emulator at a path.
    ///
    /// # Errors
    /// As [`Emulator::probe`].
    pub(in crate::driver::qemu) async fn at(&self, path: &Path) -> Reply<Arc<Emulator>> {
        let stamp = Stamp::of(path);
        if let Some((known, emulator)) = self.known().get(path)
            && Some(known) == stamp.as_ref()
        {
            return Ok(Arc::clone(emulator));
        }
        let emulator = Arc::new(Emulator::probe(path).await?);
        if let Some(stamp) = stamp {
            self.known().insert(path.to_owned(), (stamp, Arc::clone(&emulator)));
        }
        Ok(emulator)
    }

    /// The emulator that runs a definition: the one that it names, or the first of its architecture.
    ///
    /// # Errors
    /// [`Code::OperationFailed`] where there is none, or it is broken.
    pub(in crate::driver::qemu) async fn for_domain(&self, definition: &DomainDefinition) -> Reply<Arc<Emulator>> {
        match &definition.devices.emulator {
            Some(path) => self.at(Path::new(path)).await,
            None => self.for_arch(definition.os.arch.as_deref().unwrap_or(&self.host)).await,
        }
    }

    /// The emulator of the host's architecture, which a domain has that asks for nothing else.
    ///
    /// # Errors
    /// [`Code::OperationFailed`] where there is none, or it is broken.
    pub(in crate::driver::qemu) async fn for_host(&self) -> Reply<Arc<Emulator>> {
        self.for_arch(&self.host).await
    }

    async fn for_arch(&self, arch: &str) -> Reply<Arc<Emulator>> {
        let mut names = vec![format!("{PREFIX}{}", target_of(arch))];
        if arch == "i686" {
            names.push(format!("{PREFIX}x86_64"));
        }
        if arch == self.host {
            names.push("qemu-kvm".to_owned());
        }
        match names.iter().find_map(|name| self.programs.find(name)) {
            Some(place) => self.at(&place).await,
            None => {
                let message = format!("no emulator for {arch}: there is no {} in PATH", names.join(" and no "));
                Err(Failure::new(Code::OperationFailed, message))
            }
        }
    }

    /// All emulators that answer; what is wrong with the others is in the log.
    async fn all(&self) -> Vec<Arc<Emulator>> {
        let ask = |path: PathBuf| async move {
            let asked = self.at(&path).await;
            let left_out = |failure| tracing::warn!(path = %path.display(), %failure, "an emulator is left out");
            asked.map_err(left_out).ok()
        };
        // Each takes a moment, and one that hangs takes long. They are in the order of their paths all the same.
        stream::iter(self.programs()).map(ask).buffered(AT_A_TIME).filter_map(ready).collect().await
    }

    /// The files that are called as emulators are, each once, in the order of the folders and of their names.
    fn programs(&self) -> Vec<PathBuf> {
        let mut programs: Vec<PathBuf> = Vec::new();
        let mut seen = Vec::new();
        for folder in &self.programs.folders {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            let paths = entries.flatten().map(|entry| entry.path());
            let mut found: Vec<_> = paths.filter(|path| is_called(path) && is_program(path)).collect();
            found.sort();
            for path in found {
                // One folder may be another, and one program have two names.
                let file = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
                if !seen.contains(&file) && programs.len() < EMULATORS_MAX {
                    seen.push(file);
                    programs.push(path);
                }
            }
        }
        programs
    }

    /// The capabilities of the host and of all emulators, the host's architecture first.
    pub(in crate::driver::qemu) async fn capabilities_xml(&self) -> String {
        let emulators = self.all().await;
        let mut guests: Vec<_> = emulators.iter().map(|emulator| emulator.guest(&emulator.arch)).collect();
        if !guests.iter().any(|guest| guest.arch == "i686")
            && let Some(wide) = emulators.iter().find(|emulator| emulator.runs("i686"))
        {
            guests.push(wide.guest("i686"));
        }
        guests.sort_by_key(|guest| guest.arch != self.host);
        capabilities_xml(&self.host, &guests)
    }

    // What is known of an emulator is put in whole.
    fn known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, (Stamp, Arc<Emulator>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let file = (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec());
        Some(Self { file, no_kvm: unusable(Path::new(KVM)) })
    }
}

fn is_called(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name == "qemu-kvm" || name.strip_prefix(PREFIX).is_some_and(plain)
}
