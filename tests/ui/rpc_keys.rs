//! Keys of `#[rpc]` that are misspelt, misplaced or written in another form.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, procedure = 5, replay = u32)]
struct Misspelt;

#[derive(Xdr)]
#[rpc(program(7), version = "1", proc = 5, reply("u32"), auth = true)]
struct Form;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 6)]
struct Ping;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService, proc = 6)]
enum Pings {
    Ping(Ping),
    #[rpc(program = 7, proc = 8)]
    Other(Ping),
    #[rpc(reply = u32)]
    Numberless(Ping),
}

fn main() {}
