use super::*;
use crate::failure::Failure;

const TYPES: &[DomainType] = &[DomainType::Qemu, DomainType::Kvm];

const FULL: &str = "\
<domain type='kvm'>
  <name>web</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <title>Front</title>
  <memory>2048</memory>
  <currentMemory>1024</currentMemory>
  <vcpu>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-i440fx-2.1'>hvm</type>
    <kernel>/boot/vmlinuz</kernel>
    <initrd>/boot/initrd</initrd>
    <cmdline>console=ttyS0 root=/dev/vda</cmdline>
    <boot dev='cdrom'/>
    <boot dev='hd'/>
    <boot dev='fd'/>
    <boot dev='network'/>
  </os>
  <features>
    <acpi/>
    <pae/>
  </features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <nobody-knows-this colour='red'><at/></nobody-knows-this>
  <devices>
    <graphics type='vnc' port='-1'/>
  </devices>
</domain>
";

fn parse(xml: &str) -> Reply<DomainDefinition> {
    DomainDefinition::parse(xml, TYPES)
}

fn changed(from: &str, to: &str) -> Reply<DomainDefinition> {
    assert!(FULL.contains(from), "{from}");
    parse(&FULL.replace(from, to))
}

fn refusal(from: &str, to: &str) -> Failure {
    changed(from, to).unwrap_err()
}

