//! `ProcedureTable`: the table's constants, its service trait and its dispatch.

use proc_macro2::{Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Type};

use crate::attr::{RpcKeys, RpcPlace, crate_path, docs};
use crate::errors::Errors;
use crate::expand::respanned;
use crate::rpc::{check_number, checks, implementation, info, missing, value};

struct Line<'a> {
    ident: &'a Ident,
    docs: Vec<&'a syn::Attribute>,
    message: &'a Type,
    keys: RpcKeys,
}

impl Line<'_> {
    /// `<DomainCreate as Line>`: the message's implementation, or that of the variant's own marker.
    fn procedure(&self, krate: &TokenStream) -> TokenStream {
        let procedure = match self.keys.present {
            Some(_) => self.ident.to_token_stream(),
            None => self.message_for("static"),
        };
        quote_spanned!(self.span()=> <#procedure as #krate::__private::Line>)
    }

    /// The message's type, with this lifetime in the place of the table's own.
    fn message_for(&self, lifetime: &str) -> TokenStream {
        with_lifetime(self.message.to_token_stream(), lifetime)
    }

    fn span(&self) -> Span {
        self.message.span()
    }
}

pub(crate) fn derive(item: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let keys = RpcKeys::read(&item.attrs, RpcPlace::Table, &mut errors);
    let lines = read_lines(item, &mut errors);
    let missing = missing(
        &[
            ("program", keys.program.is_some()),
            ("version", keys.version.is_some()),
            ("service", keys.service.is_some()),
        ],
        &keys,
    );
    if !missing.is_empty() {
        let message = format!("a procedure table needs `#[rpc({})]`", missing.join(", ").replace('`', ""));
        errors.at_span(keys.present.unwrap_or_else(|| item.ident.span()), message);
    }
    if let Some(parameter) = item.generics.type_params().next() {
        errors.at(parameter, "a procedure table has no type parameters");
    }
    match errors.into_compile_errors() {
        Some(errors) => {
            let stubs = stubs(item, &keys, &lines);
            quote!(#errors #stubs)
        }
        None => expand(item, &keys, &lines),
    }
}

fn read_lines<'a>(item: &'a DeriveInput, errors: &mut Errors) -> Vec<Line<'a>> {
    let Data::Enum(data) = &item.data else {
        let written = format!("a procedure table is an enum, one variant a procedure: `enum {} {{ … }}`", item.ident);
        errors.at(&item.ident, written);
        return Vec::new();
    };
    if data.variants.is_empty() {
        let written = "a procedure table has a line for each procedure: `Name(Message)`; procedure 0 needs none";
        errors.at(&item.ident, written);
    }
    let mut lines = Vec::new();
    for variant in &data.variants {
        let keys = RpcKeys::read(&variant.attrs, RpcPlace::Variant, errors);
        if let (Some(span), None) = (keys.present, &keys.procedure)
            && !keys.refused("proc")
        {
            errors.at_span(
                span,
                "`#[rpc]` on a line of the table needs `proc = N`; without it the message's own is used",
            );
        }
        check_number(&keys, errors);
        if let Some((_, value)) = &variant.discriminant {
            errors.at(value, "the number of a procedure is `proc = …` in its `#[rpc(…)]`, not a value of the variant");
        }
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                if let Some(field) = fields.unnamed.first() {
                    let docs = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
                    lines.push(Line { ident: &variant.ident, docs, message: &field.ty, keys });
                }
            }
            Fields::Unit => {
                errors.at(&variant.ident, format!("a line of the table holds its message: `{0}({0})`", variant.ident));
            }
            _ => errors.at(
                &variant.ident,
                format!(
                    "a line of the table holds one message, `{0}({0})`: put what is sent into one struct",
                    variant.ident
                ),
            ),
        }
    }
    lines
}

