//! A module for `with` that does not say what is on the wire.
use xdr_core::Xdr;

mod port {
    pub fn to_wire(value: &u16) -> u32 {
        u32::from(*value)
    }
    pub fn from_wire(wire: u32) -> Option<u16> {
        u16::try_from(wire).ok()
    }
}

#[derive(Xdr)]
struct Service {
    #[xdr(with = port)]
    port: u16,
}

fn main() {}
