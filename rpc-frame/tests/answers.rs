//! What a server answers by itself, byte for byte.
//!
//! Every exchange goes through the engine without I/O, and, where the feature is there, through a server on tokio.
//! After every answer the connection has to answer a call to procedure 0 as well.

mod wire;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use rpc_frame::xdr::{Bytes, Xdr};
use rpc_frame::{
    AcceptStatus, ActivationPolicy, Answer, AuthStat, Connection, ConnectionConfig, ConnectionError, Context, Event,
    Outcome, Peer, Policy, ProcedureTable, Programs, Rules, Session, Undispatched, Verdict, check, program,
};
use wire::{Call, auth, auth_sys, fragment, hex, opaque, record, success, words};

// ---- the programs ----

const GUEST: u32 = 0x2000_0042;
const OTHER: u32 = 0x2000_0043;

#[derive(Debug, Clone, Xdr)]
struct Text {
    #[xdr(max = 8)]
    text: String,
}

#[derive(Debug, Clone, Xdr)]
struct Blob {
    #[xdr(max = 0x40_0000)]
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 1, reply = Text)]
struct Echo {
    #[xdr(max = 8)]
    text: String,
}

/// Replies with that many letters, whatever the bound of its reply.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 3, reply = Text)]
struct Letters {
    count: u32,
}

/// Replies with that many bytes, whatever the cap on a record.
#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 4, reply = Blob)]
struct Fill {
    count: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 5, reply = u32, since = 2, until = 3, auth)]
struct Guarded {
    word: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 6, reply = u32, read_only)]
struct Look {
    word: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 1, proc = 7, reply = u32)]
struct Panic;

#[derive(ProcedureTable)]
#[allow(dead_code, reason = "a table is only looked up in")]
#[rpc(program = GUEST, version = 1, service = GuestService)]
enum Guest {
    Echo(Echo),
    Letters(Letters),
    Fill(Fill),
    Guarded(Guarded),
    Look(Look),
    Panic(Panic),
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = GUEST, version = 4, proc = 1, reply = u32)]
struct Newer;

#[derive(ProcedureTable)]
#[allow(dead_code, reason = "a table is only looked up in")]
#[rpc(program = GUEST, version = 4, service = NewGuestService)]
enum NewGuest {
    Newer(Newer),
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = OTHER, version = 7, proc = 1, reply = u32)]
struct Else;

#[derive(ProcedureTable)]
#[allow(dead_code, reason = "a table is only looked up in")]
#[rpc(program = OTHER, version = 7, service = OtherService)]
enum Other {
    Else(Else),
}

struct Daemon;

impl GuestService for Daemon {
    async fn echo(&self, _: &Context, args: Echo) -> Text {
        Text { text: args.text }
    }

    async fn letters(&self, _: &Context, args: Letters) -> Text {
        Text { text: "x".repeat(args.count as usize) }
    }

    async fn fill(&self, _: &Context, args: Fill) -> Blob {
        Blob { bytes: vec![0; args.count as usize] }
    }

    async fn guarded(&self, _: &Context, args: Guarded) -> u32 {
        args.word
    }

    async fn look(&self, _: &Context, args: Look) -> u32 {
        args.word
    }

    async fn panic(&self, _: &Context, _: Panic) -> u32 {
        panic!("as the test wants it")
    }
}

impl NewGuestService for Daemon {
    async fn newer(&self, _: &Context, _: Newer) -> u32 {
        4
    }
}

impl OtherService for Daemon {
    async fn r#else(&self, _: &Context, _: Else) -> u32 {
        7
    }
}

fn programs() -> impl Programs {
    ((program::<NewGuest, _>(Daemon), program::<Other, _>(Daemon)), program::<Guest, _>(Daemon))
}

fn one_program() -> impl Programs {
    program::<Guest, _>(Daemon)
}

// ---- exchanges ----

/// The refusals of a policy of the user's: one verdict for the procedure `Look`.
#[derive(Clone)]
struct Refuses(Verdict);

impl Policy for Refuses {
    fn check(&self, cx: &Context) -> Verdict {
        if cx.procedure().name == "Look" { self.0.clone() } else { Verdict::Allow }
    }
}