/// ```text
/// pub trait GuestService: Send + Sync { … }
/// pub enum __GuestReply { GetVersion(<GetVersion as Line>::Reply), … }
/// impl ProcedureTable for Guest { const PROGRAM: u32 = …; const VERSION: u32 = …; const PROCEDURES: &'static [ProcedureInfo] = …; }
/// impl<S: GuestService> Dispatch<S> for Guest { … match cx.procedure() { <GetVersion as Line>::NUMBER => …, … } }
/// ```
fn expand(item: &DeriveInput, keys: &RpcKeys, lines: &[Line<'_>]) -> TokenStream {
    let krate = crate_path(keys.krate.as_ref(), "rpc_frame");
    let p = quote!(#krate::__private);
    let (table, visibility) = (&item.ident, &item.vis);
    let (program, version) = (value(&keys.program), value(&keys.version));
    let service = keys.service.as_ref().map(|service| &service.value);
    // Protocols have a `GuestReply` of their own.
    let name = table.unraw().to_string();
    let replies = format_ident!("__{name}Reply");
    let declared = service_trait(item, keys, lines);
    let procedures: Vec<_> = lines.iter().map(|line| line.procedure(&krate)).collect();
    let variants: Vec<_> = lines.iter().map(|line| line.ident).collect();
    let messages: Vec<_> = lines.iter().map(|line| line.message_for("_")).collect();
    let methods: Vec<_> = lines.iter().map(|line| method_name(line.ident)).collect();
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    let statics: Vec<_> = lines.iter().map(|line| line.message_for("static")).collect();
    let static_arguments = with_lifetime(arguments.to_token_stream(), "static");

    let markers = lines.iter().filter(|line| line.keys.present.is_some()).map(|line| {
        let (ident, message) = (line.ident, line.message_for("static"));
        let docs = &line.docs;
        let info = info(&line.keys, &krate, &program, &version, &ident.unraw().to_string());
        let checks = checks(&line.keys, &krate, &ident.to_token_stream());
        let about = format!("The procedure `{ident}` of [`{table}`].");
        let (header, nothing) = (quote!(impl), TokenStream::new());
        let procedure = implementation(&line.keys, &krate, &header, &quote!(#ident), &nothing, &message, &info);
        // At the line, which is to be told where another type has its name.
        let marker = quote_spanned!(Span::call_site().located_at(ident.span())=> #visibility struct #ident;);
        quote! {
            #[doc = #about]
            #[doc = ""]
            #(#docs)*
            #[derive(#p::Debug, #p::Clone, #p::Copy)]
            #marker
            #procedure
            #checks
        }
    });

    let checks = lines.iter().zip(&procedures).enumerate().map(|(index, (line, procedure))| {
        let name = line.ident.to_string();
        let program_differs =
            format!("`{name}` belongs to another program than this table: its `program` is not the table's");
        let version_differs =
            format!("`{name}` belongs to another version than this table: its `version` is not the table's");
        let twice =
            format!("`{name}` has the number of another procedure of this table: give one of them another `proc`");
        let (at, assert) = (line.span(), respanned(&quote!(#p::assert), line.span()));
        let first = quote!(#p::first_with_number(&__LINES, __LINES[#index].number));
        quote_spanned! {at=>
            const _: () = #assert!(#procedure::PROGRAM == #program, #program_differs);
            const _: () = #assert!(#procedure::VERSION == #version, #version_differs);
            const _: () = #assert!(#first == #index, #twice);
        }
    });

    let reply_docs = format!("A reply of any procedure of [`{table}`].");
    let count = lines.len();
    let table_docs = docs(&item.attrs);
    quote! {
        #(#markers)*

        #declared

        #[doc = #reply_docs]
        #[doc(hidden)]
        #visibility enum #replies {
            #(#[doc = "The reply."] #variants(#procedures::Reply),)*
        }

        #[automatically_derived]
        impl #krate::EncodeReply for #replies {
            fn encode_reply(&self, __encoder: &mut #krate::ReplyEncoder<'_>) -> #p::Result<(), #krate::xdr::EncodeError> {
                match self { #(Self::#variants(__reply) => __encoder.encode(__reply),)* }
            }
        }

        const _: () = {
            const __LINES: [#krate::ProcedureInfo; #count] = [#(#procedures::INFO),*];
            const __SORTED: [#krate::ProcedureInfo; #count] = #p::sorted_by_number(__LINES);
            #(#checks)*
            // A table's variants are never made; this says that they are meant.
            #(const _: fn(#statics) -> #table #static_arguments = #table::#variants;)*
            const _: fn(#table #static_arguments) = |__table| match __table { #(#table::#variants(__message) => { let _ = __message; })* };

            #[automatically_derived]
            impl #parameters #krate::ProcedureTable for #table #arguments #conditions {
                const NAME: &'static #p::str = #name;
                const DOCS: &'static #p::str = #table_docs;
                const PROGRAM: #p::u32 = #program;
                const VERSION: #p::u32 = #version;
                const PROCEDURES: &'static [#krate::ProcedureInfo] = &__SORTED;
            }

            #[automatically_derived]
            impl<XdrService: #service> #krate::Dispatch<XdrService> for #table #static_arguments {
                type Reply = #replies;
                // Not an `async fn`: a block holds what it uses in the order in which it does. If context and service lay
                // side by side as the method takes them, they would be moved in one piece, which waits for them to be written.
                fn dispatch(
                    __service: &XdrService,
                    __cx: &#krate::Context,
                    __args: &#krate::xdr::Bytes,
                ) -> impl #p::Future<Output = #p::Result<#replies, #krate::Undispatched>> + #p::Send {
                    async move {
                        match __cx.procedure().number {
                            #(#procedures::NUMBER => {
                                let __args: #messages = #p::decode_args(__args, __cx)?;
                                #p::Ok(#replies::#variants(#service::#methods(__service, __cx, __args).await))
                            })*
                            _ => #p::Err(#krate::Undispatched::UnknownProcedure),
                        }
                    }
                }
            }
        };
    }
}

/// ```text
/// pub trait GuestService: Send + Sync { fn get_version(&self, cx: &Context, args: GetVersion) -> impl Future<Output = …> + Send; … }
/// ```
fn service_trait(item: &DeriveInput, keys: &RpcKeys, lines: &[Line<'_>]) -> TokenStream {
    let krate = crate_path(keys.krate.as_ref(), "rpc_frame");
    let p = quote!(#krate::__private);
    let (table, visibility) = (&item.ident, &item.vis);
    let Some(service) = keys.service.as_ref().map(|service| &service.value) else { return TokenStream::new() };
    let declarations = lines.iter().map(|line| {
        let (procedure, method) = (line.procedure(&krate), method_name(line.ident));
        let message = line.message_for("_");
        let docs = match line.docs.as_slice() {
            [] => {
                let text = format!("Answers [`{}`].", line.ident);
                quote!(#[doc = #text])
            }
            docs => quote!(#(#docs)*),
        };
        quote! {
            #docs
            fn #method(&self, cx: &#krate::Context, args: #message)
                -> impl #p::Future<Output = #procedure::Reply> + #p::Send;
        }
    });

    let service_docs = format!(
        "What a server of [`{table}`] does: one method a procedure.\n\nImplement the methods as `async fn`. A procedure without one does not compile."
    );
    quote! {
        #[doc = #service_docs]
        #visibility trait #service: #p::Send + #p::Sync {
            #(#declarations)*
        }
    }
}

/// What stands in the table's place behind an error, so that servers and clients are not told of it as well.
fn stubs(item: &DeriveInput, keys: &RpcKeys, lines: &[Line<'_>]) -> TokenStream {
    let krate = crate_path(keys.krate.as_ref(), "rpc_frame");
    let p = quote!(#krate::__private);
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    let ident = &item.ident;
    let markers = lines.iter().filter(|line| line.keys.present.is_some()).map(|line| {
        let (ident, message) = (line.ident, line.message_for("static"));
        let visibility = &item.vis;
        let info = quote!(#krate::ProcedureInfo::new(0, 0, 0, ""));
        let (header, nothing) = (quote!(impl), TokenStream::new());
        let procedure = implementation(&line.keys, &krate, &header, &quote!(#ident), &nothing, &message, &info);
        quote! {
            #[derive(#p::Debug, #p::Clone, #p::Copy)]
            #visibility struct #ident;
            #procedure
        }
    });
    let service = service_trait(item, keys, lines);
    quote! {
        #(#markers)*
        #service
        #[automatically_derived]
        impl #parameters #krate::ProcedureTable for #ident #arguments #conditions {
            const NAME: &'static #p::str = "";
            const DOCS: &'static #p::str = "";
            const PROGRAM: #p::u32 = 0;
            const VERSION: #p::u32 = 0;
            const PROCEDURES: &'static [#krate::ProcedureInfo] = &[];
        }
    }
}

/// The tokens with this lifetime in the place of every other. A table's messages borrow from the record that they
/// came in, whatever the table calls that lifetime.
fn with_lifetime(tokens: TokenStream, lifetime: &str) -> TokenStream {
    let mut after_quote = false;
    tokens
        .into_iter()
        .map(|token| {
            let name = std::mem::replace(
                &mut after_quote,
                matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'' && punct.spacing() == Spacing::Joint),
            );
            match token {
                TokenTree::Ident(ident) if name => Ident::new(lifetime, ident.span()).into(),
                TokenTree::Group(group) => {
                    let inner = with_lifetime(group.stream(), lifetime);
                    let mut replaced = Group::new(group.delimiter(), inner);
                    replaced.set_span(group.span());
                    replaced.into()
                }
                other => other,
            }
        })
        .collect()
}

/// `DomainLookupByUuid` as `domain_lookup_by_uuid`.
fn method_name(variant: &Ident) -> Ident {
    let name = variant.unraw().to_string();
    let mut snake = String::with_capacity(name.len() + 8);
    let mut before_is_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && before_is_lower {
            snake.push('_');
        }
        before_is_lower = !letter.is_uppercase();
        snake.extend(letter.to_lowercase());
    }
    match syn::parse_str::<Ident>(&snake) {
        Ok(_) => Ident::new(&snake, variant.span()),
        // Keywords that have no raw form.
        Err(_) if matches!(snake.as_str(), "crate" | "self" | "super") => {
            Ident::new(&format!("{snake}_"), variant.span())
        }
        Err(_) => Ident::new_raw(&snake, variant.span()),
    }
}
