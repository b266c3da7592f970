//! Bridges and their addresses; what is refused, and that nothing of it stays.

use super::super::attach;
use super::namespace::{WITH_RIGHTS, WITHOUT_RIGHTS, inside, interface, ip, rules, setting};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_a_bridge_as_its_definition_says_and_all_is_gone_when_it_stops() {
    if !inside("bridges::a_network_is_a_bridge_as_its_definition_says_and_all_is_gone_when_it_stops", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    // It needs no program.
    let networks = room.open_with(&[]).await;
    let uuid = define(&networks, xml("lab", &format!("<bridge name='br-lab' stp='off' delay='4'/>{ADDRESS}"))).await;
    let uuid = uuid.unwrap();
    assert_eq!(interface("br-lab"), None);
    for _ in 0..2 {
        start(&networks, uuid).await.unwrap();
        let bridge = interface("br-lab").unwrap();
        let [.., a, b, c, d, e] = uuid.0;
        assert_eq!(bridge["address"], format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}"));
        assert!(bridge["flags"].as_array().unwrap().contains(&"UP".into()), "{bridge}");
        let kind = &bridge["linkinfo"];
        assert_eq!(kind["info_kind"], "bridge");
        assert_eq!((&kind["info_data"]["stp_state"], &kind["info_data"]["forward_delay"]), (&0.into(), &400.into()));
        let addresses = bridge["addr_info"].as_array().unwrap();
        assert_eq!(addresses.len(), 1, "{bridge}");
        assert_eq!(addresses[0]["local"], "192.168.99.1");
        assert_eq!((&addresses[0]["prefixlen"], &addresses[0]["broadcast"]), (&24.into(), &"192.168.99.255".into()));
        assert_eq!(setting("ipv6/conf/br-lab/disable_ipv6"), "1");
        assert_eq!(room.left(), [format!("{uuid}.xml")]);
        assert_eq!(networks.bridge_of("lab").await.unwrap(), "br-lab");
        assert_eq!(names(&networks).await, (vec!["lab".to_owned()], vec![]));

        destroy(&networks, uuid).await.unwrap();
        assert_eq!(interface("br-lab"), None);
        assert_eq!(room.left(), [""; 0]);
        assert_eq!(names(&networks).await, (vec![], vec!["lab".to_owned()]));
    }
    assert_eq!(rules(), "");
    assert_eq!(setting("ipv4/ip_forward"), "0");
    let failure = networks.bridge_of("lab").await.unwrap_err();
    assert_eq!(failure, Failure::new(Code::OperationInvalid, "network 'lab' is not active"));
    assert_eq!(networks.bridge_of("x").await.unwrap_err().code, Code::NoNetwork);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spanning_tree_protocol_is_on_unless_it_is_switched_off() {
    if !inside("bridges::the_spanning_tree_protocol_is_on_unless_it_is_switched_off", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    create(&networks, xml("lab", "<bridge delay='7'/>")).await.unwrap();
    let data = interface("virbr0").unwrap()["linkinfo"]["info_data"].clone();
    assert_eq!((&data["stp_state"], &data["forward_delay"]), (&1.into(), &700.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_change_networks_a_start_says_so_and_leaves_nothing() {
    let name = "bridges::without_the_right_to_change_networks_a_start_says_so_and_leaves_nothing";
    if !inside(name, WITHOUT_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let uuid = define(&networks, xml("lab", "<bridge name='br0'/>")).await.unwrap();
    let message = "network 'lab': cannot make the bridge 'br0': Operation not permitted (os error 1); \
        this takes the capability CAP_NET_ADMIN";
    refused(start(&networks, uuid).await, message);
    assert_eq!(room.left(), [""; 0]);
    assert_eq!(names(&networks).await, (vec![], vec!["lab".to_owned()]));
    refused(
        create(&networks, xml("other", "<bridge name='br0'/>")).await.map(|_| ()),
        "network 'lab' uses the bridge 'br0' already",
    );
    let created = create(&networks, xml("other", "<bridge name='br1'/>")).await;
    refused(created, &message.replace("lab", "other").replace("br0", "br1"));
    assert_eq!(names(&networks).await, (vec![], vec!["lab".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_of_somebody_else_is_refused_left_alone_and_not_chosen() {
    if !inside("bridges::a_bridge_of_somebody_else_is_refused_left_alone_and_not_chosen", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    ip(&["link", "add", "virbr0", "type", "bridge"]);
    let message = "network 'lab': cannot make the bridge 'virbr0': \
        the host has an interface of that name, which is not this network's";
    refused(create(&networks, xml("lab", "<bridge name='virbr0'/>")).await, message);
    assert!(interface("virbr0").is_some());
    assert_eq!(room.left(), [""; 0]);

    let uuid = create(&networks, xml("lab", "")).await.unwrap();
    assert_eq!(networks.bridge_of("lab").await.unwrap(), "virbr1");
    // Somebody takes its place.
    ip(&["link", "delete", "virbr1"]);
    ip(&["link", "add", "virbr1", "type", "bridge"]);
    destroy(&networks, uuid).await.unwrap();
    assert!(interface("virbr1").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_networks_have_neither_a_bridge_nor_addresses_in_common() {
    if !inside("bridges::two_networks_have_neither_a_bridge_nor_addresses_in_common", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    create(&networks, xml("one", &format!("<bridge name='br1'/>{ADDRESS}"))).await.unwrap();
    refused(create(&networks, xml("two", "<bridge name='br1'/>")).await, "network 'one' uses the bridge 'br1' already");
    let wider = "<bridge name='br2'/><ip address='192.168.1.1' netmask='255.255.0.0'/>";
    let message = "network 'two': cannot take the addresses 192.168.0.0/16: \
        the host is in 192.168.99.0/24 already, by its interface 'br1'";
    refused(create(&networks, xml("two", wider)).await, message);
    assert_eq!(interface("br2"), None);
    let beside = "<bridge name='br2'/><ip address='192.168.98.1' netmask='255.255.255.0'/>";
    create(&networks, xml("two", beside)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_is_put_into_a_bridge_and_switched_on() {
    if !inside("bridges::an_interface_is_put_into_a_bridge_and_switched_on", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    create(&networks, xml("lab", "<bridge name='br0'/>")).await.unwrap();
    ip(&["link", "add", "vnet1-0", "type", "veth", "peer", "name", "guest"]);
    attach("vnet1-0", "br0").await.unwrap();
    let port = interface("vnet1-0").unwrap();
    assert_eq!(port["master"], "br0");
    assert!(port["flags"].as_array().unwrap().contains(&"UP".into()), "{port}");

    let message = |why: &str| format!("cannot put the interface 'vnet1-0' into the bridge {why}");
    refused(attach("vnet1-0", "br9").await, &message("'br9': there is no interface 'br9'"));
    refused(attach("vnet1-0", "lo").await, &message("'lo': 'lo' is no bridge"));
    refused(attach("x", "br0").await, "cannot put the interface 'x' into the bridge 'br0': there is no interface 'x'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_caller_leaves_is_made_to_its_end() {
    if !inside("bridges::a_start_whose_caller_leaves_is_made_to_its_end", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&[]).await;
    let uuid = define(&networks, xml("lab", &format!("<bridge name='br0'/>{ADDRESS}"))).await.unwrap();
    {
        let mut left = std::pin::pin!(start(&networks, uuid));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(left.as_mut().poll(cx).is_pending())).await;
        assert!(polled, "it was done at once");
    }
    // It has its turn after that.
    destroy(&networks, uuid).await.unwrap();
    assert_eq!(interface("br0"), None);
}
