//! Derived code in the least friendly crate: no prelude, and every name that it might need taken.
//!
//! Lints are denied here and, all of them, in `src/every_shape.rs`: `cargo clippy` is half of this test.
#![no_implicit_prelude]
#![deny(
    warnings,
    unused,
    unsafe_code,
    missing_docs,
    future_incompatible,
    nonstandard_style,
    let_underscore,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    keyword_idents,
    missing_copy_implementations,
    missing_debug_implementations,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![expect(clippy::redundant_pub_crate, reason = "says the opposite of `unreachable_pub`")]

// The crate under a second name; `ui/pass/renamed_crate.rs` takes the first one away.
extern crate xdr_core as renamed;

/// What the tests themselves need; the derived code may not rely on it.
mod checks {
    use ::renamed::{DecodeOwned, Encode, Field, Shape, from_slice, to_vec};
    use ::std::cmp::PartialEq;
    use ::std::fmt::Debug;
    use ::std::iter::Iterator;
    use ::std::option::Option::Some;
    use ::std::result::Result::Ok;
    use ::std::{assert, assert_eq, matches};

    /// Encodes and decodes again.
    #[track_caller]
    pub(crate) fn survives<T: Encode + DecodeOwned + PartialEq + Debug>(value: &T) {
        let wire = to_vec(value);
        let back = wire.as_ref().map(|wire| from_slice::<T>(wire));
        assert!(matches!(&back, Ok(Ok(back)) if back == value), "{back:?}");
    }

    /// The names that a type describes itself with.
    #[track_caller]
    pub(crate) fn has_fields<T: Encode>(expected: &[&str]) {
        let fields = match T::schema().shape {
            Shape::Struct { fields } => fields,
            Shape::Union { arms, .. } => arms.first().map_or(&[][..], |arm| arm.fields),
            _ => &[],
        };
        assert!(fields.iter().map(|field: &Field| &field.name).eq(expected), "{fields:?}");
    }

    /// The names of the arms or values.
    #[track_caller]
    pub(crate) fn has_names<T: Encode>(expected: &[&str]) {
        match T::schema().shape {
            Shape::Union { arms, .. } => assert!(arms.iter().map(|arm| &arm.name).eq(expected), "{arms:?}"),
            Shape::Enum { values, .. } => assert!(values.iter().map(|value| &value.name).eq(expected), "{values:?}"),
            _ => assert_eq!(expected.first(), Some(&""), "neither union nor enum"),
        }
    }
}

/// Names that generated code likes to use for itself.
mod taken_names {
    use crate::checks::{has_fields, has_names, survives};
    use ::std::clone::Clone;
    use ::std::cmp::PartialEq;
    use ::std::convert::From;
    use ::std::fmt::Debug;
    use ::std::marker::Copy;
    use ::std::prelude::v1::{derive, test};
    use ::std::string::String;
    use ::xdr_core::Xdr;

    #[derive(Debug, PartialEq, Xdr)]
    struct Fields {
        r#type: u32,
        r#fn: u32,
        self_: u32,
        out: u32,
        run: u32,
        writer: u32,
        reader: u32,
        tag: u32,
        after: u32,
        value: u32,
        next0: u32,
        field0: u32,
        #[xdr(max = 4)]
        head: String,
        tail: u32,
        #[xdr(skip)]
        unused: u32,
    }

