//! Addresses that dnsmasq hands out, and that it is not asked for more than that.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::super::attach;
use super::namespace::{Machine, WITH_RIGHTS, inside, interface, ip, listen, rules, say};
use super::*;

const FORWARDED: &str = "<bridge name='br0' stp='off'/><forward/>";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_gets_an_address_of_the_range_and_reaches_the_world_under_the_address_of_the_host() {
    let name = "dhcp::a_guest_gets_an_address_of_the_range_and_reaches_the_world_under_the_address_of_the_host";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let uuid = create(&networks, xml("lab", &format!("{FORWARDED}{ADDRESSES}"))).await.unwrap();
    assert!(room.left().contains(&format!("{uuid}.leases")), "{:?}", room.left());

    let mut world = Machine::start("dhcp::the_world", "world");
    ip(&["address", "add", "10.9.9.1/24", "dev", "world"]);
    ip(&["link", "set", "world", "up"]);
    world.tell("connected");
    let mut guest = Machine::start("dhcp::a_guest", "vnet1-0");
    attach("vnet1-0", "br0").await.unwrap();
    world.hear("listening");
    guest.tell("connected");
    let leased: Ipv4Addr = guest.hear("leased").parse().unwrap();
    assert!((100..=109).contains(&leased.octets()[3]) && leased.octets().starts_with(&[192, 168, 99]), "{leased}");
    assert_eq!(guest.hear("router"), "192.168.99.1");
    assert_eq!(guest.hear("names"), "192.168.99.1");
    assert_eq!(guest.hear("the world calls me"), "10.9.9.1");
    // The other way, nothing begins.
    world.tell("192.168.99.50");
    assert_eq!(world.hear("refused"), "yes");
    let leases = std::fs::read_to_string(room.state().join(format!("{uuid}.leases"))).unwrap();
    assert!(leases.contains(&leased.to_string()), "{leases}");

    let pid = pid(&room, uuid);
    assert!(line(&pid).is_some());
    destroy(&networks, uuid).await.unwrap();
    assert_eq!((line(&pid), room.left().len(), interface("br0"), rules()), (None, 0, None, String::new()));
}

/// The number of the dnsmasq of a network.
pub(super) fn pid(room: &Room, uuid: Uuid) -> String {
    std::fs::read_to_string(room.state().join(format!("{uuid}.pid"))).unwrap().trim().to_owned()
}

/// The arguments of a process that has not ended.
pub(super) fn line(pid: &str) -> Option<Vec<String>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    let line = String::from_utf8(line).unwrap();
    Some(line.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
}

#[test]
#[ignore = "another machine of a test"]
fn the_world() {
    say("ready");
    listen();
    ip(&["address", "add", "10.9.9.2/24", "dev", "eth0"]);
    ip(&["link", "set", "eth0", "up"]);
    let socket = UdpSocket::bind("10.9.9.2:4242").unwrap();
    say("listening");
    let (_, guest) = socket.recv_from(&mut [0; 64]).unwrap();
    socket.send_to(guest.ip().to_string().as_bytes(), guest).unwrap();
    // An address of the network, reached by the host as a router.
    let inside = listen();
    ip(&["route", "add", "192.168.99.0/24", "via", "10.9.9.1"]);
    let socket = UdpSocket::bind("10.9.9.2:0").unwrap();
    socket.connect((inside.as_str(), 9)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send(b"?").unwrap();
    let refused = socket.recv(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    say(&format!("refused {}", if refused { "yes" } else { "no" }));
}

#[test]
#[ignore = "another machine of a test"]
fn a_guest() {
    say("ready");
    listen();
    // The kernel takes no packets without an address; this one is given up again.
    ip(&["address", "add", "192.168.99.50/24", "dev", "eth0"]);
    ip(&["link", "set", "eth0", "up"]);
    ip(&["route", "add", "255.255.255.255/32", "dev", "eth0"]);
    let socket = UdpSocket::bind("0.0.0.0:68").unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let offer = ask(&socket, &[53, 1, 1, 55, 2, 3, 6], 2);
    let address = offer.get(16..20).unwrap().to_owned();
    let server = option(&offer, 54).unwrap();
    let mut request = vec![53, 1, 3, 55, 2, 3, 6, 50, 4];
    request.extend_from_slice(&address);
    request.extend_from_slice(&[54, 4]);
    request.extend_from_slice(&server);
    let lease = ask(&socket, &request, 5);
    assert_eq!(lease.get(16..20).unwrap(), address);
    let text = |bytes: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap()).to_string();
    let (address, router) = (text(&address), text(&option(&lease, 3).unwrap()));
    say(&format!("leased {address}"));
    say(&format!("router {router}"));
    say(&format!("names {}", text(&option(&lease, 6).unwrap())));

    ip(&["address", "flush", "dev", "eth0"]);
    ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]);
    ip(&["route", "add", "default", "via", &router]);
    let socket = UdpSocket::bind((address.as_str(), 0)).unwrap();
    socket.connect("10.9.9.2:4242").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send(b"who am I?").unwrap();
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).unwrap();
    say(&format!("the world calls me {}", String::from_utf8_lossy(&answer[..length])));
    listen_until_killed();
}

