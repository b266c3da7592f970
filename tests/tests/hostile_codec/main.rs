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

// Behind the macro, which they use.
mod lengths; //   lengths that lie, and what they would cost
mod structure; // bytes that are no message
