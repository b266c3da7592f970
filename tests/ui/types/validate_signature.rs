//! `validate` takes a reference and returns `bool`.
use xdr_core::Xdr;

fn by_value(count: u32) -> bool {
    count > 1
}

fn no_answer(count: &u32) -> u32 {
    *count
}

#[derive(Xdr)]
struct Counts {
    #[xdr(validate = by_value)]
    first: u32,
    #[xdr(validate = no_answer)]
    second: u32,
    #[xdr(validate = is_missing)]
    third: u32,
}

fn main() {}
