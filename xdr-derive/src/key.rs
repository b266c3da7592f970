//! How a key is written: alone, with a value, or with keys of its own. Where it is written otherwise, what to write.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, LitInt, LitStr, Path, Token, Type, parenthesized, token};

use crate::errors::Errors;
use crate::expression::fragment;

/// How a key is written.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// `skip`
    Alone,
    /// `max = N`; what stands for the value in messages.
    Value(&'static str),
    /// `with = module`: the path of a function, a module or a crate.
    Path(&'static str),
    /// `validate = function`: the path of a function, with its arguments where it is generic.
    Function(&'static str),
    /// `switch = u32`
    Type(&'static str),
    /// `rename = "name"`
    Text(&'static str),
    /// `item(max = N)`; what stands in the parentheses, before the value that was given.
    Group(&'static str, &'static str),
}

/// Calls `key` for every key of the attributes called `name`. A mistake ends only its own key.
pub(crate) fn for_each(
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
        let parsed = list.parse_args_with(|input: ParseStream<'_>| each(input, errors, &mut key));
        if let Err(error) = parsed {
            errors.push(error);
        }
    }
}

/// Calls `key` for every key up to the end of the input.
pub(crate) fn each(
    input: ParseStream<'_>,
    errors: &mut Errors,
    mut key: impl FnMut(Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut behind_case = false;
    while !input.is_empty() {
        if behind_case && is_label(input) {
            errors.push(input.error("several labels are a list: write `case = [A, B]`"));
            while is_label(input) {
                rest_of_value(input)?;
                let _: Option<Token![,]> = input.parse()?;
            }
            continue;
        }
        let read = match input.call(Ident::parse_any) {
            Ok(ident) => {
                behind_case = ident == "case";
                key(ident, input, errors)
            }
            Err(_) => Err(no_key(input)),
        };
        match read {
            Err(error) => {
                errors.push(error);
                rest_of_value(input)?;
            }
            Ok(()) if !input.is_empty() && !input.peek(Token![,]) => {
                errors.push(input.error("expected `,`: keys are separated by commas"));
                rest_of_value(input)?;
            }
            Ok(()) => {}
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// Whether a label stands here, and no key: `2`, `-1`, `Kind::Second`.
fn is_label(input: ParseStream<'_>) -> bool {
    input.peek(LitInt) || input.peek(Token![-]) || (input.peek(syn::Ident::peek_any) && input.peek2(Token![::]))
}

fn no_key(input: ParseStream<'_>) -> syn::Error {
    match input.fork().parse::<LitStr>() {
        Ok(text) => syn::Error::new(text.span(), format!("write the key `{}` without quotes", text.value())),
        Err(_) => input.error("a key is a name, such as `max`"),
    }
}

/// Takes a key's value off, as far as the next key.
pub(crate) fn rest_of_value(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut rest = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        rest.extend([input.parse::<TokenTree>()?]);
    }
    Ok(rest)
}

/// Whether the key is followed by what its form wants.
pub(crate) fn check_form(key: &Ident, form: Form, input: ParseStream<'_>) -> syn::Result<()> {
    let name = key.unraw();
    if input.peek(Token![=]) {
        let ahead = input.fork();
        ahead.parse::<Token![=]>()?;
        let empty = ahead.is_empty() || ahead.peek(Token![,]);
        let text = ahead.parse::<LitStr>().ok().filter(|_| ahead.is_empty() || ahead.peek(Token![,]));
        let wanted = match (form, text) {
            (
                Form::Value(example)
                | Form::Path(example)
                | Form::Function(example)
                | Form::Type(example)
                | Form::Text(example),
                _,
            ) if empty => {
                format!("`{name}` needs a value: write `{name} = {example}`")
            }
            (Form::Value(_) | Form::Path(_) | Form::Function(_) | Form::Type(_), Some(text)) => {
                format!("write `{name} = {}`, without quotes", text.value())
            }
            (Form::Value(_), None) | (Form::Text(_), Some(_)) => return Ok(()),
            (Form::Path(example) | Form::Function(example), None) => match no_path(form, input)? {
                None => return Ok(()),
                Some(NoPath::Call(path)) => format!("`{name}` takes a path, and no call: write `{name} = {path}`"),
                Some(NoPath::Argument(path)) => {
                    format!("arguments of a function follow `::`: write `{name} = {path}::<…>`")
                }
                Some(NoPath::Other) => format!("`{name}` takes a path: write `{name} = {example}`"),
            },
            (Form::Type(example), None) => match ahead.parse::<Type>() {
                Ok(_) => return Ok(()),
                Err(_) => format!("`{name}` takes a type: write `{name} = {example}`"),
            },
            (Form::Text(_), None) => {
                let value = value_behind_sign(input)?;
                return Err(wrong(key, &value, format!("write `{name} = \"{value}\"`, in quotes")));
            }
            (Form::Alone, _) => {
                let value = value_behind_sign(input)?;
                let instead = if value.to_string() == "false" { "leave it out" } else { "write it alone" };
                return Err(wrong(key, &value, format!("`{name}` takes no value: {instead}")));
            }
            (Form::Group(before, example), text) => {
                let value = value_behind_sign(input)?;
                let given = text.map_or_else(|| value.to_string(), |text| text.value());
                let inside = if empty { format!("{before}{example}") } else { format!("{before}{given}") };
                return Err(wrong(key, &value, format!("write `{name}({inside})`")));
            }
        };
        let value = value_behind_sign(input)?;
        return Err(wrong(key, &value, wanted));
    }
    if input.peek(token::Paren) {
        if matches!(form, Form::Group(..)) {
            return Ok(());
        }
        let group = rest_of_value(input)?;
        let inside = inside(&group, form);
        let wanted = match (form, inside.is_empty()) {
            (Form::Alone, _) => format!("`{name}` takes no value: write it alone"),
            (
                Form::Value(example)
                | Form::Path(example)
                | Form::Function(example)
                | Form::Type(example)
                | Form::Text(example),
                true,
            ) => {
                format!("`{name}` needs a value: write `{name} = {example}`")
            }
            _ if name == "case" && inside.contains(',') => format!("write `case = [{inside}]`"),
            _ => format!("write `{name} = {inside}`"),
        };
        return Err(wrong(key, &group, wanted));
    }
    match form {
        Form::Alone => Ok(()),
        Form::Value(example)
        | Form::Path(example)
        | Form::Function(example)
        | Form::Type(example)
        | Form::Text(example) => {
            let rest = rest_of_value(input)?;
            let wanted = match rest.is_empty() {
                true => format!("`{name}` needs a value: write `{name} = {example}`"),
                false => format!("write `{name} = {}`", text_of(&rest)),
            };
            Err(wrong(key, &rest, wanted))
        }
        Form::Group(before, example) => {
            Err(wrong(key, &TokenStream::new(), format!("`{name}` needs a value: write `{name}({before}{example})`")))
        }
    }
}

/// What stands where a path belongs.
enum NoPath {
    /// `is_even()`, and the path in it.
    Call(String),
    /// Arguments without `::` before them, and the path before these.
    Argument(String),
    /// A closure, a reference, a block, arguments of what has none.
    Other,
}

fn no_path(form: Form, input: ParseStream<'_>) -> syn::Result<Option<NoPath>> {
    let ahead = input.fork();
    ahead.parse::<Token![=]>()?;
    if let Form::Function(_) = form {
        let path = ahead.fork();
        if let Ok(name) = path.call(Path::parse_mod_style)
            && path.peek(Token![<])
        {
            return Ok(Some(NoPath::Argument(text_of(&name.to_token_stream()))));
        }
        return Ok(match ahead.parse().map(fragment) {
            Ok(Expr::Path(_)) => None,
            Ok(Expr::Call(call)) => Some(NoPath::Call(text_of(&call.func.to_token_stream()))),
            _ => Some(NoPath::Other),
        });
    }
    Ok(match ahead.call(Path::parse_mod_style) {
        Ok(path) if ahead.peek(token::Paren) => Some(NoPath::Call(text_of(&path.to_token_stream()))),
        // What follows without a comma is another mistake.
        Ok(_) => None,
        Err(_) => Some(NoPath::Other),
    })
}

fn value_behind_sign(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    input.parse::<Token![=]>()?;
    rest_of_value(input)
}

/// What is in the parentheses; the path or number itself where it is in quotes there.
fn inside(group: &TokenStream, form: Form) -> String {
    match (group.clone().into_iter().next(), form) {
        (Some(TokenTree::Group(group)), Form::Value(_) | Form::Path(_) | Form::Function(_) | Form::Type(_)) => {
            syn::parse2::<LitStr>(group.stream()).map_or_else(|_| text_of(&group.stream()), |text| text.value())
        }
        (Some(TokenTree::Group(group)), _) => group.stream().to_string(),
        _ => String::new(),
    }
}

/// Tokens as they are usually written.
pub(crate) fn text_of(tokens: &TokenStream) -> String {
    let text = tokens.to_string();
    text.replace(" :: ", "::").replace(" < ", "<").replace("< ", "<").replace(" >", ">").replace("& ", "&")
}

/// An error from the key to the end of its value.
fn wrong(key: &Ident, value: &TokenStream, message: String) -> syn::Error {
    let mut place = key.to_token_stream();
    place.extend(value.clone());
    syn::Error::new_spanned(place, message)
}

pub(crate) fn assigned<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

pub(crate) fn assigned_path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    input.call(Path::parse_mod_style)
}

/// The keys in the parentheses of `item(…)`.
pub(crate) fn each_inside(
    input: ParseStream<'_>,
    errors: &mut Errors,
    key: impl FnMut(Ident, ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) -> syn::Result<()> {
    let content;
    parenthesized!(content in input);
    each(&content, errors, key)
}
