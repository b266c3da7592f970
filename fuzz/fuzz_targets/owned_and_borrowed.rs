//! Any bytes, decoded owned, borrowed and shared: all three agree, and what is accepted is what would be sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xdr_fuzz::agree::decode;
use xdr_fuzz::{BorrowedLengths, BorrowedMessage, Lengths, Message, Page, Tree, Union};

// The first byte says which type: parts of the message are hit far more often than the whole.
fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, input)) => decode::<Message, BorrowedMessage<'_>>(input),
        Some((1, input)) => decode::<Lengths, BorrowedLengths<'_>>(input),
        Some((2, input)) => decode::<Tree, Tree>(input),
        Some((3, input)) => decode::<Union, Union>(input),
        Some((4, input)) => decode::<Page<Union, 2>, Page<Union, 2>>(input),
        _ => {}
    }
});
