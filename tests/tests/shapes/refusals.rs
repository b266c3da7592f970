//! What is too long, and what a function refuses.
use super::*;

#[test]
fn errors_name_the_field_the_limit_and_the_byte() {
    let long = Named {
        before: 1,
        name: "much too long".into(),
        uuid: [0; 16],
        after: true,
        names: vec![],
        slots: Default::default(),
        blob: Bytes::new(),
        ids: vec![],
        cached: 0,
        description: None,
        last: (0, None),
    };
    let error = xdr_core::to_vec(&long).unwrap_err();
    assert_eq!(error.to_string(), "Named.name: string of 13 bytes is longer than its maximum 8");
    let deep = Named { name: "ok".into(), names: vec!["a".into(), "0123456789abcdefg".into()], ..long.clone() };
    let error = xdr_core::to_vec(&deep).unwrap_err();
    assert_eq!(error.to_string(), "Named.names[1]: string of 17 bytes is longer than its maximum 16");
    let slot = Named { name: "ok".into(), slots: [vec![0; 4], vec![0; 5]], ..long.clone() };
    let error = xdr_core::to_vec(&slot).unwrap_err();
    assert_eq!(error.to_string(), "Named.slots[1]: opaque of 5 bytes is longer than its maximum 4");

    let good = Named { name: "ok".into(), last: (0, Some(Box::new(5))), ..long };
    let wire = xdr_core::to_vec(&good).unwrap();
    let changed = |offset: usize, byte: u8| {
        let mut wire = wire.clone();
        wire[offset] = byte;
        xdr_core::from_slice::<Named>(&wire).unwrap_err().to_string()
    };
    assert_eq!(changed(7, 9), "Named.name: string of 9 bytes is longer than its maximum 8, at byte 4");
    assert_eq!(changed(8, 0xff), "Named.name: string is not UTF-8, at byte 8");
    assert_eq!(changed(11, 1), "Named.name: padding is not zero, at byte 11");
    assert_eq!(changed(31, 2), "Named.after: bool is 2, neither 0 nor 1, at byte 28");
    assert_eq!(changed(35, 3), "Named.names: array of 3 elements is longer than its maximum 2, at byte 32");
    assert_eq!(
        changed(wire.len() - 5, 2),
        format!("Named.last.1: optional-data flag is 2, neither 0 nor 1, at byte {}", wire.len() - 8)
    );
    let error = xdr_core::from_slice::<Named>(&wire[..10]).unwrap_err();
    assert_eq!(error.to_string(), "Named.name: input ends, at least 2 bytes are missing, at byte 8");
}

#[test]
fn what_is_too_long_is_the_same_error_however_it_is_encoded() {
    let good = Named {
        before: 1,
        name: "é".into(),
        uuid: [7; 16],
        after: true,
        names: vec!["x".repeat(16), String::new()],
        slots: [vec![1, 2, 3], vec![]],
        blob: Bytes::from_static(&[4]),
        ids: vec![5],
        cached: 0,
        description: Some("ab".into()),
        last: (-2, Some(Box::new(3))),
    };
    let broken: [fn(&mut Named); 8] = [
        |named| named.name = "x".repeat(9),
        |named| named.names.push(String::new()),
        |named| named.names[1] = "x".repeat(17),
        |named| named.slots[1] = vec![0; 5],
        |named| named.blob = Bytes::from_static(&[0; 6]),
        |named| named.ids = vec![0; 4],
        |named| (named.blob, named.ids) = (Bytes::from_static(&[0; 6]), vec![0; 4]),
        |named| named.description = Some("x".repeat(5)),
    ];
    for (number, breaks) in broken.into_iter().enumerate() {
        let mut named = good.clone();
        breaks(&mut named);
        let error = xdr_core::to_vec(&named).unwrap_err();
        assert!(matches!(error.kind, EncodeErrorKind::TooLong { .. }), "{number}: {error}");
        let mut space = vec![0; xdr_core::encoded_len(&named)];
        assert_eq!(xdr_core::encode_to_slice(&named, &mut space), Err(error), "{number}");
    }
}

#[test]
fn an_encode_that_fails_leaves_the_buffer_as_long_as_it_was() {
    let mut buffer = xdr_core::BytesMut::from(&b"kept"[..]);
    xdr_core::encode_into(&Tuple(1, "too long".into()), &mut buffer).unwrap_err();
    assert_eq!(&buffer[..], b"kept");
}

/// Whole seconds on the wire, a duration in Rust.
mod seconds {
    use std::time::Duration;

    pub(crate) type Wire = u32;

    pub(crate) fn to_wire(duration: &Duration) -> u32 {
        u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
    }

    pub(crate) fn from_wire(wire: u32) -> Option<Duration> {
        (wire != u32::MAX).then(|| Duration::from_secs(wire.into()))
    }
}

fn is_even(number: &u32) -> bool {
    number.is_multiple_of(2)
}

#[derive(Debug, Clone, PartialEq, Xdr)]
struct Checked {
    #[xdr(max = 4)]
    name: String,
    #[xdr(with = seconds)]
    timeout: std::time::Duration,
    #[xdr(validate = is_even)]
    count: u32,
    range: Range,
    #[xdr(max = 2)]
    ranges: Vec<Range>,
}

#[test]
fn what_a_function_refuses_is_neither_encoded_nor_decoded() {
    let value = Checked {
        name: "a".into(),
        timeout: std::time::Duration::from_secs(7),
        count: 8,
        range: Range { low: 1, high: 2 },
        ranges: vec![Range { low: 3, high: 3 }, Range { low: 4, high: 5 }],
    };
    let wire = [&bytes(&[1])[..], b"a\0\0\0", &bytes(&[7, 8, 1, 2, 2, 3, 3, 4, 5])].concat();
    both_ways(&value, &wire);

    let refused = |offset: usize, byte: u8| {
        let mut wire = wire.clone();
        wire[offset] = byte;
        xdr_core::from_slice::<Checked>(&wire).unwrap_err().to_string()
    };
    assert_eq!(refused(15, 9), "Checked.count: value is rejected by is_even, at byte 12");
    assert_eq!(refused(19, 9), "Checked.range: value is rejected by is_ordered, at byte 16");
    assert_eq!(refused(39, 9), "Checked.ranges[1]: value is rejected by is_ordered, at byte 36");
    let mut never = wire.clone();
    never[8..12].fill(0xff);
    let error = xdr_core::from_slice::<Checked>(&never).unwrap_err();
    assert_eq!(error.to_string(), "Checked.timeout: value is rejected by seconds, at byte 8");

    let refused = |value: &Checked| {
        let error = xdr_core::to_vec(value).unwrap_err();
        let mut space = vec![0; xdr_core::encoded_len(value)];
        assert_eq!(xdr_core::encode_to_slice(value, &mut space).unwrap_err(), error);
        error.to_string()
    };
    assert_eq!(refused(&Checked { count: 9, ..value.clone() }), "Checked.count: value is rejected by is_even");
    let range = Range { low: 9, high: 2 };
    assert_eq!(
        refused(&Checked { range: range.clone(), ..value.clone() }),
        "Checked.range: value is rejected by is_ordered"
    );
    let ranges = vec![Range { low: 1, high: 1 }, range];
    assert_eq!(refused(&Checked { ranges, ..value }), "Checked.ranges[1]: value is rejected by is_ordered");
}
