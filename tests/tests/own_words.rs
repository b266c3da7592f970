//! Derived code beside what users say of their types: that they are deprecated, `Self`, and conditions of their own.
#![deny(warnings, clippy::all, clippy::pedantic, missing_docs)]

use std::marker::PhantomData;

use xdr_core::{Decode, Encode, Xdr, from_slice, to_vec};

/// What is deprecated derives like anything else: its derive is no use of it.
mod gone {
    use xdr_core::Xdr;

    #[deprecated]
    #[derive(Debug, Clone, PartialEq, Xdr)]
    #[xdr(validate = is_odd)]
    pub(crate) struct Number {
        pub(crate) number: u32,
    }

    #[expect(deprecated)]
    fn is_odd(number: &Number) -> bool {
        number.number % 2 == 1
    }

    #[deprecated]
    #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
    pub(crate) enum Kind {
        Old = 1,
        New = 2,
    }

    #[deprecated]
    #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
    #[repr(i32)]
    pub(crate) enum Open {
        Old = 1,
        #[xdr(other)]
        Other(i32),
    }

    #[deprecated]
    #[derive(Debug, Clone, PartialEq, Xdr)]
    pub(crate) enum Value<const N: usize> {
        #[xdr(case = 1)]
        Text(#[xdr(max = N + 1)] String),
    }

    #[deprecated]
    #[derive(Debug, Clone, PartialEq, Xdr)]
    #[xdr(transparent)]
    pub(crate) struct Name(#[xdr(max = Self::MOST)] String);

    #[expect(deprecated)]
    impl Name {
        const MOST: usize = 4;
    }
}

/// The parts of a type that is not deprecated.
#[derive(Debug, Clone, PartialEq, Xdr)]
struct Parts {
    #[deprecated]
    word: u32,
    #[deprecated]
    #[xdr(max = 4)]
    text: String,
    level: Level,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
enum Level {
    #[deprecated]
    Low = 1,
    High = 2,
}

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = Level)]
#[allow(deprecated, reason = "a label is only used in what is derived")]
enum Answer {
    #[deprecated]
    #[xdr(case = Level::Low)]
    Nothing,
    #[xdr(case = Level::High)]
    Number(u32),
}

/// Who may name what is deprecated may hold it.
#[expect(deprecated, reason = "peers send it")]
#[derive(Debug, Clone, PartialEq, Xdr)]
struct Whole {
    number: gone::Number,
    kind: gone::Kind,
    open: gone::Open,
    value: gone::Value<3>,
    name: gone::Name,
}

#[allow(deprecated)]
#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(switch = gone::Kind)]
enum Switched {
    #[xdr(case = gone::Kind::Old)]
    Old(gone::Number),
    #[xdr(case = gone::Kind::New)]
    New,
}

#[test]
#[expect(deprecated)]
fn the_derive_of_what_is_deprecated_sets_off_no_lint() {
    let parts = Parts { word: 1, text: "a".into(), level: Level::Low, answer: Answer::Number(2) };
    assert_eq!(from_slice(&to_vec(&parts).unwrap()), Ok(parts));
    let whole = |name: &str| -> Result<Whole, _> {
        let text = [&[0, 0, 0, 1][..], name.as_bytes(), &[0, 0, 0]].concat();
        from_slice(&[&[0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1], &text[..], &text[..]].concat())
    };
    assert_eq!(whole("a").map(|whole| whole.open), Ok(gone::Open::Other(9)));
    let switched = Switched::Old(gone::Number { number: 5 });
    assert_eq!(to_vec(&switched).unwrap(), [0, 0, 0, 1, 0, 0, 0, 5]);
}

/// A type whose constants are its own.
#[derive(Debug, PartialEq, Xdr)]
struct Row {
    #[xdr(max = Self::COLUMNS, item(max = 2 * Self::WIDTH))]
    columns: Vec<String>,
}

impl Row {
    const COLUMNS: usize = 2;
    const WIDTH: usize = 2;
}

#[derive(Debug, PartialEq, Xdr)]
enum Cell<'a> {
    #[xdr(case = Self::EMPTY)]
    Empty,
    #[xdr(case = [Self::TEXT, Self::TEXT + 1])]
    Text {
        #[xdr(tag)]
        kind: i32,
        #[xdr(max = Self::MOST)]
        text: &'a str,
    },
}

impl Cell<'_> {
    const EMPTY: i32 = 3;
    const TEXT: i32 = 5;
    const MOST: usize = 4;
}

/// Names beside `other` have no values of their own in Rust.
#[derive(Debug, PartialEq, Xdr)]
#[repr(i32)]
enum Signal {
    Hangup = Self::FIRST,
    Interrupt,
    #[xdr(other)]
    Other(i32),
}

