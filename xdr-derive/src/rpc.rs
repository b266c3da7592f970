//! `#[rpc(…)]` on a message: `Procedure`, or `OnewayProcedure`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{DeriveInput, Expr};

use crate::attr::{Keyed, RpcKeys, RpcPlace, crate_path};
use crate::errors::Errors;

/// ```text
/// impl ::rpc_frame::Procedure for DomainCreate {
///     type Args = Self;
///     type Reply = Reply<DomainCreated>;
///     const INFO: ProcedureInfo = ProcedureInfo { program: GUEST, version: 1, number: 5, name: "DomainCreate", … };
/// }
/// impl ::rpc_frame::__private::Line for DomainCreate { type Reply = Reply<DomainCreated>; const INFO: ProcedureInfo = …; }
/// ```
pub(crate) fn procedure(item: &DeriveInput, errors: &mut Errors) -> TokenStream {
    let keys = RpcKeys::read(&item.attrs, RpcPlace::Message, errors);
    let Some(span) = keys.present else { return TokenStream::new() };
    let required =
        [("program", keys.program.is_some()), ("version", keys.version.is_some()), ("proc", keys.procedure.is_some())];
    let missing: Vec<_> = required.iter().filter(|(_, given)| !given).map(|(key, _)| format!("`{key} = …`")).collect();
    if !missing.is_empty() {
        errors.at_span(span, format!("`#[rpc]` on a message also needs {}", missing.join(", ")));
        return TokenStream::new();
    }
    if let Some(parameter) = item.generics.type_params().next() {
        errors.at(parameter, "a message of a procedure has no type parameters: its wire form must be one");
        return TokenStream::new();
    }
    let krate = crate_path(keys.krate.as_ref(), "rpc_frame");
    let ident = &item.ident;
    let (parameters, arguments, conditions) = item.generics.split_for_impl();
    let name = ident.to_string().trim_start_matches("r#").to_owned();
    let info = info(&keys, &krate, &value(&keys.program), &value(&keys.version), &name);
    let (header, args) = (quote!(impl #parameters), quote!(Self));
    implementation(&keys, &krate, &header, &quote!(#ident #arguments), &conditions.to_token_stream(), &args, &info)
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
    for flag in [&keys.auth, &keys.read_only, &keys.idempotent, &keys.oneway].into_iter().flatten() {
        info = quote!(#info.#flag());
    }
    info
}
