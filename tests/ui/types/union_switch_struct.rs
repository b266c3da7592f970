//! A struct is no discriminant.
use xdr_core::Xdr;

#[derive(Xdr, Clone, Copy)]
struct Kind {
    number: u32,
}

#[derive(Xdr)]
#[xdr(switch = Kind)]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
}

fn main() {}
