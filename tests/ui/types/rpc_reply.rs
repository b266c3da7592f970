//! A reply that has no XDR form, or borrows.
use xdr_core::Xdr;

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 1, reply = String)]
struct Unbounded;

#[derive(Xdr)]
struct Borrowed<'a> {
    #[xdr(max = 5)]
    name: &'a str,
}

#[derive(Xdr)]
#[rpc(program = 7, version = 1, proc = 2, reply = Borrowed<'static>)]
struct Borrows;

fn main() {}
