//! A client of rpcbind against one of our own making, and against ones that mean no good.

mod fake_rpcbind;
mod wire;

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fake_rpcbind::{Fake, GREETER, SOMEBODY, Socket, at, by_tcp, entry, greeter, rpcbind, v2, v3, v4, versions};
use rpc_frame::rpcbind::{
    AddressError, MAX_LIST, PROGRAM, Registration, Rpcb, Rpcbind, RpcbindError, UniversalAddress, netid,
};
use rpc_frame::tokio::{CallError, ClosedError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use wire::{opaque, record, success, words};

// ---- every version ----

/// Registers, lists, looks up and removes, all in the highest version that is there.
async fn everything(fake: &Arc<Fake>, socket: &Socket, spoken: &str) {
    let rpcbind = Rpcbind::at_socket(socket);
    let service = greeter(1, "0.0.0.0:2049");
    assert_eq!(rpcbind.list().await.unwrap(), []);
    assert_eq!(rpcbind.address_of(GREETER, 1, netid::TCP).await.unwrap(), None);
    rpcbind.set(&service).await.unwrap();
    let [listed] = &rpcbind.list().await.unwrap()[..] else { panic!("one entry") };
    assert_eq!((&listed.netid, &listed.address), (&service.netid, &service.address));
    let found = rpcbind.address_of(GREETER, 1, netid::TCP).await.unwrap();
    assert_eq!(found, Some(UniversalAddress::Ip(at("127.0.0.1:2049"))));
    assert_eq!(rpcbind.address_of(GREETER, 1, netid::UDP).await.unwrap(), None);
    assert_eq!(rpcbind.address_of(GREETER, 2, netid::TCP).await.unwrap(), None);
    assert!(rpcbind.unset(GREETER, 1, netid::TCP).await.unwrap());
    assert!(!rpcbind.unset(GREETER, 1, netid::TCP).await.unwrap());
    assert!(fake.entries.borrow().is_empty());
    assert_eq!(versions(&fake.calls()), HashSet::from([spoken]));
}

#[tokio::test]
async fn the_highest_version_that_the_server_has_is_spoken() {
    let fake = Fake::new(Vec::new());
    everything(&fake, &Socket::serving(v4(&fake)), "4").await;
    everything(&fake, &Socket::serving(v3(&fake)), "3").await;
    everything(&fake, &Socket::serving(v2(&fake)), "2").await;
    everything(&fake, &Socket::serving((v2(&fake), (v3(&fake), v4(&fake)))), "4").await;
    everything(&fake, &Socket::serving((v2(&fake), v3(&fake))), "3").await;
}

#[tokio::test]
async fn an_address_on_the_transport_of_the_connection_is_asked_for_and_others_are_sought_in_the_list() {
    let fake = Fake::new(vec![
        entry(1, "tcp", "0.0.0.0.8.1", SOMEBODY),
        entry(1, "local", "/run/greeter", SOMEBODY),
        entry(1, "tcp6", "::.8.2", SOMEBODY),
        entry(1, "udp", "10.0.0.7.8.3", SOMEBODY),
    ]);
    let (_socket, local) = rpcbind(&fake);
    let tcp = Rpcbind::connect(by_tcp((v3(&fake), v4(&fake))).await).await.unwrap();
    let only_3 = Rpcbind::connect(by_tcp(v3(&fake)).await).await.unwrap();
    for (rpcbind, netid, address, call) in [
        (&local, "local", "/run/greeter", "4 GetVersAddr"),
        (&local, "tcp", "127.0.0.1.8.1", "4 Dump"),
        (&local, "tcp6", "::1.8.2", "4 Dump"),
        (&local, "udp", "10.0.0.7.8.3", "4 Dump"),
        (&tcp, "tcp", "127.0.0.1.8.1", "4 GetVersAddr"),
        (&tcp, "local", "/run/greeter", "4 Dump"),
        (&only_3, "tcp", "127.0.0.1.8.1", "3 GetAddr"),
        (&only_3, "udp", "10.0.0.7.8.3", "3 Dump"),
    ] {
        let found = rpcbind.address_of(GREETER, 1, netid).await.unwrap().unwrap();
        assert_eq!((found.to_string().as_str(), fake.calls()), (address, vec![call.to_string()]), "{netid}");
    }
    // An empty string says that there is none.
    for (rpcbind, netid, call) in
        [(&local, "local", "4 GetVersAddr"), (&tcp, "tcp", "4 GetVersAddr"), (&only_3, "tcp", "3 GetAddr")]
    {
        assert_eq!(rpcbind.address_of(GREETER, 2, netid).await.unwrap(), None);
        assert_eq!(fake.calls(), [call]);
    }
}

#[tokio::test]
async fn what_version_2_cannot_say_is_not_sent() {
    let fake = Fake::new(Vec::new());
    let socket = Socket::serving(v2(&fake));
    let rpcbind = Rpcbind::at_socket(&socket);
    let error = rpcbind.set(&greeter(1, "[::]:2049")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"rpcbind has only version 2 of its protocol, which cannot say "::.8.1" on transport "tcp6""#
    );
    for netid in [netid::LOCAL, netid::TCP6, "sctp"] {
        let error = rpcbind.address_of(GREETER, 1, netid).await.unwrap_err();
        assert!(matches!(error, RpcbindError::NotInVersion2 { .. }), "{error}");
    }
    assert_eq!(fake.calls(), [""; 0]);
}

// ---- refusals ----

#[tokio::test]
async fn a_place_that_another_owner_has_is_refused() {
    let fake = Fake::new(vec![entry(1, "tcp", "0.0.0.0.8.1", SOMEBODY)]);
    let (_socket, rpcbind) = rpcbind(&fake);
    let service = greeter(1, "0.0.0.0:2049");
    let registered = Registration::new(&rpcbind, [service.clone()]).await;
    for outcome in [rpcbind.set(&service).await, registered.map(drop)] {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, RpcbindError::Refused { service: refused } if **refused == service), "{error:?}");
        assert!(error.to_string().contains("program 536870978 version 1 on tcp at 0.0.0.0.8.1: either"), "{error}");
    }
    assert!(!rpcbind.unset(GREETER, 1, netid::TCP).await.unwrap());
    fake.has(1).await;
}

