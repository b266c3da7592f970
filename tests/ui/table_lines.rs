//! Lines of a table that are not one message.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1)]
struct Ping;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService)]
enum Pings {
    Bare,
    Several(Ping, Ping),
    Named { ping: Ping },
    #[rpc(proc = 4)]
    Nothing(),
}

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = ValueService)]
#[repr(u32)]
enum OwnValue {
    Ping(Ping) = 1,
}

fn main() {}
