//! Bytes that are no message.
use super::*;

/// A message with something in every field.
fn everything() -> Everything {
    let leaf = Tree { value: 3, left: None, children: vec![] };
    let tree = Tree { value: 1, left: Some(Box::new(leaf.clone())), children: vec![leaf.clone(), leaf] };
    Everything {
        words: Words {
            int: -1,
            unsigned: 2,
            hyper: -3,
            unsigned_hyper: 4,
            float: 1.5,
            double: -0.0,
            flag: true,
            char: -128,
            short: -5,
            unsigned_short: 6,
            void: (),
            pair: (7, -8),
        },
        lengths: Lengths {
            fixed_opaque: *b"fixed",
            opaque: b"opaque".to_vec(),
            shared: Bytes::from_static(b"s"),
            text: "täxt".into(),
            boxed_text: "boxed text".into(),
            endless: "no end".into(),
            ints: vec![1, -2],
            hypers: [3, -4].into(),
            texts: vec!["a".into(), String::new(), "abc".into()],
            rows: vec![vec![], vec![1, 2, 3]],
            fixed: [1, 2, 3],
            fixed_texts: ["x".into(), "yz".into()],
            cached: 0,
        },
        links: Links {
            optional: Some(1),
            optional_text: Some("optional".into()),
            boxed: Box::new(5),
            tree: Some(Box::new(tree.clone())),
            list: vec![1, 2],
            texts: vec!["in a list".into()],
            result: Err(Name("error".into())),
        },
        nothing: Nothing,
        state: State::Stopped,
        code: Code::Other(-9),
        by_number: vec![
            ByNumber::Int(-1),
            ByNumber::Flag { tag: u32::MAX, bits: 1, name: "flag".into() },
            ByNumber::Nothing,
            ByNumber::Other(KIND_NOTHING + 1, 7),
        ],
        by_int: [ByInt::Below(tree), ByInt::Above(vec![1, 2])],
        by_state: ByState::Idle(State::Paused),
        by_bool: Some(ByBool::Yes(Name("yes".into()))),
        page: Page { items: vec![Name("item".into())], more: false },
    }
}

#[test]
fn rejects_every_prefix_of_a_message() {
    #[track_caller]
    fn check<'de, T: Decode<'de>>(whole: &'de Bytes) {
        for end in 0..whole.len() {
            let prefix = &whole[..end];
            let ended = |error: DecodeError| {
                matches!(error.kind, DecodeErrorKind::UnexpectedEnd { .. } | DecodeErrorKind::CountBeyondInput { .. })
                    && error.offset <= end
            };
            assert!(from_slice::<T>(prefix).is_err_and(ended), "a prefix of {end} bytes");
        }
        assert!(from_slice::<T>(whole).is_ok() && from_bytes::<T>(whole).is_ok());
    }
    on_a_small_stack(|| {
        check::<Everything>(&to_vec(&everything()).unwrap().into());
        check::<BorrowedLengths<'_>>(&to_vec(&everything().lengths).unwrap().into());
        check::<Bounded>(&to_vec(&full()).unwrap().into());
    });
}

#[test]
fn survives_every_change_of_a_byte_and_accepts_none_that_it_would_not_send() {
    on_a_small_stack(|| {
        let whole = to_vec(&everything()).unwrap();
        let (mut accepted, mut rejected) = (0, 0);
        for index in 0..whole.len() {
            for change in [1, 2, 0x7f, 0x80, 0xff] {
                let mut wire = whole.clone();
                wire[index] ^= change;
                let wire = Bytes::from(wire);
                match (from_slice::<Everything>(&wire), from_bytes::<Everything>(&wire)) {
                    (Ok(value), Ok(_)) => {
                        assert_eq!(to_vec(&value).unwrap(), wire, "byte {index} changed by {change:#x}");
                        accepted += 1;
                    }
                    (Err(error), Err(other)) => {
                        assert_eq!(error, other);
                        assert!(error.offset <= wire.len() && error.path.starts_with("Everything"), "{error}");
                        rejected += 1;
                    }
                    (one, other) => panic!("slice and Bytes differ: {one:?}, {other:?}"),
                }
            }
        }
        assert!(accepted > 100 && rejected > 100, "{accepted} accepted, {rejected} rejected");
    });
}

