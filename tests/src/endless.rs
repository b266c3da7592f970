//! Fields without a maximum, and messages that make the most of them: only the limits stop these.

use std::borrow::Cow;

use xdr_core::{Bytes, DecodeError, Limits, Xdr, XdrStr, XdrString};

use crate::every_shape::{Everything, Nothing, Tree};

/// Decodes a value and forgets it. Borrowed values borrow from the buffer.
pub type Decoder = fn(&Bytes, Limits) -> Result<(), DecodeError>;

/// What a decoder decodes, and the decoder.
pub type Named = (&'static str, Decoder);

/// Decoders for fields of these types, `Type => (what stands in #[xdr(...)])`, out of a slice and out of a shared
/// buffer: a `Vec` of [`Named`].
///
/// The lifetime of what is borrowed is `'a`.
#[macro_export]
macro_rules! decoders {
    ($($type:ty => ($($bounds:tt)*)),+ $(,)?) => {
        [$({
            #[derive(::xdr_core::Xdr)]
            struct Field<'a> {
                #[xdr($($bounds)*)]
                field: $type,
                #[xdr(skip)]
                lifetime: ::std::marker::PhantomData<&'a ()>,
            }
            let slice: $crate::endless::Decoder = |wire, limits| {
                ::xdr_core::from_slice_with::<Field<'_>>(wire, limits).map(|Field { field: _, lifetime: _ }| ())
            };
            let bytes: $crate::endless::Decoder =
                |wire, limits| ::xdr_core::from_bytes_with::<Field<'_>>(wire, limits).map(drop);
            [(stringify!($type), slice), (concat!(stringify!($type), " out of Bytes"), bytes)]
        }),+]
        .concat()
    };
}

/// A few bytes on the wire, hundreds in memory.
#[expect(clippy::large_enum_variant, reason = "the very thing to be tested")]
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
pub enum Amplified {
    /// Four bytes.
    #[xdr(case = 0)]
    Small,
    /// Why the others are as large.
    #[xdr(case = 1)]
    Large([u64; 64]),
}

/// Strings and opaque data.
#[must_use]
pub fn opaques() -> Vec<Named> {
    decoders! {
        Vec<u8> => (unbounded),
        &'a [u8] => (unbounded),
        Bytes => (unbounded),
        Cow<'a, [u8]> => (unbounded),
        XdrStr<'a> => (unbounded),
        XdrString => (unbounded),
        Vec<u8> => (max = usize::MAX),
    }
    .into_iter()
    .chain(texts())
    .collect()
}

/// Strings that have to be UTF-8.
#[must_use]
pub fn texts() -> Vec<Named> {
    decoders! {
        String => (unbounded),
        &'a str => (unbounded),
        Cow<'a, str> => (unbounded),
        Box<str> => (unbounded),
        String => (max = u32::MAX as usize),
    }
}

/// Arrays of elements that take some bytes.
#[must_use]
pub fn arrays() -> Vec<Named> {
    decoders! {
        Vec<i32> => (unbounded),
        Vec<u64> => (max = usize::MAX),
        Vec<bool> => (unbounded),
        Vec<[u64; 512]> => (unbounded),
        Vec<Amplified> => (unbounded),
        Vec<Everything> => (unbounded),
        Vec<String> => (unbounded, item(max = 8)),
        Vec<&'a str> => (unbounded, item(max = 8)),
        Vec<Bytes> => (unbounded, item(unbounded)),
        Vec<Vec<()>> => (unbounded, item(unbounded)),
        Vec<Option<u32>> => (unbounded),
        Box<[u32]> => (unbounded),
        Box<[String]> => (unbounded, item(unbounded)),
    }
}

/// Arrays of elements that take no bytes.
#[must_use]
pub fn voids() -> Vec<Named> {
    decoders! {
        Vec<()> => (unbounded),
        Vec<Nothing> => (unbounded),
        Vec<[(); 1]> => (unbounded),
        Vec<((), Nothing)> => (unbounded),
        Box<[()]> => (unbounded),
        Vec<[u8; 0]> => (unbounded),
    }
}

