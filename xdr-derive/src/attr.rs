//! Attributes: `#[xdr(…)]` and `#[rpc(…)]` as typed keys that remember where they stand.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, LitStr, Path, Token, Type, WherePredicate, bracketed, parenthesized};

use crate::errors::Errors;

/// A key's value with the key, so that errors point at it.
#[derive(Clone)]
pub(crate) struct Keyed<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

/// Bounds, on a field or inside `item(…)`.
#[derive(Default)]
pub(crate) struct Bounds {
    pub(crate) max: Option<Keyed<Expr>>,
    pub(crate) unbounded: Option<Ident>,
    pub(crate) list: Option<Ident>,
    pub(crate) item: Option<Keyed<Box<Bounds>>>,
}

impl Bounds {
    /// The first key, for errors about bounds where none belong.
    pub(crate) fn first(&self) -> Option<&Ident> {
        let keyed = self.max.as_ref().map(|max| &max.key);
        keyed.or(self.unbounded.as_ref()).or(self.list.as_ref()).or(self.item.as_ref().map(|item| &item.key))
    }
}

/// The keys of `#[xdr(…)]`, wherever it stands; [`ast`](crate::ast) checks what belongs where.
#[derive(Default)]
pub(crate) struct XdrKeys {
    pub(crate) bounds: Bounds,
    pub(crate) skip: Option<Ident>,
    pub(crate) recursive: Option<Ident>,
    pub(crate) tag: Option<Ident>,
    pub(crate) case: Option<Keyed<Vec<Expr>>>,
    pub(crate) default: Option<Ident>,
    pub(crate) other: Option<Ident>,
    pub(crate) switch: Option<Keyed<Type>>,
    pub(crate) transparent: Option<Ident>,
    pub(crate) rename: Option<Keyed<LitStr>>,
    pub(crate) with: Option<Keyed<Path>>,
    pub(crate) validate: Option<Keyed<Path>>,
    pub(crate) bound: Option<Keyed<Vec<WherePredicate>>>,
    pub(crate) krate: Option<Keyed<Path>>,
}

/// Where an attribute stands, for the message when a key does not belong there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Item,
    Field,
    Variant,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Item => "a type",
            Self::Field => "a field",
            Self::Variant => "a variant",
        }
    }
}

/// The keys, and where each may stand.
const XDR_KEYS: &[(&str, &[Place])] = &[
    ("max", &[Place::Field]),
    ("item", &[Place::Field]),
    ("unbounded", &[Place::Field]),
    ("list", &[Place::Field]),
    ("skip", &[Place::Field]),
    ("recursive", &[Place::Field]),
    ("tag", &[Place::Field]),
    ("case", &[Place::Variant]),
    ("default", &[Place::Variant]),
    ("other", &[Place::Variant]),
    ("switch", &[Place::Item]),
    ("transparent", &[Place::Item]),
    ("rename", &[Place::Item, Place::Field, Place::Variant]),
    ("with", &[Place::Field]),
    ("validate", &[Place::Item, Place::Field]),
    ("bound", &[Place::Item]),
    ("crate", &[Place::Item]),
];

const BOUND_KEYS: &[&str] = &["max", "item", "unbounded", "list"];

