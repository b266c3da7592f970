//! A mistake in one key does not hide those behind it.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Names {
    #[xdr(max(5), item = 3, skip = true, "rename" = "x", list 5, unbounded)]
    names: Vec<String>,
}

fn main() {}
