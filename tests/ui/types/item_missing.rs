//! Elements of variable length without a bound of their own.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Array {
    #[xdr(max = 64)]
    names: Vec<String>,
}

#[derive(Xdr)]
struct FixedArray {
    slots: [String; 4],
}

fn main() {}
