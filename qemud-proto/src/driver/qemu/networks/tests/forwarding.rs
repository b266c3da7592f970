//! Rules for what is forwarded: each network's in a table of its own.

use super::super::forwarding::table;
use super::namespace::{WITH_RIGHTS, attempt, inside, interface, rules, setting};
use super::*;

/// What stands between the network `br-lab` and one interface.
const ONE_INTERFACE: &str = r#"table ip guestd_br_2dlab {
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname "br-lab" oifname "br-lab" accept
		iifname "br-lab" oifname "wan0" ip saddr 192.168.99.0/24 accept
		iifname "wan0" oifname "br-lab" ip daddr 192.168.99.0/24 ct state established,related accept
		iifname "br-lab" reject
		oifname "br-lab" reject
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "wan0" ip saddr 192.168.99.0/24 ip daddr != { 192.168.99.0/24, 224.0.0.0/4, 255.255.255.255 } masquerade
	}
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_a_network_are_in_a_table_of_its_own_and_go_with_it() {
    if !inside("forwarding::the_rules_of_a_network_are_in_a_table_of_its_own_and_go_with_it", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&["nft"]).await;
    attempt("nft", &["add", "table", "ip", "others"]).unwrap();
    let others = rules();
    let lab = |forward: &str| xml("lab", &format!("<bridge name='br-lab'/>{forward}{ADDRESS}"));
    let one = create(&networks, lab("<forward dev='wan0'/>")).await.unwrap();
    assert_eq!(rules(), format!("{others}{ONE_INTERFACE}"));
    assert_eq!(setting("ipv4/ip_forward"), "1");
    let json = attempt("nft", &["-j", "list", "table", "ip", "guestd_br_2dlab"]).unwrap();
    assert!(serde_json::from_str::<nftables::schema::Nftables<'_>>(&json).is_ok());
    destroy(&networks, one).await.unwrap();
    assert_eq!(rules(), others);

    let any = create(&networks, lab("<forward mode='nat'/>")).await.unwrap();
    let expected = ONE_INTERFACE.replace("iifname \"wan0\" ", "").replace("oifname \"wan0\" ", "");
    assert_eq!(rules(), format!("{others}{expected}"));
    destroy(&networks, any).await.unwrap();
    assert_eq!(rules(), others);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forwarded_from_a_network_that_does_not_ask_for_it() {
    if !inside("forwarding::nothing_is_forwarded_from_a_network_that_does_not_ask_for_it", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    create(&networks, xml("before", &format!("<bridge name='br1'/>{ADDRESS}"))).await.unwrap();
    let subnet = "<ip address='192.168.98.1' netmask='255.255.255.0'/>";
    create(&networks, xml("forwarded", &format!("<bridge name='br2'/><forward/>{subnet}"))).await.unwrap();
    let subnet = "<ip address='192.168.97.1' netmask='255.255.255.0'/>";
    create(&networks, xml("after", &format!("<bridge name='br3'/>{subnet}"))).await.unwrap();
    let forwarding = |bridge: &str| setting(&format!("ipv4/conf/{bridge}/forwarding"));
    assert_eq!(["br1", "br2", "br3"].map(forwarding), ["0", "1", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nft_a_network_that_forwards_does_not_start_and_nothing_of_it_stays() {
    if !inside("forwarding::without_nft_a_network_that_forwards_does_not_start_and_nothing_of_it_stays", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&["dnsmasq"]).await;
    let uuid = define(&networks, xml("lab", &format!("<bridge name='br0'/><forward/>{ADDRESS}"))).await.unwrap();
    let left = "network 'lab': cannot forward: the program nft is missing (nftables)";
    refused(start(&networks, uuid).await, left);
    assert_eq!((room.left().len(), interface("br0"), setting("ipv4/ip_forward")), (0, None, "0".to_owned()));
    assert_eq!(names(&networks).await, (vec![], vec!["lab".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_whose_rules_did_not_come_into_force_does_not_start() {
    if !inside("forwarding::a_network_whose_rules_did_not_come_into_force_does_not_start", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    // It takes what it is given, does nothing, and ends well.
    let nft = room.0.path().join("programs/nft");
    let real = crate::driver::qemu::foreign_tool::require("nft").unwrap();
    let text = format!("#!/bin/sh\n[ \"$1\" = -j ] && exec cat >/dev/null\nexec {} \"$@\"\n", real.display());
    std::fs::write(&nft, text).unwrap();
    std::fs::set_permissions(&nft, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let uuid = define(&networks, xml("lab", &format!("<bridge name='br0'/><forward/>{ADDRESS}"))).await.unwrap();
    let failure = start(&networks, uuid).await.unwrap_err();
    assert!(failure.message.starts_with("network 'lab': cannot forward: "), "{failure}");
    assert_eq!((room.left().len(), interface("br0")), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_cannot_be_stopped_as_a_whole_stays_active_and_can_be_stopped_later() {
    let name = "forwarding::a_network_that_cannot_be_stopped_as_a_whole_stays_active_and_can_be_stopped_later";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&["nft"]).await;
    let uuid = create(&networks, xml("lab", &format!("<bridge name='br0'/><forward/>{ADDRESS}"))).await.unwrap();
    let (nft, hidden) = (room.0.path().join("programs/nft"), room.0.path().join("nft"));
    std::fs::rename(&nft, &hidden).unwrap();
    let message = "network 'lab': cannot end forwarding: the program nft is missing (nftables)";
    refused(destroy(&networks, uuid).await, message);
    assert_eq!(names(&networks).await.0, ["lab"]);
    assert_eq!(room.left(), [format!("{uuid}.xml")]);
    std::fs::rename(&hidden, &nft).unwrap();
    destroy(&networks, uuid).await.unwrap();
    assert_eq!((room.left().len(), interface("br0"), rules()), (0, None, String::new()));
}

#[test]
fn no_two_bridges_have_one_table_and_its_name_is_a_word() {
    assert_eq!(table("virbr0"), "guestd_virbr0");
    let all: Vec<_> = ["a", "a_", "a_2d", "a-", "a.", "a+", "A", "-a", "2da"].map(table).to_vec();
    for (index, one) in all.iter().enumerate() {
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{one}");
        assert!(!all[..index].contains(one), "{one}");
    }
}
