//! `max` is written with `=`, and its value is a number and not a text.
use xdr_core::Xdr;

#[derive(Xdr)]
struct Values {
    #[xdr(max(5))]
    parentheses: String,
    #[xdr(max)]
    alone: String,
    #[xdr(max())]
    empty: String,
    #[xdr(max = "5")]
    quoted: String,
    #[xdr(max("5"), list)]
    then_a_list: Vec<u32>,
}

fn main() {}
