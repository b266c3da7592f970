//! Types of variable length in fields that do not say how long they may be.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Text {
    name: String,
}

#[derive(Xdr)]
struct Numbers {
    ids: Vec<i32>,
}

#[derive(Xdr)]
struct Opaque {
    blob: Vec<u8>,
}

#[derive(Xdr)]
struct Borrowed<'a> {
    name: &'a str,
}

fn main() {}
