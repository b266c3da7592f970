//! `#[rpc]` on messages, and `ProcedureTable`.

mod wire;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use rpc_frame::xdr::{Encode, Xdr};
use rpc_frame::{
    AcceptStatus, Answer, Connection, ConnectionConfig, Context, Event, OnewayProcedure, Outcome, Peer, Procedure,
    ProcedureInfo, ProcedureTable, Programs, Rules, Session, Undispatched, check, program,
};
use wire::{Call, hex, opaque, record, success, words};

/// The output of a future that does not wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// The reply to a call, in hexadecimal.
fn reply(programs: &impl Programs, call: &Call) -> String {
    let mut engine = Connection::new(ConnectionConfig::default());
    engine.receive(Duration::ZERO, &call.record());
    let Ok(Some(Event::Call(call))) = engine.poll_event() else { panic!("no call") };
    let session = Arc::new(Session::new(Peer::Unknown));
    match check(programs, &Rules::default(), &session, &call) {
        Answer::Outcome(outcome) => engine.reply(Duration::ZERO, call.xid, outcome),
        Answer::Dispatch(cx) => match at_once(programs.dispatch(&cx, &call.args)) {
            Ok(reply) => engine.reply_with(Duration::ZERO, call.xid, &reply).unwrap(),
            Err(Undispatched::GarbageArgs(_)) => {
                engine.reply(Duration::ZERO, call.xid, Outcome::Accepted(AcceptStatus::GarbageArgs));
            }
            Err(error) => panic!("{error}"),
        },
        answer => panic!("{answer:?}"),
    }
    hex(engine.output())
}

/// What a successful reply is.
fn results(words_: &[u32]) -> String {
    hex(&success(1, &words(words_)))
}

// ---- messages ----

mod numbers {
    pub(super) const PORTMAP: u32 = 100_000;
    pub(super) const SINCE: u32 = 2;
    pub(super) const LONG: u64 = 1800;
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = numbers::PORTMAP + 1, version = 1 + 1, proc = 0x10, reply = Option<u32>)]
#[rpc(since = numbers::SINCE, until = 9, auth, read_only, idempotent, time_limit = Duration::from_secs(numbers::LONG))]
struct EveryKey {
    word: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 1, version = 2, proc = 3)]
struct FewestKeys;

#[test]
fn a_message_knows_everything_that_its_attribute_says() {
    let expected = ProcedureInfo::new(100_001, 2, 16, "EveryKey").since(2).until(9).auth().read_only().idempotent();
    let expected = expected.time_limit(Duration::from_secs(1800));
    assert_eq!(EveryKey::INFO, expected);
    assert_eq!((EveryKey::PROGRAM, EveryKey::VERSION, EveryKey::NUMBER, EveryKey::NAME), (100_001, 2, 16, "EveryKey"));
    let reply: <EveryKey as Procedure>::Reply = Some(7);
    assert_eq!(reply, Some(7));
    let args: <EveryKey as Procedure>::Args = EveryKey { word: 1 };
    assert_eq!(args.word, 1);
}

#[test]
fn what_a_message_does_not_say_is_the_least() {
    assert_eq!(FewestKeys::INFO, ProcedureInfo::new(1, 2, 3, "FewestKeys"));
    let info = FewestKeys::INFO;
    assert_eq!((info.since, info.until, info.time_limit), (0, None, None));
    assert!(!info.auth && !info.read_only && !info.idempotent);
    // Void, where no reply is given.
    let reply: <FewestKeys as Procedure>::Reply = ();
    assert!(rpc_frame::xdr::to_vec(&reply).unwrap().is_empty());
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 0x2000_0045, version = 1, proc = 4, reply = u32)]
struct Say<'a> {
    #[xdr(max = 16)]
    text: &'a str,
}

