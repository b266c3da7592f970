//! Domain and network XML, read into types and dumped as it came.
//!
//! A definition keeps the text it was read from. A dump is that text with a few edits at exact places
//! (identity, addresses of interfaces, live id, real VNC port, bridge), so comments, blanks and elements that nobody here knows
//! come back as they were written, and what was read is what is dumped.
//!
//! What is refused, everywhere: document type declarations and so every entity (XXE), elements of a
//! foreign namespace outside `metadata` (their purpose is to reach past this format, as
//! `qemu:commandline` does), and a second occurrence of an element that is meant once, because two
//! readers could choose differently.
//!
//! - `domain`: the definition of a domain
//! - `resources`: its memory and virtual processors
//! - `devices`: its disks and its display
//! - `interfaces`: its network interfaces
//! - `network`: the definition of a network
//! - `element`: one element and the rules for reading it

pub mod devices;
pub mod domain;
mod element;
pub mod interfaces;
pub mod network;
mod resources;

pub use self::domain::DomainDefinition;
pub use self::network::NetworkDefinition;

use std::ops::Range;

use roxmltree::Document;

use self::element::Element;
use crate::characters::misleads;
use crate::failure::{Code, Failure, Reply};
use crate::identity::Uuid;
use crate::messages::XML_MAX;

/// Longest name of a domain or network, in bytes: it becomes the file `NAME.xml`.
pub const DEFINED_NAME_MAX: usize = 48;
/// Longest name of a network interface on Linux, in bytes (`IFNAMSIZ` without its NUL).
pub const INTERFACE_NAME_MAX: usize = 15;

/// Namespace declarations a text may hold. The parser copies the declarations in scope for each element
/// that adds one, so this keeps its work linear.
const NAMESPACES_MAX: usize = 64;
/// Attributes an element may have. The parser compares each with all others of its element.
const ATTRIBUTES_MAX: usize = 1024;

/// Parses a text whose length and form are within the rules of this module.
fn parse(text: &str) -> Reply<Document<'_>> {
    if text.len() > XML_MAX {
        return Err(too_long(text.len()));
    }
    if text.matches("xmlns").nth(NAMESPACES_MAX).is_some() {
        return Err(Failure::new(Code::XmlError, format!("more than {NAMESPACES_MAX} namespace declarations")));
    }
    if text.split('<').any(|tag| tag.matches('=').nth(ATTRIBUTES_MAX).is_some()) {
        return Err(Failure::new(
            Code::XmlError,
            format!("more than {ATTRIBUTES_MAX} attributes or equals signs in one element"),
        ));
    }
    Document::parse(text).map_err(|error| {
        let (at, text) = (error.pos(), error.to_string());
        let reason = match &error {
            roxmltree::Error::DtdDetected => "a document type declaration is refused",
            _ => text.strip_suffix(&format!(" at {at}")).unwrap_or(&text),
        };
        let (line, column) = (at.row, at.col);
        Failure::new(Code::XmlError, format!("line {line}, column {column}: malformed xml: {reason}"))
    })
}

/// Refuses what would be refused of a definition whatever it says: a text that is malformed or has a document type, or
/// another root. For drivers that have somebody else read it.
#[cfg(feature = "libvirt")]
pub(crate) fn well_formed(text: &str, root: &str) -> Reply<()> {
    let document = parse(text)?;
    let found = document.root_element().tag_name();
    if found.name() != root || found.namespace().is_some() {
        let message = format!("line 1: the root element is not {root} (in no namespace)");
        return Err(Failure::new(Code::XmlError, message));
    }
    Ok(())
}

/// The identity that a description tells, which somebody else has written.
#[cfg(feature = "libvirt")]
pub(crate) fn uuid_of(text: &str) -> Reply<Uuid> {
    let document = Document::parse(text);
    let told = |document: &Document<'_>| {
        let mut children = document.root_element().children();
        children.find(|child| child.has_tag_name("uuid"))?.text()?.trim().parse().ok()
    };
    let none = || Failure::new(Code::XmlError, "the xml tells no uuid");
    document.ok().as_ref().and_then(told).ok_or_else(none)
}

fn too_long(length: usize) -> Failure {
    Failure::new(Code::XmlError, format!("xml of {length} bytes, its maximum is {XML_MAX}"))
}

/// The description fits, but not with the id, the UUID, the addresses and the ports that a dump adds.
fn too_long_to_dump(length: usize) -> Failure {
    let message = format!("xml of {length} bytes with what a dump adds, its maximum is {XML_MAX}");
    Failure::new(Code::XmlError, message)
}

/// One change to a text: what stands at `span` is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    span: Range<usize>,
    text: String,
}

impl Edit {
    fn insert(at: usize, text: String) -> Self {
        Self { span: at..at, text }
    }
}

/// The text with edits that do not overlap; those at the same place keep their order.
fn edited(original: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let mut text = String::with_capacity(original.len() + 128);
    let mut done = 0;
    for edit in edits {
        text.push_str(original.get(done..edit.span.start).unwrap_or_default());
        text.push_str(&edit.text);
        done = edit.span.end;
    }
    text.push_str(original.get(done..).unwrap_or_default());
    text
}

/// Reads `name`, which becomes a file name and so has rules of its own.
fn name(root: Element<'_>) -> Reply<String> {
    let element = root.required("name")?;
    let name = element.text()?;
    let broken = if name.trim().is_empty() {
        "must not be empty"
    } else if name.len() > DEFINED_NAME_MAX {
        "must not be longer than 48 bytes"
    } else if name == "." || name == ".." {
        "must not be '.' or '..'"
    } else if name.contains('/') {
        "must not contain '/'"
    } else if let Some((at, character)) = name.char_indices().find(|(_, character)| misleads(*character)) {
        let number = u32::from(character);
        return Err(element.refuse(format_args!(
            "name must not contain U+{number:04X}, which is its byte {at}: such characters are not seen, or change how the \
             text around them is shown"
        )));
    } else {
        return Ok(name);
    };
    Err(element.refuse(format_args!("name {broken}")))
}

/// Reads `uuid`, or makes one together with the edit that writes it behind `name`, indented alike.
fn identity(root: Element<'_>, original: &str) -> Reply<(Uuid, Option<Edit>)> {
    if let Some(element) = root.child("uuid")? {
        let text = element.text()?;
        let uuid = text.trim().parse();
        return match uuid {
            Ok(uuid) => Ok((uuid, None)),
            Err(rule) => Err(element.refuse(format_args!("uuid is no uuid: {rule}"))),
        };
    }
    let uuid = Uuid::random();
    let name = root.required("name")?.span();
    let before = original.get(..name.start).unwrap_or_default();
    let indent = before.get(before.trim_end().len()..).unwrap_or_default();
    let text = format!("{indent}<uuid>{uuid}</uuid>");
    Ok((uuid, Some(Edit::insert(name.end, text))))
}

#[cfg(test)]
mod tests;
