//! A module for `with` whose `from_wire` is not asked whether it can.
use xdr_core::Xdr;

mod port {
    pub type Wire = u32;
    pub fn to_wire(value: &u32) -> u32 {
        *value
    }
    pub fn from_wire(wire: u32) -> u32 {
        wire
    }
}

#[derive(Xdr)]
struct Service {
    #[xdr(with = port)]
    port: u32,
}

fn main() {}
