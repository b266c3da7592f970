//! Keys that have no value.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(transparent = true)]
struct Name(#[xdr(max = 5)] String);

#[derive(Xdr)]
struct Flags {
    #[xdr(skip = true)]
    skipped: u32,
    #[xdr(skip = false)]
    kept: u32,
    #[xdr(unbounded())]
    endless: String,
    #[xdr(list = 5)]
    list: Vec<u32>,
}

#[derive(Xdr)]
enum Value {
    #[xdr(default = 1)]
    Rest(#[xdr(tag = i32)] i32),
}

#[derive(Xdr)]
#[repr(i32)]
enum Code {
    One = 1,
    #[xdr(other = i32)]
    Other(i32),
}

fn main() {}
