//! Numbers that only the compiler knows.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

const NULL: u32 = 0;
const FIRST: u32 = 3;
const LAST: u32 = 2;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = NULL)]
struct Null;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1, since = FIRST, until = LAST)]
struct Never;

#[derive(Xdr)]
struct Mapping;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService)]
enum Pings {
    #[rpc(proc = 2, since = 4, until = 3)]
    Set(Mapping),
}

fn main() {}
