//! Who calls: what the hook over credentials sees and decides, and the short hands of AUTH_SHORT, as raw bytes.
#![cfg(feature = "tokio")]

mod wire;

use std::sync::{Arc, Mutex};

use rpc_frame::tokio::{CallOptions, Client, Server, ShortHands};
use rpc_frame::xdr::{Bytes, Xdr};
use rpc_frame::{
    AcceptClaims, AuthFlavor, AuthStat, AuthSys, Authenticated, Authenticator, Context, Credential, Identity,
    OpaqueAuth, Peer, ProcedureTable, Program, Session, program,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wire::{Call, auth, auth_sys, hex, opaque, record, success, words};

const DOOR: u32 = 0x2000_0046;

/// Who am I?
#[derive(Debug, Clone, Xdr)]
#[rpc(program = DOOR, version = 1, proc = 1, reply = Name)]
struct WhoAmI;

#[derive(Debug, Clone, PartialEq, Xdr)]
#[xdr(transparent)]
struct Name(#[xdr(max = 200)] String);

#[derive(ProcedureTable)]
#[rpc(program = DOOR, version = 1, service = DoorService)]
enum Door {
    WhoAmI(WhoAmI),
}

struct Doorman;

impl DoorService for Doorman {
    async fn who_am_i(&self, cx: &Context, _args: WhoAmI) -> Name {
        Name(cx.identity().to_string())
    }
}

fn door() -> Program<Door, Doorman> {
    program::<Door, _>(Doorman)
}

/// A connection to a server with this hook.
async fn connect(authenticator: impl Authenticator, peer: Peer) -> tokio::io::DuplexStream {
    let (io, raw) = duplex(64 * 1024);
    Server::builder(door()).authenticator(authenticator).build().serve_connection(io, peer).unwrap();
    raw
}

/// The reply to a call, without its record mark.
async fn ask(raw: &mut tokio::io::DuplexStream, call: &Call) -> Vec<u8> {
    raw.write_all(&call.record()).await.unwrap();
    let mark = raw.read_u32().await.unwrap();
    let mut reply = vec![0; (mark & 0x7fff_ffff) as usize];
    raw.read_exact(&mut reply).await.unwrap();
    reply
}

fn named(xid: u32, name: &str) -> Vec<u8> {
    success(xid, &opaque(name.as_bytes()))[4..].to_vec()
}

fn auth_error(xid: u32, stat: AuthStat) -> Vec<u8> {
    let stat = rpc_frame::xdr::to_vec(&stat).unwrap();
    [words(&[xid, 1, 1, 1]), stat].concat()
}

fn who(xid: u32) -> Call {
    Call::new(xid, DOOR, 1, 1)
}

#[tokio::test]
async fn a_claim_over_a_network_stays_a_claim_and_the_kernel_is_believed() {
    let sys = auth(1, &auth_sys(b"host", 0));
    let mut network = connect(AcceptClaims, Peer::Unknown).await;
    assert_eq!(hex(&ask(&mut network, &who(1)).await), hex(&named(1, "anonymous")));
    let claimed = ask(&mut network, &who(2).credential(sys.clone())).await;
    assert_eq!(hex(&claimed), hex(&named(2, "claims uid 1000, gid 100")));

    let mut local = connect(AcceptClaims, Peer::Unix { uid: 7, gid: 8, pid: None }).await;
    assert_eq!(hex(&ask(&mut local, &who(3).credential(sys)).await), hex(&named(3, "uid 7, gid 8")));
}

#[tokio::test]
async fn callers_that_take_turns_on_a_connection_are_each_who_they_say() {
    let other = AuthSys { stamp: 1, machine_name: "host".into(), uid: 5, gid: 6, gids: vec![] };
    let callers = [
        (auth(1, &auth_sys(b"host", 0)), "claims uid 1000, gid 100"),
        (auth(0, b""), "anonymous"),
        (auth(1, &rpc_frame::xdr::to_vec(&other).unwrap()), "claims uid 5, gid 6"),
    ];
    let mut raw = connect(AcceptClaims, Peer::Unknown).await;
    let mut xid = 0;
    // Each after itself and after each other, by itself and together with the others.
    for turns in [[0, 0, 1], [1, 2, 2], [0, 2, 1], [0, 1, 2]] {
        let mut calls = Vec::new();
        let mut replies = Vec::new();
        for caller in turns {
            xid += 1;
            let (credential, name) = &callers[caller];
            calls.extend(who(xid).credential(credential.clone()).record());
            replies.extend(record(&named(xid, name)));
        }
        raw.write_all(&calls).await.unwrap();
        let mut got = vec![0; replies.len()];
        raw.read_exact(&mut got).await.unwrap();
        assert_eq!(hex(&got), hex(&replies));
    }
    // What is cut off is not the known caller, however much of it is there.
    let mut cut = who(99).credential(callers[2].0.clone()).message();
    cut.truncate(cut.len() - 12);
    raw.write_all(&record(&cut)).await.unwrap();
    let mut refused = vec![0; 24];
    raw.read_exact(&mut refused).await.unwrap();
    assert_eq!(hex(&refused), hex(&record(&auth_error(99, AuthStat::BadCred))));
}

/// Counts how often it is asked.
struct Asked {
    for_good: bool,
    times: Arc<Mutex<u32>>,
}

impl Authenticator for Asked {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        *self.times.lock().unwrap() += 1;
        AcceptClaims.authenticate(session, credential, verifier)
    }

    fn lets_in_for_good(&self) -> bool {
        self.for_good
    }
}

#[tokio::test]
async fn a_hook_is_asked_about_each_call_unless_it_lets_callers_in_for_good() {
    for (for_good, asked) in [(false, [3, 6, 9, 10]), (true, [1, 2, 3, 4])] {
        let times = Arc::new(Mutex::new(0));
        let mut raw = connect(Asked { for_good, times: Arc::clone(&times) }, Peer::Unknown).await;
        let sys = auth(1, &auth_sys(b"host", 0));
        let mut so_far = Vec::new();
        for credential in [auth(0, b""), sys.clone(), auth(0, b"")] {
            for xid in 1..=3 {
                ask(&mut raw, &who(xid).credential(credential.clone())).await;
            }
            so_far.push(*times.lock().unwrap());
        }
        // Who says something else with the same credential is somebody else.
        ask(&mut raw, &who(4).verifier(auth(1, b"seal"))).await;
        so_far.push(*times.lock().unwrap());
        assert_eq!(so_far, asked);
    }
}

/// Accepts one flavor of its own, and looks at the verifier as well.
struct Tokens;

impl Authenticator for Tokens {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        match (credential.flavor.0, verifier.body.as_ref()) {
            (0x2000_0001, b"seal") => Ok(Authenticated {
                identity: Identity::Named(String::from_utf8_lossy(&credential.body).as_ref().into()),
                verifier: OpaqueAuth { flavor: AuthFlavor(0x2000_0001), body: Bytes::from_static(b"counterseal") },
                ..Authenticated::new(session, Credential::Other(credential.clone()))
            }),
            (0x2000_0001, _) => Err(AuthStat::RejectedVerf),
            _ => Err(AuthStat::TooWeak),
        }
    }
}

