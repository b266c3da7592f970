use super::*;

const FULL: &str = "\
<network>
  <name>default</name>
  <uuid>dd8fe884-6c02-601e-7551-cca97df1c5df</uuid>
  <bridge name='virbr7' stp='off' delay='5'/>
  <forward dev='eth0' mode='nat'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.2' end='192.168.122.100'/>
      <range start='192.168.122.200' end='192.168.122.254'/>
    </dhcp>
  </ip>
  <!-- kept -->
  <nobody-knows-this/>
</network>
";

fn changed(from: &str, to: &str) -> Reply<NetworkDefinition> {
    assert!(FULL.contains(from), "{from}");
    NetworkDefinition::parse(&FULL.replace(from, to))
}

#[test]
fn a_full_definition_is_read() {
    let network = NetworkDefinition::parse(FULL).unwrap();
    assert_eq!(network.name, "default");
    assert_eq!(network.uuid.to_string(), "dd8fe884-6c02-601e-7551-cca97df1c5df");
    let bridge = Bridge { name: Some("virbr7".to_owned()), stp: false, delay: 5 };
    assert_eq!(network.bridge, bridge);
    assert_eq!(network.forward, Some(Forward { dev: Some("eth0".to_owned()) }));
    let address = |last| Ipv4Addr::new(192, 168, 122, last);
    let addresses = Addresses {
        address: address(1),
        netmask: Ipv4Addr::new(255, 255, 255, 0),
        ranges: vec![(address(2), address(100)), (address(200), address(254))],
    };
    assert_eq!(network.ip, Some(addresses));
}

#[test]
fn what_was_read_is_what_is_dumped_delay_and_order_of_ranges_included() {
    let network = NetworkDefinition::parse(FULL).unwrap();
    assert_eq!(network.stored_xml(), FULL);
    let again = NetworkDefinition::parse(&network.stored_xml()).unwrap();
    assert_eq!(again, network);
    assert_eq!((again.bridge.delay, again.ip.unwrap().ranges.len()), (5, 2));
}

#[test]
fn absent_elements_have_their_defaults() {
    let network = NetworkDefinition::parse("<network><name>lab</name></network>").unwrap();
    assert_eq!(network.bridge, Bridge { name: None, stp: true, delay: 0 });
    assert_eq!((network.forward, network.ip), (None, None));
    assert_eq!(changed(" dev='eth0'", "").unwrap().forward, Some(Forward { dev: None }));
}

#[test]
fn an_assigned_bridge_is_dumped_with_or_without_an_element_for_it() {
    let xml = "<network>\n  <name>lab</name>\n</network>";
    let mut network = NetworkDefinition::parse(xml).unwrap();
    network.assign_bridge("virbr3");
    let uuid = network.uuid;
    let expected =
        format!("<network>\n  <name>lab</name>\n  <uuid>{uuid}</uuid>\n  <bridge name='virbr3'/>\n</network>");
    assert_eq!(network.stored_xml(), expected);
    let again = NetworkDefinition::parse(&expected).unwrap();
    assert_eq!((again.bridge, again.uuid), (network.bridge, uuid));

    let mut network = changed(" name='virbr7'", "").unwrap();
    network.assign_bridge("virbr3");
    let expected =
        FULL.replace("<bridge name='virbr7' stp='off' delay='5'/>", "<bridge name='virbr3' stp='off' delay='5'/>");
    assert_eq!(network.stored_xml(), expected);
}

#[test]
fn a_bridge_the_text_names_is_not_assigned_another() {
    let mut network = NetworkDefinition::parse(FULL).unwrap();
    network.assign_bridge("virbr3");
    assert_eq!(network.bridge.name.as_deref(), Some("virbr7"));
    assert_eq!(network.stored_xml(), FULL);
}

#[test]
fn rejects_networks_that_break_a_rule() {
    let range = "<range start='192.168.122.2' end='192.168.122.100'/>";
    for (from, to, message) in [
        ("'off'", "'maybe'", "line 4: bridge@stp is 'maybe', not one of on, off"),
        ("'5'", "'-5'", "line 4: '-5' in bridge is no number from 0 to 3600"),
        ("virbr7", "a/b", "line 4: bridge@name is 'a/b', not a word"),
        ("virbr7", "", "line 4: bridge@name is '', not a word"),
        ("stp='off'", "zone='x'", "line 4: bridge@zone is not supported"),
        ("'nat'", "'route'", "line 5: forward@mode is 'route', not one of nat"),
        ("address='192.168.122.1' ", "", "line 6: ip has no address attribute"),
        ("'192.168.122.1'", "'fe80::1'", "line 6: ip@address is 'fe80::1', not an IPv4 address"),
        (" netmask='255.255.255.0'", "", "line 6: ip has no netmask attribute"),
        ("'255.255.255.0'", "'255.0.255.0'", "line 6: ip@netmask is '255.0.255.0', not an IPv4"),
        ("<dhcp>", "<tftp/><dhcp>", "line 7: tftp in ip is not supported"),
        (range, "<host/>", "line 8: host in dhcp is not supported"),
        (range, "<range end='192.168.122.9'/>", "line 8: range has no start attribute"),
        (range, "<range start='192.168.122.9' end='192.168.122.8'/>", "line 8: the range from"),
        (range, "<range start='192.168.122.9' end='192.168.123.8'/>", "line 8: the range from"),
        ("</ip>", "</ip><ip/>", "line 11: network has a second ip"),
        ("<nobody-knows-this/>", "<dns/>", "line 13: dns is not supported"),
    ] {
        let failure = changed(from, to).unwrap_err();
        assert!(failure.message.starts_with(message), "{}", failure.message);
    }
}

#[test]
fn rejects_text_whose_dump_with_a_bridge_would_be_too_long() {
    let xml =
        |padding: usize| format!("<network><name>a</name><description>{}</description></network>", " ".repeat(padding));
    let inserted = "<uuid></uuid>".len() + 36 + "<bridge name=''/>".len() + 15;
    let room = 65_536 - xml(0).len() - inserted;
    let mut network = NetworkDefinition::parse(&xml(room)).unwrap();
    network.assign_bridge("fifteen-letters");
    assert_eq!(network.stored_xml().len(), 65_536);
    assert!(NetworkDefinition::parse(&xml(room + 1)).is_err());
}
