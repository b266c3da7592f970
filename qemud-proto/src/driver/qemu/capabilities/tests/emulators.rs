//! All emulators of a machine, and which of them runs what.

use std::env;

use super::*;
use crate::driver::qemu::programs::Programs;
use crate::xml::DomainDefinition;
use crate::xml::domain::DomainType;

/// A machine whose emulators are in two folders.
struct Host {
    _folder: TempDir,
    folders: [PathBuf; 2],
}

impl Host {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let folders = ["first", "second"].map(|name| folder.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
        }
        Self { _folder: folder, folders }
    }

    /// Adds an emulator that notes each of its starts.
    fn add(&self, folder: usize, name: &str, target: &str) -> PathBuf {
        let path = self.folders[folder].join(name);
        let answers = ANSWERS.replace("i386", target);
        script(&path, &format!("echo >>\"$0.starts\"\n{}", answering(&answers)));
        path
    }

    fn starts(path: &Path) -> usize {
        std::fs::read(format!("{}.starts", path.display())).map_or(0, |starts| starts.len())
    }

    fn emulators(&self) -> Emulators {
        Emulators::among(Programs::within(&env::join_paths(&self.folders).unwrap()), "x86_64".to_owned())
    }
}

fn definition(kind: &str, devices: &str) -> DomainDefinition {
    let xml = format!(
        "<domain type='qemu'><name>web</name><memory>65536</memory><os><type{kind}>hvm</type></os>\
         <devices>{devices}</devices></domain>"
    );
    DomainDefinition::parse(&xml, &[DomainType::Qemu]).unwrap()
}

#[tokio::test]
async fn a_definition_is_run_by_the_emulator_that_it_names_or_the_first_of_its_architecture() {
    let host = Host::new();
    let wide = host.add(1, "qemu-system-x86_64", "x86_64");
    let emulators = host.emulators();
    let path = async |kind: &str, devices: &str| {
        emulators.for_domain(&definition(kind, devices)).await.map(|emulator| emulator.path.clone())
    };
    assert_eq!(path("", "").await.unwrap(), wide);
    assert_eq!(emulators.for_host().await.unwrap().path, wide);
    assert_eq!(path(" arch='i686'", "").await.unwrap(), wide);
    let narrow = host.add(1, "qemu-system-i386", "i386");
    assert_eq!(path(" arch='i686'", "").await.unwrap(), narrow);
    let earlier = host.add(0, "qemu-system-x86_64", "x86_64");
    assert_eq!(path(" arch='x86_64'", "").await.unwrap(), earlier);
    let named = format!("<emulator>{}</emulator>", wide.display());
    assert_eq!(path(" arch='i686'", &named).await.unwrap(), wide);
    let failure = path(" arch='armv7l'", "").await.unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    assert_eq!(failure.message, "no emulator for armv7l: there is no qemu-system-arm in PATH");
    let failure = path("", "<emulator>/nowhere/qemu</emulator>").await.unwrap_err();
    assert!(failure.message.starts_with("'/nowhere/qemu' cannot be used as an emulator: "), "{failure}");
}

#[tokio::test]
async fn an_emulator_is_asked_once_and_again_when_it_has_changed() {
    let host = Host::new();
    let path = host.add(0, "qemu-system-x86_64", "x86_64");
    let emulators = host.emulators();
    for _ in 0..3 {
        assert_eq!(emulators.at(&path).await.unwrap().arch, "x86_64");
    }
    assert_eq!(Host::starts(&path), 1);
    host.add(0, "qemu-system-x86_64", "riscv64");
    assert_eq!(emulators.at(&path).await.unwrap().arch, "riscv64");
    assert_eq!(Host::starts(&path), 2);
    std::fs::remove_file(&path).unwrap();
    assert!(emulators.at(&path).await.is_err());
}

#[tokio::test]
async fn capabilities_tell_of_all_emulators_that_answer() {
    let host = Host::new();
    host.add(0, "qemu-system-riscv64", "riscv64");
    let wide = host.add(1, "qemu-system-x86_64", "x86_64");
    let others = ["qemu-system-x86_64-spice", "qemu-system-", "qemu-img"].map(|name| host.add(0, name, "x86_64"));
    script(&host.folders[0].join("qemu-system-mips"), "exit 1");
    std::fs::write(host.folders[0].join("qemu-system-sparc"), "").unwrap();
    std::os::unix::fs::symlink(&wide, host.folders[1].join("qemu-kvm")).unwrap();
    let emulators = host.emulators();
    let xml = emulators.capabilities_xml().await;
    let document = roxmltree::Document::parse(&xml).unwrap();
    let guests: Vec<_> = document.descendants().filter(|node| node.has_tag_name("guest")).collect();
    let text = |guest: &roxmltree::Node<'_, '_>, name: &str| {
        let found = guest.descendants().find(|node| node.has_tag_name(name));
        found.and_then(|node| node.text()).unwrap().to_owned()
    };
    let arch = |guest: &roxmltree::Node<'_, '_>| {
        let arch = guest.children().find(|node| node.has_tag_name("arch")).unwrap();
        arch.attribute("name").unwrap().to_owned()
    };
    assert_eq!(guests.iter().map(arch).collect::<Vec<_>>(), ["x86_64", "riscv64", "i686"]);
    assert!(others.iter().all(|other| Host::starts(other) == 0));
    assert_eq!(text(&document.root_element(), "arch"), "x86_64");
    let kvm = if probe::unusable(Path::new(probe::KVM)).is_none() { "\n      <domain type='kvm'/>" } else { "" };
    let path = wide.parent().unwrap().join("qemu-kvm");
    let expected = format!(
        "  <guest>
    <os_type>hvm</os_type>
    <arch name='x86_64'>
      <wordsize>64</wordsize>
      <emulator>{}</emulator>
      <machine maxCpus='255'>pc-9</machine>
      <machine maxCpus='288'>q35-9</machine>
      <machine canonical='q35-9' maxCpus='288'>q35</machine>
      <domain type='qemu'/>{kvm}
    </arch>
    <features>
      <acpi/>
      <apic/>
    </features>
  </guest>
",
        path.display()
    );
    assert!(xml.contains(&expected), "{xml}");
    assert_eq!(text(&guests[2], "emulator"), path.to_str().unwrap());
    assert!(xml.contains("      <apic/>\n      <pae/>\n"), "{xml}");
}

#[tokio::test]
async fn emulators_are_asked_at_once() {
    let host = Host::new();
    // Each answers when the other has been started, and long before it would be given up.
    for (name, other) in [("mips", "sparc"), ("sparc", "mips")] {
        let path = host.folders[0].join(format!("qemu-system-{name}"));
        let waits =
            format!("touch '{0}/{name}'; until [ -e '{0}/{other}' ]; do sleep 0.01; done", host.folders[1].display());
        script(&path, &format!("{waits}\n{}", answering(&ANSWERS.replace("i386", name))));
    }
    let xml = host.emulators().capabilities_xml().await;
    assert!(xml.contains("<arch name='mips'>") && xml.contains("<arch name='sparc'>"), "{xml}");
}

#[tokio::test]
async fn a_machine_without_emulators_has_capabilities_without_guests() {
    let xml = Host::new().emulators().capabilities_xml().await;
    let expected =
        "<capabilities>\n  <host>\n    <cpu>\n      <arch>x86_64</arch>\n    </cpu>\n  </host>\n</capabilities>\n";
    assert_eq!(xml, expected);
    let failure = Host::new().emulators().for_host().await.unwrap_err();
    assert_eq!(failure.message, "no emulator for x86_64: there is no qemu-system-x86_64 and no qemu-kvm in PATH");
}
