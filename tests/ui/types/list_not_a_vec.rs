//! `list` on what is no `Vec`, and `item` on elements that need none.
use xdr_core::Encode;

#[derive(Encode)]
struct List {
    #[xdr(list, max = 4)]
    number: u32,
}

#[derive(Encode)]
struct Item {
    #[xdr(item(max = 4))]
    slots: [u32; 4],
}

fn main() {}