/// A server's side of a connection.
#[derive(Clone)]
struct Setup<Y = ActivationPolicy> {
    policy: Y,
    minor: u32,
    read_only: bool,
    one_program: bool,
}

const fn setup<Y>(policy: Y) -> Setup<Y> {
    Setup { policy, minor: 2, read_only: false, one_program: false }
}

impl Default for Setup {
    fn default() -> Self {
        setup(ActivationPolicy::default())
    }
}

impl<Y: Policy + Clone> Setup<Y> {
    fn session(&self, peer: Peer) -> Session {
        let session = Session::new(peer).with_read_only(self.read_only);
        session.negotiate_minor(self.minor);
        session
    }

    /// What comes back for a stream, and why the connection is closed before its end.
    fn exchange(&self, stream: &[u8]) -> (Vec<u8>, Option<ConnectionError>) {
        if self.one_program { self.exchange_with(one_program, stream) } else { self.exchange_with(programs, stream) }
    }

    fn exchange_with<P: Programs>(
        &self,
        programs: impl Fn() -> P,
        stream: &[u8],
    ) -> (Vec<u8>, Option<ConnectionError>) {
        let exchanged = self.exchange_without_io(&programs(), stream);
        #[cfg(feature = "tokio")]
        if exchanged.1.is_none() {
            assert_eq!(hex(&self.exchange_on_tokio(programs(), stream)), hex(&exchanged.0), "on tokio");
        }
        exchanged
    }

    fn exchange_without_io(&self, programs: &impl Programs, stream: &[u8]) -> (Vec<u8>, Option<ConnectionError>) {
        let session = Arc::new(self.session(Peer::Unknown));
        let rules = Rules { policy: Box::new(self.policy.clone()), ..Rules::default() };
        let mut engine = Connection::new(ConnectionConfig::default());
        let now = Duration::ZERO;
        engine.receive(now, stream);
        let mut replies = Vec::new();
        let error = loop {
            let call = match engine.poll_event() {
                Ok(Some(Event::Call(call))) => call,
                // More calls may be taken up once the peer has read.
                Ok(None) if !engine.output().is_empty() => {
                    replies.extend_from_slice(engine.output());
                    engine.advance_output(now, usize::MAX);
                    continue;
                }
                Ok(None) => break engine.handle_eof().err(),
                Ok(Some(event)) => panic!("{event:?}"),
                Err(error) => break Some(error),
            };
            match check(programs, &rules, &session, &call) {
                // A reply that cannot be sent becomes SYSTEM_ERR.
                Answer::Outcome(outcome) => engine.reply(now, call.xid, outcome),
                Answer::Results(results) => drop(engine.reply_with(now, call.xid, &results)),
                Answer::Dispatch(cx) => match at_once(programs.dispatch(&cx, &call.args)) {
                    Ok(reply) => drop(engine.reply_with(now, call.xid, &reply)),
                    Err(Undispatched::GarbageArgs(_)) => {
                        engine.reply(now, call.xid, Outcome::Accepted(AcceptStatus::GarbageArgs));
                    }
                    Err(error) => panic!("{error}"),
                },
                answer => panic!("{answer:?}"),
            }
        };
        replies.extend_from_slice(engine.output());
        (replies, error)
    }

    #[cfg(feature = "tokio")]
    fn exchange_on_tokio(&self, programs: impl Programs, stream: &[u8]) -> Vec<u8> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let setup = self.clone();
        let sessions = move |peer| setup.session(peer);
        let server = rpc_frame::tokio::Server::builder(programs).policy(self.policy.clone()).sessions(sessions);
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let mut io = server.build().connect_in_memory();
            let mut replies = Vec::new();
            io.write_all(stream).await.unwrap();
            io.shutdown().await.unwrap();
            io.read_to_end(&mut replies).await.unwrap();
            replies
        })
    }

    /// The reply to a call, in hexadecimal; the connection has to answer procedure 0 behind it.
    #[track_caller]
    fn reply(&self, call: &Call) -> String {
        self.reply_to(&call.record())
    }

    #[track_caller]
    fn reply_to(&self, record: &[u8]) -> String {
        let null = Call::new(0x77, GUEST, 1, 0).record();
        let (replies, error) = self.exchange(&[record, &null].concat());
        assert_eq!(error, None, "the connection survives");
        let reply = replies.strip_suffix(&success(0x77, &[])[..]);
        hex(reply.unwrap_or_else(|| panic!("no answer to procedure 0 in {}", hex(&replies))))
    }
}

