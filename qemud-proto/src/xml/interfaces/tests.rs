use super::*;
use crate::xml::domain::{DomainDefinition, DomainType};

fn interface(kind: &str, inside: &str) -> Result<Interface, String> {
    let xml = format!(
        "<domain type='qemu'><name>a</name><memory>8</memory><os><type>hvm</type></os>\n\
         <devices><interface {kind}>{inside}</interface></devices></domain>"
    );
    let definition = DomainDefinition::parse(&xml, &[DomainType::Qemu]);
    let mut definition = definition.map_err(|failure| failure.message)?;
    Ok(definition.devices.interfaces.remove(0))
}

fn link(kind: &str, inside: &str) -> Link {
    interface(&format!("type='{kind}'"), inside).unwrap().link
}

#[test]
fn each_type_has_the_source_it_needs() {
    assert_eq!(link("user", ""), Link::User);
    assert_eq!(link("ethernet", ""), Link::Ethernet { script: None });
    let script = Some("/etc/up".to_owned());
    assert_eq!(link("ethernet", "<script path='/etc/up'/>"), Link::Ethernet { script });
    let bridge = "br0".to_owned();
    assert_eq!(link("bridge", "<source bridge='br0'/>"), Link::Bridge { bridge });
    let network = "default".to_owned();
    assert_eq!(link("network", "<source network='default'/>"), Link::Network { network });
    let at = |address: &str| format!("<source address='{address}' port='5558'/>");
    let address = "127.0.0.1".parse().unwrap();
    let port = 5558;
    assert_eq!(link("server", "<source port='5558'/>"), Link::Server { address: None, port });
    assert_eq!(link("server", &at("127.0.0.1")), Link::Server { address: Some(address), port });
    assert_eq!(link("client", &at("127.0.0.1")), Link::Client { address, port });
    let address = "230.0.0.1".parse().unwrap();
    assert_eq!(link("mcast", &at("230.0.0.1")), Link::Multicast { address, port });
}

#[test]
fn address_target_and_model_are_read() {
    let parts = "<mac address='52:54:00:Ab:cd:0f'/><target dev='vnet0'/><model type='virtio'/>";
    let read = interface("type='user'", parts).unwrap();
    assert_eq!(read.mac.to_string(), "52:54:00:ab:cd:0f");
    assert_eq!(read.target.as_deref(), Some("vnet0"));
    assert_eq!(read.model.as_deref(), Some("virtio"));
}

#[test]
fn rejects_interfaces_that_break_a_rule() {
    for (kind, inside, rule) in [
        ("", "", "interface has no type attribute"),
        ("type='vdpa'", "", "interface@type is 'vdpa', not one of user, "),
        ("type='user' managed='no'", "", "interface@managed is not supported"),
        ("type='user'", "<source bridge='b'/>", "an interface of type user has no source"),
        ("type='user'", "<script path='/x'/>", "an interface of type user has no script"),
        ("type='user'", "<bandwidth/>", "bandwidth in interface is not supported"),
        ("type='ethernet'", "<script path='x'/>", "the path 'x' of script is not absolute"),
        ("type='bridge'", "", "interface has no source"),
        ("type='bridge'", "<source/>", "source has no bridge attribute"),
        ("type='bridge'", "<source bridge='a,b'/>", "source@bridge is 'a,b', not a word"),
        ("type='bridge'", "<source bridge='abcdefghijklmnop'/>", "at most 15 bytes"),
        ("type='bridge'", "<source bridge='..'/>", "not the name of an interface"),
        ("type='network'", "<source bridge='b'/>", "source has no network attribute"),
        ("type='network'", "<source network='n' dev='d'/>", "source@dev is not supported"),
        ("type='server'", "<source/>", "source has no port attribute"),
        ("type='server'", "<source port='0'/>", "'0' in source is no number from 1 to 65535"),
        ("type='client'", "<source port='1'/>", "source has no address attribute"),
        ("type='client'", "<source address='host' port='1'/>", "not an IP address"),
        ("type='mcast'", "<source address='10.0.0.1' port='1'/>", "is no multicast address"),
        ("type='user'", "<mac/>", "mac has no address attribute"),
        ("type='user'", "<target dev='a b'/>", "target@dev is 'a b', not a word"),
        ("type='user'", "<model type='virtio,x=y'/>", "model@type is 'virtio,x=y', not a word"),
        ("type='user'", "<model type='a'/><model type='b'/>", "interface has a second model"),
    ] {
        let message = interface(kind, inside).unwrap_err();
        assert!(message.starts_with("line 2: ") && message.contains(rule), "{inside}: {message}");
    }
}

