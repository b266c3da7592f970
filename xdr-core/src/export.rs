//! Descriptions as a `.x` file, the XDR language of RFC 4506 §6 as rpcgen reads it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::schema::{Arm, EnumValue, Field, Schema, Shape, Type};

/// The definitions of these types, and of all that they use, for rpcgen.
///
/// A type is called what its `rename` or its Rust name says, a generic one with the names of its arguments behind
/// it; what XDR cannot say in one declaration gets a `typedef` of its own. Types without bytes have no definition,
/// and fields of such a type none either; `quadruple`, which rpcgen cannot translate, is `opaque[16]`.
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
    let mut export = Export { names: BTreeMap::new(), definitions: Vec::new() };
    for root in types {
        export.specifier(root(), "root");
    }
    export.definitions.join("\n")
}

/// The name under which [`export_x`] defines a struct, an enum, a union or a `transparent` type.
///
/// # Examples
/// ```
/// use xdr_core::{Encode, Xdr, x_name};
/// #[derive(Xdr)]
/// struct Page<T> { #[xdr(max = 4)] items: Vec<T> }
/// assert_eq!(x_name(<Page<u32> as Encode>::schema()), "Page_unsigned_int");
/// ```
#[must_use]
pub fn x_name(schema: &Schema) -> String {
    let mut name = schema.name.to_owned();
    let of_tuple = match schema.shape {
        Shape::Struct { fields } if schema.name == "tuple" => fields,
        _ => &[],
    };
    let parts = schema.arguments.iter().copied().chain(of_tuple.iter().map(|field| field.schema));
    for part in parts {
        name.push('_');
        name.push_str(&x_name(part()));
    }
    match schema.shape {
        Shape::FixedOpaque(len) => name.push_str(&format!("_{len}")),
        Shape::FixedArray { len, item } => name.push_str(&format!("_{len}_{}", x_name(item()))),
        Shape::Opaque { max } | Shape::String { max, .. } => name.push_str(&format!("_{max}")),
        Shape::Array { max, item } | Shape::List { max, item } => name.push_str(&format!("_{max}_{}", x_name(item()))),
        Shape::Optional(inner) => name.push_str(&format!("_{}", x_name(inner()))),
        _ => {}
    }
    identifier(&name)
}

