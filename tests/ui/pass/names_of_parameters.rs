//! Parameters of the user's own, called like those that derived code makes for itself.
#![allow(non_camel_case_types, non_upper_case_globals)]

use xdr_core::Xdr;

#[derive(Debug, PartialEq, Xdr)]
struct Types<__Visit, __Visit_> {
    first: __Visit,
    second: __Visit_,
}

#[derive(Debug, PartialEq, Xdr)]
struct Constant<const __Visit: usize> {
    words: [u32; __Visit],
}

fn main() {
    let types = Types { first: 7_u32, second: true };
    let wire = xdr_core::to_vec(&types).unwrap();
    assert_eq!(wire, [0, 0, 0, 7, 0, 0, 0, 1]);
    assert_eq!(xdr_core::from_slice(&wire), Ok(types));
    assert_eq!(xdr_core::from_slice(&wire), Ok(Constant { words: [7, 1] }));
}
