//! Servers and clients are left in peace behind mistakes in messages and tables.
use rpc_frame::{Context, Procedure, ProcedureTable};
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, proc = 1, reply = bool, retry)]
struct Ping;

#[derive(Xdr)]
struct Mapping;

#[derive(ProcedureTable)]
#[rpc(program = 7, service = PingService)]
enum Pings {
    Ping(Ping),
    #[rpc(proc = 2, reply = bool, auht)]
    Set(Mapping),
}

struct Server;

impl PingService for Server {
    async fn ping(&self, _cx: &Context, _args: Ping) -> bool {
        true
    }
    async fn set(&self, _cx: &Context, _args: Mapping) -> bool {
        true
    }
}

fn call<P: Procedure>(_message: P) -> Option<P::Reply> {
    None
}

fn main() {
    let _: Option<bool> = call(Ping);
    let _ = Pings::find(1);
}
