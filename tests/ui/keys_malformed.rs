//! Attributes that are not written as keys and values.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr]
struct Bare {
    #[xdr = 5]
    name: u32,
}

#[derive(Xdr)]
struct Values {
    #[xdr(5)]
    name: String,
    #[xdr(max = )]
    third: String,
    #[xdr("max" = 5)]
    fourth: String,
    #[xdr(max = 5 list)]
    fifth: Vec<u32>,
}

fn main() {}
