//! Messages that borrow from the record, in a table.

mod wire;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use rpc_frame::xdr::Xdr;
use rpc_frame::{
    Answer, Connection, ConnectionConfig, Context, Event, Peer, ProcedureTable, Programs, Rules, Session, check,
    program,
};
use wire::{Call, hex, opaque, success, words};

const PROGRAM: u32 = 0x2000_0048;

#[derive(Debug, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 1, reply = u32)]
struct Say<'a> {
    #[xdr(max = 16)]
    text: &'a str,
}

#[derive(Debug, Xdr)]
struct Pair<'a, 'b> {
    #[xdr(max = 16)]
    left: &'a [u8],
    #[xdr(max = 16)]
    right: &'b [u8],
}

#[derive(Debug, Xdr)]
#[rpc(program = PROGRAM, version = 1, proc = 3, reply = u32)]
struct Owned {
    word: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = PROGRAM, version = 1, service = TalkService)]
#[allow(dead_code, reason = "a table is only looked up in")]
enum Talk<'a, 'b> {
    Say(Say<'a>),
    #[rpc(proc = 2, reply = u32)]
    Join(Pair<'a, 'b>),
    Owned(Owned),
}

struct Listener;

impl TalkService for Listener {
    async fn say(&self, _: &Context, args: Say<'_>) -> u32 {
        // It is still borrowed behind a point where the handler may wait.
        std::future::ready(()).await;
        u32::try_from(args.text.len()).unwrap()
    }

    async fn join(&self, _: &Context, args: Pair<'_, '_>) -> u32 {
        u32::try_from(args.left.len() * 100 + args.right.len()).unwrap()
    }

    async fn owned(&self, _: &Context, args: Owned) -> u32 {
        args.word
    }
}

fn reply(call: &Call) -> String {
    let programs = program::<Talk<'_, '_>, _>(Listener);
    let mut engine = Connection::new(ConnectionConfig::default());
    engine.receive(Duration::ZERO, &call.record());
    let Ok(Some(Event::Call(call))) = engine.poll_event() else { panic!("no call") };
    let session = Arc::new(Session::new(Peer::Unknown));
    let Answer::Dispatch(cx) = check(&programs, &Rules::default(), &session, &call) else { panic!("refused") };
    let Poll::Ready(reply) = pin!(programs.dispatch(&cx, &call.args)).poll(&mut TaskContext::from_waker(Waker::noop()))
    else {
        panic!("the handler waits")
    };
    engine.reply_with(Duration::ZERO, call.xid, &reply.unwrap()).unwrap();
    hex(engine.output())
}

#[test]
fn a_handler_borrows_its_arguments_from_the_record() {
    for (procedure, args, results) in
        [(1, opaque(b"hello"), 5), (2, [opaque(b"abc"), opaque(b"de")].concat(), 302), (3, words(&[9]), 9)]
    {
        let call = Call::new(1, PROGRAM, 1, procedure).args(args);
        assert_eq!(reply(&call), hex(&success(1, &words(&[results]))));
    }
    let numbers: Vec<_> = Talk::PROCEDURES.iter().map(|line| line.name).collect();
    assert_eq!(numbers, ["Say", "Join", "Owned"]);
}