/// The output of a future that does not wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// The reply to a call on a server with its defaults, at minor version 2.
#[track_caller]
fn reply(call: &Call) -> String {
    Setup::default().reply(call)
}

fn guest(procedure: u32) -> Call {
    Call::new(0x2a, GUEST, 1, procedure)
}

fn echo() -> Call {
    guest(1).args(opaque(b"hello"))
}

fn sys() -> Vec<u8> {
    auth(1, &auth_sys(b"guest", 0))
}

const ECHOED: &str = "80000024 0000002a 00000001 00000000 00000000 00000000 00000000 00000005 68656c6c 6f000000";
const NULL: &str = "80000018 0000002a 00000001 00000000 00000000 00000000 00000000";
const PROG_UNAVAIL: &str = "80000018 0000002a 00000001 00000000 00000000 00000000 00000001";
const PROC_UNAVAIL: &str = "80000018 0000002a 00000001 00000000 00000000 00000000 00000003";
const GARBAGE_ARGS: &str = "80000018 0000002a 00000001 00000000 00000000 00000000 00000004";
const SYSTEM_ERR: &str = "80000018 0000002a 00000001 00000000 00000000 00000000 00000005";
const RPC_MISMATCH: &str = "80000018 0000002a 00000001 00000001 00000000 00000002 00000002";
const BAD_CRED: &str = "80000014 0000002a 00000001 00000001 00000001 00000001";
const REJECTED_CRED: &str = "80000014 0000002a 00000001 00000001 00000001 00000002";
const BAD_VERF: &str = "80000014 0000002a 00000001 00000001 00000001 00000003";
const TOO_WEAK: &str = "80000014 0000002a 00000001 00000001 00000001 00000005";

fn prog_mismatch(low: u32, high: u32) -> String {
    format!("80000020 0000002a 00000001 00000000 00000000 00000000 00000002 {low:08x} {high:08x}")
}

// ---- calls that reach a handler ----

#[test]
fn a_call_reaches_its_handler() {
    assert_eq!(reply(&echo()), ECHOED);
    assert_eq!(reply(&Call::new(0x2a, GUEST, 4, 1)), format!("8000001c {} 00000004", &NULL[9..]));
    assert_eq!(reply(&Call::new(0x2a, OTHER, 7, 1)), format!("8000001c {} 00000007", &NULL[9..]));
}

#[test]
fn procedure_0_answers_without_results_in_every_program_and_version() {
    assert_eq!(reply(&guest(0)), NULL);
    assert_eq!(reply(&Call::new(0x2a, GUEST, 4, 0)), NULL);
    assert_eq!(reply(&Call::new(0x2a, OTHER, 7, 0)), NULL);
    let channel = Setup { read_only: true, ..Setup::default() };
    assert_eq!(channel.reply(&guest(0)), NULL);
    assert_eq!(setup(Refuses(Verdict::ProcUnavail)).reply(&guest(0)), NULL);
}

#[test]
fn procedure_0_takes_no_arguments() {
    assert_eq!(reply(&guest(0).args(words(&[0]))), GARBAGE_ARGS);
}

// ---- RPC version, credential, verifier ----

#[test]
fn another_rpc_version_is_rpc_mismatch() {
    for rpcvers in [0, 1, 3, 0xffff_ffff] {
        assert_eq!(reply(&Call { rpcvers, ..echo() }), RPC_MISMATCH);
    }
    // What follows another version is not known, so it may be missing.
    assert_eq!(Setup::default().reply_to(&record(&words(&[0x2a, 0, 3]))), RPC_MISMATCH);
}

#[test]
fn a_header_that_ends_before_the_procedure_is_garbage_args() {
    let message = echo().message();
    for len in 8..24 {
        assert_eq!(Setup::default().reply_to(&record(&message[..len])), GARBAGE_ARGS, "after {len} bytes");
    }
}

