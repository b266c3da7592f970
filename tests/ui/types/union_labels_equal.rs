//! The same label under two names.
use xdr_core::Xdr;

const KIND_INT: i32 = 1;
const KIND_TEXT: i32 = 1;

#[derive(Xdr)]
enum Value {
    #[xdr(case = KIND_INT)]
    Int(i32),
    #[xdr(case = KIND_TEXT)]
    Text(#[xdr(max = 5)] String),
}

#[derive(Xdr)]
enum InBraces {
    #[xdr(case = 5)]
    First,
    #[xdr(case = { let five = 5; five })]
    Second,
}

fn main() {}
