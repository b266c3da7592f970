//! A module for `with` that has no functions.
use xdr_core::Xdr;

mod port {
    pub type Wire = u32;
}

#[derive(Xdr)]
struct Service {
    #[xdr(with = port)]
    port: u32,
}

fn main() {}
