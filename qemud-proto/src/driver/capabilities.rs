//! What a host and its guests can do, as the XML that libvirt's clients know.

use xmlwriter::XmlWriter;

use crate::messages::XML_MAX;

/// One kind of guest that a driver runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    /// Its architecture, as definitions spell it.
    pub(super) arch: String,
    /// Bits of an address.
    pub(super) word_size: u32,
    /// The program that runs it.
    pub(super) emulator: Option<String>,
    pub(super) machines: Vec<GuestMachine>,
    /// Values of `domain@type`.
    pub(super) types: Vec<&'static str>,
    /// Elements below `features` that may be switched.
    pub(super) features: &'static [&'static str],
}

/// A machine that a guest may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GuestMachine {
    pub(super) name: String,
    /// What the name stands for now, where it is an alias.
    pub(super) canonical: Option<String>,
    /// Most processors.
    pub(super) processors: u32,
}

/// The capabilities of a host. Where they do not fit a reply the last guests are left out.
pub(super) fn capabilities_xml(host_arch: &str, guests: &[Guest]) -> String {
    let mut guests = guests;
    loop {
        let xml = written(host_arch, guests);
        match guests.split_last() {
            Some((_, shorter)) if xml.len() > XML_MAX => guests = shorter,
            _ => return xml,
        }
    }
}

fn written(host_arch: &str, guests: &[Guest]) -> String {
    let mut xml = XmlWriter::new(xmlwriter::Options {
        use_single_quote: true,
        indent: xmlwriter::Indent::Spaces(2),
        ..xmlwriter::Options::default()
    });
    xml.start_element("capabilities");
    xml.start_element("host");
    xml.start_element("cpu");
    text(&mut xml, "arch", host_arch, &[]);
    xml.end_element();
    xml.end_element();
    for guest in guests {
        write_guest(&mut xml, guest);
    }
    xml.end_document()
}

fn write_guest(xml: &mut XmlWriter, guest: &Guest) {
    xml.start_element("guest");
    text(xml, "os_type", "hvm", &[]);
    xml.start_element("arch");
    xml.write_attribute("name", &guest.arch);
    text(xml, "wordsize", &guest.word_size.to_string(), &[]);
    if let Some(emulator) = &guest.emulator {
        text(xml, "emulator", emulator, &[]);
    }
    for machine in &guest.machines {
        let processors = machine.processors.to_string();
        match &machine.canonical {
            Some(canonical) => {
                text(xml, "machine", &machine.name, &[("canonical", canonical), ("maxCpus", &processors)]);
            }
            None => text(xml, "machine", &machine.name, &[("maxCpus", &processors)]),
        }
    }
    for kind in &guest.types {
        xml.start_element("domain");
        xml.write_attribute("type", kind);
        xml.end_element();
    }
    xml.end_element();
    xml.start_element("features");
    for feature in guest.features {
        xml.start_element(feature);
        xml.end_element();
    }
    xml.end_element();
    xml.end_element();
}

fn text(xml: &mut XmlWriter, name: &str, text: &str, attributes: &[(&str, &str)]) {
    xml.start_element(name);
    for (attribute, value) in attributes {
        xml.write_attribute(attribute, value);
    }
    xml.set_preserve_whitespaces(true);
    // The writer escapes `<` alone.
    xml.write_text(&text.replace('&', "&amp;"));
    xml.end_element();
    xml.set_preserve_whitespaces(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(arch: &str, machines: usize) -> Guest {
        let machine = |number| GuestMachine { name: format!("m{number}"), canonical: None, processors: 8 };
        Guest {
            arch: arch.to_owned(),
            word_size: 64,
            emulator: Some("/opt/a & b/<qemu>".to_owned()),
            machines: (0..machines).map(machine).collect(),
            types: vec!["qemu"],
            features: &["acpi"],
        }
    }

    #[test]
    fn texts_come_back_as_they_were() {
        let xml = capabilities_xml("x86_64", &[guest("x86_64", 1)]);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let found = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
        assert_eq!(found("emulator").text(), Some("/opt/a & b/<qemu>"));
        assert_eq!((found("machine").text(), found("machine").attribute("maxCpus")), (Some("m0"), Some("8")));
    }

    #[test]
    fn guests_that_do_not_fit_a_reply_are_left_out_from_the_end() {
        let guests = [guest("first", 600), guest("second", 600), guest("third", 600)];
        let xml = capabilities_xml("x86_64", &guests);
        assert!(xml.len() <= XML_MAX && xml.contains("name='second'") && !xml.contains("name='third'"), "{xml}");
        assert_eq!(xml, capabilities_xml("x86_64", &guests[..2]));
    }
}
