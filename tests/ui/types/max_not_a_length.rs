//! Maxima that are no lengths.
use xdr_core::Xdr;

const SIGNED: i32 = 5;

#[derive(Xdr)]
struct Signed {
    #[xdr(max = SIGNED)]
    name: String,
}

#[derive(Xdr)]
struct Misspelt {
    #[xdr(max = NAME_MAX)]
    name: String,
}

fn main() {}
