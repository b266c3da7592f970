//! `max` above a variant belongs on the field inside it.
use xdr_core::Xdr;

#[derive(Xdr)]
enum Value {
    #[xdr(case = 1, max = 5)]
    Text(String),
    #[xdr(case = 2, max = 5, item(max = 3))]
    Names { names: Vec<String> },
    #[xdr(case = 3, max = 5)]
    Both(String, u32),
    #[xdr(case = 4, max = 5)]
    Nothing,
}

fn main() {}
