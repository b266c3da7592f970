//! Labels that are not of the switch's type.
use xdr_core::Xdr;

#[derive(Xdr, Clone, Copy)]
enum Kind {
    Int = 1,
}

#[derive(Xdr)]
#[xdr(switch = Kind)]
enum ByKind {
    #[xdr(case = 1)]
    Int(i32),
}

#[derive(Xdr)]
#[xdr(switch = u32)]
enum Unsigned {
    #[xdr(case = -1)]
    Int(i32),
}

#[derive(Xdr)]
enum SwitchForgotten {
    #[xdr(case = Kind::Int)]
    Int(i32),
}

fn main() {}
