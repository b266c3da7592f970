//! Lengths that lie, and what they would cost.
use super::*;

const ENORMOUS: [u32; 8] =
    [0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xf000_0000, 0xffff_fffc, 0xffff_fffd, 0xffff_fffe, 0xffff_ffff];

#[test]
fn rejects_an_opaque_of_enormous_length_without_allocating() {
    on_a_small_stack(|| {
        for (name, decode) in endless_opaques() {
            for len in ENORMOUS {
                for body in 0..9 {
                    let mut wire = words(&[len]);
                    wire.resize(4 + body, b'x');
                    let kind = refused_for_free(name, decode, &wire);
                    assert!(matches!(kind, DecodeErrorKind::UnexpectedEnd { .. }), "{name}: {kind:?}");
                }
            }
        }
    });
}

#[test]
fn rejects_a_padded_length_that_would_wrap() {
    on_a_small_stack(|| {
        for (name, decode) in endless_opaques() {
            for len in 0xffff_fffd..=0xffff_ffff {
                // Where it wraps to zero, the four bytes behind would be trailing or the next field.
                let kind = refused_for_free(name, decode, &words(&[len, 0]));
                // Four bytes of 4 GiB are there.
                let missing = 0x1_0000_0000 - 4;
                assert_eq!(kind, DecodeErrorKind::UnexpectedEnd { missing }, "{name}");
            }
        }
    });
}

#[test]
fn rejects_an_array_of_enormous_count_without_allocating() {
    on_a_small_stack(|| {
        for (name, decode) in endless_arrays() {
            for count in ENORMOUS {
                for body in [0, 4, 64, 4096] {
                    let mut wire = words(&[count]);
                    wire.resize(4 + body, 0);
                    let kind = refused_for_free(name, decode, &wire);
                    let expected = DecodeErrorKind::CountBeyondInput { count: count as usize, remaining: body };
                    assert_eq!(kind, expected, "{name}");
                }
            }
        }
    });
}

#[test]
fn rejects_a_count_larger_than_the_rest_of_the_input_can_hold() {
    on_a_small_stack(|| {
        let decoders = decoders! {
            Vec<u32> => (unbounded),
            Vec<u64> => (unbounded),
            Vec<[u8; 5]> => (unbounded),
            Vec<String> => (unbounded, item(unbounded)),
            Vec<Option<u64>> => (unbounded),
        };
        let min_wire = [4, 4, 8, 8, 8, 8, 4, 4, 4, 4];
        for ((name, decode), min) in decoders.into_iter().zip(min_wire) {
            for count in [1_u8, 2, 3, 10] {
                let mut wire = words(&[u32::from(count)]);
                wire.resize(4 + usize::from(count) * min, 0);
                decode(&Bytes::from(wire.clone()), Limits::default()).unwrap();
                wire.pop();
                let kind = refused_for_free(name, decode, &wire);
                let remaining = usize::from(count) * min - 1;
                let expected = DecodeErrorKind::CountBeyondInput { count: count.into(), remaining };
                assert_eq!(kind, expected, "{name}");
            }
        }
    });
}

#[test]
fn rejects_elements_without_size_when_the_budget_is_used_up() {
    on_a_small_stack(|| {
        for (name, decode) in decoders! {
            Vec<()> => (unbounded),
            Vec<Nothing> => (unbounded),
            Vec<[(); 4]> => (unbounded),
            Box<[()]> => (unbounded),
            Vec<[u8; 0]> => (unbounded),
        } {
            let limit = Limits::DEFAULT.heap();
            for count in [0xffff_ffff, 0x8000_0000, 16 * 1024 * 1024 + 1] {
                let kind = refused_for_free(name, decode, &words(&[count]));
                assert_eq!(kind, DecodeErrorKind::HeapLimit { limit }, "{name}");
            }
            let budget = |heap| decode(&Bytes::from(words(&[1000])), Limits::default().with_heap(heap));
            assert_eq!(budget(1000), Ok(()), "{name}");
            assert_eq!(budget(999).unwrap_err().kind, DecodeErrorKind::HeapLimit { limit: 999 }, "{name}");
        }
    });
}

#[test]
fn rejects_list_nodes_without_size_when_the_budget_is_used_up() {
    on_a_small_stack(|| {
        for (name, decode) in decoders! {
            Vec<()> => (list, unbounded),
            Vec<Nothing> => (list, unbounded),
        } {
            let wire = Bytes::from(words(&[1, 1, 1, 0]));
            assert_eq!(decode(&wire, Limits::default().with_heap(4)), Ok(()), "{name}");
            let error = decode(&wire, Limits::default().with_heap(2)).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::HeapLimit { limit: 2 }, "{name}");
        }
    });
}

/// A list of that many elements without content.
fn linked(count: u32) -> Vec<u8> {
    let mut wire = words(&[1, 0]).repeat(count as usize);
    wire.extend([0; 4]);
    wire
}