#[test]
fn survives_the_same_message_owned_borrowed_and_shared() {
    on_a_small_stack(|| {
        let owned = everything().lengths;
        let wire = Bytes::from(to_vec(&owned).unwrap());
        let shared = from_bytes::<Lengths>(&wire).unwrap();
        assert_eq!(shared, owned);
        assert!(wire.as_ptr_range().contains(&shared.shared.as_ptr()), "it is a copy");
        let borrowed = from_slice::<BorrowedLengths<'_>>(&wire).unwrap();
        assert!(matches!(borrowed.shared, Cow::Borrowed(_)) && matches!(borrowed.boxed_text, Cow::Borrowed(_)));
        assert_eq!(to_vec(&borrowed).unwrap(), wire);
    });
}

#[test]
fn rejects_a_message_without_its_last_padding() {
    on_a_small_stack(|| {
        for (name, decode) in endless::opaques() {
            for len in [1_usize, 2, 3, 5] {
                let mut wire = words(&[u32::try_from(len).unwrap()]);
                wire.resize(4 + len.next_multiple_of(4), b'x');
                wire[4 + len..].fill(0);
                decode(&Bytes::from(wire.clone()), Limits::default()).unwrap();
                for missing in 1..=len.next_multiple_of(4) - len {
                    let kind = refused_for_free(name, decode, &wire[..wire.len() - missing]);
                    assert_eq!(kind, DecodeErrorKind::UnexpectedEnd { missing }, "{name} of {len} bytes");
                }
            }
        }
        let kind = from_slice::<[u8; 5]>(b"fixed\0\0").unwrap_err().kind;
        assert_eq!(kind, DecodeErrorKind::UnexpectedEnd { missing: 1 });
    });
}

#[test]
fn rejects_padding_that_is_not_zero() {
    on_a_small_stack(|| {
        let lenient = Limits::default().with_lenient_padding(true);
        for (name, decode) in endless::opaques() {
            for (len, padding) in [(1, 3), (2, 2), (3, 1)] {
                for at in 0..padding {
                    let mut wire = words(&[len, 0]);
                    let index = wire.len() - padding + at;
                    wire[index] = 0x80;
                    let wire = Bytes::from(wire);
                    let error = decode(&wire, Limits::default()).unwrap_err();
                    assert_eq!((error.kind, error.offset), (DecodeErrorKind::NonZeroPadding, index), "{name}");
                    assert_eq!(decode(&wire, lenient), Ok(()), "{name}");
                }
            }
        }
        let error = from_slice::<[u8; 5]>(b"fixed\0\x01\0").unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::NonZeroPadding, 6));
        assert_eq!(&from_slice_with::<[u8; 5]>(b"fixed\0\x01\0", lenient).unwrap(), b"fixed");
    });
}

