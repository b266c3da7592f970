use super::*;

fn plan(inside: &str) -> Reply<Plan> {
    let xml = format!("<network><name>lab</name>{inside}</network>");
    Plan::of(&NetworkDefinition::parse(&xml).unwrap())
}

#[track_caller]
fn refused(inside: &str, rule: &str) {
    let message = format!("network 'lab' cannot be started: {rule}");
    assert_eq!(plan(inside).unwrap_err(), Failure::new(Code::OperationFailed, message));
}

#[test]
fn a_plan_holds_what_the_definition_asks_for() {
    let ip = "<ip address='192.168.99.1' netmask='255.255.255.0'><dhcp>\
        <range start='192.168.99.2' end='192.168.99.9'/><range start='192.168.99.20' end='192.168.99.20'/></dhcp></ip>";
    let all = plan(&format!("<bridge name='br0' stp='off' delay='3'/><forward dev='eth0'/>{ip}")).unwrap();
    let subnet = Subnet { address: Ipv4Addr::new(192, 168, 99, 1), prefix: 24 };
    assert_eq!((all.bridge.as_str(), all.stp, all.delay, all.subnet), ("br0", false, 3, Some(subnet)));
    assert_eq!(all.forward, Some(ForwardPlan { subnet, dev: Some("eth0".to_owned()) }));
    assert_eq!(all.dhcp.map(|dhcp| (dhcp.leases, dhcp.ranges.len())), Some((9, 2)));
    assert_eq!(subnet.to_string(), "192.168.99.0/24");

    let least = plan("<bridge name='br0'/>").unwrap();
    assert_eq!((least.subnet, least.forward, least.dhcp), (None, None, None));
    let wide =
        "<ip address='10.0.0.1' netmask='255.0.0.0'><dhcp><range start='10.0.0.2' end='10.255.0.0'/></dhcp></ip>";
    assert_eq!(plan(&format!("<bridge name='br0'/>{wide}")).unwrap().dhcp.unwrap().leases, 65_536);
}

#[test]
fn what_the_host_could_not_do_is_refused() {
    refused("", "it has no bridge");
    for name in ["all", "default", "lo"] {
        refused(&format!("<bridge name='{name}'/>"), &format!("no bridge can be called '{name}'"));
    }
    refused("<bridge name='b'/><forward/>", "it forwards, but has no address (ip) to forward from");
    let ip = |address: &str, netmask: &str| format!("<bridge name='b'/><ip address='{address}' netmask='{netmask}'/>");
    for netmask in ["0.0.0.0", "254.0.0.0", "255.255.255.254", "255.255.255.255"] {
        let rule = format!("its netmask {netmask} is not between 255.0.0.0 and 255.255.255.252");
        refused(&ip("10.0.0.1", netmask), &rule);
    }
    for address in ["10.1.2.0", "10.1.2.255", "127.0.0.1", "0.0.0.1", "224.0.0.1", "255.255.255.1", "240.0.0.1"] {
        let rule = format!("its address {address} is none that a host can have in a network 255.255.255.0");
        refused(&ip(address, "255.255.255.0"), &rule);
    }
    for (address, netmask) in
        [("10.0.0.1", "255.0.0.0"), ("10.1.2.2", "255.255.255.252"), ("223.255.255.1", "255.255.255.0")]
    {
        assert!(plan(&ip(address, netmask)).is_ok());
    }
}

#[test]
fn text_that_could_mean_more_than_a_name_reaches_no_plan() {
    for hostile in
        ["b;id", "b b", "b\"", "b'", "b{", "$(id)", "@b", "*", "b*", "b/c", "b\\", "b,c", "b:1", "b%d", "b\n", "#b", ""]
    {
        let escaped = hostile.replace('"', "&quot;").replace('\'', "&apos;").replace('\n', "&#10;");
        for element in [format!("<bridge name='{escaped}'/>"), format!("<bridge name='b'/><forward dev='{escaped}'/>")]
        {
            let xml = format!("<network><name>lab</name>{element}</network>");
            assert_eq!(NetworkDefinition::parse(&xml).unwrap_err().code, Code::XmlError, "{hostile:?}");
        }
    }
}

#[test]
fn networks_overlap_where_an_address_belongs_to_both() {
    let subnet = |text: &str| {
        let (address, prefix) = text.split_once('/').unwrap();
        Subnet { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() }
    };
    for (one, other, overlaps) in [
        ("10.0.0.1/8", "10.200.0.1/24", true),
        ("10.0.0.1/24", "10.0.1.1/24", false),
        ("10.0.0.1/23", "10.0.1.1/24", true),
        ("10.0.0.1/32", "10.0.0.1/32", true),
        ("10.0.0.1/32", "10.0.0.2/32", false),
        ("10.0.0.1/0", "192.168.0.1/24", true),
    ] {
        assert_eq!(subnet(one).overlaps(subnet(other)), overlaps, "{one} {other}");
        assert_eq!(subnet(other).overlaps(subnet(one)), overlaps, "{one} {other}");
    }
}