fn listen_until_killed() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A message of DHCP (RFC 2131 §2) with these options (RFC 2132), sent until one of type `kind` answers it.
fn ask(socket: &UdpSocket, options: &[u8], kind: u8) -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(b"call");
    // It is to be answered by broadcast.
    message[10] = 0x80;
    message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
    message.extend_from_slice(&[99, 130, 83, 99]);
    message.extend_from_slice(options);
    message.push(255);
    message.resize(300, 0);
    for _ in 0..10 {
        socket.send_to(&message, "255.255.255.255:67").unwrap();
        let mut answer = vec![0; 1500];
        if let Ok(length) = socket.recv(&mut answer) {
            answer.truncate(length);
            if answer.get(4..8) == Some(b"call") && option(&answer, 53).as_deref() == Some(&[kind]) {
                return answer;
            }
        }
    }
    panic!("nobody answers");
}

fn option(message: &[u8], number: u8) -> Option<Vec<u8>> {
    let mut rest = message.get(240..)?;
    loop {
        match rest {
            [0, after @ ..] => rest = after,
            [255, ..] | [] | [_] => return None,
            [code, length, after @ ..] => {
                let (value, after) = after.split_at_checked(usize::from(*length))?;
                if *code == number {
                    return Some(value.to_owned());
                }
                rest = after;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dnsmasq_is_told_what_the_network_needs_and_nothing_that_a_client_could_choose() {
    let name = "dhcp::dnsmasq_is_told_what_the_network_needs_and_nothing_that_a_client_could_choose";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    // A name of a file as well, and as long as one may be.
    let hostile = "--dhcp-script=x,\"};$(id)`id` '\\\\ %s\\n ../ flush {"[..40].replace('/', "|").replace('<', "");
    let escaped = hostile.replace('"', "&quot;").replace('\'', "&apos;");
    let inside = format!("<bridge name='-b.+_0'/>{ADDRESSES}");
    let uuid = create(&networks, xml(&escaped, &inside)).await.unwrap();
    assert_eq!(names(&networks).await.0, [hostile]);
    let arguments = line(&pid(&room, uuid)).unwrap();
    let file = |suffix: &str| room.state().join(format!("{uuid}.{suffix}")).to_str().unwrap().to_owned();
    let mut expected = vec![
        "--conf-file=/dev/null".to_owned(),
        "--no-hosts".to_owned(),
        "--bind-interfaces".to_owned(),
        "--interface=-b.+_0".to_owned(),
        "--except-interface=lo".to_owned(),
        format!("--pid-file={}", file("pid")),
        format!("--dhcp-leasefile={}", file("leases")),
        "--dhcp-lease-max=10".to_owned(),
        "--dhcp-authoritative".to_owned(),
        "--dhcp-no-override".to_owned(),
        "--dhcp-range=192.168.99.100,192.168.99.109,255.255.255.0".to_owned(),
        "--port=0".to_owned(),
        "--dhcp-option=option:router".to_owned(),
    ];
    // In a user namespace there is nobody that it could become.
    if arguments.last().is_some_and(|last| last == "--group=") {
        expected.extend(["--user=root".to_owned(), "--group=".to_owned()]);
    }
    assert_eq!(arguments[1..], expected);
    assert_eq!(rules(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dnsmasq_a_network_that_hands_out_addresses_does_not_start_and_nothing_of_it_stays() {
    let name = "dhcp::without_dnsmasq_a_network_that_hands_out_addresses_does_not_start_and_nothing_of_it_stays";
    if !inside(name, WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open_with(&["nft"]).await;
    let message = "network 'lab': cannot hand out addresses: the program dnsmasq is missing";
    refused(create(&networks, xml("lab", &format!("{FORWARDED}{ADDRESSES}"))).await, message);
    // The rules were there by then.
    assert_eq!((room.left().len(), interface("br0"), rules()), (0, None, String::new()));
    assert_eq!(names(&networks).await, (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dnsmasq_says_when_it_cannot_start_is_told_and_nothing_stays() {
    if !inside("dhcp::what_dnsmasq_says_when_it_cannot_start_is_told_and_nothing_stays", WITH_RIGHTS) {
        return;
    }
    let room = Room::new();
    let networks = room.open().await;
    let _taken = UdpSocket::bind("0.0.0.0:67").unwrap();
    let failure = create(&networks, xml("lab", &format!("{FORWARDED}{ADDRESSES}"))).await.unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    let (beginning, end) = failure.message.split_once("dnsmasq: ").unwrap();
    assert!(beginning.starts_with("network 'lab': cannot hand out addresses: /"), "{failure}");
    assert!(end.contains("Address already in use"), "{failure}");
    assert_eq!((room.left().len(), interface("br0"), rules()), (0, None, String::new()));
}
