//! What holds for every type and every value: XDR is canonical, sizes are exact, and nothing else is accepted.

use proptest::prelude::*;
use xdr_tests::shape_table::{Shape, shapes};

/// The XDR form of a value of the shape, made from these bytes.
fn wire_of(shape: &Shape, seed: &[u8]) -> Option<Vec<u8>> {
    xdr_core::arbitrary_wire((shape.schema)(), &mut arbitrary::Unstructured::new(seed)).ok()
}

/// Everything that holds for one value. `place` chooses the byte that is changed.
fn check(shape: &Shape, wire: &[u8], place: usize, change: u8) -> Result<(), TestCaseError> {
    let name = shape.name;
    let again = (shape.again)(wire).map_err(|error| TestCaseError::fail(format!("{name}: {error}: {wire:02x?}")))?;
    prop_assert_eq!(&again.wire, wire, "{} is not canonical", name);
    prop_assert_eq!(again.encoded_len, wire.len(), "{}'s length is wrong", name);
    prop_assert!(shape.min <= wire.len(), "{} has {} bytes, fewer than {}", name, wire.len(), shape.min);
    if let Some(max) = shape.max {
        prop_assert!(wire.len() <= max, "{} has {} bytes, more than {}", name, wire.len(), max);
    }
    let may_have_nan = name.contains("f32") || name.contains("f64");
    prop_assert!(again.equal || may_have_nan, "{} decodes to another value", name);

    for end in 0..wire.len() {
        prop_assert!((shape.again)(&wire[..end]).is_err(), "{} accepts {} of {} bytes", name, end, wire.len());
    }
    let longer = [wire, &[0]].concat();
    prop_assert!((shape.again)(&longer).is_err(), "{} accepts a trailing byte", name);
    if !wire.is_empty() {
        let mut changed = wire.to_vec();
        changed[place % wire.len()] ^= change;
        if let Ok(again) = (shape.again)(&changed) {
            prop_assert_eq!(&again.wire, &changed, "{} accepts what it does not encode", name);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_shape_is_canonical_exact_and_strict(
        seed in proptest::collection::vec(any::<u8>(), 0..400),
        place in any::<usize>(),
        change in 1_u8..,
    ) {
        for shape in shapes() {
            if let Some(wire) = wire_of(&shape, &seed) {
                check(&shape, &wire, place, change)?;
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_refused_or_canonical(wire in proptest::collection::vec(0_u8..4, 0..120)) {
        for shape in shapes() {
            if let Ok(again) = (shape.again)(&wire) {
                prop_assert_eq!(&again.wire, &wire, "{} accepts what it does not encode", shape.name);
            }
        }
    }
}

#[test]
fn every_single_byte_change_is_refused_or_canonical() {
    // One value a shape, every byte of it, a few changes each.
    let seed: Vec<u8> = (0..200_u32).map(|index| u8::try_from(index * 37 % 251).unwrap()).collect();
    let mut values = 0;
    for shape in shapes() {
        let Some(wire) = wire_of(&shape, &seed) else { continue };
        values += 1;
        for place in 0..wire.len() {
            for change in [1, 2, 0x80, 0xff] {
                let mut changed = wire.clone();
                changed[place] ^= change;
                if let Ok(again) = (shape.again)(&changed) {
                    assert_eq!(again.wire, changed, "{} accepts what it does not encode", shape.name);
                }
            }
        }
    }
    assert!(values > 300, "only {values} shapes have a value");
}
