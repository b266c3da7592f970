//! The derived types through the entry points.

use std::hint::black_box;

use rpc_frame::{AuthSys, AuthSysRef, CallBodyRef, Credential, Message, MessageBody};
use xdr_core::{Bytes, Decode, DecodeOwned, Encode, encode_to_slice, from_bytes, from_slice, to_vec};

use crate::measure::{Group, Operation, Side, decoder};
use crate::shapes::{self, S2Borrowed, S3Borrowed, S5Borrowed, S6Borrowed, S7Borrowed, S7Shared, S8Flat, S9Borrowed};

pub(crate) const TO_SLICE: &str = "ours: encode_to_slice";
pub(crate) const TO_VEC: &str = "ours: to_vec";
pub(crate) const OWNED: &str = "ours: owned";
pub(crate) const BORROWED: &str = "ours: borrowed";
pub(crate) const SHARED: &str = "ours: Bytes";
pub(crate) const CACHED: &str = "ours: cached header";
pub(crate) const WITH_CREDENTIAL: &str = "ours: with credential";
const FLAT: &str = "ours: header derived flat";

pub(crate) fn join(group: &mut Group) {
    match (group.operation, group.shape) {
        (Operation::Encode, "S1") => encoders(group, shapes::s1()),
        (Operation::Encode, "S2") => encoders(group, shapes::s2()),
        (Operation::Encode, "S3") => encoders(group, shapes::s3()),
        (Operation::Encode, "S4") => encoders(group, shapes::s4(100)),
        (Operation::Encode, "S4L") => encoders(group, shapes::s4(10_000)),
        (Operation::Encode, "S5") => encoders(group, shapes::s5()),
        (Operation::Encode, "S6") => encoders(group, shapes::s6()),
        (Operation::Encode, "S7") => encoders(group, shapes::s7()),
        (Operation::Encode, "S8") => call_encoders(group),
        (Operation::Encode, "S8R") => encoders(group, shapes::s8_reply()),
        (Operation::Encode, _) => encoders(group, shapes::s9()),
        (Operation::Decode, "S1") => owned(group, &shapes::s1()),
        (Operation::Decode, "S2") => {
            owned(group, &shapes::s2());
            borrowed::<S2Borrowed<'static>>(group, input(&shapes::s2()));
        }
        (Operation::Decode, "S3") => {
            owned(group, &shapes::s3());
            borrowed::<S3Borrowed<'static>>(group, input(&shapes::s3()));
        }
        (Operation::Decode, "S4") => owned(group, &shapes::s4(100)),
        (Operation::Decode, "S4L") => owned(group, &shapes::s4(10_000)),
        (Operation::Decode, "S5") => {
            owned(group, &shapes::s5());
            borrowed::<S5Borrowed<'static>>(group, input(&shapes::s5()));
        }
        (Operation::Decode, "S6") => {
            owned(group, &shapes::s6());
            borrowed::<S6Borrowed<'static>>(group, input(&shapes::s6()));
        }
        (Operation::Decode, "S7") => {
            owned(group, &shapes::s7());
            borrowed::<S7Borrowed<'static>>(group, input(&shapes::s7()));
            shared::<S7Shared>(group, input(&shapes::s7()));
        }
        (Operation::Decode, "S8") => call_decoders(group),
        (Operation::Decode, "S8R") => shared::<Message>(group, input(&shapes::s8_reply())),
        (Operation::Decode, _) => {
            owned(group, &shapes::s9());
            borrowed::<S9Borrowed<'static>>(group, input(&shapes::s9()));
        }
    }
}

/// The encoded value, for as long as the program runs.
pub(crate) fn input<T: Encode>(value: &T) -> &'static [u8] {
    to_vec(value).expect("the value is within its bounds").leak()
}

fn encoders<T: Encode + 'static>(group: &mut Group, value: T) {
    let value: &'static T = Box::leak(Box::new(value));
    group.slice_encoder(Side::Ours, TO_SLICE, xdr_core::encoded_len(value), |space| {
        encode_to_slice(black_box(value), space).unwrap()
    });
    group.new_encoder(Side::Ours, TO_VEC, || to_vec(black_box(value)).unwrap());
}

