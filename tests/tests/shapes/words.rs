//! Small integers, bytes of any value, and padding.
use super::*;

#[test]
fn small_integers_are_checked_words() {
    both_ways(&-1_i8, &bytes(&[u32::MAX]));
    both_ways(&u16::MAX, &bytes(&[65535]));
    both_ways(&i16::MIN, &bytes(&[(-32768_i32) as u32]));
    assert_eq!(xdr_core::from_slice::<i8>(&bytes(&[128])).unwrap_err().kind, DecodeErrorKind::OutOfRange(128));
}

#[test]
fn quadruple_and_unsigned_char_are_what_c_sends() {
    both_ways(&xdr_core::UChar(255), &bytes(&[255]));
    assert_eq!(
        xdr_core::from_slice::<xdr_core::UChar>(&bytes(&[256])).unwrap_err().kind,
        DecodeErrorKind::OutOfRange(256)
    );
    both_ways(&xdr_core::Quadruple([7; 16]), &[7; 16]);
}

#[test]
fn text_that_is_not_utf8_has_types_of_its_own() {
    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Names<'a> {
        #[xdr(max = 4)]
        borrowed: xdr_core::XdrStr<'a>,
        #[xdr(max = 4)]
        owned: xdr_core::XdrString,
        #[xdr(max = 2, item(max = 4))]
        many: Vec<xdr_core::XdrString>,
    }
    let value = Names {
        borrowed: xdr_core::XdrStr(&[0xff]),
        owned: xdr_core::XdrString(vec![0xfe, 0]),
        many: vec!["ab".into()],
    };
    let wire = xdr_core::to_vec(&value).unwrap();
    assert_eq!(wire, [&bytes(&[1, 0xff00_0000, 2, 0xfe00_0000, 1, 2])[..], b"ab\0\0"].concat());
    assert_eq!(xdr_core::from_slice::<Names<'_>>(&wire).unwrap(), value);
}

#[test]
fn padding_may_be_anything_where_the_limits_say_so() {
    let limits = Limits::default().with_lenient_padding(true);
    let wire = [&bytes(&[7, 1])[..], b"a\x01\x02\x03"].concat();
    assert!(xdr_core::from_slice::<Tuple>(&wire).is_err());
    assert_eq!(xdr_core::from_slice_with::<Tuple>(&wire, limits).unwrap(), Tuple(7, "a".into()));
    assert_eq!(xdr_core::from_slice_with::<[u8; 1]>(&[1, 9, 9, 9], limits).unwrap(), [1]);
}