#[tokio::test]
async fn a_registration_by_tcp_is_refused() {
    let fake = Fake::new(Vec::new());
    let rpcbind = Rpcbind::connect(by_tcp(v4(&fake)).await).await.unwrap();
    let error = rpcbind.set(&greeter(1, "0.0.0.0:2049")).await.unwrap_err();
    assert!(error.to_string().contains("did not come through rpcbind's unix socket"), "{error}");
}

#[tokio::test]
async fn nobody_there_says_where_and_why() {
    let socket = Socket::new();
    let error = Rpcbind::at_socket(&socket).list().await.unwrap_err();
    assert!(error.to_string().contains(socket.as_ref().to_str().unwrap()), "{error}");
    assert!(error.source().unwrap().to_string().contains("No such file"), "{error:?}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Rpcbind::connect(address).await.unwrap_err();
    assert!(error.to_string().contains(&format!("cannot reach rpcbind at {address}: ")), "{error}");
}

// ---- servers that mean no good ----

/// Answers each call, by its program, version and procedure, with these bytes; counts them.
fn answering(answer: impl Fn(u32, [u32; 3]) -> Vec<u8> + Send + Sync + 'static) -> (Socket, Arc<AtomicUsize>) {
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(len) = stream.read_u32().await {
                let mut call = vec![0; (len & 0x7fff_ffff) as usize];
                stream.read_exact(&mut call).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let word = |index: usize| u32::from_be_bytes(call[4 * index..4 * index + 4].try_into().unwrap());
                if stream.write_all(&answer(word(0), [word(3), word(4), word(5)])).await.is_err() {
                    break;
                }
            }
        }
    });
    (socket, count)
}

fn mismatch(xid: u32, low: u32, high: u32) -> Vec<u8> {
    record(&words(&[xid, 1, 0, 0, 0, 2, low, high]))
}

#[tokio::test]
async fn a_server_that_has_no_version_is_asked_a_few_times_only() {
    for (low, high, tries) in [(2, 9, 3), (0, u32::MAX, 3), (5, 6, 1), (0, 1, 1), (4, 4, 1), (9, 2, 1), (2, 3, 3)] {
        let (socket, count) = answering(move |xid, _| mismatch(xid, low, high));
        let rpcbind = Rpcbind::at_socket(&socket);
        let error = rpcbind.list().await.unwrap_err();
        assert!(matches!(error, RpcbindError::Versions { low: l, high: h } if (l, h) == (low, high)), "{error}");
        assert_eq!(count.swap(0, Ordering::SeqCst), tries, "{low} to {high}");
        for error in [
            rpcbind.set(&greeter(1, "0.0.0.0:1")).await.unwrap_err(),
            rpcbind.unset(GREETER, 1, "tcp").await.unwrap_err(),
            rpcbind.address_of(GREETER, 1, "tcp").await.unwrap_err(),
        ] {
            assert!(matches!(error, RpcbindError::Versions { .. }), "{error}");
        }
        assert!(count.load(Ordering::SeqCst) <= 3 * tries);
    }
}

#[tokio::test]
async fn a_server_that_is_no_rpcbind_is_a_failed_call_with_its_cause() {
    let (socket, _) = answering(|xid, [program, ..]| {
        assert_eq!(program, PROGRAM);
        record(&words(&[xid, 1, 0, 0, 0, 1]))
    });
    let error = Rpcbind::at_socket(&socket).list().await.unwrap_err();
    assert_eq!(error.to_string(), "call to rpcbind failed: server does not have program 100000");
    assert!(error.source().unwrap().is::<CallError>());
}

