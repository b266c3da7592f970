//! The description of the type.

use proc_macro2::TokenStream;
use quote::quote;

use super::checks::{checks, path_text};
use super::{Context, Side, enums};
use crate::ast::{Arm, Enum, Field, Shape, Union};

/// ```text
/// const { &Schema { name: "Domain", docs: "…", arguments: &[], shape: Shape::Struct { fields: &[…] } } }
/// ```
pub(crate) fn schema(context: &mut Context<'_>, side: Side, checked: bool) -> TokenStream {
    let (krate, de) = (context.krate, context.de.clone());
    let (name, docs) = (&context.input.name, &context.input.docs);
    let mut shape = match &context.input.shape {
        Shape::Struct(list) => {
            let fields = fields(context, list, side, false);
            quote!(#krate::Shape::Struct { fields: #fields })
        }
        Shape::Transparent(fields) => {
            let inner = field_schema(context, &fields[0], side);
            quote!(#krate::Shape::Typedef(#inner))
        }
        Shape::Enum(item) => values(context, item),
        Shape::Union(union) => arms(context, union, side),
    };
    let arguments: Vec<_> = context
        .input
        .item
        .generics
        .type_params()
        // Under conditions of the user's own, a parameter may have no description by itself.
        .filter(|_| context.input.bound.is_none())
        .map(|parameter| {
            let ident = &parameter.ident;
            match side {
                Side::Encode => quote!(<#ident as #krate::Encode>::schema),
                Side::Decode => quote!(<#ident as #krate::Decode<#de>>::schema),
            }
        })
        .collect();
    if let (Some(validate), true) = (&context.input.validate, checked) {
        let by = path_text(validate);
        shape = quote! {
            #krate::Shape::Checked { by: #by, inner: || const { &#krate::Schema { name: #name, docs: "", arguments: &[#(#arguments),*], shape: #shape } } }
        };
    }
    quote!(#krate::Schema { name: #name, docs: #docs, arguments: &[#(#arguments),*], shape: #shape })
}

/// A field's type, with the checks that it must pass.
fn field_schema(context: &mut Context<'_>, field: &Field<'_>, side: Side) -> TokenStream {
    let krate = context.krate;
    let codec = context.codec(field, side);
    checks(field.with.as_ref(), field.validate.as_ref()).fold(quote!(#codec::schema), |inner, by| {
        quote!(|| const { &#krate::Schema::builtin("", #krate::Shape::Checked { by: #by, inner: #inner }) })
    })
}

/// The fields on the wire. `alone`: the only field of a tuple variant has no name.
fn fields(context: &mut Context<'_>, fields: &[Field<'_>], side: Side, alone: bool) -> TokenStream {
    let krate = context.krate;
    let described: Vec<_> = fields
        .iter()
        .filter(|field| field.on_wire())
        .map(|field| {
            let name = if alone { "" } else { &field.name };
            let docs = &field.docs;
            let codec = context.codec(field, side);
            if !field.recursive && field.validate.is_none() && field.with.is_none() {
                return match (name, docs.as_str()) {
                    ("", "") => quote!(#codec::FIELD),
                    (name, "") => quote!(#krate::Field { name: #name, ..#codec::FIELD }),
                    (name, docs) => quote!(#krate::Field { name: #name, docs: #docs, ..#codec::FIELD }),
                };
            }
            let schema = field_schema(context, field, side);
            let p = &context.private;
            let sizes = match field.recursive {
                // What else is known of it would be asked of the type itself.
                true => quote!(wire: #codec::WIRE, max_wire: #p::None, code: #krate::Code::UNKNOWN),
                false => quote!(code: #codec::FIELD.code.checked(), ..#codec::FIELD),
            };
            quote!(#krate::Field { name: #name, docs: #docs, schema: #schema, #sizes })
        })
        .collect();
    quote!(&[#(#described),*])
}

fn values(context: &Context<'_>, item: &Enum<'_>) -> TokenStream {
    let krate = context.krate;
    let (consts, names) = enums::values(context, item);
    let described = item.values.iter().zip(names).map(|(value, number)| {
        let (name, docs) = (&value.name, &value.docs);
        quote!(#krate::EnumValue { name: #name, docs: #docs, value: #number })
    });
    let other = item.other.is_some();
    quote!({ #consts #krate::Shape::Enum { values: &[#(#described),*], other: #other } })
}

fn arms(context: &mut Context<'_>, union: &Union<'_>, side: Side) -> TokenStream {
    let (krate, p, de) = (context.krate, context.private.clone(), context.de.clone());
    let (ty, word) = (union.switch.ty(&p), union.switch.word(&p));
    let mut labelled = TokenStream::new();
    let mut default = quote!(#p::None);
    for arm in &union.arms {
        let described = self::arm(context, arm, side, &ty, &word);
        if arm.labels.is_empty() {
            default = quote!(#p::Some(&#described));
        } else {
            labelled.extend(quote!(#described,));
        }
    }
    let switch = match side {
        Side::Encode => quote!(<#ty as #krate::Encode>::schema),
        Side::Decode => quote!(<#ty as #krate::Decode<#de>>::schema),
    };
    quote!(#krate::Shape::Union { switch: #switch, arms: &[#labelled], default: #default })
}

fn arm(context: &mut Context<'_>, arm: &Arm<'_>, side: Side, ty: &TokenStream, word: &TokenStream) -> TokenStream {
    let (krate, p) = (context.krate, context.private.clone());
    let (name, docs, labels) = (&arm.name, &arm.docs, &arm.labels);
    let on_wire = arm.fields.iter().filter(|field| field.on_wire()).count();
    let alone = on_wire == 1 && arm.fields.iter().any(|field| matches!(field.member, syn::Member::Unnamed(_)));
    let fields = fields(context, &arm.fields, side, alone);
    quote! {
        #krate::Arm {
            name: #name,
            docs: #docs,
            labels: &[#({ const __LABEL: #ty = #labels; __LABEL as #word as #p::i64 }),*],
            fields: #fields,
        }
    }
}
