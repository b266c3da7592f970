//! `transparent` where there is not one field.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(transparent)]
struct Two(u32, u32);

#[derive(Xdr)]
#[xdr(transparent)]
struct Nothing(#[xdr(skip)] u32);

#[derive(Xdr)]
#[xdr(transparent)]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
}

fn main() {}
