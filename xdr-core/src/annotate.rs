//! What each byte of an encoded value means.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::ControlFlow;

use crate::limits::Limits;
use crate::schema::{Schema, Shape};
use crate::walk::{LEVEL, Leaf, Place, Role, Visitor, Walk, selected};

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
/// It ends where the input does, where it is not well formed, or where the annotations would take more heap than
/// [`Limits::DEFAULT`] allows: the paths of values that nest deeply are far longer than the values.
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
    annotate_with(schema, input, Limits::DEFAULT)
}

/// [`annotate`] within [`Limits::heap`], which is charged for all that is returned and for the way to it; the last annotation says where it is
/// used up. The depth is not limited, since it takes no stack.
///
/// # Examples
/// ```
/// use xdr_core::{Encode, Limits, annotate_with};
/// let bytes = xdr_core::to_vec(&[1_i32, 2, 3])?;
/// let lines = annotate_with(<[i32; 3] as Encode>::schema(), &bytes, Limits::default().with_heap(0));
/// assert_eq!(lines.len(), 1);
/// assert!(lines[0].meaning.starts_with("the annotations end"));
/// # Ok::<(), xdr_core::EncodeError>(())
/// ```
#[must_use]
pub fn annotate_with(schema: &'static Schema, input: &[u8], limits: Limits) -> Vec<Annotation> {
    let mut told =
        Told { root: schema.name, limits, annotations: Vec::new(), heap: limits.heap(), checks: 0, deepest: 0 };
    let _ = Walk::over(schema, input, &mut told);
    told.annotations
}

/// The annotations, and what is left of the heap limit.
struct Told {
    root: &'static str,
    limits: Limits,
    annotations: Vec<Annotation>,
    heap: usize,
    /// Checks that are around.
    checks: usize,
    /// The most names and checks on the way to a leaf, which the walk has had to remember.
    deepest: usize,
}

impl Visitor for Told {
    fn leaf(&mut self, place: &Place, leaf: &Leaf<'_>) -> ControlFlow<()> {
        if leaf.role.is_mark() {
            match leaf.role {
                Role::CheckedBegin => self.checks = self.checks.saturating_add(1),
                Role::CheckedEnd => self.checks = self.checks.saturating_sub(1),
                _ => {}
            }
            return ControlFlow::Continue(());
        }
        if self.tell(place, leaf).is_some() {
            return ControlFlow::Continue(());
        }
        let limit = self.limits.heap();
        let meaning = format!("the annotations end: more of them take more than the {limit} bytes of the heap limit");
        // The room for one more is what was kept back, but for the first, which is there in any case.
        self.annotations.push(Annotation { offset: leaf.at, bytes: Vec::new(), path: self.root.to_string(), meaning });
        ControlFlow::Break(())
    }
}

impl Told {
    /// Annotates a leaf, if there is heap for it.
    fn tell(&mut self, place: &Place, leaf: &Leaf<'_>) -> Option<()> {
        self.make_room()?;
        let deeper = place.depth().saturating_add(self.checks).saturating_sub(self.deepest);
        self.deepest = self.deepest.saturating_add(deeper);
        self.heap = self.heap.checked_sub(deeper.saturating_mul(LEVEL))?;
        let meaning = meaning(leaf);
        let path_len = place.path_len();
        let cost = leaf.bytes.len().saturating_add(path_len).saturating_add(meaning.capacity());
        self.heap = self.heap.checked_sub(cost)?;
        let mut path = String::with_capacity(path_len);
        place.write_path(&mut path);
        self.annotations.push(Annotation { offset: leaf.at, bytes: leaf.bytes.to_vec(), path, meaning });
        Some(())
    }

    /// Room for one annotation, and one for the last.
    fn make_room(&mut self) -> Option<()> {
        let len = self.annotations.len();
        let old = self.annotations.capacity();
        if len.saturating_add(1) < old {
            return Some(());
        }
        // While it grows, old and new room exist side by side.
        let room = old.saturating_mul(2).max(4);
        let after = self.heap.checked_sub(room.saturating_mul(size_of::<Annotation>()))?;
        self.annotations.reserve_exact(room.saturating_sub(len));
        self.heap = after.saturating_add(old.saturating_mul(size_of::<Annotation>()));
        Some(())
    }
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
    // A character has four bytes at most: more than are shown are in so many.
    let beginning = bytes.get(..SHOWN.saturating_add(1).saturating_mul(4));
    let text = String::from_utf8_lossy(beginning.unwrap_or(bytes));
    let text = if beginning.is_none() { text.trim_end_matches('\0') } else { &text };
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
