//! From the checked tree to the implementations of `Encode` and `Decode`.

mod structs; // fields in runs
mod enums; //   names for values
mod unions; //  a discriminant and its arm
mod schema; //  descriptions

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{DeriveInput, Expr, GenericParam, Generics, Lifetime, Path, WherePredicate, parse_quote};

use crate::ast::{Field, Input, Shape};
use crate::attr::{Bounds, mentions};
use crate::errors::Errors;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    Encode,
    Decode,
    Both,
}

/// The members of an `impl Encode`.
pub(crate) struct EncodeParts {
    pub(crate) wire: TokenStream,
    pub(crate) max: TokenStream,
    pub(crate) head: TokenStream,
    /// The bodies of `tail` and `tail_len`; none where every value has the same length.
    pub(crate) tail: Option<(TokenStream, TokenStream)>,
}

/// The members of an `impl Decode`.
pub(crate) struct DecodeParts {
    pub(crate) wire: TokenStream,
    pub(crate) max: TokenStream,
    pub(crate) decode: TokenStream,
}

pub(crate) fn derive(item: &DeriveInput, direction: Direction) -> TokenStream {
    let mut errors = Errors::default();
    let input = Input::read(item, &mut errors);
    let procedure = match direction {
        Direction::Both => crate::rpc::procedure(item, &mut errors),
        _ => TokenStream::new(),
    };
    let mut context = Context::new(&input, direction);
    if let Some(errors) = errors.into_compile_errors() {
        let stubs = context.stubs();
        return quote!(#errors #stubs);
    }
    let encode = (direction != Direction::Decode).then(|| context.encode());
    let decode = (direction != Direction::Encode).then(|| context.decode());
    let markers = std::mem::take(&mut context.markers);
    let checks = match &input.shape {
        Shape::Enum(item) => enums::checks(&context, item),
        Shape::Union(union) => unions::checks(&context, union),
        Shape::Struct(_) | Shape::Transparent(_) => TokenStream::new(),
    };
    let code = quote!(#encode #decode #procedure #checks);
    if markers.is_empty() { code } else { quote!(const _: () = { #(#markers)* #code };) }
}

/// What the code generators need to know of the input, and the bound markers that they ask for.
pub(crate) struct Context<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) krate: &'a TokenStream,
    pub(crate) private: TokenStream,
    direction: Direction,
    /// The lifetime of the input to decode: `'de`, unless the type has one of that name.
    pub(crate) de: Lifetime,
    markers: Vec<TokenStream>,
    /// The expressions that the markers stand for, as text.
    marked: Vec<String>,
}

impl<'a> Context<'a> {
    fn new(input: &'a Input<'a>, direction: Direction) -> Self {
        let krate = &input.krate;
        let taken = input.item.generics.lifetimes().any(|lifetime| lifetime.lifetime.ident == "de");
        Self {
            input,
            krate,
            private: quote!(#krate::__private),
            direction,
            de: Lifetime::new(if taken { "'__de" } else { "'de" }, proc_macro2::Span::call_site()),
            markers: Vec::new(),
            marked: Vec::new(),
        }
    }

    /// ```text
    /// impl ::xdr_core::Encode for Domain {
    ///     const WIRE: Wire = Wire::of_fields(&[<String as EncodeBounded<Max<Len<256>>>>::WIRE, …]);
    ///     const MAX_WIRE: Option<usize> = max_of_fields(&[…]);
    ///     fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> { … }
    ///     fn tail(&self, writer: &mut Writer<'_>) -> Result<(), EncodeFault> { … }
    ///     fn tail_len(&self) -> usize { … }
    ///     fn schema() -> &'static Schema { … }
    /// }
    /// ```
    fn encode(&mut self) -> TokenStream {
        let parts = match &self.input.shape {
            Shape::Struct(fields) => structs::encode(self, fields),
            Shape::Transparent(fields) => structs::encode_transparent(self, fields),
            Shape::Enum(values) => enums::encode(self, values),
            Shape::Union(union) => unions::encode(self, union),
        };
        let schema = schema::schema(self, Side::Encode);
        let EncodeParts { wire, max, head, tail } = parts;
        let (krate, p) = (self.krate, &self.private);
        let check = self.check_before(self.input.validate.as_ref(), quote!(self));
        let tail = tail.map(|(tail, len)| {
            quote! {
                #[inline]
                fn tail(&self, __writer: &mut #krate::Writer<'_>) -> #p::Result<(), #krate::EncodeFault> { #tail }
                #[inline]
                fn tail_len(&self) -> #p::usize { #len }
            }
        });
        let ident = &self.input.item.ident;
        let generics = bounded(&self.input.item.generics, &quote!(#krate::Encode), self.input.bound.as_ref());
        let (parameters, _, conditions) = generics.split_for_impl();
        let (_, arguments, _) = self.input.item.generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #parameters #krate::Encode for #ident #arguments #conditions {
                const WIRE: #krate::Wire = #wire;
                const MAX_WIRE: #p::Option<#p::usize> = #max;
                #[inline]
                fn head(&self, __out: &mut [#p::u8]) -> #p::Result<(), #krate::EncodeFault> { #check #head }
                #tail
                fn schema() -> &'static #krate::Schema { #schema }
            }
        }
    }

    /// ```text
    /// impl<'de> ::xdr_core::Decode<'de> for Domain {
    ///     const WIRE: Wire = <Self as Encode>::WIRE;
    ///     const MAX_WIRE: Option<usize> = <Self as Encode>::MAX_WIRE;
    ///     fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
    ///         Self::decode_here(reader, run, after)
    ///     }
    ///     fn decode_here(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> { … }
    ///     fn schema() -> &'static Schema { <Self as Encode>::schema() }
    /// }
    /// ```
    fn decode(&mut self) -> TokenStream {
        let parts = match &self.input.shape {
            Shape::Struct(fields) => structs::decode(self, fields),
            Shape::Transparent(fields) => structs::decode_transparent(self, fields),
            Shape::Enum(values) => enums::decode(self, values),
            Shape::Union(union) => unions::decode(self, union),
        };
        let (krate, p, de) = (self.krate, self.private.clone(), self.de.clone());
        let DecodeParts { mut wire, mut max, mut decode } = parts;
        if self.input.validate.is_some() {
            let read = quote!((|| -> #p::Result<Self, #krate::DecodeFault> { #decode })()?);
            let accepted = self.accepted(None, self.input.validate.as_ref(), read, quote!(__run));
            decode = quote!(#p::Ok(#accepted));
        }
        let generics = &self.input.item.generics;
        let schema = if self.direction == Direction::Both && generics.type_params().next().is_none() {
            // The same constants, computed once.
            wire = quote!(<Self as #krate::Encode>::WIRE);
            max = quote!(<Self as #krate::Encode>::MAX_WIRE);
            quote!(<Self as #krate::Encode>::schema())
        } else {
            schema::schema(self, Side::Decode)
        };
        let ident = &self.input.item.ident;
        let (_, arguments, _) = generics.split_for_impl();
        let mut generics = bounded(generics, &quote!(#krate::Decode<#de>), self.input.bound.as_ref());
        let borrowed = generics.lifetimes().map(|lifetime| lifetime.lifetime.clone()).collect::<Vec<_>>();
        generics
            .params
            .insert(0, if borrowed.is_empty() { parse_quote!(#de) } else { parse_quote!(#de: #(#borrowed)+*) });
        let (parameters, _, conditions) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #parameters #krate::Decode<#de> for #ident #arguments #conditions {
                const WIRE: #krate::Wire = #wire;
                const MAX_WIRE: #p::Option<#p::usize> = #max;
                #[inline]
                fn decode(
                    __reader: &mut #krate::Reader<#de>,
                    __run: &mut &#de [#p::u8],
                    __after: #p::usize,
                ) -> #p::Result<Self, #krate::DecodeFault> {
                    <Self as #krate::Decode<#de>>::decode_here(__reader, __run, __after)
                }
                #[inline(always)]
                fn decode_here(
                    __reader: &mut #krate::Reader<#de>,
                    __run: &mut &#de [#p::u8],
                    __after: #p::usize,
                ) -> #p::Result<Self, #krate::DecodeFault> { #decode }
                fn schema() -> &'static #krate::Schema { #schema }
            }
        }
    }

    /// Implementations that let the rest of the user's build go on behind an error.
    fn stubs(&self) -> TokenStream {
        let (krate, p, de) = (self.krate, &self.private, &self.de);
        let ident = &self.input.item.ident;
        let generics = &self.input.item.generics;
        let (parameters, arguments, conditions) = generics.split_for_impl();
        let encode = quote! {
            #[automatically_derived]
            impl #parameters #krate::Encode for #ident #arguments #conditions {
                const WIRE: #krate::Wire = #krate::Wire::fixed(0);
                const MAX_WIRE: #p::Option<#p::usize> = #p::None;
                fn head(&self, _: &mut [#p::u8]) -> #p::Result<(), #krate::EncodeFault> { loop {} }
                fn schema() -> &'static #krate::Schema { loop {} }
            }
        };
        let mut generics = generics.clone();
        generics.params.insert(0, parse_quote!(#de));
        let (parameters, _, conditions) = generics.split_for_impl();
        let decode = quote! {
            #[automatically_derived]
            impl #parameters #krate::Decode<#de> for #ident #arguments #conditions {
                const WIRE: #krate::Wire = #krate::Wire::fixed(0);
                const MAX_WIRE: #p::Option<#p::usize> = #p::None;
                fn decode(_: &mut #krate::Reader<#de>, _: &mut &#de [#p::u8], _: #p::usize)
                    -> #p::Result<Self, #krate::DecodeFault> { loop {} }
                fn schema() -> &'static #krate::Schema { loop {} }
            }
        };
        match self.direction {
            Direction::Encode => encode,
            Direction::Decode => decode,
            Direction::Both => quote!(#encode #decode),
        }
    }

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
        if !mentions(&tokens, &is_parameter)
            || matches!(max, Expr::Path(path) if path.path.get_ident().is_some_and(|ident| generics.const_params().any(|parameter| parameter.ident == *ident)))
        {
            return quote_spanned!(syn::spanned::Spanned::span(max)=> #krate::Len<{ #tokens }>);
        }
        let p = &self.private;
        let ident = &self.input.item.ident;
        let (parameters, arguments, conditions) = generics.split_for_impl();
        let text = tokens.to_string();
        if let Some(index) = self.marked.iter().position(|marked| *marked == text) {
            let marker = format_ident!("__Bound{index}");
            return quote!(#marker #arguments);
        }
        let marker = format_ident!("__Bound{}", self.marked.len());
        self.marked.push(text);
        let held = generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(lifetime) => {
                let lifetime = &lifetime.lifetime;
                Some(quote!(&#lifetime ()))
            }
            GenericParam::Type(parameter) => Some(parameter.ident.to_token_stream()),
            GenericParam::Const(_) => None,
        });
        let tokens = replace_self(tokens, &quote!(<#ident #arguments>));
        self.markers.push(quote! {
            struct #marker #parameters (#p::PhantomData<(#(#held,)*)>) #conditions;
            #[automatically_derived]
            impl #parameters #krate::Bound for #marker #arguments #conditions {
                const MAX: #p::usize = #tokens;
            }
        });
        quote!(#marker #arguments)
    }

    /// `<Type as Encode>`, with the field's bounds.
    pub(crate) fn codec(&mut self, field: &Field<'_>, side: Side) -> TokenStream {
        let (krate, ty, de) = (self.krate, field.wire_type(), self.de.clone());
        let plain = field.bounds.first().is_none();
        let shape = self.shape(&field.bounds);
        match (side, plain) {
            (Side::Encode, true) => quote_spanned!(field.span()=> <#ty as #krate::Encode>),
            (Side::Decode, true) => quote_spanned!(field.span()=> <#ty as #krate::Decode<#de>>),
            (Side::Encode, false) => quote_spanned!(field.span()=> <#ty as #krate::EncodeBounded<#shape>>),
            (Side::Decode, false) => quote_spanned!(field.span()=> <#ty as #krate::DecodeBounded<#de, #shape>>),
        }
    }

    /// A reference to what is written for a field, given a reference to the field.
    pub(crate) fn written(&self, field: &Field<'_>, reference: TokenStream) -> TokenStream {
        match &field.with {
            Some(module) => quote!(&#module::to_wire(#reference)),
            None => reference,
        }
    }

    /// ```text
    /// if !is_even(&self.count) { return Err(EncodeFault::rejected("is_even")); }
    /// ```
    pub(crate) fn check_before(&self, validate: Option<&Path>, reference: TokenStream) -> TokenStream {
        let Some(validate) = validate else { return TokenStream::new() };
        let (krate, p) = (self.krate, &self.private);
        let by = path_text(validate);
        quote!(if !#validate(#reference) { return #p::Err(#krate::EncodeFault::rejected(#by)); })
    }

    /// What was read, as the field's value, if it is accepted.
    pub(crate) fn accepted(
        &self,
        with: Option<&Path>,
        validate: Option<&Path>,
        read: TokenStream,
        run: TokenStream,
    ) -> TokenStream {
        let (krate, p) = (self.krate, &self.private);
        let rejected = quote!(return #p::Err(#krate::DecodeFault::rejected(__reader.position(#run))));
        let read = match with {
            Some(module) => {
                quote!(match #module::from_wire(#read) { #p::Some(__value) => __value, #p::None => #rejected })
            }
            None => read,
        };
        match validate {
            Some(validate) => quote!({ let __value = #read; if !#validate(&__value) { #rejected; } __value }),
            None => read,
        }
    }

    /// The fields' greatest lengths, added up.
    pub(crate) fn max_of(&mut self, fields: &[&Field<'_>], side: Side) -> TokenStream {
        let (krate, p) = (self.krate, self.private.clone());
        let max = fields.iter().map(|field| match field.recursive {
            true => quote!(#p::None),
            false => {
                let codec = self.codec(field, side);
                quote!(#codec::MAX_WIRE)
            }
        });
        let max: Vec<_> = max.collect();
        quote!(#krate::max_of_fields(&[#(#max),*]))
    }
}

/// A path at another place, so that a failing assertion is reported there and not at the derive.
fn respanned(path: &TokenStream, span: proc_macro2::Span) -> TokenStream {
    let moved = path.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}

/// Where errors are to be reported, for code that has local variables: their names must not be looked
/// up there, or types that a `macro_rules!` makes could not derive.
fn reported_at(span: proc_macro2::Span) -> proc_macro2::Span {
    proc_macro2::Span::call_site().located_at(span)
}

/// Which of the two traits an expression speaks of.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Encode,
    Decode,
}

/// The text of a path, as it stands in errors.
pub(crate) fn path_text(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// The generics with `T: bound` for each type parameter, or with the conditions that were given.
fn bounded(generics: &Generics, bound: &TokenStream, given: Option<&Vec<WherePredicate>>) -> Generics {
    let mut generics = generics.clone();
    if let Some(given) = given {
        generics.make_where_clause().predicates.extend(given.iter().cloned());
        return generics;
    }
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    if !parameters.is_empty() {
        let conditions = generics.make_where_clause();
        for parameter in parameters {
            conditions.predicates.push(parse_quote!(#parameter: #bound));
        }
    }
    generics
}

/// `Self` in a bound's expression stands for the type, not for the marker that carries the bound.
fn replace_self(tokens: TokenStream, with: &TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            proc_macro2::TokenTree::Ident(ident) if ident == "Self" => with.clone(),
            proc_macro2::TokenTree::Group(group) => {
                let stream = replace_self(group.stream(), with);
                proc_macro2::Group::new(group.delimiter(), stream).to_token_stream()
            }
            other => other.to_token_stream(),
        })
        .collect()
}
