//! A Rust `union`, which does not know its arm.
use xdr_core::Xdr;

#[derive(Xdr)]
union Either {
    int: i32,
    unsigned: u32,
}

fn main() {}
