//! The devices of a domain: disks, graphics, and its `interfaces`.
//!
//! Every element and attribute below `devices` that is not read here is refused: a device that is left
//! out, or a password that is not asked for, changes what runs.

use std::net::IpAddr;

use super::Edit;
use super::element::Element;
use super::interfaces::{self, Interface};
use crate::failure::Reply;
use crate::identity::Uuid;

/// The element `devices`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// The program that runs the domain, an absolute path; the driver's choice if absent.
    pub emulator: Option<String>,
    /// Disks in the order of the text, no two with the same target.
    pub disks: Vec<Disk>,
    /// Network interfaces in the order of the text.
    pub interfaces: Vec<Interface>,
    /// The display; none if absent.
    pub graphics: Option<Graphics>,
}

/// A disk, the element `disk`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What it is on the host, `disk@type`.
    pub kind: DiskKind,
    /// What the guest sees, `disk@device`.
    pub device: DiskDevice,
    /// Absolute path on the host; a drive for removable media may be empty.
    pub source: Option<String>,
    /// Format of the source. It is never guessed from the content, which the guest can write.
    pub format: DiskFormat,
    /// Name in the guest, for instance `hda`, `fdb`, `sdc`, `vdd`.
    pub target: String,
    /// How it is attached, told by the target's name.
    pub bus: DiskBus,
    /// Whether the guest may only read it; always so for a CD-ROM.
    pub read_only: bool,
}

/// What a disk is on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    /// A file.
    File,
    /// A block device.
    Block,
}

/// What the guest sees of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskDevice {
    /// A hard disk.
    Disk,
    /// A CD-ROM drive.
    Cdrom,
    /// A floppy disk drive.
    Floppy,
}

/// Format of a disk's source, `disk/driver@type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// Sectors as they are.
    Raw,
    /// QEMU's format of that name.
    Qcow2,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskBus {
    /// `hda` to `hdd`
    Ide,
    /// `fda` and `fdb`
    Floppy,
    /// `sda` to `sdz`
    Scsi,
    /// `vda` to `vdz`
    Virtio,
}

/// The display, the element `graphics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Graphics {
    /// A VNC server.
    Vnc {
        /// TCP port, at least 5900; chosen at each start if `None`.
        port: Option<u16>,
        /// Address to listen at; the driver's choice if absent.
        listen: Option<IpAddr>,
        /// Layout of the keyboard, for instance `de`.
        keymap: Option<String>,
    },
    /// A window on the host.
    Sdl {
        /// The X display.
        display: Option<String>,
        /// The X authority file, an absolute path.
        xauth: Option<String>,
    },
}

/// Reads the element `devices` of a domain, with the edits that write down what was made for it.
pub(super) fn read(root: Element<'_>, uuid: Uuid, original: &str) -> Reply<(Devices, Vec<Edit>)> {
    let mut devices = Devices::default();
    let Some(element) = root.child("devices")? else {
        return Ok((devices, Vec::new()));
    };
    let mut interfaces = Vec::new();
    element.only(&[], &["emulator", "disk", "interface", "graphics", "input"])?;
    for device in element.children() {
        match device.name() {
            "disk" => {
                let disk = disk(device)?;
                if devices.disks.iter().any(|other| other.target == disk.target) {
                    let target = disk.target;
                    return Err(device.refuse(format_args!("a second disk has the target {target}")));
                }
                devices.disks.push(disk);
            }
            "interface" => interfaces.push(device),
            "input" => input(device)?,
            _ => {}
        }
    }
    let (interfaces, made) = interfaces::read_all(&interfaces, uuid, original)?;
    devices.interfaces = interfaces;
    if let Some(emulator) = element.child("emulator")? {
        emulator.only(&[], &[])?;
        devices.emulator = Some(emulator.path(emulator.text()?.trim())?);
    }
    devices.graphics = element.child("graphics")?.map(graphics).transpose()?;
    Ok((devices, made))
}