#[test]
fn rejects_what_is_not_the_address_of_one_station() {
    for mac in [
        "",
        "52:54:00:12:34",
        "52:54:00:12:34:56:78",
        "52:54:00:12:34:5",
        "52:54:00:12:34:+5",
        "52-54-00-12-34-56",
        "5g:54:00:12:34:56",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
    ] {
        let message = interface("type='user'", &format!("<mac address='{mac}'/>")).unwrap_err();
        assert!(message.contains("not six bytes"), "{mac}: {message}");
    }
}

fn defined(interfaces: &str) -> DomainDefinition {
    let xml = format!(
        "<domain type='qemu'><name>a</name><uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>\
         <memory>8</memory><os><type>hvm</type></os><devices>{interfaces}</devices></domain>"
    );
    DomainDefinition::parse(&xml, &[DomainType::Qemu]).unwrap()
}

#[test]
fn an_address_that_is_made_is_written_down_whatever_the_element_looks_like() {
    let mac = "<mac address='52:54:00:21:de:dd'/>";
    for (interface, stored) in [
        ("<interface type='user'/>", format!("<interface type='user'>{mac}</interface>")),
        ("<interface type='user' />", format!("<interface type='user' >{mac}</interface>")),
        ("<interface type='user'></interface >", format!("<interface type='user'>{mac}</interface >")),
        ("<interface type='user'>\n  </interface>", format!("<interface type='user'>\n  {mac}\n  </interface>")),
        (
            "<interface type='user'>\n  <model type='e1000'/>\n</interface>",
            format!("<interface type='user'>\n  {mac}\n  <model type='e1000'/>\n</interface>"),
        ),
        (
            "<interface type='user'><!-- </interface> --><model type='e1000'/></interface>",
            format!("<interface type='user'>{mac}<!-- </interface> --><model type='e1000'/></interface>"),
        ),
    ] {
        let definition = defined(interface);
        assert!(
            definition.stored_xml().contains(&format!("<devices>{stored}</devices>")),
            "{}",
            definition.stored_xml()
        );
        assert!(definition.live_xml(1, None).contains(&stored));
        // And so it stays.
        let again = DomainDefinition::parse(&definition.stored_xml(), &[DomainType::Qemu]).unwrap();
        assert_eq!((again.stored_xml(), again.devices), (definition.stored_xml(), definition.devices));
    }
    assert!(
        !defined("<interface type='user'><mac address='52:54:00:00:00:01'/></interface>").stored_xml().contains(mac)
    );
}

#[test]
fn an_interface_that_is_put_before_others_gets_no_address_of_theirs() {
    let before = defined("<interface type='user'/>");
    let mac = before.devices.interfaces[0].mac;
    let text = before.stored_xml().replace("<devices>", "<devices><interface type='user'/><interface type='user'/>");
    let after = DomainDefinition::parse(&text, &[DomainType::Qemu]).unwrap();
    let macs: BTreeSet<_> = after.devices.interfaces.iter().map(|interface| interface.mac).collect();
    assert_eq!((macs.len(), after.devices.interfaces[2].mac), (3, mac));
}

#[cfg(feature = "qemu")]
#[test]
fn whoever_is_given_an_identity_has_its_addresses_too() {
    let xml = |uuid: &str| {
        format!(
            "<domain type='qemu'><name>a</name>{uuid}<memory>8</memory><os><type>hvm</type></os>\n\
             <devices><interface type='user'/></devices></domain>"
        )
    };
    let parse = |xml: &str| DomainDefinition::parse(xml, &[DomainType::Qemu]).unwrap();
    let uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0";
    let whole = parse(&xml(&format!("<uuid>{uuid}</uuid>")));
    let given = parse(&xml("")).or_identity(uuid.parse().unwrap()).unwrap();
    assert_eq!((given.uuid, &given.devices), (whole.uuid, &whole.devices));
    assert_eq!(parse(&given.stored_xml()).devices, whole.devices);
}
