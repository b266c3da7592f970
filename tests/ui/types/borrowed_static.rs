//! Decoding borrows from the input, which does not live for ever.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Name {
    #[xdr(max = 5)]
    name: &'static str,
}

#[derive(Xdr)]
enum Value {
    #[xdr(case = 1)]
    Bytes(#[xdr(max = 5)] &'static [u8]),
}

fn main() {}
