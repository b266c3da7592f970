//! What contradicts itself, or lacks what it needs, in the attributes of one field or one union.

use quote::ToTokens;
use syn::{Expr, Lit};

use crate::ast::{Arm, Field, Role};
use crate::attr::{Bounds, XdrKeys};
use crate::errors::Errors;

/// `refused`: a maximum is there, but could not be read.
pub(crate) fn check_bounds(bounds: &Bounds, refused: bool, errors: &mut Errors) {
    if let (Some(max), Some(unbounded)) = (&bounds.max, &bounds.unbounded) {
        errors.at(unbounded, format!("`unbounded` contradicts `{}`", max.key));
    }
    if let Some(list) = &bounds.list
        && bounds.max.is_none()
        && bounds.unbounded.is_none()
        && !refused
    {
        errors.at(list, "a list needs the greatest number of its nodes: `#[xdr(list, max = N)]`");
    }
    if let Some(item) = &bounds.item {
        if item.value.first().is_none() && !item.value.refused {
            errors.at(&item.key, "`item(…)` is empty: write the bounds of one element, `item(max = N)`");
        }
        check_bounds(&item.value, item.value.refused, errors);
    }
}

/// Literals that are given twice. Names are compared by the compiler, which knows their values.
pub(crate) fn check_labels(arms: &[Arm<'_>], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for label in arms.iter().flat_map(|arm| &arm.labels).filter(|label| is_literal(label)) {
        let text = label.to_token_stream().to_string();
        if seen.contains(&text) {
            errors.at(label, format!("label {text} is given twice"));
        }
        seen.push(text);
    }
}

fn is_literal(label: &Expr) -> bool {
    match label {
        Expr::Lit(lit) => matches!(lit.lit, Lit::Int(_) | Lit::Bool(_)),
        Expr::Unary(unary) => is_literal(&unary.expr),
        _ => false,
    }
}

pub(crate) fn check_tag(
    variant: &syn::Variant,
    keys: &XdrKeys,
    labels: &[Expr],
    fields: &[Field<'_>],
    errors: &mut Errors,
) {
    let mut tags = fields.iter().filter(|field| field.role == Role::Tag);
    let tag = tags.next();
    if let Some(second) = tags.next() {
        errors.at(second.ty, "an arm keeps its tag once");
    }
    if tag.is_none() && (labels.len() > 1 || keys.default.is_some()) {
        errors.at(
            &variant.ident,
            "an arm with several labels or `default` must keep which one it was: give it a field with `#[xdr(tag)]`",
        );
    }
}
