//! Keys that do not exist.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(renamed = "point")]
struct Point {
    #[xdr(maximum = 5)]
    name: String,
    #[xdr(max = 5, items(max = 3))]
    names: Vec<String>,
}

#[derive(Xdr)]
enum Value {
    #[xdr(label = 1)]
    Int(i32),
}

fn main() {}