/// Lists.
#[must_use]
pub fn lists() -> Vec<Named> {
    decoders! {
        Vec<()> => (list, unbounded),
        Vec<Amplified> => (list, unbounded),
        Box<[Amplified]> => (list, unbounded),
        Vec<&'a str> => (list, unbounded, item(unbounded)),
        Vec<Tree> => (list, unbounded),
        Vec<Vec<u64>> => (list, unbounded, item(unbounded)),
        Vec<Box<[Bytes]>> => (list, unbounded, item(unbounded, item(unbounded))),
    }
}

/// A type, its decoder, and the wire form of that many elements.
pub type Amplifying = (&'static str, Decoder, fn(u32) -> Vec<u8>);

/// Messages that cost far more memory than they have bytes.
#[must_use]
pub fn amplifying() -> Vec<Amplifying> {
    let arrays = decoders! {
        Vec<Amplified> => (unbounded),
        Box<[Amplified]> => (unbounded),
        Vec<Vec<u8>> => (unbounded, item(unbounded)),
        Vec<Bytes> => (unbounded, item(unbounded)),
        Vec<&'a str> => (unbounded, item(unbounded)),
        Vec<Cow<'a, [u8]>> => (unbounded, item(unbounded)),
        Vec<Option<Box<[u64; 64]>>> => (unbounded),
    };
    let lists = decoders! {
        Vec<Amplified> => (list, unbounded),
        Vec<String> => (list, unbounded, item(unbounded)),
        Vec<&'a [u8]> => (list, unbounded, item(unbounded)),
        Vec<Vec<u64>> => (list, unbounded, item(unbounded)),
    };
    let nested_arrays = decoders! {
        Vec<Vec<Amplified>> => (unbounded, item(unbounded)),
        Vec<Box<[Vec<String>]>> => (unbounded, item(unbounded, item(unbounded, item(unbounded)))),
    };
    let of_texts = decoders! {
        Vec<String> => (unbounded, item(unbounded)),
        Vec<Box<str>> => (unbounded, item(unbounded)),
        Vec<XdrString> => (unbounded, item(unbounded)),
        Vec<Vec<u8>> => (unbounded, item(unbounded)),
        Vec<Bytes> => (unbounded, item(unbounded)),
    };
    let optional = decoders! {
        Vec<Option<Box<Amplified>>> => (unbounded),
        Vec<Option<Box<Box<Amplified>>>> => (unbounded),
    };
    let with = |decoders: Vec<Named>, wire: fn(u32) -> Vec<u8>| {
        decoders.into_iter().map(move |(name, decode)| (name, decode, wire))
    };
    with(arrays, |count| counted(count, &[0; 4]))
        .chain(with(lists, linked))
        // Arrays of one empty array each.
        .chain(with(nested_arrays, |count| counted(count, &[0, 0, 0, 1, 0, 0, 0, 0])))
        .chain(with(of_texts, |count| counted(count, &[0, 0, 0, 3, b'a', b'b', b'c', 0])))
        // Data that is there.
        .chain(with(optional, |count| counted(count, &[0, 0, 0, 1, 0, 0, 0, 0])))
        .collect()
}

/// An array of that many such elements.
fn counted(count: u32, element: &[u8]) -> Vec<u8> {
    let mut wire = count.to_be_bytes().to_vec();
    wire.extend(element.repeat(count as usize));
    wire
}

/// A list of that many elements without content.
#[must_use]
pub fn linked(count: u32) -> Vec<u8> {
    let mut wire = [0, 0, 0, 1, 0, 0, 0, 0].repeat(count as usize);
    wire.extend([0; 4]);
    wire
}

/// The decoders of all these types.
#[must_use]
pub fn all() -> Vec<Named> {
    let amplifying = amplifying().into_iter().map(|(name, decode, _)| (name, decode));
    [opaques(), arrays(), voids(), lists()].concat().into_iter().chain(amplifying).collect()
}