#[test]
fn a_credential_or_verifier_of_400_bytes_is_accepted() {
    let longest = auth(0, &[7; 400]);
    assert_eq!(reply(&echo().credential(longest.clone())), ECHOED);
    assert_eq!(reply(&echo().verifier(longest.clone())), ECHOED);
    assert_eq!(reply(&echo().verifier(longest.clone()).credential(longest)), ECHOED);
}

#[test]
fn rejects_a_credential_of_401_bytes_as_auth_badcred() {
    assert_eq!(reply(&echo().credential(auth(0, &[7; 401]))), BAD_CRED);
    assert_eq!(reply(&echo().credential(auth(1, &[7; 401]))), BAD_CRED);
    assert_eq!(reply(&echo().credential(auth(6, &[7; 401]))), BAD_CRED);
    assert_eq!(reply(&echo().credential(words(&[0, 0xffff_ffff]))), BAD_CRED);
    assert_eq!(reply(&echo().credential(words(&[1, 0xffff_fffd]))), BAD_CRED);
}

#[test]
fn rejects_a_truncated_credential_as_auth_badcred() {
    let message = echo().credential(sys()).message();
    for len in 24..24 + sys().len() {
        assert_eq!(Setup::default().reply_to(&record(&message[..len])), BAD_CRED, "after {len} bytes");
    }
}

#[test]
fn rejects_a_malformed_or_over_long_verifier_as_auth_badverf() {
    assert_eq!(reply(&echo().verifier(auth(0, &[7; 401]))), BAD_VERF);
    assert_eq!(reply(&echo().verifier(words(&[0, 0xffff_ffff]))), BAD_VERF);
    let message = echo().message();
    for len in 32..40 {
        assert_eq!(Setup::default().reply_to(&record(&message[..len])), BAD_VERF, "after {len} bytes");
    }
}

#[test]
fn auth_sys_is_accepted_up_to_16_groups_and_a_name_of_255_bytes() {
    assert_eq!(reply(&echo().credential(sys())), ECHOED);
    assert_eq!(reply(&echo().credential(auth(1, &auth_sys(b"", 16)))), ECHOED);
    assert_eq!(reply(&echo().credential(auth(1, &auth_sys(&[b'm'; 255], 0)))), ECHOED);
    assert_eq!(reply(&echo().credential(auth(1, &auth_sys(&[b'm'; 255], 16)))), ECHOED, "348 bytes");
}

#[test]
fn rejects_auth_sys_of_17_groups_or_a_name_of_256_bytes_as_auth_badcred() {
    assert_eq!(reply(&echo().credential(auth(1, &auth_sys(b"", 17)))), BAD_CRED);
    assert_eq!(reply(&echo().credential(auth(1, &auth_sys(&[b'm'; 256], 0)))), BAD_CRED);
}

#[test]
fn rejects_auth_sys_whose_inner_length_differs_from_its_outer_as_auth_badcred() {
    let body = auth_sys(b"guest", 2);
    assert_eq!(reply(&echo().credential(auth(1, &body))), ECHOED);
    for len in 0..body.len() {
        assert_eq!(reply(&echo().credential(auth(1, &body[..len]))), BAD_CRED, "{len} bytes");
    }
    for more in 1..=8 {
        let longer = [&body[..], &vec![0; more]].concat();
        assert_eq!(reply(&echo().credential(auth(1, &longer))), BAD_CRED, "{more} bytes more");
    }
    // A name, and a number of groups, that reach beyond the credential into the verifier.
    let mut name = body.clone();
    name[7] = 36;
    assert_eq!(reply(&echo().credential(auth(1, &name))), BAD_CRED);
    let mut groups = body;
    groups[27] = 3;
    assert_eq!(reply(&echo().credential(auth(1, &groups))), BAD_CRED);
}

#[test]
fn a_credential_of_a_flavor_that_is_not_accepted_is_auth_rejectedcred() {
    for flavor in [2, 3, 6, 7, 999, 0xffff_ffff] {
        assert_eq!(reply(&echo().credential(auth(flavor, b""))), REJECTED_CRED, "flavor {flavor}");
        assert_eq!(reply(&echo().credential(auth(flavor, &[9; 400]))), REJECTED_CRED, "flavor {flavor}");
    }
}

#[test]
fn a_verifier_of_an_unknown_flavor_is_kept_and_not_looked_at() {
    assert_eq!(reply(&echo().verifier(auth(999, b"verifier"))), ECHOED);
}

