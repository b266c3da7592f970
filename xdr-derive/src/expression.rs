//! Values that are expressions: maxima, labels, numbers.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Expr, ExprPath, Token, bracketed, token};

use crate::key::rest_of_value;

/// `= is_small::<4>`
pub(crate) fn assigned_function(input: ParseStream<'_>) -> syn::Result<ExprPath> {
    input.parse::<Token![=]>()?;
    match fragment(input.parse()?) {
        Expr::Path(path) => Ok(path),
        other => Err(syn::Error::new_spanned(other, "not the path of a function")),
    }
}

/// What a macro was given as `$path:path` or `$label:expr`, without the delimiters that cannot be seen.
pub(crate) fn fragment(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => fragment(*group.expr),
        other => other,
    }
}

/// `= N`
pub(crate) fn assigned_expression(input: ParseStream<'_>) -> syn::Result<Expr> {
    input.parse::<Token![=]>()?;
    expression(input)
}

/// An expression up to the next comma. What it is matters to the compiler alone, so that it need not be one of those
/// that are known here.
fn expression(input: ParseStream<'_>) -> syn::Result<Expr> {
    match input.fork().parse::<Expr>() {
        Err(error) if error.to_string().starts_with("unsupported expression") => {
            rest_of_value(input).map(Expr::Verbatim).map(in_parentheses)
        }
        _ => input.parse().map(in_parentheses),
    }
}

/// Gives what a macro was given as `$n:expr` parentheses, wherever it stands: the compiler does not see the delimiters that
/// it has, and would take `$n * 2` for `1 + 1 * 2` (rust-lang/rust#67062).
pub(crate) fn in_parentheses(expression: Expr) -> Expr {
    match fragment(expression) {
        expression @ (Expr::Lit(_) | Expr::Path(_)) => expression,
        expression => {
            let tokens = operands(expression.to_token_stream());
            syn::parse2(tokens.clone()).unwrap_or(Expr::Verbatim(tokens))
        }
    }
}

fn operands(tokens: TokenStream) -> TokenStream {
    let operand = |token| {
        let TokenTree::Group(group) = token else { return token };
        let delimiter = match group.delimiter() {
            Delimiter::None if is_operation(group.stream()) => Delimiter::Parenthesis,
            delimiter => delimiter,
        };
        let mut operand = Group::new(delimiter, operands(group.stream()));
        operand.set_span(group.span());
        operand.into()
    };
    tokens.into_iter().map(operand).collect()
}

/// Whether it is an operator with its operands. Types and what binds closer than any operator are not.
fn is_operation(tokens: TokenStream) -> bool {
    let read = syn::parse2(tokens).map(fragment);
    matches!(read, Ok(Expr::Binary(_) | Expr::Unary(_) | Expr::Cast(_)))
}

/// `= label` or `= [label, …]`.
pub(crate) fn labels(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    input.parse::<Token![=]>()?;
    if !input.peek(token::Bracket) {
        return Ok(vec![label(input)?]);
    }
    let content;
    let bracket = bracketed!(content in input);
    let labels = content.parse_terminated(label, Token![,]);
    // What is left behind a mistake would be another one.
    content.parse::<TokenStream>()?;
    let labels: Vec<_> = labels?.into_iter().collect();
    if labels.is_empty() {
        return Err(syn::Error::new(bracket.span.join(), "a case needs at least one label: `case = [1, 2]`"));
    }
    Ok(labels)
}

/// One label, and no pattern: `1 | 2` would be the number 3.
fn label(input: ParseStream<'_>) -> syn::Result<Expr> {
    // Ranges and `_` are expressions or not, by the features that others have switched on in `syn`.
    let (ahead, whole) = (input.fork(), rest_of_value(&input.fork())?);
    let range = || syn::Error::new_spanned(&whole, "a range is no label: write each, `case = [1, 2]`");
    if input.peek(Token![_]) {
        return Err(syn::Error::new_spanned(&whole, "the arm of all other labels is `#[xdr(default)]`"));
    }
    if input.peek(Token![..]) || ahead.parse::<Expr>().is_ok() && ahead.peek(Token![..]) {
        return Err(range());
    }
    match fragment(expression(input)?) {
        label @ Expr::Binary(syn::ExprBinary { op: syn::BinOp::BitOr(_), .. }) => {
            let operands = or_operands(&label);
            let instead = format!(
                "several labels are a list: write `case = [{}]`; for the bits of all, `({})`",
                operands.join(", "),
                operands.join(" | ")
            );
            Err(syn::Error::new_spanned(&label, instead))
        }
        Expr::Range(_) => Err(range()),
        label => Ok(label),
    }
}

fn or_operands(label: &Expr) -> Vec<String> {
    match label {
        Expr::Binary(binary) if matches!(binary.op, syn::BinOp::BitOr(_)) => {
            let mut operands = or_operands(&binary.left);
            operands.push(binary.right.to_token_stream().to_string());
            operands
        }
        _ => vec![label.to_token_stream().to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse::Parser;

    fn labels_of(text: &str) -> Result<Vec<String>, String> {
        let labels = labels.parse_str(text).map_err(|error| error.to_string())?;
        Ok(labels.into_iter().map(|label| label.to_token_stream().to_string()).collect())
    }

    #[test]
    fn a_label_is_an_expression_and_no_pattern_whatever_syn_knows() {
        assert_eq!(labels_of("= [1, KIND, { let n = 1 ; n }, if a { 1 } else { 2 }]").map(|all| all.len()), Ok(4));
        assert_eq!(labels_of("= -1").unwrap(), ["- 1"]);
        assert!(labels_of("= [1, 2].len()").is_err());
        for range in ["1..2", "1..=2", "..=2", "1..", "[1, 2..=4]", "['a'..='b', 1]"] {
            let error = labels_of(&format!("= {range}")).unwrap_err();
            assert_eq!(error, "a range is no label: write each, `case = [1, 2]`", "{range}");
        }
        for all in ["_", "[1, _]"] {
            let error = labels_of(&format!("= {all}")).unwrap_err();
            assert_eq!(error, "the arm of all other labels is `#[xdr(default)]`", "{all}");
        }
        let error = labels_of("= 1 | 2 | 4").unwrap_err();
        assert_eq!(error, "several labels are a list: write `case = [1, 2, 4]`; for the bits of all, `(1 | 2 | 4)`");
    }
}
