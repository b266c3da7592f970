use std::thread;

use super::domain::DomainType;
use super::*;

const TYPES: &[DomainType] = &[DomainType::Qemu, DomainType::Kvm];

fn domain(inside: &str) -> String {
    format!("<domain type='qemu'><name>web</name><memory>1024</memory><os><type>hvm</type></os>{inside}</domain>")
}

fn refusal(xml: &str) -> String {
    let failure = DomainDefinition::parse(xml, TYPES).unwrap_err();
    assert_eq!(failure.code, Code::XmlError, "{failure}");
    failure.message
}

fn named(name: &str) -> String {
    domain("").replace("<name>web</name>", &format!("<name>{name}</name>"))
}

#[test]
fn rejects_an_external_entity() {
    let xml = "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>".to_owned();
    let message = refusal(&(xml + &named("&x;")));
    assert!(message.ends_with("a document type declaration is refused"), "{message}");
}

#[test]
fn rejects_a_billion_laughs() {
    let mut xml = "<!DOCTYPE domain [<!ENTITY l0 'ha'>".to_owned();
    for level in 1..10 {
        let inner = format!("&l{};", level - 1).repeat(10);
        xml += &format!("<!ENTITY l{level} '{inner}'>");
    }
    let message = refusal(&(xml + "]>" + &named("&l9;")));
    assert!(message.ends_with("a document type declaration is refused"), "{message}");
}

#[test]
fn rejects_a_document_type_without_entities_and_an_entity_without_a_document_type() {
    assert!(refusal(&format!("<!DOCTYPE domain>{}", domain(""))).contains("declaration is refused"));
    assert!(refusal(&format!("<!DOCTYPE d [ ]>{}", domain(""))).contains("declaration is refused"));
    let message = refusal(&format!("<?xml version='1.0'?>\n{}", named("&x;")));
    assert!(message.starts_with("line 2, column "), "{message}");
    assert!(message.contains("unknown entity reference 'x'"), "{message}");
}

#[test]
fn character_references_and_cdata_are_read() {
    let definition = DomainDefinition::parse(&named("a&amp;&#x62;<![CDATA[<c>]]>"), TYPES).unwrap();
    assert_eq!(definition.name, "a&b<c>");
}

#[test]
fn malformed_xml_is_refused_with_line_and_column() {
    let message = refusal("<domain type='qemu'>\n  <name>x</nam>\n</domain>");
    assert_eq!(message, "line 2, column 10: malformed xml: expected 'name' tag, not 'nam'");
    for xml in ["", " ", "<", "<domain", "<domain>", "text", "<domain/><domain/>", "\u{0}"] {
        assert!(refusal(xml).starts_with("line 1, column "), "{xml}");
    }
}

#[test]
fn every_prefix_of_a_definition_is_refused_without_a_panic() {
    let xml = domain("<metadata><a xmlns='b'>\u{e9}<![CDATA[x]]><!-- y --></a></metadata>");
    for (end, _) in xml.char_indices() {
        refusal(&xml[..end]);
    }
    assert!(DomainDefinition::parse(&xml, TYPES).is_ok());
}

#[test]
fn survives_the_deepest_nesting_on_a_small_stack() {
    let closed = domain(&format!("<metadata>{}{}</metadata>", "<a>".repeat(9000), "</a>".repeat(9000)));
    let foreign = domain(&format!("<a>{}<x:b xmlns:x='y'/>{}</a>", "<a>".repeat(9000), "</a>".repeat(9000)));
    let in_name = named(&("<a>".repeat(9000) + &"</a>".repeat(9000)));
    let open = "<a>".repeat(65_536 / 3);
    assert!(closed.len() < 65_400 && open.len() > 65_530);
    let small = thread::Builder::new().stack_size(256 * 1024);
    let checked = small.spawn(move || {
        let definition = DomainDefinition::parse(&closed, TYPES).unwrap();
        assert_eq!(definition.clone(), definition);
        assert!(definition.live_xml(1, None).len() > closed.len());
        assert!(refusal(&open).contains("malformed"));
        assert!(refusal(&foreign).contains("foreign namespace"));
        assert!(refusal(&in_name).contains("name must hold text only"));
        assert!(NetworkDefinition::parse(&open).is_err());
    });
    checked.unwrap().join().unwrap();
}