// ---- program, version, procedure ----

#[test]
fn an_unknown_program_is_prog_unavail() {
    for program in [0, 1, GUEST - 1, OTHER + 1, 0xffff_ffff] {
        for procedure in [0, 1, 999] {
            assert_eq!(reply(&Call::new(0x2a, program, 1, procedure)), PROG_UNAVAIL);
        }
    }
}

#[test]
fn another_version_is_prog_mismatch_with_the_versions_that_are_there() {
    let one = Setup { one_program: true, ..Setup::default() };
    for procedure in [0, 1, 999] {
        for version in [0, 2, 4, 0xffff_ffff] {
            assert_eq!(one.reply(&Call::new(0x2a, GUEST, version, procedure)), prog_mismatch(1, 1));
        }
        // The tables of versions 4 and 1 stand in this order, with another program between them.
        for version in [0, 2, 3, 5, 7, 0xffff_ffff] {
            assert_eq!(reply(&Call::new(0x2a, GUEST, version, procedure)), prog_mismatch(1, 4));
        }
        assert_eq!(reply(&Call::new(0x2a, OTHER, 1, procedure)), prog_mismatch(7, 7));
    }
}

#[test]
fn an_unknown_procedure_is_proc_unavail() {
    // 2 is a gap; 8 is one beyond the table.
    for procedure in [2, 8, 999, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        assert_eq!(reply(&guest(procedure)), PROC_UNAVAIL);
        assert_eq!(Setup { read_only: true, ..Setup::default() }.reply(&guest(procedure)), PROC_UNAVAIL);
    }
    // Version 4 has another table.
    assert_eq!(reply(&Call::new(0x2a, GUEST, 4, 3)), PROC_UNAVAIL);
}

#[test]
fn a_procedure_is_there_from_its_first_minor_version_to_its_last() {
    let call = guest(5).args(words(&[9])).credential(sys());
    for (minor, there) in [(0, false), (1, false), (2, true), (3, true), (4, false), (0xffff_ffff, false)] {
        let reply = Setup { minor, ..Setup::default() }.reply(&call);
        assert_eq!(reply == format!("8000001c {} 00000009", &NULL[9..]), there, "minor {minor}");
        assert_eq!(reply == PROC_UNAVAIL, !there, "minor {minor}");
    }
}

#[test]
fn a_procedure_that_is_not_active_cannot_be_told_from_an_unknown_one() {
    let without = setup(ActivationPolicy::default().switch_off(GUEST, 6));
    let unknown = Setup::default().reply(&guest(2));
    for read_only in [false, true] {
        // However the call is made: well, weakly, with arguments that are none.
        for args in [words(&[9]), vec![], vec![0; 3], words(&[9, 9])] {
            for credential in [auth(0, b""), sys()] {
                let off = guest(6).args(args.clone()).credential(credential.clone());
                assert_eq!(Setup { read_only, ..without.clone() }.reply(&off), unknown);
                let later = guest(5).args(args.clone()).credential(credential);
                assert_eq!(Setup { read_only, minor: 0, ..Setup::default() }.reply(&later), unknown);
            }
        }
    }
    // The same number in another version of the program is switched off as well, in another program it is not.
    let without = setup(ActivationPolicy::default().switch_off(GUEST, 1));
    assert_eq!(without.reply(&echo()), PROC_UNAVAIL);
    assert_eq!(without.reply(&Call::new(0x2a, GUEST, 4, 1)), PROC_UNAVAIL);
    assert_ne!(without.reply(&Call::new(0x2a, OTHER, 7, 1)), PROC_UNAVAIL);
}

// ---- the policy ----

#[test]
fn a_procedure_that_demands_a_credential_is_auth_tooweak_without_one() {
    let call = guest(5).args(words(&[9]));
    assert_eq!(reply(&call), TOO_WEAK);
    assert_eq!(reply(&call.clone().credential(auth(0, b"not nobody"))), TOO_WEAK);
    assert_eq!(reply(&call.credential(sys())), format!("8000001c {} 00000009", &NULL[9..]));
}

