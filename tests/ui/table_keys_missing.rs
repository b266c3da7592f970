//! A table without its numbers or its trait.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1)]
struct Ping;

#[derive(ProcedureTable)]
enum Bare {
    Ping(Ping),
}

#[derive(ProcedureTable)]
#[rpc(program = 7)]
enum Half {
    Ping(Ping),
}

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = GenericService)]
enum Generic<T> {
    Ping(T),
}

fn main() {}
