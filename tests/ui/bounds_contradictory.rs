//! Bounds that contradict each other or say nothing.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Bounds {
    #[xdr(max = 5, unbounded)]
    both: String,
    #[xdr(max = 5, item())]
    empty: Vec<String>,
    #[xdr(list)]
    endless: Vec<u32>,
    #[xdr(max = 5, item(max = 4, unbounded))]
    inside: Vec<String>,
    #[xdr(max = 5, skip)]
    absent: String,
}

fn main() {}
