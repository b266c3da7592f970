//! The derives behind `xdr-core` and `rpc-frame`: use them through those crates.
//!
//! Tokens become attributes (`attr`), attributes and item a checked tree (`ast`), the tree code
//! (`expand`). Every mistake is collected (`errors`) and reported at its own place; beside an error
//! a stub implementation keeps the rest of the build quiet.

mod attr; //   #[xdr(…)] and #[rpc(…)], keys and values
mod key; //    how a key is written
mod expression; // values that are expressions
mod suggest; // what an unknown key may have meant
mod errors; // all mistakes at once
mod ast; //    what the item means
mod valid; //  what contradicts itself
mod expand; // the implementations
mod rpc; //    Procedure and OnewayProcedure on messages
mod table; //  ProcedureTable on enums

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::expand::Direction;

/// `Encode` and `Decode` for a struct or an enum, and `Procedure` (or `OnewayProcedure`) where there is `#[rpc(…)]`.
///
/// On the item: `switch = i32|u32|bool|Enum`, `transparent`, `rename = "name"`, `validate = function`,
/// `bound(T: …)`, `crate = path`.
/// On a field: `max = N`, `item(max = M, …)`, `unbounded`, `list`, `skip`, `recursive`, `rename`,
/// `with = module`, `validate = function`, and `tag` in a union's variant.
/// On a variant: `case = label`, `case = [label, …]`, `default`, `other`, `rename`.
///
/// Each type parameter gets `T: Encode` and `T: Decode`, or what `bound(T: …)` says in their place. Where the type's own
/// conditions are enough, write `bound()`; beside a `T: DecodeOwned` there the compiler could not choose (E0283).
///
/// `#[rpc(…)]` on a message: `program = N`, `version = N`, `proc = N` and `reply = Type` (void without it), or
/// `oneway` where no reply is sent; where they apply `since = minor` and `until = minor` (inclusive), `auth` (AUTH_NONE
/// is too weak), `read_only`, `idempotent`, `time_limit = Duration::from_secs(60)` (how long its handler may take, in the
/// place of the server's own limit), and `crate = path`.
///
/// A union is an enum with `case`; it keeps its discriminant in a `tag` where an arm has several labels or `default`:
///
/// ```text
/// #[derive(Xdr)]
/// #[xdr(switch = u32)]
/// enum Value {
///     #[xdr(case = 1)]      Int(i32),
///     #[xdr(case = [2, 6])] Flag { #[xdr(tag)] tag: u32, bits: u32 },
///     #[xdr(case = 9)]      Nothing,
///     #[xdr(default)]       Other { #[xdr(tag)] tag: u32 },
/// }
///
/// #[derive(Xdr)]
/// struct Listing {
///     #[xdr(list, max = 1000)] entries: Vec<Entry>,    // a linked list of optional data
///     parent: Option<Box<Listing>>,
/// }
/// ```
///
/// A field that holds its own type in a `Vec`, and not in a `Box`, is `recursive`: `#[xdr(max = 8, recursive)] children:
/// Vec<Tree>`. Without it the compiler looks for the type's greatest length in a circle, and says so (E0391).
///
/// A `validate` function is `fn(&T) -> bool`, also one with arguments (`check::<4>`) or of a trait (`<Self as
/// Checked>::check`); what it refuses is neither encoded nor decoded. A `with` module has
/// `type Wire`, `fn to_wire(&T) -> Wire` and `fn from_wire(Wire) -> Option<T>`; bounds beside it are those of `Wire`.
#[proc_macro_derive(Xdr, attributes(xdr, rpc))]
pub fn derive_xdr(input: TokenStream) -> TokenStream {
    expand::derive(input.into(), Direction::Both).into()
}

/// Only `Encode`; the attributes are those of `Xdr`.
#[proc_macro_derive(Encode, attributes(xdr))]
pub fn derive_encode(input: TokenStream) -> TokenStream {
    expand::derive(input.into(), Direction::Encode).into()
}

/// Only `Decode`; the attributes are those of `Xdr`.
#[proc_macro_derive(Decode, attributes(xdr))]
pub fn derive_decode(input: TokenStream) -> TokenStream {
    expand::derive(input.into(), Direction::Decode).into()
}

/// The table of a program's procedures: its service trait and its dispatch.
///
/// On the enum: `program = N`, `version = N`, `service = TraitName`, `crate = path`. Each variant holds
/// one message. On a variant whose message serves several procedures, or is none of your types (`()`, `u32`): the keys of a
/// message, without program and version. Such a line makes a type of the variant's name, by which clients call it:
///
/// ```text
/// #[derive(ProcedureTable)]
/// #[rpc(program = 100_000, version = 2, service = PortmapService)]
/// enum Portmap {
///     #[rpc(proc = 1, reply = bool)] Set(Mapping),
///     #[rpc(proc = 2, reply = bool)] Unset(Mapping),
///     #[rpc(proc = 4, reply = Mappings)] Dump(()),
/// }
///
/// client.call_procedure::<Unset>(&mapping).await?
/// ```
///
/// The names of different versions' procedures are often the same: keep each table in a module of its own.
#[proc_macro_derive(ProcedureTable, attributes(rpc, xdr))]
pub fn derive_procedure_table(input: TokenStream) -> TokenStream {
    table::derive(&parse_macro_input!(input as DeriveInput)).into()
}
