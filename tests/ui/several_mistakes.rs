//! Every mistake of an item is reported at once, and users of the type are left in peace.
use xdr_core::Xdr;

#[derive(Xdr)]
#[xdr(switch = i64, transparent)]
enum Value {
    #[xdr(case = 1, case = 2)]
    Int(i32),
    Missing(#[xdr(maximum = 5)] String),
    #[xdr(case = [3, 4])]
    NoTag { #[xdr(max = 5, unbounded)] name: String },
    #[xdr(default)]
    NoTagEither,
}

#[derive(Xdr)]
struct Holder {
    value: Value,
}

fn main() {
    let value = Holder { value: Value::Int(1) };
    let bytes = xdr_core::to_vec(&value).unwrap();
    let _: Holder = xdr_core::from_slice(&bytes).unwrap();
}
