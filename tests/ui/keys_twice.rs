//! Keys that are given twice.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(rename = "point", rename = "Point")]
struct Point {
    #[xdr(max = 5, max = 6)]
    name: String,
    #[xdr(max = 5)]
    #[xdr(max = 5)]
    other: String,
    #[xdr(max = 5, item(max = 3), item(max = 3))]
    names: Vec<String>,
}

fn main() {}