#[test]
fn a_full_definition_is_read() {
    let definition = parse(FULL).unwrap();
    assert_eq!(definition.domain_type, DomainType::Kvm);
    assert_eq!(definition.name, "web");
    assert_eq!(definition.uuid.to_string(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
    assert_eq!((definition.memory, definition.current_memory, definition.vcpus), (2048, 1024, 4));
    let os = OperatingSystem {
        arch: Some("x86_64".to_owned()),
        machine: Some("pc-i440fx-2.1".to_owned()),
        kernel: Some("/boot/vmlinuz".to_owned()),
        initrd: Some("/boot/initrd".to_owned()),
        cmdline: Some("console=ttyS0 root=/dev/vda".to_owned()),
        boot: vec![BootDevice::Cdrom, BootDevice::HardDisk, BootDevice::Floppy, BootDevice::Network],
    };
    assert_eq!(definition.os, os);
    assert_eq!(definition.features, Features { acpi: true, apic: false, pae: true });
}

#[test]
fn what_was_read_is_what_is_dumped() {
    let definition = parse(FULL).unwrap();
    assert_eq!(definition.stored_xml(), FULL);
    assert_eq!(parse(&definition.stored_xml()).unwrap(), definition);
}

#[test]
fn the_live_xml_carries_id_and_port_and_nothing_else_changes() {
    let definition = parse(FULL).unwrap();
    let expected = FULL
        .replace("<domain type", "<domain id='7' type")
        .replace("<graphics type='vnc' port='-1'/>", "<graphics autoport='yes' type='vnc' port='5901'/>");
    assert_eq!(definition.live_xml(7, Some(5901)), expected);
    assert_eq!(parse(&definition.live_xml(7, None)).unwrap().stored_xml(), FULL);
}

#[test]
fn an_automatic_port_stays_automatic_when_a_live_dump_is_defined_again() {
    for graphics in [
        "<graphics type='vnc' port='-1'/>",
        "<graphics type='vnc'/>",
        "<graphics type='vnc' autoport='yes'/>",
        "<graphics autoport = \"yes\" port='5907' type='vnc'></graphics>",
        "<graphics type='vnc' port='-1' autoport='no'/>",
    ] {
        let definition = changed("<graphics type='vnc' port='-1'/>", graphics).unwrap();
        let live = definition.live_xml(3, Some(5999));
        assert!(live.contains("port='5999'") && live.contains("autoport='yes'"), "{live}");
        assert_eq!(live.matches("port=").count(), 2, "{live}");
        let again = parse(&live).unwrap();
        assert_eq!(again.devices, definition.devices);
        assert_eq!(again.live_xml(4, Some(6000)), live.replace("id='3'", "id='4'").replace("5999", "6000"));
    }
}

#[test]
fn a_fixed_port_is_dumped_as_it_was_written() {
    let definition = changed("port='-1'", "port='5905'").unwrap();
    let live = definition.live_xml(7, Some(5905));
    assert_eq!(live, definition.stored_xml().replace("<domain", "<domain id='7'"));
}

#[test]
fn an_id_in_the_text_is_overridden_live_and_never_stored() {
    let definition = changed("<domain type='kvm'>", "<domain type='kvm' id='99'>").unwrap();
    assert_eq!(definition.stored_xml(), FULL);
    assert!(definition.live_xml(7, None).starts_with("<domain type='kvm' id='7'>"));
}

#[test]
fn only_the_types_of_the_driver_are_accepted() {
    assert_eq!(changed("'kvm'", "'qemu'").unwrap().domain_type, DomainType::Qemu);
    let failure = refusal("'kvm'", "'test'");
    assert_eq!(failure.code, Code::XmlError);
    assert_eq!(failure.message, "line 1: domain@type is 'test', not one of qemu, kvm");
    assert_eq!(refusal(" type='kvm'", "").message, "line 1: domain has no type attribute");
    let test = DomainDefinition::parse(&FULL.replace("'kvm'", "'test'"), &[DomainType::Test]);
    assert_eq!(test.unwrap().domain_type, DomainType::Test);
}

#[test]
fn absent_elements_have_their_defaults() {
    let xml = "<domain type='qemu'><name>a</name><memory>7</memory><os><type>hvm</type></os></domain>";
    let definition = parse(xml).unwrap();
    assert_eq!((definition.memory, definition.current_memory, definition.vcpus), (7, 7, 1));
    assert_eq!(definition.os.boot, [BootDevice::HardDisk]);
    assert_eq!(definition.os.arch, None);
    assert_eq!(definition.features, Features::default());
    assert_eq!(definition.devices, Devices::default());
}

#[test]
fn an_operating_system_other_than_hvm_has_a_code_of_its_own() {
    let failure = refusal(">hvm<", ">linux<");
    assert_eq!(failure.code, Code::OsType);
    assert_eq!(failure.message, "line 9: os/type is not hvm");
    assert_eq!(refusal(">hvm<", "><").code, Code::OsType);
}

#[test]
fn rejects_what_os_and_features_do_not_know() {
    for (from, to, message) in [
        ("<boot dev='hd'/>", "<boot dev='usb'/>", "line 14: boot@dev is 'usb', not one of hd, fd, "),
        ("<boot dev='hd'/>", "<boot/>", "line 14: boot has no dev attribute"),
        ("<boot dev='hd'/>", "<boot dev='hd'/><boot dev='hd'/>", "line 16: more than 4 boot devices"),
        ("<boot dev='hd'/>", "<loader>/x</loader>", "line 14: loader in os is not supported"),
        ("<boot dev='hd'/>", "<boot dev='hd' order='1'/>", "line 14: boot@order is not supported"),
        ("/boot/vmlinuz", "vmlinuz", "line 10: the path 'vmlinuz' of kernel is not absolute"),
        ("<kernel>/boot/vmlinuz</kernel>", "", "line 8: initrd and cmdline mean nothing without"),
        ("pc-i440fx-2.1", "pc,accel=x", "line 9: type@machine is 'pc,accel=x', not a word"),
        ("'x86_64'", "''", "line 9: type@arch is '', not a word"),
        ("<pae/>", "<hyperv/>", "line 20: hyperv in features is not supported"),
        ("<pae/>", "<pae state='off'/>", "line 20: pae@state is not supported"),
    ] {
        let failure = refusal(from, to);
        assert_eq!(failure.code, Code::XmlError);
        assert!(failure.message.starts_with(message), "{}", failure.message);
    }
}

#[test]
fn rejects_elements_that_would_change_what_runs_wherever_their_meaning_is_known() {
    for name in CHANGES_WHAT_RUNS {
        let failure = refusal("<title>Front</title>", &format!("<{name}/>"));
        assert_eq!(failure.message, format!("line 4: {name} is not supported"));
    }
}

#[test]
fn lifecycle_and_clock_are_accepted_with_the_meaning_that_holds_anyway() {
    assert!(changed("<on_crash>destroy", "<on_crash> restart\n").is_ok());
    for (from, to, message) in [
        ("<on_reboot>restart", "<on_reboot>destroy", "on_reboot is not restart"),
        ("<on_poweroff>destroy", "<on_poweroff>restart", "on_poweroff is not destroy"),
        ("<on_crash>destroy", "<on_crash>preserve", "on_crash is not destroy or restart"),
        ("'utc'", "'localtime'", "clock@offset is 'localtime', not one of utc"),
        ("<clock offset='utc'/>", "<clock><timer/></clock>", "timer in clock is not supported"),
    ] {
        assert!(refusal(from, to).message.contains(message), "{to}");
    }
}

#[test]
fn a_message_shows_only_the_beginning_of_a_long_value() {
    let failure = refusal("'kvm'", &format!("'{}'", "\u{e9}".repeat(20_000)));
    assert!(failure.message.len() < 200, "{}", failure.message);
    assert!(failure.message.ends_with("not one of qemu, kvm"), "{}", failure.message);
}
