//! One element, and the rules for reading it.
//!
//! The parser finds an attribute or child by its local name whatever its namespace is, and takes the
//! text up to the first comment for the whole. Both let two readers of one text disagree, so elements
//! are read through this type: no namespace means none, and a text is all of it.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::Range;

use roxmltree::{Attribute, Document, Node};

use crate::failure::{Code, Failure, Reply};
use crate::messages::PATH_MAX;
use crate::xml::{Edit, INTERFACE_NAME_MAX};

/// Bytes of a wrong value that a message shows.
const SHOWN_MAX: usize = 64;

/// An element in no namespace.
#[derive(Clone, Copy)]
pub(super) struct Element<'a>(Node<'a, 'a>);

impl<'a> Element<'a> {
    /// The root, which must have this name.
    pub(super) fn root(document: &'a Document<'a>, name: &str) -> Reply<Self> {
        let root = Self(document.root_element());
        if root.name() != name || root.0.tag_name().namespace().is_some() {
            return Err(root.refuse(format_args!("the root element is not {name} (in no namespace)")));
        }
        for element in root.0.children().filter(|child| child.tag_name().name() != "metadata") {
            if let Some(foreign) = element.descendants().find(|node| node.tag_name().namespace().is_some()) {
                return Err(Self(foreign).refuse(format_args!(
                    "{} belongs to a foreign namespace, which only metadata may hold",
                    shown(foreign.tag_name().name())
                )));
            }
        }
        Ok(root)
    }

