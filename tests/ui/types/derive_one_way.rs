//! Each direction alone says what is missing.
use xdr_core::{Decode, Encode};

#[derive(Encode)]
struct Sent {
    name: String,
    count: usize,
}

#[derive(Decode)]
struct Received<'a> {
    name: String,
    borrowed: &'a str,
    count: usize,
}

fn main() {}
