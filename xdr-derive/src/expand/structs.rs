//! Structs: fields one after the other, those of fixed length in shared runs.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::{Context, DecodeParts, EncodeParts, Side, reported_at};
use crate::ast::{Field, Role};

/// ```text
/// let runs = Seen::<Visit, Self>::RUNS;
/// <String as EncodeBounded<Max<Len<256>>>>::visit_of(&self.name, visit, &runs.0)
///     && <[u8; 16] as Encode>::visit_of(&self.uuid, visit, &runs.1)
/// ```
/// With `with` or `validate`, where a field is not written as it stands:
/// ```text
/// head:     let mut run = out;
///           if <String as EncodeBounded<Max<Len<256>>>>::head_of(&self.name, &mut run)? { return Ok(()); }
///           …
/// tail:     let next1 = 0;
///           let next0 = <[u8; 16] as Encode>::WIRE.run(next1);
///           let mut run = None;
///           <String as EncodeBounded<Max<Len<256>>>>::tail_of(&self.name, writer, &mut run, next0)?;
///           …
/// tail_len: 0.saturating_add(<String as …>::len_of(&self.name)) … .saturating_sub(WIRE.head)
/// ```
pub(crate) fn encode(context: &mut Context<'_>, all: &[Field<'_>]) -> EncodeParts {
    let (krate, p) = (context.krate, context.private.clone());
    let fields: Vec<_> = all.iter().filter(|field| field.on_wire()).collect();
    if fields.is_empty() {
        return EncodeParts {
            visit: TokenStream::new(),
            consts: Some((quote!(#krate::Wire::fixed(0)), quote!(#p::Some(0)))),
            head: Some(quote!(let _ = __out; #p::Ok(()))),
            tail: None,
        };
    }
    let codecs: Vec<_> = fields.iter().map(|field| context.codec(field, Side::Encode)).collect();
    if context.input.validate.is_none() && fields.iter().all(|field| field.with.is_none() && field.validate.is_none()) {
        let members = fields.iter().map(|field| &field.member);
        let count = fields.len();
        let (next, runs) = self::next(context, Side::Encode, count);
        let visitor = visitor(context);
        let visit = quote! {
            #[inline(always)]
            fn visit<#visitor: #p::Visit>(&self, __visit: &mut #visitor) -> #p::bool {
                #runs
                #(#codecs::visit_of(&self.#members, __visit, #next))&&*
            }
        };
        return EncodeParts { visit, consts: None, head: None, tail: None };
    }
    let members: Vec<_> = fields.iter().map(|field| &field.member).collect();
    let (runs, next) = runs(&codecs, &quote!(0));
    let written: Vec<_> =
        fields.iter().zip(&members).map(|(field, member)| context.written(field, quote!(&self.#member))).collect();
    let checks: Vec<_> = fields
        .iter()
        .zip(&members)
        .map(|(field, member)| context.check_before(field.validate.as_ref(), quote!(&self.#member)))
        .collect();
    let under = |field: &Field<'_>, written| context.under(field.with.as_ref(), field.validate.as_ref(), written);
    let each = || fields.iter().zip(codecs.iter().zip(&written));
    let heads = each().map(|(field, (codec, written))| under(field, quote!(#codec::head_of(#written, &mut __run))));
    let head = quote! {
        let mut __run = __out;
        #(#checks if #heads? { return #p::Ok(()); })*
        #p::Ok(())
    };
    let tails = each().zip(&next).map(|((field, (codec, written)), next)| {
        under(field, quote!(#codec::tail_of(#written, __writer, &mut __run, #next)))
    });
    let tail = quote! {
        #runs
        let mut __run = #p::None;
        #(#checks #tails?;)*
        #p::Ok(())
    };
    let tail_len = quote! {
        (0 as #p::usize) #(.saturating_add(#codecs::len_of(#written)))*
            .saturating_sub(<Self as #krate::Encode>::WIRE.head)
    };
    let visit = quote!(const VISITED: #p::bool = false;);
    EncodeParts { visit, consts: None, head: Some(head), tail: Some((tail, tail_len)) }
}

/// The parameter of `visit`: `__Visit`, unless the type has one of that name.
fn visitor(context: &Context<'_>) -> Ident {
    let generics = &context.input.item.generics;
    let mut name = "__Visit".to_owned();
    while generics.type_params().any(|parameter| parameter.ident == name)
        || generics.const_params().any(|parameter| parameter.ident == name)
    {
        name.push('_');
    }
    Ident::new(&name, Span::call_site())
}

/// How many fields' runs the traits know.
const RUNS: usize = 16;

/// The runs behind each field, and the statement that finds them.
fn next(context: &Context<'_>, side: Side, count: usize) -> (Vec<TokenStream>, TokenStream) {
    let (krate, p, de) = (context.krate, &context.private, &context.de);
    let index = (0..count).map(proc_macro2::Literal::usize_unsuffixed);
    match count {
        0..=RUNS => {
            let runs = match side {
                Side::Encode => {
                    let visitor = visitor(context);
                    quote!(let __runs = #p::Seen::<#visitor, Self>::RUNS;)
                }
                Side::Decode => quote!(let __runs = <Self as #krate::Decode<#de>>::RUNS;),
            };
            (index.map(|index| quote!(&__runs.#index)).collect(), runs)
        }
        _ => {
            let derived = match side {
                Side::Encode => quote!(<Self as #krate::Encode>::DERIVED),
                Side::Decode => quote!(<Self as #krate::Decode<#de>>::DERIVED),
            };
            let runs = quote!(let __runs: &'static [#p::Run; #count] = const { &#p::runs(#p::fields_of(&#derived)) };);
            (index.map(|index| quote!(&__runs[#index])).collect(), runs)
        }
    }
}

/// The lengths of the runs behind each field, from the last to the first, and their names.
fn runs(codecs: &[TokenStream], last: &TokenStream) -> (TokenStream, Vec<proc_macro2::Ident>) {
    let next: Vec<_> = (0..codecs.len()).map(|index| format_ident!("__next{index}")).collect();
    let mut lets = TokenStream::new();
    for (index, name) in next.iter().enumerate().rev() {
        let run = match (codecs.get(index + 1), next.get(index + 1)) {
            (Some(codec), Some(behind)) => quote!(#codec::WIRE.run(#behind)),
            _ => last.clone(),
        };
        lets.extend(quote!(let #name = #run;));
    }
    (lets, next)
}

/// Everything as the one field does it.
pub(crate) fn encode_transparent(context: &mut Context<'_>, fields: &[Field<'_>]) -> EncodeParts {
    let field = &fields[0];
    let codec = context.codec(field, Side::Encode);
    let member = &field.member;
    let max = context.max_of(&[field], Side::Encode);
    let written = context.written(field, quote!(&self.#member));
    let check = context.check_before(field.validate.as_ref(), quote!(&self.#member));
    let under = |written, check: &TokenStream| {
        let written = context.under(field.with.as_ref(), field.validate.as_ref(), written);
        quote!(#check #written)
    };
    EncodeParts {
        visit: TokenStream::new(),
        consts: Some((quote!(#codec::WIRE), max)),
        head: Some(under(quote!(#codec::head(#written, __out)), &check)),
        tail: Some((
            under(quote!(#codec::tail(#written, __writer)), &TokenStream::new()),
            quote!(#codec::tail_len(#written)),
        )),
    }
}

/// ```text
/// let runs = <Self as Decode>::RUNS;
/// if !reader.begin(run, runs, after) { return Err(DecodeFault::noted()); }
/// let field0 = match <String as …>::member(reader, run, &runs.0, after) { Ok(value) => value, Err(fault) => return Err(fault) };
/// …
/// if last && !reader.is_over() { return Err(DecodeFault::noted()); }
/// Ok(Self { name: field0, … })
/// ```
pub(crate) fn decode(context: &mut Context<'_>, fields: &[Field<'_>]) -> DecodeParts {
    let (krate, p) = (context.krate, context.private.clone());
    let count = fields.iter().filter(|field| field.on_wire()).count();
    let (next, runs) = self::next(context, Side::Decode, count);
    let de = &context.de;
    let all = if count <= RUNS { quote!(__runs) } else { quote!(<Self as #krate::Decode<#de>>::RUNS) };
    let mut next = next.iter();
    let names: Vec<_> = (0..fields.len()).map(|index| format_ident!("__field{index}")).collect();
    let members = fields.iter().map(|field| &field.member);
    let values: Vec<_> = fields
        .iter()
        .map(|field| match field.role {
            Role::Wire => {
                let codec = context.codec(field, Side::Decode);
                let next = next.next();
                // A field that cannot borrow from the input is an error at the field.
                let read = quote_spanned!(reported_at(field.span)=> #codec::member(__reader, __run, #next, __after));
                context.accepted(field.span, field.with.as_ref(), field.validate.as_ref(), read, quote!(__run))
            }
            Role::Skip | Role::Tag => context.skipped(field),
        })
        .collect();
    if count == 0 {
        return DecodeParts {
            consts: Some((quote!(#krate::Wire::fixed(0)), quote!(#p::Some(0)))),
            decode: quote!(let _ = (&__reader, &__run, __after); #p::Ok(Self { #(#members: #values),* })),
        };
    }
    // What the struct's own check refuses is told before what follows the struct.
    let end = context
        .input
        .validate
        .is_none()
        .then(|| quote!(if __last && !__reader.is_over() { return #p::Err(#krate::DecodeFault::noted()); }));
    DecodeParts {
        consts: None,
        decode: quote! {
            #runs
            if !__reader.begin(__run, #all, __after) { return #p::Err(#krate::DecodeFault::noted()); }
            #(let #names = #values;)*
            #end
            #p::Ok(Self { #(#members: #names),* })
        },
    }
}

pub(crate) fn decode_transparent(context: &mut Context<'_>, fields: &[Field<'_>]) -> DecodeParts {
    let p = context.private.clone();
    let field = &fields[0];
    let codec = context.codec(field, Side::Decode);
    let max = context.max_of(&[field], Side::Decode);
    let member = &field.member;
    let skipped = fields[1..].iter().map(|field| {
        let (member, value) = (&field.member, context.skipped(field));
        quote!(#member: #value)
    });
    let read = quote!(#codec::decode(__reader, __run, __after));
    let value = context.accepted(field.span, field.with.as_ref(), field.validate.as_ref(), read, quote!(__run));
    DecodeParts {
        consts: Some((quote!(#codec::WIRE), max)),
        decode: quote!(#p::Ok(Self { #member: #value, #(#skipped),* })),
    }
}