fn owned<T: DecodeOwned + Encode + 'static>(group: &mut Group, value: &T) {
    let input = input(value);
    decoder!(group, Side::Ours, OWNED, from_slice::<T>(black_box(input)).unwrap(), encoded);
}

fn borrowed<T: Decode<'static> + Encode + 'static>(group: &mut Group, input: &'static [u8]) {
    decoder!(group, Side::Ours, BORROWED, from_slice::<T>(black_box(input)).unwrap(), encoded);
}

fn shared<T: DecodeOwned + Encode + 'static>(group: &mut Group, input: &'static [u8]) {
    let input = record(input);
    decoder!(group, Side::Ours, SHARED, from_bytes::<T>(black_box(input)).unwrap(), encoded);
}

/// As a received record is: on the heap, and counted.
fn record(bytes: &[u8]) -> &'static Bytes {
    Box::leak(Box::new(Bytes::from(bytes.to_vec())))
}

fn encoded<T: Encode>(value: &T) -> Vec<u8> {
    to_vec(value).unwrap()
}

/// A call from a credential that was encoded before, as a client keeps it; from one that was not; from
/// one flat type; and from a header that was encoded before, where only the xid is new.
fn call_encoders(group: &mut Group) {
    encoders(group, shapes::s8());
    let sys: &'static AuthSys = Box::leak(Box::new(shapes::auth_sys()));
    let credential = Credential::Sys(sys.clone());
    let len = input(&shapes::s8()).len();
    group.slice_encoder(Side::Ours, WITH_CREDENTIAL, len, move |space| {
        let call = shapes::call(black_box(&credential).to_opaque().unwrap());
        encode_to_slice(&call, space).unwrap()
    });
    let flat: &'static S8Flat<'static> = Box::leak(Box::new(shapes::s8_flat(sys)));
    group.slice_encoder(Side::Ours, FLAT, len, |space| encode_to_slice(black_box(flat), space).unwrap());
    // Of a length that the compiler knows: the caller's own program and credential.
    let header: &'static [u8; 92] = input(&shapes::s8()).first_chunk().unwrap();
    group.slice_encoder(Side::Ours, CACHED, len, move |space| {
        let space: &mut [u8; 92] = space.first_chunk_mut().unwrap();
        *space = *black_box(header);
        encode_to_slice(&black_box(shapes::XID), space).unwrap();
        space.len()
    });
}

/// A call with its AUTH_SYS as they lie in the record; one whose credential is left as it came; one whose credential
/// is read and owned; and a flat type.
fn call_decoders(group: &mut Group) {
    let bytes = input(&shapes::s8());
    decoder!(group, Side::Ours, BORROWED, borrowed_call(black_box(bytes)), |(header, sys): &_| {
        let mut wire = encoded(header);
        assert_eq!(wire.split_off(84), [0; 8], "the verifier");
        assert_eq!(wire.split_off(32), encoded(sys));
        [wire, encoded(sys), vec![0; 8]].concat()
    });
    shared::<Message>(group, bytes);
    let record = record(bytes);
    decoder!(group, Side::Ours, WITH_CREDENTIAL, with_credential(black_box(record)), |(_, credential): &_| {
        encoded(&shapes::call(Credential::to_opaque(credential).unwrap()))
    });
    decoder!(group, Side::Ours, FLAT, from_slice::<S8Flat<'static>>(black_box(bytes)).unwrap(), encoded);
}

fn borrowed_call(bytes: &[u8]) -> ((u32, u32, CallBodyRef<'_>), AuthSysRef<'_>) {
    let header: (u32, u32, CallBodyRef<'_>) = from_slice(bytes).unwrap();
    let sys = from_slice(header.2.credential.body).unwrap();
    (header, sys)
}

fn with_credential(record: &Bytes) -> (Message, Credential) {
    let message: Message = from_bytes(record).unwrap();
    let MessageBody::Call(call) = &message.body else { unreachable!("it is a call") };
    let credential = Credential::read(&call.credential).unwrap();
    (message, credential)
}
