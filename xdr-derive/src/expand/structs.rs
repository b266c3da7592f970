//! Structs: fields one after the other, those of fixed length in shared runs.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{Context, DecodeParts, EncodeParts, Side};
use crate::ast::{Field, Role};

/// ```text
/// head:     let mut run = out;
///           if <String as EncodeBounded<Max<Len<256>>>>::head_of(&self.name, &mut run)? { return Ok(()); }
///           …
/// tail:     let next1 = 0;
///           let next0 = <[u8; 16] as Encode>::WIRE.run(next1);
///           let mut run = None;
///           <String as EncodeBounded<Max<Len<256>>>>::tail_of(&self.name, writer, &mut run, next0)?;
///           …
/// tail_len: 0.saturating_add(<String as …>::len_of(&self.name)) … .saturating_sub(WIRE.head)
/// ```
pub(crate) fn encode(context: &mut Context<'_>, fields: &[Field<'_>]) -> EncodeParts {
    let (krate, p) = (context.krate, context.private.clone());
    let fields: Vec<_> = fields.iter().filter(|field| field.on_wire()).collect();
    let codecs: Vec<_> = fields.iter().map(|field| context.codec(field, Side::Encode)).collect();
    let members: Vec<_> = fields.iter().map(|field| &field.member).collect();
    let max = context.max_of(&fields, Side::Encode);
    if fields.is_empty() {
        return EncodeParts {
            wire: quote!(#krate::Wire::fixed(0)),
            max,
            head: quote!(let _ = __out; #p::Ok(())),
            tail: None,
        };
    }
    let (runs, next) = runs(&codecs, &quote!(0));
    let written: Vec<_> =
        fields.iter().zip(&members).map(|(field, member)| context.written(field, quote!(&self.#member))).collect();
    let checks: Vec<_> = fields
        .iter()
        .zip(&members)
        .map(|(field, member)| context.check_before(field.validate.as_ref(), quote!(&self.#member)))
        .collect();
    let head = quote! {
        let mut __run = __out;
        #(#checks if #codecs::head_of(#written, &mut __run)? { return #p::Ok(()); })*
        #p::Ok(())
    };
    let tail = quote! {
        #runs
        let mut __run = #p::None;
        #(#checks #codecs::tail_of(#written, __writer, &mut __run, #next)?;)*
        #p::Ok(())
    };
    let tail_len = quote! {
        (0 as #p::usize) #(.saturating_add(#codecs::len_of(#written)))*
            .saturating_sub(<Self as #krate::Encode>::WIRE.head)
    };
    EncodeParts {
        wire: quote!(#krate::Wire::of_fields(&[#(#codecs::WIRE),*])),
        max,
        head,
        tail: Some((tail, tail_len)),
    }
}

/// The lengths of the runs behind each field, from the last to the first, and their names.
fn runs(codecs: &[TokenStream], last: &TokenStream) -> (TokenStream, Vec<proc_macro2::Ident>) {
    let next: Vec<_> = (0..codecs.len()).map(|index| format_ident!("__next{index}")).collect();
    let mut lets = TokenStream::new();
    for (index, name) in next.iter().enumerate().rev() {
        let run = match (codecs.get(index + 1), next.get(index + 1)) {
            (Some(codec), Some(behind)) => quote!(#codec::WIRE.run(#behind)),
            _ => last.clone(),
        };
        lets.extend(quote!(let #name = #run;));
    }
    (lets, next)
}

/// Everything as the one field does it.
pub(crate) fn encode_transparent(context: &mut Context<'_>, fields: &[Field<'_>]) -> EncodeParts {
    let field = &fields[0];
    let codec = context.codec(field, Side::Encode);
    let member = &field.member;
    let max = context.max_of(&[field], Side::Encode);
    let written = context.written(field, quote!(&self.#member));
    let check = context.check_before(field.validate.as_ref(), quote!(&self.#member));
    EncodeParts {
        wire: quote!(#codec::WIRE),
        max,
        head: quote!(#check #codec::head(#written, __out)),
        tail: Some((quote!(#codec::tail(#written, __writer)), quote!(#codec::tail_len(#written)))),
    }
}

/// ```text
/// let next1 = if <Self as Decode>::WIRE.tail { 0 } else { after };
/// let next0 = <[u8; 16] as Decode>::WIRE.run(next1);
/// Ok(Self { name: <String as …>::field(reader, run, next0)?, uuid: <[u8; 16] as …>::field(reader, run, next1)? })
/// ```
pub(crate) fn decode(context: &mut Context<'_>, fields: &[Field<'_>]) -> DecodeParts {
    let (krate, p, de) = (context.krate, context.private.clone(), context.de.clone());
    let on_wire: Vec<_> = fields.iter().filter(|field| field.on_wire()).collect();
    let codecs: Vec<_> = on_wire.iter().map(|field| context.codec(field, Side::Decode)).collect();
    let max = context.max_of(&on_wire, Side::Decode);
    let last = quote!(if <Self as #krate::Decode<#de>>::WIRE.tail { 0 } else { __after });
    let (runs, next) = runs(&codecs, &last);
    let mut next = next.iter();
    let values: Vec<_> = fields
        .iter()
        .map(|field| {
            let member = &field.member;
            let value = match field.role {
                Role::Wire => {
                    let (codec, next) = (context.codec(field, Side::Decode), next.next());
                    let read = quote!(#codec::field(__reader, __run, #next)?);
                    context.accepted(field.with.as_ref(), field.validate.as_ref(), read, quote!(__run))
                }
                Role::Skip | Role::Tag => quote!(#p::Default::default()),
            };
            quote!(#member: #value)
        })
        .collect();
    let unused = on_wire.is_empty().then(|| quote!(let _ = (__reader, __run, __after);));
    DecodeParts {
        wire: quote!(#krate::Wire::of_fields(&[#(#codecs::WIRE),*])),
        max,
        decode: quote!(#unused #runs #p::Ok(Self { #(#values),* })),
    }
}

pub(crate) fn decode_transparent(context: &mut Context<'_>, fields: &[Field<'_>]) -> DecodeParts {
    let p = context.private.clone();
    let field = &fields[0];
    let codec = context.codec(field, Side::Decode);
    let max = context.max_of(&[field], Side::Decode);
    let member = &field.member;
    let skipped = fields[1..].iter().map(|field| {
        let member = &field.member;
        quote!(#member: #p::Default::default())
    });
    let read = quote!(#codec::decode(__reader, __run, __after)?);
    let value = context.accepted(field.with.as_ref(), field.validate.as_ref(), read, quote!(__run));
    DecodeParts { wire: quote!(#codec::WIRE), max, decode: quote!(#p::Ok(Self { #member: #value, #(#skipped),* })) }
}