#[test]
fn rejects_words_that_stand_for_nothing() {
    fn kind<T: DecodeOwned>(wire: &[u32]) -> DecodeErrorKind {
        let error = from_slice::<T>(&words(wire)).map(drop).unwrap_err();
        assert_eq!(error.offset, 0, "{error}");
        error.kind
    }
    /// The same out of a slice from which the value may borrow, and out of shared bytes.
    fn borrowed_kinds(decoders: Vec<(&'static str, Decoder)>, wire: &[u32], expected: DecodeErrorKind) {
        for (name, decode) in decoders {
            let error = decode(&Bytes::from(words(wire)), Limits::default()).unwrap_err();
            assert_eq!((error.kind, error.offset), (expected, 0), "{name}");
        }
    }
    #[derive(Xdr)]
    struct List(#[xdr(list, max = 4)] Vec<u32>);
    on_a_small_stack(|| {
        for word in [2, 0x100, 0x0100_0000, 0x8000_0000, u32::MAX] {
            assert_eq!(kind::<bool>(&[word]), DecodeErrorKind::InvalidBool(word));
            assert_eq!(kind::<Option<()>>(&[word]), DecodeErrorKind::InvalidOptionFlag(word));
            assert_eq!(kind::<List>(&[word, 0, 0]), DecodeErrorKind::InvalidOptionFlag(word));
            let flags = decoders! {
                Option<&'a str> => (max = 4),
                Option<Cow<'a, [u8]>> => (max = 4),
                Option<Bytes> => (max = 4),
                Vec<&'a [u8]> => (list, max = 4, item(max = 4)),
                Vec<Bytes> => (list, max = 4, item(max = 4)),
            };
            borrowed_kinds(flags, &[word, 0, 0], DecodeErrorKind::InvalidOptionFlag(word));
            assert_eq!(kind::<ByBool>(&[word, 0]), DecodeErrorKind::InvalidBool(word));
            let signed = word.cast_signed();
            assert_eq!(kind::<Result<(), ()>>(&[word]), DecodeErrorKind::UnknownDiscriminant(signed));
        }
        for value in [0, 3, -1, -2, -4, i32::MIN, i32::MAX] {
            assert_eq!(kind::<State>(&[value.cast_unsigned()]), DecodeErrorKind::UnknownEnumValue(value));
            assert_eq!(kind::<ByState>(&[value.cast_unsigned(), 0]), DecodeErrorKind::UnknownEnumValue(value));
        }
        for value in [0, 2, -2, i32::MIN] {
            assert_eq!(kind::<ByInt>(&[value.cast_unsigned(), 0, 0]), DecodeErrorKind::UnknownDiscriminant(value));
        }
        for value in [128, -129, 0xff, i32::MAX, i32::MIN] {
            assert_eq!(kind::<i8>(&[value.cast_unsigned()]), DecodeErrorKind::OutOfRange(value));
        }
        assert_eq!(kind::<i16>(&[0x8000]), DecodeErrorKind::OutOfRange(0x8000));
        assert_eq!(kind::<u16>(&[0x1_0000]), DecodeErrorKind::OutOfRange(0x1_0000));
        assert_eq!(kind::<u16>(&[u32::MAX]), DecodeErrorKind::OutOfRange(-1));
        // What has no name is kept where the type says so, and never mistaken for what has.
        assert_eq!(from_slice::<Code>(&words(&[u32::MAX])).unwrap(), Code::Other(-1));
        assert_eq!(from_slice::<Code>(&words(&[42])).unwrap(), Code::NoDomain);
    });
}

#[test]
fn survives_a_list_of_200_000_nodes() {
    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Listing {
        #[xdr(list, max = 200_000)]
        entries: Vec<(u32, Name)>,
    }
    on_a_small_stack(|| {
        let listing = Listing { entries: vec![(7, Name("x".into())); 200_000] };
        let wire = to_vec(&listing).unwrap();
        assert_eq!(wire.len(), 200_000 * 16 + 4);
        let limits = Limits::default().with_heap(32 << 20);
        let (decoded, peak) = measured(|| from_slice_with::<Listing>(&wire, limits).unwrap());
        assert!(peak <= limits.heap() + BESIDES, "{peak} bytes allocated");
        assert_eq!(decoded.clone(), listing);
        assert_eq!(format!("{decoded:?}").matches("Name").count(), 200_000);
        drop(decoded);
        // One node more, and an end that never comes.
        let mut longer = words(&[1, 7, 0]);
        longer.extend(&wire);
        let kind = from_slice_with::<Listing>(&longer, limits).unwrap_err().kind;
        assert_eq!(kind, DecodeErrorKind::TooLong { what: Lengthy::List, len: 200_001, max: 200_000 });
        let error = from_slice_with::<Listing>(&wire[..wire.len() - 4], limits).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnexpectedEnd { missing: 4 });
    });
}

#[test]
fn survives_a_list_of_200_000_borrowed_nodes() {
    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Listing<'a> {
        #[xdr(list, max = 200_000, item(max = 4))]
        entries: Vec<&'a str>,
        #[xdr(list, max = 200_000, item(max = 4))]
        shared: Vec<Bytes>,
    }
    on_a_small_stack(|| {
        let shared = Bytes::from_static(b"yz");
        let listing = Listing { entries: vec!["x"; 200_000], shared: vec![shared; 200_000] };
        let wire = Bytes::from(to_vec(&listing).unwrap());
        assert_eq!(wire.len(), 2 * (200_000 * 12 + 4));
        let limits = Limits::default().with_heap(32 << 20);
        let (decoded, peak) = measured(|| from_bytes_with::<Listing<'_>>(&wire, limits).unwrap());
        assert!(peak <= limits.heap() + REFERENCE_COUNT, "{peak} bytes allocated");
        assert!(decoded.entries.iter().all(|entry| wire.as_ptr_range().contains(&entry.as_ptr())));
        assert!(decoded.shared.iter().all(|entry| wire.as_ptr_range().contains(&entry.as_ptr())));
        assert_eq!(decoded.clone(), listing);
        assert_eq!(format!("{decoded:?}").matches('x').count(), 200_000);
        drop(decoded);
        let error = from_slice_with::<Listing<'_>>(&wire[..wire.len() / 2 - 4], limits).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnexpectedEnd { missing: 4 });
    });
}

/// A type that holds itself in every way that there is.
#[derive(Debug, Clone, PartialEq, Xdr)]
struct Recursive {
    boxed: Option<Box<Recursive>>,
    #[xdr(max = 4, recursive)]
    array: Vec<Recursive>,
    #[xdr(list, max = 4, recursive)]
    list: Vec<Recursive>,
    #[xdr(max = 4, recursive)]
    slice: Box<[Recursive]>,
}

#[test]
fn rejects_nesting_one_beyond_the_depth_limit() {
    /// `depth` values inside each other by `inward` and the arrays that end each, by `outward`.
    fn nested(inward: &[u32], outward: &[u32], depth: usize) -> Vec<u8> {
        [words(inward).repeat(depth), words(&[0, 0, 0, 0]), words(outward).repeat(depth)].concat()
    }
    on_a_stack_of(RECURSION_STACK, || {
        // Through the box, the array, the list and the boxed slice.
        let ways: [(&[u32], &[u32]); 4] =
            [(&[1], &[0, 0, 0]), (&[0, 1], &[0, 0]), (&[0, 0, 1], &[0, 0]), (&[0, 0, 0, 1], &[])];
        for (inward, outward) in ways {
            // The innermost value's own empty arrays are one level more.
            let deepest = nested(inward, outward, 63);
            let value = from_slice::<Recursive>(&deepest).unwrap();
            assert_eq!(to_vec(&value.clone()).unwrap(), deepest);
            let error = from_slice::<Recursive>(&nested(inward, outward, 64)).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::DepthLimit { limit: 64 }, "{inward:?}");
            let endless = words(inward).repeat(1_000_000);
            let (error, peak) = measured(|| from_slice::<Recursive>(&endless).map(drop).unwrap_err());
            assert_eq!(error.kind, DecodeErrorKind::DepthLimit { limit: 64 }, "{inward:?}");
            assert!(peak < 3 * BESIDES, "{peak} bytes allocated");
        }
        // Neighbours do not count as depth.
        let value = from_slice::<Recursive>(&nested(&[1], &[0, 0, 0], 60)).unwrap();
        let wide = Recursive { boxed: None, array: vec![value.clone(); 4], list: vec![value; 4], slice: Box::new([]) };
        assert_eq!(from_slice::<Recursive>(&to_vec(&wide).unwrap()).unwrap(), wide);
    });
}

