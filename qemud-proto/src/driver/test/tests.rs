use pollster::block_on;

use super::*;

struct Bare;

impl Driver for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }
}

#[test]
fn a_procedure_a_driver_leaves_out_is_not_supported() {
    let driver: &dyn Driver = &Bare;
    let failure = block_on(driver.domain_restore(DomainRestore { path: String::new() })).unwrap_err();
    assert_eq!(failure, Failure::new(Code::NoSupport, "this driver does not support DomainRestore"));
    let failure = block_on(driver.get_version(GetVersion)).unwrap_err();
    assert_eq!(failure.message, "this driver does not support GetVersion");
}

#[test]
fn a_new_driver_has_nothing() {
    let driver = TestDriver::new();
    assert_eq!(driver.name(), "test");
    assert_eq!(block_on(driver.num_domains(NumDomains)), Ok(0));
    assert_eq!(block_on(driver.num_defined_domains(NumDefinedDomains)), Ok(0));
    assert_eq!(block_on(driver.num_networks(NumNetworks)), Ok(0));
    assert_eq!(block_on(driver.num_defined_networks(NumDefinedNetworks)), Ok(0));
}

#[test]
fn the_defaults_are_a_running_domain_and_an_active_network() {
    let driver = TestDriver::with_defaults().unwrap();
    let name = "test".to_owned();
    let domain = block_on(driver.domain_lookup_by_name(DomainLookupByName { name })).unwrap();
    assert_eq!(domain.id, 1);
    assert_eq!(domain.uuid.to_string(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
    let info = block_on(driver.domain_get_info(DomainGetInfo { uuid: domain.uuid })).unwrap();
    assert_eq!(info.runstate, RunState::Running);
    assert_eq!((info.memory, info.maxmem, info.nr_virt_cpu), (2_097_152, 8_388_608, 2));
    let name = "default".to_owned();
    let uuid = block_on(driver.network_lookup_by_name(NetworkLookupByName { name })).unwrap();
    assert_eq!(block_on(driver.num_networks(NumNetworks)), Ok(1));
    assert_eq!(block_on(driver.network_get_autostart(NetworkGetAutostart { uuid })), Ok(true));
    let bridge = block_on(driver.network_get_bridge_name(NetworkGetBridgeName { uuid })).unwrap();
    assert_eq!(bridge.name, "virbr0");
    // Both are defined, so they outlive a stop.
    block_on(driver.domain_destroy(DomainDestroy { id: 1 })).unwrap();
    block_on(driver.network_destroy(NetworkDestroy { uuid })).unwrap();
    assert_eq!(block_on(driver.num_defined_domains(NumDefinedDomains)), Ok(1));
    assert_eq!(block_on(driver.num_defined_networks(NumDefinedNetworks)), Ok(1));
}

#[test]
fn the_version_is_that_of_the_crate() {
    let version = block_on(TestDriver::new().get_version(GetVersion)).unwrap();
    let parts = [version / 1_000_000, version / 1000 % 1000, version % 1000];
    assert_eq!(parts.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_machine_is_described() {
    let info = block_on(TestDriver::new().get_node_info(GetNodeInfo)).unwrap();
    // The clock's speed changes from one moment to the next.
    assert_eq!(info, NodeInfo { mhz: info.mhz, ..node_info() });
}

#[test]
fn capabilities_are_xml_that_names_the_guests() {
    let xml = block_on(TestDriver::new().get_capabilities(GetCapabilities)).unwrap().xml;
    let document = roxmltree::Document::parse(&xml).unwrap();
    let text = |name| {
        let node = document.descendants().find(|node| node.has_tag_name(name));
        node.and_then(|node| node.text())
    };
    let arch = node_info().model;
    assert_eq!((text("os_type"), text("arch")), (Some("hvm"), Some(arch.as_str())), "{xml}");
    assert_eq!(text("wordsize"), Some(usize::BITS.to_string().as_str()));
    let guest = document.root_element().last_element_child().unwrap();
    let domains = guest.descendants().filter(|node| node.has_tag_name("domain"));
    let types: Vec<_> = domains.filter_map(|node| node.attribute("type")).collect();
    assert_eq!(types, ["test", "qemu", "kvm"]);
    assert_eq!(guest.last_element_child().unwrap().tag_name().name(), "features");
}

#[test]
fn the_driver_can_be_shared_between_threads() {
    let driver = TestDriver::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let driver = &driver;
            scope.spawn(move || {
                for number in 0..20 {
                    let xml = DEFAULT_DOMAIN
                        .replace(">test<", &format!(">d{thread}-{number}<"))
                        .replace("  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>\n", "");
                    block_on(driver.domain_create(DomainCreate { xml })).unwrap();
                }
            });
        }
    });
    let ids = block_on(driver.list_domains(ListDomains)).unwrap().ids;
    assert_eq!(ids, (1..=160).collect::<Vec<_>>());
}
