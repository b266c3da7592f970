//! Each element of the XML and each of its forms as arguments.

mod accepted_by_qemu;
mod documentation;
mod injection;

use super::*;
use crate::xml::domain::DomainType;

const UUID: &str = "6695eb01-f6a4-8304-79aa-97f2502e193f";

/// A definition with something inside `domain`, something inside `os` and something inside `devices`.
fn domain(inside: &str, os: &str, devices: &str) -> String {
    format!(
        "<domain type='qemu'><name>web</name><uuid>{UUID}</uuid><memory>65536</memory>{inside}\
         <os><type>hvm</type>{os}</os><devices>{devices}</devices></domain>"
    )
}

fn with_devices(devices: &str) -> String {
    domain("", "", devices)
}

fn machine(name: &str, alias: Option<&str>, is_default: bool) -> Machine {
    Machine { name: name.to_owned(), alias: alias.map(str::to_owned), is_default, processors: 255 }
}

fn emulator(arch: &str) -> Emulator {
    let machines = match arch {
        "aarch64" => vec![machine("virt-7.2", Some("virt"), false), machine("raspi3b", None, false)],
        _ => vec![
            machine("isapc", None, false),
            machine("pc-i440fx-7.2", Some("pc"), true),
            machine("pc-q35-7.2", Some("q35"), false),
        ],
    };
    Emulator {
        path: format!("/usr/bin/qemu-system-{arch}").into(),
        version: 7_002_022,
        arch: arch.to_owned(),
        machines,
        accelerators: vec![Accelerator::Tcg, Accelerator::Kvm],
        no_kvm: None,
    }
}

fn parsed(xml: &str) -> DomainDefinition {
    DomainDefinition::parse(xml, &[DomainType::Qemu, DomainType::Kvm, DomainType::Test]).unwrap()
}

/// The command line for the third domain, on a host whose network `default` has the bridge `virbr0`.
fn line_on(emulator: &Emulator, xml: &str, change: impl FnOnce(&mut Launch<'_>)) -> Reply<CommandLine> {
    let bridges = BTreeMap::from([("default".to_owned(), "virbr0".to_owned())]);
    let definition = &parsed(xml);
    let monitor = Path::new("/run/guestd/qemu/web.monitor");
    let mut launch = Launch { definition, id: 3, emulator, monitor, incoming: false, bridges: &bridges };
    change(&mut launch);
    command_line(&launch)
}

fn line(xml: &str) -> CommandLine {
    line_on(&emulator("x86_64"), xml, |_| ()).unwrap()
}

fn refusal(xml: &str) -> String {
    let failure = line_on(&emulator("x86_64"), xml, |_| ()).unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    failure.message
}

/// The arguments of all occurrences of an option.
fn all<'a>(line: &'a CommandLine, option: &str) -> Vec<&'a str> {
    let pairs = line.arguments.windows(2).filter(|pair| pair[0] == option);
    pairs.map(|pair| pair[1].to_str().unwrap()).collect()
}

fn only<'a>(line: &'a CommandLine, option: &str) -> &'a str {
    let [one] = all(line, option)[..] else {
        panic!("{option} is not there once: {:?}", line.arguments);
    };
    one
}

