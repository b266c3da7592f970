//! A walk over encoded bytes along the schema of what they hold.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::encode::padded;
use crate::schema::{Arm, Field, Schema, Shape, Type};

/// A piece of the input that has no pieces of its own.
pub(crate) struct Leaf<'a> {
    pub(crate) at: usize,
    /// How long it is; longer than `bytes` where the input ends.
    pub(crate) len: usize,
    pub(crate) bytes: &'a [u8],
    pub(crate) shape: Shape,
    pub(crate) role: Role,
}

/// What a leaf is in its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All of a word or of a fixed opaque.
    Value,
    /// The length of an opaque or string, the count of an array.
    Length,
    /// The bytes behind a length.
    Body,
    /// The flag of optional data or of a list.
    Flag,
    /// The discriminant of a union.
    Discriminant,
    /// A checked value, before its leaves.
    CheckedBegin,
    /// A checked value, after its leaves.
    CheckedEnd,
}

/// The walk. `visit` sees each leaf in order and says whether to go on.
pub(crate) struct Walk<'a, V> {
    input: &'a [u8],
    at: usize,
    place: Place,
    deepest: usize,
    visit: V,
}

/// The names on the way to the present leaf.
pub(crate) struct Place {
    root: &'static str,
    names: Vec<Name>,
}

enum Name {
    Part(&'static str),
    Item(usize),
}

/// Why a walk ended before the value did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

impl<'a, V: FnMut(&Place, &Leaf<'a>) -> ControlFlow<()>> Walk<'a, V> {
    /// Walks over one value at the front of `input`. Values may nest `deepest` levels.
    pub(crate) fn over(schema: &Schema, input: &'a [u8], deepest: usize, visit: V) -> ControlFlow<Stopped, usize> {
        let place = Place { root: schema.name, names: Vec::new() };
        let mut walk = Walk { input, at: 0, place, deepest, visit };
        walk.value(schema)?;
        ControlFlow::Continue(walk.at)
    }

    fn leaf(&mut self, len: usize, shape: Shape, role: Role) -> ControlFlow<Stopped, &'a [u8]> {
        let end = self.at.saturating_add(len);
        let bytes = self.input.get(self.at..end.min(self.input.len())).unwrap_or_default();
        let leaf = Leaf { at: self.at, len, bytes, shape, role };
        if len > 0 && (self.visit)(&self.place, &leaf).is_break() || bytes.len() < len {
            return ControlFlow::Break(Stopped);
        }
        self.at = end;
        ControlFlow::Continue(bytes)
    }

    /// A leaf of no bytes of its own, that tells where a checked value begins or ends.
    fn mark(&mut self, start: usize, shape: Shape, role: Role) -> ControlFlow<Stopped> {
        let bytes = self.input.get(start..self.at).unwrap_or_default();
        match (self.visit)(&self.place, &Leaf { at: start, len: bytes.len(), bytes, shape, role }) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(Stopped),
        }
    }

    fn word(&mut self, shape: Shape, role: Role) -> ControlFlow<Stopped, u32> {
        let bytes = self.leaf(4, shape, role)?;
        ControlFlow::Continue(bytes.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word)))
    }

    fn value(&mut self, schema: &Schema) -> ControlFlow<Stopped> {
        let Some(deepest) = self.deepest.checked_sub(1) else { return ControlFlow::Break(Stopped) };
        self.deepest = deepest;
        self.shape(schema.shape)?;
        self.deepest = self.deepest.saturating_add(1);
        ControlFlow::Continue(())
    }

    fn shape(&mut self, shape: Shape) -> ControlFlow<Stopped> {
        match shape {
            Shape::Void => {}
            Shape::Hyper | Shape::UnsignedHyper | Shape::Double => {
                self.leaf(8, shape, Role::Value)?;
            }
            Shape::Quadruple => {
                self.leaf(16, shape, Role::Value)?;
            }
            Shape::FixedOpaque(len) => {
                self.leaf(padded(len), shape, Role::Value)?;
            }
            Shape::Opaque { .. } | Shape::String { .. } => {
                let len = self.word(shape, Role::Length)?;
                self.leaf(padded(len as usize), shape, Role::Body)?;
            }
            Shape::FixedArray { len, item } => self.items(len, item)?,
            Shape::Array { item, .. } => {
                let len = self.word(shape, Role::Length)?;
                self.items(len as usize, item)?;
            }
            Shape::List { item, .. } => {
                let mut index = 0_usize;
                while self.word(shape, Role::Flag)? == 1 {
                    self.named(Name::Item(index), |walk| walk.value(item()))?;
                    index = index.saturating_add(1);
                }
            }
            Shape::Optional(inner) => {
                if self.word(shape, Role::Flag)? == 1 {
                    self.value(inner())?;
                }
            }
            Shape::Struct { fields } => self.fields(fields)?,
            Shape::Union { arms, default, .. } => {
                let word = self.word(shape, Role::Discriminant)?;
                if let Some(arm) = selected(arms, word).or(default) {
                    self.named(Name::Part(arm.name), |walk| walk.fields(arm.fields))?;
                }
            }
            Shape::Typedef(inner) => self.value(inner())?,
            Shape::Checked { inner, .. } => {
                let start = self.at;
                self.mark(start, shape, Role::CheckedBegin)?;
                self.value(inner())?;
                self.mark(start, shape, Role::CheckedEnd)?;
            }
            _ => {
                self.leaf(4, shape, Role::Value)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn items(&mut self, count: usize, item: Type) -> ControlFlow<Stopped> {
        for index in 0..count {
            let before = self.at;
            self.named(Name::Item(index), |walk| walk.value(item()))?;
            // Elements without bytes are all alike, however many the count says there are.
            if self.at == before {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn fields(&mut self, fields: &[Field]) -> ControlFlow<Stopped> {
        fields.iter().try_for_each(|field| self.named(Name::Part(field.name), |walk| walk.value((field.schema)())))
    }

    fn named(&mut self, name: Name, walk: impl FnOnce(&mut Self) -> ControlFlow<Stopped>) -> ControlFlow<Stopped> {
        self.place.names.push(name);
        walk(self)?;
        self.place.names.pop();
        ControlFlow::Continue(())
    }
}

impl Place {
    /// `Page.entries[3].name`
    pub(crate) fn path(&self) -> String {
        let mut path = self.root.to_string();
        for name in &self.names {
            match name {
                Name::Part("") => {}
                Name::Part(part) => path.extend([".", part]),
                Name::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

/// The arm of a discriminant, whether its labels are signed or not.
pub(crate) fn selected(arms: &'static [Arm], word: u32) -> Option<&'static Arm> {
    let labels = [i64::from(word), i64::from(word.cast_signed())];
    arms.iter().find(|arm| arm.labels.iter().any(|label| labels.contains(label)))
}
