//! Hundreds of types to run properties over: every container around every element, and containers in containers.

use std::any::type_name;

use xdr_core::{Decode, DecodeError, DecodeOwned, Encode, Type, Xdr, XdrString};

/// One type of the table.
pub struct Shape {
    /// Its Rust name.
    pub name: &'static str,
    /// Its description.
    pub schema: Type,
    /// Decodes a value and encodes it again.
    pub again: fn(&[u8]) -> Result<Again, DecodeError>,
    /// The fewest bytes of a value.
    pub min: usize,
    /// The most bytes of a value.
    pub max: Option<usize>,
}

/// A value that was decoded and encoded again.
pub struct Again {
    /// Its bytes.
    pub wire: Vec<u8>,
    /// How many bytes it was said to take.
    pub encoded_len: usize,
    /// Whether what was encoded decodes to the same value. (A NaN differs from itself.)
    pub equal: bool,
}

fn again<T: Encode + DecodeOwned + PartialEq>(wire: &[u8]) -> Result<Again, DecodeError> {
    let value: T = xdr_core::from_slice(wire)?;
    let encoded = xdr_core::to_vec(&value).expect("what was decoded can be encoded");
    let equal = xdr_core::from_slice::<T>(&encoded)? == value;
    Ok(Again { encoded_len: xdr_core::encoded_len(&value), wire: encoded, equal })
}

fn shape<T: Encode + DecodeOwned + PartialEq>() -> Shape {
    assert_eq!(<T as Encode>::WIRE, <T as Decode<'_>>::WIRE);
    assert_eq!(<T as Encode>::MAX_WIRE, <T as Decode<'_>>::MAX_WIRE);
    Shape {
        name: type_name::<T>(),
        schema: <T as Encode>::schema,
        again: again::<T>,
        min: <T as Encode>::MIN_WIRE,
        max: <T as Encode>::MAX_WIRE,
    }
}

macro_rules! types {
    ($($item:item)+) => {$(
        #[derive(Debug, Clone, PartialEq, Xdr)]
        $item
    )+};
}

// Elements.
types! {
    #[xdr(transparent)]
    struct Name(#[xdr(max = 9)] String);

    #[xdr(transparent)]
    struct Long(#[xdr(max = 40)] String);

    #[xdr(transparent)]
    struct Text(#[xdr(max = 7)] XdrString);

    #[xdr(transparent)]
    struct Blob(#[xdr(max = 5)] Vec<u8>);

    struct Words {
        a: u32,
        b: i64,
        c: bool,
    }

    struct Mixed {
        a: u32,
        #[xdr(max = 3)]
        b: String,
        c: [u8; 3],
        d: u64,
        #[xdr(max = 3)]
        e: Vec<u8>,
        f: bool,
    }

    struct Tail {
        #[xdr(max = 2, item(max = 6))]
        names: Vec<String>,
        #[xdr(item(max = 2))]
        slots: [Vec<u8>; 2],
        #[xdr(max = 6)]
        note: Option<String>,
    }

    enum Color {
        Red = 1,
        Green = 2,
        Blue = -7,
    }

    #[xdr(switch = u32)]
    enum Value {
        #[xdr(case = 1)]
        Int(i32),
        #[xdr(case = [2, 6])]
        Flag {
            #[xdr(tag)]
            tag: u32,
            bits: u32,
            #[xdr(max = 4)]
            name: String,
        },
        #[xdr(case = 9)]
        Nothing,
        #[xdr(default)]
        Other {
            #[xdr(tag)]
            tag: u32,
        },
    }

    #[xdr(switch = bool)]
    enum Maybe {
        #[xdr(case = true)]
        Yes(u64),
        #[xdr(case = false)]
        No,
    }

    #[xdr(switch = Color)]
    enum Paint {
        #[xdr(case = Color::Red)]
        Red([u32; 2]),
        #[xdr(case = Color::Green)]
        Green {
            #[xdr(max = 3)]
            shade: String,
        },
        #[xdr(case = Color::Blue)]
        Blue,
    }

    struct Chain {
        value: u32,
        next: Option<Box<Chain>>,
    }
}

// Containers.
types! {
    struct Plain<T> {
        value: T,
        last: u32,
    }

    struct Optional<T> {
        first: u32,
        value: Option<T>,
        last: u64,
    }

    struct Boxed<T> {
        value: Box<T>,
        last: u32,
    }

    struct Array<T> {
        #[xdr(max = 5)]
        values: Vec<T>,
        last: bool,
    }

    struct Arrays<T> {
        #[xdr(max = 3, item(max = 2))]
        values: Vec<Vec<T>>,
    }

    struct Fixed<T> {
        first: bool,
        values: [T; 3],
        last: u32,
    }

    struct List<T> {
        #[xdr(list, max = 4)]
        values: Vec<T>,
        last: u32,
    }

    struct Outcome<T> {
        value: Result<T, u32>,
        last: u32,
    }

    enum Either<T> {
        #[xdr(case = 0)]
        One(T),
        #[xdr(case = 1)]
        Two { a: T, b: T },
        #[xdr(case = 2)]
        Neither,
    }

    struct Sparse<T> {
        #[xdr(max = 4)]
        values: Vec<Option<T>>,
    }

    struct Between<T> {
        a: u32,
        b: T,
        c: T,
        d: u32,
        e: (u32, T),
        f: i64,
    }
}

/// `$container<$element>` for every pair.
macro_rules! every {
    ($table:ident, [$($container:ident)+], $elements:tt) => { $(every!(@row $table, $container, $elements);)+ };
    (@row $table:ident, $container:ident, [$($element:ty,)+]) => { $table.extend([$(shape::<$container<$element>>()),+]); };
}

/// The table.
#[must_use]
pub fn shapes() -> Vec<Shape> {
    let mut table = Vec::new();
    every!(
        table,
        [Plain Optional Boxed Array Arrays Fixed List Outcome Either Sparse Between],
        [
            u32, i64, f32, f64, bool, i8, u16, xdr_core::UChar, [u8; 5], [u8; 8], Name, Long, Text, Blob, Words, Mixed, Tail,
            Color, Value, Maybe, Paint, Chain, (bool, Name), [Name; 2],
        ]
    );
    every!(
        table,
        [Plain Optional Array List Outcome Either Between],
        [
            Array<Mixed>, List<Name>, Optional<List<Words>>, Either<Tail>, Sparse<Value>, Fixed<Maybe>, Boxed<Arrays<Blob>>,
            Outcome<Chain>, Between<Paint>,
        ]
    );
    table
}
