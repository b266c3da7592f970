use super::*;
use crate::xml::domain::{DomainDefinition, DomainType};

fn devices(inside: &str) -> Result<Devices, String> {
    let xml = format!(
        "<domain type='qemu'><name>a</name><memory>8</memory><os><type>hvm</type></os>\n\
         <devices>{inside}</devices></domain>"
    );
    let definition = DomainDefinition::parse(&xml, &[DomainType::Qemu]);
    definition.map(|definition| definition.devices).map_err(|failure| failure.message)
}

fn disk(inside: &str) -> Result<Disk, String> {
    devices(inside).map(|mut devices| devices.disks.remove(0))
}

#[test]
fn disks_are_read_in_their_order() {
    let read = devices(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a,b'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <disk type='block'><source dev='/dev/sdb'/><target dev='hda'/><readonly/></disk>\
         <disk type='file' device='cdrom'><target dev='hdc'/></disk>\
         <disk type='file' device='floppy'><source file='/f'/><target dev='fda'/></disk>",
    );
    let disks = read.unwrap().disks;
    let expected = Disk {
        kind: DiskKind::File,
        device: DiskDevice::Disk,
        source: Some("/a,b".to_owned()),
        format: DiskFormat::Qcow2,
        target: "vda".to_owned(),
        bus: DiskBus::Virtio,
        read_only: false,
    };
    assert_eq!(disks[0], expected);
    let kinds: Vec<_> = disks.iter().map(|disk| (disk.kind, disk.device, disk.read_only)).collect();
    assert_eq!(kinds[1], (DiskKind::Block, DiskDevice::Disk, true));
    assert_eq!(kinds[2], (DiskKind::File, DiskDevice::Cdrom, true));
    assert_eq!(kinds[3], (DiskKind::File, DiskDevice::Floppy, false));
    assert_eq!((disks[1].format, disks[1].bus), (DiskFormat::Raw, DiskBus::Ide));
    assert_eq!((&disks[2].source, disks[3].bus), (&None, DiskBus::Floppy));
}

#[test]
fn rejects_disks_that_break_a_rule() {
    let target = "<target dev='hda'/>";
    let source = "<source file='/a'/>";
    for (disk, rule) in [
        (format!("<disk type='network'>{target}</disk>"), "disk@type is 'network', not one of file"),
        (format!("<disk>{source}{target}</disk>"), "disk has no type attribute"),
        (format!("<disk type='file'>{target}</disk>"), "a hard disk has no source"),
        (format!("<disk type='file'>{source}</disk>"), "disk has no target"),
        (format!("<disk type='block'>{source}{target}</disk>"), "source@file is not supported"),
        (format!("<disk type='file'><source/>{target}</disk>"), "source has no file attribute"),
        (format!("<disk type='file' device='lun'>{source}{target}</disk>"), "disk@device is 'lun'"),
        (format!("<disk type='file'>{source}{target}<shareable/></disk>"), "shareable in disk is not"),
        (format!("<disk type='file'>{source}{target}<encryption/></disk>"), "encryption in disk"),
        (format!("<disk type='file'><driver type='vmdk'/>{source}{target}</disk>"), "driver@type is"),
        (format!("<disk type='file'><driver cache='none'/>{source}{target}</disk>"), "driver@cache"),
    ] {
        let message = super::tests::disk(&disk).unwrap_err();
        assert!(message.starts_with("line 2: ") && message.contains(rule), "{disk}: {message}");
    }
}

#[test]
fn a_source_that_is_no_path_is_refused_because_hypervisors_take_it_for_a_protocol() {
    for source in ["nbd:host:10809", "json:{}", "images/a", "", &format!("/{}", "x".repeat(4096))] {
        let xml = format!("<disk type='file'><source file='{source}'/><target dev='hda'/></disk>");
        assert!(disk(&xml).unwrap_err().contains("of source is not absolute"), "{source}");
    }
}

