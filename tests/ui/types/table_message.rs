//! A message without its number, and one that is no message.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
struct Numberless;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService)]
enum Pings {
    Numberless(Numberless),
}

fn main() {}