#[test]
fn rejects_borrowed_nesting_one_beyond_the_depth_limit() {
    #[derive(Debug, Clone, PartialEq, Xdr)]
    struct Nested<'a> {
        #[xdr(max = 4)]
        name: &'a str,
        inner: Option<Box<Nested<'a>>>,
    }
    on_a_stack_of(RECURSION_STACK, || {
        let nested = |depth| [words(&[1, 0x6100_0000, 1]).repeat(depth), words(&[0, 0])].concat();
        let deepest = nested(64);
        let value = from_slice::<Nested<'_>>(&deepest).unwrap();
        assert_eq!(to_vec(&value.clone()).unwrap(), deepest);
        for depth in [65, 300_000] {
            let wire = nested(depth);
            let (error, peak) = measured(|| from_slice::<Nested<'_>>(&wire).map(drop).unwrap_err());
            assert_eq!((error.kind, error.offset), (DecodeErrorKind::DepthLimit { limit: 64 }, 65 * 12));
            assert!(peak < 3 * BESIDES, "{peak} bytes allocated");
        }
    });
}

#[test]
fn rejects_bytes_behind_the_message() {
    on_a_small_stack(|| {
        let lengths = to_vec(&everything().lengths).unwrap();
        let longer = [&lengths[..], &[0]].concat();
        let error = from_slice::<BorrowedLengths<'_>>(&longer).unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::TrailingBytes { count: 1 }, lengths.len()));
        let wire = to_vec(&everything()).unwrap();
        for count in 1..=8 {
            for byte in [0, 0xff] {
                let longer = Bytes::from([wire.clone(), vec![byte; count]].concat());
                let expected = DecodeErrorKind::TrailingBytes { count };
                let error = from_slice::<Everything>(&longer).unwrap_err();
                assert_eq!((error.kind, error.offset), (expected, wire.len()));
                assert_eq!(from_bytes::<Everything>(&longer).unwrap_err().kind, expected);
                let (value, rest) = decode_prefix::<Everything>(&longer).unwrap();
                assert_eq!((value, rest), (everything(), &longer[wire.len()..]));
            }
        }
    });
}

