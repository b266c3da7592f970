//! Descriptions as a `.x` file, the XDR language of RFC 4506 §6 as rpcgen reads it.

mod alike; // whether two descriptions have the same definition
mod name; //  names that rpcgen and C take
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use self::name::x_name;

use self::alike::{Meaning, holds, unchecked};
use self::name::{identifier, member_name};
use crate::schema::{Arm, EnumValue, Field, Schema, Shape, Type};

/// The definitions of these types, and of all that they use, for rpcgen.
///
/// A type is called what its `rename` or its Rust name says, a generic one with the names of its arguments behind
/// it; what XDR cannot say in one declaration gets a `typedef` of its own. Types that differ and have one name, as
/// those of two modules or of two constants (`Page<4>` and `Page<8>`), are numbered: `Page` and `Page_2`. Types without
/// bytes have no definition, and fields of such a type none either; of an array of them there is the count;
/// `quadruple`, which rpcgen cannot translate, is `opaque[16]`.
///
/// What holds itself in an `Option`, an array or a list is named before it is defined, as rpcgen knows it: `struct tree`.
/// A type that holds itself with only a `Box` between has no declaration in XDR, and no C.
///
/// # Examples
/// ```
/// use xdr_core::{Encode, Xdr, export_x};
/// #[derive(Xdr)]
/// #[xdr(rename = "domain")]
/// struct Domain {
///     #[xdr(max = 256)]
///     name: String,
///     uuid: [u8; 16],
///     #[xdr(max = 4, item(max = 50))]
///     disks: Vec<String>,
///     parent: Option<Box<Domain>>,
/// }
///
/// assert_eq!(export_x(&[<Domain as Encode>::schema]), "\
/// typedef string domain_disks_item<50>;
///
/// struct domain {
///     string name<256>;
///     opaque uuid[16];
///     domain_disks_item disks<4>;
///     domain *parent;
/// };
/// ");
/// ```
#[must_use]
pub fn export_x(types: &[Type]) -> String {
    let mut export = Export::default();
    for root in types {
        export.specifier(root(), "root");
    }
    export.definitions.join("\n")
}

#[derive(Default)]
struct Export {
    names: BTreeMap<String, Named>,
    definitions: Vec<String>,
    /// What is being defined, from the outermost on; of a struct, union or typedef its description.
    open: Vec<(String, Option<&'static Schema>)>,
    /// What waits until something open that it holds is defined.
    later: Vec<(String, Meaning)>,
}

/// What a name stands for, and how far its definition is.
struct Named {
    meaning: Meaning,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Waiting, or being defined.
    Begun,
    Defined,
    /// There are no bytes to define.
    Nothing,
}

/// A declaration in two halves, around the declared name: `string ` and `<256>`.
struct Declaration {
    before: String,
    after: String,
}

impl Declaration {
    fn plain(specifier: &str) -> Self {
        Self { before: format!("{specifier} "), after: String::new() }
    }

    fn of(&self, name: &str) -> String {
        format!("{}{}{}", self.before, identifier(name), self.after)
    }
}

impl Export {
    /// How a member of this type is declared; none for a type without bytes. `place` names what has no name.
    fn declaration(&mut self, schema: &'static Schema, place: &str) -> Option<Declaration> {
        let bounded = |word: &str, max: usize| Declaration { before: format!("{word} "), after: bound(max) };
        match schema.shape {
            Shape::FixedOpaque(len) => Some(Declaration { before: "opaque ".to_owned(), after: format!("[{len}]") }),
            Shape::Quadruple => Some(Declaration { before: "opaque ".to_owned(), after: "[16]".to_owned() }),
            Shape::Opaque { max } => Some(bounded("opaque", max)),
            Shape::String { max, .. } => Some(bounded("string", max)),
            Shape::FixedArray { len, item } => {
                let item_place = identifier(&format!("{place}_item"));
                let mut item = self.specifier(item(), &item_place)?;
                if item == "bool" {
                    // rpcgen's C for an array of fixed length takes the name as it stands, and C has no `bool`.
                    let definition = |_: &mut Self, name: &str| Some(format!("typedef bool {name};\n"));
                    item = self.define(item_place, Meaning::Bool, definition)?;
                }
                Some(Declaration { before: format!("{item} "), after: format!("[{len}]") })
            }
            Shape::Array { max, item } => {
                Some(match self.specifier(item(), &format!("{place}_item")) {
                    Some(item) => bounded(&item, max),
                    // How many there are is all there is.
                    None => Declaration::plain("unsigned int"),
                })
            }
            Shape::Optional(inner) => match self.specifier(inner(), &format!("{place}_value")) {
                Some(inner) => {
                    // To what it declares itself rpcgen points without the word.
                    let itself = self.open.last().is_some_and(|(name, _)| inner == format!("struct {name}"));
                    let inner = inner.strip_prefix("struct ").filter(|_| itself).unwrap_or(&inner);
                    Some(Declaration { before: format!("{inner} *"), after: String::new() })
                }
                // Whether it is there is all there is.
                None => Some(Declaration::plain("bool")),
            },
            Shape::Checked { inner, .. } if schema.name.is_empty() => self.declaration(inner(), place),
            _ => self.specifier(schema, place).map(|specifier| Declaration::plain(&specifier)),
        }
    }