#[tokio::test]
async fn a_hook_of_the_users_decides_by_flavor_body_and_verifier_and_answers_with_its_own() {
    let mut raw = connect(Tokens, Peer::Unknown).await;
    let call = who(1).credential(auth(0x2000_0001, b"ada"));
    let sealed = call.clone().verifier(auth(0x2000_0001, b"seal"));
    let expected = [words(&[1, 1, 0]), auth(0x2000_0001, b"counterseal"), words(&[0]), opaque(b"ada")].concat();
    assert_eq!(hex(&ask(&mut raw, &sealed).await), hex(&expected));
    assert_eq!(hex(&ask(&mut raw, &call).await), hex(&auth_error(1, AuthStat::RejectedVerf)));
    assert_eq!(hex(&ask(&mut raw, &who(2)).await), hex(&auth_error(2, AuthStat::TooWeak)));
    // The hook comes before the program is looked for.
    let elsewhere = Call::new(3, DOOR + 1, 1, 1);
    assert_eq!(hex(&ask(&mut raw, &elsewhere).await), hex(&auth_error(3, AuthStat::TooWeak)));
}

/// Gives each caller a credential that tells whether it is still kept.
struct Lends(Arc<()>);

struct Lent(#[expect(dead_code, reason = "counted")] Arc<()>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        b"a part of the record"
    }
}

impl Authenticator for Lends {
    fn authenticate(&self, session: &Session, given: &OpaqueAuth, _: &OpaqueAuth) -> Result<Authenticated, AuthStat> {
        let body = Bytes::from_owner(Lent(Arc::clone(&self.0)));
        Ok(Authenticated::new(session, Credential::Other(OpaqueAuth { body, ..given.clone() })))
    }

