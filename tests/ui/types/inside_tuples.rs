//! Types of variable length where there is no place for `max`.
use xdr_core::Encode;

#[derive(Encode)]
struct Inside {
    pair: (u32, String),
    result: Result<u32, String>,
    boxed: Box<Vec<u32>>,
}

fn main() {}
