//! Definitions: their files, and what becomes of them. Nothing is started, so that no rights are needed.

use std::fs;

use super::*;

const INSIDE: &str = "<bridge name='br-x'/>";

#[tokio::test]
async fn a_definition_and_its_mark_last_until_it_is_undefined() {
    let room = Room::new();
    let networks = room.open().await;
    let uuid = define(&networks, xml("lab", INSIDE)).await.unwrap();
    let marked = async |networks: &QemuNetworks| networks.network_get_autostart(NetworkGetAutostart { uuid }).await;
    assert_eq!(marked(&networks).await, Ok(false));
    networks.network_set_autostart(NetworkSetAutostart { uuid, autostart: true }).await.unwrap();
    let text = dump(&networks, uuid).await;
    drop(networks);

    // Where it is marked it is started, which may fail here; that is another test's.
    fs::remove_file(room.definitions().join("autostart/lab.xml")).unwrap();
    let networks = room.open().await;
    assert_eq!((dump(&networks, uuid).await, marked(&networks).await), (text.clone(), Ok(false)));
    assert_eq!(fs::read_to_string(room.definitions().join("lab.xml")).unwrap(), text);
    let name = networks.network_lookup_by_uuid(NetworkLookupByUuid { uuid }).await.unwrap().name;
    assert_eq!(networks.network_lookup_by_name(NetworkLookupByName { name }).await.unwrap(), uuid);
    assert_eq!(networks.num_defined_networks(NumDefinedNetworks).await, Ok(1));
    assert_eq!(networks.num_networks(NumNetworks).await, Ok(0));
    assert_eq!(networks.network_get_bridge_name(NetworkGetBridgeName { uuid }).await.unwrap().name, "br-x");
    networks.network_undefine(NetworkUndefine { uuid }).await.unwrap();
    assert_eq!(files(&room.definitions()), [""; 0]);
    assert_eq!(names(&room.open().await).await, (vec![], vec![]));
}

#[tokio::test]
async fn one_bad_file_never_hides_the_others() {
    let room = Room::new();
    let networks = room.open().await;
    define(&networks, xml("good", INSIDE)).await.unwrap();
    let first = define(&networks, xml("a", "<bridge name='br-y'/>")).await.unwrap();
    let file = |name: &str| room.definitions().join(name);
    fs::write(file("nonsense.xml"), "<network").unwrap();
    fs::write(file("other.xml"), xml("another", "")).unwrap();
    fs::write(file("late.xml"), xml("late", INSIDE)).unwrap();
    fs::write(file("same.xml"), xml("same", &format!("<uuid>{first}</uuid>"))).unwrap();
    fs::write(file("state"), "").unwrap();
    let networks = room.open().await;
    assert_eq!(names(&networks).await.1, ["a", "good"]);
    let failure = define(&networks, xml("nonsense", "<bridge name='br-z'/>")).await.unwrap_err();
    assert!(failure.message.contains(&file("nonsense.xml").display().to_string()), "{failure}");
    assert_eq!(fs::read_to_string(file("nonsense.xml")).unwrap(), "<network");
    assert_eq!(files(&room.definitions()).len(), 7);
}

#[tokio::test]
async fn a_definition_written_by_hand_keeps_the_identity_and_the_bridge_that_it_has_got() {
    let room = Room::new();
    fs::create_dir(room.definitions()).unwrap();
    let file = room.definitions().join("lab.xml");
    fs::write(&file, xml("lab", "")).unwrap();
    let networks = room.open().await;
    let lookup = || NetworkLookupByName { name: "lab".to_owned() };
    let uuid = networks.network_lookup_by_name(lookup()).await.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(&uuid.to_string()) && text.contains("<bridge name='virbr"), "{text}");
    let networks = room.open().await;
    assert_eq!(networks.network_lookup_by_name(lookup()).await, Ok(uuid));
    assert_eq!(dump(&networks, uuid).await, text);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_defined() {
    let room = Room::new();
    let networks = room.open().await;
    // Not even root can write here.
    fs::remove_dir_all(room.definitions()).unwrap();
    let failure = define(&networks, xml("lab", INSIDE)).await.unwrap_err();
    assert_eq!(failure.code, Code::SystemError);
    assert_eq!(names(&networks).await.1, [""; 0]);
}
