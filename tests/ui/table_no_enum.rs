//! A table that is no enum.
use rpc_frame::ProcedureTable;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = FieldsService)]
struct Fields {
    ping: u32,
}

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = EitherService)]
union Either {
    ping: u32,
}

fn main() {}
