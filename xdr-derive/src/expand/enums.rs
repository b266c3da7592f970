//! Enums: a word for each name, and `other` for words without one.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{Context, DecodeParts, EncodeParts, replace_self, reported_at, respanned};
use crate::ast::Enum;
use crate::expression::in_parentheses;

/// `const VALUE0: i32 = RunState::Running as i32;` and so on, and their names.
pub(crate) fn values(context: &Context<'_>, item: &Enum<'_>) -> (TokenStream, Vec<Ident>) {
    let p = &context.private;
    let ident = &context.ident;
    let names: Vec<_> = (0..item.values.len()).map(|index| format_ident!("__VALUE{index}")).collect();
    let consts = item.values.iter().enumerate().map(|(index, value)| {
        let (name, variant) = (&names[index], value.ident);
        let value = match (&item.other, value.value) {
            (None, _) => quote!(#ident::#variant as #p::i32),
            // A name beside `other` cannot be cast: its value is what stands there, or one more than the last.
            (Some(_), Some(value)) => {
                let value = in_parentheses(value.clone());
                replace_self(value.to_token_stream(), &ident.to_token_stream())
            }
            (Some(_), None) => match index.checked_sub(1).map(|before| &names[before]) {
                Some(before) => quote!(#before + 1),
                None => quote!(0),
            },
        };
        quote!(const #name: #p::i32 = #value;)
    });
    (consts.collect(), names)
}

/// Values that do not fit a word, which `as i32` would cut.
///
/// ```text
/// const _: () = assert!(RunState::Running as i32 as i128 == RunState::Running as i128, "…");
/// ```
pub(crate) fn checks(context: &Context<'_>, item: &Enum<'_>) -> TokenStream {
    let p = &context.private;
    let ident = &context.ident;
    if item.other.is_some() {
        return TokenStream::new();
    }
    let checks = item.values.iter().map(|value| {
        let variant = value.ident;
        let message = format!("the value of `{variant}` does not fit the signed 32-bit word of an XDR enum");
        let fits = quote!((#ident::#variant as #p::i32 as #p::i128 == #ident::#variant as #p::i128));
        let p = respanned(p, variant.span());
        quote_spanned!(variant.span()=> const _: () = #p::assert!(#fits, #message);)
    });
    checks.collect()
}

/// ```text
/// const VALUE0: i32 = RunState::Running as i32;
/// <i32 as Encode>::head(&match self { Self::Running => VALUE0, … }, out)
/// ```
pub(crate) fn encode(context: &Context<'_>, item: &Enum<'_>) -> EncodeParts {
    let (krate, p) = (context.krate, &context.private);
    let (consts, names) = values(context, item);
    let variants: Vec<_> = item.values.iter().map(|value| value.ident).collect();
    let other = item.other.map(|(other, ty)| {
        // Another type than `i32` is an error here, at the field, and the same error when decoding.
        let span = reported_at(ty.map_or_else(|| other.span(), Spanned::span));
        let binding = format_ident!("__value", span = span);
        let kept = quote_spanned!(span=> let __kept = <#ty as #p::OtherWord>::word(#binding););
        let named = (!names.is_empty()).then(
            || quote!(#(#names)|* => return #p::Err(#krate::EncodeFault::tag_of_another_arm(__kept.cast_unsigned())),),
        );
        quote!(Self::#other(#binding) => { #kept match __kept { #named __kept => __kept } })
    });
    EncodeParts {
        visit: TokenStream::new(),
        consts: Some((quote!(#krate::Wire::fixed(4)), quote!(#p::Some(4)))),
        head: Some(quote! {
            #consts
            <#p::i32 as #krate::Encode>::head(&match self { #(Self::#variants => #names,)* #other }, __out)
        }),
        tail: None,
    }
}

/// ```text
/// match <i32 as Decode>::decode(reader, run, after)? {
///     VALUE0 => Ok(Self::Running),
///     …
///     _ => Err(reader.unknown_enum_value(run)),
/// }
/// ```
pub(crate) fn decode(context: &Context<'_>, item: &Enum<'_>) -> DecodeParts {
    let (krate, p, de) = (context.krate, &context.private, &context.de);
    let (consts, names) = values(context, item);
    let variants: Vec<_> = item.values.iter().map(|value| value.ident).collect();
    let other = match item.other {
        Some((other, ty)) => {
            let value = ty.map(|ty| quote_spanned!(reported_at(ty.span())=> <#ty as #p::OtherWord>::keep(__value)));
            quote!(__value => #p::Ok(Self::#other(#value)),)
        }
        None => quote!(_ => #p::Err(__reader.unknown_enum_value(__run)),),
    };
    DecodeParts {
        consts: Some((quote!(#krate::Wire::fixed(4)), quote!(#p::Some(4)))),
        decode: quote! {
            #consts
            match <#p::i32 as #krate::Decode<#de>>::decode(__reader, __run, __after)? {
                #(#names => #p::Ok(Self::#variants),)*
                #other
            }
        },
    }
}
