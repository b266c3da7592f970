//! A walk over encoded bytes along the schema of what they hold.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::schema::{Arm, Field, Schema, Shape, Type};
use crate::writer::padded;

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
    /// A fixed array, before its elements.
    Items,
    /// A checked value, before its leaves.
    CheckedBegin,
    /// A checked value, after its leaves.
    CheckedEnd,
}

impl Role {
    /// Whether it only tells of other leaves.
    pub(crate) const fn is_mark(self) -> bool {
        matches!(self, Self::Items | Self::CheckedBegin | Self::CheckedEnd)
    }
}

/// Who is shown each leaf, in order, and says whether to go on.
pub(crate) trait Visitor {
    fn leaf(&mut self, place: &Place, leaf: &Leaf<'_>) -> ControlFlow<()>;
}

/// The walk.
///
/// What is still to be walked lies on a stack of its own: values may nest as deep as they like without
/// taking the thread's.
pub(crate) struct Walk<'v, 'a> {
    input: &'a [u8],
    at: usize,
    place: Place,
    steps: Vec<Step>,
    visitor: &'v mut dyn Visitor,
}

/// Something that is still to be walked.
enum Step {
    Value(Type),
    /// The fields of a struct or an arm, from this one on.
    Fields(&'static [Field]),
    /// The elements of an array: the next one's number, how many there are, and where the one before began.
    Items {
        item: Type,
        next: usize,
        count: usize,
        before: usize,
    },
    /// The nodes of a list, from the flag of this number on.
    Nodes {
        list: &'static Schema,
        next: usize,
    },
    /// The end of a checked value that began here.
    CheckedEnd {
        start: usize,
        checked: &'static Schema,
    },
    /// The end of what the last name stands for.
    NameEnd,
}

/// Bytes that one more name or check on the way takes at most: its own and those of the steps behind it, of which two stay, each in
/// a vector that has twice its room and is being moved.
pub(crate) const LEVEL: usize = 3 * (size_of::<Name>() + 2 * size_of::<Step>());

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

impl<'a> Walk<'_, 'a> {
    /// Walks over one value at the front of `input`.
    pub(crate) fn over(
        schema: &'static Schema,
        input: &'a [u8],
        visitor: &mut dyn Visitor,
    ) -> ControlFlow<Stopped, usize> {
        let place = Place { root: schema.name, names: Vec::new() };
        let mut walk = Walk { input, at: 0, place, steps: Vec::new(), visitor };
        walk.value(schema)?;
        while let Some(step) = walk.steps.pop() {
            walk.step(step)?;
        }
        ControlFlow::Continue(walk.at)
    }

    fn step(&mut self, step: Step) -> ControlFlow<Stopped> {
        match step {
            Step::Value(schema) => self.value(schema())?,
            Step::Fields([]) => {}
            Step::Fields([field, rest @ ..]) => {
                if !rest.is_empty() {
                    self.steps.push(Step::Fields(rest));
                }
                self.named(Name::Part(field.name), Step::Value(field.schema));
            }
            Step::Items { item, next, count, before } => {
                // Elements without bytes are all alike, however many the count says there are.
                if next < count && before != self.at {
                    let behind = next.saturating_add(1);
                    self.steps.push(Step::Items { item, next: behind, count, before: self.at });
                    self.named(Name::Item(next), Step::Value(item));
                }
            }
            Step::Nodes { list, next } => {
                if let Shape::List { item, .. } = list.shape
                    && self.word(list.shape, Role::Flag)? == 1
                {
                    self.steps.push(Step::Nodes { list, next: next.saturating_add(1) });
                    self.named(Name::Item(next), Step::Value(item));
                }
            }
            Step::CheckedEnd { start, checked } => self.mark(start, checked.shape, Role::CheckedEnd)?,
            Step::NameEnd => {
                self.place.names.pop();
            }
        }
        ControlFlow::Continue(())
    }

    /// Goes on with what has this name.
    #[inline(never)]
    fn named(&mut self, name: Name, step: Step) {
        self.place.names.push(name);
        self.steps.push(Step::NameEnd);
        self.steps.push(step);
    }

