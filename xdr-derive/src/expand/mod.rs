//! From the checked tree to the implementations of `Encode` and `Decode`.

mod structs; // fields in runs
mod enums; //   names for values
mod unions; //  a discriminant and its arm
mod schema; //  descriptions
mod consts; //  what is known of a type before its values
mod bounds; //  bounds as types
mod checks; //  what accepts values

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, DeriveInput, Expr, Generics, Lifetime, Meta, WherePredicate, parse_quote};

use crate::ast::{Field, Input, Shape};
use crate::errors::Errors;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    Encode,
    Decode,
    Both,
}

/// The members of an `impl Encode`.
pub(crate) struct EncodeParts {
    /// `visit`, which a struct has instead of `head` and `tail` of its own, or that there is none.
    pub(crate) visit: TokenStream,
    /// `WIRE` and `MAX_WIRE`, where they do not follow from the description.
    pub(crate) consts: Option<(TokenStream, TokenStream)>,
    /// The body of `head`; none where there is `visit`.
    pub(crate) head: Option<TokenStream>,
    /// The bodies of `tail` and `tail_len`; none where every value has the same length.
    pub(crate) tail: Option<(TokenStream, TokenStream)>,
}

/// The members of an `impl Decode`.
pub(crate) struct DecodeParts {
    /// `WIRE` and `MAX_WIRE`, where they do not follow from the description.
    pub(crate) consts: Option<(TokenStream, TokenStream)>,
    pub(crate) decode: TokenStream,
}

pub(crate) fn derive(item: TokenStream, direction: Direction) -> TokenStream {
    // The compiler writes out what it has faster than what is made of it can be.
    let binds_de = binds_de(&item.to_string());
    match syn::parse2(item) {
        Ok(item) => derive_for(&item, direction, binds_de),
        Err(error) => error.into_compile_error(),
    }
}

