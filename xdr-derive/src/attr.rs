//! Attributes: `#[xdr(…)]` and `#[rpc(…)]` as typed keys that remember where they stand.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprPath, Fields, LitStr, Path, Token, Type, Variant, WherePredicate, parenthesized};

use crate::errors::Errors;
use crate::expression::{assigned_expression, assigned_function, labels};
use crate::key::{self, Form, assigned, assigned_path, check_form, rest_of_value, text_of};
use crate::suggest::{instead, meant};

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
    /// A key could not be read, which has been reported.
    pub(crate) refused: bool,
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
    pub(crate) validate: Option<Keyed<ExprPath>>,
    pub(crate) bound: Option<Keyed<Vec<WherePredicate>>>,
    pub(crate) krate: Option<Keyed<Path>>,
    /// What the keys that were refused seem to have meant.
    refused: Vec<&'static str>,
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

/// The keys, where each may stand, and how it is written.
const XDR_KEYS: &[(&str, &[Place], Form)] = &[
    ("max", &[Place::Field], Form::Value("N")),
    ("item", &[Place::Field], Form::Group("max = ", "N")),
    ("unbounded", &[Place::Field], Form::Alone),
    ("list", &[Place::Field], Form::Alone),
    ("skip", &[Place::Field], Form::Alone),
    ("recursive", &[Place::Field], Form::Alone),
    ("tag", &[Place::Field], Form::Alone),
    ("case", &[Place::Variant], Form::Value("1")),
    ("default", &[Place::Variant], Form::Alone),
    ("other", &[Place::Variant], Form::Alone),
    ("switch", &[Place::Item], Form::Type("u32")),
    ("transparent", &[Place::Item], Form::Alone),
    ("rename", &[Place::Item, Place::Field, Place::Variant], Form::Text("\"name\"")),
    ("with", &[Place::Field], Form::Path("module")),
    ("validate", &[Place::Item, Place::Field], Form::Function("function")),
    ("bound", &[Place::Item], Form::Group("", "T: Encode")),
    ("crate", &[Place::Item], Form::Path("path")),
];

const BOUND_KEYS: &[&str] = &["max", "item", "unbounded", "list"];

impl XdrKeys {
    pub(crate) fn read(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        Self::read_of(attributes, place, None, errors)
    }

    pub(crate) fn read_variant(variant: &Variant, errors: &mut Errors) -> Self {
        Self::read_of(&variant.attrs, Place::Variant, Some(variant), errors)
    }

    /// Whether one of these keys is missing only because it could not be read, which has been reported.
    pub(crate) fn refused(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.refused.contains(key))
    }

    fn read_of(attributes: &[Attribute], place: Place, variant: Option<&Variant>, errors: &mut Errors) -> Self {
        let mut keys = Self::default();
        key::for_each(attributes, "xdr", errors, |key, input, errors| {
            let name = key.unraw().to_string();
            let Some((name, places, form)) = XDR_KEYS.iter().find(|(known, ..)| *known == name).copied() else {
                let here = XDR_KEYS.iter().filter(|(_, at, _)| at.contains(&place)).map(|(key, ..)| *key);
                keys.refused.extend(meant(&name, here.clone()));
                errors.at(&key, unknown_key("xdr", &name, here));
                rest_of_value(input)?;
                return Ok(());
            };
            if !places.contains(&place) {
                let value = rest_of_value(input)?;
                let right: Vec<_> = places.iter().map(|place| place.name()).collect();
                let hint = belongs(name, &value, place, variant);
                errors.at(&key, format!("`{name}` belongs on {}, not on {}{hint}", right.join(" or "), place.name()));
                return Ok(());
            }
            let read = check_form(&key, form, input).and_then(|()| keys.value(name, &key, input, errors));
            if read.is_err() {
                keys.refused.push(name);
            }
            read
        });
        keys
    }

    /// Reads the value of the key `name`.
    fn value(&mut self, name: &str, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        match name {
            "skip" => set(&mut self.skip, key.clone(), key, errors),
            "recursive" => set(&mut self.recursive, key.clone(), key, errors),
            "tag" => set(&mut self.tag, key.clone(), key, errors),
            "default" => set(&mut self.default, key.clone(), key, errors),
            "other" => set(&mut self.other, key.clone(), key, errors),
            "transparent" => set(&mut self.transparent, key.clone(), key, errors),
            "case" => set_value(&mut self.case, labels(input)?, key, errors),
            "switch" => set_value(&mut self.switch, assigned(input)?, key, errors),
            "rename" => {
                let value = assigned(input)?;
                check_name(&value, errors);
                set_value(&mut self.rename, value, key, errors);
            }
            "with" => set_value(&mut self.with, assigned_path(input)?, key, errors),
            "validate" => set_value(&mut self.validate, assigned_function(input)?, key, errors),
            "bound" => {
                let content;
                parenthesized!(content in input);
                let value = content.parse_terminated(WherePredicate::parse, Token![,])?.into_iter().collect();
                set_value(&mut self.bound, value, key, errors);
            }
            "crate" => set_value(&mut self.krate, assigned_path(input)?, key, errors),
            _ => self.bounds.value(name, key, input, errors)?,
        }
        Ok(())
    }
}