    #[inline(never)]
    fn leaf(&mut self, len: usize, shape: Shape, role: Role) -> ControlFlow<Stopped, &'a [u8]> {
        let end = self.at.saturating_add(len);
        let bytes = self.input.get(self.at..end.min(self.input.len())).unwrap_or_default();
        let leaf = Leaf { at: self.at, len, bytes, shape, role };
        if len > 0 && self.visitor.leaf(&self.place, &leaf).is_break() || bytes.len() < len {
            return ControlFlow::Break(Stopped);
        }
        self.at = end;
        ControlFlow::Continue(bytes)
    }

    /// A leaf of no bytes of its own, that tells of others.
    #[inline(never)]
    fn mark(&mut self, start: usize, shape: Shape, role: Role) -> ControlFlow<Stopped> {
        let bytes = self.input.get(start..self.at).unwrap_or_default();
        match self.visitor.leaf(&self.place, &Leaf { at: start, len: bytes.len(), bytes, shape, role }) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(Stopped),
        }
    }

    #[inline(never)]
    fn word(&mut self, shape: Shape, role: Role) -> ControlFlow<Stopped, u32> {
        let bytes = self.leaf(4, shape, role)?;
        ControlFlow::Continue(bytes.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word)))
    }

    fn value(&mut self, schema: &'static Schema) -> ControlFlow<Stopped> {
        let shape = schema.shape;
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
            Shape::FixedArray { len, item } => {
                self.mark(self.at, shape, Role::Items)?;
                self.items(len, item);
            }
            Shape::Array { item, .. } => {
                let len = self.word(shape, Role::Length)?;
                self.items(len as usize, item);
            }
            Shape::List { .. } => self.steps.push(Step::Nodes { list: schema, next: 0 }),
            Shape::Optional(inner) => {
                if self.word(shape, Role::Flag)? == 1 {
                    self.steps.push(Step::Value(inner));
                }
            }
            Shape::Struct { fields } => self.steps.push(Step::Fields(fields)),
            Shape::Union { arms, default, .. } => {
                let word = self.word(shape, Role::Discriminant)?;
                if let Some(arm) = selected(arms, word).or(default) {
                    self.named(Name::Part(arm.name), Step::Fields(arm.fields));
                }
            }
            Shape::Typedef(inner) => self.steps.push(Step::Value(inner)),
            Shape::Checked { inner, .. } => {
                let start = self.at;
                self.mark(start, shape, Role::CheckedBegin)?;
                self.steps.push(Step::CheckedEnd { start, checked: schema });
                self.steps.push(Step::Value(inner));
            }
            _ => {
                self.leaf(4, shape, Role::Value)?;
            }
        }
        ControlFlow::Continue(())
    }

    #[inline(never)]
    fn items(&mut self, count: usize, item: Type) {
        self.steps.push(Step::Items { item, next: 0, count, before: usize::MAX });
    }
}

impl Place {
    /// `Page.entries[3].name`, behind what is in `path`.
    pub(crate) fn write_path(&self, path: &mut String) {
        add(path, self.root);
        for name in &self.names {
            match name {
                Name::Part("") => {}
                Name::Part(part) => {
                    add(path, ".");
                    add(path, part);
                }
                Name::Item(index) => {
                    add(path, "[");
                    add_number(path, *index);
                    add(path, "]");
                }
            }
        }
    }

    /// How many names are on the way.
    pub(crate) const fn depth(&self) -> usize {
        self.names.len()
    }

    /// How long the path is, in bytes.
    pub(crate) fn path_len(&self) -> usize {
        let parts = self.names.iter().map(|name| match name {
            Name::Part("") => 0,
            Name::Part(part) => part.len().saturating_add(1),
            Name::Item(index) => {
                let digits = index.checked_ilog10().unwrap_or(0) as usize;
                digits.saturating_add(3)
            }
        });
        parts.fold(self.root.len(), usize::saturating_add)
    }
}

#[inline(never)]
fn add(path: &mut String, piece: &str) {
    path.push_str(piece);
}

/// What formatting would do as well, with all that it brings into each program.
fn add_number(path: &mut String, number: usize) {
    if let rest @ 1.. = number / 10 {
        add_number(path, rest);
    }
    let digit = number % 10;
    add(path, "0123456789".get(digit..=digit).unwrap_or_default());
}

/// The arm of a discriminant, whether its labels are signed or not.
pub(crate) fn selected(arms: &'static [Arm], word: u32) -> Option<&'static Arm> {
    let labels = [i64::from(word), i64::from(word.cast_signed())];
    arms.iter().find(|arm| arm.labels.iter().any(|label| labels.contains(label)))
}
