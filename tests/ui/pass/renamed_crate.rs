//! A crate that knows ours only by another name: the name `xdr_core` is a trap.
extern crate std as xdr_core;
extern crate xdr_core as renamed;

use renamed::{Decode, Encode, Xdr};

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed)]
struct Domain<T, const N: usize> {
    #[xdr(max = N * 2, item(max = 8))]
    names: Vec<String>,
    #[xdr(list, max = 4)]
    list: Vec<T>,
    #[xdr(unbounded)]
    blob: Vec<u8>,
    slots: [T; N],
    pair: (T, Option<Box<T>>),
    #[xdr(skip)]
    cached: u32,
}

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed)]
#[repr(i32)]
enum Code {
    Ok = 0,
    #[xdr(other)]
    Other(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Xdr)]
#[xdr(crate = renamed)]
enum State {
    Running = 1,
    Stopped,
}

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed, switch = State)]
enum ByState {
    #[xdr(case = State::Running)]
    Running(Code),
    #[xdr(default)]
    Else(#[xdr(tag)] State, #[xdr(max = 4)] String),
}

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed, transparent)]
struct Name(#[xdr(max = 4)] String);

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed)]
struct Nothing;

#[derive(Debug, PartialEq, Xdr)]
#[xdr(crate = renamed, switch = bool)]
enum Generic<T> {
    #[xdr(case = true)]
    Some(T),
    #[xdr(case = false)]
    None,
}

#[derive(Debug, PartialEq, Encode)]
#[xdr(crate = renamed)]
enum Sent {
    #[xdr(case = 1)]
    Text(#[xdr(max = 4)] &'static str),
}

#[derive(Debug, PartialEq, Decode)]
#[xdr(crate = renamed)]
enum Received {
    #[xdr(case = 1)]
    Text(#[xdr(max = 4)] String),
}

fn main() {
    let domain = Domain::<ByState, 1> {
        names: vec!["a".into()],
        list: vec![ByState::Running(Code::Ok)],
        blob: vec![1],
        slots: [ByState::Else(State::Stopped, "x".into())],
        pair: (ByState::Running(Code::Other(4)), None),
        cached: 0,
    };
    let wire = renamed::to_vec(&domain).unwrap();
    assert_eq!(renamed::from_slice::<Domain<ByState, 1>>(&wire).unwrap(), domain);
    assert_eq!(renamed::to_vec(&Name("b".into())).unwrap().len(), 8);
    assert_eq!(renamed::to_vec(&(Nothing, Generic::Some(Nothing), Generic::<u32>::None)).unwrap().len(), 8);
    let wire = renamed::to_vec(&Sent::Text("c")).unwrap();
    assert_eq!(renamed::from_slice::<Received>(&wire).unwrap(), Received::Text("c".into()));
}
