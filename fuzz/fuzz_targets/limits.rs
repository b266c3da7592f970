//! Any bytes, decoded within small limits: no more is allocated than they allow, and nothing else changes.
//!
//! The first two bytes choose the type: fields without a maximum, and the shapes of the tests. The next two choose
//! the depth and the heap.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use xdr_core::{Bytes, DecodeError, DecodeErrorKind, Limits};
use xdr_tests::endless::{self, Named};
use xdr_tests::shape_table::{Shape, shapes};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

static FIELDS: LazyLock<Vec<Named>> = LazyLock::new(endless::all);
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(shapes);

/// The reference count of a shared buffer, which is not the message's.
const REFERENCE_COUNT: usize = 64;

/// What an error's path may take, and its share for each level that it goes down. The value is gone by then, so this
/// is not added to the budget.
const EXPLANATION: usize = 4096;
const EXPLANATION_OF_A_LEVEL: usize = 1024;

/// More than the limits that are tried. The default heap would take a while to be used up by elements without size.
const WIDE: Limits = Limits::DEFAULT.with_heap(1 << 20);

fuzz_target!(|input: &[u8]| {
    let Some(([high, low, depth, heap], wire)) = input.split_first_chunk() else { return };
    let choice = usize::from(u16::from_be_bytes([*high, *low])) % (FIELDS.len() + SHAPES.len());
    let wire = Bytes::copy_from_slice(wire);
    let depth = u32::from(depth % 16);
    // Up to 64 KiB, and the small ones close to each other.
    let limits = Limits::DEFAULT.with_depth(depth).with_heap(usize::from(*heap).pow(2));
    match FIELDS.get(choice) {
        Some((name, decode)) => check(name, |limits| decode(&wire, limits), limits),
        None => {
            let shape = &SHAPES[choice - FIELDS.len()];
            check(shape.name, |limits| (shape.decode)(&wire, limits), limits);
        }
    }
});

fn check(name: &str, decode: impl Fn(Limits) -> Result<(), DecodeError>, limits: Limits) {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let result = decode(limits);
    let peak = ALLOCATED.peak_usage() - before;
    let allowed = match result {
        Ok(()) => limits.heap(),
        Err(_) => limits.heap().max(EXPLANATION + EXPLANATION_OF_A_LEVEL * limits.depth() as usize),
    };
    let besides = if name.ends_with("out of Bytes") { REFERENCE_COUNT } else { 0 };
    assert!(peak <= allowed + besides, "{name}: {peak} bytes allocated within {limits:?}: {result:?}");

    let wide = decode(WIDE);
    match &result {
        Err(DecodeError { kind: DecodeErrorKind::HeapLimit { limit }, .. }) => assert_eq!(*limit, limits.heap()),
        Err(DecodeError { kind: DecodeErrorKind::DepthLimit { limit }, .. }) => assert_eq!(*limit, limits.depth()),
        // Whatever else is wrong is wrong within wide limits as well, and the other way round.
        result => assert_eq!(result, &wide, "{name} within {limits:?}"),
    }
}
