//! What a type means on the wire: item and attributes together, checked.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, ExprPath, Fields, Member, Path, Type, WherePredicate};

use crate::attr::{Bounds, Place, XdrKeys, crate_path, docs};
use crate::errors::Errors;
use crate::expand::{named_here, replace_self};
use crate::valid::{check_bounds, check_labels, check_tag};

/// The whole input.
pub(crate) struct Input<'a> {
    pub(crate) item: &'a DeriveInput,
    pub(crate) krate: TokenStream,
    pub(crate) name: String,
    pub(crate) docs: String,
    /// Decides whether a value is accepted.
    pub(crate) validate: Option<ExprPath>,
    /// The conditions of the implementations, where they are not `T: Encode` and `T: Decode`.
    pub(crate) bound: Option<Vec<WherePredicate>>,
    pub(crate) shape: Shape<'a>,
}

pub(crate) enum Shape<'a> {
    Struct(Vec<Field<'a>>),
    /// The same on the wire as its first field; the others are skipped.
    Transparent(Vec<Field<'a>>),
    Enum(Enum<'a>),
    Union(Union<'a>),
}

pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) ty: &'a Type,
    /// Where the type is written, at which errors are reported.
    pub(crate) span: Span,
    pub(crate) bounds: Bounds,
    pub(crate) role: Role,
    pub(crate) recursive: bool,
    /// The module that turns the field into what is on the wire.
    pub(crate) with: Option<Path>,
    /// Decides whether a value is accepted.
    pub(crate) validate: Option<ExprPath>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// On the wire.
    Wire,
    /// Not on the wire; its default when decoding.
    Skip,
    /// The union's discriminant, kept.
    Tag,
}

pub(crate) struct Enum<'a> {
    pub(crate) values: Vec<EnumValue<'a>>,
    /// The name that keeps other values, and the type of what it keeps.
    pub(crate) other: Option<(&'a Ident, Option<&'a Type>)>,
}

pub(crate) struct EnumValue<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    pub(crate) docs: String,
    /// The explicit value; else one more than the one before.
    pub(crate) value: Option<&'a Expr>,
}

pub(crate) struct Union<'a> {
    pub(crate) switch: Switch,
    pub(crate) arms: Vec<Arm<'a>>,
}

pub(crate) enum Switch {
    Int,
    UnsignedInt,
    Bool,
    Enum(Box<Type>),
}

pub(crate) struct Arm<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    pub(crate) docs: String,
    /// None for the default arm.
    pub(crate) labels: Vec<Expr>,
    pub(crate) fields: Vec<Field<'a>>,
}

impl<'a> Input<'a> {
    pub(crate) fn read(item: &'a DeriveInput, errors: &mut Errors) -> Self {
        let keys = XdrKeys::read(&item.attrs, Place::Item, errors);
        let shape = match &item.data {
            Data::Struct(data) => {
                if let Some(switch) = &keys.switch {
                    errors.at(&switch.key, "`switch` makes a union, which is an enum in Rust, not a struct");
                }
                let fields = read_fields(&data.fields, false, errors);
                match &keys.transparent {
                    Some(key) => transparent(fields, key, errors),
                    None => Shape::Struct(fields),
                }
            }
            Data::Enum(data) => {
                if let Some(key) = &keys.transparent {
                    errors.at(key, "`transparent` is for structs with one field on the wire");
                }
                read_enum(item, data, &keys, errors)
            }
            Data::Union(data) => {
                errors.at(
                    data.union_token,
                    "an XDR union is an `enum` with `#[xdr(switch = …)]`; Rust unions do not know their arm",
                );
                Shape::Struct(Vec::new())
            }
        };
        Self {
            item,
            krate: crate_path(keys.krate.as_ref(), "xdr_core"),
            name: wire_name(&keys, &item.ident),
            docs: docs(&item.attrs),
            validate: keys.validate.map(|validate| validate.value),
            bound: keys.bound.map(|bound| bound.value),
            shape,
        }
    }
}

fn wire_name(keys: &XdrKeys, ident: &impl ToString) -> String {
    match &keys.rename {
        Some(rename) => rename.value.value(),
        None => ident.to_string().trim_start_matches("r#").to_owned(),
    }
}

