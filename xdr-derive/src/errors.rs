//! All mistakes of one item, reported together.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far. They must be taken out with [`Errors::into_compile_errors`].
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
    taken: bool,
}

impl Errors {
    pub(crate) fn at(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(place, message));
    }

    pub(crate) fn at_span(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    pub(crate) fn into_compile_errors(mut self) -> Option<TokenStream> {
        self.taken = true;
        if self.found.is_empty() {
            return None;
        }
        Some(self.found.iter().map(syn::Error::to_compile_error).collect())
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !self.taken && !std::thread::panicking() {
            unreachable!("a derive forgot to report its errors");
        }
    }
}