#[test]
fn a_message_may_borrow_what_does_not_live_long() {
    fn number<P: Procedure<Args = P> + Encode>(message: &P) -> (u32, Vec<u8>) {
        (P::NUMBER, rpc_frame::xdr::to_vec(message).unwrap())
    }
    let text = String::from("hello");
    assert_eq!(number(&Say { text: &text }), (4, opaque(b"hello")));
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_client_calls_with_a_borrowed_message() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, mut far) = tokio::io::duplex(1024);
    let client = rpc_frame::tokio::Client::new(near);
    let call = tokio::spawn(async move {
        let text = String::from("hello");
        client.call(&Say { text: &text }).await
    });
    let mut sent = [0; 4 + 40 + 12];
    far.read_exact(&mut sent).await.unwrap();
    assert_eq!(sent[44..], opaque(b"hello"));
    let xid = u32::from_be_bytes(sent[4..8].try_into().unwrap());
    far.write_all(&success(xid, &words(&[5]))).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 5);
}

// ---- tables ----

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
struct Mapping {
    program: u32,
    version: u32,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = numbers::PORTMAP, version = 2, proc = 30, reply = u32)]
struct Port {
    mapping: Mapping,
}

#[derive(Debug, Clone, Xdr)]
#[rpc(program = numbers::PORTMAP, version = 2, proc = 7, reply = bool)]
struct Ping;

/// Who listens where.
///
/// In the order in which they were thought of.
#[derive(ProcedureTable)]
#[rpc(program = numbers::PORTMAP, version = 2, service = PortmapService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Portmap {
    Port(Port),
    /// Forgets a mapping.
    #[rpc(proc = 2, reply = bool)]
    Unset(Mapping),
    #[rpc(proc = 0xffff_ffff, since = 0, until = 4, idempotent)]
    Last(Mapping),
    Ping(Ping),
    #[rpc(proc = 1, reply = bool)]
    Set(Mapping),
}

struct Mapper;

impl PortmapService for Mapper {
    async fn port(&self, cx: &Context, args: Port) -> u32 {
        assert_eq!(cx.procedure().name, "Port");
        args.mapping.program + args.mapping.version
    }

    async fn unset(&self, cx: &Context, args: Mapping) -> bool {
        assert_eq!(cx.procedure().name, "Unset");
        args.version == 1
    }

    async fn last(&self, cx: &Context, _: Mapping) {
        assert_eq!(cx.procedure().number, u32::MAX);
    }

    // A method need not be an `async fn`.
    fn ping(&self, cx: &Context, _: Ping) -> impl Future<Output = bool> + Send {
        std::future::ready(cx.xid() == 1)
    }

    async fn set(&self, cx: &Context, args: Mapping) -> bool {
        assert_eq!(cx.procedure().name, "Set");
        args.version == 2
    }
}

fn portmap(procedure: u32) -> Call {
    Call::new(1, numbers::PORTMAP, 2, procedure)
}

#[test]
fn a_table_is_sorted_by_number_however_it_is_written() {
    let lines: Vec<_> = Portmap::PROCEDURES.iter().map(|line| (line.number, line.name)).collect();
    assert_eq!(lines, [(1, "Set"), (2, "Unset"), (7, "Ping"), (30, "Port"), (u32::MAX, "Last")]);
    assert_eq!((Portmap::NAME, Portmap::PROGRAM, Portmap::VERSION), ("Portmap", 100_000, 2));
    assert_eq!(Portmap::DOCS, "Who listens where.\n\nIn the order in which they were thought of.");
}

#[test]
fn find_finds_every_line_and_nothing_else() {
    for line in Portmap::PROCEDURES {
        assert_eq!(Portmap::find(line.number), Some(line));
    }
    for number in [0, 3, 6, 8, 29, 31, 0x8000_0000, u32::MAX - 1] {
        assert_eq!(Portmap::find(number), None);
    }
}

