//! Descriptions as a `.x` file, the XDR language of RFC 4506 §6 as rpcgen reads it.

mod collect; // from descriptions to definitions
mod order; //   what C has to know before what
mod alike; //   whether two descriptions have the same definition
mod name; //    names that rpcgen and C take
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use self::name::x_name;

use crate::schema::Type;

/// The definitions of these types, and of all that they use, for rpcgen.
///
/// A type is called what its `rename` or its Rust name says, a generic one with the names of its arguments behind
/// it; what XDR cannot say in one declaration gets a `typedef` of its own. Types that differ and have one name, as
/// those of two modules or of two constants (`Page<4>` and `Page<8>`), are numbered: `Page` and `Page_2`. Types without
/// bytes have no definition, and fields of such a type none either; of an array of them there is the count;
/// `quadruple`, which rpcgen cannot translate, is `opaque[16]`.
///
/// What holds itself in an `Option`, an array or a list is named before it is defined, as rpcgen knows it: `struct tree`.
/// C knows no `typedef` ahead of its line: one that comes back to itself is a struct of one member, which is the same on
/// the wire.
///
/// # Errors
/// When a type holds itself with only a `Box` between, as an arm of a union may: no type of C can.
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
/// assert_eq!(export_x(&[<Domain as Encode>::schema])?, "\
/// typedef string domain_disks_item<50>;
///
/// struct domain {
///     string name<256>;
///     opaque uuid[16];
///     domain_disks_item disks<4>;
///     domain *parent;
/// };
/// ");
/// # Ok::<(), xdr_core::ExportError>(())
/// ```
/// ```
/// use xdr_core::{Encode, Xdr, export_x};
/// #[derive(Xdr)]
/// enum Term {
///     #[xdr(case = 0)]
///     Number(i32),
///     #[xdr(case = 1)]
///     Minus(Box<Term>),
/// }
///
/// let error = export_x(&[<Term as Encode>::schema]).unwrap_err();
/// assert!(error.to_string().starts_with("`Term` holds itself"));
/// ```
pub fn export_x(types: &[Type]) -> Result<String, ExportError> {
    let mut definitions = collect::definitions(types);
    order::break_circles(&mut definitions)?;
    Ok(order::in_order(&definitions).join("\n"))
}

/// A type that rpcgen cannot translate, since C cannot declare it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportError {
    /// The type's name, as [`x_name`] has it.
    pub name: String,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` holds itself, as no type of C can: rpcgen takes it with an `Option`, an array or a list between, which \
             is another message",
            self.name
        )
    }
}

impl core::error::Error for ExportError {}

/// A definition, whose references are the places of other definitions.
struct Definition {
    name: String,
    kind: Kind,
}

enum Kind {
    /// Its parts are still being looked at.
    Begun,
    /// There are no bytes to define.
    Nothing,
    Enum(Vec<(String, i32)>),
    Struct(Vec<Member>),
    Union {
        switch: Specifier,
        arms: Vec<Arm>,
    },
    Typedef(Declaration),
}

/// `case 1:` and what it selects; nothing for a void arm.
struct Arm {
    labels: String,
    member: Option<Member>,
}

struct Member {
    name: String,
    declaration: Declaration,
}

/// What is declared of a name: `string name<256>`.
struct Declaration {
    specifier: Specifier,
    form: Form,
}

enum Specifier {
    Word(&'static str),
    /// The definition at this place.
    Named(usize),
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// `[len]`
    Fixed(usize),
    /// `<max>`
    Variable(usize),
    /// `*`
    Pointer,
}