#[test]
fn a_read_only_channel_allows_what_is_marked_read_only_and_refuses_the_rest_as_auth_tooweak() {
    let channel = Setup { read_only: true, ..Setup::default() };
    assert_eq!(channel.reply(&guest(6).args(words(&[9]))), format!("8000001c {} 00000009", &NULL[9..]));
    assert_eq!(channel.reply(&echo()), TOO_WEAK);
    assert_eq!(channel.reply(&echo().credential(sys())), TOO_WEAK, "whoever it is");
}

#[test]
fn a_policy_of_the_users_allows_or_refuses_in_each_way() {
    let call = guest(6).args(words(&[9]));
    assert_eq!(setup(Refuses(Verdict::Allow)).reply(&call), format!("8000001c {} 00000009", &NULL[9..]));
    assert_eq!(setup(Refuses(Verdict::ProcUnavail)).reply(&call), PROC_UNAVAIL);
    assert_eq!(
        setup(Refuses(Verdict::AuthError(AuthStat::Failed))).reply(&call),
        TOO_WEAK.replace("00000005", "00000007")
    );
    assert_eq!(
        setup(Refuses(Verdict::AuthError(AuthStat::Other(99)))).reply(&call),
        TOO_WEAK.replace("00000005", "00000063")
    );
    let refusal = Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 0x57]);
    let refused = format!("80000020 {} 00000001 00000057", &NULL[9..]);
    assert_eq!(setup(Refuses(Verdict::Reply(refusal.clone()))).reply(&call), refused);
    assert_eq!(setup(Refuses(Verdict::Reply(refusal))).reply(&guest(6)), refused, "before the arguments are looked at");
    assert_eq!(setup(Refuses(Verdict::ProcUnavail)).reply(&echo()), ECHOED, "only the procedure that it refuses");
}

#[test]
fn a_policy_cannot_answer_with_more_than_fits_a_record() {
    let results = Bytes::from(vec![0; 1024 * 1024]);
    let (replies, _) = setup(Refuses(Verdict::Reply(results))).exchange(&guest(6).record());
    assert_eq!(hex(&replies), SYSTEM_ERR);
}

// ---- arguments and results ----

#[test]
fn arguments_that_do_not_decode_are_garbage_args() {
    let args = opaque(b"hello");
    for len in 0..args.len() {
        assert_eq!(reply(&guest(1).args(args[..len].to_vec())), GARBAGE_ARGS, "truncated after {len} bytes");
    }
    for (why, args) in [
        ("trailing bytes", [&args[..], &[0; 4]].concat()),
        ("a trailing byte", [&args[..], &[0]].concat()),
        ("longer than the bound", opaque(b"ninebytes")),
        ("longer than the record", words(&[8, 0])),
        ("longer than anything", words(&[0xffff_ffff])),
        ("not UTF-8", opaque(b"\xff\xff\xff\xff")),
        ("padding that is not zero", [&words(&[5])[..], b"hello\0\0\x01"].concat()),
    ] {
        assert_eq!(reply(&guest(1).args(args)), GARBAGE_ARGS, "{why}");
    }
    assert_eq!(reply(&guest(7).args(words(&[0]))), GARBAGE_ARGS, "arguments where there are none");
}

#[test]
fn a_reply_over_its_own_bound_is_system_err() {
    let at = guest(3).args(words(&[8]));
    assert_eq!(reply(&at), format!("80000024 {} 00000008 78787878 78787878", &NULL[9..]));
    for count in [9, 100_000] {
        assert_eq!(reply(&guest(3).args(words(&[count]))), SYSTEM_ERR);
    }
}

#[test]
fn a_reply_over_the_cap_on_records_is_system_err() {
    // The header of a successful reply is 24 bytes, and the length of the opaque 4.
    let longest = 1024 * 1024 - 28;
    let filled = reply(&guest(4).args(words(&[longest])));
    assert!(filled.starts_with(&format!("80100000 {} {longest:08x}", &NULL[9..])), "{}", &filled[..80]);
    assert_eq!(reply(&guest(4).args(words(&[longest + 1]))), SYSTEM_ERR);
    assert_eq!(reply(&guest(4).args(words(&[4 * longest]))), SYSTEM_ERR);
}