#[test]
fn survives_a_nul_inside_a_text() {
    on_a_small_stack(|| {
        #[derive(Debug, PartialEq, Xdr)]
        struct Texts<'a> {
            #[xdr(max = 4)]
            borrowed: &'a str,
            #[xdr(max = 4)]
            either: Cow<'a, str>,
            #[xdr(max = 4)]
            boxed: Box<str>,
            #[xdr(max = 4)]
            bytes: XdrStr<'a>,
        }
        let text = "a\0b\0";
        let name = Name(text.into());
        let wire = to_vec(&name).unwrap();
        assert_eq!(wire, b"\0\0\0\x04a\0b\0");
        assert_eq!(from_slice::<Name>(&wire).unwrap(), name);
        let texts = Texts { borrowed: text, either: text.into(), boxed: text.into(), bytes: text.into() };
        assert_eq!(to_vec(&texts).unwrap(), wire.repeat(4));
        assert_eq!(from_slice::<Texts<'_>>(&wire.repeat(4)).unwrap(), texts);
    });
}

#[test]
fn rejects_text_that_is_not_utf_8() {
    on_a_small_stack(|| {
        for (text, at) in [
            (&b"\xff"[..], 0),
            (b"ab\xc3", 2),            // cut short
            (b"abc\xc0\xaf", 3),       // overlong slash
            (b"\xed\xa0\x80", 0),      // surrogate
            (b"a\xf4\x90\x80\x80", 1), // beyond the last character
            (b"abcd\x80", 4),          // continuation of nothing
        ] {
            let mut wire = words(&[u32::try_from(text.len()).unwrap()]);
            wire.extend(text);
            wire.resize(wire.len().next_multiple_of(4), 0);
            // Something behind it, which must not move the offset.
            let behind = [wire.clone(), vec![0; 4]].concat();
            #[derive(Debug, Xdr)]
            struct Texts<'a> {
                #[xdr(max = 8)]
                first: &'a str,
                second: u32,
            }
            for (name, decode) in endless::texts() {
                let error = decode(&Bytes::from(wire.clone()), Limits::default()).unwrap_err();
                assert_eq!((error.kind, error.offset), (DecodeErrorKind::InvalidUtf8, 4 + at), "{name}: {text:?}");
            }
            let error = from_slice::<Texts<'_>>(&behind).map(|texts| (texts.first, texts.second)).unwrap_err();
            assert_eq!((error.kind, error.offset), (DecodeErrorKind::InvalidUtf8, 4 + at), "{text:?}");
        }
    });
}

#[test]
fn survives_discriminants_of_four_bytes_whatever_the_repr() {
    #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
    #[repr(u8)]
    enum Narrow {
        High = 0xff,
    }
    #[derive(Debug, Clone, Copy, PartialEq, Xdr)]
    #[repr(i64)]
    enum Wide {
        Low = -2,
    }
    on_a_small_stack(|| {
        assert_eq!(to_vec(&Narrow::High).unwrap(), words(&[0xff]));
        assert_eq!(to_vec(&Wide::Low).unwrap(), words(&[0xffff_fffe]));
        assert_eq!(to_vec(&ByInt::Above(vec![])).unwrap(), words(&[1, 0]));
        assert_eq!(to_vec(&ByState::Idle(State::Stopped)).unwrap(), words(&[0xffff_fffd]));
        assert_eq!((<Narrow as Encode>::FIXED_WIRE, <Wide as Encode>::FIXED_WIRE), (Some(4), Some(4)));
        let error = from_slice::<Wide>(&[0xff; 7]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnknownEnumValue(-1));
    });
}
