//! Whose a certificate is.

use std::fmt::Write as _;
use std::string::{String, ToString};
use std::vec::Vec;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// A certificate, taken apart.
pub(super) fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(certificate).map(|(_, certificate)| certificate).map_err(|error| error.to_string())
}

/// The subject's distinguished name: `C=DE,O=Example,CN=client`, in the order of the certificate, which is also that
/// of libvirt's lists. Letters that have a meaning there are escaped as in RFC 4514 §2.4.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    Some(written(parsed(certificate).ok()?.subject()))
}

pub(super) fn written(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name.iter().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let mut written = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), ToString::to_string);
    written.push('=');
    match attribute.as_str() {
        Ok(value) => escape(value, &mut written),
        // A value that is no text, in hexadecimal.
        Err(_) => {
            written.push('#');
            for byte in attribute.as_slice() {
                // Writing to a string does not fail.
                let _ = write!(written, "{byte:02x}");
            }
        }
    }
    written
}

fn escape(value: &str, written: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let at_an_end = (index == 0 && matches!(c, ' ' | '#')) || (index == last && c == ' ');
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(written, "\\{byte:02x}");
            }
            continue;
        }
        if at_an_end || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            written.push('\\');
        }
        written.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(value: &str) -> String {
        let mut written = String::new();
        escape(value, &mut written);
        written
    }

    #[test]
    fn a_value_cannot_pass_for_two() {
        assert_eq!(escaped("client"), "client");
        assert_eq!(escaped("client,O=Admins"), "client\\,O\\=Admins");
        assert_eq!(escaped("a+b\\"), "a\\+b\\\\");
        assert_eq!(escaped(" #a "), "\\ #a\\ ");
        assert_eq!(escaped("#a"), "\\#a");
        assert_eq!(escaped("a\nb\u{85}"), "a\\0ab\\c2\\85");
    }
}
