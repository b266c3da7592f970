//! A table without a procedure.
use rpc_frame::ProcedureTable;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = NothingService)]
enum Nothing {}

fn main() {}