impl Signal {
    const FIRST: i32 = 1;
}

#[test]
fn self_is_the_type_in_maxima_labels_and_values() {
    assert_eq!(to_vec(&[Signal::Hangup, Signal::Interrupt]).unwrap(), [0, 0, 0, 1, 0, 0, 0, 2]);
    let row = |columns: &[&str]| to_vec(&Row { columns: columns.iter().map(ToString::to_string).collect() });
    assert!(row(&["abcd", ""]).is_ok());
    assert_eq!(row(&["abcde"]).unwrap_err().path, "Row.columns[0]");
    assert_eq!(row(&["", "", ""]).unwrap_err().path, "Row.columns");
    assert_eq!(to_vec(&Cell::Empty).unwrap(), [0, 0, 0, 3]);
    assert_eq!(from_slice(&[0, 0, 0, 6, 0, 0, 0, 0]), Ok(Cell::Text { kind: 6, text: "" }));
    assert_eq!(to_vec(&Cell::Text { kind: 5, text: "abcde" }).unwrap_err().path, "Cell.Text.text");
}

/// A struct of which nothing is on the wire, with a check.
#[derive(Debug, PartialEq, Xdr)]
#[xdr(validate = is_new)]
struct Local {
    #[xdr(skip)]
    seen: u32,
}

const fn is_new(local: &Local) -> bool {
    local.seen == 0
}

#[test]
fn a_struct_that_is_not_on_the_wire_is_checked() {
    assert_eq!(from_slice(&[]), Ok(Local { seen: 0 }));
    assert_eq!(to_vec(&Local { seen: 0 }), Ok(Vec::new()));
    assert_eq!(to_vec(&Local { seen: 1 }).unwrap_err().to_string(), "Local: value is rejected by is_new");
}

/// Conditions that bind a lifetime of the name that the derive would take for its own.
#[derive(Debug, PartialEq, Xdr)]
#[xdr(bound(T: Encode + for<'de> Decode<'de>))]
struct Held<T> {
    held: T,
}

#[derive(Debug, PartialEq, Xdr)]
#[xdr(bound())]
struct HeldAlways<T>
where
    T: Encode + for<'a, 'de> Decode<'de>,
{
    held: T,
}

/// A field whose type does.
#[derive(Debug, PartialEq, Xdr)]
struct Marked {
    held: u32,
    #[xdr(skip)]
    mark: PhantomData<for<'de> fn(&'de u8)>,
}

#[test]
fn a_condition_and_a_field_may_bind_a_lifetime_called_de() {
    assert_eq!(from_slice(&[0, 0, 0, 7]), Ok(Marked { held: 7, mark: PhantomData }));
    assert_eq!(from_slice(&[0, 0, 0, 7]), Ok(Held { held: 7_u32 }));
    assert_eq!(from_slice(&[0, 0, 0, 7]), Ok(HeldAlways { held: 7_i32 }));
}

/// What is at most the constant's.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called with what the field holds")]
fn at_most<const MOST: u32>(number: &u32) -> bool {
    *number <= MOST
}

trait Checked {
    fn is_fine(&self) -> bool;
}

impl Checked for u32 {
    fn is_fine(&self) -> bool {
        !self.is_multiple_of(5)
    }
}

fn is_fine<T: Checked>(value: &T) -> bool {
    value.is_fine()
}

/// Checks that are generic functions, and functions of traits.
#[derive(Debug, PartialEq, Xdr)]
#[xdr(validate = <Self as Checked>::is_fine)]
struct Percent<const MOST: u32> {
    #[xdr(validate = at_most::<100>)]
    whole: u32,
    #[xdr(validate = at_most::<MOST>)]
    part: u32,
    #[xdr(validate = is_fine::<u32>)]
    fine: u32,
}

impl<const MOST: u32> Checked for Percent<MOST> {
    fn is_fine(&self) -> bool {
        self.part <= self.whole
    }
}

#[test]
fn a_check_may_be_a_generic_function_or_one_of_a_trait() {
    let refused = |whole, part, fine| {
        let value = Percent::<50> { whole, part, fine };
        let wire: Vec<u8> = [whole, part, fine].into_iter().flat_map(u32::to_be_bytes).collect();
        let error = from_slice::<Percent<50>>(&wire).unwrap_err().to_string();
        assert!(error.starts_with(&to_vec(&value).unwrap_err().to_string()), "{error}");
        error
    };
    assert_eq!(refused(101, 1, 1), "Percent.whole: value is rejected by at_most::<100>, at byte 0");
    assert_eq!(refused(60, 51, 1), "Percent.part: value is rejected by at_most::<MOST>, at byte 4");
    assert_eq!(refused(60, 50, 5), "Percent.fine: value is rejected by is_fine::<u32>, at byte 8");
    assert_eq!(refused(6, 7, 1), "Percent: value is rejected by <Self as Checked>::is_fine, at byte 0");
    assert_eq!(from_slice(&[0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 7]), Ok(Percent::<50> { whole: 9, part: 8, fine: 7 }));
}