    /// The type's name, defined before it is used; none for a type without bytes.
    fn specifier(&mut self, schema: &'static Schema, place: &str) -> Option<String> {
        match schema.shape {
            Shape::Void => None,
            Shape::Char | Shape::Short | Shape::Int | Shape::Hyper | Shape::Float | Shape::Double | Shape::Bool => {
                Some(schema.name.to_owned())
            }
            Shape::UnsignedChar | Shape::UnsignedShort | Shape::UnsignedInt | Shape::UnsignedHyper => {
                Some(schema.name.to_owned())
            }
            Shape::Struct { .. } | Shape::Union { .. } => {
                let (name, state) = self.named(x_name(schema), Meaning::Type(schema));
                match state {
                    None => self.compound(name, schema),
                    Some(State::Begun) => Some(format!("struct {name}")),
                    Some(State::Defined) => Some(name),
                    Some(State::Nothing) => None,
                }
            }
            Shape::Enum { values, .. } => {
                self.define(x_name(schema), Meaning::Type(schema), |_, name| Some(enumeration(name, values)))
            }
            Shape::Typedef(inner) | Shape::Checked { inner, .. } if schema.name.is_empty() => {
                self.specifier(inner(), place)
            }
            // A checked type is what it is, under the same name.
            Shape::Checked { inner, .. } => self.specifier(inner(), place),
            Shape::Typedef(inner) => self.define(x_name(schema), Meaning::Type(schema), |export, name| {
                // A list's own name is this one.
                let inner = unchecked(inner());
                if let Shape::List { .. } = inner.shape {
                    return Some(export.list(name, inner));
                }
                let declaration = export.declaration(inner, name)?;
                Some(format!("typedef {};\n", declaration.of(name)))
            }),
            Shape::List { .. } => {
                self.define(identifier(place), Meaning::Type(schema), |export, name| Some(export.list(name, schema)))
            }
            _ => self.define(identifier(place), Meaning::Type(schema), |export, name| {
                let declaration = export.declaration(schema, name)?;
                Some(format!("typedef {};\n", declaration.of(name)))
            }),
        }
    }

    /// The name for this meaning, numbered where what is called so already means something else, and how far its
    /// definition is.
    fn named(&self, base: String, meaning: Meaning) -> (String, Option<State>) {
        let mut name = base.clone();
        let mut number = 1_usize;
        while let Some(known) = self.names.get(&name) {
            if known.meaning.is_alike(meaning) {
                return (name, Some(known.state));
            }
            number = number.saturating_add(1);
            name = format!("{base}_{number}");
        }
        (name, None)
    }

    /// Gives a definition its name, once. None where it has no bytes.
    fn define(
        &mut self,
        base: String,
        meaning: Meaning,
        definition: impl FnOnce(&mut Self, &str) -> Option<String>,
    ) -> Option<String> {
        match self.named(base, meaning) {
            (_, Some(State::Nothing)) => None,
            (name, Some(_)) => Some(name),
            (name, None) => {
                // C knows no typedef ahead of its line: what holds one that is open waits for it.
                let open = match meaning {
                    Meaning::Type(schema) if matches!(schema.shape, Shape::Typedef(_)) => Some(schema),
                    _ => None,
                };
                self.define_as(name, meaning, open, definition)
            }
        }
    }

    fn define_as(
        &mut self,
        name: String,
        meaning: Meaning,
        described: Option<&'static Schema>,
        definition: impl FnOnce(&mut Self, &str) -> Option<String>,
    ) -> Option<String> {
        // Known before it is defined, so that a type can point to itself.
        self.names.insert(name.clone(), Named { meaning, state: State::Begun });
        self.open.push((name.clone(), described));
        let defined = definition(self, &name);
        self.open.pop();
        let state = if defined.is_some() { State::Defined } else { State::Nothing };
        self.names.insert(name.clone(), Named { meaning, state });
        self.definitions.extend(defined);
        self.define_later();
        (state == State::Defined).then_some(name)
    }

    /// A struct or union. What holds something that is being defined can only be defined behind it.
    fn compound(&mut self, name: String, schema: &'static Schema) -> Option<String> {
        if self.holds_open(schema) {
            return Some(format!("struct {}", self.wait(name, Meaning::Type(schema))));
        }
        self.define_as(name, Meaning::Type(schema), Some(schema), |export, name| match schema.shape {
            Shape::Union { switch, arms, default } => export.union(name, switch(), arms, default),
            Shape::Struct { fields } => export.structure(name, fields),
            _ => None,
        })
    }

    fn holds_open(&self, schema: &'static Schema) -> bool {
        let open: Vec<_> = self.open.iter().filter_map(|(_, described)| *described).collect();
        !open.is_empty() && holds(schema, &open)
    }

