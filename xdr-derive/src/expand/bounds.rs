//! The bounds of fields as types, and the codecs under them.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, GenericParam};

use super::{Context, Side, replace_self};
use crate::ast::Field;
use crate::attr::{Bounds, mentions};

impl Context<'_> {
    /// The shape that a field's bounds make: `Plain`, `Max<…>`, `MaxOf<…>`, `Each<…>`, `List<…>`.
    pub(crate) fn shape(&mut self, bounds: &Bounds) -> TokenStream {
        let krate = self.krate;
        let max = match (&bounds.max, &bounds.unbounded) {
            (Some(max), _) => Some(self.bound(&max.value)),
            (None, Some(_)) => Some(quote!(#krate::Unbounded)),
            (None, None) => None,
        };
        let item = bounds.item.as_ref().map(|item| self.shape(&item.value));
        match (max, item, &bounds.list) {
            (Some(max), None, Some(_)) => quote!(#krate::List<#max>),
            (Some(max), Some(item), Some(_)) => quote!(#krate::List<#max, #item>),
            (Some(max), Some(item), None) => quote!(#krate::MaxOf<#max, #item>),
            (Some(max), None, None) => quote!(#krate::Max<#max>),
            (None, Some(item), _) => quote!(#krate::Each<#item>),
            (None, None, _) => quote!(#krate::Plain),
        }
    }

    /// A maximum as a type: `Len<{ N }>`, or a marker of its own where the expression uses generics.
    fn bound(&mut self, max: &Expr) -> TokenStream {
        let krate = self.krate;
        let generics = &self.input.item.generics;
        let tokens = max.to_token_stream();
        let is_parameter = |ident: &Ident| {
            generics.type_params().any(|parameter| parameter.ident == *ident)
                || generics.const_params().any(|parameter| parameter.ident == *ident)
                || (ident == "Self" && !generics.params.is_empty())
        };
        let span = syn::spanned::Spanned::span(max);
        if !mentions(&tokens, &is_parameter) {
            let tokens = replace_self(tokens, &self.ident.to_token_stream());
            // What begins with a block, and goes on, would be a statement in the braces.
            let p = &self.private;
            let tokens = match max {
                Expr::Lit(_) | Expr::Path(_) => tokens,
                _ => quote_spanned!(span=> const __MAX: #p::usize = #tokens; __MAX),
            };
            return self.named_bound(max, |name| quote_spanned!(span=> type #name = #krate::Len<{ #tokens }>;));
        }
        if matches!(max, Expr::Path(path) if path.path.get_ident().is_some_and(|ident| generics.const_params().any(|parameter| parameter.ident == *ident)))
        {
            return quote_spanned!(span=> #krate::Len<{ #tokens }>);
        }
        let p = self.private.clone();
        let ident = &self.ident;
        let (parameters, arguments, conditions) = generics.split_for_impl();
        let held = generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(lifetime) => {
                let lifetime = &lifetime.lifetime;
                Some(quote!(&#lifetime ()))
            }
            GenericParam::Type(parameter) => Some(parameter.ident.to_token_stream()),
            GenericParam::Const(_) => None,
        });
        let tokens = replace_self(tokens, &quote!(<#ident #arguments>));
        let marker = self.named_bound(max, |marker| {
            quote! {
                struct #marker #parameters (#p::PhantomData<(#(#held,)*)>) #conditions;
                #[automatically_derived]
                impl #parameters #krate::Bound for #marker #arguments #conditions {
                    const MAX: #p::usize = #tokens;
                }
            }
        });
        quote!(#marker #arguments)
    }

    /// The name of the bound's type, which is declared once, however often the field is mentioned.
    fn named_bound(&mut self, max: &Expr, declare: impl FnOnce(&Ident) -> TokenStream) -> TokenStream {
        let place = std::ptr::from_ref(max);
        let index = self.bounds.iter().position(|known| *known == place).unwrap_or(self.bounds.len());
        let name = format_ident!("__Bound{index}");
        if index == self.bounds.len() {
            self.bounds.push(place);
            self.markers.push(declare(&name));
        }
        name.into_token_stream()
    }

    /// `<Type as Encode>`, with the field's bounds.
    pub(crate) fn codec(&mut self, field: &Field<'_>, side: Side) -> TokenStream {
        let place = std::ptr::from_ref(field.ty);
        if let Some((.., codec)) = self.codecs.iter().find(|(known, of, _)| *known == place && *of == side) {
            return codec.clone();
        }
        let (krate, ty, de) = (self.krate, field.wire_type(), self.de.clone());
        let plain = field.bounds.first().is_none();
        let shape = self.shape(&field.bounds);
        let codec = match (side, plain) {
            (Side::Encode, true) => quote_spanned!(field.span=> <#ty as #krate::Encode>),
            (Side::Decode, true) => quote_spanned!(field.span=> <#ty as #krate::Decode<#de>>),
            (Side::Encode, false) => quote_spanned!(field.span=> <#ty as #krate::EncodeBounded<#shape>>),
            (Side::Decode, false) => quote_spanned!(field.span=> <#ty as #krate::DecodeBounded<#de, #shape>>),
        };
        self.codecs.push((place, side, codec.clone()));
        codec
    }
}
