//! Hundreds of types to run properties over: every container around every element, and containers in containers.

use std::any::type_name;
use std::borrow::Cow;

use xdr_core::{
    Bytes, Decode, DecodeError, DecodeOwned, Encode, Limits, Type, Xdr, XdrStr, XdrString, encoded_len,
    from_bytes_with, from_slice_with, to_vec,
};

/// One type of the table.
pub struct Shape {
    /// Its Rust name.
    pub name: &'static str,
    /// Its description.
    pub schema: Type,
    /// Decodes a value and encodes it again.
    pub again: fn(&[u8]) -> Result<Again, DecodeError>,
    /// Decodes a value within limits and forgets it.
    pub decode: fn(&[u8], Limits) -> Result<(), DecodeError>,
    /// Decodes a value out of a shared buffer and encodes it again.
    pub shared: fn(&Bytes, Limits) -> Result<Vec<u8>, DecodeError>,
    /// Decodes a value that borrows what it can and encodes it again, for types with something to borrow.
    pub borrowed: Option<Borrowed>,
    /// The fewest bytes of a value.
    pub min: usize,
    /// The most bytes of a value.
    pub max: Option<usize>,
}

/// Decodes a value that borrows what it can and encodes it again.
pub type Borrowed = fn(&[u8], Limits) -> Result<Vec<u8>, DecodeError>;

/// A value that was decoded and encoded again.
pub struct Again {
    /// Its bytes.
    pub wire: Vec<u8>,
    /// How many bytes it was said to take.
    pub encoded_len: usize,
    /// Whether what was encoded decodes to the same value. (A NaN differs from itself.)
    pub equal: bool,
}

/// One copy of the decoder, whoever calls it: the table is large enough.
#[inline(never)]
fn decode<'de, T: Decode<'de>>(wire: &'de [u8], limits: Limits) -> Result<T, DecodeError> {
    from_slice_with(wire, limits)
}

#[inline(never)]
fn encode<T: Encode>(value: &T) -> Vec<u8> {
    to_vec(value).expect("what was decoded can be encoded")
}

fn again<T: Encode + DecodeOwned + PartialEq>(wire: &[u8]) -> Result<Again, DecodeError> {
    let value: T = decode(wire, Limits::DEFAULT)?;
    let encoded = encode(&value);
    let equal = decode::<T>(&encoded, Limits::DEFAULT)? == value;
    Ok(Again { encoded_len: encoded_len(&value), wire: encoded, equal })
}

fn decode_and_encode<'de, T: Encode + Decode<'de>>(wire: &'de [u8], limits: Limits) -> Result<Vec<u8>, DecodeError> {
    decode::<T>(wire, limits).map(|value| encode(&value))
}

fn shape<T: Encode + DecodeOwned + PartialEq>(borrowed: Option<Borrowed>) -> Shape {
    assert_eq!(<T as Encode>::WIRE, <T as Decode<'_>>::WIRE);
    assert_eq!(<T as Encode>::MAX_WIRE, <T as Decode<'_>>::MAX_WIRE);
    Shape {
        name: type_name::<T>(),
        schema: <T as Encode>::schema,
        again: again::<T>,
        decode: |wire, limits| decode::<T>(wire, limits).map(drop),
        shared: |wire, limits| from_bytes_with::<T>(wire, limits).map(|value| encode(&value)),
        borrowed,
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

    #[xdr(transparent)]
    struct Handle(#[xdr(max = 64)] Bytes);

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

// What some of them are on the wire, borrowed where that is possible.
types! {
    #[xdr(transparent, rename = "Name")]
    struct BorrowedName<'a>(#[xdr(max = 9)] &'a str);

    #[xdr(transparent, rename = "Long")]
    struct BorrowedLong<'a>(#[xdr(max = 40)] Cow<'a, str>);

    #[xdr(transparent, rename = "Text")]
    struct BorrowedText<'a>(#[xdr(max = 7)] XdrStr<'a>);

    #[xdr(transparent, rename = "Blob")]
    struct BorrowedBlob<'a>(#[xdr(max = 5)] &'a [u8]);

    #[xdr(transparent, rename = "Handle")]
    struct BorrowedHandle<'a>(#[xdr(max = 64)] Cow<'a, [u8]>);

    #[xdr(rename = "Mixed")]
    struct BorrowedMixed<'a> {
        a: u32,
        #[xdr(max = 3)]
        b: &'a str,
        c: [u8; 3],
        d: u64,
        #[xdr(max = 3)]
        e: &'a [u8],
        f: bool,
    }

    #[xdr(rename = "Tail")]
    struct BorrowedTail<'a> {
        #[xdr(max = 2, item(max = 6))]
        names: Vec<&'a str>,
        #[xdr(item(max = 2))]
        slots: [&'a [u8]; 2],
        #[xdr(max = 6)]
        note: Option<&'a str>,
    }

    #[xdr(switch = u32, rename = "Value")]
    enum BorrowedValue<'a> {
        #[xdr(case = 1)]
        Int(i32),
        #[xdr(case = [2, 6])]
        Flag {
            #[xdr(tag)]
            tag: u32,
            bits: u32,
            #[xdr(max = 4)]
            name: &'a str,
        },
        #[xdr(case = 9)]
        Nothing,
        #[xdr(default)]
        Other {
            #[xdr(tag)]
            tag: u32,
        },
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

/// `$container<$element>` for every pair; behind an arrow what is the same on the wire and borrows.
macro_rules! every {
    ($table:ident, [$($container:ident)+], $elements:tt) => { $(every!(@row $table, $container, $elements);)+ };
    (@row $table:ident, $container:ident, [$($element:ty $(=> $borrowed:ty)?,)+]) => {
        $table.extend([$(shape::<$container<$element>>(every!(@borrowed $($container<$borrowed>)?))),+]);
    };
    (@borrowed) => { None };
    (@borrowed $type:ty) => { Some(|wire, limits| decode_and_encode::<$type>(wire, limits)) };
}

/// The table.
#[must_use]
pub fn shapes() -> Vec<Shape> {
    let mut table = Vec::new();
    every!(
        table,
        [Plain Optional Boxed Array Arrays Fixed List Outcome Either Sparse Between],
        [
            u32, i64, f32, f64, bool, i8, u16, xdr_core::UChar, [u8; 5], [u8; 8], Name => BorrowedName<'_>,
            Long => BorrowedLong<'_>, Text => BorrowedText<'_>, Blob => BorrowedBlob<'_>, Words,
            Mixed => BorrowedMixed<'_>, Tail => BorrowedTail<'_>, Color, Value => BorrowedValue<'_>, Maybe, Paint, Chain,
            (bool, Name) => (bool, BorrowedName<'_>), [Name; 2] => [BorrowedName<'_>; 2], Handle => BorrowedHandle<'_>,
        ]
    );
    every!(
        table,
        [Plain Optional Array List Outcome Either Between],
        [
            Array<Mixed> => Array<BorrowedMixed<'_>>, List<Name> => List<BorrowedName<'_>>, Optional<List<Words>>,
            Either<Tail> => Either<BorrowedTail<'_>>, Sparse<Value> => Sparse<BorrowedValue<'_>>, Fixed<Maybe>,
            Boxed<Arrays<Blob>> => Boxed<Arrays<BorrowedBlob<'_>>>, Outcome<Chain>, Between<Paint>,
            Outcome<Handle> => Outcome<BorrowedHandle<'_>>,
        ]
    );
    table
}
