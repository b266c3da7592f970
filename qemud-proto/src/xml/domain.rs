//! The definition of a domain.

use std::ops::Range;

use super::devices::{self, Devices, Graphics};
use super::element::Element;
use super::resources::{memory, vcpus};
use super::{Edit, edited, identity, name, parse, too_long_to_dump};
use crate::failure::{Code, Reply};
use crate::identity::Uuid;
use crate::messages::XML_MAX;

/// Most boot devices in their order.
const BOOT_DEVICES_MAX: usize = 4;

/// Longest name of a machine, in bytes.
pub(crate) const MACHINE_NAME_MAX: usize = 64;

/// Elements directly below `domain` that would change the machine, its start or its confinement.
const CHANGES_WHAT_RUNS: &[&str] = &[
    "blkiotune",
    "bootloader",
    "bootloader_args",
    "cpu",
    "cputune",
    "defaultiothread",
    "genid",
    "idmap",
    "iothreadids",
    "iothreads",
    "keywrap",
    "launchSecurity",
    "maxMemory",
    "memoryBacking",
    "memtune",
    "numatune",
    "on_lockfailure",
    "perf",
    "pm",
    "resource",
    "seclabel",
    "sysinfo",
    "throttlegroups",
    "vcpus",
];

/// Elements directly below `domain` that are accepted with the one meaning that holds here anyway.
const HOLDS_ANYWAY: &[(&str, &[&str])] =
    &[("on_poweroff", &["destroy"]), ("on_reboot", &["restart"]), ("on_crash", &["destroy", "restart"])];

/// A domain as its XML describes it.
///
/// # What is kept and what is refused
/// Everything is kept in the text. Elements directly below `domain` that are not listed here are
/// otherwise ignored (`title`, `description`, `metadata`, and names nobody knows), unless they would
/// change what runs: those libvirt gives a meaning that cannot be honoured here (`cpu`, `seclabel`,
/// `bootloader`, …) are refused. `on_poweroff`, `on_reboot`, `on_crash` and `clock` are accepted with the
/// meaning that holds anyway. Inside `os`, `features` and `devices`, and on `vcpu` and `memory`, every
/// unknown element and attribute is refused, because all of these are the machine. `id` on `domain` is
/// ignored and never stored.
///
/// # Examples
/// ```
/// use qemud_proto::xml::domain::{DomainDefinition, DomainType};
///
/// let definition = DomainDefinition::parse(
///     "<domain type='kvm'><name>web</name><memory>524288</memory><os><type>hvm</type></os></domain>",
///     &[DomainType::Qemu, DomainType::Kvm],
/// )?;
/// assert_eq!((definition.name.as_str(), definition.memory), ("web", 524_288));
/// assert!(definition.live_xml(7, None).starts_with("<domain id='7' type='kvm'>"));
/// # Ok::<(), qemud_proto::failure::Failure>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainDefinition {
    /// What runs it.
    pub domain_type: DomainType,
    /// Its name, at most 48 bytes, fit for a file name.
    pub name: String,
    /// Its identity, made when the XML had none.
    pub uuid: Uuid,
    /// Memory it may grow to, in KiB.
    pub memory: u32,
    /// Memory it starts with, in KiB, at most `memory`.
    pub current_memory: u32,
    /// Virtual processors, 1 to 1024.
    pub vcpus: u16,
    /// What it boots.
    pub os: OperatingSystem,
    /// Features of the machine.
    pub features: Features,
    /// Disks, interfaces, graphics.
    pub devices: Devices,
    source: Source,
}

/// What runs a domain, `domain@type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainType {
    /// Emulated by QEMU.
    Qemu,
    /// Run by KVM.
    Kvm,
    /// Pretended by the test driver.
    Test,
}

impl DomainType {
    /// The value of `domain@type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Kvm => "kvm",
            Self::Test => "test",
        }
    }
}

/// What a domain boots, the element `os`; its type is `hvm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatingSystem {
    /// Architecture, the host's if absent.
    pub arch: Option<String>,
    /// Machine, the hypervisor's default if absent.
    pub machine: Option<String>,
    /// A kernel to boot directly, an absolute path.
    pub kernel: Option<String>,
    /// Its initial RAM disk, an absolute path.
    pub initrd: Option<String>,
    /// Its command line.
    pub cmdline: Option<String>,
    /// Devices to try in this order, up to four; the hard disk if none is named.
    pub boot: Vec<BootDevice>,
}

/// A device to boot from, `os/boot@dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootDevice {
    /// `hd`
    HardDisk,
    /// `fd`
    Floppy,
    /// `cdrom`
    Cdrom,
    /// `network`
    Network,
}

