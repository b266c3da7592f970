//! Types of other crates, which the user cannot derive for.
use std::time::Duration;
use xdr_core::Encode;

#[derive(Encode)]
struct Foreign {
    timeout: Duration,
}

fn main() {}