    #[test]
    fn fields_are_called_like_local_variables() {
        survives(&Fields {
            r#type: 1,
            r#fn: 2,
            self_: 3,
            out: 4,
            run: 5,
            writer: 6,
            reader: 7,
            tag: 8,
            after: 9,
            value: 10,
            next0: 11,
            field0: 12,
            head: String::from("x"),
            tail: 13,
            unused: 0,
        });
        has_fields::<Fields>(&[
            "type", "fn", "self_", "out", "run", "writer", "reader", "tag", "after", "value", "next0", "field0",
            "head", "tail",
        ]);
    }

    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(switch = u32)]
    enum Variants {
        #[xdr(case = 0)]
        Ok { r#type: u32, run: u32, reader: u32, tag: u32 },
        #[xdr(case = 1)]
        Err(u32, u32),
        #[xdr(case = 2)]
        Some(#[xdr(max = 4)] String),
        #[xdr(case = 3)]
        None,
        #[xdr(case = [4, 5])]
        Option {
            writer: u32,
            #[xdr(tag)]
            out: u32,
            #[xdr(skip)]
            after: u32,
        },
        #[xdr(case = 6)]
        Result {},
        #[xdr(case = 7)]
        String(),
        #[xdr(default)]
        Vec(#[xdr(tag)] u32, u32),
    }

    #[test]
    fn variants_are_called_like_the_prelude() {
        survives(&Variants::Ok { r#type: 1, run: 2, reader: 3, tag: 4 });
        survives(&Variants::Err(1, 2));
        survives(&Variants::Some(String::from("abc")));
        survives(&Variants::None);
        survives(&Variants::Option { writer: 1, out: 5, after: 0 });
        survives(&Variants::Result {});
        survives(&Variants::String());
        survives(&Variants::Vec(8, 9));
        has_names::<Variants>(&["Ok", "Err", "Some", "None", "Option", "Result", "String"]);
        has_fields::<Variants>(&["type", "run", "reader", "tag"]);
    }

    #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
    enum Values {
        Ok = 1,
        Err,
        Some = -1,
        None,
        #[xdr(rename = "self")]
        Selfish = 7,
    }

    #[derive(Debug, PartialEq, Xdr)]
    #[repr(i32)]
    enum Open {
        Ok = 1,
        #[xdr(other)]
        Err(i32),
    }

    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(switch = Values)]
    enum ByValues {
        #[xdr(case = Values::Ok)]
        Ok(u32),
        #[xdr(default)]
        Err(#[xdr(tag)] Values),
    }

    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(switch = bool)]
    enum ByBool {
        #[xdr(case = true)]
        Some(u32),
        #[xdr(case = false)]
        None,
    }

    #[test]
    fn values_are_called_like_the_prelude() {
        survives(&Values::Err);
        survives(&Values::None);
        survives(&Open::Ok);
        survives(&Open::Err(5));
        survives(&ByValues::Ok(3));
        survives(&ByValues::Err(Values::Selfish));
        survives(&ByBool::Some(1));
        survives(&ByBool::None);
        has_names::<Values>(&["Ok", "Err", "Some", "None", "self"]);
    }
}

/// Types, modules, macros and traits of the user's own, called like those of the standard library and of ours.
mod taken_types {
    use crate::checks::survives;
    use ::std::cmp::PartialEq;
    use ::std::fmt::Debug;
    use ::std::prelude::v1::{derive, test};

    mod core {}
    mod std {}
    mod alloc {}
    mod xdr_core {}

    #[expect(unused_macros, reason = "a trap: derived code that finds it does not compile")]
    macro_rules! assert {
        ($($anything:tt)*) => {
            compile_error!("the user's own `assert!` was called")
        };
    }

    /// Methods that would win over those of a trait that is not in scope.
    #[expect(dead_code, reason = "a trap as well")]
    trait Everywhere {
        fn head(&self) {}
        fn tail(&self) {}
        fn decode(&self) {}
        fn field(&self) {}
        fn schema(&self) {}
        fn as_ref(&self) {}
        fn into(&self) {}
    }
    impl<T: ?::std::marker::Sized> Everywhere for T {}

    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Result {
        word: u32,
    }
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Option(u32);
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Vec;
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    #[xdr(transparent)]
    struct String(#[xdr(max = 4)] ::std::string::String);
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Box {}
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Encode {
        ok: Result,
        some: Option,
        items: Vec,
        text: String,
        boxed: Box,
    }
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    enum Decode {
        #[xdr(case = 0)]
        Encode(Encode),
        #[xdr(case = 1)]
        Schema { schema: Schema, shape: Shape },
    }
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    enum Schema {
        Wire = 3,
    }
    #[derive(Debug, PartialEq, ::xdr_core::Xdr)]
    struct Shape {
        #[xdr(list, max = 4)]
        list: ::std::vec::Vec<Result>,
        #[xdr(max = 4)]
        array: ::std::vec::Vec<Option>,
    }

    #[test]
    fn types_are_called_like_those_that_derived_code_needs() {
        let encode = Encode {
            ok: Result { word: 1 },
            some: Option(2),
            items: Vec,
            text: String(::std::convert::From::from("abc")),
            boxed: Box {},
        };
        survives(&Decode::Encode(encode));
        let shape = Shape { list: ::std::vec![Result { word: 3 }], array: ::std::vec![Option(4)] };
        survives(&Decode::Schema { schema: Schema::Wire, shape });
    }
}

/// Lifetimes and parameters called like those that the derives add.
mod taken_generics {
    use crate::checks::survives;
    use ::std::assert_eq;
    use ::std::borrow::Cow;
    use ::std::clone::Clone;
    use ::std::cmp::PartialEq;
    use ::std::fmt::Debug;
    use ::std::prelude::v1::{derive, test};
    use ::std::result::Result::Ok;
    use ::std::vec::Vec;
    use ::xdr_core::{Decode, Encode, Xdr};

    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Borrowed<'de> {
        #[xdr(max = 8)]
        name: &'de str,
        #[xdr(max = 8)]
        text: Cow<'de, str>,
    }

    #[derive(Debug, PartialEq, Xdr)]
    enum TwoLifetimes<'de, 'other> {
        #[xdr(case = 1)]
        First(#[xdr(max = 8)] &'de [u8]),
        #[xdr(case = 2)]
        Second(#[xdr(max = 8)] &'other str),
    }

    #[test]
    fn a_lifetime_is_called_de() {
        let value = Borrowed { name: "ab", text: Cow::Borrowed("cd") };
        let wire = ::xdr_core::to_vec(&value);
        let back = wire.as_deref().map(::xdr_core::from_slice::<Borrowed<'_>>);
        assert_eq!(back, Ok(Ok(value)));
        let value = TwoLifetimes::Second("ef");
        let wire = ::xdr_core::to_vec(&value);
        let back = wire.as_deref().map(::xdr_core::from_slice::<TwoLifetimes<'_, '_>>);
        assert_eq!(back, Ok(Ok(value)));
    }

    #[derive(Debug, PartialEq, Xdr)]
    struct Parameters<T, B = u32, const N: usize = 3>
    where
        T: Clone,
    {
        #[xdr(max = N + 1)]
        items: Vec<T>,
        #[xdr(max = Self::MOST)]
        others: Vec<B>,
        fixed: [T; N],
        #[xdr(list, max = N)]
        list: Vec<B>,
    }

    impl<T: Clone, B, const N: usize> Parameters<T, B, N> {
        const MOST: usize = 2 * N;
    }

    #[derive(Debug, PartialEq, Xdr)]
    struct Bounded<'de, T: Clone + 'de, const MAX: usize> {
        #[xdr(max = MAX * 2)]
        name: &'de str,
        #[xdr(max = MAX + 1)]
        items: Vec<T>,
    }

    #[derive(Debug, PartialEq, Xdr)]
    enum Either<S, I, R, W> {
        #[xdr(case = 0)]
        S(S, I),
        #[xdr(case = 1)]
        R { reader: R, writer: W },
    }

    #[test]
    fn parameters_are_called_like_ours() {
        survives(&Parameters {
            items: ::std::vec![1_u32],
            others: ::std::vec![2_u32],
            fixed: [3; 3],
            list: Vec::new(),
        });
        survives(&Either::<u32, i32, bool, u64>::R { reader: true, writer: 5 });
        survives(&Either::<u32, i32, bool, u64>::S(1, 2));
        let value = Bounded::<u32, 2> { name: "abcd", items: ::std::vec![1, 2, 3] };
        let wire = ::xdr_core::to_vec(&value);
        let back = wire.as_deref().map(::xdr_core::from_slice::<Bounded<'_, u32, 2>>);
        assert_eq!(back, Ok(Ok(value)));
    }

    #[derive(Encode)]
    struct Sent<'de, T> {
        #[xdr(max = 8)]
        items: &'de [T],
    }

    #[derive(Decode)]
    struct Received<T> {
        #[xdr(max = 8)]
        items: Vec<T>,
    }

    #[test]
    fn each_direction_stands_alone() {
        let wire = ::xdr_core::to_vec(&Sent { items: &[1_u32, 2] });
        let back = wire.as_deref().map(|wire| ::xdr_core::from_slice(wire).map(|Received { items }| items));
        assert_eq!(back, Ok(Ok(::std::vec![1_u32, 2])));
    }
}

/// Types that a `macro_rules!` makes: what stands in its definition and what it is given come from two places.
mod macro_made {
    use crate::checks::survives;
    use ::std::clone::Clone;
    use ::std::cmp::PartialEq;
    use ::std::convert::From;
    use ::std::fmt::Debug;
    use ::std::marker::Copy;
    use ::std::prelude::v1::{derive, test};
    use ::std::string::String;
    use ::xdr_core::Xdr;

    macro_rules! types {
        ($struct:ident { $field:ident: $type:ty, max = $max:expr }, $enum:ident, $union:ident, $tag:ty, $label:expr) => {
            #[derive(Debug, PartialEq, Xdr)]
            struct $struct {
                #[xdr(max = $max)]
                $field: $type,
                #[xdr(max = 4)]
                text: String,
                word: u32,
            }

            #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
            #[repr(i32)]
            enum $enum {
                Known = $label,
                #[xdr(other)]
                Other(i32),
            }

            #[derive(Debug, PartialEq, Xdr)]
            enum $union {
                #[xdr(case = $label)]
                Given($tag, #[xdr(skip)] u8),
                #[xdr(case = [2, 3])]
                Own {
                    #[xdr(tag)]
                    tag: i32,
                    value: $enum,
                },
                #[xdr(default)]
                Default(#[xdr(tag)] $tag),
            }
        };
    }
    types!(Struct { field: ::std::boxed::Box<[u32]>, max = 2 + 2 }, Enum, Union, i32, 1);

    #[test]
    fn a_macro_makes_types() {
        let field = From::from([1, 2, 3, 4]);
        survives(&Struct { field, text: String::from("x"), word: 5 });
        survives(&Enum::Other(7));
        survives(&Union::Own { tag: 3, value: Enum::Known });
        survives(&Union::Given(6, 0));
        survives(&Union::Default(-1));
    }
}

/// The crate under another name, given as a path of each kind.
mod renamed_crate {
    use crate::checks::survives;
    use ::renamed::Xdr;
    use ::std::cmp::PartialEq;
    use ::std::convert::From;
    use ::std::fmt::Debug;
    use ::std::prelude::v1::{derive, test};
    use ::std::string::String;

    /// A facade, as a crate that re-exports ours has it.
    mod facade {
        pub(crate) mod xdr {
            pub(crate) use ::renamed::*;
        }
    }

    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(crate = ::renamed)]
    struct Absolute {
        #[xdr(max = 4)]
        name: String,
    }
    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(crate = crate::renamed)]
    enum FromRoot {
        One = 1,
    }
    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(crate = facade::xdr, switch = u32)]
    enum Relative {
        #[xdr(case = 1)]
        One(u32),
    }

    #[test]
    fn the_crate_is_found_by_the_path_that_is_given() {
        survives(&Absolute { name: String::from("x") });
        survives(&FromRoot::One);
        survives(&Relative::One(2));
    }
}
