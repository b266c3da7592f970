//! A discriminant is XDR as well.
use xdr_core::Xdr;

#[derive(Clone, Copy)]
enum Kind {
    Int = 1,
}

#[derive(Xdr)]
#[xdr(switch = Kind)]
enum Value {
    #[xdr(case = Kind::Int)]
    Int(i32),
    #[xdr(default)]
    Rest(#[xdr(tag)] Kind),
}

fn main() {}
