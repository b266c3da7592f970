//! Keys that belong elsewhere.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(max = 5)]
struct Point {
    #[xdr(switch = u32)]
    x: i32,
    #[xdr(case = 1)]
    y: i32,
}

#[derive(Xdr)]
enum Value {
    #[xdr(max = 5)]
    Text(String),
    #[xdr(case = 2, transparent)]
    Int(i32),
}

#[derive(Xdr)]
struct Inside {
    #[xdr(max = 5, item(max = 3, skip))]
    names: Vec<String>,
}

fn main() {}
