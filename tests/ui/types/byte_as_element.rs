//! A lone byte, which XDR does not have.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Lone {
    byte: u8,
}

#[derive(Xdr)]
struct InTuple {
    pair: (u8, u32),
}

#[derive(Xdr)]
struct InList {
    #[xdr(list, max = 4)]
    bytes: Vec<u8>,
}

fn main() {}