#[test]
fn a_target_names_its_bus_and_is_used_once() {
    let with = |device: &str, target: &str| {
        disk(&format!("<disk type='file' device='{device}'><source file='/a'/><target {target}/></disk>"))
    };
    assert_eq!(with("disk", "dev='sdz' bus='scsi'").unwrap().bus, DiskBus::Scsi);
    for target in ["hde", "hda1", "fdc", "xvda", "", "sd", "vdA"] {
        let message = with("disk", &format!("dev='{target}'")).unwrap_err();
        assert!(message.contains("not hda-hdd"), "{target}: {message}");
    }
    assert!(with("disk", "dev='hda' bus='scsi'").unwrap_err().contains("not a target of that bus"));
    assert!(with("disk", "dev='hda' bus='usb'").unwrap_err().contains("target@bus is 'usb'"));
    assert!(with("disk", "dev='fda'").unwrap_err().contains("floppies and only they"));
    assert!(with("floppy", "dev='hda'").unwrap_err().contains("floppies and only they"));
    let one = "<disk type='file'><source file='/a'/><target dev='hda'/></disk>";
    let message = devices(&one.repeat(2)).unwrap_err();
    assert_eq!(message, "line 2: a second disk has the target hda");
}

#[test]
fn the_emulator_is_an_absolute_path() {
    let read = devices("<emulator>/usr/bin/qemu-system-x86_64</emulator>").unwrap();
    assert_eq!(read.emulator.as_deref(), Some("/usr/bin/qemu-system-x86_64"));
    assert!(devices("<emulator>qemu</emulator>").unwrap_err().contains("of emulator is not absolute"));
    assert!(devices("<emulator/>").is_err());
}

#[test]
fn displays_are_read() {
    let vnc = devices("<graphics type='vnc' port='5900' listen='::1' keymap='en-us'/>").unwrap();
    let expected =
        Graphics::Vnc { port: Some(5900), listen: Some("::1".parse().unwrap()), keymap: Some("en-us".to_owned()) };
    assert_eq!(vnc.graphics, Some(expected));
    let sdl = devices("<graphics type='sdl' display=':0' xauth='/root/.Xauthority'/>").unwrap();
    let expected = Graphics::Sdl { display: Some(":0".to_owned()), xauth: Some("/root/.Xauthority".to_owned()) };
    assert_eq!(sdl.graphics, Some(expected));
    assert_eq!(devices("").unwrap().graphics, None);
}

#[test]
fn rejects_displays_that_break_a_rule() {
    for (graphics, rule) in [
        ("<graphics/>", "graphics has no type attribute"),
        ("<graphics type='spice'/>", "graphics@type is 'spice', not one of vnc, sdl"),
        ("<graphics type='vnc' port='5899'/>", "'5899' in graphics is no number from 5900 to 65535"),
        ("<graphics type='vnc' port='65536'/>", "is no number from 5900"),
        ("<graphics type='vnc' port='-2'/>", "is no number from 5900"),
        ("<graphics type='vnc' listen='host,password=on'/>", "not an IP address"),
        ("<graphics type='vnc' passwd='secret'/>", "graphics@passwd is not supported"),
        ("<graphics type='vnc' autoport='maybe'/>", "graphics@autoport is 'maybe'"),
        ("<graphics type='vnc' keymap='a,b'/>", "graphics@keymap is 'a,b', not a word"),
        ("<graphics type='vnc'/><graphics type='sdl'/>", "devices has a second graphics"),
        ("<graphics type='sdl' xauth='x'/>", "is not absolute"),
    ] {
        let message = devices(graphics).unwrap_err();
        assert!(message.starts_with("line 2: ") && message.contains(rule), "{graphics}: {message}");
    }
}

#[test]
fn rejects_devices_nobody_here_can_provide() {
    for device in ["hostdev", "filesystem", "tpm", "console", "controller", "disks"] {
        let message = devices(&format!("<{device}/>")).unwrap_err();
        assert_eq!(message, format!("line 2: {device} in devices is not supported"));
    }
    assert!(devices("<input type='mouse' bus='ps2'/><input type='keyboard'/>").is_ok());
    assert!(devices("<input type='tablet' bus='usb'/>").is_err());
}
