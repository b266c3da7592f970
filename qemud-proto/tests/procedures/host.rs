//! The daemon, its machine, and what a driver leaves out.

use std::sync::Arc;

use async_trait::async_trait;
use qemud_proto::driver::node::node_info;
use qemud_proto::driver::test::TestDriver;
use qemud_proto::driver::{Driver, Opening};
use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use qemud_proto::uri::ConnectUri;
use rpc_frame::ProcedureTable;

use crate::every_call::call_each;
use crate::wire::{Wire, proofs, refused};

proofs! {
    the_version_is_that_of_the_package,
    the_machine_is_described,
    capabilities_name_the_machine_and_the_types_of_guests,
    a_negotiation_tells_the_versions_and_the_active_procedures,
    another_major_version_is_refused_with_the_range,
    a_uri_opens_its_driver_once,
    events_begin_and_end_as_often_as_one_likes,
    what_a_driver_leaves_out_is_not_supported,
}

async fn the_version_is_that_of_the_package(wire: &Wire) {
    let version = wire.call(GetVersion).await.unwrap();
    let parts = [version / 1_000_000, version / 1000 % 1000, version % 1000];
    assert_eq!(parts.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
}

async fn the_machine_is_described(wire: &Wire) {
    let told = wire.call(GetNodeInfo).await.unwrap();
    // The clock's speed changes from one moment to the next.
    assert_eq!(told, NodeInfo { mhz: told.mhz, ..node_info() });
    assert!(told.memory > 0 && told.cpus > 0);
}

async fn capabilities_name_the_machine_and_the_types_of_guests(wire: &Wire) {
    let xml = wire.call(GetCapabilities).await.unwrap().xml;
    let document = roxmltree::Document::parse(&xml).unwrap();
    assert!(document.root_element().has_tag_name("capabilities"), "{xml}");
    let arch = document.descendants().find(|node| node.has_tag_name("arch")).unwrap();
    assert_eq!(arch.text(), Some(node_info().model.as_str()));
    let domains = document.descendants().filter(|node| node.has_tag_name("domain"));
    assert_eq!(domains.filter_map(|node| node.attribute("type")).collect::<Vec<_>>(), ["test", "qemu", "kvm"]);
}

async fn a_negotiation_tells_the_versions_and_the_active_procedures(wire: &Wire) {
    let negotiated = wire.call(Negotiate { major: 1, minor: 0 }).await.unwrap();
    assert_eq!(negotiated, Negotiated { major: 1, minor: 0, active: (1..=39).collect() });
}

async fn events_begin_and_end_as_often_as_one_likes(wire: &Wire) {
    wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap();
    for on in [false, true, true, false, false, true] {
        wire.call(DomainEvents { on }).await.unwrap();
    }
}

async fn a_uri_opens_its_driver_once(wire: &Wire) {
    wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap();
    let open = |uri: &str, flags| Open { uri: uri.to_owned(), flags };
    for (uri, says) in [
        ("xen:///", "no driver serves 'xen:///'; there are: test"),
        ("test:///default?a=b", "driver 'test' takes no parameters, and was given 'a=b'"),
        ("test:///other", "driver 'test' has no connection '/other'; there is '/default'"),
        ("test", "'test' is not a URI: it does not begin with 'driver://' or 'driver+transport://'"),
        (
            "test+tcp://host/default",
            "'test+tcp://host/default' tells the way to another daemon, which this one does not go",
        ),
    ] {
        refused(wire.call(open(uri, 0)).await, Code::NoConnect, says);
    }
    refused(wire.call(open("", 6)).await, Code::InvalidArg, "flags 0x6 are not known");
    wire.call(open("test:///default", 0)).await.unwrap();
    refused(wire.call(open("", 0)).await, Code::OperationInvalid, "the connection is open already");
}

/// A driver of two hypervisors.
struct Many {
    machines: [Arc<TestDriver>; 2],
}

#[async_trait]
impl Driver for Many {
    fn name(&self) -> &'static str {
        "many"
    }

    async fn open(&self, uri: &ConnectUri) -> Reply<Opening> {
        let [empty, full] = self.machines.clone();
        Ok(match (uri.driver.as_str(), uri.path.as_str()) {
            ("many", "/empty") => Opening::Through(empty),
            ("many", "/full") => Opening::Through(full),
            _ => Opening::Declined,
        })
    }
}

#[tokio::test]
async fn a_driver_with_several_hypervisors_gives_each_uri_its_own() {
    let many = || Many { machines: [Arc::default(), Arc::new(TestDriver::with_defaults().unwrap())] };
    for (uri, ids) in [("many:///empty", Ok(vec![])), ("many:///full", Ok(vec![1])), ("many:///", Err(()))] {
        let wire = Wire::with(many());
        wire.call(Negotiate { major: 1, minor: 1 }).await.unwrap();
        let opened = wire.call(Open { uri: uri.to_owned(), flags: 0 }).await;
        match ids {
            Ok(ids) => assert_eq!((opened, wire.call(ListDomains).await), (Ok(()), Ok(DomainIds { ids }))),
            Err(()) => refused(opened, Code::NoConnect, "no driver serves 'many:///'; there are: many"),
        }
    }
}

async fn another_major_version_is_refused_with_the_range(wire: &Wire) {
    for major in [0, 2, u32::MAX] {
        let message = format!("protocol major version {major} is not supported, only 1 to 1");
        refused(wire.call(Negotiate { major, minor: 0 }).await, Code::NoSupport, &message);
    }
}

struct Bare;

impl Driver for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }
}

async fn what_a_driver_leaves_out_is_not_supported(wire: &Wire) {
    let bare = Wire::with(Bare);
    let mut called = Vec::new();
    for (name, ending) in call_each(&bare.client, Uuid([0; 16])).await {
        let failure = ending.unwrap_or_else(|error| panic!("{name}: {error}"));
        // These are the daemon's, not its driver's.
        let expected = match name {
            "Negotiate" | "Open" => None,
            "StreamRead" => Some(Failure::new(Code::InvalidArg, "no open stream has the number 1")),
            _ => Some(Failure::no_support(name)),
        };
        assert_eq!(failure, expected);
        wire.record(name, failure.as_ref());
        called.push(name);
    }
    assert_eq!(called, Guest::PROCEDURES.iter().map(|line| line.name).collect::<Vec<_>>());
}
