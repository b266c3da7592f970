//! A number, a program and a version that are not the table's.
use rpc_frame::ProcedureTable;
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1)]
struct Ping;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1)]
struct Twice;

#[derive(Xdr)]
#[rpc(program = 8, version = 1, proc = 2)]
struct OtherProgram;

#[derive(Xdr)]
#[rpc(program = 7, version = 2, proc = 3)]
struct OtherVersion;

#[derive(ProcedureTable)]
#[rpc(program = 7, version = 1, service = PingService)]
enum Pings {
    Ping(Ping),
    Twice(Twice),
    OtherProgram(OtherProgram),
    OtherVersion(OtherVersion),
}

fn main() {}
