//! A tag that is not of the switch's type.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(switch = u32)]
enum Value {
    #[xdr(case = [1, 2])]
    Int(#[xdr(tag)] i32, u32),
}

fn main() {}
