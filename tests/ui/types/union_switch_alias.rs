//! Other names for numbers that are no discriminants.
use xdr_core::Xdr;

type Id = u64;

#[derive(Xdr)]
#[xdr(switch = Id)]
enum Value {
    #[xdr(case = 1)]
    Int(i32),
}

type Share = f32;

#[derive(Xdr)]
#[xdr(switch = Share)]
enum Shared {
    #[xdr(case = 1.5)]
    Int(i32),
}

type Short = i16;

#[derive(Xdr)]
#[xdr(switch = Short)]
enum Shortened {
    #[xdr(case = 1)]
    Int(i32),
}

/// Another type, and not only another name.
#[derive(Xdr, Clone, Copy)]
#[xdr(transparent)]
struct Number(u32);

#[derive(Xdr)]
#[xdr(switch = Number)]
enum Numbered {
    #[xdr(case = Number(1))]
    Int(i32),
}

fn main() {}
