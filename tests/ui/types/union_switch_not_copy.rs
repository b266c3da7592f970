//! A discriminant that is kept is copied.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Kind {
    Int = 1,
    Text = 2,
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
