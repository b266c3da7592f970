//! An enum that keeps unknown values is no discriminant.
use xdr_core::Xdr;

#[derive(Xdr, Clone, Copy)]
#[repr(i32)]
enum Kind {
    Int = 1,
    #[xdr(other)]
    Other(i32),
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
