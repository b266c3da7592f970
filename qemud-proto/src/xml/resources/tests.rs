use crate::xml::domain::{DomainDefinition, DomainType};

fn read(inside: &str) -> Result<(u32, u32, u16), String> {
    let xml = format!("<domain type='qemu'><name>a</name>\n{inside}<os><type>hvm</type></os></domain>");
    let definition = DomainDefinition::parse(&xml, &[DomainType::Qemu]);
    let definition = definition.map_err(|failure| failure.message)?;
    Ok((definition.memory, definition.current_memory, definition.vcpus))
}

#[test]
fn memory_is_in_kib_unless_a_unit_says_otherwise() {
    assert_eq!(read("<memory> 512\n</memory>"), Ok((512, 512, 1)));
    for (unit, kibibytes) in [("KiB", 3000), ("k", 3000), ("b", 3), ("KB", 2930), ("MiB", 3_072_000)] {
        let memory = format!("<memory unit='{unit}'>3000</memory>");
        assert_eq!(read(&memory), Ok((kibibytes, kibibytes, 1)), "{unit}");
    }
    assert_eq!(read("<memory unit='GiB'>2</memory>"), Ok((2_097_152, 2_097_152, 1)));
    assert!(read("<memory unit='pages'>2</memory>").unwrap_err().contains("memory@unit is 'pages'"));
}

#[test]
fn rejects_memory_that_is_no_number_of_the_wire() {
    assert_eq!(read("<memory>4294967295</memory>").unwrap().0, u32::MAX);
    for memory in ["4294967296", "18446744073709551615"] {
        let message = read(&format!("<memory>{memory}</memory>")).unwrap_err();
        assert_eq!(message, "line 2: memory is more than 4294967295 KiB");
    }
    for memory in ["", "0", "-1", "+5", "1.5", "0x10", "18446744073709551616", "1<!-- -->x"] {
        let message = read(&format!("<memory>{memory}</memory>")).unwrap_err();
        assert!(message.contains("in memory is no number from 1"), "{memory}: {message}");
    }
    assert_eq!(read("").unwrap_err(), "line 1: domain has no memory");
    assert!(read("<memory slots='2'>1</memory>").unwrap_err().contains("memory@slots"));
}

#[test]
fn current_memory_is_at_most_the_memory() {
    let with = |current: &str| read(&format!("<memory>8</memory>{current}"));
    assert_eq!(with("<currentMemory>8</currentMemory>"), Ok((8, 8, 1)));
    assert_eq!(with("<currentMemory>5</currentMemory>"), Ok((8, 5, 1)));
    assert_eq!(
        with("<currentMemory>9</currentMemory>").unwrap_err(),
        "line 2: currentMemory of 9 KiB is more than the memory of 8 KiB"
    );
}

#[test]
fn virtual_processors_are_counted_from_1_to_1024() {
    let with = |vcpu: &str| read(&format!("<memory>8</memory>{vcpu}"));
    assert_eq!(with("<vcpu placement='static'>1024</vcpu>"), Ok((8, 8, 1024)));
    for vcpu in ["0", "1025", "two"] {
        let message = with(&format!("<vcpu>{vcpu}</vcpu>")).unwrap_err();
        assert_eq!(message, format!("line 2: '{vcpu}' in vcpu is no number from 1 to 1024"));
    }
    assert!(with("<vcpu current='1'>2</vcpu>").unwrap_err().contains("vcpu@current"));
}
