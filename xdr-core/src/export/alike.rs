//! Whether two descriptions have the same definition.

use alloc::collections::BTreeSet;

use crate::schema::{Arm, Field, Schema, Shape, Type};

/// What a name of a `.x` file stands for.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// A type, or what has no name of its own in XDR and gets a `typedef`.
    Type(&'static Schema),
    /// The fields of an arm.
    Arm(&'static [Field]),
    /// A node of this list.
    Node(&'static Schema),
    /// `bool` under another name.
    Bool,
}

impl Meaning {
    pub(super) fn is_alike(self, other: Self) -> bool {
        let mut compared = Compared::default();
        match (self, other) {
            (Self::Type(one), Self::Type(other)) | (Self::Node(one), Self::Node(other)) => compared.schemas(one, other),
            (Self::Arm(one), Self::Arm(other)) => compared.fields(one, other),
            (Self::Bool, Self::Bool) => true,
            _ => false,
        }
    }
}

/// The pairs that are being compared, or were: they are alike unless something else differs, so that recursion ends.
#[derive(Default)]
struct Compared(BTreeSet<(*const Schema, *const Schema)>);

impl Compared {
    fn types(&mut self, one: Type, other: Type) -> bool {
        self.schemas(one(), other())
    }

    fn schemas(&mut self, one: &'static Schema, other: &'static Schema) -> bool {
        let (one, other) = (unchecked(one), unchecked(other));
        if core::ptr::eq(one, other) || !self.0.insert((core::ptr::from_ref(one), core::ptr::from_ref(other))) {
            return true;
        }
        one.name == other.name && self.shapes(&one.shape, &other.shape)
    }

    fn shapes(&mut self, one: &Shape, other: &Shape) -> bool {
        match (one, other) {
            (Shape::FixedOpaque(one), Shape::FixedOpaque(other)) => one == other,
            (Shape::Opaque { max: one }, Shape::Opaque { max: other })
            | (Shape::String { max: one, .. }, Shape::String { max: other, .. }) => one == other,
            (Shape::FixedArray { len: one, item: one_item }, Shape::FixedArray { len: other, item: other_item })
            | (Shape::Array { max: one, item: one_item }, Shape::Array { max: other, item: other_item })
            | (Shape::List { max: one, item: one_item }, Shape::List { max: other, item: other_item }) => {
                one == other && self.types(*one_item, *other_item)
            }
            (Shape::Optional(one), Shape::Optional(other)) | (Shape::Typedef(one), Shape::Typedef(other)) => {
                self.types(*one, *other)
            }
            (Shape::Struct { fields: one }, Shape::Struct { fields: other }) => self.fields(one, other),
            (Shape::Enum { values: one, .. }, Shape::Enum { values: other, .. }) => {
                let one = one.iter().map(|value| (value.name, value.value));
                one.eq(other.iter().map(|value| (value.name, value.value)))
            }
            (
                Shape::Union { switch: one_switch, arms: one, default: one_default },
                Shape::Union { switch: other_switch, arms: other, default: other_default },
            ) => {
                self.types(*one_switch, *other_switch)
                    && one.len() == other.len()
                    && one.iter().zip(*other).all(|(one, other)| self.arms(one, other))
                    && match (one_default, other_default) {
                        (Some(one), Some(other)) => self.arms(one, other),
                        (one, other) => one.is_none() && other.is_none(),
                    }
            }
            _ => core::mem::discriminant(one) == core::mem::discriminant(other),
        }
    }

    fn arms(&mut self, one: &'static Arm, other: &'static Arm) -> bool {
        one.name == other.name && one.labels == other.labels && self.fields(one.fields, other.fields)
    }

    fn fields(&mut self, one: &'static [Field], other: &'static [Field]) -> bool {
        one.len() == other.len()
            && one.iter().zip(other).all(|(one, other)| one.name == other.name && self.types(one.schema, other.schema))
    }
}

/// What is under checks, which a `.x` file does not know.
pub(super) fn unchecked(schema: &'static Schema) -> &'static Schema {
    match schema.shape {
        Shape::Checked { inner, .. } => unchecked(inner()),
        _ => schema,
    }
}
