//! A server that registers itself with rpcbind for its lifetime.

mod fake_rpcbind;

use std::sync::{Arc, Mutex};

use fake_rpcbind::{Fake, GREETER, SOMEBODY, Socket, at, entry, greeter, rpcbind, v2, v4};
use rpc_frame::rpcbind::{Registration, Rpcbind, RpcbindError, Service, netid};
use rpc_frame::tokio::Server;
use rpc_frame::xdr::Xdr;
use rpc_frame::{Context, ProcedureTable, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GREETER, version = 1, proc = 1)]
struct Hello;

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GREETER, version = 3, proc = 1)]
struct Hail;

#[derive(ProcedureTable)]
#[rpc(program = GREETER, version = 1, service = GreeterService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Greeter {
    Hello(Hello),
}

#[derive(ProcedureTable)]
#[rpc(program = GREETER, version = 3, service = NewGreeterService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum NewGreeter {
    Hail(Hail),
}

struct Polite;

impl GreeterService for Polite {
    async fn hello(&self, _: &Context, _: Hello) {}
}

impl NewGreeterService for Polite {
    async fn hail(&self, _: &Context, _: Hail) {}
}

#[tokio::test]
async fn a_server_is_registered_in_all_its_versions_and_gone_after_it_unregistered() {
    let fake = Fake::new(vec![entry(7, "tcp", "0.0.0.0.8.1", SOMEBODY)]);
    let (_socket, rpcbind) = rpcbind(&fake);
    let server = Server::new((program::<Greeter, _>(Polite), program::<NewGreeter, _>(Polite)));
    let addresses = [at("127.0.0.1:2049"), at("[::1]:2050")];
    let udp = [at("127.0.0.1:2051"), at("[::1]:2052")];
    let registration = Registration::of_server(&rpcbind, &server, &addresses, &udp).await.unwrap();
    let mut expected = Vec::new();
    for version in [1, 3] {
        expected.push(greeter(version, "127.0.0.1:2049"));
        expected.push(greeter(version, "[::1]:2050"));
        expected.push(Service::new(GREETER, version, "udp", &at("127.0.0.1:2051").into()));
        expected.push(Service::new(GREETER, version, "udp6", &at("[::1]:2052").into()));
    }
    assert_eq!(registration.services(), expected);
    fake.has(9).await;
    assert_eq!(rpcbind.address_of(GREETER, 3, netid::TCP6).await.unwrap(), Some(at("[::1]:2050").into()));
    assert_eq!(rpcbind.address_of(GREETER, 3, netid::UDP).await.unwrap(), Some(at("127.0.0.1:2051").into()));
    registration.unregister().await.unwrap();
    // The other's is left.
    assert_eq!(fake.entries.borrow().iter().map(|entry| entry.version).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn a_stale_entry_of_the_same_owner_is_replaced() {
    let fake = Fake::new(Vec::new());
    let (_socket, rpcbind) = rpcbind(&fake);
    rpcbind.set(&greeter(1, "0.0.0.0:2049")).await.unwrap();
    let error = rpcbind.set(&greeter(1, "0.0.0.0:2050")).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Refused { .. }), "{error}");
    let registration = Registration::new(&rpcbind, [greeter(1, "0.0.0.0:2050")]).await.unwrap();
    assert_eq!(rpcbind.list().await.unwrap()[0].address, "0.0.0.0.8.2");
    registration.unregister().await.unwrap();
    fake.has(0).await;
}

#[tokio::test]
async fn a_registration_that_was_replaced_leaves_its_successor_alone() {
    let fake = Fake::new(Vec::new());
    for socket in [Socket::serving(v4(&fake)), Socket::serving(v2(&fake))] {
        let rpcbind = Rpcbind::at_socket(&socket);
        let first = Registration::new(&rpcbind, [greeter(1, "10.0.0.1:2049")]).await.unwrap();
        let second = Registration::new(&rpcbind, [greeter(1, "10.0.0.1:2050")]).await.unwrap();
        first.unregister().await.unwrap();
        fake.has(1).await;
        second.unregister().await.unwrap();
        fake.has(0).await;
    }
}

#[tokio::test]
async fn a_portmapper_that_removes_both_protocols_together_keeps_both() {
    let fake = Fake::new(Vec::new());
    let socket = Socket::serving(v2(&fake));
    let rpcbind = Rpcbind::at_socket(&socket);
    let server = Server::new(program::<Greeter, _>(Polite));
    let address = [at("0.0.0.0:2049")];
    let registration = Registration::of_server(&rpcbind, &server, &address, &address).await.unwrap();
    assert_eq!(fake.entries.borrow().len(), 2);
    registration.unregister().await.unwrap();
    assert_eq!(fake.entries.borrow().len(), 0);
}

#[tokio::test]
async fn either_all_services_are_registered_or_none() {
    let fake = Fake::new(vec![entry(2, "tcp", "0.0.0.0.8.1", SOMEBODY)]);
    let (_socket, rpcbind) = rpcbind(&fake);
    let services = [1, 2, 3].map(|version| greeter(version, "0.0.0.0:2049"));
    let error = Registration::new(&rpcbind, services).await.unwrap_err();
    assert!(matches!(error, RpcbindError::Refused { service } if service.version == 2));
    assert_eq!(fake.calls().iter().filter(|call| *call == "4 Set").count(), 2);
    assert_eq!(*fake.entries.borrow(), [entry(2, "tcp", "0.0.0.0.8.1", SOMEBODY)]);
}

#[tokio::test]
async fn a_dropped_registration_is_removed_in_the_background() {
    let fake = Fake::new(Vec::new());
    let (_socket, rpcbind) = rpcbind(&fake);
    let registration =
        Registration::new(&rpcbind, [1, 2].map(|version| greeter(version, "0.0.0.0:2049"))).await.unwrap();
    fake.has(2).await;
    drop(registration);
    fake.has(0).await;
}

/// A server that registers, but whose answer the caller does not wait for.
#[tokio::test]
async fn a_registration_that_was_given_up_is_removed_all_the_same() {
    let fake = Fake::new(Vec::new());
    let (backend, _) = rpcbind(&fake);
    // Between client and server: the second answer, that of SET, does not come back.
    let socket = Socket::new();
    let listener = UnixListener::bind(&socket).unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = UnixStream::connect(&backend).await.unwrap();
            if connection > 0 {
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
                continue;
            }
            let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
            let mut unset = [0; 4 + 28];
            from_far.read_exact(&mut unset).await.unwrap();
            to_near.write_all(&unset).await.unwrap();
            keep.lock().unwrap().push((from_far, to_near));
        }
    });
    let rpcbind = Rpcbind::at_socket(&socket);
    let registering = tokio::spawn(async move { Registration::new(&rpcbind, [greeter(1, "0.0.0.0:2049")]).await });
    fake.has(1).await;
    registering.abort();
    assert!(registering.await.unwrap_err().is_cancelled());
    fake.has(0).await;
    drop(kept);
}

#[test]
fn a_registration_may_be_dropped_after_its_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fake, registration, socket) = runtime.block_on(async {
        let fake = Fake::new(Vec::new());
        let (socket, rpcbind) = rpcbind(&fake);
        (fake, Registration::new(&rpcbind, [greeter(1, "0.0.0.0:2049")]).await.unwrap(), socket)
    });
    drop(runtime);
    drop(registration);
    assert_eq!(fake.entries.borrow().len(), 1);
    drop(socket);
}