fn transparent<'a>(mut fields: Vec<Field<'a>>, key: &Ident, errors: &mut Errors) -> Shape<'a> {
    let on_wire = fields.iter().filter(|field| field.role == Role::Wire).count();
    if on_wire != 1 {
        let instead = match on_wire {
            0 => "",
            _ => ": the others are `#[xdr(skip)]`, or `transparent` is left out",
        };
        errors.at(
            key,
            format!("`transparent` needs exactly one field that is on the wire, this struct has {on_wire}{instead}"),
        );
        return Shape::Struct(fields);
    }
    fields.sort_by_key(|field| field.role != Role::Wire);
    Shape::Transparent(fields)
}

fn read_fields<'a>(fields: &'a Fields, in_union: bool, errors: &mut Errors) -> Vec<Field<'a>> {
    let read = |(index, field): (usize, &'a syn::Field)| {
        let keys = XdrKeys::read(&field.attrs, Place::Field, errors);
        check_bounds(&keys.bounds, keys.refused(&["max", "unbounded"]), errors);
        let role = match (&keys.skip, &keys.tag) {
            (Some(skip), Some(_)) => {
                errors.at(skip, "a field is either `skip` or `tag`");
                Role::Skip
            }
            (Some(_), None) => Role::Skip,
            (None, Some(tag)) => {
                if !in_union {
                    errors.at(tag, "`tag` belongs in a variant of a union, where it keeps the discriminant");
                }
                Role::Tag
            }
            (None, None) => Role::Wire,
        };
        if role != Role::Wire {
            if let Some(key) = keys.bounds.first() {
                errors.at(key, "a field that is not on the wire has no bounds");
            }
            let keys = [keys.with.as_ref().map(|with| &with.key), keys.validate.as_ref().map(|validate| &validate.key)];
            for key in keys.into_iter().flatten() {
                errors.at(key, format!("`{key}` is for a field that is on the wire"));
            }
        }
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(index.into()),
        };
        let name = match &field.ident {
            Some(ident) => wire_name(&keys, ident),
            None => wire_name(&keys, &index),
        };
        Field {
            member,
            name,
            docs: docs(&field.attrs),
            ty: &field.ty,
            span: field.ty.span(),
            bounds: keys.bounds,
            role,
            recursive: keys.recursive.is_some(),
            with: keys.with.map(|with| with.value),
            validate: keys.validate.map(|validate| validate.value),
        }
    };
    fields.iter().enumerate().map(read).collect()
}

fn read_enum<'a>(item: &'a DeriveInput, data: &'a syn::DataEnum, keys: &XdrKeys, errors: &mut Errors) -> Shape<'a> {
    let variants: Vec<_> =
        data.variants.iter().map(|variant| (variant, XdrKeys::read_variant(variant, errors))).collect();
    if variants.is_empty() {
        errors.at(&item.ident, "an enum without variants has no XDR form");
    }
    // A key that could not be read says as well what was meant.
    let union = keys.switch.is_some()
        || keys.refused(&["switch"])
        || variants.iter().any(|(variant, keys)| {
            let other = keys.other.is_some() || keys.refused(&["other"]);
            keys.case.is_some() || keys.default.is_some() || (!other && !variant.fields.is_empty())
        });
    if union { read_union(item, variants, keys, errors) } else { read_values(item, variants, errors) }
}

fn read_values<'a>(item: &DeriveInput, variants: Vec<(&'a syn::Variant, XdrKeys)>, errors: &mut Errors) -> Shape<'a> {
    let mut read = Enum { values: Vec::new(), other: None };
    for (variant, keys) in variants {
        if let Some(other) = &keys.other {
            if !matches!(&variant.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1) {
                errors.at(other, "`other` keeps the value that has no name: write `Other(i32)`");
            }
            let kept = variant.fields.iter().next().map(|field| &field.ty);
            if read.other.replace((&variant.ident, kept)).is_some() {
                errors.at(other, "an enum has one `other`");
            }
            if !has_repr(&item.attrs) {
                errors
                    .at(other, "an enum with `other` needs `#[repr(i32)]` above it, so that its names can have values");
            }
            continue;
        }
        read.values.push(EnumValue {
            ident: &variant.ident,
            name: wire_name(&keys, &variant.ident),
            docs: docs(&variant.attrs),
            value: variant.discriminant.as_ref().map(|(_, value)| value),
        });
    }
    Shape::Enum(read)
}

fn has_repr(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("repr"))
}

