//! Paths are written as paths.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(crate = "xdr_core", validate = "check")]
struct Domain {
    #[xdr(with = "module")]
    id: u32,
    #[xdr(validate("is_even"))]
    even: u32,
}

fn main() {}