#[test]
fn rejects_more_namespace_declarations_than_any_definition_needs() {
    let many = |count| {
        let declarations: String = (0..count).map(|n| format!(" xmlns:n{n}='u'")).collect();
        domain(&format!("<metadata><a{declarations}/></metadata>"))
    };
    assert!(DomainDefinition::parse(&many(64), TYPES).is_ok());
    assert_eq!(refusal(&many(65)), "more than 64 namespace declarations");
}

#[test]
fn rejects_more_attributes_than_any_element_needs() {
    let many = |count| {
        let attributes: String = (0..count).map(|n| format!(" a{n}=''")).collect();
        domain(&format!("<metadata><a{attributes}/></metadata>"))
    };
    assert!(DomainDefinition::parse(&many(1024), TYPES).is_ok());
    assert!(refusal(&many(1025)).contains("more than 1024 attributes"));
}

#[test]
fn rejects_elements_of_a_foreign_namespace_outside_metadata() {
    let command_line = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
                        <qemu:arg value='-device'/></qemu:commandline>";
    assert_eq!(
        refusal(&domain(command_line)),
        "line 1: commandline belongs to a foreign namespace, which only metadata may hold"
    );
    assert!(refusal(&domain(&format!("<devices>{command_line}</devices>"))).contains("foreign"));
    assert!(refusal(&domain("<a><b xmlns='u'/></a>")).contains("foreign"));
    let kept = domain(&format!("<metadata>{command_line}</metadata>"));
    let definition = DomainDefinition::parse(&kept, TYPES).unwrap();
    assert!(definition.stored_xml().contains(command_line));
}

#[test]
fn rejects_a_root_of_another_name_or_in_a_namespace() {
    assert!(refusal("<network><name>x</name></network>").contains("is not domain"));
    assert!(refusal(&domain("").replace("<domain", "<domain xmlns='u'")).contains("is not domain"));
    let prefixed = domain("").replace("domain", "x:domain").replace("type='q", "xmlns:x='u' type='q");
    assert!(refusal(&prefixed).contains("is not domain"));
    assert!(NetworkDefinition::parse(&domain("")).is_err());
}

#[test]
fn an_attribute_of_a_foreign_namespace_is_not_taken_for_ours() {
    let xml = domain("").replace("type='qemu'", "xmlns:x='u' x:type='kvm' x:id='9' type='qemu'");
    let definition = DomainDefinition::parse(&xml, TYPES).unwrap();
    assert_eq!(definition.domain_type, DomainType::Qemu);
    assert!(definition.stored_xml().contains("x:id='9'"));
    assert!(refusal(&xml.replace(" type='qemu'", "")).contains("domain has no type attribute"));
}

#[test]
fn a_comment_does_not_end_a_text() {
    let definition = DomainDefinition::parse(&named("admin<!-- -->istrator"), TYPES).unwrap();
    assert_eq!(definition.name, "administrator");
}

#[test]
fn a_name_must_be_fit_for_a_file() {
    let longest = "\u{e9}".repeat(24);
    assert_eq!(DomainDefinition::parse(&named(&longest), TYPES).unwrap().name, longest);
    for (name, rule) in [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        (&*(longest.clone() + "x"), "must not be longer than 48 bytes"),
        (".", "must not be '.' or '..'"),
        ("..", "must not be '.' or '..'"),
        ("../etc", "must not contain '/'"),
        ("a/b", "must not contain '/'"),
        ("a\nb", "must not contain U+000A, which is its byte 1: "),
        ("a&#x7f;", "must not contain U+007F, which is its byte 1: "),
        ("ä\u{202e}lmx", "must not contain U+202E, which is its byte 2: "),
        ("ab&#x200b;", "must not contain U+200B, which is its byte 2: "),
    ] {
        assert!(refusal(&named(name)).contains(rule), "{name:?}");
        let network = format!("<network><name>{name}</name></network>");
        assert!(NetworkDefinition::parse(&network).unwrap_err().message.contains(rule), "{name:?}");
    }
    let nameless = domain("").replace("<name>web</name>", "");
    assert_eq!(refusal(&nameless), "line 1: domain has no name");
}

