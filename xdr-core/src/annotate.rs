//! What each byte of an encoded value means.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::ControlFlow;

use crate::schema::{Schema, Shape};
use crate::walk::{Leaf, Role, Walk, selected};

/// How deep values may nest before the annotations end.
const DEEPEST: usize = 256;

/// Most bytes that are shown of one value.
const SHOWN: usize = 48;

/// A piece of an encoded value, and its meaning.
///
/// Its `Display` is the line of a hex dump.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Annotation {
    /// Where the piece begins.
    pub offset: usize,
    /// Its bytes; fewer than it should have where the input ends.
    pub bytes: Vec<u8>,
    /// The field.
    pub path: String,
    /// The value, or what the piece is for.
    pub meaning: String,
}

/// What each byte of an encoded value means, along the description of its type.
///
/// It ends where the input does, or where it is not well formed.
///
/// # Examples
/// ```
/// use xdr_core::{Encode, Xdr, annotate};
/// #[derive(Xdr)]
/// struct Greeting { #[xdr(max = 80)] text: String, loud: bool }
///
/// let bytes = xdr_core::to_vec(&Greeting { text: "hi".into(), loud: true }).unwrap();
/// let lines: Vec<String> = annotate(<Greeting as Encode>::schema(), &bytes).iter().map(ToString::to_string).collect();
/// assert_eq!(lines, [
///     "0000  00 00 00 02                                      Greeting.text: 2 bytes of at most 80",
///     "0004  68 69 00 00                                      Greeting.text: \"hi\"",
///     "0008  00 00 00 01                                      Greeting.loud: true",
/// ]);
/// ```
#[must_use]
pub fn annotate(schema: &'static Schema, input: &[u8]) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    let _ = Walk::over(schema, input, DEEPEST, &mut |place, leaf| {
        if matches!(leaf.role, Role::CheckedBegin | Role::CheckedEnd) {
            return ControlFlow::Continue(());
        }
        let annotation =
            Annotation { offset: leaf.at, bytes: leaf.bytes.to_vec(), path: place.path(), meaning: meaning(leaf) };
        annotations.push(annotation);
        ControlFlow::Continue(())
    });
    annotations
}

fn meaning(leaf: &Leaf<'_>) -> String {
    if leaf.bytes.len() < leaf.len {
        return format!("the input ends, {} bytes are missing", leaf.len.saturating_sub(leaf.bytes.len()));
    }
    let word = leaf.bytes.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word));
    let long = leaf.bytes.first_chunk::<8>().map_or(0, |long| u64::from_be_bytes(*long));
    match (leaf.role, leaf.shape) {
        (Role::Length, Shape::Array { max, .. }) => format!("{word} elements of at most {max}"),
        (Role::Length, Shape::Opaque { max } | Shape::String { max, .. }) => format!("{word} bytes of at most {max}"),
        (Role::Body, Shape::String { .. }) => format!("{:?}", shortened(leaf.bytes)),
        (Role::Body, _) | (_, Shape::FixedOpaque(_)) => "opaque".to_string(),
        (_, Shape::Quadruple) => "quadruple".to_string(),
        (Role::Flag, Shape::List { .. }) if word == 0 => "end of the list".to_string(),
        (Role::Flag, Shape::List { .. }) => "another node".to_string(),
        (Role::Flag, _) if word == 0 => "absent".to_string(),
        (Role::Flag, _) => "present".to_string(),
        (Role::Discriminant, Shape::Union { arms, default, .. }) => match selected(arms, word).or(default) {
            Some(arm) => format!("{} = {}", arm.name, word.cast_signed()),
            None => format!("{}, which selects no arm", word.cast_signed()),
        },
        (_, Shape::Bool) => (word == 1).to_string(),
        (_, Shape::UnsignedInt | Shape::UnsignedShort | Shape::UnsignedChar) => word.to_string(),
        (_, Shape::Hyper) => long.cast_signed().to_string(),
        (_, Shape::UnsignedHyper) => long.to_string(),
        (_, Shape::Float) => f32::from_bits(word).to_string(),
        (_, Shape::Double) => f64::from_bits(long).to_string(),
        (_, Shape::Enum { values, .. }) => {
            let value = word.cast_signed();
            let named = values.iter().find(|named| named.value == value);
            named.map_or_else(|| value.to_string(), |named| format!("{} = {value}", named.name))
        }
        _ => word.cast_signed().to_string(),
    }
}

/// The text of a string, without its padding, and not all of a long one.
fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\0');
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}

impl fmt::Display for Annotation {
    /// Offset, bytes in hexadecimal (16 a line, 48 at most), field and meaning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.get(..SHOWN).unwrap_or(&self.bytes);
        let mut lines = shown.chunks(16);
        let mut offset = self.offset;
        // Where the input ends before the first byte there is a meaning all the same.
        let first = lines.next().unwrap_or_default();
        write!(f, "{offset:04x}  {:<47}  {}: {}", hex(first), self.path, self.meaning)?;
        for line in lines {
            offset = offset.saturating_add(16);
            write!(f, "\n{offset:04x}  {}", hex(line))?;
        }
        match self.bytes.len().saturating_sub(shown.len()) {
            0 => Ok(()),
            more => write!(f, "\n      and {more} bytes more"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}
