//! A line with keys of its own makes a type of its name, which another has already.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
struct Name {
    #[xdr(max = 64)]
    name: String,
}

#[derive(Xdr)]
struct Stat {
    state: i32,
}

#[derive(ProcedureTable)]
#[rpc(program = 100_024, version = 1, service = MonitorService)]
pub(crate) enum Monitor {
    #[rpc(proc = 1, reply = Stat)]
    Stat(Name),
    #[rpc(proc = 2, reply = Stat)]
    Watch(Name),
}

fn main() {}