#[test]
fn a_second_element_of_a_kind_is_refused_instead_of_chosen() {
    for second in [
        "<name>other</name>",
        "<memory>1</memory>",
        "<os><type>hvm</type></os>",
        "<uuid/><uuid/>",
        "<vcpu>1</vcpu><vcpu>2</vcpu>",
        "<features/><features/>",
        "<devices/><devices/>",
    ] {
        assert!(refusal(&domain(second)).contains("domain has a second "), "{second}");
    }
}

#[test]
fn a_missing_uuid_is_made_and_written_behind_the_name() {
    let xml = "<?xml version='1.0'?>\n<domain type='kvm'>\n\t<name>web</name> <!-- n -->\n\t\
               <memory>1024</memory><os><type>hvm</type></os>\n</domain>\n";
    let definition = DomainDefinition::parse(xml, TYPES).unwrap();
    let line = format!("\n\t<uuid>{}</uuid>", definition.uuid);
    let stored = definition.stored_xml();
    assert_eq!(stored, xml.replace("</name>", &format!("</name>{line}")));
    let again = DomainDefinition::parse(&stored, TYPES).unwrap();
    assert_eq!((again.uuid, again.stored_xml()), (definition.uuid, stored));
}

#[test]
fn a_uuid_is_read_in_both_spellings_and_anything_else_is_refused() {
    let with = |uuid: &str| domain(&format!("<uuid>{uuid}</uuid>"));
    for uuid in [
        "6695eb01-f6a4-8304-79aa-97f2502e193f",
        "6695EB01f6a4830479aa97f2502e193f",
        "\n 6695eb01-f6a4-8304-79aa-97f2502e193f ",
    ] {
        let definition = DomainDefinition::parse(&with(uuid), TYPES).unwrap();
        assert_eq!(definition.uuid.to_string(), "6695eb01-f6a4-8304-79aa-97f2502e193f");
        assert_eq!(definition.stored_xml(), with(uuid));
    }
    for uuid in ["", "x", "{6695eb01f6a4830479aa97f2502e193f}"] {
        assert!(refusal(&with(uuid)).starts_with("line 1: uuid is no uuid: "), "{uuid}");
    }
}

#[test]
fn rejects_text_beyond_the_bound_and_text_whose_dump_would_be() {
    let padded = |length: usize| {
        let xml = domain("<description></description>");
        let padding = " ".repeat(length - xml.len());
        xml.replace("</description>", &(padding + "</description>"))
    };
    assert_eq!(refusal(&padded(65_537)), "xml of 65537 bytes, its maximum is 65536");
    assert!(refusal(&padded(65_536)).ends_with("its maximum is 65536"));
    // What is inserted: a uuid of 36 digits in its element, an id of ten digits, and a machine of 64 letters.
    let machine = "x".repeat(64);
    let room = "<uuid></uuid>".len() + 36 + " id='2147483647'".len() + " machine=''".len() + machine.len();
    let mut longest = DomainDefinition::parse(&padded(65_536 - room), TYPES).unwrap();
    longest.pin_machine(&machine);
    assert_eq!(longest.live_xml(i32::MAX, None).len(), 65_536);
    assert!(refusal(&padded(65_537 - room)).contains("xml of 65537 bytes"));
}

#[test]
fn a_byte_order_mark_and_strange_blanks_do_not_shift_the_edits() {
    let spaces = " ".repeat(300);
    let xml = format!("\u{feff}<?xml version='1.0'?>{}", domain(""))
        .replace("type='qemu'", &format!("\n\tid{spaces}=\n\"4\"{spaces}type='qemu'"));
    let definition = DomainDefinition::parse(&xml, TYPES).unwrap();
    let stored = definition.stored_xml();
    assert!(stored.contains(&format!("<domain{spaces}type='qemu'>")), "{stored}");
    let live = definition.live_xml(12, None);
    assert!(live.contains(&format!("<domain id='12'{spaces}type='qemu'>")), "{live}");
}

#[test]
fn edits_at_one_place_keep_their_order() {
    let edits = vec![
        Edit { span: 3..4, text: "D".to_owned() },
        Edit::insert(1, "x".to_owned()),
        Edit::insert(1, "y".to_owned()),
    ];
    assert_eq!(edited("abcde", edits), "axybcDe");
    assert_eq!(edited("", Vec::new()), "");
}
