//! Unions: the discriminant is the front, the arm the tail.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::{Context, DecodeParts, Direction, EncodeParts, Side, reported_at, respanned};
use crate::ast::{Arm, Field, Role, Switch, Union};

/// The labels as constants, so that a misspelt name is an error and not a pattern that matches everything.
struct Labels {
    consts: TokenStream,
    /// The names of each arm's labels.
    of_arm: Vec<Vec<Ident>>,
}

impl Labels {
    /// ```text
    /// const LABEL0: i32 = 1;
    /// const LABEL1: i32 = KIND_NONE;
    /// ```
    fn new(context: &Context<'_>, union: &Union) -> Self {
        let p = &context.private;
        let (ty, word) = (union.switch.ty(p), union.switch.word(p));
        let mut consts = TokenStream::new();
        let mut of_arm = Vec::new();
        let mut all = Vec::new();
        for arm in &union.arms {
            let mut names = Vec::new();
            for label in &arm.labels {
                let name = format_ident!("__LABEL{}", all.len());
                let value = match union.switch {
                    Switch::Int | Switch::UnsignedInt => quote!(#label),
                    Switch::Bool | Switch::Enum(_) => {
                        quote_spanned!(label.span()=> { const __LABEL: #ty = #label; __LABEL as #word })
                    }
                };
                consts.extend(quote!(const #name: #word = #value;));
                all.push(name.clone());
                names.push(name);
            }
            of_arm.push(names);
        }
        Self { consts, of_arm }
    }

    /// The labels of all arms but this one.
    fn of_others(&self, index: usize) -> Vec<&Ident> {
        self.of_arm.iter().enumerate().filter(|(other, _)| *other != index).flat_map(|(_, names)| names).collect()
    }
}

/// ```text
/// type SwitchedOn = Kind;
/// const CLOSED: bool = { assert!(!<SwitchedOn as Encode>::LABELS.are_open(), "…"); assert!(…); true };
/// type Switch = <Known<CLOSED> as Is<SwitchedOn>>::Type;
/// ```
/// `Switch` is `Kind`. If that is no type to switch on, this is reported here and nowhere else.
pub(crate) fn switch(context: &Context<'_>, union: &Union<'_>) -> Option<TokenStream> {
    let Switch::Enum(ty) = &union.switch else { return None };
    let (krate, span) = (context.krate, ty.span());
    let p = respanned(&context.private, span);
    let (name, checked) = (Ident::new("__SwitchedOn", reported_at(span)), Ident::new("__CLOSED", reported_at(span)));
    let codec = match context.direction {
        Direction::Decode => quote_spanned!(span=> <#ty as #krate::Decode<'static>>),
        Direction::Encode | Direction::Both => quote_spanned!(span=> <#ty as #krate::Encode>),
    };
    let text = unformatted(&ty.to_token_stream().to_string());
    let open = format!(
        "a union cannot switch on `{text}`, which keeps unknown values in `other`: write `switch = i32` and numbers as labels"
    );
    let refused = format!(
        "a union cannot switch on `{text}`, which has a `validate`: leave it out there, and its refused values out of the \
         labels here"
    );
    let other = format!("a union cannot switch on `{text}`: write `i32`, `u32`, `bool` or an enum");
    let check = quote_spanned! {span=>
        const #checked: #p::bool = {
            #p::assert!(!#codec::LABELS.are_open(), #open);
            #p::assert!(!#codec::LABELS.are_checked(), #refused);
            #p::assert!(#codec::LABELS.are_there(), #other);
            true
        };
    };
    let p = &context.private;
    Some(quote! {
        type #name = #ty;
        #check
        type __Switch = <#p::Known<#checked> as #p::Is<#name>>::Type;
    })
}

/// A text as a format string.
fn unformatted(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Labels that are the same under two names, which the compiler sees only when it knows the constants.
///
/// ```text
/// const LABEL0: i32 = 1;
/// const LABEL1: i32 = KIND_NONE;
/// const LABELS: &[i64] = &[LABEL0 as i64, LABEL1 as i64];
/// const _: () = assert!(!repeats(LABELS, 1), "label `KIND_NONE` is the same as another of this union");
/// ```
pub(crate) fn checks(context: &Context<'_>, union: &Union) -> TokenStream {
    let p = &context.private;
    let Labels { consts, of_arm } = Labels::new(context, union);
    let names: Vec<_> = of_arm.iter().flatten().collect();
    let labels = union.arms.iter().flat_map(|arm| &arm.labels);
    let checks = labels.enumerate().map(|(index, label)| {
        let message = unformatted(&format!("label `{}` is the same as another of this union", label.to_token_stream()));
        let differs = quote!(!#p::repeats(__LABELS, #index));
        let p = respanned(p, label.span());
        quote_spanned!(label.span()=> const _: () = #p::assert!(#differs, #message);)
    });
    quote!(const _: () = { #consts const __LABELS: &[#p::i64] = &[#(#names as #p::i64),*]; #(#checks)* };)
}

/// `Self::Flag { tag: field0, bits: field1 }`, and the names that are bound.
fn pattern(arm: &Arm<'_>) -> (TokenStream, Vec<Ident>) {
    let ident = arm.ident;
    let binding = |(index, field): (usize, &Field<'_>)| format_ident!("__field{index}", span = reported_at(field.span));
    let bindings: Vec<_> = arm.fields.iter().enumerate().map(binding).collect();
    let members = arm.fields.iter().map(|field| &field.member);
    let pattern = if arm.fields.is_empty() {
        quote!(Self::#ident { .. })
    } else {
        quote!(Self::#ident { #(#members: #bindings),* })
    };
    (pattern, bindings)
}

/// ```text
/// head: const LABEL0: … ;
///       <i32 as Encode>::head(&match self {
///           Self::Int { .. } => LABEL0,
///           Self::Flag { tag: field0, .. } => match *field0 {
///               LABEL1 | LABEL2 => *field0,
///               _ => return Err(EncodeFault::tag_of_another_arm(*field0)),
///           },
///       }, out)
/// tail: match self { Self::Int { 0: field0 } => <i32 as Encode>::encode_whole(field0, writer)?, … } Ok(())
/// ```
pub(crate) fn encode(context: &mut Context<'_>, union: &Union) -> EncodeParts {
    let (krate, p) = (context.krate, context.private.clone());
    let labels = Labels::new(context, union);
    let mut heads = TokenStream::new();
    let mut tails = TokenStream::new();
    let mut lens = TokenStream::new();
    for (index, arm) in union.arms.iter().enumerate() {
        let (pattern, bindings) = pattern(arm);
        let tag = arm.fields.iter().zip(&bindings).find(|(field, _)| field.role == Role::Tag);
        let word = match (tag, labels.of_arm[index].as_slice()) {
            (None, [label, ..]) => quote!(#label),
            // Refused before: an arm without a label keeps its tag.
            (None, []) => quote!(0),
            (Some((field, binding)), own) => {
                let tag = union.switch.to_word(&p, quote!(__kept));
                let (kept_as, ty) = (field.ty, union.switch.ty(&p));
                // A tag of another type is an error here, at the field, and the same error when decoding.
                let kept = quote_spanned! {reported_at(field.span)=>
                    let __kept = <#kept_as as #p::Tag<#ty>>::discriminant(#binding);
                };
                let others = labels.of_others(index);
                let wrong = quote!(return #p::Err(#krate::EncodeFault::tag_of_another_arm(__tag as #p::u32)));
                let word = match (own.is_empty(), others.is_empty()) {
                    (false, _) => quote!(match #tag { __tag @ (#(#own)|*) => __tag, __tag => #wrong }),
                    (true, false) => quote!(match #tag { __tag @ (#(#others)|*) => #wrong, __tag => __tag }),
                    (true, true) => quote!(#tag),
                };
                quote!({ #kept #word })
            }
        };
        let used = tag.map(|(field, binding)| {
            let member = &field.member;
            quote!(#member: #binding,)
        });
        let ident = arm.ident;
        heads.extend(quote!(Self::#ident { #used .. } => #word,));
        let on_wire: Vec<_> = arm.fields.iter().zip(&bindings).filter(|(field, _)| field.on_wire()).collect();
        let codecs: Vec<_> = on_wire.iter().map(|(field, _)| context.codec(field, Side::Encode)).collect();
        let values: Vec<_> = on_wire.iter().map(|(field, binding)| context.written(field, quote!(#binding))).collect();
        let checks: Vec<_> = on_wire
            .iter()
            .map(|(field, binding)| context.check_before(field.validate.as_ref(), quote!(#binding)))
            .collect();
        let unused = arm.fields.iter().zip(&bindings).filter(|(field, _)| !field.on_wire()).map(|(_, binding)| binding);
        let unused: TokenStream = unused.map(|binding| quote!(let _ = #binding;)).collect();
        let written = on_wire.iter().zip(codecs.iter().zip(&values)).map(|((field, _), (codec, value))| {
            let written = quote!(#codec::encode_whole(#value, __writer));
            context.under(field.with.as_ref(), field.validate.as_ref(), written)
        });
        tails.extend(quote!(#pattern => { #unused #(#checks #written?;)* }));
        lens.extend(quote!(#pattern => { #unused (0 as #p::usize) #(.saturating_add(#codecs::len_of(#values)))* }));
    }
    let (consts, word) = (&labels.consts, union.switch.word(&p));
    EncodeParts {
        visit: TokenStream::new(),
        consts: Some((quote!(#krate::Wire::word_and_tail()), max(context, union, Side::Encode))),
        head: Some(quote!(#consts <#word as #krate::Encode>::head(&match self { #heads }, __out))),
        tail: Some((quote!(let _ = &__writer; match self { #tails } #p::Ok(())), quote!(match self { #lens }))),
    }
}

fn max(context: &mut Context<'_>, union: &Union, side: Side) -> TokenStream {
    let krate = context.krate;
    let arms: Vec<_> = union
        .arms
        .iter()
        .map(|arm| {
            let fields: Vec<_> = arm.fields.iter().filter(|field| field.on_wire()).collect();
            context.max_of(&fields, side)
        })
        .collect();
    quote!(#krate::max_of_arms(&[#(#arms),*]))
}

/// ```text
/// let tag = <i32 as Decode>::decode(reader, run, 0)?;
/// match tag {
///     LABEL0 => Ok(Self::Int { 0: <i32 as Decode>::decode_whole(reader)? }),
///     LABEL1 | LABEL2 => Ok(Self::Flag { tag, bits: <i32 as Decode>::decode_whole(reader)? }),
///     _ => Err(reader.unknown_discriminant(run)),
/// }
/// ```
pub(crate) fn decode(context: &mut Context<'_>, union: &Union) -> DecodeParts {
    let (krate, p, de) = (context.krate, context.private.clone(), context.de.clone());
    let labels = Labels::new(context, union);
    let mut arms = TokenStream::new();
    let mut fallback = quote!(_ => #p::Err(__reader.unknown_discriminant(__run)),);
    for (index, arm) in union.arms.iter().enumerate() {
        let values: Vec<_> = arm
            .fields
            .iter()
            .map(|field| {
                let member = &field.member;
                let value = match field.role {
                    Role::Wire => {
                        let codec = context.codec(field, Side::Decode);
                        let read = quote_spanned!(reported_at(field.span)=> #codec::decode_whole(__reader));
                        context.accepted(field.span, field.with.as_ref(), field.validate.as_ref(), read, quote!(&[]))
                    }
                    Role::Skip => context.skipped(field),
                    Role::Tag => {
                        let (kept_as, ty) = (field.ty, union.switch.ty(&p));
                        quote_spanned!(reported_at(field.span)=> <#kept_as as #p::Tag<#ty>>::keep(&__tag))
                    }
                };
                quote!(#member: #value)
            })
            .collect();
        let ident = arm.ident;
        let own = &labels.of_arm[index];
        let value = quote!(#p::Ok(Self::#ident { #(#values),* }));
        if own.is_empty() {
            fallback = quote!(_ => #value,);
        } else {
            arms.extend(quote!(#(#own)|* => #value,));
        }
    }
    let (consts, ty) = (&labels.consts, union.switch.ty(&p));
    let word = union.switch.to_word(&p, quote!(__tag));
    DecodeParts {
        consts: Some((quote!(#krate::Wire::word_and_tail()), max(context, union, Side::Decode))),
        decode: quote! {
            #consts
            let _ = __after;
            let __tag = <#ty as #krate::Decode<#de>>::decode(__reader, __run, 0)?;
            match #word { #arms #fallback }
        },
    }
}
