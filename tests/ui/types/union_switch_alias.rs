//! Another name for an integer that is no discriminant.
use xdr_core::Xdr;

type Id = u64;

#[derive(Xdr)]
#[xdr(switch = Id)]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
}

fn main() {}