#[test]
fn a_small_domain_is_described_completely_and_starts_paused() {
    let line = line(&domain("", "", ""));
    assert_eq!(line.program, Path::new("/usr/bin/qemu-system-x86_64"));
    let expected = "-name guest=web -uuid 6695eb01-f6a4-8304-79aa-97f2502e193f -S -no-user-config -nodefaults \
                    -machine pc-i440fx-7.2,acpi=off -cpu qemu64,apic=off,pae=on -accel tcg -m size=65536k \
                    -smp cpus=1,sockets=1,cores=1,threads=1 -rtc base=utc \
                    -chardev socket,id=monitor,path=/run/guestd/qemu/web.monitor,server=on,wait=off \
                    -mon chardev=monitor,mode=control -boot strict=on -display none";
    assert_eq!(line.arguments, expected.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!((line.environment, line.taps), (vec![], vec![]));
}

#[test]
fn memory_is_told_in_kib_and_a_smaller_current_memory_is_a_balloon() {
    let odd = line(&domain("", "", "").replace("65536", "65537"));
    assert_eq!((only(&odd, "-m"), all(&odd, "-device")), ("size=65537k", vec![]));
    let unit = line(&domain("", "", "").replace("<memory>65536", "<memory unit='MiB'>64"));
    assert_eq!(only(&unit, "-m"), "size=65536k");
    let less = line(&domain("<currentMemory>32768</currentMemory>", "", ""));
    assert_eq!((only(&less, "-m"), only(&less, "-device")), ("size=65536k", "virtio-balloon-pci,id=balloon"));
    let same = line(&domain("<currentMemory>65536</currentMemory>", "", ""));
    assert_eq!(all(&same, "-device"), Vec::<&str>::new());
}

#[test]
fn processors_are_sockets() {
    let line = line(&domain("<vcpu>4</vcpu>", "", ""));
    assert_eq!(only(&line, "-smp"), "cpus=4,sockets=4,cores=1,threads=1");
}

#[test]
fn features_are_on_where_they_are_named_and_where_the_rest_needs_them() {
    let features = |features: &str| domain(&format!("<features>{features}</features>"), "", "");
    let both = |line: &CommandLine| (only(line, "-machine").to_owned(), only(line, "-cpu").to_owned());
    let pair = |machine: &str, cpu: &str| (machine.to_owned(), cpu.to_owned());
    assert_eq!(both(&line(&features("<acpi/>"))), pair("pc-i440fx-7.2,acpi=on", "qemu64,apic=off,pae=on"));
    assert_eq!(both(&line(&features("<apic/>"))), pair("pc-i440fx-7.2,acpi=off", "qemu64,apic=on,pae=on"));
    let narrow = |features: &str| line(&self::domain(features, "", "").replace("<type>", "<type arch='i686'>"));
    assert_eq!(only(&narrow(""), "-cpu"), "qemu32,apic=off,pae=off");
    assert_eq!(only(&narrow("<features><pae/></features>"), "-cpu"), "qemu32,apic=off,pae=on");
    assert_eq!(only(&line(&domain("<vcpu>2</vcpu>", "", "")), "-cpu"), "qemu64,apic=on,pae=on");
}

#[test]
fn the_machine_is_the_emulators_own_by_its_lasting_name() {
    let machine = |name: &str| domain("", "", "").replace("<type>", &format!("<type machine='{name}'>"));
    assert_eq!(only(&line(&machine("q35")), "-machine"), "pc-q35-7.2,acpi=off");
    assert_eq!(only(&line(&machine("pc-i440fx-7.2")), "-machine"), "pc-i440fx-7.2,acpi=off");
    assert_eq!(only(&line(&machine("isapc")), "-machine"), "isapc,acpi=off");
    for name in ["help", "pc-q35-9.0", "pc-q35", "none"] {
        let message = refusal(&machine(name));
        assert_eq!(message, format!("'/usr/bin/qemu-system-x86_64' has no machine '{name}'"));
    }
}

#[test]
fn an_architecture_that_the_emulator_does_not_run_is_refused() {
    let arch = |name: &str| domain("", "", "").replace("<type>", &format!("<type arch='{name}'>"));
    assert_eq!(only(&line(&arch("x86_64")), "-cpu"), "qemu64,apic=off,pae=on");
    let message = "'/usr/bin/qemu-system-x86_64' does not run machines of type aarch64, but x86_64";
    assert_eq!(refusal(&arch("aarch64")), message);
    let failure = line_on(&emulator("i686"), &arch("x86_64"), |_| ()).unwrap_err();
    assert!(failure.message.ends_with("does not run machines of type x86_64, but i686"), "{failure}");
    let native = line_on(&emulator("i686"), &domain("", "", ""), |_| ()).unwrap();
    assert_eq!(only(&native, "-cpu"), "qemu32,apic=off,pae=off");
}

#[test]
fn machines_that_are_no_pcs_have_only_what_they_can_have() {
    let arm = |inside: &str, machine: &str, devices: &str| {
        let xml = domain(inside, "", devices).replace("<type>", &format!("<type machine='{machine}'>"));
        line_on(&emulator("aarch64"), &xml, |_| ())
    };
    let graphics = "<graphics type='vnc'/><interface type='user'/>";
    let line = arm("<features><acpi/></features>", "virt", graphics).unwrap();
    assert_eq!((only(&line, "-machine"), all(&line, "-cpu")), ("virt-7.2,acpi=on", vec![]));
    let [card, video] = all(&line, "-device")[..] else { panic!("{line:?}") };
    assert!(card.starts_with("virtio-net-pci,") && video == "virtio-gpu-pci,id=video", "{line:?}");
    assert_eq!(only(&arm("", "raspi3b", "").unwrap(), "-machine"), "raspi3b");
    for (features, machine) in [("<acpi/>", "raspi3b"), ("<apic/>", "virt"), ("<pae/>", "virt")] {
        let features = format!("<features>{features}</features>");
        assert!(arm(&features, machine, "").unwrap_err().message.contains("no feature"), "{features}");
    }
    let failure = line_on(&emulator("aarch64"), &domain("", "", ""), |_| ()).unwrap_err();
    assert!(failure.message.ends_with("has no default machine, os/type@machine has to name one"), "{failure}");
}

#[test]
fn the_type_of_a_domain_chooses_what_executes_it() {
    let kvm = domain("", "", "").replace("type='qemu'", "type='kvm'");
    assert_eq!(only(&line(&kvm), "-accel"), "kvm");
    let mut without = emulator("x86_64");
    without.accelerators = vec![Accelerator::Tcg];
    without.no_kvm = Some("/dev/kvm: permission denied".to_owned());
    let failure = line_on(&without, &kvm, |_| ()).unwrap_err();
    let message = "'/usr/bin/qemu-system-x86_64' cannot use kvm here, which a domain of type kvm needs: \
                   /dev/kvm: permission denied";
    assert_eq!((failure.code, &*failure.message), (Code::OperationFailed, message));
    assert_eq!(only(&line_on(&without, &domain("", "", ""), |_| ()).unwrap(), "-accel"), "tcg");
    without.accelerators = vec![Accelerator::Kvm];
    assert!(line_on(&without, &domain("", "", ""), |_| ()).unwrap_err().message.contains("it has no tcg"));
    assert!(refusal(&domain("", "", "").replace("type='qemu'", "type='test'")).contains("nothing that QEMU runs"));
}

#[test]
fn a_kernel_is_booted_with_its_ram_disk_and_command_line() {
    let line = line(&domain(
        "",
        "<kernel>/boot/vmlinuz</kernel><initrd>/boot/initrd.img</initrd><cmdline>root=/dev/vda ro a,b</cmdline>",
        "",
    ));
    let found = (only(&line, "-kernel"), only(&line, "-initrd"), only(&line, "-append"));
    assert_eq!(found, ("/boot/vmlinuz", "/boot/initrd.img", "root=/dev/vda ro a,b"));
}

/// The devices that have a place in the boot order, in that order.
fn tried(line: &CommandLine) -> Vec<(String, String)> {
    let mut order: Vec<_> = all(line, "-device")
        .into_iter()
        .filter_map(|device| Some((device.split_once("bootindex=")?.1.to_owned(), device)))
        .map(|(place, device)| (place, device.split_once("id=").unwrap().1.split(',').next().unwrap().to_owned()))
        .chain(all(line, "-global").into_iter().map(|global| {
            let (drive, place) = global.rsplit_once('=').unwrap();
            (place.to_owned(), drive.to_owned())
        }))
        .collect();
    order.sort();
    order
}

#[test]
fn devices_are_tried_in_the_order_that_is_named_and_no_others() {
    const DEVICES: &str = "<disk type='file' device='cdrom'><target dev='hdc'/></disk>\
         <disk type='file'><source file='/b'/><target dev='vda'/></disk>\
         <disk type='file' device='floppy'><target dev='fdb'/></disk>\
         <disk type='file'><source file='/a'/><target dev='hda'/></disk>\
         <disk type='file' device='floppy'><target dev='fda'/></disk>\
         <interface type='user'/><interface type='user'/>";
    let order = |boot: &[&str]| {
        let boot: String = boot.iter().map(|dev| format!("<boot dev='{dev}'/>")).collect();
        let line = line(&domain("", &boot, DEVICES));
        assert_eq!(only(&line, "-boot"), "strict=on");
        let order = tried(&line);
        let places: Vec<_> = (1..=order.len()).map(|place| place.to_string()).collect();
        assert_eq!(order.iter().map(|(place, _)| place.clone()).collect::<Vec<_>>(), places);
        order.into_iter().map(|(_, device)| device).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order(&[]), "vda hda");
    assert_eq!(order(&["cdrom", "hd"]), "hdc vda hda");
    assert_eq!(order(&["network", "fd"]), "net0 net1 isa-fdc.bootindexB isa-fdc.bootindexA");
    assert_eq!(order(&["hd", "hd", "cdrom"]), "vda hda hdc");
    assert_eq!(order(&["cdrom", "network", "hd", "fd"]).split(' ').count(), 7);
}

#[test]
fn a_disk_is_an_image_and_a_drive_at_the_place_that_its_target_names() {
    let disk = |target: &str| {
        let disk = format!("<disk type='file'><source file='/i'/><target dev='{target}'/></disk>");
        let line = line(&domain("", "<boot dev='fd'/>", &disk));
        let image = format!("driver=raw,node-name=image-{target},read-only=off,file.driver=file,file.filename=/i");
        assert_eq!(only(&line, "-blockdev"), image);
        let drive = all(&line, "-device").pop().unwrap().to_owned();
        let rest = format!(",id={target},drive=image-{target}");
        drive.strip_suffix(&rest).unwrap_or_else(|| panic!("{drive}")).to_owned()
    };
    for (target, place) in [
        ("hda", "ide-hd,bus=ide.0,unit=0"),
        ("hdb", "ide-hd,bus=ide.0,unit=1"),
        ("hdc", "ide-hd,bus=ide.1,unit=0"),
        ("hdd", "ide-hd,bus=ide.1,unit=1"),
        ("sda", "scsi-hd,bus=scsi.0,scsi-id=0,lun=0"),
        ("sdz", "scsi-hd,bus=scsi.0,scsi-id=25,lun=0"),
        ("vda", "virtio-blk-pci"),
        ("vdz", "virtio-blk-pci"),
    ] {
        assert_eq!(disk(target), place, "{target}");
    }
    let scsi = line(&with_devices("<disk type='file'><source file='/i'/><target dev='sdb'/></disk>"));
    assert_eq!(all(&scsi, "-device")[0], "virtio-scsi-pci,id=scsi");
}

#[test]
fn the_newer_board_has_other_places_for_disks_and_floppies() {
    let xml = with_devices(
        "<disk type='file'><source file='/i'/><target dev='hdd'/></disk>\
         <disk type='file' device='floppy'><target dev='fdb'/></disk>",
    );
    let q35 = line(&xml.replace("<type>", "<type machine='q35'>"));
    let devices =
        ["isa-fdc,id=fdc", "ide-hd,bus=ide.3,unit=0,id=hdd,drive=image-hdd,bootindex=1", "floppy,unit=1,id=fdb"];
    assert_eq!(all(&q35, "-device"), devices);
    let devices = ["ide-hd,bus=ide.1,unit=1,id=hdd,drive=image-hdd,bootindex=1", "floppy,unit=1,id=fdb"];
    assert_eq!(all(&line(&xml), "-device"), devices);
}

#[test]
fn the_host_side_of_a_disk_is_what_its_element_says() {
    let image = |disk: &str| only(&line(&with_devices(disk)), "-blockdev").to_owned();
    for (disk, expected) in [
        (
            "<disk type='block'><source dev='/dev/vg/web'/><target dev='vda'/></disk>",
            "driver=raw,node-name=image-vda,read-only=off,file.driver=host_device,file.filename=/dev/vg/web",
        ),
        (
            "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/i'/><target dev='vda'/><readonly/></disk>",
            "driver=qcow2,node-name=image-vda,read-only=on,file.driver=file,file.filename=/i",
        ),
        (
            "<disk type='file' device='cdrom'><source file='/i'/><target dev='hda'/></disk>",
            "driver=raw,node-name=image-hda,read-only=on,file.driver=file,file.filename=/i",
        ),
        (
            "<disk type='file' device='floppy'><source file='/i'/><target dev='fda'/></disk>",
            "driver=raw,node-name=image-fda,read-only=off,file.driver=file,file.filename=/i",
        ),
    ] {
        assert_eq!(image(disk), expected, "{disk}");
    }
}

#[test]
fn drives_for_removable_media_may_be_empty() {
    let line = line(&domain(
        "",
        "<boot dev='network'/>",
        "<disk type='file' device='cdrom'><target dev='hdc'/></disk>\
         <disk type='file' device='cdrom'><target dev='sdc'/></disk>\
         <disk type='file' device='floppy'><target dev='fda'/></disk>",
    ));
    assert_eq!(all(&line, "-blockdev"), Vec::<&str>::new());
    let devices = [
        "virtio-scsi-pci,id=scsi",
        "ide-cd,bus=ide.1,unit=0,id=hdc",
        "scsi-cd,bus=scsi.0,scsi-id=2,lun=0,id=sdc",
        "floppy,unit=0,id=fda",
    ];
    assert_eq!(all(&line, "-device"), devices);
}

#[test]
fn disks_that_no_bus_can_offer_are_refused() {
    let read_only = "<disk type='file'><source file='/i'/><target dev='hda'/><readonly/></disk>";
    let message = "the disk hda is read-only, which IDE has no means to tell the guest";
    assert_eq!(refusal(&with_devices(read_only)), message);
    let cdrom = "<disk type='file' device='cdrom'><source file='/i'/><target dev='vdb'/></disk>";
    let message = "the CD-ROM vdb cannot be at the bus virtio, which has none";
    assert_eq!(refusal(&with_devices(cdrom)), message);
}

#[test]
fn packets_go_where_the_type_of_the_interface_says() {
    let netdev = |interface: &str| {
        let line = line(&with_devices(interface));
        let netdev = only(&line, "-netdev").strip_suffix(",id=net0").unwrap().to_owned();
        (netdev, line.taps.into_iter().map(|tap| (tap.name, tap.bridge)).collect::<Vec<_>>())
    };
    let nobody = |netdev: &str| (netdev.to_owned(), vec![]);
    let tap = |name: &str, bridge: &str| {
        (format!("tap,ifname={name},script=no,downscript=no"), vec![(name.to_owned(), bridge.to_owned())])
    };
    for (interface, expected) in [
        ("<interface type='user'/>", nobody("user")),
        ("<interface type='ethernet'/>", nobody("tap,ifname=vnet3-0,script=no,downscript=no")),
        (
            "<interface type='ethernet'><script path='/etc/up'/><target dev='tap7'/></interface>",
            nobody("tap,ifname=tap7,script=/etc/up,downscript=no"),
        ),
        ("<interface type='bridge'><source bridge='br0'/></interface>", tap("vnet3-0", "br0")),
        ("<interface type='bridge'><source bridge='br0'/><target dev='web0'/></interface>", tap("web0", "br0")),
        ("<interface type='network'><source network='default'/></interface>", tap("vnet3-0", "virbr0")),
        ("<interface type='server'><source port='5558'/></interface>", nobody("socket,listen=0.0.0.0:5558")),
        (
            "<interface type='server'><source address='127.0.0.1' port='5558'/></interface>",
            nobody("socket,listen=127.0.0.1:5558"),
        ),
        (
            "<interface type='server'><source address='::1' port='5558'/></interface>",
            nobody("stream,server=on,addr.type=inet,addr.host=::1,addr.port=5558"),
        ),
        (
            "<interface type='client'><source address='127.0.0.1' port='5558'/></interface>",
            nobody("socket,connect=127.0.0.1:5558"),
        ),
        (
            "<interface type='client'><source address='::1' port='5558'/></interface>",
            nobody("stream,server=off,addr.type=inet,addr.host=::1,addr.port=5558"),
        ),
        (
            "<interface type='mcast'><source address='230.0.0.1' port='5558'/></interface>",
            nobody("socket,mcast=230.0.0.1:5558"),
        ),
    ] {
        assert_eq!(netdev(interface), expected, "{interface}");
    }
}

#[test]
fn what_no_packet_could_reach_is_refused() {
    let network = "<interface type='network'><source network='lab'/></interface>";
    assert_eq!(refusal(&with_devices(network)), "no network with the name 'lab' is active");
    let group = "<interface type='mcast'><source address='ff02::5' port='1'/></interface>";
    assert!(refusal(&with_devices(group)).contains("no multicast group of IPv6"));
    let same = "<interface type='bridge'><source bridge='a'/><target dev='t'/></interface>";
    assert_eq!(refusal(&with_devices(&same.repeat(2))), "two interfaces are to be 't' on the host");
    let (bridge, six) = ("<interface type='bridge'><source bridge='a'/></interface>", same.replace("'a'", "'::1'"));
    let long = line_on(&emulator("x86_64"), &with_devices(bridge), |launch| launch.id = i32::MAX);
    assert!(long.unwrap_err().message.starts_with("'vnet2147483647-0' is too long"));
    let named = line_on(&emulator("x86_64"), &with_devices(same), |launch| launch.id = i32::MAX);
    assert_eq!(named.unwrap().taps[0].name, "t");
    let older = Emulator { version: 7_001_009, ..emulator("x86_64") };
    let six = six.replace("type='bridge'", "type='client'").replace("bridge='::1'", "address='::1' port='1'");
    let failure = line_on(&older, &with_devices(&six), |_| ()).unwrap_err();
    assert_eq!(failure.message, "this QEMU joins machines by IPv4 only, and not by ::1");
}

#[test]
fn a_card_has_its_model_its_address_and_its_place() {
    let card = |inside: &str| {
        let xml = with_devices(&format!("<interface type='user'>{inside}</interface>"));
        only(&line(&xml), "-device").to_owned()
    };
    let made = "mac=52:54:00:21:de:dd";
    assert_eq!(card(""), format!("e1000,id=net0,netdev=net0,{made}"));
    assert_eq!(card("<model type='virtio'/>"), format!("virtio-net-pci,id=net0,netdev=net0,{made}"));
    assert_eq!(card("<model type='rtl8139'/>"), format!("rtl8139,id=net0,netdev=net0,{made}"));
    assert_eq!(card("<mac address='52:54:00:AB:cd:01'/>"), "e1000,id=net0,netdev=net0,mac=52:54:00:ab:cd:01");
    for model in ["help", "ide-hd", "pvpanic", "e1000-82540em"] {
        let interface = format!("<interface type='user'><model type='{model}'/></interface>");
        assert!(refusal(&with_devices(&interface)).starts_with(&format!("'{model}' is no network card, but ")));
    }
}

#[test]
fn addresses_that_are_made_differ_between_interfaces_and_between_domains() {
    let macs = |xml: &str| {
        let line = line(xml);
        let macs = all(&line, "-device").into_iter().map(|card| card.split_once("mac=").unwrap().1.to_owned());
        macs.collect::<Vec<_>>()
    };
    let xml = with_devices(&"<interface type='user'/>".repeat(3));
    let first = macs(&xml);
    assert_eq!(first, macs(&xml));
    assert!(first.iter().all(|mac| mac.starts_with("52:54:00:")), "{first:?}");
    let second = macs(&xml.replace(UUID, "6695eb01-f6a4-8304-79aa-97f2502e1931"));
    let mut distinct = [first, second].concat();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_display_is_a_server_or_a_window_and_brings_its_card() {
    let shown = |graphics: &str| line(&with_devices(graphics));
    for (graphics, expected) in [
        ("<graphics type='vnc'/>", "127.0.0.1:0,to=59635"),
        ("<graphics type='vnc' port='-1'/>", "127.0.0.1:0,to=59635"),
        ("<graphics type='vnc' port='5999' autoport='yes'/>", "127.0.0.1:0,to=59635"),
        ("<graphics type='vnc' port='5901'/>", "127.0.0.1:1"),
        ("<graphics type='vnc' port='65535' listen='0.0.0.0'/>", "0.0.0.0:59635"),
        ("<graphics type='vnc' port='5900' listen='::1'/>", "[::1]:0"),
    ] {
        let line = shown(graphics);
        assert_eq!((only(&line, "-vnc"), only(&line, "-display")), (expected, "none"), "{graphics}");
        assert_eq!((only(&line, "-device"), all(&line, "-k")), ("VGA,id=video", vec![]), "{graphics}");
    }
    assert_eq!(only(&shown("<graphics type='vnc' keymap='de'/>"), "-k"), "de");
    let window = shown("<graphics type='sdl' display=':0.0' xauth='/home/me/.Xauthority'/>");
    assert_eq!((only(&window, "-display"), only(&window, "-device")), ("sdl", "VGA,id=video"));
    let variables = [("DISPLAY", OsString::from(":0.0")), ("XAUTHORITY", OsString::from("/home/me/.Xauthority"))];
    assert_eq!(window.environment, variables);
    assert_eq!(all(&window, "-vnc"), Vec::<&str>::new());
    assert_eq!(shown("<graphics type='sdl'/>").environment, []);
}

#[test]
fn what_every_machine_has_anyway_adds_nothing() {
    let plain = line(&domain("", "", ""));
    let named = "<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><clock offset='utc'/>\
                 <description>-S,-incoming</description>";
    let input = "<input type='mouse' bus='ps2'/><input type='keyboard'/>";
    assert_eq!(line(&domain(named, "", input)), plain);
    let emulator = "<emulator>/opt/qemu</emulator>";
    assert_eq!(line(&with_devices(emulator)), plain, "the emulator is chosen by the caller");
}

#[test]
fn a_saved_domain_waits_for_its_state() {
    let waiting = line_on(&emulator("x86_64"), &domain("", "", ""), |launch| launch.incoming = true).unwrap();
    assert_eq!(only(&waiting, "-incoming"), "defer");
    assert_eq!(all(&line(&domain("", "", "")), "-incoming"), Vec::<&str>::new());
}
