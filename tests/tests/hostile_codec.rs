//! Inputs that have broken other implementations: lengths and structure.
//!
//! Everything runs on a thread with a small stack, one test at a time, and what it allocates is counted.
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use xdr_core::{
    Bytes, Decode, DecodeError, DecodeErrorKind, DecodeOwned, Encode, EncodeErrorKind, Lengthy, Limits, Xdr,
    decode_prefix, from_bytes, from_bytes_with, from_slice, from_slice_with, to_vec,
};
use xdr_tests::every_shape::{
    BorrowedLengths, ByBool, ByInt, ByNumber, ByState, Code, Everything, KIND_NOTHING, Lengths, Links, Name, Nothing,
    Page, State, Tree, Words,
};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const SMALL_STACK: usize = 256 * 1024;

/// For values that nest as deeply as they may: without optimisation a level takes about 10 KiB.
const RECURSION_STACK: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { SMALL_STACK };

/// What may be allocated besides the budget: error messages, and the test harness beside us.
const BESIDES: usize = 16 * 1024;

/// Runs a test on a small stack, alone.
#[track_caller]
fn on_a_small_stack(test: impl FnOnce() + Send) {
    on_a_stack_of(SMALL_STACK, test);
}

#[track_caller]
fn on_a_stack_of(bytes: usize, test: impl FnOnce() + Send) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, test).unwrap();
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// What `run` returns, and the most bytes that were allocated at any moment while it ran.
fn measured<T>(run: impl FnOnce() -> T) -> (T, usize) {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let value = run();
    (value, ALLOCATED.peak_usage().saturating_sub(before))
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Decodes and forgets. The value is dropped by the caller's side of the measurement.
type Decoder = fn(&Bytes, Limits) -> Result<(), DecodeError>;

/// Decoders for fields of these types, out of a slice and out of shared bytes.
macro_rules! decoders {
    ($($type:ty => ($($bounds:tt)*)),+ $(,)?) => {
        [$({
            #[derive(Xdr)]
            struct Field<'a> {
                #[xdr($($bounds)*)]
                field: $type,
                #[xdr(skip)]
                lifetime: PhantomData<&'a ()>,
            }
            let slice: Decoder = |wire, limits| {
                from_slice_with::<Field<'_>>(wire, limits).map(|Field { field: _, lifetime: _ }| ())
            };
            let bytes: Decoder = |wire, limits| from_bytes_with::<Field<'_>>(wire, limits).map(drop);
            [(stringify!($type), slice), (concat!(stringify!($type), " out of Bytes"), bytes)]
        }),+]
        .concat()
    };
}

/// A few bytes on the wire, hundreds in memory.
#[expect(clippy::large_enum_variant, reason = "the very thing to be tested")]
#[derive(Debug, Clone, PartialEq, Xdr)]
enum Amplified {
    #[xdr(case = 0)]
    Small,
    #[xdr(case = 1)]
    Large([u64; 64]),
}

fn endless_opaques() -> Vec<(&'static str, Decoder)> {
    decoders! {
        Vec<u8> => (unbounded),
        &'a [u8] => (unbounded),
        Bytes => (unbounded),
        Cow<'a, [u8]> => (unbounded),
        String => (unbounded),
        &'a str => (unbounded),
        Cow<'a, str> => (unbounded),
        Box<str> => (unbounded),
        Vec<u8> => (max = usize::MAX),
        String => (max = u32::MAX as usize),
    }
}

fn endless_arrays() -> Vec<(&'static str, Decoder)> {
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

/// Decodes with the default limits, and fails if anything worth mentioning is allocated.
#[track_caller]
fn refused_for_free(name: &str, decode: Decoder, wire: &[u8]) -> DecodeErrorKind {
    let wire = Bytes::copy_from_slice(wire);
    let (result, peak) = measured(|| decode(&wire, Limits::default()));
    assert!(peak < BESIDES, "{name} allocates {peak} bytes for {wire:?}");
    match result {
        Ok(()) => panic!("{name} accepts {wire:?}"),
        Err(error) => error.kind,
    }
}

// ---- lengths ----

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

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Bounded {
    #[xdr(max = 4)]
    text: String,
    #[xdr(max = 5)]
    opaque: Vec<u8>,
    #[xdr(max = 3)]
    array: Vec<u32>,
    #[xdr(list, max = 3)]
    list: Vec<u32>,
    #[xdr(max = 2, item(max = 3))]
    texts: Vec<String>,
    #[xdr(max = 2)]
    optional: Option<Bytes>,
}

fn full() -> Bounded {
    Bounded {
        text: "abcd".into(),
        opaque: vec![1; 5],
        array: vec![1; 3],
        list: vec![1; 3],
        texts: vec!["abc".into(); 2],
        optional: Some(Bytes::from_static(&[1; 2])),
    }
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

// ---- structure ----

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
        for (name, decode) in endless_opaques() {
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
        for (name, decode) in endless_opaques() {
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
    #[derive(Xdr)]
    struct List(#[xdr(list, max = 4)] Vec<u32>);
    on_a_small_stack(|| {
        for word in [2, 0x100, 0x0100_0000, 0x8000_0000, u32::MAX] {
            assert_eq!(kind::<bool>(&[word]), DecodeErrorKind::InvalidBool(word));
            assert_eq!(kind::<Option<()>>(&[word]), DecodeErrorKind::InvalidOptionFlag(word));
            assert_eq!(kind::<List>(&[word, 0, 0]), DecodeErrorKind::InvalidOptionFlag(word));
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
fn rejects_bytes_behind_the_message() {
    on_a_small_stack(|| {
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
        let name = Name("a\0b\0".into());
        let wire = to_vec(&name).unwrap();
        assert_eq!(wire, b"\0\0\0\x04a\0b\0");
        assert_eq!(from_slice::<Name>(&wire).unwrap(), name);
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
            let error = from_slice::<Name>(&wire).unwrap_err();
            assert_eq!((error.kind, error.offset), (DecodeErrorKind::InvalidUtf8, 4 + at), "{text:?}");
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
