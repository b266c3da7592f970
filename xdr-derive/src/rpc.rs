//! `#[rpc(…)]` on a message: `Procedure`, or `OnewayProcedure`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Expr, ExprLit, Lit};

use crate::attr::{Keyed, RpcKeys, RpcPlace, crate_path};
use crate::errors::Errors;
use crate::expand::{named_here, respanned};

/// ```text
/// impl ::rpc_frame::Procedure for DomainCreate {
///     type Args = Self;
///     type Reply = Reply<DomainCreated>;
///     const INFO: ProcedureInfo = ProcedureInfo { program: GUEST, version: 1, number: 5, name: "DomainCreate", … };
/// }
/// impl ::rpc_frame::__private::Line for DomainCreate { type Reply = Reply<DomainCreated>; const INFO: ProcedureInfo = …; }
/// ```
///
/// Beside it what stands in its place behind an error, so that callers are not told of it as well.
pub(crate) fn procedure(item: &DeriveInput, errors: &mut Errors) -> (TokenStream, TokenStream) {
    let keys = RpcKeys::read(&item.attrs, RpcPlace::Message, errors);
    let Some(span) = keys.present else { return Default::default() };
    let missing = missing(
        &[("program", keys.program.is_some()), ("version", keys.version.is_some()), ("proc", keys.procedure.is_some())],
        &keys,
    );
    if !missing.is_empty() {
        errors.at_span(span, format!("`#[rpc]` on a message also needs {}", missing.join(", ")));
    }
    check_number(&keys, errors);
    if let Some(parameter) = item.generics.type_params().next() {
        errors.at(parameter, "a message of a procedure has no type parameters: its wire form must be one");
        return Default::default();
    }
    let krate = crate_path(keys.krate.as_ref(), "rpc_frame");
    let ident = &named_here(&item.ident);
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    let implementation = |info: TokenStream| {
        let (header, args) = (quote!(impl #parameters), quote!(Self));
        implementation(&keys, &krate, &header, &quote!(#ident #arguments), &conditions.to_token_stream(), &args, &info)
    };
    let stub = implementation(quote!(#krate::ProcedureInfo::new(0, 0, 0, #name)));
    let procedure = implementation(info(&keys, &krate, &value(&keys.program), &value(&keys.version), &name));
    let lifetimes = item.generics.lifetimes().map(|_| quote!('static));
    let checks = match item.generics.const_params().next() {
        None => checks(&keys, &krate, &quote!(#ident<#(#lifetimes),*>)),
        Some(_) => TokenStream::new(),
    };
    (quote!(#procedure #checks), stub)
}

/// As above, or where the procedure is `oneway`:
///
/// ```text
/// impl ::rpc_frame::OnewayProcedure for Tick { type Args = Self; const INFO: ProcedureInfo = …; }
/// impl ::rpc_frame::__private::Line for Tick { type Reply = (); const INFO: ProcedureInfo = …; }
/// ```
pub(crate) fn implementation(
    keys: &RpcKeys,
    krate: &TokenStream,
    header: &TokenStream,
    ident: &TokenStream,
    conditions: &TokenStream,
    args: &TokenStream,
    info: &TokenStream,
) -> TokenStream {
    let reply = reply(keys);
    let (kind, its_reply) = match keys.oneway {
        Some(_) => (quote!(#krate::OnewayProcedure), TokenStream::new()),
        None => (quote!(#krate::Procedure), quote!(type Reply = #reply;)),
    };
    quote! {
        #[automatically_derived]
        #header #kind for #ident #conditions {
            type Args = #args;
            #its_reply
            const INFO: #krate::ProcedureInfo = #info;
        }
        #[automatically_derived]
        #header #krate::__private::Line for #ident #conditions {
            type Reply = #reply;
            const INFO: #krate::ProcedureInfo = <Self as #kind>::INFO;
        }
    }
}

/// The required keys that were not given. One that could not be read has been reported.
pub(crate) fn missing(required: &[(&str, bool)], keys: &RpcKeys) -> Vec<String> {
    let missing = required.iter().filter(|(key, given)| !given && !keys.refused(key));
    missing.map(|(key, _)| format!("`{key} = …`")).collect()
}

/// A number that is no procedure's.
pub(crate) fn check_number(keys: &RpcKeys, errors: &mut Errors) {
    if let Some(Keyed { value: Expr::Lit(ExprLit { lit: Lit::Int(number), .. }), .. }) = &keys.procedure
        && number.base10_digits() == "0"
    {
        errors.at(number, NULL);
    }
}

const NULL: &str = "procedure 0 is NULL, which every program has by itself: number yours from 1";

/// What only the compiler knows, where the keys are constants.
///
/// ```text
/// const _: () = assert!(has_number(&<DomainCreate as Line>::INFO), "procedure 0 is NULL, …");
/// const _: () = assert!(is_ever_there(&<DomainCreate as Line>::INFO), "`until` is before `since`: …");
/// ```
pub(crate) fn checks(keys: &RpcKeys, krate: &TokenStream, procedure: &TokenStream) -> TokenStream {
    let info = quote!(<#procedure as #krate::__private::Line>::INFO);
    let mut checks = TokenStream::new();
    if let Some(Keyed { value: number, .. }) = &keys.procedure {
        let p = respanned(&quote!(#krate::__private), number.span());
        let has_number = quote!(#p::has_number(&#info));
        checks.extend(quote_spanned!(number.span()=> const _: () = #p::assert!(#has_number, #NULL);));
    }
    if let (Some(_), Some(Keyed { value: until, .. })) = (&keys.since, &keys.until) {
        let message = "`until` is before `since`: the procedure would exist in no minor version";
        let p = respanned(&quote!(#krate::__private), until.span());
        let is_ever_there = quote!(#p::is_ever_there(&#info));
        checks.extend(quote_spanned!(until.span()=> const _: () = #p::assert!(#is_ever_there, #message);));
    }
    checks
}

/// The reply's type; void where none is given.
fn reply(keys: &RpcKeys) -> TokenStream {
    match &keys.reply {
        Some(reply) => {
            let ty = &reply.value;
            quote!(#ty)
        }
        None => quote!(()),
    }
}

/// A key's value; void where it is missing, which has been reported.
pub(crate) fn value(key: &Option<Keyed<Expr>>) -> TokenStream {
    match key {
        Some(Keyed { value, .. }) => quote!(#value),
        None => quote!(0),
    }
}

/// ```text
/// ProcedureInfo::new(GUEST, 1, 5, "DomainCreate").since(1).read_only()
/// ```
pub(crate) fn info(
    keys: &RpcKeys,
    krate: &TokenStream,
    program: &TokenStream,
    version: &TokenStream,
    name: &str,
) -> TokenStream {
    let number = value(&keys.procedure);
    let mut info = quote!(#krate::ProcedureInfo::new(#program, #version, #number, #name));
    if let Some(Keyed { key, value }) = &keys.since {
        info = quote_spanned!(key.span()=> #info.since(#value));
    }
    if let Some(Keyed { key, value }) = &keys.until {
        info = quote_spanned!(key.span()=> #info.until(#value));
    }
    if let Some(Keyed { key, value }) = &keys.time_limit {
        info = quote_spanned!(key.span()=> #info.time_limit(#value));
    }
    for flag in [&keys.auth, &keys.read_only, &keys.idempotent, &keys.oneway].into_iter().flatten() {
        info = quote!(#info.#flag());
    }
    info
}
