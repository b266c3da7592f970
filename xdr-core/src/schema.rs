//! Descriptions of types: what errors, exports and dissectors read instead of the types themselves.

use crate::wire::{Code, Wire};

/// A reference to another type's description. A function, so that recursive types can refer to themselves.
pub type Type = fn() -> &'static Schema;

/// The description of an XDR type.
///
/// ```
/// use xdr_core::{Encode, Shape, Xdr};
/// #[derive(Xdr)]
/// #[xdr(rename = "point")]
/// struct Point { x: i32, y: i32 }
///
/// let schema = <Point as Encode>::schema();
/// assert_eq!(schema.name, "point");
/// let Shape::Struct { fields } = schema.shape else { panic!() };
/// assert_eq!(fields[1].name, "y");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The type's name: `rename`, or the Rust name; for built-in types XDR's own word.
    pub name: &'static str,
    /// The type's documentation comment, lines separated by `\n`.
    pub docs: &'static str,
    /// The types that a generic type was given.
    pub arguments: &'static [Type],
    /// What the type looks like on the wire.
    pub shape: Shape,
}

impl Schema {
    /// A type that has no documentation and no arguments of its own.
    #[must_use]
    pub const fn builtin(name: &'static str, shape: Shape) -> Self {
        Self { name, docs: "", arguments: &[], shape }
    }
}

/// What a type looks like on the wire (RFC 4506 §4).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Shape {
    /// No bytes.
    Void,
    /// A C `char`: one word, -128 to 127.
    Char,
    /// A C `short`: one word, -32768 to 32767.
    Short,
    /// A C `unsigned short`: one word, 0 to 65535.
    UnsignedShort,
    /// A C `unsigned char`: one word, 0 to 255.
    UnsignedChar,
    /// A signed word.
    Int,
    /// An unsigned word.
    UnsignedInt,
    /// Eight bytes, signed.
    Hyper,
    /// Eight bytes, unsigned.
    UnsignedHyper,
    /// IEEE 754, four bytes.
    Float,
    /// IEEE 754, eight bytes.
    Double,
    /// IEEE 754, sixteen bytes.
    Quadruple,
    /// A word that is 0 or 1.
    Bool,
    /// `opaque[n]`: that many bytes and their padding.
    FixedOpaque(usize),
    /// `opaque<max>`: a length word, the bytes, their padding.
    Opaque {
        /// Most bytes.
        max: usize,
    },
    /// `string<max>`: a length word, the bytes, their padding.
    String {
        /// Most bytes.
        max: usize,
        /// The bytes must be UTF-8.
        utf8: bool,
    },
    /// `item[len]`: the elements.
    FixedArray {
        /// How many elements.
        len: usize,
        /// The element's type.
        item: Type,
    },
    /// `item<max>`: a count word and the elements.
    Array {
        /// Most elements.
        max: usize,
        /// The element's type.
        item: Type,
    },
    /// A linked list: the flag 1 before each element, the flag 0 at the end.
    List {
        /// Most nodes.
        max: usize,
        /// The element's type.
        item: Type,
    },
    /// `*type`: a flag word, and the value where it is 1.
    Optional(Type),
    /// The fields in order.
    Struct {
        /// The fields that are on the wire.
        fields: &'static [Field],
    },
    /// A signed word that is one of the values.
    Enum {
        /// The named values.
        values: &'static [EnumValue],
        /// Any other value is kept as it is.
        other: bool,
    },
    /// A discriminant word and the arm that it selects.
    Union {
        /// The discriminant's type: `int`, `unsigned int`, `bool` or an enum.
        switch: Type,
        /// The arms with labels.
        arms: &'static [Arm],
        /// The default arm.
        default: Option<&'static Arm>,
    },
    /// The same on the wire as another type.
    Typedef(Type),
    /// A type not all of whose values are accepted.
    Checked {
        /// The path of what decides.
        by: &'static str,
        /// The type.
        inner: Type,
    },
}

/// A field of a struct or of an arm.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The field's name, its number in a tuple struct, or empty where it is the whole of an arm.
    pub name: &'static str,
    /// The field's documentation comment.
    pub docs: &'static str,
    /// The field's type.
    pub schema: Type,
    /// Where its fixed front ends.
    pub wire: Wire,
    /// The most bytes that it can take, or `None` where there is no such number.
    pub max_wire: Option<usize>,
    /// What is known of its code.
    pub code: Code,
}

/// A named value of an enum.
#[derive(Debug, Clone, Copy)]
pub struct EnumValue {
    /// The name.
    pub name: &'static str,
    /// Its documentation comment.
    pub docs: &'static str,
    /// The value.
    pub value: i32,
}

/// An arm of a union.
#[derive(Debug, Clone, Copy)]
pub struct Arm {
    /// The variant's name.
    pub name: &'static str,
    /// The variant's documentation comment.
    pub docs: &'static str,
    /// The discriminants that select it; none for the default arm.
    pub labels: &'static [i64],
    /// What follows the discriminant; nothing for a void arm.
    pub fields: &'static [Field],
}