fn derive_for(item: &DeriveInput, direction: Direction, binds_de: bool) -> TokenStream {
    let mut errors = Errors::default();
    let input = Input::read(item, &mut errors);
    let (procedure, procedure_stub) = match direction {
        Direction::Both => crate::rpc::procedure(item, &mut errors),
        _ => Default::default(),
    };
    let mut context = Context::new(&input, direction, binds_de);
    if let Shape::Union(union) = &input.shape {
        context.markers.extend(unions::switch(&context, union));
    }
    if let Some(errors) = errors.into_compile_errors() {
        let stubs = context.stubs();
        return quote!(#errors #stubs #procedure_stub);
    }
    let encode = (direction != Direction::Decode).then(|| context.encode());
    let decode = (direction != Direction::Encode).then(|| context.decode());
    let markers = std::mem::take(&mut context.markers);
    let checks = match &input.shape {
        Shape::Enum(item) => enums::checks(&context, item),
        Shape::Union(union) => unions::checks(&context, union),
        Shape::Struct(_) | Shape::Transparent(_) => TokenStream::new(),
    };
    let code = quote!(#(#markers)* #encode #decode #procedure #checks);
    let allowed = allowed(&item.attrs);
    if markers.is_empty() && allowed.is_empty() { code } else { quote!(#(#allowed)* const _: () = { #code };) }
}

/// The lints that are allowed for the type, and so for what is derived for it: it names the types of the fields.
fn allowed(attributes: &[Attribute]) -> Vec<TokenStream> {
    let lists = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => Some(&list.tokens),
        _ => None,
    });
    // What is expected is found in the type.
    lists.map(|lints| quote!(#[allow(#lints)])).collect()
}

/// What the code generators need to know of the input, and the bound markers that they ask for.
pub(crate) struct Context<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) krate: &'a TokenStream,
    pub(crate) private: TokenStream,
    pub(crate) direction: Direction,
    /// The type's name.
    pub(crate) ident: Ident,
    /// The lifetime of the input to decode: `'de`, unless the type has one of that name somewhere.
    pub(crate) de: Lifetime,
    markers: Vec<TokenStream>,
    /// The maxima that have a marker, in its order.
    bounds: Vec<*const Expr>,
    /// The codecs of fields, which are written several times.
    codecs: Vec<(*const syn::Type, Side, TokenStream)>,
}

impl<'a> Context<'a> {
    fn new(input: &'a Input<'a>, direction: Direction, binds_de: bool) -> Self {
        let krate = &input.krate;
        let generics = &input.item.generics;
        let taken = binds_de || generics.lifetimes().any(|lifetime| lifetime.lifetime.ident == "de");
        Self {
            input,
            krate,
            private: quote!(#krate::__private),
            direction,
            ident: named_here(&input.item.ident),
            de: Lifetime::new(if taken { "'__de" } else { "'de" }, Span::call_site()),
            markers: Vec::new(),
            bounds: Vec::new(),
            codecs: Vec::new(),
        }
    }

    /// ```text
    /// impl ::xdr_core::Encode for Domain {
    ///     const DERIVED: Option<Schema> = Some(Schema { name: "Domain", … });
    ///     fn visit<V: Visit>(&self, visit: &mut V) -> bool { … }
    /// }
    /// ```
    /// The rest follows from these by the trait's defaults. Enums, unions, and structs with `with` or `validate`
    /// bring members of their own: `WIRE`, `MAX_WIRE`, `head`, `tail`, `tail_len`, `schema`.
    fn encode(&mut self) -> TokenStream {
        let parts = match &self.input.shape {
            Shape::Struct(fields) => structs::encode(self, fields),
            Shape::Transparent(fields) => structs::encode_transparent(self, fields),
            Shape::Enum(values) => enums::encode(self, values),
            Shape::Union(union) => unions::encode(self, union),
        };
        let EncodeParts { visit, consts, head, tail } = parts;
        let described = self.described(consts, Side::Encode);
        let (krate, p) = (self.krate, &self.private);
        let check = self.check_before(self.input.validate.as_ref(), quote!(self));
        let (head, tail) = match &self.input.validate {
            Some(_) => {
                let under = |body| {
                    let written = quote!((|| -> #p::Result<(), #krate::EncodeFault> { #body })());
                    self.under(None, self.input.validate.as_ref(), written)
                };
                (head.map(under), tail.map(|(tail, len)| (under(tail), len)))
            }
            None => (head, tail),
        };
        let tail = tail.map(|(tail, len)| {
            quote! {
                #[inline]
                fn tail(&self, __writer: &mut #krate::Writer<'_>) -> #p::Result<(), #krate::EncodeFault> { #tail }
                #[inline]
                fn tail_len(&self) -> #p::usize { #len }
            }
        });
        let head = head.map(|head| {
            quote! {
                #[inline]
                fn head(&self, __out: &mut [#p::u8]) -> #p::Result<(), #krate::EncodeFault> { #check #head }
            }
        });
        let ident = &self.ident;
        let generics = bounded(&self.input.item.generics, &quote!(#krate::Encode), self.input.bound.as_ref());
        let (parameters, _, conditions) = generics.split_for_impl();
        let (_, arguments, _) = self.input.item.generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #parameters #krate::Encode for #ident #arguments #conditions {
                #described
                #visit
                #head
                #tail
            }
        }
    }

    /// ```text
    /// impl<'de> ::xdr_core::Decode<'de> for Domain {
    ///     const DERIVED: Option<Schema> = <Self as Encode>::DERIVED;
    ///     fn decode_here(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize, last: bool) -> Result<Self, DecodeFault> { … }
    /// }
    /// ```
    /// What has no `DERIVED` brings `WIRE`, `MAX_WIRE`, `decode` and `schema` as well.
    fn decode(&mut self) -> TokenStream {
        let parts = match &self.input.shape {
            Shape::Struct(fields) => structs::decode(self, fields),
            Shape::Transparent(fields) => structs::decode_transparent(self, fields),
            Shape::Enum(values) => enums::decode(self, values),
            Shape::Union(union) => unions::decode(self, union),
        };
        let (krate, p, de) = (self.krate, self.private.clone(), self.de.clone());
        let DecodeParts { consts, mut decode } = parts;
        // What has a description of its fields has this one by itself.
        let outlined = consts.is_some();
        if self.input.validate.is_some() {
            let read = quote!((|| -> #p::Result<Self, #krate::DecodeFault> { #decode })());
            let accepted = self.accepted(Span::call_site(), None, self.input.validate.as_ref(), read, quote!(__run));
            decode = quote!(#p::Ok(#accepted));
        }
        let encodes = self.encodes();
        decode = quote!(#encodes #decode);
        let generics = &self.input.item.generics;
        let described = if self.direction != Direction::Both || generics.type_params().next().is_some() {
            self.described(consts, Side::Decode)
        } else if consts.is_none() {
            let checked = self
                .input
                .validate
                .is_some()
                .then(|| quote!(fn schema() -> &'static #krate::Schema { <Self as #krate::Encode>::schema() }));
            quote!(const DERIVED: #p::Option<#krate::Schema> = <Self as #krate::Encode>::DERIVED; #checked)
        } else {
            // The same constants, computed once.
            let labels = self.labels();
            quote! {
                const WIRE: #krate::Wire = <Self as #krate::Encode>::WIRE;
                const MAX_WIRE: #p::Option<#p::usize> = <Self as #krate::Encode>::MAX_WIRE;
                #labels
                fn schema() -> &'static #krate::Schema { <Self as #krate::Encode>::schema() }
            }
        };
        let outlined = outlined.then(|| {
            quote! {
                #[inline]
                fn decode(
                    __reader: &mut #krate::Reader<#de>,
                    __run: &mut &#de [#p::u8],
                    __after: #p::usize,
                ) -> #p::Result<Self, #krate::DecodeFault> {
                    <Self as #krate::Decode<#de>>::decode_here(__reader, __run, __after, false)
                }
            }
        });
        let ident = &self.ident;
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
                #described
                #outlined
                #[inline(always)]
                fn decode_here(
                    __reader: &mut #krate::Reader<#de>,
                    __run: &mut &#de [#p::u8],
                    __after: #p::usize,
                    __last: #p::bool,
                ) -> #p::Result<Self, #krate::DecodeFault> { #decode }
            }
        }
    }

    /// ```text
    /// let _ = (<String as Encode>::schema, …);
    /// ```
    /// A missing maximum is reported once: before it would be for decoding, it is again for encoding, which the compiler
    /// has said in the same words at the same place. Only for fields without bounds, where it is likely to be missing:
    /// each path costs every derive. Under type parameters decoding knows nothing of encoding.
    fn encodes(&mut self) -> TokenStream {
        let input = self.input;
        if self.direction != Direction::Both || input.item.generics.type_params().next().is_some() {
            return TokenStream::new();
        }
        let fields: Vec<&Field<'_>> = match &input.shape {
            Shape::Struct(fields) | Shape::Transparent(fields) => fields.iter().collect(),
            Shape::Union(union) => union.arms.iter().flat_map(|arm| &arm.fields).collect(),
            Shape::Enum(_) => Vec::new(),
        };
        let is_word = |field: &Field<'_>| field.with.is_none() && is_word(field.ty);
        let missing = |field: &&Field<'_>| field.on_wire() && field.bounds.first().is_none() && !is_word(field);
        let on_wire = fields.into_iter().filter(missing);
        let codecs: Vec<_> = on_wire.map(|field| self.codec(field, Side::Encode)).collect();
        if codecs.is_empty() { TokenStream::new() } else { quote!(let _ = (#(#codecs::schema,)*);) }
    }

    /// Implementations that let the rest of the user's build go on behind an error.
    fn stubs(&self) -> TokenStream {
        let (krate, p, de) = (self.krate, &self.private, &self.de);
        let ident = &self.input.item.ident;
        let generics = &self.input.item.generics;
        let (parameters, arguments, conditions) = generics.split_for_impl();
        // A union that switches on it is not to be blamed.
        let labels = matches!(self.input.item.data, syn::Data::Enum(_))
            .then(|| quote!(const LABELS: #p::Labels = #p::Labels::Closed;));
        let encode = quote! {
            #[automatically_derived]
            impl #parameters #krate::Encode for #ident #arguments #conditions {
                #labels
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
                #labels
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

    /// What decoding puts into a field that is not on the wire. A type without a default is an error at the field.
    pub(crate) fn skipped(&self, field: &Field<'_>) -> TokenStream {
        let (p, ty) = (&self.private, field.ty);
        quote_spanned!(reported_at(field.span)=> <#ty as #p::Default>::default())
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
pub(crate) fn respanned(path: &TokenStream, span: Span) -> TokenStream {
    let moved = path.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}

/// Where errors are to be reported, for code that has local variables: their names must not be looked
/// up there, or types that a `macro_rules!` makes could not derive.
fn reported_at(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// The name of the type that derives, as a word of the derive's: its use is none of the user's, whom lints would tell
/// that a type is deprecated.
pub(crate) fn named_here(ident: &Ident) -> Ident {
    let mut here = ident.clone();
    here.set_span(reported_at(ident.span()));
    here
}

fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let located = tokens.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    located.collect()
}

/// Which of the two traits an expression speaks of.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Encode,
    Decode,
}

/// Whether it is a type that needs no maximum, by the name of the standard library's.
fn is_word(ty: &syn::Type) -> bool {
    let name = match ty {
        syn::Type::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    };
    name.is_some_and(|name| ["u32", "i32", "bool", "u64", "i64"].iter().any(|word| name == word))
}

/// Whether there is a `for<'de>`.
fn binds_de(text: &str) -> bool {
    if !text.contains("'de") {
        return false;
    }
    let text: String = text.split_whitespace().collect();
    let mut binders = text.split("for<").skip(1).filter_map(|rest| rest.split_once('>'));
    binders.any(|(lifetimes, _)| lifetimes.split(',').any(|lifetime| lifetime == "'de"))
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

/// `Self` in a bound's or label's expression stands for the type, also in the item that carries it.
pub(crate) fn replace_self(tokens: TokenStream, with: &TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            proc_macro2::TokenTree::Ident(ident) if ident == "Self" => located(with.clone(), ident.span()),
            proc_macro2::TokenTree::Group(group) => {
                let stream = replace_self(group.stream(), with);
                proc_macro2::Group::new(group.delimiter(), stream).to_token_stream()
            }
            other => other.to_token_stream(),
        })
        .collect()
}