#[cfg(feature = "tokio")]
#[test]
fn a_handler_that_panics_is_system_err() {
    let stream = [guest(7).record(), echo().record(), guest(7).record()].concat();
    let replies = Setup::default().exchange_on_tokio(programs(), &stream);
    assert_eq!(hex(&replies), [SYSTEM_ERR, ECHOED, SYSTEM_ERR].join(" "));
}

// ---- the order of checks ----

#[test]
fn a_call_with_several_things_wrong_is_answered_for_the_first() {
    let channel = Setup { read_only: true, minor: 0, ..Setup::default() };
    // Each step repairs what the step before was answered for.
    let call = Call {
        rpcvers: 3,
        program: 1,
        version: 9,
        procedure: 999,
        credential: auth(999, &[7; 401]),
        verifier: auth(0, &[7; 401]),
        args: vec![1],
        ..echo()
    };
    assert_eq!(channel.reply(&call), RPC_MISMATCH);
    let call = Call { rpcvers: 2, ..call };
    assert_eq!(channel.reply(&call), BAD_CRED);
    let call = Call { credential: auth(0, b""), ..call };
    assert_eq!(channel.reply(&call), BAD_VERF);
    let call = Call { verifier: auth(0, b""), ..call };
    for (credential, answer) in [(auth(999, b""), REJECTED_CRED), (auth(1, b""), BAD_CRED)] {
        assert_eq!(channel.reply(&call.clone().credential(credential)), answer);
    }
    assert_eq!(channel.reply(&call), PROG_UNAVAIL);
    let call = Call { program: GUEST, ..call };
    assert_eq!(channel.reply(&call), prog_mismatch(1, 4));
    let call = Call { version: 1, ..call };
    assert_eq!(channel.reply(&call), PROC_UNAVAIL, "unknown");
    let call = Call { procedure: 5, ..call };
    assert_eq!(channel.reply(&call), PROC_UNAVAIL, "not active");
    let channel = Setup { minor: 2, ..channel };
    assert_eq!(channel.reply(&call), TOO_WEAK, "nobody");
    let call = Call { credential: sys(), ..call };
    assert_eq!(channel.reply(&call), TOO_WEAK, "not allowed on the channel");
    let channel = Setup { read_only: false, ..channel };
    assert_eq!(channel.reply(&call), GARBAGE_ARGS);
    let call = Call { args: words(&[9]), ..call };
    assert_eq!(channel.reply(&call), format!("8000001c {} 00000009", &NULL[9..]));
}

// ---- what closes a connection ----

#[test]
fn a_connection_is_closed_for_what_is_not_a_message() {
    for (stream, error) in [
        (fragment(&[0; 8])[..4].to_vec(), None),
        (record(&words(&[0x2a])), Some(ConnectionError::TooShort { len: 4 })),
        (record(&words(&[0x2a, 2])), Some(ConnectionError::UnknownMessageType(2))),
        (record(&words(&[0x2a, 0xffff_ffff])), Some(ConnectionError::UnknownMessageType(0xffff_ffff))),
        (success(0x2a, &[]), Some(ConnectionError::UnexpectedReply { xid: 0x2a })),
        (record(&words(&[0x2a, 1])), Some(ConnectionError::UnexpectedReply { xid: 0x2a })),
        (words(&[0xffff_ffff]), None),
    ] {
        let (replies, closed) = Setup::default().exchange_without_io(&programs(), &stream);
        assert_eq!(hex(&replies), "");
        assert!(closed.is_some(), "{}", hex(&stream));
        if error.is_some() {
            assert_eq!(closed, error);
        }
        #[cfg(feature = "tokio")]
        {
            let null = Call::new(0x77, GUEST, 1, 0).record();
            let replies = Setup::default().exchange_on_tokio(programs(), &[stream, null].concat());
            assert_eq!(hex(&replies), "", "nothing behind it is answered");
        }
    }
}

#[test]
fn calls_ahead_of_broken_framing_are_answered() {
    let stream = [echo().record(), b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat();
    let (replies, closed) = Setup::default().exchange_without_io(&programs(), &stream);
    assert_eq!(hex(&replies), ECHOED);
    assert!(matches!(closed, Some(ConnectionError::Record(_))), "{closed:?}");
    #[cfg(feature = "tokio")]
    assert_eq!(hex(&Setup::default().exchange_on_tokio(programs(), &stream)), ECHOED);
}
