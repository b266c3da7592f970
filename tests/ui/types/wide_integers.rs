//! Integers wider than XDR's.
use xdr_core::Encode;

#[derive(Encode)]
struct Wide {
    unsigned: u128,
    signed: i128,
}

fn main() {}
