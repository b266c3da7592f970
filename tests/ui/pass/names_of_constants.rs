//! Constants and types of the user's own, called like those that derived code makes for itself.
use xdr_core::Xdr;

const LABEL: u32 = 10;
const LABEL0: u32 = 11;
const LABEL1: u32 = 12;
const VALUE0: i32 = 14;
const VALUE1: i32 = 13;

#[derive(Debug, PartialEq, Xdr)]
#[xdr(switch = u32)]
enum ByNumber {
    #[xdr(case = LABEL1)]
    First(u32),
    #[xdr(case = LABEL0)]
    Second(u32),
    #[xdr(case = LABEL)]
    Third(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
#[repr(i32)]
enum Open {
    First = VALUE1,
    Second = VALUE0,
    #[xdr(other)]
    Other(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
enum Kind {
    One = 1,
    Two = 2,
}

mod kinds {
    use super::{Kind, Xdr};
    const LABEL: Kind = Kind::One;
    const LABEL0: Kind = Kind::Two;

    #[derive(Debug, PartialEq, Xdr)]
    #[xdr(switch = Kind)]
    pub enum ByKind {
        #[xdr(case = LABEL)]
        First(u32),
        #[xdr(case = LABEL0)]
        Second(u32),
    }
}

#[derive(Debug, PartialEq, Xdr)]
struct Bound0(u32);

#[derive(Debug, PartialEq, Xdr)]
struct Generic<const N: usize> {
    #[xdr(max = N + 1)]
    bounds: Vec<Bound0>,
}

fn survives<T: xdr_core::Encode + xdr_core::DecodeOwned + PartialEq + std::fmt::Debug>(value: T, word: u32) {
    let wire = xdr_core::to_vec(&value).unwrap();
    assert_eq!(wire[..4], word.to_be_bytes(), "{value:?}");
    assert_eq!(xdr_core::from_slice::<T>(&wire).unwrap(), value);
}

fn main() {
    survives(ByNumber::First(1), 12);
    survives(ByNumber::Second(1), 11);
    survives(ByNumber::Third(1), 10);
    survives(Open::First, 13);
    survives(Open::Second, 14);
    survives(Open::Other(5), 5);
    survives(kinds::ByKind::First(1), 1);
    survives(kinds::ByKind::Second(1), 2);
    survives(Generic::<1> { bounds: vec![Bound0(1), Bound0(2)] }, 2);
}