fn read_union<'a>(
    item: &DeriveInput,
    variants: Vec<(&'a syn::Variant, XdrKeys)>,
    item_keys: &XdrKeys,
    errors: &mut Errors,
) -> Shape<'a> {
    let switch = match &item_keys.switch {
        None => Switch::Int,
        Some(switch) => match switch.value.to_token_stream().to_string().as_str() {
            "i32" => Switch::Int,
            "u32" => Switch::UnsignedInt,
            "bool" => Switch::Bool,
            "i8" | "i16" | "i64" | "u8" | "u16" | "u64" | "usize" | "isize" | "f32" | "f64" => {
                errors.at(&switch.value, "a union switches on `i32`, `u32`, `bool` or an enum (RFC 4506 §4.15)");
                Switch::Int
            }
            _ => Switch::Enum(Box::new(switch.value.clone())),
        },
    };
    let mut default_seen = false;
    let mut arms = Vec::new();
    for (variant, keys) in variants {
        let own_value = variant.discriminant.as_ref().map(|(_, value)| value);
        if let Some(value) = own_value {
            let value_text = value.to_token_stream();
            errors.at(
                value,
                format!(
                    "a variant of a union has no value of its own: its discriminant is `#[xdr(case = {value_text})]`"
                ),
            );
        }
        if let Some(other) = &keys.other {
            errors.at(other, "`other` is for enums; a union has `default`");
        }
        let fields = read_fields(&variant.fields, true, errors);
        let label = |label: &Expr| label_of(item, label);
        let labels = match (&keys.case, &keys.default) {
            (Some(_), Some(default)) => {
                errors.at(default, "an arm has either `case` or `default`");
                Vec::new()
            }
            (Some(case), None) => case.value.iter().map(label).collect(),
            (None, Some(default)) => {
                if std::mem::replace(&mut default_seen, true) {
                    errors.at(default, "a union has one `default` arm");
                }
                Vec::new()
            }
            (None, None) => {
                if keys.other.is_none() && own_value.is_none() && !keys.refused(&["case", "default"]) {
                    errors.at(
                        &variant.ident,
                        "this arm needs its discriminant: `#[xdr(case = …)]`, or `#[xdr(default)]`",
                    );
                }
                Vec::new()
            }
        };
        check_tag(variant, &keys, &labels, &fields, errors);
        arms.push(Arm {
            ident: &variant.ident,
            name: wire_name(&keys, &variant.ident),
            docs: docs(&variant.attrs),
            labels,
            fields,
        });
    }
    check_labels(&arms, errors);
    Shape::Union(Union { switch, arms })
}

/// The label for a constant of its own, where `Self` is not known. With type parameters it remains, and is an error there.
fn label_of(item: &DeriveInput, label: &Expr) -> Expr {
    if item.generics.type_params().next().is_some() || item.generics.const_params().next().is_some() {
        return label.clone();
    }
    let replaced = replace_self(label.to_token_stream(), &named_here(&item.ident).to_token_stream());
    syn::parse2(replaced.clone()).unwrap_or(Expr::Verbatim(replaced))
}

impl Switch {
    /// The discriminant's type.
    pub(crate) fn ty(&self, private: &TokenStream) -> TokenStream {
        match self {
            Self::Int => quote!(#private::i32),
            Self::UnsignedInt => quote!(#private::u32),
            Self::Bool => quote!(#private::bool),
            Self::Enum(_) => quote!(__Switch),
        }
    }

    /// The type of the word that labels are compared as.
    pub(crate) fn word(&self, private: &TokenStream) -> TokenStream {
        match self {
            Self::Int | Self::Enum(_) => quote!(#private::i32),
            Self::UnsignedInt | Self::Bool => quote!(#private::u32),
        }
    }

    /// A discriminant as that word.
    pub(crate) fn to_word(&self, private: &TokenStream, value: TokenStream) -> TokenStream {
        match self {
            Self::Int | Self::UnsignedInt => value,
            Self::Bool | Self::Enum(_) => {
                let word = self.word(private);
                quote!((#value) as #word)
            }
        }
    }
}

impl Field<'_> {
    /// The type that is on the wire.
    pub(crate) fn wire_type(&self) -> TokenStream {
        match &self.with {
            // A module without it is an error there.
            Some(module) => quote_spanned!(Span::call_site().located_at(module.span())=> #module::Wire),
            None => self.ty.to_token_stream(),
        }
    }

    pub(crate) fn on_wire(&self) -> bool {
        self.role == Role::Wire
    }
}
