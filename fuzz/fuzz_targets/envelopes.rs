//! Any bytes, decoded as the envelopes of calls and replies: owned, borrowed and shared agree, what is accepted is what
//! would be sent, and the engines read the same as the types.
//!
//! The first byte chooses the type.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rpc_frame::xdr::{Bytes, decode_prefix, encoded_len, from_slice, to_vec};
use rpc_frame::{
    AuthFlavor, AuthSys, AuthSysRef, CallBody, CallBodyRef, Connection, ConnectionConfig, Credential, Event, Malformed,
    Message, OpaqueAuth, OpaqueAuthRef, OutgoingCall, RPC_VERSION, ReplyBody,
};
use xdr_fuzz::agree::decode;
use xdr_fuzz::stream::{fragment, words};

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, input)) => decode::<Message, Message>(input),
        Some((1, input)) => decode::<CallBody, CallBodyRef<'_>>(input),
        Some((2, input)) => decode::<ReplyBody, ReplyBody>(input),
        Some((3, input)) => auth_sys(input),
        Some((4, input)) => credential(input),
        Some((5, input)) => call(input),
        Some((6, input)) => reply(input),
        _ => {}
    }
});

/// The groups are the same numbers, too.
fn auth_sys(input: &[u8]) {
    decode::<AuthSys, AuthSysRef<'_>>(input);
    if let (Ok(owned), Ok(borrowed)) = (from_slice::<AuthSys>(input), from_slice::<AuthSysRef<'_>>(input)) {
        assert_eq!(owned.machine_name, borrowed.machine_name);
        assert_eq!(owned.gids, borrowed.gids().collect::<Vec<_>>());
        assert_eq!((owned.stamp, owned.uid, owned.gid), (borrowed.stamp, borrowed.uid, borrowed.gid));
    }
}

/// A credential that is understood goes out as it came in; only what AUTH_NONE carries is left away.
fn credential(input: &[u8]) {
    decode::<OpaqueAuth, OpaqueAuthRef<'_>>(input);
    let Ok(auth) = from_slice::<OpaqueAuth>(input) else { return };
    match Credential::read(&auth) {
        Ok(Credential::None) => assert_eq!(auth.flavor, AuthFlavor::NONE),
        Ok(credential) => assert_eq!(credential.to_opaque().as_ref(), Ok(&auth)),
        Err(error) => {
            assert_eq!(auth.flavor, AuthFlavor::SYS);
            assert_eq!(from_slice::<AuthSys>(&auth.body), Err(error));
        }
    }
}

/// A connection reads a call as `CallBody` does, or says what is wrong with it first.
fn call(body: &[u8]) {
    let mut connection = Connection::new(ConnectionConfig::default());
    connection.receive(Duration::ZERO, &fragment(&[&words(&[7, 0]), body].concat(), true));
    let Ok(Some(Event::Call(call))) = connection.poll_event() else { panic!("no call") };
    assert_eq!(call.xid, 7);
    match (call.header, decode_prefix::<CallBody>(body)) {
        (Ok(header), Ok((expected, args))) => {
            assert_eq!((&header, &call.args[..]), (&expected, args));
            assert_eq!(header.rpcvers, RPC_VERSION);
            assert_eq!(to_vec(&header).as_deref(), Ok(&body[..body.len() - args.len()]));
        }
        (Err(Malformed::RpcVersion(version)), _) => {
            assert_ne!(version, RPC_VERSION);
            assert_eq!(body.first_chunk(), Some(&version.to_be_bytes()));
        }
        (Err(malformed), Err(error)) => {
            let field = match malformed {
                Malformed::Header => &["rpcvers", "program", "version", "procedure"][..],
                Malformed::Credential => &["credential"],
                Malformed::Verifier => &["verifier"],
                other => panic!("{other:?}"),
            };
            let within = |field| error.path.starts_with(&format!("call_body.{field}"));
            assert!(field.iter().any(within), "{malformed:?}, but {error}");
        }
        (header, expected) => panic!("{header:?}, not {expected:?}"),
    }
}

/// A connection reads a reply as `ReplyBody` does.
fn reply(body: &[u8]) {
    let mut connection = Connection::new(ConnectionConfig::default());
    let xid = connection.call(Duration::ZERO, &OutgoingCall::new(9, 1, 1), &(), None).expect("a short call");
    connection.receive(Duration::ZERO, &fragment(&[&words(&[xid, 1]), body].concat(), true));
    let Ok(Some(Event::Reply(reply))) = connection.poll_event() else { panic!("no reply") };
    match (reply.body, decode_prefix::<ReplyBody>(body)) {
        (Ok(read), Ok((expected, results))) => {
            assert_eq!((&read, &reply.results), (&expected, &Bytes::copy_from_slice(results)));
            assert_eq!(encoded_len(&read) + results.len(), body.len());
        }
        (read, expected) => assert_eq!(read.err(), expected.err()),
    }
}
