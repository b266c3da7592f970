//! A label that does not exist must not match everything.
use xdr_core::Xdr;

const KIND_INT: i32 = 1;

#[derive(Xdr)]
enum Value {
    #[xdr(case = KIND_INT)]
    Int(i32),
    #[xdr(case = KIND_TXET)]
    Text(#[xdr(max = 5)] String),
}

fn main() {}
