//! Types whose size differs from machine to machine, and those without an XDR form.
use std::collections::HashMap;
use xdr_core::Xdr;

#[derive(Xdr)]
struct Size {
    size: usize,
}

#[derive(Xdr)]
struct Map {
    #[xdr(max = 4)]
    map: HashMap<u32, u32>,
}

#[derive(Xdr)]
struct Letter {
    letter: char,
}

fn main() {}