/// Expressions that the derive need not understand, among them such with commas and braces.
#[derive(Debug, PartialEq, Xdr)]
struct Expressions {
    #[xdr(max = { let half = 2; half * 2 }, item(max = if cfg!(any()) { 1 } else { 2 } + [1].len()))]
    texts: Vec<String>,
    #[xdr(max = [1, 2].len())]
    words: Vec<u32>,
    choice: Choice,
}

#[derive(Debug, PartialEq, Xdr)]
enum Choice {
    #[xdr(case = { let two = 2; two - 1 })]
    One,
    #[xdr(case = [match true { true => 2, false => 3 }, { 4 }])]
    Others(#[xdr(tag)] i32),
}

#[test]
fn a_maximum_and_a_label_may_be_any_expression() {
    let value = Expressions { texts: vec!["abc".into(); 4], words: vec![7; 2], choice: Choice::Others(4) };
    let wire = to_vec(&value).unwrap();
    assert_eq!(from_slice(&wire), Ok(value));
    let refused = |texts: &[&str], words: usize, path: &str| {
        let texts = texts.iter().map(ToString::to_string).collect();
        let value = Expressions { texts, words: vec![7; words], choice: Choice::One };
        assert_eq!(to_vec(&value).unwrap_err().path, path);
    };
    refused(&["a"; 5], 0, "Expressions.texts");
    refused(&["abcd"], 0, "Expressions.texts[0]");
    refused(&[], 3, "Expressions.words");
    assert_eq!(to_vec(&Choice::Others(2)).unwrap(), [0, 0, 0, 2]);
    assert!(to_vec(&Choice::Others(3)).is_err());
}

/// Types whose check, maximum and labels a macro was given.
macro_rules! given {
    ($name:ident, $union:ident, $check:path, $max:expr, $label:expr, $type:ty) => {
        #[derive(Debug, PartialEq, Xdr)]
        struct $name {
            #[xdr(validate = $check)]
            checked: u32,
            #[xdr(max = { $max }, item(max = { $max * 2 }))]
            texts: Vec<$type>,
            choice: $union,
        }

        #[derive(Debug, PartialEq, Xdr)]
        #[xdr(switch = u32)]
        enum $union {
            #[xdr(case = $label * 2)]
            One,
            #[xdr(case = [[0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 50][$label * 2], if $label * 2 == 10 { 30 } else { 31 }])]
            Two {
                #[xdr(tag)]
                label: u32,
            },
        }
    };
}

/// An enum whose values a macro was given.
macro_rules! given_values {
    ($name:ident, $value:expr) => {
        #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
        #[repr(i32)]
        enum $name {
            Twice = $value * 2,
            Next,
            #[xdr(other)]
            Other(i32),
        }
    };
}

given_values!(GivenValues, 1 + 1);

given!(Given, GivenChoice, is_fine, 1 + 1, 2 + 3, String);
given!(GivenMore, GivenMoreChoice, at_most::<7>, 2, 5, Vec<u8>);

#[test]
fn a_macro_may_be_given_what_a_key_takes() {
    let (word, ten) = ([0, 0, 0, 7], [0, 0, 0, 10]);
    let wire = [&word[..], &[0, 0, 0, 1, 0, 0, 0, 4], b"abcd", &ten].concat();
    assert_eq!(from_slice(&wire), Ok(Given { checked: 7, texts: vec!["abcd".into()], choice: GivenChoice::One }));
    assert_eq!(from_slice::<GivenMore>(&wire).map(|given| given.choice), Ok(GivenMoreChoice::One));
    for label in [30, 50] {
        assert_eq!(from_slice(&[0, 0, 0, label]), Ok(GivenChoice::Two { label: label.into() }));
    }
    let refused = [&[0, 0, 0, 10][..], &wire[4..]].concat();
    assert_eq!(from_slice::<Given>(&refused).unwrap_err().path, "Given.checked");
    assert_eq!(from_slice::<GivenMore>(&refused).unwrap_err().path, "GivenMore.checked");
    assert_eq!(to_vec(&[GivenValues::Twice, GivenValues::Next]).unwrap(), [0, 0, 0, 4, 0, 0, 0, 5]);
    assert_eq!(from_slice(&[0, 0, 0, 3]), Ok(GivenValues::Other(3)));
}
