//! `other` that could not work.
use xdr_core::Xdr;

#[derive(Xdr)]
enum NoRepr {
    Known = 42,
    #[xdr(other)]
    Other(i32),
}

#[derive(Xdr)]
#[repr(i32)]
enum NoField {
    Known = 42,
    #[xdr(other)]
    Other,
}

#[derive(Xdr)]
#[repr(i32)]
enum Two {
    Known = 42,
    #[xdr(other)]
    Other(i32),
    #[xdr(other)]
    Another(i32),
}

fn main() {}