impl XdrKeys {
    pub(crate) fn read(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        for_each_key(attributes, "xdr", errors, |key, input, errors| {
            let name = key.unraw().to_string();
            let name = if key == "crate" { "crate".to_owned() } else { name };
            match XDR_KEYS.iter().find(|(known, _)| *known == name) {
                None => {
                    errors.at(
                        &key,
                        unknown_key(
                            "xdr",
                            &name,
                            XDR_KEYS.iter().filter(|(_, at)| at.contains(&place)).map(|(key, _)| *key),
                        ),
                    );
                    return skip_value(input);
                }
                Some((_, places)) if !places.contains(&place) => {
                    let right: Vec<_> = places.iter().map(|place| place.name()).collect();
                    errors.at(&key, format!("`{name}` belongs on {}, not on {}", right.join(" or "), place.name()));
                    return skip_value(input);
                }
                Some(_) => {}
            }
            match name.as_str() {
                "skip" => set(&mut keys.skip, key.clone(), &key, errors),
                "recursive" => set(&mut keys.recursive, key.clone(), &key, errors),
                "tag" => set(&mut keys.tag, key.clone(), &key, errors),
                "default" => set(&mut keys.default, key.clone(), &key, errors),
                "other" => set(&mut keys.other, key.clone(), &key, errors),
                "transparent" => set(&mut keys.transparent, key.clone(), &key, errors),
                "case" => {
                    let value = labels(input)?;
                    set(&mut keys.case, Keyed { key: key.clone(), value }, &key, errors);
                }
                "switch" => {
                    let value = assigned(input)?;
                    set(&mut keys.switch, Keyed { key: key.clone(), value }, &key, errors);
                }
                "rename" => {
                    let value = assigned(input)?;
                    set(&mut keys.rename, Keyed { key: key.clone(), value }, &key, errors);
                }
                "with" => {
                    let value = assigned_path(input)?;
                    set(&mut keys.with, Keyed { key: key.clone(), value }, &key, errors);
                }
                "validate" => {
                    let value = assigned_path(input)?;
                    set(&mut keys.validate, Keyed { key: key.clone(), value }, &key, errors);
                }
                "bound" => {
                    let content;
                    parenthesized!(content in input);
                    let value = content.parse_terminated(WherePredicate::parse, Token![,])?.into_iter().collect();
                    set(&mut keys.bound, Keyed { key: key.clone(), value }, &key, errors);
                }
                "crate" => {
                    let value = assigned_path(input)?;
                    set(&mut keys.krate, Keyed { key: key.clone(), value }, &key, errors);
                }
                _ => bound_key(&mut keys.bounds, &name, &key, input, errors)?,
            }
            Ok(())
        });
        keys
    }
}

/// One of `max`, `unbounded`, `list`, `item`.
fn bound_key(
    bounds: &mut Bounds,
    name: &str,
    key: &Ident,
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<()> {
    match name {
        "max" => {
            let value = assigned(input)?;
            set(&mut bounds.max, Keyed { key: key.clone(), value }, key, errors);
        }
        "unbounded" => set(&mut bounds.unbounded, key.clone(), key, errors),
        "list" => set(&mut bounds.list, key.clone(), key, errors),
        _ => {
            let content;
            parenthesized!(content in input);
            let mut inner = Bounds::default();
            let mut others = Vec::new();
            each_key(&content, |key, input| {
                let name = key.to_string();
                if BOUND_KEYS.contains(&name.as_str()) {
                    bound_key(&mut inner, &name, &key, input, errors)
                } else {
                    others.push(key);
                    skip_value(input)
                }
            })?;
            for key in others {
                errors.at(&key, format!("`item(…)` takes {}", list_of(BOUND_KEYS.iter().copied())));
            }
            set(&mut bounds.item, Keyed { key: key.clone(), value: Box::new(inner) }, key, errors);
        }
    }
    Ok(())
}

/// The keys of `#[rpc(…)]`.
#[derive(Default)]
pub(crate) struct RpcKeys {
    pub(crate) present: Option<Span>,
    pub(crate) program: Option<Keyed<Expr>>,
    pub(crate) version: Option<Keyed<Expr>>,
    pub(crate) procedure: Option<Keyed<Expr>>,
    pub(crate) reply: Option<Keyed<Type>>,
    pub(crate) service: Option<Keyed<Ident>>,
    pub(crate) since: Option<Keyed<Expr>>,
    pub(crate) until: Option<Keyed<Expr>>,
    pub(crate) auth: Option<Ident>,
    pub(crate) read_only: Option<Ident>,
    pub(crate) idempotent: Option<Ident>,
    pub(crate) oneway: Option<Ident>,
    pub(crate) krate: Option<Keyed<Path>>,
}

/// What an `#[rpc(…)]` stands on, and the keys that it takes there.
#[derive(Clone, Copy)]
pub(crate) enum RpcPlace {
    Message,
    Table,
    Variant,
}

impl RpcPlace {
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Message => &[
                "program",
                "version",
                "proc",
                "reply",
                "oneway",
                "since",
                "until",
                "auth",
                "read_only",
                "idempotent",
                "crate",
            ],
            Self::Table => &["program", "version", "service", "crate"],
            Self::Variant => &["proc", "reply", "oneway", "since", "until", "auth", "read_only", "idempotent"],
        }
    }
}

