//! Bounds on types whose length is fixed.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Count {
    #[xdr(max = 5)]
    count: u32,
}

#[derive(Xdr)]
struct Item {
    #[xdr(max = 5, item(max = 6))]
    counts: Vec<u32>,
}

fn main() {}
