//! An enum without a value.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Never {}

fn main() {}
