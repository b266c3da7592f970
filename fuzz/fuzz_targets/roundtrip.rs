//! Any value: it is encoded the same in every way, and comes back; or it is refused and nothing is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xdr_core::{
    BytesMut, Encode, EncodeErrorKind, Limits, encode_into, encode_to_slice, encoded_len, from_slice_with, to_bytes,
    to_vec,
};
use xdr_fuzz::{BorrowedMessage, Message};

fuzz_target!(|value: Message| {
    let mut buffer = BytesMut::from(&b"kept"[..]);
    let appended = encode_into(&value, &mut buffer);
    let wire = match to_vec(&value) {
        Ok(wire) => wire,
        Err(error) => {
            let expected = matches!(error.kind, EncodeErrorKind::TooLong { .. } | EncodeErrorKind::TagOfAnotherArm(_));
            assert!(expected && error.path.starts_with("Message."), "{error}");
            assert_eq!(appended, Err(error));
            assert_eq!(&buffer[..], b"kept");
            return;
        }
    };
    assert_eq!(wire.len() % 4, 0);
    assert_eq!(encoded_len(&value), wire.len());
    assert_eq!((appended, &buffer[4..]), (Ok(()), &wire[..]));
    assert_eq!(to_bytes(&value).as_deref(), Ok(&wire[..]));
    assert!(<Message as Encode>::MIN_WIRE <= wire.len());

    // Neither zeros nor anything else may show through from the space before.
    let mut space = vec![0xa5; wire.len() + 1];
    assert_eq!(encode_to_slice(&value, &mut space), Ok(wire.len()));
    assert_eq!(space.split_last(), Some((&0xa5, &wire[..])));
    let error = encode_to_slice(&value, &mut space[..wire.len() - 1]).map_err(|error| error.kind);
    assert_eq!(error, Err(EncodeErrorKind::NoSpace { needed: wire.len() }));

    let limits = Limits::unlimited_trusted();
    let back = from_slice_with::<Message>(&wire, limits).map(|back| format!("{back:?}"));
    assert_eq!(back, Ok(format!("{value:?}")));
    let borrowed = from_slice_with::<BorrowedMessage<'_>>(&wire, limits).map(|borrowed| to_vec(&borrowed));
    assert_eq!(borrowed, Ok(Ok(wire.clone())));
});
