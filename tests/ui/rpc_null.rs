//! Procedure 0 is NULL.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 0)]
struct Null;

#[derive(Xdr)]
struct Mapping;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService)]
enum Pings {
    #[rpc(proc = 0)]
    Set(Mapping),
}

fn main() {}
