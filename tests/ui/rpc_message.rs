//! `#[rpc]` on messages, with keys missing or unknown.
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1)]
struct NoProcedure;

#[derive(Xdr)]
#[rpc(reply = u32)]
struct Nothing;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, procedure = 5)]
struct Unknown;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5, proc = 6)]
struct Twice;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5, service = Service)]
struct Misplaced;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 5)]
struct Generic<T> {
    value: T,
}

fn main() {}