    pub(super) fn name(self) -> &'a str {
        self.0.tag_name().name()
    }

    /// Where the element stands in the text, in bytes.
    pub(super) fn span(self) -> Range<usize> {
        self.0.range()
    }

    /// Where an attribute can be inserted: behind the name in the opening tag.
    pub(super) fn opening(self) -> usize {
        self.span().start + 1 + self.name().len()
    }

    /// The edit that puts a first child into the element, indented as the one that is there.
    pub(super) fn with_child(self, original: &str, child: &str) -> Edit {
        let span = self.span();
        let text = original.get(span.clone()).unwrap_or_default();
        if text.ends_with("/>") {
            let slash = span.end.saturating_sub(2);
            return Edit { span: slash..span.end, text: format!(">{child}</{}>", self.name()) };
        }
        match self.0.first_child() {
            Some(first) => {
                let indent = first.text().filter(|text| first.is_text() && text.trim().is_empty());
                Edit::insert(first.range().start, format!("{}{child}", indent.unwrap_or_default()))
            }
            None => Edit::insert(span.start.saturating_add(text.rfind("</").unwrap_or_default()), child.to_owned()),
        }
    }

    /// A failure that carries the element's line.
    pub(super) fn refuse(self, rule: impl Display) -> Failure {
        self.refuse_as(Code::XmlError, rule)
    }

    /// A failure of another kind that carries the element's line.
    pub(super) fn refuse_as(self, code: Code, rule: impl Display) -> Failure {
        let line = self.0.document().text_pos_at(self.span().start).row;
        Failure::new(code, format!("line {line}: {rule}"))
    }

    /// The child elements.
    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        self.0.children().filter(Node::is_element).map(Self)
    }

    /// The child of a name that may stand at most once.
    pub(super) fn child(self, name: &str) -> Reply<Option<Self>> {
        let mut all = self.children().filter(|child| child.name() == name);
        let first = all.next();
        match all.next() {
            None => Ok(first),
            Some(second) => Err(second.refuse(format_args!("{} has a second {name}", self.name()))),
        }
    }

    /// The child of a name that must stand once.
    pub(super) fn required(self, name: &str) -> Reply<Self> {
        self.child(name)?.ok_or_else(|| self.refuse(format_args!("{} has no {name}", self.name())))
    }

    /// Refuses attributes and children beyond those listed, because they would change what runs.
    pub(super) fn only(self, attributes: &[&str], children: &[&str]) -> Reply<()> {
        let known =
            |attribute: &Attribute<'_, '_>| attribute.namespace().is_none() && attributes.contains(&attribute.name());
        if let Some(other) = self.0.attributes().find(|attribute| !known(attribute)) {
            let attribute = format_args!("{}@{}", self.name(), shown(other.name())).to_string();
            return Err(self.refuse(format_args!("{attribute} is not supported")));
        }
        match self.children().find(|child| !children.contains(&child.name())) {
            None => Ok(()),
            Some(other) => {
                Err(other.refuse(format_args!("{} in {} is not supported", shown(other.name()), self.name())))
            }
        }
    }

    /// All the text of an element that holds nothing else.
    pub(super) fn text(self) -> Reply<String> {
        if let Some(child) = self.children().next() {
            return Err(child.refuse(format_args!("{} must hold text only", self.name())));
        }
        Ok(self.0.children().filter(Node::is_text).filter_map(|node| node.text()).collect())
    }

    pub(super) fn attribute_node(self, name: &str) -> Option<Attribute<'a, 'a>> {
        self.0.attributes().find(|attribute| attribute.namespace().is_none() && attribute.name() == name)
    }

    pub(super) fn attribute(self, name: &str) -> Option<&'a str> {
        self.attribute_node(name).map(|attribute| attribute.value())
    }

    pub(super) fn required_attribute(self, name: &str) -> Reply<&'a str> {
        self.attribute(name).ok_or_else(|| self.refuse(format_args!("{} has no {name} attribute", self.name())))
    }

    /// A failure about the value of an attribute.
    pub(super) fn refuse_value(self, name: &str, value: &str, rule: impl Display) -> Failure {
        let (element, value) = (self.name(), shown(value));
        self.refuse(format_args!("{element}@{name} is '{value}', {rule}"))
    }

    /// The meaning of a value out of a list.
    pub(super) fn choose<T: Copy>(self, name: &str, value: &str, list: &[(&str, T)]) -> Reply<T> {
        let found = list.iter().find(|(spelling, _)| *spelling == value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<_> = list.iter().map(|(spelling, _)| *spelling).collect();
            self.refuse_value(name, value, format_args!("not one of {}", names.join(", ")))
        })
    }

    /// The meaning of an attribute whose values are a list.
    pub(super) fn choice<T: Copy>(self, name: &str, list: &[(&str, T)]) -> Reply<Option<T>> {
        self.attribute(name).map(|value| self.choose(name, value, list)).transpose()
    }

    /// An attribute that is a plain word, so that no option list of a hypervisor can be broken out of.
    pub(super) fn word(self, name: &str) -> Reply<Option<String>> {
        let Some(value) = self.attribute(name) else {
            return Ok(None);
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
        if value.is_empty() || value.len() > SHOWN_MAX || !value.bytes().all(plain) {
            return Err(self.refuse_value(name, value, "not a word of letters, digits, '_.+-'"));
        }
        Ok(Some(value.to_owned()))
    }

    /// An attribute that names a network interface of the host.
    pub(super) fn interface_name(self, name: &str) -> Reply<Option<String>> {
        let word = self.word(name)?;
        match word {
            Some(word) if word.len() > INTERFACE_NAME_MAX || word == "." || word == ".." => {
                Err(self.refuse_value(name, &word, "not the name of an interface (at most 15 bytes)"))
            }
            word => Ok(word),
        }
    }

    /// A path of the host. It must be absolute: the daemon's folder means nothing to a client, and
    /// hypervisors take relative ones such as `nbd:host` for something else than a file.
    pub(super) fn path(self, path: &str) -> Reply<String> {
        if !path.starts_with('/') || path.len() > PATH_MAX {
            return Err(self.refuse(format_args!(
                "the path '{}' of {} is not absolute or longer than {PATH_MAX} bytes",
                shown(path),
                self.name()
            )));
        }
        Ok(path.to_owned())
    }

    /// A port of TCP or UDP.
    pub(super) fn port(self, text: &str, least: u64) -> Reply<u16> {
        let number = self.number(text, least, u64::from(u16::MAX))?;
        Ok(u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// An attribute that is an IP address.
    pub(super) fn address(self, name: &str) -> Reply<Option<IpAddr>> {
        let parse = |value: &str| value.parse().map_err(|_| self.refuse_value(name, value, "not an IP address"));
        self.attribute(name).map(parse).transpose()
    }

    /// A whole number between two bounds.
    pub(super) fn number(self, text: &str, least: u64, most: u64) -> Reply<u64> {
        let digits = text.trim();
        let number = match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok(),
            false => None,
        };
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            let (name, text) = (self.name(), shown(text));
            self.refuse(format_args!("'{text}' in {name} is no number from {least} to {most}"))
        })
    }
}

/// The beginning of a value, short enough for a message.
fn shown(value: &str) -> &str {
    value.get(..value.floor_char_boundary(SHOWN_MAX)).unwrap_or_default()
}
