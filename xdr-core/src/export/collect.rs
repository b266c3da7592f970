//! From descriptions to definitions.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::alike::{Meaning, unchecked};
use super::name::{identifier, member_name, x_name};
use super::{Arm, Declaration, Definition, Form, Kind, Member, Specifier};
use crate::schema::{self, EnumValue, Field, Schema, Shape, Type};

/// The definitions of these types and of all that they use.
pub(super) fn definitions(types: &[Type]) -> Vec<Definition> {
    let mut collected = Collected::default();
    for root in types {
        collected.specifier(root(), "root");
    }
    collected.definitions
}

#[derive(Default)]
struct Collected {
    definitions: Vec<Definition>,
    /// What each name stands for, and the place of its definition.
    names: BTreeMap<String, (Meaning, usize)>,
}

impl Declaration {
    const fn plain(specifier: Specifier) -> Self {
        Self { specifier, form: Form::Plain }
    }

    const fn word(word: &'static str, form: Form) -> Self {
        Self { specifier: Specifier::Word(word), form }
    }
}

impl Collected {
    /// How a member of this type is declared; none for a type without bytes. `place` names what has no name.
    fn declaration(&mut self, schema: &'static Schema, place: &str) -> Option<Declaration> {
        match schema.shape {
            // C has no arrays without elements.
            Shape::FixedOpaque(0) | Shape::FixedArray { len: 0, .. } => None,
            Shape::FixedOpaque(len) => Some(Declaration::word("opaque", Form::Fixed(len))),
            Shape::Quadruple => Some(Declaration::word("opaque", Form::Fixed(16))),
            Shape::Opaque { max } => Some(Declaration::word("opaque", Form::Variable(max))),
            Shape::String { max, .. } => Some(Declaration::word("string", Form::Variable(max))),
            Shape::FixedArray { len, item } => {
                let item_place = identifier(&format!("{place}_item"));
                let mut item = self.specifier(item(), &item_place)?;
                if let Specifier::Word("bool") = item {
                    // rpcgen's C for an array of fixed length takes the name as it stands, and C has no `bool`.
                    let definition =
                        |_: &mut Self, _: &str| Some(Kind::Typedef(Declaration::word("bool", Form::Plain)));
                    item = self.define(item_place, Meaning::Bool, definition)?;
                }
                Some(Declaration { specifier: item, form: Form::Fixed(len) })
            }
            Shape::Array { max, item } => Some(match self.specifier(item(), &format!("{place}_item")) {
                Some(item) => Declaration { specifier: item, form: Form::Variable(max) },
                // How many there are is all there is.
                None => Declaration::word("unsigned int", Form::Plain),
            }),
            Shape::Optional(inner) => Some(match self.specifier(inner(), &format!("{place}_value")) {
                Some(inner) => Declaration { specifier: inner, form: Form::Pointer },
                // Whether it is there is all there is.
                None => Declaration::word("bool", Form::Plain),
            }),
            Shape::Checked { inner, .. } if schema.name.is_empty() => self.declaration(inner(), place),
            _ => self.specifier(schema, place).map(Declaration::plain),
        }
    }

    /// The type's name, which is defined; none for a type without bytes.
    fn specifier(&mut self, schema: &'static Schema, place: &str) -> Option<Specifier> {
        match schema.shape {
            Shape::Void => None,
            Shape::Char | Shape::Short | Shape::Int | Shape::Hyper | Shape::Float | Shape::Double | Shape::Bool => {
                Some(Specifier::Word(schema.name))
            }
            Shape::UnsignedChar | Shape::UnsignedShort | Shape::UnsignedInt | Shape::UnsignedHyper => {
                Some(Specifier::Word(schema.name))
            }
            Shape::Typedef(inner) | Shape::Checked { inner, .. } if schema.name.is_empty() => {
                self.specifier(inner(), place)
            }
            // A checked type is what it is, under the same name.
            Shape::Checked { inner, .. } => self.specifier(inner(), place),
            Shape::Struct { .. } | Shape::Union { .. } | Shape::Enum { .. } | Shape::Typedef(_) => {
                self.define(x_name(schema), Meaning::Type(schema), |all, name| all.definition(name, schema))
            }
            _ => self.define(identifier(place), Meaning::Type(schema), |all, name| all.definition(name, schema)),
        }
    }

    fn definition(&mut self, name: &str, schema: &'static Schema) -> Option<Kind> {
        match schema.shape {
            Shape::Struct { fields } => self.structure(name, fields),
            Shape::Union { switch, arms, default } => self.union(name, switch(), arms, default),
            Shape::Enum { values, .. } => Some(enumeration(name, values)),
            Shape::List { item, .. } => self.list(name, schema, item),
            Shape::Typedef(inner) => match unchecked(inner()) {
                // A list's own name is this one.
                list @ Schema { shape: Shape::List { item, .. }, .. } => self.list(name, list, *item),
                inner => self.declaration(inner, name).map(Kind::Typedef),
            },
            _ => self.declaration(schema, name).map(Kind::Typedef),
        }
    }

