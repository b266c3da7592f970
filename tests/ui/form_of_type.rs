//! A key that names a type.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(switch = 5)]
enum Number {
    #[xdr(case = 1)]
    One,
}

#[derive(Xdr)]
#[xdr(switch = Kind::A)]
enum Value {
    #[xdr(case = 1)]
    One,
}

fn main() {}
