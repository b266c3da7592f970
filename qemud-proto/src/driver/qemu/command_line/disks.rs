//! Disks: the image behind each, and the drive that the guest sees.

use super::options::Options;
use super::{Board, BootOrder, CommandLine, refuse};
use crate::failure::Reply;
use crate::xml::DomainDefinition;
use crate::xml::devices::{Disk, DiskBus, DiskDevice, DiskFormat, DiskKind};

/// The controller of all SCSI disks.
const SCSI: &str = "scsi";

pub(super) fn add(
    line: &mut CommandLine,
    board: &Board<'_>,
    definition: &DomainDefinition,
    boot_order: &BootOrder<'_>,
) -> Reply<()> {
    let disks = &definition.devices.disks;
    let uses = |bus| disks.iter().any(|disk| disk.bus == bus);
    if uses(DiskBus::Scsi) {
        line.add("-device", Options::of("virtio-scsi-pci").with("id", SCSI));
    }
    if uses(DiskBus::Floppy) && board.is_q35() {
        // The older board has one soldered on.
        line.add("-device", Options::of("isa-fdc").with("id", "fdc"));
    }
    for (position, disk) in disks.iter().enumerate() {
        let place = boot_order.disk(position);
        let image = disk.source.as_deref().map(|source| {
            let image = format!("image-{}", disk.target);
            line.add("-blockdev", blockdev(disk, source, &image));
            image
        });
        let mut drive = drive(board, disk)?.with("id", &disk.target).with_some("drive", image);
        match (disk.bus, place) {
            // The order is the controller's here, wherever that is.
            (DiskBus::Floppy, Some(place)) => {
                let key = if unit(disk) == 0 { "isa-fdc.bootindexA" } else { "isa-fdc.bootindexB" };
                line.add("-global", Options::default().with(key, place));
            }
            (_, place) => drive = drive.with_some("bootindex", place),
        }
        line.add("-device", drive);
    }
    Ok(())
}

/// The image: a format on top of a file or device of the host.
fn blockdev(disk: &Disk, source: &str, image: &str) -> Options {
    let format = match disk.format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    let host = match disk.kind {
        DiskKind::File => "file",
        DiskKind::Block => "host_device",
    };
    Options::default()
        .with("driver", format)
        .with("node-name", image)
        .switch("read-only", disk.read_only)
        .with("file.driver", host)
        .with("file.filename", source)
}

/// The drive at its place, without what is in it.
fn drive(board: &Board<'_>, disk: &Disk) -> Reply<Options> {
    let (target, unit) = (&disk.target, unit(disk));
    let cdrom = disk.device == DiskDevice::Cdrom;
    Ok(match disk.bus {
        DiskBus::Ide if !cdrom && disk.read_only => {
            return Err(refuse(format!("the disk {target} is read-only, which IDE has no means to tell the guest")));
        }
        DiskBus::Ide => {
            let (bus, unit) = if board.is_q35() { (unit, 0) } else { (unit / 2, unit % 2) };
            let place = Options::of(if cdrom { "ide-cd" } else { "ide-hd" }).with("bus", format!("ide.{bus}"));
            place.with("unit", unit.to_string())
        }
        DiskBus::Floppy => Options::of("floppy").with("unit", unit.to_string()),
        DiskBus::Scsi => {
            let place = Options::of(if cdrom { "scsi-cd" } else { "scsi-hd" }).with("bus", format!("{SCSI}.0"));
            place.with("scsi-id", unit.to_string()).with("lun", "0")
        }
        DiskBus::Virtio if cdrom => {
            return Err(refuse(format!("the CD-ROM {target} cannot be at the bus virtio, which has none")));
        }
        DiskBus::Virtio => Options::of("virtio-blk-pci"),
    })
}

/// The number that the last letter of a target stands for, from 0 on.
fn unit(disk: &Disk) -> u8 {
    disk.target.bytes().last().unwrap_or_default().saturating_sub(b'a')
}
