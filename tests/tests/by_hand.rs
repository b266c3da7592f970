//! A codec written by hand as the documentation of `Decode` says, beside fields of all kinds.

use xdr_core::{
    Decode, DecodeFault, Encode, EncodeFault, Reader, Schema, Shape, Wire, encode_to_slice, from_slice, to_vec,
};

/// Opaque of at most eight bytes.
#[derive(Debug, PartialEq)]
struct Text(Vec<u8>);

impl<'de> Decode<'de> for Text {
    const WIRE: Wire = Wire { head: 4, tail: true, min: 4 };
    const MAX_WIRE: Option<usize> = Some(12);

    fn decode(reader: &mut Reader<'de>, run: &mut &'de [u8], after: usize) -> Result<Self, DecodeFault> {
        let len = reader.word(run, after)? as usize;
        let body = reader.take(len.next_multiple_of(4))?;
        Ok(Self(body[..len].to_vec()))
    }

    fn schema() -> &'static Schema {
        const { &Schema::builtin("opaque", Shape::Opaque { max: 8 }) }
    }
}

#[derive(Debug, PartialEq, Decode)]
struct First {
    text: Text,
    number: u32,
}

#[derive(Debug, PartialEq, Decode)]
struct Between {
    number: u32,
    text: Text,
    last: u32,
}

fn text(byte: u8) -> Text {
    Text(vec![byte])
}

#[test]
fn a_tail_is_not_taken_for_the_fields_behind_it() {
    let wire = [0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 9];
    assert_eq!(from_slice(&wire), Ok(First { text: text(7), number: 9 }));
    assert_eq!(from_slice(&wire), Ok((text(7), 9_u32)));
    let wire = [&[0, 0, 0, 5][..], &wire].concat();
    assert_eq!(from_slice(&wire), Ok(Between { number: 5, text: text(7), last: 9 }));
    assert_eq!(from_slice(&wire), Ok((5_u32, text(7), 9_u32)));
    assert_eq!(from_slice(&[0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0]), Ok([text(7), text(8)]));
}

/// A word that writes two.
struct TooMuch;

impl Encode for TooMuch {
    const WIRE: Wire = Wire::fixed(4);
    const MAX_WIRE: Option<usize> = Some(4);

    fn head(&self, out: &mut [u8]) -> Result<(), EncodeFault> {
        <u64 as Encode>::head(&7, out)
    }

    fn schema() -> &'static Schema {
        <u32 as Encode>::schema()
    }
}

#[derive(Encode)]
struct Beside {
    #[xdr(max = 8)]
    text: String,
    number: u32,
    word: TooMuch,
}

#[test]
fn a_front_that_is_not_written_is_no_success() {
    let value = Beside { text: "text".into(), number: 9, word: TooMuch };
    assert!(to_vec(&value).is_err());
    assert!(encode_to_slice(&value, &mut [0; 64]).is_err());
}
