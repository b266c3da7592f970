//! `switch` is written with `=` and a type.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(switch(u32))]
enum Parentheses {
    #[xdr(case = 1)]
    Int(i32),
}

#[derive(Xdr)]
#[xdr(switch = "bool")]
enum Quoted {
    #[xdr(case = true)]
    Int(i32),
}

fn main() {}
