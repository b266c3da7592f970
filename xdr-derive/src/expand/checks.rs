//! What `with` and `validate` do to a value on its way to the wire and back.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ExprPath, Path};

use super::{Context, located, reported_at};
use crate::ast::Field;
use crate::key::text_of;

impl Context<'_> {
    /// A reference to what is written for a field, given a reference to the field.
    pub(crate) fn written(&self, field: &Field<'_>, reference: TokenStream) -> TokenStream {
        match &field.with {
            Some(module) => {
                let (at, reference) = (at_path(module), moved(reference, module));
                quote_spanned!(at=> &#module::to_wire(#reference))
            }
            None => reference,
        }
    }

    /// ```text
    /// if !is_even(&self.count) { return Err(EncodeFault::rejected("is_even")); }
    /// ```
    pub(crate) fn check_before(&self, validate: Option<&ExprPath>, reference: TokenStream) -> TokenStream {
        let Some(validate) = validate else { return TokenStream::new() };
        let (krate, p) = (self.krate, &self.private);
        let by = path_text(validate);
        let (at, reference) = (at_path(validate), moved(reference, validate));
        quote_spanned!(at=> if !#validate(#reference) { return #p::Err(#krate::EncodeFault::rejected(#by)); })
    }

    /// ```text
    /// <u32 as Encode>::encode_whole(&self.count, writer).map_err(|fault| fault.within(&["is_even"]))
    /// ```
    /// The writing of a value under checks, whose faults tell how many checks of their name it is under.
    pub(crate) fn under(&self, with: Option<&Path>, validate: Option<&ExprPath>, written: TokenStream) -> TokenStream {
        let by: Vec<_> = checks(with, validate).collect();
        if by.is_empty() { written } else { quote!(#written.map_err(|__fault| __fault.within(&[#(#by),*]))) }
    }

    /// ```text
    /// match <u32 as Decode>::member(…) { Ok(value) => value, Err(fault) => return Err(reader.within(fault, &["is_even"])) }
    /// ```
    /// What was read, as the field's value, if it is accepted.
    /// `at` is where it is read for.
    pub(crate) fn accepted(
        &self,
        at: Span,
        with: Option<&Path>,
        validate: Option<&ExprPath>,
        read: TokenStream,
        run: TokenStream,
    ) -> TokenStream {
        let p = &self.private;
        let by: Vec<_> = checks(with, validate).collect();
        let fault = if by.is_empty() { quote!(__fault) } else { quote!(__reader.within(__fault, &[#(#by),*])) };
        let read = quote_spanned! {reported_at(at)=>
            match #read { #p::Ok(__value) => __value, #p::Err(__fault) => return #p::Err(#fault) }
        };
        if by.is_empty() {
            return read;
        }
        let rejected = |by: String| quote!(return #p::Err(__reader.rejected(__begin, #run, #by)));
        let read = match with {
            Some(module) => {
                let (at, p, rejected) = (at_path(module), moved(p.clone(), module), rejected(path_text(module)));
                quote_spanned! {at=>
                    match #module::from_wire(#read) { #p::Some(__value) => __value, #p::None => #rejected }
                }
            }
            None => read,
        };
        match validate {
            Some(validate) => {
                let rejected = rejected(path_text(validate));
                let check = quote_spanned!(at_path(validate)=> if !#validate(&__value) { #rejected; });
                quote!({ let __begin = __reader.place(#run); let __value = #read; #check __value })
            }
            None => quote!({ let __begin = __reader.place(#run); #read }),
        }
    }
}

/// Where errors about a function or module of the user's are to be reported.
fn at_path(path: &impl ToTokens) -> Span {
    reported_at(syn::spanned::Spanned::span(path))
}

/// Tokens that name what they named before, reported there as well.
fn moved(tokens: TokenStream, path: &impl ToTokens) -> TokenStream {
    located(tokens, syn::spanned::Spanned::span(path))
}

/// The text of a path, as it stands in errors.
pub(crate) fn path_text(path: &impl ToTokens) -> String {
    text_of(&path.to_token_stream())
}

/// What decides on a field, from the inside out: what `with` makes is what `validate` looks at.
pub(crate) fn checks(with: Option<&Path>, validate: Option<&ExprPath>) -> impl Iterator<Item = String> {
    with.map(path_text).into_iter().chain(validate.map(path_text))
}
