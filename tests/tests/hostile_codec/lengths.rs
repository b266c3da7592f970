//! Lengths that lie, and what they would cost.
use std::cell::Cell;

use super::*;

const ENORMOUS: [u32; 8] =
    [0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xf000_0000, 0xffff_fffc, 0xffff_fffd, 0xffff_fffe, 0xffff_ffff];

#[test]
fn rejects_an_opaque_of_enormous_length_without_allocating() {
    on_a_small_stack(|| {
        for (name, decode) in endless::opaques() {
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
        for (name, decode) in endless::opaques() {
            for len in 0xffff_fffd..=0xffff_ffff {
                // Where it wraps to zero, the four bytes behind would be trailing or the next field.
                let kind = refused_for_free(name, decode, &words(&[len, 0]));
                // Four bytes are there of 4 GiB, or of the most that `usize` can say.
                let missing = usize::try_from(0x1_0000_0000_u64).unwrap_or(usize::MAX & !3) - 4;
                assert_eq!(kind, DecodeErrorKind::UnexpectedEnd { missing }, "{name}");
            }
        }
    });
}

#[test]
fn rejects_an_array_of_enormous_count_without_allocating() {
    on_a_small_stack(|| {
        for (name, decode) in endless::arrays() {
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
fn rejects_a_length_with_its_sign_bit_set() {
    on_a_small_stack(|| {
        let decoders = decoders! {
            Vec<u8> => (max = 4),
            Bytes => (max = 4),
            &'a [u8] => (max = 4),
            Cow<'a, [u8]> => (max = 4),
            String => (max = 4),
            Box<str> => (max = 4),
            &'a str => (max = 4),
            XdrStr<'a> => (max = 4),
            Option<&'a str> => (max = 4),
            Vec<u32> => (max = 4),
            Vec<()> => (max = 4),
            Vec<&'a str> => (max = 4, item(max = 4)),
            Box<[String]> => (max = 4, item(max = 4)),
        };
        for (name, decode) in decoders {
            for length in [0x8000_0000, 0x8000_0001, 0xffff_ffff] {
                let optional = if name.starts_with("Option") { &[1][..] } else { &[] };
                let wire = [words(optional), words(&[length, 0, 0])].concat();
                let kind = refused_for_free(name, decode, &wire);
                // As a signed number it would be below every maximum.
                let DecodeErrorKind::TooLong { len, max: 4, .. } = kind else { panic!("{name}: {kind:?}") };
                assert_eq!(len, length as usize, "{name}");
            }
        }
    });
}

/// Nothing on the wire, much in memory.
#[derive(PartialEq, Xdr)]
struct Heavy {
    #[xdr(skip)]
    memory: [[u64; 32]; 32],
}

#[test]
fn rejects_a_count_whose_size_in_memory_would_wrap() {
    on_a_small_stack(|| {
        let size = u64::try_from(size_of::<Heavy>()).unwrap();
        for (name, decode) in decoders! {
            Vec<Heavy> => (unbounded),
            Box<[Heavy]> => (unbounded),
            Vec<Heavy> => (max = usize::MAX),
        } {
            // The largest count, and those whose size is 0 and one element where `usize` has 32 bits.
            for count in
                [u32::MAX, u32::try_from((1 << 32) / size).unwrap(), u32::try_from((1 << 32) / size + 1).unwrap()]
            {
                let kind = refused_for_free(name, decode, &words(&[count]));
                assert_eq!(kind, DecodeErrorKind::HeapLimit { limit: Limits::DEFAULT.heap() }, "{name}");
            }
        }
    });
}

#[test]
fn rejects_a_count_whose_size_on_the_wire_would_wrap() {
    on_a_small_stack(|| {
        for (name, decode) in decoders! {
            Vec<[u64; 512]> => (unbounded),
            Box<[[u8; 4096]]> => (unbounded),
        } {
            // 4096 bytes an element: the largest count, and those whose size is 0 and one element in 32 bits.
            for count in [u32::MAX, 0x10_0000, 0x10_0001] {
                let body = 4096;
                let mut wire = words(&[count]);
                wire.resize(4 + body, 0);
                let expected = DecodeErrorKind::CountBeyondInput { count: count as usize, remaining: body };
                assert_eq!(refused_for_free(name, decode, &wire), expected, "{name}");
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
        for (name, decode) in endless::voids() {
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

thread_local! {
    /// How many of [`Step`] were made.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Nothing on the wire and nothing in memory, but it counts how often it is made.
#[derive(Xdr)]
struct Step {
    #[xdr(skip)]
    _made: Made,
}

struct Made;

impl Default for Made {
    fn default() -> Self {
        STEPS.with(|steps| steps.set(steps.get() + 1));
        Self
    }
}

#[test]
fn rejects_fixed_arrays_of_elements_without_size_when_the_budget_is_used_up() {
    on_a_small_stack(|| {
        let heap = 10_000;
        for (name, decode) in decoders! {
            Vec<[Step; 1000]> => (unbounded),
            Vec<[[Step; 10]; 100]> => (unbounded),
            Vec<([Step; 500], [(Step, Step); 250])> => (unbounded),
            Box<[[Step; 1000]]> => (unbounded),
        } {
            for count in [1, 5, 10, 14, 1000, 10_000, 10_001, 0x8000_0000, u32::MAX] {
                STEPS.set(0);
                let result = decode(&Bytes::from(words(&[count])), Limits::default().with_heap(heap));
                // Half of the pairs' steps have no unit of their own: how many there are says the type.
                assert!(STEPS.get() <= 2 * heap as u64, "{name}: {} steps for a count of {count}", STEPS.get());
                match count {
                    0..=9 => assert_eq!(result, Ok(()), "{name}: {count}"),
                    10 => {}
                    _ => assert_eq!(result.unwrap_err().kind, DecodeErrorKind::HeapLimit { limit: heap }, "{name}"),
                }
            }
        }
    });
}

/// Arrays of nothing among fields that are something.
#[derive(Debug, Xdr)]
struct Idle {
    before: u32,
    texts: [Nothing; 2],
    nothings: [[Nothing; 30]; 3],
    #[xdr(item(max = 4))]
    behind: [String; 3],
}

#[test]
fn the_error_for_too_many_elements_without_bytes_names_their_array() {
    let wire = words(&[7, 0, 0, 0]);
    let refused = |heap: usize| {
        let error = from_slice_with::<Idle>(&wire, Limits::default().with_heap(heap)).unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::HeapLimit { limit: heap }, 4));
        error.path
    };
    assert_eq!(refused(0), "Idle.texts");
    assert_eq!(refused(2), "Idle.nothings");
    assert_eq!(refused(20), "Idle.nothings[0]");
    assert!(from_slice_with::<Idle>(&wire, Limits::default().with_heap(1 + 2 + 3 * 29)).is_ok());
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

#[test]
fn survives_amplification_within_the_heap_limit() {
    on_a_small_stack(|| {
        let mut refused = 0;
        for (name, decode, wire) in endless::amplifying() {
            for count in [3, 100, 10_000] {
                let wire = Bytes::from(wire(count));
                for heap in [0, 500, 4096, 100_000, 1 << 20, 16 << 20] {
                    let limits = Limits::default().with_heap(heap);
                    if let Err(error) = within(name, limits, |limits| decode(&wire, limits)) {
                        assert_eq!(error.kind, DecodeErrorKind::HeapLimit { limit: heap }, "{name}");
                        refused += 1;
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
            let wire = Bytes::from(endless::linked(100));
            for heap in (0..300_000).step_by(5000) {
                let _ = within(name, Limits::default().with_heap(heap), |limits| decode(&wire, limits));
            }
        }
    });
}

#[test]
fn survives_exactly_as_much_heap_as_a_message_costs() {
    on_a_small_stack(|| {
        for (name, decode, wire) in endless::amplifying() {
            let wire = Bytes::from(wire(50));
            let charged = cost(name, |limits| decode(&wire, limits));
            let (_, peak) = measured(|| decode(&wire, Limits::default()));
            let copies = !name.contains("&'a") && !name.contains("Cow<'a");
            assert!(charged <= peak + REFERENCE_COUNT || !copies, "{name}: {charged} charged, {peak} allocated");
        }
    });
}

/// Five values of every shape of the table, within limits around what each costs.
#[test]
fn survives_every_shape_within_the_heap_limit() {
    on_a_small_stack(|| {
        let mut random = fastrand::Rng::with_seed(23);
        let (mut values, mut charged) = (0, 0);
        for shape in shapes() {
            for _ in 0..5 {
                let seed: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(..)).collect();
                let source = &mut arbitrary::Unstructured::new(&seed);
                let Ok(wire) = xdr_core::arbitrary_wire((shape.schema)(), source) else { continue };
                values += 1;
                charged += usize::from(cost(shape.name, |limits| (shape.decode)(&wire, limits)) > 0);
            }
        }
        assert!(values > 1600, "only {values} values");
        assert!(charged > 700, "only {charged} of {values} values cost something");
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
            let Bounded { text, opaque, array, list, texts, optional } = &value;
            let error = to_vec(&BorrowedBounded {
                text,
                opaque,
                array: array.clone(),
                list: list.clone(),
                texts: texts.iter().map(|text| Cow::from(&**text)).collect(),
                optional: optional.as_deref().map(Cow::from),
            })
            .unwrap_err();
            assert_eq!((error.path.as_str(), error.kind), (path, kind), "borrowed");
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
        let wire = Bytes::from(to_vec(&fits).unwrap());
        assert_eq!(from_slice::<Bounded>(&wire).unwrap(), full());
        assert_eq!(from_bytes::<Bounded>(&wire).unwrap(), full());
        assert_eq!(to_vec(&from_slice::<BorrowedBounded<'_>>(&wire).unwrap()).unwrap(), wire);
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
            let wire = Bytes::from(to_vec(&value).unwrap());
            let error = from_slice::<Bounded>(&wire).unwrap_err();
            assert_eq!((error.path.as_str(), error.offset, error.kind), (&*format!("Bounded.{path}"), offset, kind));
            assert_eq!(from_bytes::<Bounded>(&wire), Err(error.clone()));
            assert_eq!(from_slice::<BorrowedBounded<'_>>(&wire), Err(error));
        }
    });
}

#[test]
fn rejects_a_text_whose_characters_fit_but_whose_bytes_do_not() {
    on_a_small_stack(|| {
        let fits = Bounded { text: "éé".into(), ..full() };
        let wire = to_vec(&fits).unwrap();
        assert_eq!(from_slice::<Bounded>(&wire).unwrap(), fits);
        assert_eq!(from_slice::<BorrowedBounded<'_>>(&wire).unwrap().text, "éé");
        let kind = EncodeErrorKind::TooLong { what: Lengthy::String, len: 5, max: 4 };
        assert_eq!(to_vec(&Bounded { text: "ééx".into(), ..full() }).unwrap_err().kind, kind);
        let wire = [&words(&[5])[..], "ééx\0\0\0".as_bytes()].concat();
        let kind = DecodeErrorKind::TooLong { what: Lengthy::String, len: 5, max: 4 };
        assert_eq!(from_slice::<Bounded>(&wire).unwrap_err().kind, kind);
        assert_eq!(from_slice::<BorrowedBounded<'_>>(&wire).unwrap_err().kind, kind);
    });
}