#[test]
fn a_message_of_several_procedures_has_its_numbers_on_the_lines_of_the_table() {
    assert_eq!(Set::INFO, ProcedureInfo::new(numbers::PORTMAP, 2, 1, "Set"));
    assert_eq!(Unset::INFO, ProcedureInfo::new(numbers::PORTMAP, 2, 2, "Unset"));
    assert_eq!(Last::INFO, ProcedureInfo::new(numbers::PORTMAP, 2, u32::MAX, "Last").until(4).idempotent());
    let both: (<Set as Procedure>::Args, <Unset as Procedure>::Args) =
        (Mapping { program: 1, version: 2 }, Mapping { program: 3, version: 4 });
    assert_ne!(both.0, both.1);
    let replies: (<Set as Procedure>::Reply, <Last as Procedure>::Reply) = (true, ());
    assert!(replies.0);
}

#[test]
fn every_line_leads_to_its_own_method() {
    let programs = program::<Portmap, _>(Mapper);
    let mapping = words(&[10, 1]);
    assert_eq!(reply(&programs, &portmap(1).args(mapping.clone())), results(&[0]));
    assert_eq!(reply(&programs, &portmap(2).args(mapping.clone())), results(&[1]));
    assert_eq!(reply(&programs, &portmap(7)), results(&[1]));
    assert_eq!(reply(&programs, &portmap(30).args(mapping.clone())), results(&[11]));
    assert_eq!(reply(&programs, &portmap(u32::MAX).args(mapping)), results(&[]));
    let garbage = hex(&record(&words(&[1, 1, 0, 0, 0, 4])));
    assert_eq!(reply(&programs, &portmap(2)), garbage);
    assert_eq!(reply(&programs, &portmap(7).args(words(&[0]))), garbage);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_client_names_the_procedure_where_the_message_serves_several() {
    let server = rpc_frame::tokio::Server::new(program::<Portmap, _>(Mapper));
    let client = rpc_frame::tokio::Client::new(server.connect_in_memory());
    let mapping = Mapping { program: 10, version: 1 };
    assert!(!client.call_procedure::<Set>(&mapping).await.unwrap());
    assert!(client.call_procedure::<Unset>(&mapping).await.unwrap());
    client.call_procedure::<Last>(&mapping).await.unwrap();
    assert_eq!(client.call(&Port { mapping }).await.unwrap(), 11);
}

/// Two versions of a program that share a message.
mod versions {
    use super::*;

    pub(super) const PROGRAM: u32 = 0x2000_0046;

    #[derive(ProcedureTable)]
    #[rpc(program = PROGRAM, version = 1, service = FirstService)]
    #[allow(dead_code, reason = "a table is only looked up in")]
    pub(super) enum First {
        #[rpc(proc = 1, reply = u32)]
        Ask(Mapping),
    }

    pub(super) mod second {
        use super::*;

        #[derive(ProcedureTable)]
        #[rpc(program = PROGRAM, version = 2, service = SecondService)]
        #[allow(dead_code, reason = "a table is only looked up in")]
        pub(crate) enum Second {
            #[rpc(proc = 1, reply = u32)]
            Ask(Mapping),
        }
    }

    pub(super) struct Both;

    impl FirstService for Both {
        async fn ask(&self, _: &Context, _: Mapping) -> u32 {
            1
        }
    }

    impl second::SecondService for Both {
        async fn ask(&self, _: &Context, _: Mapping) -> u32 {
            2
        }
    }
}

#[test]
fn a_message_may_serve_several_versions_and_one_service_several_tables() {
    let both = Arc::new(versions::Both);
    let programs = (
        program::<versions::First, versions::Both>(Arc::clone(&both)),
        program::<versions::second::Second, versions::Both>(Arc::clone(&both)),
    );
    for version in [1, 2] {
        let call = Call::new(1, versions::PROGRAM, version, 1).args(words(&[0, 0]));
        assert_eq!(reply(&programs, &call), results(&[version]));
    }
}

// ---- names ----

#[derive(Debug, Clone, Xdr)]
#[rpc(program = 0x2000_0047, version = 1, proc = 1, reply = u32)]
struct r#Move {
    r#type: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = 0x2000_0047, version = 1, service = KeywordService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum r#Keywords {
    r#Move(r#Move),
    #[rpc(proc = 2, reply = u32)]
    Match(Mapping),
    #[rpc(proc = 3, reply = u32)]
    r#Try(Mapping),
    #[rpc(proc = 4, reply = u32)]
    Async(Mapping),
    #[rpc(proc = 5, reply = u32)]
    GetURIv2Of(Mapping),
}