    fn wait(&mut self, name: String, meaning: Meaning) -> String {
        self.names.insert(name.clone(), Named { meaning, state: State::Begun });
        self.later.push((name.clone(), meaning));
        name
    }

    /// Defines what waits no longer.
    fn define_later(&mut self) {
        let ready = self.later.iter().position(|(_, meaning)| match meaning {
            Meaning::Type(schema) => !self.holds_open(schema),
            Meaning::Node(Schema { shape: Shape::List { item, .. }, .. }) => !self.holds_open(item()),
            _ => true,
        });
        let Some(ready) = ready else { return };
        // Defining it looks for the next one that is ready.
        match self.later.remove(ready) {
            (name, Meaning::Node(list)) => self.node(name, list),
            (name, Meaning::Type(schema)) => {
                self.compound(name, schema);
            }
            _ => {}
        }
    }

    /// A list is a pointer to its first node.
    fn list(&mut self, name: &str, list: &'static Schema) -> String {
        let meaning = Meaning::Node(list);
        let (node, state) = self.named(format!("{name}_node"), meaning);
        let waits = matches!(list.shape, Shape::List { item, .. } if self.holds_open(item()));
        let word = if waits || state == Some(State::Begun) { "struct " } else { "" };
        match state {
            None if waits => {
                self.wait(node.clone(), meaning);
            }
            None => self.node(node.clone(), list),
            Some(_) => {}
        }
        format!("typedef {word}{node} *{name};\n")
    }

    fn node(&mut self, name: String, list: &'static Schema) {
        let Shape::List { item, .. } = list.shape else { return };
        self.define_as(name, Meaning::Node(list), None, |export, node| {
            let place = format!("{}_item", node.strip_suffix("_node").unwrap_or(node));
            let item = export.specifier(item(), &place);
            let item = item.map_or(String::new(), |item| format!("    {item} item;\n"));
            Some(format!("struct {node} {{\n{item}    {node} *next;\n}};\n"))
        });
    }

    fn structure(&mut self, name: &str, fields: &[Field]) -> Option<String> {
        let members = self.members(name, fields);
        if members.is_empty() {
            return None;
        }
        Some(format!("struct {name} {{\n{}}};\n", members.concat()))
    }

    /// `    string name<256>;` for each field that has bytes.
    fn members(&mut self, name: &str, fields: &[Field]) -> Vec<String> {
        let member = |field: &Field| {
            let field_name = member_name(field.name);
            let declaration = self.declaration((field.schema)(), &format!("{name}_{field_name}"))?;
            Some(format!("    {};\n", declaration.of(&field_name)))
        };
        fields.iter().filter_map(member).collect()
    }

    fn union(
        &mut self,
        name: &str,
        switch: &'static Schema,
        arms: &'static [Arm],
        default: Option<&'static Arm>,
    ) -> Option<String> {
        let switch = self.specifier(switch, name)?;
        if arms.is_empty() {
            // A union without a case is none in XDR: what it is on the wire is a struct.
            let member = default.map_or_else(String::new, |arm| self.arm(name, arm)).replace("    void;\n", "");
            return Some(format!("struct {name} {{\n    {switch} discriminant;\n{member}}};\n"));
        }
        let mut body = String::new();
        for arm in arms {
            for label in arm.labels {
                let label = match (switch.as_str(), label) {
                    ("bool", 0) => "FALSE".to_owned(),
                    ("bool", _) => "TRUE".to_owned(),
                    _ => format!("{label}"),
                };
                body.push_str(&format!("case {label}:\n"));
            }
            body.push_str(&self.arm(name, arm));
        }
        if let Some(arm) = default {
            body.push_str("default:\n");
            body.push_str(&self.arm(name, arm));
        }
        Some(format!("union {name} switch ({switch} discriminant) {{\n{body}}};\n"))
    }

    /// An arm has one declaration: several fields are a struct of their own.
    fn arm(&mut self, name: &str, arm: &Arm) -> String {
        let arm_name = identifier(arm.name);
        let place = format!("{name}_{arm_name}");
        let declaration = match arm.fields {
            [] => None,
            [field] => self.declaration((field.schema)(), &place),
            fields => {
                let structure = self.define(place, Meaning::Arm(fields), |export, name| export.structure(name, fields));
                structure.map(|structure| Declaration::plain(&structure))
            }
        };
        match declaration {
            // A member of a C union must not be called like its type.
            Some(declaration) => format!("    {};\n", declaration.of(&format!("{arm_name}_arm"))),
            None => "    void;\n".to_owned(),
        }
    }
}

fn enumeration(name: &str, values: &[EnumValue]) -> String {
    if values.is_empty() {
        return format!("typedef int {name};\n");
    }
    let line = |value: &EnumValue| format!("    {name}_{} = {}", identifier(value.name), value.value);
    let lines: Vec<_> = values.iter().map(line).collect();
    format!("enum {name} {{\n{}\n}};\n", lines.join(",\n"))
}

fn bound(max: usize) -> String {
    if max >= u32::MAX as usize { "<>".to_owned() } else { format!("<{max}>") }
}
