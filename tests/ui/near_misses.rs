//! Slips of the finger, and words that mean the same.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(transparant)]
struct Name(#[xdr(mx = 5)] String);

#[derive(Xdr)]
#[xdr(swich = u32)]
enum Value {
    #[xdr(csae = 1)]
    Int(i32),
    #[xdr(label = 2)]
    Text(#[xdr(length = 5)] String),
    #[xdr(defualt)]
    Rest(#[xdr(tag)] i32),
}

#[derive(Xdr)]
struct Far {
    #[xdr(colour = "red")]
    x: i32,
}

fn main() {}
