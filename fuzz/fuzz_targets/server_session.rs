//! Any client: each of its calls is answered once, in whole records and within the caps, whatever it sends in whatever
//! pieces, however slowly it reads, and whenever the handlers are done.
//!
//! The input is a script: a byte for what happens, and what belongs to it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use xdr_fuzz::end::{End, config, record};
use xdr_fuzz::script::Script;
use xdr_fuzz::served::{PROGRAM, programs};
use xdr_fuzz::stream::{call, fragment, words};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What an end may hold: a buffer of 4 KiB for each call in flight and two to read into, the output with room to
/// double, and the calls put aside.
const MOST_HELD: usize = 36 * 1024;

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let mut server = End::new(config(), programs());
    let before = ALLOCATED.current_usage();
    let mut last = Vec::new();
    while server.error.is_none()
        && let Some(step) = script.next_byte()
    {
        let mut bytes = None;
        match step % 12 {
            0 => bytes = Some(script.piece().to_vec()),
            1 => bytes = Some(record(script.piece(), 0)),
            2 => bytes = Some(fragment(script.piece(), false)),
            3 => bytes = Some(a_call(&mut script)),
            // A flood.
            4 => (0..script.byte()).for_each(|_| server.arrive(&last)),
            5 => server.pass(script.delay()),
            6 => server.pass_until_due(),
            7 => server.take(usize::from(script.byte())),
            8 => server.take(usize::MAX),
            9 => server.answer(script.byte()),
            // The server calls its client, which may reply.
            10 => server.call(&[], Some(script.delay())),
            _ => bytes = Some(record(&words(&[script.byte().into(), 1, 0, 0, 0, 0, 0]), 0)),
        }
        if let Some(bytes) = bytes {
            server.arrive(&bytes);
            last = bytes;
        }
        let held = ALLOCATED.current_usage().saturating_sub(before + last.capacity());
        assert!(held <= MOST_HELD, "{held} bytes are held");
    }
    server.finish();
});

/// A call that is in order but for what the fuzzer chooses.
fn a_call(script: &mut Script<'_>) -> Vec<u8> {
    let (xid, choice) = (script.byte(), script.byte());
    let version = [1, 1, 3, 2][usize::from(choice >> 3 & 3)];
    let numbers = [xid.into(), PROGRAM, version, u32::from(choice & 7)];
    let sys = words(&[1, 0, 1000, 100, 1, 100]);
    let (flavor, credential) = match choice >> 5 & 3 {
        0 => (0, &[][..]),
        1 => (1, &sys[..]),
        2 => (2, &[0; 8][..]),
        _ => (0, &[0; 404][..usize::from(script.byte()) + 149]),
    };
    record(&call(numbers, flavor, credential, script.piece()), usize::from(choice >> 7) * 7)
}
