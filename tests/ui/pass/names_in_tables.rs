//! Constants and statics of the user's own, called like what the code of a procedure table makes for itself.
#![allow(non_upper_case_globals, dead_code)]

use rpc_frame::{Context, ProcedureTable};
use xdr_core::Xdr;

const LINES: u32 = 7;
const SORTED: u32 = 2;

const table: u32 = 3;
const service: u32 = 4;
const args: u32 = 5;
const encoder: u32 = 6;
static cx: u32 = 8;
static reply: u32 = 9;
static _message: u32 = 10;

#[derive(Xdr)]
#[rpc(program = LINES, version = SORTED, proc = table, reply = bool)]
struct Ping;

#[derive(Xdr)]
struct Mapping;

#[derive(ProcedureTable)]
#[rpc(program = LINES, version = SORTED, service = NamesService)]
enum Names {
    Ping(Ping),
    #[rpc(proc = service, reply = NamesReply, since = 1, until = args)]
    Set(Mapping),
}

/// Called as a table's replies might be.
#[derive(Xdr)]
struct NamesReply {
    count: u32,
}

struct Server;

impl NamesService for Server {
    async fn ping(&self, _: &Context, _: Ping) -> bool {
        true
    }
    async fn set(&self, _: &Context, _: Mapping) -> NamesReply {
        NamesReply { count: 1 }
    }
}

fn main() {
    let _ = rpc_frame::program::<Names, _>(Server);
    assert_eq!((Names::PROGRAM, Names::VERSION), (7, 2));
    assert_eq!(Names::PROCEDURES.iter().map(|procedure| procedure.number).collect::<Vec<_>>(), [3, 4]);
}