/// A type, its decoder, and the wire form of that many elements.
type Amplifying = (&'static str, Decoder, fn(u32) -> Vec<u8>);

/// Messages that cost far more memory than they have bytes.
fn amplifying() -> Vec<Amplifying> {
    fn counted(count: u32) -> Vec<u8> {
        let mut wire = words(&[count]);
        wire.resize(4 + 4 * count as usize, 0);
        wire
    }
    /// Arrays of one empty array each.
    fn nested(count: u32) -> Vec<u8> {
        let mut wire = words(&[count]);
        wire.extend(words(&[1, 0]).repeat(count as usize));
        wire
    }
    /// Texts of three bytes.
    fn texts(count: u32) -> Vec<u8> {
        let mut wire = words(&[count]);
        wire.extend([0, 0, 0, 3, b'a', b'b', b'c', 0].repeat(count as usize));
        wire
    }
    /// Optional data that is there.
    fn present(count: u32) -> Vec<u8> {
        let mut wire = words(&[count]);
        wire.extend(words(&[1, 0]).repeat(count as usize));
        wire
    }
    let arrays = decoders! {
        Vec<Amplified> => (unbounded),
        Box<[Amplified]> => (unbounded),
        Vec<Vec<u8>> => (unbounded, item(unbounded)),
        Vec<Bytes> => (unbounded, item(unbounded)),
        Vec<&'a str> => (unbounded, item(unbounded)),
        Vec<Option<Box<[u64; 64]>>> => (unbounded),
    };
    let lists = decoders! {
        Vec<Amplified> => (list, unbounded),
        Vec<String> => (list, unbounded, item(unbounded)),
        Vec<Vec<u64>> => (list, unbounded, item(unbounded)),
    };
    let nested_arrays = decoders! {
        Vec<Vec<Amplified>> => (unbounded, item(unbounded)),
        Vec<Box<[Vec<String>]>> => (unbounded, item(unbounded, item(unbounded, item(unbounded)))),
    };
    let of_texts = decoders! {
        Vec<String> => (unbounded, item(unbounded)),
        Vec<Box<str>> => (unbounded, item(unbounded)),
        Vec<Vec<u8>> => (unbounded, item(unbounded)),
        Vec<Bytes> => (unbounded, item(unbounded)),
    };
    let optional = decoders! {
        Vec<Option<Box<Amplified>>> => (unbounded),
        Vec<Option<Box<Box<Amplified>>>> => (unbounded),
    };
    let with = |decoders: Vec<(&'static str, Decoder)>, wire: fn(u32) -> Vec<u8>| {
        decoders.into_iter().map(move |(name, decode)| (name, decode, wire))
    };
    with(arrays, counted)
        .chain(with(lists, linked))
        .chain(with(nested_arrays, nested))
        .chain(with(of_texts, texts))
        .chain(with(optional, present))
        .collect()
}

#[test]
fn survives_amplification_within_the_heap_limit() {
    on_a_small_stack(|| {
        let mut refused = 0;
        for (name, decode, wire) in amplifying() {
            for count in [3, 100, 10_000] {
                let wire = Bytes::from(wire(count));
                for heap in [0, 500, 4096, 100_000, 1 << 20, 16 << 20] {
                    let (result, peak) = measured(|| decode(&wire, Limits::default().with_heap(heap)));
                    assert!(peak <= heap + BESIDES, "{name} of {count} elements: {peak} bytes of {heap} allocated");
                    match result {
                        Ok(()) => {}
                        Err(error) => {
                            assert_eq!(error.kind, DecodeErrorKind::HeapLimit { limit: heap }, "{name}");
                            refused += 1;
                        }
                    }
                }
            }
        }
        assert!(refused > 100, "only {refused} inputs were refused");
    });
}

#[test]
fn survives_a_list_that_becomes_a_boxed_slice_within_the_heap_limit() {
    on_a_small_stack(|| {
        for (name, decode) in decoders! { Box<[Amplified]> => (list, unbounded) } {
            let wire = Bytes::from(linked(100));
            for heap in (0..300_000).step_by(5000) {
                let (_, peak) = measured(|| decode(&wire, Limits::default().with_heap(heap)));
                assert!(peak <= heap + BESIDES, "{name}: {peak} bytes of {heap} allocated");
            }
        }
    });
}

#[test]
fn survives_exactly_as_much_heap_as_a_message_costs() {
    on_a_small_stack(|| {
        for (name, decode, wire) in amplifying() {
            let wire = Bytes::from(wire(50));
            let fits = |heap: usize| decode(&wire, Limits::default().with_heap(heap)).is_ok();
            let (mut refused, mut accepted) = (0, 1 << 20);
            assert!(fits(accepted), "{name}");
            while accepted - refused > 1 {
                let heap = refused.midpoint(accepted);
                *if fits(heap) { &mut accepted } else { &mut refused } = heap;
            }
            let ((), peak) = measured(|| decode(&wire, Limits::default().with_heap(accepted)).unwrap());
            // The reference count of a shared buffer is not the message's.
            assert!(peak <= accepted + 64, "{name}: {peak} bytes allocated, {accepted} charged");
            assert!(accepted <= peak + 64 || name.contains("&'a"), "{name}: {accepted} charged, {peak} allocated");
        }
    });
}

#[test]
fn survives_the_maximum_and_rejects_one_more_on_encode() {
    on_a_small_stack(|| {
        to_vec(&full()).unwrap();
        let too_long = |what, len, max| EncodeErrorKind::TooLong { what, len, max };
        for (value, path, kind) in [
            (Bounded { text: "abcde".into(), ..full() }, "Bounded.text", too_long(Lengthy::String, 5, 4)),
            (Bounded { opaque: vec![1; 6], ..full() }, "Bounded.opaque", too_long(Lengthy::Opaque, 6, 5)),
            (Bounded { array: vec![1; 4], ..full() }, "Bounded.array", too_long(Lengthy::Array, 4, 3)),
            (Bounded { list: vec![1; 4], ..full() }, "Bounded.list", too_long(Lengthy::List, 4, 3)),
            (Bounded { texts: vec![String::new(); 3], ..full() }, "Bounded.texts", too_long(Lengthy::Array, 3, 2)),
            (
                Bounded { texts: vec!["abc".into(), "abcd".into()], ..full() },
                "Bounded.texts[1]",
                too_long(Lengthy::String, 4, 3),
            ),
            (
                Bounded { optional: Some(Bytes::from_static(&[1; 3])), ..full() },
                "Bounded.optional",
                too_long(Lengthy::Opaque, 3, 2),
            ),
        ] {
            let error = to_vec(&value).unwrap_err();
            assert_eq!((error.path.as_str(), error.kind), (path, kind));
        }
    });
}

/// [`Bounded`] with one more of everything.
#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(rename = "Bounded")]
struct OneMore {
    #[xdr(max = 5)]
    text: String,
    #[xdr(max = 6)]
    opaque: Vec<u8>,
    #[xdr(max = 4)]
    array: Vec<u32>,
    #[xdr(list, max = 4)]
    list: Vec<u32>,
    #[xdr(max = 3, item(max = 4))]
    texts: Vec<String>,
    #[xdr(max = 3)]
    optional: Option<Bytes>,
}

#[test]
fn survives_the_maximum_and_rejects_one_more_on_decode() {
    on_a_small_stack(|| {
        let Bounded { text, opaque, array, list, texts, optional } = full();
        let fits = OneMore { text, opaque, array, list, texts, optional };
        assert_eq!(from_slice::<Bounded>(&to_vec(&fits).unwrap()).unwrap(), full());
        let too_long = |what, len, max| DecodeErrorKind::TooLong { what, len, max };
        for (value, path, offset, kind) in [
            (OneMore { text: "abcde".into(), ..fits.clone() }, "text", 0, too_long(Lengthy::String, 5, 4)),
            (OneMore { opaque: vec![1; 6], ..fits.clone() }, "opaque", 8, too_long(Lengthy::Opaque, 6, 5)),
            (OneMore { array: vec![1; 4], ..fits.clone() }, "array", 20, too_long(Lengthy::Array, 4, 3)),
            (OneMore { list: vec![1; 4], ..fits.clone() }, "list", 60, too_long(Lengthy::List, 4, 3)),
            (OneMore { texts: vec![String::new(); 3], ..fits.clone() }, "texts", 64, too_long(Lengthy::Array, 3, 2)),
            (
                OneMore { texts: vec!["abc".into(), "abcd".into()], ..fits.clone() },
                "texts[1]",
                76,
                too_long(Lengthy::String, 4, 3),
            ),
            (
                OneMore { optional: Some(Bytes::from_static(&[1; 3])), ..fits.clone() },
                "optional",
                88,
                too_long(Lengthy::Opaque, 3, 2),
            ),
        ] {
            let error = from_slice::<Bounded>(&to_vec(&value).unwrap()).unwrap_err();
            assert_eq!((error.path.as_str(), error.offset, error.kind), (&*format!("Bounded.{path}"), offset, kind));
        }
    });
}

#[test]
fn rejects_a_text_whose_characters_fit_but_whose_bytes_do_not() {
    on_a_small_stack(|| {
        let fits = Bounded { text: "éé".into(), ..full() };
        assert_eq!(from_slice::<Bounded>(&to_vec(&fits).unwrap()).unwrap(), fits);
        let kind = EncodeErrorKind::TooLong { what: Lengthy::String, len: 5, max: 4 };
        assert_eq!(to_vec(&Bounded { text: "ééx".into(), ..full() }).unwrap_err().kind, kind);
        let wire = [&words(&[5])[..], "ééx\0\0\0".as_bytes()].concat();
        let kind = DecodeErrorKind::TooLong { what: Lengthy::String, len: 5, max: 4 };
        assert_eq!(from_slice::<Bounded>(&wire).unwrap_err().kind, kind);
    });
}
