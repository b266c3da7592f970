//! `item` and `bound` have their values in parentheses.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(bound = "T: Clone")]
struct Items<T> {
    #[xdr(max = 5, item = 3)]
    assigned: Vec<String>,
    #[xdr(max = 5, item)]
    alone: Vec<String>,
    #[xdr(max = 5, item(max(3)))]
    inside: Vec<String>,
    #[xdr(max = 5, item(maximum = 3, max = 4))]
    unknown: Vec<String>,
    value: T,
}

fn main() {}