struct Answers;

impl KeywordService for Answers {
    async fn r#move(&self, _: &Context, args: r#Move) -> u32 {
        args.r#type
    }

    async fn r#match(&self, _: &Context, _: Mapping) -> u32 {
        2
    }

    async fn r#try(&self, _: &Context, _: Mapping) -> u32 {
        3
    }

    async fn r#async(&self, _: &Context, _: Mapping) -> u32 {
        4
    }

    async fn get_uriv2_of(&self, _: &Context, _: Mapping) -> u32 {
        5
    }
}

#[test]
fn procedures_may_be_called_after_keywords() {
    let programs = program::<r#Keywords, _>(Answers);
    assert_eq!(reply(&programs, &Call::new(1, 0x2000_0047, 1, 1).args(words(&[9]))), results(&[9]));
    for procedure in 2..=5 {
        let call = Call::new(1, 0x2000_0047, 1, procedure).args(words(&[0, 0]));
        assert_eq!(reply(&programs, &call), results(&[procedure]));
    }
}

#[test]
fn a_raw_identifier_is_a_name_without_its_prefix() {
    let names: Vec<_> = r#Keywords::PROCEDURES.iter().map(|line| line.name).collect();
    assert_eq!(names, ["Move", "Match", "Try", "Async", "GetURIv2Of"]);
    assert_eq!(r#Keywords::NAME, "Keywords");
    assert_eq!(<r#Move as Procedure>::NAME, "Move");
}

// ---- `crate = path` ----

/// Looks like `rpc_frame`, but its traits are others: what is derived must not reach around it.
#[allow(dead_code, reason = "what matters is that it is implemented")]
mod facade {
    use std::future::Future;

    pub(crate) use rpc_frame::*;

    pub(crate) trait Procedure {
        type Args;
        type Reply;
        const INFO: ProcedureInfo;
        const PROGRAM: u32 = Self::INFO.program;
        const VERSION: u32 = Self::INFO.version;
        const NUMBER: u32 = Self::INFO.number;
    }

    pub(crate) trait ProcedureTable {
        const NAME: &'static str;
        const DOCS: &'static str;
        const PROGRAM: u32;
        const VERSION: u32;
        const PROCEDURES: &'static [ProcedureInfo];
    }

    pub(crate) trait Dispatch<S>: ProcedureTable {
        type Reply;
        fn dispatch(
            service: &S,
            cx: &Context,
            args: &xdr::Bytes,
        ) -> impl Future<Output = Result<Self::Reply, Undispatched>> + Send;
    }
}

mod renamed {
    use rpc_frame::Context;
    use rpc_frame::xdr::Xdr;

    #[derive(Xdr)]
    #[xdr(crate = crate::facade::xdr)]
    #[rpc(crate = crate::facade, program = 5, version = 6, proc = 8, reply = u32)]
    pub(super) struct Ask {
        pub(super) word: u32,
    }

    #[derive(rpc_frame::ProcedureTable)]
    #[rpc(crate = crate::facade, program = 5, version = 6, service = AskService)]
    #[allow(dead_code, reason = "a table is only looked up in")]
    pub(super) enum Asks {
        Ask(Ask),
        #[rpc(proc = 7, reply = u32)]
        Again(super::Mapping),
    }

    pub(super) struct Nobody;

    impl AskService for Nobody {
        async fn ask(&self, _: &Context, args: Ask) -> u32 {
            args.word
        }

        async fn again(&self, _: &Context, args: super::Mapping) -> u32 {
            args.program
        }
    }
}

#[test]
fn everything_that_is_derived_goes_through_the_path_that_is_given() {
    assert_eq!(<renamed::Ask as facade::Procedure>::INFO, ProcedureInfo::new(5, 6, 8, "Ask"));
    assert_eq!(<renamed::Again as facade::Procedure>::INFO, ProcedureInfo::new(5, 6, 7, "Again"));
    let numbers: Vec<_> =
        <renamed::Asks as facade::ProcedureTable>::PROCEDURES.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [7, 8]);
    fn dispatches<T: facade::Dispatch<S>, S>() {}
    dispatches::<renamed::Asks, renamed::Nobody>();
}

// ---- oneway ----

/// What the clock says, on every occasion that keys give.
#[derive(Debug, Clone, PartialEq, Eq, Xdr)]
#[rpc(program = 700, version = 3, proc = 9, oneway, since = 2, until = 5, auth, read_only, idempotent)]
struct Tick<'a> {
    #[xdr(max = 16)]
    zone: &'a str,
}