/// Features of the machine, the element `features`; absent ones are off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// ACPI tables.
    pub acpi: bool,
    /// Interrupt controllers of the processors.
    pub apic: bool,
    /// Addresses of more than 32 bits.
    pub pae: bool,
}

/// The text and the places where dumps differ from it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    original: String,
    /// The identity, and the addresses of interfaces, that were made.
    made: Vec<Edit>,
    /// The attribute `id` with the blanks before it, or the empty place where it goes.
    id: Range<usize>,
    /// The attribute `machine` of `os/type`, or the empty place where it goes.
    machine: Range<usize>,
    /// What is written there.
    pinned: Option<Edit>,
    vnc: Option<VncPlaces>,
}

/// Where the attributes of a VNC display with an automatic port stand, or go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct VncPlaces {
    port: Option<Range<usize>>,
    autoport: Option<Range<usize>>,
    opening: usize,
}

impl DomainDefinition {
    /// Reads a definition for a driver that runs the types in `accepted`.
    ///
    /// # Errors
    /// [`Code::XmlError`] with the line and the rule that is broken, [`Code::OsType`] for an `os/type`
    /// other than `hvm`.
    pub fn parse(xml: &str, accepted: &[DomainType]) -> Reply<Self> {
        let document = parse(xml)?;
        let root = Element::root(&document, "domain")?;
        let types: Vec<_> = accepted.iter().map(|&one| (one.as_str(), one)).collect();
        let domain_type = root.choose("type", root.required_attribute("type")?, &types)?;
        let name = name(root)?;
        let (uuid, made) = identity(root, xml)?;
        let (memory, current_memory) = memory(root)?;
        let (devices, macs) = devices::read(root, uuid, xml)?;
        refuse_unheard(root)?;
        let id = match root.attribute_node("id") {
            Some(attribute) => {
                let before = xml.get(..attribute.range().start).unwrap_or_default();
                before.trim_end().len()..attribute.range().end
            }
            None => root.opening()..root.opening(),
        };
        let kind = root.required("os")?.required("type")?;
        let machine = match kind.attribute_node("machine") {
            Some(attribute) => attribute.range(),
            None => kind.opening()..kind.opening(),
        };
        let definition = Self {
            domain_type,
            name,
            uuid,
            memory,
            current_memory,
            vcpus: vcpus(root)?,
            os: operating_system(root)?,
            features: features(root)?,
            source: Source {
                original: xml.to_owned(),
                made: made.into_iter().chain(macs).collect(),
                id,
                machine,
                pinned: None,
                vnc: vnc_places(root, &devices)?,
            },
            devices,
        };
        // Whatever a later dump inserts, it must still fit a reply.
        let mut longest = definition.clone();
        // What is only pretended has no machine.
        if domain_type != DomainType::Test {
            longest.pin_machine(&"x".repeat(MACHINE_NAME_MAX));
        }
        match longest.live_xml(i32::MAX, Some(u16::MAX)).len() {
            length if length > XML_MAX => Err(too_long_to_dump(length)),
            _ => Ok(definition),
        }
    }

    /// The same definition with this identity, where its text has none.
    #[cfg(feature = "qemu")]
    pub(crate) fn or_identity(self, uuid: Uuid) -> Reply<Self> {
        let before = self.uuid.to_string();
        let Some(made) = self.source.made.iter().find(|made| made.text.contains(&before)) else { return Ok(self) };
        let named = Edit { span: made.span.clone(), text: made.text.replace(&before, &uuid.to_string()) };
        // Read anew: the addresses of its interfaces are made out of it, too.
        Self::parse(&edited(&self.source.original, vec![named]), &[self.domain_type])
    }

    /// Has the machine be this one, and all dumps say so: what `os/type@machine` was, an alias or nothing at all, may mean
    /// another machine tomorrow. The name is a word of letters, digits and `_.+-`.
    ///
    /// # Examples
    /// ```
    /// # use qemud_proto::xml::domain::{DomainDefinition, DomainType};
    /// let xml = "<domain type='qemu'><name>web</name><memory>524288</memory><os><type machine='q35'>hvm</type></os></domain>";
    /// let mut definition = DomainDefinition::parse(xml, &[DomainType::Qemu])?;
    /// definition.pin_machine("pc-q35-7.2");
    /// assert!(definition.stored_xml().contains("<type machine='pc-q35-7.2'>"));
    /// # Ok::<(), qemud_proto::failure::Failure>(())
    /// ```
    pub fn pin_machine(&mut self, name: &str) {
        let Source { machine, pinned, .. } = &mut self.source;
        let before = if machine.start == machine.end { " " } else { "" };
        *pinned = Some(Edit { span: machine.clone(), text: format!("{before}machine='{name}'") });
        self.os.machine = Some(name.to_owned());
    }

