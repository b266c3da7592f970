//! Tuples of more members than there are codecs for.
use xdr_core::Xdr;

type Nine = (u32, u32, u32, u32, u32, u32, u32, u32, u32);

#[derive(Xdr)]
struct Field {
    nine: Nine,
}

#[derive(Xdr)]
struct Element {
    #[xdr(max = 4)]
    twelve: Vec<(u8, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32)>,
}

fn main() {}
