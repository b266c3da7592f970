//! What is known of a type before its values: its description, and the constants beside it.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Context, Side, schema};
use crate::ast::{Field, Shape};

impl Context<'_> {
    /// The description and the constants, which follow from a struct's description by themselves.
    pub(crate) fn described(&mut self, consts: Option<(TokenStream, TokenStream)>, side: Side) -> TokenStream {
        let (krate, p) = (self.krate, self.private.clone());
        let labels = self.labels();
        let code = (side == Side::Encode).then(|| self.code());
        match consts {
            None => {
                let schema = schema::schema(self, side, false);
                let checked = self.input.validate.is_some().then(|| {
                    let schema = schema::schema(self, side, true);
                    quote!(fn schema() -> &'static #krate::Schema { const { &#schema } })
                });
                quote!(const DERIVED: #p::Option<#krate::Schema> = #p::Some(#schema); #code #checked)
            }
            Some((wire, max)) => {
                let schema = schema::schema(self, side, true);
                quote! {
                    const WIRE: #krate::Wire = #wire;
                    const MAX_WIRE: #p::Option<#p::usize> = #max;
                    #labels
                    #code
                    fn schema() -> &'static #krate::Schema { const { &#schema } }
                }
            }
        }
    }

    /// What is known of the code, where a struct's fields do not say it themselves.
    fn code(&mut self) -> Option<TokenStream> {
        let (input, krate) = (self.input, self.krate);
        let fields: Vec<&Field<'_>> = match &input.shape {
            Shape::Struct(_) if input.validate.is_none() => return None,
            Shape::Struct(_) => {
                return Some(quote!(const CODE: #krate::Code = <Self as #krate::Encode>::RUNS.code().checked();));
            }
            Shape::Enum(_) => Vec::new(),
            Shape::Union(union) => union.arms.iter().flat_map(|arm| &arm.fields).collect(),
            Shape::Transparent(fields) => fields.iter().collect(),
        };
        let fields: Vec<_> = fields.into_iter().filter(|field| field.on_wire()).collect();
        let own = |field: &&Field<'_>| field.with.is_some() || field.validate.is_some() || field.recursive;
        if input.validate.is_some() || fields.iter().any(own) {
            return None;
        }
        let codecs: Vec<_> = fields.into_iter().map(|field| self.codec(field, Side::Encode)).collect();
        Some(quote!(const CODE: #krate::Code = #krate::Code::of(&[#(#codecs::CODE),*]);))
    }

    pub(crate) fn labels(&self) -> Option<TokenStream> {
        let p = &self.private;
        let Shape::Enum(item) = &self.input.shape else { return None };
        let labels = match (&item.other, &self.input.validate) {
            (Some(_), _) => quote!(Open),
            (None, Some(_)) => quote!(Checked),
            (None, None) => quote!(Closed),
        };
        Some(quote!(const LABELS: #p::Labels = #p::Labels::#labels;))
    }
}
