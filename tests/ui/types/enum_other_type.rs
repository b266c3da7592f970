//! `other` that keeps something else than the word.
use xdr_core::Xdr;

#[derive(Xdr)]
#[repr(i32)]
enum Code {
    Known = 42,
    #[xdr(other)]
    Other(u32),
}

fn main() {}
