//! Names in a `.x` file.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::schema::{Schema, Shape};

/// The name under which [`export_x`](crate::export_x) defines a struct, an enum, a union or a `transparent` type; of
/// several that differ under one name, the first.
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

/// The fields of a tuple struct have numbers for names.
pub(super) fn member_name(name: &str) -> String {
    if name.starts_with(|letter: char| letter.is_ascii_digit()) { format!("field{name}") } else { name.to_owned() }
}

/// A name that is neither a word of C (GNU's and that of 2023 among them) nor of rpcgen, nor a macro of C's own or of the
/// headers that everybody includes, and has no letters that they do not know.
pub(super) fn identifier(name: &str) -> String {
    const TAKEN: &[&str] = &[
        "_Alignas",
        "alignas",
        "_Alignof",
        "alignof",
        "asm",
        "_Atomic",
        "auto",
        "_Bool",
        "bool",
        "break",
        "case",
        "char",
        "_Complex",
        "const",
        "constexpr",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "EOF",
        "errno",
        "extern",
        "FALSE",
        "false",
        "float",
        "for",
        "_Generic",
        "goto",
        "hyper",
        "i386",
        "if",
        "_Imaginary",
        "inline",
        "int",
        "linux",
        "long",
        "_Noreturn",
        "NULL",
        "nullptr",
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
        "_Static_assert",
        "static_assert",
        "string",
        "struct",
        "switch",
        "_Thread_local",
        "thread_local",
        "TRUE",
        "true",
        "typedef",
        "typeof",
        "typeof_unqual",
        "union",
        "unix",
        "unsigned",
        "version",
        "void",
        "volatile",
        "while",
    ];
    let plain: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if TAKEN.contains(&plain.as_str()) { format!("{plain}_") } else { plain }
}