#[derive(ProcedureTable)]
#[rpc(program = 700, version = 3, service = ClockService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Clock<'a> {
    Tick(Tick<'a>),
    #[rpc(proc = 4, oneway)]
    Alarm(Mapping),
    #[rpc(proc = 5, reply = u32)]
    Set5(Mapping),
}

struct Wall;

impl ClockService for Wall {
    async fn tick(&self, _: &Context, args: Tick<'_>) {
        assert_eq!(args.zone, "UTC");
    }

    async fn alarm(&self, cx: &Context, args: Mapping) {
        assert_eq!((cx.procedure().name, args.version), ("Alarm", 1));
    }

    async fn set5(&self, _: &Context, args: Mapping) -> u32 {
        args.program
    }
}

#[test]
fn a_oneway_message_says_so_with_its_numbers_and_is_no_procedure_with_a_reply() {
    let tick = ProcedureInfo::new(700, 3, 9, "Tick").since(2).until(5).auth().read_only().idempotent().oneway();
    assert_eq!(<Tick<'_> as OnewayProcedure>::INFO, tick);
    assert_eq!(Alarm::INFO, ProcedureInfo::new(700, 3, 4, "Alarm").oneway());
    assert_eq!((Alarm::PROGRAM, Alarm::VERSION, Alarm::NUMBER, Alarm::NAME), (700, 3, 4, "Alarm"));
    assert!(tick.oneway && !Set5::INFO.oneway);
    let args: <Alarm as OnewayProcedure>::Args = Mapping { program: 1, version: 2 };
    assert_eq!(args.version, 2);

    // The trait's constant is found only where the type does not have its own.
    trait NoProcedure {
        const HAS_REPLY: bool = false;
    }
    impl<T> NoProcedure for T {}
    struct Probe<T>(std::marker::PhantomData<T>);
    impl<T: Procedure> Probe<T> {
        const HAS_REPLY: bool = true;
    }
    assert_eq!(
        [Probe::<Set5>::HAS_REPLY, Probe::<Alarm>::HAS_REPLY, Probe::<Tick<'_>>::HAS_REPLY],
        [true, false, false]
    );
}

#[test]
fn a_table_holds_both_kinds_and_a_oneway_method_returns_nothing() {
    let lines: Vec<_> = Clock::PROCEDURES.iter().map(|line| (line.number, line.name, line.oneway)).collect();
    assert_eq!(lines, [(4, "Alarm", true), (5, "Set5", false), (9, "Tick", true)]);
    let programs = program::<Clock<'static>, _>(Wall);
    // A sans-IO server sees that it is oneway in the context, and leaves the call unanswered.
    let call = |procedure, args| reply(&programs, &Call::new(1, 700, 3, procedure).args(args));
    assert_eq!(call(4, words(&[10, 1])), results(&[]));
    assert_eq!(call(5, words(&[10, 1])), results(&[10]));
}
