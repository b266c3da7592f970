//! The emulator of this machine.

use std::collections::BTreeSet;
use std::fs::File;

use super::*;

fn printed(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new(path).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_installed_emulator_is_what_it_tells_people_as_well() {
    let Some(path) = foreign_tool::require("qemu-system-x86_64") else { return };
    let emulator = Emulator::probe(&path).await.unwrap();
    let [major, minor, micro] = [1_000_000, 1000, 1].map(|part| emulator.version / part % 1000);
    let version = printed(&path, &["--version"]);
    assert!(version.contains(&format!("version {major}.{minor}.{micro}")), "{version}: {emulator:?}");
    assert_eq!(emulator.arch, "x86_64");
    let help = printed(&path, &["-machine", "help"]);
    let named: BTreeSet<_> = help.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    let machines = emulator.machines.iter().flat_map(|machine| [Some(&machine.name), machine.alias.as_ref()]);
    let machines: BTreeSet<_> = machines.flatten().map(String::as_str).chain(["none"]).collect();
    assert_eq!(machines, named);
    let default = &emulator.default_machine().unwrap().name;
    assert!(help.lines().any(|line| line.starts_with(&format!("{default} ")) && line.ends_with("(default)")), "{help}");
    assert!(emulator.accelerators.contains(&Accelerator::Tcg));
    let usable = File::options().read(true).write(true).open("/dev/kvm").is_ok();
    assert_eq!(emulator.accelerators.contains(&Accelerator::Kvm), usable, "{emulator:?}");
}

#[tokio::test]
async fn it_stands_in_the_capabilities() {
    let Some(path) = foreign_tool::require("qemu-system-x86_64") else { return };
    let xml = Emulators::new().capabilities_xml().await;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(xml.contains(&format!("/{name}</emulator>")) && xml.contains("<domain type='qemu'/>"), "{xml}");
    assert!(roxmltree::Document::parse(&xml).is_ok());
}