impl Bounds {
    /// Reads the value of `max`, `unbounded`, `list` or `item`.
    fn value(&mut self, name: &str, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        match name {
            "max" => {
                let value = assigned_expression(input)?;
                check_max(&value, errors);
                set_value(&mut self.max, value, key, errors);
            }
            "unbounded" => set(&mut self.unbounded, key.clone(), key, errors),
            "list" => set(&mut self.list, key.clone(), key, errors),
            _ => {
                let mut inner = Self::default();
                key::each_inside(input, errors, |key, input, errors| {
                    let name = key.to_string();
                    let known = XDR_KEYS.iter().filter(|(known, ..)| BOUND_KEYS.contains(known));
                    match known.clone().find(|(known, ..)| *known == name) {
                        Some((name, _, form)) => {
                            let read =
                                check_form(&key, *form, input).and_then(|()| inner.value(name, &key, input, errors));
                            inner.refused |= read.is_err();
                            read
                        }
                        None => {
                            inner.refused = true;
                            errors.at(&key, format!("`item(…)` takes {}", list_of(BOUND_KEYS.iter().copied())));
                            rest_of_value(input).map(|_| ())
                        }
                    }
                })?;
                set_value(&mut self.item, Box::new(inner), key, errors);
            }
        }
        Ok(())
    }
}

/// What can be said of a maximum without knowing constants.
fn check_max(max: &Expr, errors: &mut Errors) {
    match max {
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => {
            errors.at(max, "a maximum is not negative: write `max = N`, or `unbounded` where there is none");
        }
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. })
            if number.base10_parse::<u128>().is_ok_and(|number| number > u128::from(u32::MAX)) =>
        {
            errors
                .at(max, "a length in XDR has 32 bits, so the greatest maximum is 4294967295, which `unbounded` means");
        }
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) if !matches!(number.suffix(), "" | "usize") => {
            errors.at(max, format!("a maximum is a `usize`: write `max = {}`", number.base10_digits()));
        }
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Float(_), .. }) => errors.at(max, "a maximum is a whole number"),
        _ => {}
    }
}

/// An empty name would be none, and others are none in a `.x` file.
fn check_name(name: &LitStr, errors: &mut Errors) {
    let text = name.value();
    let is_name = text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        errors.at(name, "a name in XDR is letters, digits and `_`, and begins with a letter (RFC 4506 §6.2)");
    }
}

/// What to write where a key of `#[xdr(…)]` belongs elsewhere.
fn belongs(name: &str, value: &TokenStream, place: Place, variant: Option<&Variant>) -> String {
    let written = format!("#[xdr({name}{value})]", value = spaced(value));
    match (name, place) {
        ("default", Place::Field) => {
            "; a field that is not on the wire is `skip`, and `Default` when it is decoded".to_owned()
        }
        ("case" | "other", _) => format!(": write `{written}` above a variant of an enum"),
        ("default", _) => ": write it above the variant for all other labels".to_owned(),
        ("tag", Place::Item) => "; what a union switches on is `switch = u32`".to_owned(),
        ("with", Place::Item) => "; write it above the fields of this type".to_owned(),
        (_, Place::Variant)
            if XDR_KEYS.iter().any(|(key, places, _)| *key == name && places.contains(&Place::Field)) =>
        {
            match variant.map(|variant| (&variant.ident, &variant.fields, variant.fields.iter().next())) {
                Some((ident, fields, Some(field))) if fields.len() == 1 => {
                    let ty = text_of(&field.ty.to_token_stream());
                    match &field.ident {
                        None => format!(": write `{ident}({written} {ty})`"),
                        Some(name) => format!(": write `{ident} {{ {written} {name}: {ty} }}`"),
                    }
                }
                Some((_, Fields::Unit, _)) | None => String::new(),
                Some(_) => format!(": write `{written}` before the field inside the variant"),
            }
        }
        _ => String::new(),
    }
}

/// A value as it stands behind its key.
fn spaced(value: &TokenStream) -> String {
    let text = value.to_string();
    if text.starts_with('=') { format!(" {text}") } else { text }
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
    pub(crate) time_limit: Option<Keyed<Expr>>,
    pub(crate) auth: Option<Ident>,
    pub(crate) read_only: Option<Ident>,
    pub(crate) idempotent: Option<Ident>,
    pub(crate) oneway: Option<Ident>,
    pub(crate) krate: Option<Keyed<Path>>,
    /// What the keys that were refused seem to have meant.
    refused: Vec<&'static str>,
}

/// What an `#[rpc(…)]` stands on, and the keys that it takes there.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum RpcPlace {
    Message,
    Table,
    Variant,
}