    /// Gives a definition its name, once, numbered where what is called so already means something else. None where it
    /// has no bytes.
    fn define(
        &mut self,
        base: String,
        meaning: Meaning,
        definition: impl FnOnce(&mut Self, &str) -> Option<Kind>,
    ) -> Option<Specifier> {
        let mut name = base.clone();
        let mut number = 1_usize;
        while let Some((known, place)) = self.names.get(&name) {
            if known.is_alike(meaning) {
                let nothing = self.definitions.get(*place).is_none_or(|known| matches!(known.kind, Kind::Nothing));
                return if nothing { None } else { Some(Specifier::Named(*place)) };
            }
            number = number.saturating_add(1);
            name = format!("{base}_{number}");
        }
        // Known before it is defined, so that a type can point to itself.
        let place = self.definitions.len();
        self.names.insert(name.clone(), (meaning, place));
        self.definitions.push(Definition { name: name.clone(), kind: Kind::Begun });
        let kind = definition(self, &name);
        let specifier = kind.is_some().then_some(Specifier::Named(place));
        if let Some(begun) = self.definitions.get_mut(place) {
            begun.kind = kind.unwrap_or(Kind::Nothing);
        }
        specifier
    }

    /// A list is a pointer to its first node.
    fn list(&mut self, name: &str, list: &'static Schema, item: Type) -> Option<Kind> {
        let node = self.define(format!("{name}_node"), Meaning::Node(list), |all, node| {
            let place = format!("{}_item", node.strip_suffix("_node").unwrap_or(node));
            let item = all.specifier(item(), &place).map(Declaration::plain);
            let item = item.map(|declaration| Member { name: "item".to_owned(), declaration });
            // It is the only one of its name that means this list.
            let (_, this) = all.names.get(node)?;
            let next = Declaration { specifier: Specifier::Named(*this), form: Form::Pointer };
            let next = Member { name: "next".to_owned(), declaration: next };
            Some(Kind::Struct(item.into_iter().chain([next]).collect()))
        })?;
        Some(Kind::Typedef(Declaration { specifier: node, form: Form::Pointer }))
    }

    fn structure(&mut self, name: &str, fields: &[Field]) -> Option<Kind> {
        let member = |field: &Field| {
            let field_name = member_name(field.name);
            let declaration = self.declaration((field.schema)(), &format!("{name}_{field_name}"))?;
            Some(Member { name: identifier(&field_name), declaration })
        };
        let members: Vec<_> = fields.iter().filter_map(member).collect();
        if members.is_empty() { None } else { Some(Kind::Struct(members)) }
    }

    fn union(
        &mut self,
        name: &str,
        switch: &'static Schema,
        arms: &'static [schema::Arm],
        default: Option<&'static schema::Arm>,
    ) -> Option<Kind> {
        let switch = self.specifier(switch, name)?;
        if arms.is_empty() {
            // A union without a case is none in XDR: what it is on the wire is a struct.
            let discriminant = Member { name: "discriminant".to_owned(), declaration: Declaration::plain(switch) };
            let mut members = vec![discriminant];
            members.extend(default.and_then(|arm| self.arm(name, arm)));
            return Some(Kind::Struct(members));
        }
        let label = |label: &i64| match (&switch, label) {
            (Specifier::Word("bool"), 0) => "case FALSE:\n".to_owned(),
            (Specifier::Word("bool"), _) => "case TRUE:\n".to_owned(),
            // What is another name for it has its words as signed ones.
            (Specifier::Word("unsigned int"), label) => format!("case {}:\n", label & i64::from(u32::MAX)),
            _ => format!("case {label}:\n"),
        };
        let labelled = arms.iter().map(|arm| (arm.labels.iter().map(label).collect::<String>(), arm));
        let default = default.map(|arm| ("default:\n".to_owned(), arm));
        let arms = labelled.chain(default).map(|(labels, arm)| Arm { labels, member: self.arm(name, arm) }).collect();
        Some(Kind::Union { switch, arms })
    }

    /// An arm has one declaration: several fields are a struct of their own.
    fn arm(&mut self, name: &str, arm: &schema::Arm) -> Option<Member> {
        let arm_name = identifier(arm.name);
        let place = format!("{name}_{arm_name}");
        let declaration = match arm.fields {
            [] => None,
            [field] => self.declaration((field.schema)(), &place),
            fields => {
                let structure = self.define(place, Meaning::Arm(fields), |all, name| all.structure(name, fields));
                structure.map(Declaration::plain)
            }
        };
        // A member of a C union must not be called like its type.
        declaration.map(|declaration| Member { name: identifier(&format!("{arm_name}_arm")), declaration })
    }
}

fn enumeration(name: &str, values: &[EnumValue]) -> Kind {
    if values.is_empty() {
        return Kind::Typedef(Declaration::word("int", Form::Plain));
    }
    Kind::Enum(values.iter().map(|value| (format!("{name}_{}", identifier(value.name)), value.value)).collect())
}
