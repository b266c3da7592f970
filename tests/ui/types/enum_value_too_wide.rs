//! Values that do not fit the word of an XDR enum (RFC 4506 §4.3) must not be cut.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Wide {
    One = 1,
    CutToOne = 0x1_0000_0001,
}

#[derive(Xdr)]
#[repr(u32)]
enum Unsigned {
    High = 0x8000_0000,
}

fn main() {}