    fn lets_in_for_good(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn nothing_of_a_call_is_kept_once_it_is_answered() {
    let lent = Arc::new(());
    let mut raw = connect(Lends(Arc::clone(&lent)), Peer::Unknown).await;
    for xid in 1..=2 {
        ask(&mut raw, &who(xid).credential(auth(0x2000_0001, b"token"))).await;
        assert_eq!(Arc::strong_count(&lent), 2, "ours and the hook's");
    }
}

/// The short hand in a reply's verifier.
fn short_hand(reply: &[u8]) -> Vec<u8> {
    assert_eq!(hex(&reply[4..20]), "00000001 00000000 00000002 00000010", "accepted, AUTH_SHORT of 16 bytes");
    reply[20..36].to_vec()
}

#[tokio::test]
async fn a_short_hand_stands_for_its_credential_until_it_is_forgotten() {
    let hands = Arc::new(ShortHands::new(AcceptClaims, 2));
    let mut raw = connect(Arc::clone(&hands), Peer::Unknown).await;
    let sys = |host: &[u8]| auth(1, &auth_sys(host, 1));
    let first = short_hand(&ask(&mut raw, &who(1).credential(sys(b"a"))).await);
    assert_eq!(short_hand(&ask(&mut raw, &who(2).credential(sys(b"a"))).await), first, "one a credential");
    let short = ask(&mut raw, &who(3).credential(auth(2, &first))).await;
    let name = opaque(b"claims uid 1000, gid 100");
    assert_eq!(hex(&short[short.len() - name.len()..]), hex(&name));

    // The latest two are remembered.
    let second = short_hand(&ask(&mut raw, &who(4).credential(sys(b"b"))).await);
    assert_ne!(first, second);
    short_hand(&ask(&mut raw, &who(5).credential(sys(b"c"))).await);
    let forgotten = ask(&mut raw, &who(6).credential(auth(2, &first))).await;
    assert_eq!(hex(&forgotten), hex(&auth_error(6, AuthStat::RejectedCred)));
    assert_eq!(ask(&mut raw, &who(7).credential(auth(2, &second))).await.len(), short.len());
    hands.forget();
    let forgotten = ask(&mut raw, &who(8).credential(auth(2, &second))).await;
    assert_eq!(hex(&forgotten), hex(&auth_error(8, AuthStat::RejectedCred)));
}

#[tokio::test]
async fn rejects_short_hands_that_were_never_issued_and_lets_others_be() {
    let mut raw = connect(ShortHands::new(AcceptClaims, 2), Peer::Unknown).await;
    for (xid, body) in [(1, &[0; 16][..]), (2, b""), (3, &[0xff; 400])] {
        let reply = ask(&mut raw, &who(xid).credential(auth(2, body))).await;
        assert_eq!(hex(&reply), hex(&auth_error(xid, AuthStat::RejectedCred)));
    }
    let malformed = ask(&mut raw, &who(4).credential(auth(1, b"no parms"))).await;
    assert_eq!(hex(&malformed), hex(&auth_error(4, AuthStat::BadCred)));
    assert_eq!(hex(&record(&ask(&mut raw, &who(5)).await)), hex(&record(&named(5, "anonymous"))));
}

#[tokio::test]
async fn a_client_uses_its_short_hand_and_falls_back_when_the_server_has_forgotten_it() {
    let hands = Arc::new(ShortHands::new(AcceptClaims, 8));
    let flavors = Arc::new(Mutex::new(Vec::new()));
    let seen = Flavors { inner: Arc::clone(&hands), seen: Arc::clone(&flavors) };
    let server = Server::builder(door()).authenticator(seen).build();
    let sys = Credential::Sys(AuthSys { stamp: 1, machine_name: "a".into(), uid: 5, gid: 6, gids: vec![] });
    let options = CallOptions::default().with_credential(sys.to_opaque().unwrap());
    let client = Client::new(server.connect_in_memory()).with_options(options);
    let claims = Name("claims uid 5, gid 6".into());
    for _ in 0..3 {
        assert_eq!(client.call(&WhoAmI).await.unwrap(), claims);
    }
    assert_eq!(std::mem::take(&mut *flavors.lock().unwrap()), [1, 2, 2]);
    hands.forget();
    for _ in 0..2 {
        assert_eq!(client.call(&WhoAmI).await.unwrap(), claims);
    }
    assert_eq!(std::mem::take(&mut *flavors.lock().unwrap()), [2, 1, 2], "refused, the credential, its new short hand");
    // Somebody else on the same connection has no part in it.
    let nobody = client.clone().with_options(CallOptions::default());
    assert_eq!(nobody.call(&WhoAmI).await.unwrap(), Name("anonymous".into()));
    assert_eq!(*flavors.lock().unwrap(), [0]);
}

/// Notes the flavors that come.
struct Flavors<A> {
    inner: A,
    seen: Arc<Mutex<Vec<u32>>>,
}

impl<A: Authenticator> Authenticator for Flavors<A> {
    fn authenticate(
        &self,
        session: &Session,
        credential: &OpaqueAuth,
        verifier: &OpaqueAuth,
    ) -> Result<Authenticated, AuthStat> {
        self.seen.lock().unwrap().push(credential.flavor.0);
        self.inner.authenticate(session, credential, verifier)
    }
}
