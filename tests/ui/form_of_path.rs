//! A key that names a function, a module or a crate.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(validate = |one: &One| one.closure > 0, crate = 5)]
struct One {
    #[xdr(validate = |number| number > 0)]
    closure: u32,
    #[xdr(validate = is_small())]
    call: u32,
    #[xdr(validate = is_small<u32>, max = 3)]
    generic: String,
    #[xdr(validate = is_small::<u32>())]
    generic_call: u32,
    #[xdr(with = hex::<u32>)]
    generic_module: u32,
    #[xdr(with = { hex })]
    block: u32,
    #[xdr(with = &hex, validate = is_small)]
    reference: u32,
}

fn main() {}