#[tokio::test]
async fn a_server_that_does_not_accept_the_caller_has_refused() {
    let (socket, _) = answering(|xid, _| record(&words(&[xid, 1, 1, 1, 7])));
    let rpcbind = Rpcbind::at_socket(&socket);
    let error = rpcbind.set(&greeter(1, "0.0.0.0:1")).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Refused { .. }), "{error}");
    assert!(!rpcbind.unset(GREETER, 1, "tcp").await.unwrap());
    let error = rpcbind.list().await.unwrap_err();
    assert!(matches!(error, RpcbindError::Call(CallError::AuthError(_))), "{error}");
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    // Within one record: more entries than there may be.
    let (socket, _) = answering(|xid, [_, version, _]| match version {
        2 => success(xid, &[words(&[1, 1, 2, 6, 7]).repeat(MAX_LIST + 1), words(&[0])].concat()),
        _ => mismatch(xid, 2, 2),
    });
    let error = Rpcbind::at_socket(&socket).list().await.unwrap_err();
    assert!(matches!(error, RpcbindError::Call(CallError::Reply(_))), "{error}");
    assert!(error.to_string().contains("4096"), "{error}");
    let (socket, _) = answering(|xid, [_, version, _]| match version {
        2 => success(xid, &[words(&[1, 1, 2, 6, 7]).repeat(MAX_LIST), words(&[0])].concat()),
        _ => mismatch(xid, 2, 2),
    });
    assert_eq!(Rpcbind::at_socket(&socket).list().await.unwrap().len(), MAX_LIST);
    // A record that does not end.
    let (socket, _) = answering(|xid, _| {
        let endless = words(&[1, 1, 4, 0, 0, 0]).repeat(100_000);
        let body = [words(&[xid, 1, 0, 0, 0, 0]), endless].concat();
        wire::fragment(&body)
    });
    let error = Rpcbind::at_socket(&socket).list().await.unwrap_err();
    assert!(matches!(error, RpcbindError::Call(CallError::Closed(ClosedError::Protocol(_)))), "{error}");
}

#[tokio::test]
async fn a_bad_address_is_an_error_for_who_asks_for_it_and_a_text_in_the_list() {
    let strange = rpc_frame::xdr::XdrString(vec![b'1', 0xff]);
    let fake = Fake::new(vec![
        Rpcb { address: strange.clone(), ..entry(1, "tcp", "", SOMEBODY) },
        Rpcb { address: strange, ..entry(1, "local", "", SOMEBODY) },
        entry(2, "local", "nowhere", SOMEBODY),
        entry(3, "tcp", "1.2.3.4.5.6", SOMEBODY),
    ]);
    let (_socket, rpcbind) = rpcbind(&fake);
    let listed = rpcbind.list().await.unwrap();
    let texts: Vec<_> = listed.iter().map(|service| service.address.as_str()).collect();
    assert_eq!(texts, ["1\u{fffd}", "1\u{fffd}", "nowhere", "1.2.3.4.5.6"]);
    let error = rpcbind.address_of(GREETER, 1, netid::LOCAL).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Address(AddressError::NotUtf8 { .. })), "{error}");
    for (version, netid) in [(2, netid::LOCAL), (1, netid::TCP)] {
        let error = rpcbind.address_of(GREETER, version, netid).await.unwrap_err();
        assert!(matches!(error, RpcbindError::Address(AddressError::Port { .. })), "{error}");
    }
    let found = rpcbind.address_of(GREETER, 3, netid::TCP).await.unwrap();
    assert_eq!(found, Some(UniversalAddress::Ip(at("1.2.3.4:1286"))));
}

#[tokio::test]
async fn a_port_beyond_65535_is_a_bad_address() {
    let (socket, _) = answering(|xid, [_, version, _]| match version {
        2 => success(xid, &words(&[0x1_0000])),
        _ => mismatch(xid, 2, 2),
    });
    let error = Rpcbind::at_socket(&socket).address_of(GREETER, 1, netid::TCP).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"rpcbind told a bad address: address "0.0.0.0.256.0" does not end with the two bytes of a port"#
    );
}

#[tokio::test]
async fn results_of_another_type_are_an_error() {
    let (socket, _) = answering(|xid, _| success(xid, &opaque(b"what?")));
    let rpcbind = Rpcbind::at_socket(&socket);
    let error = rpcbind.set(&greeter(1, "0.0.0.0:1")).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Call(CallError::Reply(_))), "{error}");
    rpcbind.list().await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_timeout() {
    let (socket, count) = answering(|_, _| Vec::new());
    let rpcbind = Rpcbind::at_socket(&socket).with_timeout(Duration::from_millis(50));
    let error = rpcbind.list().await.unwrap_err();
    assert_eq!(error.to_string(), "rpcbind did not answer within 50ms");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