/// What a name stands for already.
struct Export {
    /// The names given so far, by the description they stand for.
    names: BTreeMap<String, String>,
    definitions: Vec<String>,
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
                    item = self.define(item_place, |_, name| Some(format!("typedef bool {name};\n")))?;
                }
                Some(Declaration { before: format!("{item} "), after: format!("[{len}]") })
            }
            Shape::Array { max, item } => {
                let item = self.specifier(item(), &format!("{place}_item"))?;
                Some(bounded(&item, max))
            }
            Shape::Optional(inner) => match self.specifier(inner(), &format!("{place}_value")) {
                Some(inner) => Some(Declaration { before: format!("{inner} *"), after: String::new() }),
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
            Shape::Struct { fields } => {
                let name = x_name(schema);
                self.define(name, |export, name| export.structure(name, fields))
            }
            Shape::Enum { values, .. } => {
                let name = x_name(schema);
                self.define(name, |_, name| Some(enumeration(name, values)))
            }
            Shape::Union { switch, arms, default } => {
                let name = x_name(schema);
                self.define(name, |export, name| export.union(name, switch(), arms, default))
            }
            Shape::Typedef(inner) | Shape::Checked { inner, .. } if schema.name.is_empty() => {
                self.specifier(inner(), place)
            }
            // A checked type is what it is, under the same name.
            Shape::Checked { inner, .. } => self.specifier(inner(), place),
            Shape::Typedef(inner) => {
                let name = x_name(schema);
                self.define(name, |export, name| {
                    // A list's own name is this one.
                    if let Shape::List { item, .. } = unchecked(inner()).shape {
                        return Some(export.list(name, item));
                    }
                    let declaration = export.declaration(inner(), name)?;
                    Some(format!("typedef {};\n", declaration.of(name)))
                })
            }
            Shape::List { item, .. } => self.define(identifier(place), |export, name| Some(export.list(name, item))),
            _ => self.define(identifier(place), |export, name| {
                let declaration = export.declaration(schema, name)?;
                Some(format!("typedef {};\n", declaration.of(name)))
            }),
        }
    }

    /// Gives a definition its name, once. None where it has no bytes.
    fn define(&mut self, name: String, definition: impl FnOnce(&mut Self, &str) -> Option<String>) -> Option<String> {
        if let Some(known) = self.names.get(&name) {
            return if known.is_empty() { None } else { Some(known.clone()) };
        }
        // Known before it is defined, so that a type can point to itself.
        self.names.insert(name.clone(), name.clone());
        match definition(self, &name) {
            Some(definition) => {
                self.definitions.push(definition);
                Some(name)
            }
            None => {
                self.names.insert(name, String::new());
                None
            }
        }
    }

    fn list(&mut self, name: &str, item: Type) -> String {
        let node = format!("{name}_node");
        let item = self.specifier(item(), &format!("{name}_item"));
        let item = item.map_or(String::new(), |item| format!("    {item} item;\n"));
        format!("struct {node} {{\n{item}    {node} *next;\n}};\n\ntypedef {node} *{name};\n")
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
                let structure = self.define(place, |export, name| export.structure(name, fields));
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

/// What is under checks that have no name of their own.
fn unchecked(schema: &'static Schema) -> &'static Schema {
    match schema.shape {
        Shape::Checked { inner, .. } if schema.name.is_empty() => unchecked(inner()),
        _ => schema,
    }
}

fn enumeration(name: &str, values: &[EnumValue]) -> String {
    let line = |value: &EnumValue| format!("    {name}_{} = {}", identifier(value.name), value.value);
    let lines: Vec<_> = values.iter().map(line).collect();
    format!("enum {name} {{\n{}\n}};\n", lines.join(",\n"))
}

fn bound(max: usize) -> String {
    if max >= u32::MAX as usize { "<>".to_owned() } else { format!("<{max}>") }
}

/// The fields of a tuple struct have numbers for names.
fn member_name(name: &str) -> String {
    if name.starts_with(|letter: char| letter.is_ascii_digit()) { format!("field{name}") } else { name.to_owned() }
}

/// A name that is neither a word of C nor of rpcgen, and has no letters that they do not know.
fn identifier(name: &str) -> String {
    const TAKEN: &[&str] = &[
        "auto",
        "bool",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "hyper",
        "if",
        "inline",
        "int",
        "long",
        "opaque",
        "program",
        "quadruple",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "string",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "version",
        "void",
        "volatile",
        "while",
    ];
    let plain: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if TAKEN.contains(&plain.as_str()) { format!("{plain}_") } else { plain }
}

#[cfg(test)]
mod tests {
    use crate::{Encode, Xdr, export_x};
    use alloc::vec::Vec;

    #[derive(Xdr)]
    #[xdr(transparent, rename = "mountlist")]
    struct MountList(#[xdr(list, unbounded)] Vec<u32>);

    #[derive(Xdr)]
    #[xdr(transparent, rename = "checked")]
    struct Checked(#[xdr(list, max = 4, validate = not_empty)] Vec<u32>);

    #[expect(clippy::ptr_arg, reason = "it is called with what the field holds")]
    fn not_empty(list: &Vec<u32>) -> bool {
        !list.is_empty()
    }

    #[test]
    fn a_type_that_is_a_list_is_defined_by_its_nodes_and_not_by_itself() {
        let expected = "\
struct mountlist_node {
    unsigned int item;
    mountlist_node *next;
};

typedef mountlist_node *mountlist;
";
        assert_eq!(export_x(&[<MountList as Encode>::schema]), expected);
        assert_eq!(export_x(&[<Checked as Encode>::schema]), expected.replace("mountlist", "checked"));
    }
}
