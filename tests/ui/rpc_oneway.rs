//! `oneway` where there is a reply, and where it does not belong.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5, reply = u32, oneway)]
struct Answered;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5, oneway, oneway)]
struct Twice;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 6, oneway)]
struct Right;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = Service, oneway)]
enum Table {
    #[rpc(proc = 5, oneway, reply = u32)]
    Line(Right),
    #[rpc(oneway)]
    WithoutNumber(Right),
}

fn main() {}
