//! Any server: each call that it is sent ends exactly once, with a reply, at its deadline or with the connection,
//! whatever comes back in whatever pieces, and calls from there included.
//!
//! The input is a script: a byte for what happens, and what belongs to it. Its first byte chooses the first xid.
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
    let mut config = config();
    // The numbers come again behind the highest of all.
    let first_xid = u32::from(script.byte()).wrapping_sub(2);
    config.first_xid = first_xid;
    let mut client = End::new(config, programs());
    let before = ALLOCATED.current_usage();
    let mut last = Vec::new();
    while client.error.is_none()
        && let Some(step) = script.next_byte()
    {
        let mut bytes = None;
        match step % 14 {
            0 => client.call(script.piece(), None),
            1 => client.call(&[], Some(script.delay())),
            2 => client.send(),
            3 => client.forget(script.byte()),
            4 => client.hold(script.byte() & 1 == 1),
            5 => bytes = Some(a_reply(&mut script, first_xid)),
            6 => bytes = Some(script.piece().to_vec()),
            7 => bytes = Some(record(script.piece(), 0)),
            8 => bytes = Some(fragment(script.piece(), false)),
            9 => {
                let procedure = script.byte() % 8;
                bytes = Some(record(&call([7, PROGRAM, 1, procedure.into()], 0, &[], script.piece()), 0));
            }
            // A flood.
            10 => (0..script.byte()).for_each(|_| client.arrive(&last)),
            11 => client.pass(script.delay()),
            12 => client.pass_until_due(),
            _ => match script.byte() {
                0 => client.answer(0),
                len => client.take(usize::from(len) * 4),
            },
        }
        if let Some(bytes) = bytes {
            client.arrive(&bytes);
            last = bytes;
        }
        let held = ALLOCATED.current_usage().saturating_sub(before + last.capacity());
        assert!(held <= MOST_HELD, "{held} bytes are held");
    }
    client.finish();
});

/// A reply to a call that was made, will be made or never is: accepted, denied, or neither.
fn a_reply(script: &mut Script<'_>, first_xid: u32) -> Vec<u8> {
    let (which, choice) = (script.byte(), script.byte());
    let xid = first_xid.wrapping_add(which.into());
    let mut reply = words(&[xid, 1, u32::from(choice & 3)]);
    if choice & 3 == 0 {
        reply.extend(words(&[0, 0, u32::from(choice >> 2 & 7)]));
    }
    reply.extend_from_slice(script.piece());
    record(&reply, usize::from(choice >> 5))
}
