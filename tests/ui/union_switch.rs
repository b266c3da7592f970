//! Switches on types that are no discriminants.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(switch = u64)]
enum Wide {
    #[xdr(case = 1)]
    Int(i32),
}

#[derive(Xdr)]
#[xdr(switch = u8)]
enum Narrow {
    #[xdr(case = 1)]
    Int(i32),
}

#[derive(Xdr)]
#[xdr(switch = f32)]
enum Fraction {
    #[xdr(case = 1 as f32)]
    Int(i32),
}

#[derive(Xdr)]
#[xdr(switch = u32)]
struct NoUnion {
    x: i32,
}

fn main() {}
