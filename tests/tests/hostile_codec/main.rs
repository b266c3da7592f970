//! Inputs that have broken other implementations: lengths and structure.
//!
//! Everything runs on a thread with a small stack, one test at a time, and what it allocates is counted.
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use xdr_core::{
    Bytes, Decode, DecodeError, DecodeErrorKind, DecodeOwned, Encode, EncodeErrorKind, Lengthy, Limits, Xdr, XdrStr,
    decode_prefix, from_bytes, from_bytes_with, from_slice, from_slice_with, to_vec,
};
use xdr_tests::decoders;
use xdr_tests::endless::{self, Amplified, Decoder};
use xdr_tests::every_shape::{
    BorrowedLengths, ByBool, ByInt, ByNumber, ByState, Code, Everything, KIND_NOTHING, Lengths, Links, Name, Nothing,
    Page, State, Tree, Words,
};
use xdr_tests::shape_table::shapes;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const SMALL_STACK: usize = 256 * 1024;

/// For values that nest as deeply as they may: without optimisation a level takes about 10 KiB.
const RECURSION_STACK: usize = if cfg!(debug_assertions) { 1024 * 1024 } else { SMALL_STACK };

/// What may be allocated besides the budget: error messages, and the test harness beside us.
const BESIDES: usize = 16 * 1024;

/// What may be allocated besides the budget: a shared buffer's reference count, which is not the message's.
const REFERENCE_COUNT: usize = 64;

/// What an error's path may take. The value is gone by then, so this is not added to the budget.
const EXPLANATION: usize = 2 * 1024;

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

/// Decodes within these limits. No more than the budget may be allocated, to the byte.
#[track_caller]
fn within(name: &str, limits: Limits, decode: impl Fn(Limits) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
    // The test harness beside us allocates as well, but not the same at every attempt.
    let besides = if name.ends_with("out of Bytes") { REFERENCE_COUNT } else { 0 };
    let mut attempts = (0..4).map(|_| {
        let (result, peak) = measured(|| decode(limits));
        let budget = if result.is_ok() { limits.heap() } else { limits.heap().max(EXPLANATION) };
        (result, peak <= budget + besides)
    });
    let fits = attempts.find(|(_, fits)| *fits);
    fits.map(|(result, _)| result).unwrap_or_else(|| panic!("{name} allocates more than {limits:?}"))
}

/// The smallest heap with which this is accepted, and the error of one byte less.
#[track_caller]
fn cost(name: &str, decode: impl Fn(Limits) -> Result<(), DecodeError>) -> usize {
    let decode = |heap| within(name, Limits::default().with_heap(heap), &decode);
    let Err(_) = decode(0) else { return 0 };
    let (mut refused, mut accepted) = (0, 1 << 20);
    decode(accepted).unwrap();
    while accepted - refused > 1 {
        let heap = refused.midpoint(accepted);
        match decode(heap) {
            Ok(()) => accepted = heap,
            Err(error) => {
                assert_eq!(error.kind, DecodeErrorKind::HeapLimit { limit: heap }, "{name}");
                refused = heap;
            }
        }
    }
    accepted
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
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

/// What [`Bounded`] is on the wire, borrowed.
#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(rename = "Bounded")]
struct BorrowedBounded<'a> {
    #[xdr(max = 4)]
    text: &'a str,
    #[xdr(max = 5)]
    opaque: &'a [u8],
    #[xdr(max = 3)]
    array: Vec<u32>,
    #[xdr(list, max = 3)]
    list: Vec<u32>,
    #[xdr(max = 2, item(max = 3))]
    texts: Vec<Cow<'a, str>>,
    #[xdr(max = 2)]
    optional: Option<Cow<'a, [u8]>>,
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
mod annotations; // what telling costs
mod lengths; //     lengths that lie, and what they would cost
mod structure; //   bytes that are no message