    /// The definition as it is stored: the text with its identity and the addresses of its interfaces, and without a live
    /// id.
    #[must_use]
    pub fn stored_xml(&self) -> String {
        self.dump(None, None)
    }

    /// The definition as it runs: with its id and, where the port is automatic, the real VNC port.
    #[must_use]
    pub fn live_xml(&self, id: i32, vnc_port: Option<u16>) -> String {
        self.dump(Some(id), vnc_port)
    }

    fn dump(&self, id: Option<i32>, vnc_port: Option<u16>) -> String {
        let source = &self.source;
        let id = id.map_or_else(String::new, |id| format!(" id='{id}'"));
        let mut edits = vec![Edit { span: source.id.clone(), text: id }];
        edits.extend(source.made.iter().cloned());
        edits.extend(source.pinned.clone());
        if let (Some(places), Some(port)) = (&source.vnc, vnc_port) {
            // `autoport` stays readable in the live XML: a client that defines it again does not pin
            // the port that this run happened to get.
            let port = (&places.port, format!("port='{port}'"));
            let autoport = (&places.autoport, "autoport='yes'".to_owned());
            edits.extend([port, autoport].map(|(place, text)| match place {
                Some(span) => Edit { span: span.clone(), text },
                None => Edit::insert(places.opening, format!(" {text}")),
            }));
        }
        edited(&source.original, edits)
    }
}

fn refuse_unheard(root: Element<'_>) -> Reply<()> {
    for element in root.children() {
        if CHANGES_WHAT_RUNS.contains(&element.name()) {
            return Err(element.refuse(format_args!("{} is not supported", element.name())));
        }
        if let Some((name, meanings)) = HOLDS_ANYWAY.iter().find(|(name, _)| *name == element.name())
            && !meanings.contains(&element.text()?.trim())
        {
            let meanings = meanings.join(" or ");
            return Err(element.refuse(format_args!("{name} is not {meanings}")));
        }
        if element.name() == "clock" {
            element.only(&["offset"], &[])?;
            element.choice("offset", &[("utc", ())])?;
        }
    }
    Ok(())
}

fn operating_system(root: Element<'_>) -> Reply<OperatingSystem> {
    const BOOT: &[(&str, BootDevice)] = &[
        ("hd", BootDevice::HardDisk),
        ("fd", BootDevice::Floppy),
        ("cdrom", BootDevice::Cdrom),
        ("network", BootDevice::Network),
    ];
    let os = root.required("os")?;
    os.only(&[], &["type", "kernel", "initrd", "cmdline", "boot"])?;
    let kind = os.required("type")?;
    kind.only(&["arch", "machine"], &[])?;
    if kind.text()?.trim() != "hvm" {
        return Err(kind.refuse_as(Code::OsType, "os/type is not hvm"));
    }
    let text = |name| os.child(name)?.map(Element::text).transpose();
    let path = |name| os.child(name)?.map(|element| element.path(element.text()?.trim())).transpose();
    let (kernel, initrd, cmdline) = (path("kernel")?, path("initrd")?, text("cmdline")?);
    if kernel.is_none() && (initrd.is_some() || cmdline.is_some()) {
        return Err(os.refuse("initrd and cmdline mean nothing without a kernel"));
    }
    let mut boot = Vec::new();
    for element in os.children().filter(|child| child.name() == "boot") {
        element.only(&["dev"], &[])?;
        if boot.len() == BOOT_DEVICES_MAX {
            return Err(element.refuse(format_args!("more than {BOOT_DEVICES_MAX} boot devices")));
        }
        boot.push(element.choose("dev", element.required_attribute("dev")?, BOOT)?);
    }
    if boot.is_empty() {
        boot.push(BootDevice::HardDisk);
    }
    Ok(OperatingSystem { arch: kind.word("arch")?, machine: kind.word("machine")?, kernel, initrd, cmdline, boot })
}

fn features(root: Element<'_>) -> Reply<Features> {
    let Some(element) = root.child("features")? else {
        return Ok(Features::default());
    };
    element.only(&[], &["acpi", "apic", "pae"])?;
    let on = |name| match element.child(name)? {
        Some(feature) => feature.only(&[], &[]).map(|()| true),
        None => Ok(false),
    };
    Ok(Features { acpi: on("acpi")?, apic: on("apic")?, pae: on("pae")? })
}

fn vnc_places(root: Element<'_>, devices: &Devices) -> Reply<Option<VncPlaces>> {
    let Some(Graphics::Vnc { port: None, .. }) = devices.graphics else {
        return Ok(None);
    };
    let graphics = root.required("devices")?.required("graphics")?;
    let place = |name| graphics.attribute_node(name).map(|attribute| attribute.range());
    Ok(Some(VncPlaces { port: place("port"), autoport: place("autoport"), opening: graphics.opening() }))
}

#[cfg(test)]
mod tests;