impl RpcKeys {
    pub(crate) fn read(attributes: &[Attribute], place: RpcPlace, errors: &mut Errors) -> Self {
        let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("rpc"));
        let present = attribute.map(|attribute| attribute.path().get_ident().map_or_else(Span::call_site, Ident::span));
        let mut keys = Self { present, ..Self::default() };
        for_each_key(attributes, "rpc", errors, |key, input, errors| {
            let name = key.to_string();
            if !place.keys().contains(&name.as_str()) {
                errors.at(&key, unknown_key("rpc", &name, place.keys().iter().copied()));
                return skip_value(input);
            }
            macro_rules! value {
                ($slot:ident) => {{
                    let value = assigned(input)?;
                    set(&mut keys.$slot, Keyed { key: key.clone(), value }, &key, errors);
                }};
            }
            match name.as_str() {
                "program" => value!(program),
                "version" => value!(version),
                "proc" => value!(procedure),
                "reply" => value!(reply),
                "service" => value!(service),
                "since" => value!(since),
                "until" => value!(until),
                "auth" => set(&mut keys.auth, key.clone(), &key, errors),
                "read_only" => set(&mut keys.read_only, key.clone(), &key, errors),
                "idempotent" => set(&mut keys.idempotent, key.clone(), &key, errors),
                "oneway" => set(&mut keys.oneway, key.clone(), &key, errors),
                _ => {
                    let value = assigned_path(input)?;
                    set(&mut keys.krate, Keyed { key: key.clone(), value }, &key, errors);
                }
            }
            Ok(())
        });
        if let (Some(_), Some(reply)) = (&keys.oneway, &keys.reply) {
            errors.at(&reply.key, "a `oneway` procedure has no reply: leave `reply` or `oneway` out");
        }
        keys
    }
}

/// The documentation comment, lines separated by `\n`.
pub(crate) fn docs(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let syn::Meta::NameValue(syn::MetaNameValue {
            value: Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }),
            ..
        }) = &attribute.meta
        {
            let line = line.value();
            lines.push(line.strip_prefix(' ').unwrap_or(&line).to_owned());
        }
    }
    lines.join("\n")
}

fn set<T>(slot: &mut Option<T>, value: T, key: &Ident, errors: &mut Errors) {
    if slot.replace(value).is_some() {
        errors.at(key, format!("`{key}` is given twice"));
    }
}

fn list_of<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn unknown_key<'a>(attribute: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("`#[{attribute}]` has no key `{name}`; here it takes {}", list_of(known))
}

/// Calls `key` for every key of the attributes called `name`. An error ends only its own attribute.
fn for_each_key(
    attributes: &[Attribute],
    name: &str,
    errors: &mut Errors,
    mut key: impl FnMut(Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        let list = match attribute.meta.require_list() {
            Ok(list) => list,
            Err(_) => {
                errors.at(attribute, format!("write `#[{name}(…)]`, with keys in parentheses"));
                continue;
            }
        };
        // Not `parse2`: what is missing at the end is missing before the closing parenthesis.
        let parsed =
            list.parse_args_with(|input: ParseStream<'_>| each_key(input, |ident, input| key(ident, input, errors)));
        if let Err(error) = parsed {
            errors.push(error);
        }
    }
}

fn each_key(input: ParseStream<'_>, mut key: impl FnMut(Ident, ParseStream<'_>) -> syn::Result<()>) -> syn::Result<()> {
    while !input.is_empty() {
        let ident = Ident::parse_any(input)?;
        key(ident, input)?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// Passes over the value of a key that was refused, so that the keys behind it are still read.
fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn assigned<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn assigned_path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

/// `= label` or `= [label, …]`.
fn labels(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Bracket) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    bracketed!(content in input);
    let labels = content.parse_terminated(Expr::parse, Token![,])?;
    if labels.is_empty() {
        return Err(content.error("a case needs at least one label"));
    }
    Ok(labels.into_iter().collect())
}

/// Whether any of `names` occurs in the tokens.
pub(crate) fn mentions(tokens: &TokenStream, names: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names(&ident),
        TokenTree::Group(group) => mentions(&group.stream(), names),
        _ => false,
    })
}

/// The path of a crate: the given one, or the absolute default.
pub(crate) fn crate_path(given: Option<&Keyed<Path>>, default: &str) -> TokenStream {
    match given {
        Some(path) => path.value.to_token_stream(),
        None => {
            let name = Ident::new(default, Span::call_site());
            quote::quote!(::#name)
        }
    }
}
