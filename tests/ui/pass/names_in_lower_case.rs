//! Constants in lower case, called like the local variables of derived code.
#![allow(non_upper_case_globals)]

use xdr_core::Xdr;

const run: u32 = 1;
const tag: u32 = 2;
const value: usize = 3;
const next0: usize = 4;
const field0: usize = 5;

#[derive(Debug, PartialEq, Xdr)]
struct Names {
    #[xdr(max = value)]
    name: String,
    #[xdr(max = next0 + field0)]
    other: String,
}

#[derive(Debug, PartialEq, Xdr)]
#[xdr(switch = u32)]
enum Arms {
    #[xdr(case = run)]
    Run(u32),
    #[xdr(case = [tag, 3])]
    Tag(#[xdr(tag)] u32, u32),
}

#[derive(Debug, PartialEq, Xdr)]
#[repr(i32)]
enum Open {
    One = 1,
    #[xdr(other)]
    Other(i32),
}

fn survives<T: xdr_core::Encode + xdr_core::DecodeOwned + PartialEq + std::fmt::Debug>(value_: T, word: u32) {
    let wire = xdr_core::to_vec(&value_).unwrap();
    assert_eq!(wire[..4], word.to_be_bytes(), "{value_:?}");
    assert_eq!(xdr_core::from_slice::<T>(&wire).unwrap(), value_);
}

fn main() {
    survives(Names { name: "abc".into(), other: String::new() }, 3);
    survives(Arms::Run(1), 1);
    survives(Arms::Tag(3, 1), 3);
    survives(Open::Other(7), 7);
}