fn disk(element: Element<'_>) -> Reply<Disk> {
    const KINDS: &[(&str, DiskKind)] = &[("file", DiskKind::File), ("block", DiskKind::Block)];
    const DEVICES: &[(&str, DiskDevice)] =
        &[("disk", DiskDevice::Disk), ("cdrom", DiskDevice::Cdrom), ("floppy", DiskDevice::Floppy)];
    const FORMATS: &[(&str, DiskFormat)] = &[("raw", DiskFormat::Raw), ("qcow2", DiskFormat::Qcow2)];
    element.only(&["type", "device"], &["source", "target", "readonly", "driver"])?;
    let kind = element.choose("type", element.required_attribute("type")?, KINDS)?;
    let device = element.choice("device", DEVICES)?.unwrap_or(DiskDevice::Disk);
    let mut source = None;
    if let Some(place) = element.child("source")? {
        let attribute = match kind {
            DiskKind::File => "file",
            DiskKind::Block => "dev",
        };
        place.only(&[attribute], &[])?;
        source = Some(place.path(place.required_attribute(attribute)?)?);
    } else if device == DiskDevice::Disk {
        return Err(element.refuse("a hard disk has no source"));
    }
    let mut format = DiskFormat::Raw;
    if let Some(driver) = element.child("driver")? {
        driver.only(&["name", "type"], &[])?;
        driver.choice("name", &[("qemu", ())])?;
        format = driver.choice("type", FORMATS)?.unwrap_or(format);
    }
    let read_only = element.child("readonly")?;
    read_only.map_or(Ok(()), |mark| mark.only(&[], &[]))?;
    let (target, bus) = disk_target(element.required("target")?, device)?;
    Ok(Disk {
        kind,
        device,
        source,
        format,
        target,
        bus,
        read_only: read_only.is_some() || device == DiskDevice::Cdrom,
    })
}

fn disk_target(element: Element<'_>, device: DiskDevice) -> Reply<(String, DiskBus)> {
    const BUSES: &[(&str, DiskBus)] =
        &[("ide", DiskBus::Ide), ("fdc", DiskBus::Floppy), ("scsi", DiskBus::Scsi), ("virtio", DiskBus::Virtio)];
    element.only(&["dev", "bus"], &[])?;
    let target = element.required_attribute("dev")?;
    let bus = match target.as_bytes() {
        [b'h', b'd', b'a'..=b'd'] => DiskBus::Ide,
        [b'f', b'd', b'a'..=b'b'] => DiskBus::Floppy,
        [b's', b'd', b'a'..=b'z'] => DiskBus::Scsi,
        [b'v', b'd', b'a'..=b'z'] => DiskBus::Virtio,
        _ => {
            return Err(element.refuse_value("dev", target, "not hda-hdd, fda-fdb, sda-sdz, vda-vdz"));
        }
    };
    if element.choice("bus", BUSES)?.is_some_and(|named| named != bus) {
        return Err(element.refuse_value("dev", target, "which is not a target of that bus"));
    }
    if (bus == DiskBus::Floppy) != (device == DiskDevice::Floppy) {
        return Err(element.refuse_value("dev", target, "floppies and only they are fda and fdb"));
    }
    Ok((target.to_owned(), bus))
}

fn graphics(element: Element<'_>) -> Reply<Graphics> {
    if element.choose("type", element.required_attribute("type")?, &[("vnc", false), ("sdl", true)])? {
        element.only(&["type", "display", "xauth"], &[])?;
        let xauth = element.attribute("xauth").map(|path| element.path(path));
        let display = element.attribute("display").map(str::to_owned);
        return Ok(Graphics::Sdl { display, xauth: xauth.transpose()? });
    }
    element.only(&["type", "port", "autoport", "listen", "keymap"], &[])?;
    let automatic = element.choice("autoport", &[("yes", true), ("no", false)])?;
    let fixed = match element.attribute("port").map(str::trim) {
        Some(text) if text != "-1" => Some(element.port(text, 5900)?),
        _ => None,
    };
    Ok(Graphics::Vnc {
        port: fixed.filter(|_| automatic != Some(true)),
        listen: element.address("listen")?,
        keymap: element.word("keymap")?,
    })
}

/// A mouse and a keyboard at the PS/2 ports are part of every machine, so naming them changes nothing.
fn input(element: Element<'_>) -> Reply<()> {
    element.only(&["type", "bus"], &[])?;
    element.choose("type", element.required_attribute("type")?, &[("mouse", ()), ("keyboard", ())])?;
    element.choice("bus", &[("ps2", ())]).map(|_| ())
}

#[cfg(test)]
mod tests;