impl RpcPlace {
    const fn name(self) -> &'static str {
        match self {
            Self::Message => "a message",
            Self::Table => "a table",
            Self::Variant => "a line of a table",
        }
    }
}

const CALLED: &[RpcPlace] = &[RpcPlace::Message, RpcPlace::Variant];

/// The keys, where each may stand, and how it is written.
const RPC_KEYS: &[(&str, &[RpcPlace], Form)] = &[
    ("program", &[RpcPlace::Message, RpcPlace::Table], Form::Value("N")),
    ("version", &[RpcPlace::Message, RpcPlace::Table], Form::Value("1")),
    ("service", &[RpcPlace::Table], Form::Value("TraitName")),
    ("proc", CALLED, Form::Value("N")),
    ("reply", CALLED, Form::Type("Type")),
    ("since", CALLED, Form::Value("1")),
    ("until", CALLED, Form::Value("1")),
    ("time_limit", CALLED, Form::Value("Duration::from_secs(60)")),
    ("auth", CALLED, Form::Alone),
    ("read_only", CALLED, Form::Alone),
    ("idempotent", CALLED, Form::Alone),
    ("oneway", CALLED, Form::Alone),
    ("crate", &[RpcPlace::Message, RpcPlace::Table], Form::Path("path")),
];

impl RpcKeys {
    pub(crate) fn read(attributes: &[Attribute], place: RpcPlace, errors: &mut Errors) -> Self {
        let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("rpc"));
        let present = attribute.map(|attribute| attribute.path().get_ident().map_or_else(Span::call_site, Ident::span));
        let mut keys = Self { present, ..Self::default() };
        key::for_each(attributes, "rpc", errors, |key, input, errors| {
            let name = key.unraw().to_string();
            let Some((name, places, form)) = RPC_KEYS.iter().find(|(known, ..)| *known == name).copied() else {
                let here = RPC_KEYS.iter().filter(|(_, at, _)| at.contains(&place)).map(|(key, ..)| *key);
                keys.refused.extend(meant(&name, here.clone()));
                errors.at(&key, unknown_key("rpc", &name, here));
                rest_of_value(input)?;
                return Ok(());
            };
            if !places.contains(&place) {
                let right: Vec<_> = places.iter().map(|place| place.name()).collect();
                errors.at(&key, format!("`{name}` belongs on {}, not on {}", right.join(" or "), place.name()));
                rest_of_value(input)?;
                return Ok(());
            }
            let read = check_form(&key, form, input).and_then(|()| keys.value(name, &key, input, errors));
            if read.is_err() {
                keys.refused.push(name);
            }
            read
        });
        if let (Some(_), Some(reply)) = (&keys.oneway, &keys.reply) {
            errors.at(&reply.key, "a `oneway` procedure has no reply: leave `reply` or `oneway` out");
        }
        keys
    }

    /// Whether this key is missing only because it could not be read, which has been reported.
    pub(crate) fn refused(&self, key: &str) -> bool {
        self.refused.contains(&key)
    }

    /// Reads the value of the key `name`.
    fn value(&mut self, name: &str, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        match name {
            "program" => set_value(&mut self.program, assigned_expression(input)?, key, errors),
            "version" => set_value(&mut self.version, assigned_expression(input)?, key, errors),
            "proc" => set_value(&mut self.procedure, assigned_expression(input)?, key, errors),
            "reply" => set_value(&mut self.reply, assigned(input)?, key, errors),
            "service" => set_value(&mut self.service, assigned(input)?, key, errors),
            "since" => set_value(&mut self.since, assigned_expression(input)?, key, errors),
            "until" => set_value(&mut self.until, assigned_expression(input)?, key, errors),
            "time_limit" => set_value(&mut self.time_limit, assigned_expression(input)?, key, errors),
            "auth" => set(&mut self.auth, key.clone(), key, errors),
            "read_only" => set(&mut self.read_only, key.clone(), key, errors),
            "idempotent" => set(&mut self.idempotent, key.clone(), key, errors),
            "oneway" => set(&mut self.oneway, key.clone(), key, errors),
            _ => set_value(&mut self.krate, assigned_path(input)?, key, errors),
        }
        Ok(())
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

fn set_value<T>(slot: &mut Option<Keyed<T>>, value: T, key: &Ident, errors: &mut Errors) {
    set(slot, Keyed { key: key.clone(), value }, key, errors);
}

fn list_of<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn unknown_key(attribute: &str, name: &str, here: impl Iterator<Item = &'static str> + Clone) -> String {
    let unknown = format!("`#[{attribute}]` has no key `{name}`");
    match (instead(name), meant(name, here.clone())) {
        (Some(instead), _) => format!("{unknown}: {instead}"),
        (None, Some(meant)) => format!("{unknown}: did you mean `{meant}`?"),
        (None, None) => format!("{unknown}; here it takes {}", list_of(here)),
    }
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
